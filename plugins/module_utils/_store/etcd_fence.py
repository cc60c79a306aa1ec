# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Writes to Calico's etcd that first make sure that they may still be sent."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi


def fence_etcd(api: KubeApi, require: t.Callable[[], None]) -> None:
    """Call ``require``, which raises when no write may be sent any more, before every write to the etcd of this API."""
    if isinstance(api, CalicoApi) and isinstance(api.elsewhere, EtcdApi):
        api.elsewhere.client.before_write = require
