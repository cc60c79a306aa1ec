# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaks in a twin: what a node leaves that was switched off in the middle of its work."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from twin_fixture import TwinHandle

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store


def leak(twin: TwinHandle, address: str, pod: str, node: str = "node-1", **attributes: t.Any) -> str:
    """An address under the handle of a pod that never was, or with other ``attributes``; returns the handle."""
    handle = attributes.pop("handle", f"k8s-pod-network.{pod}")
    given = {
        "namespace": "shop",
        "pod": pod,
        "node": node,
        "timestamp": "2026-08-19 09:00:00.000000001 +0000 UTC",
    }
    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    try:
        assign_ip(
            open_store(api),
            parse_address(address),
            node,
            handle_id=handle,
            attributes=attributes or given,
            now=lambda: datetime.now(timezone.utc),
        )
    finally:
        api.close()
    return str(handle)
