# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a pod asks of IPAM, read as Calico's CNI plugin reads it (spec ipam-engine.md 17.1)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import pod_request as rules
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import PodRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import NetworkConfig

__all__ = ["PodRequest", "pod_request"]


def pod_request(pod: Object, namespace: Object, config: NetworkConfig, pools: t.Sequence[Pool]) -> PodRequest:
    """Put together what one pod asks for. ``pools`` are all pools, to look names up.

    Raises ``InvalidInput`` or ``RequestedPool`` with the reason why ADD fails.
    """
    own = pod["metadata"].get("annotations") or {}
    shared = namespace["metadata"].get("annotations") or {}
    return rules.pod_request(own, shared, config, pools)
