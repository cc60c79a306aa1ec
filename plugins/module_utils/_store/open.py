# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The store that is live: where this cluster's Calico keeps its IPAM state (spec ipam-engine.md §1)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore


def open_store(api: KubeApi) -> KubernetesStore:
    """The store behind a cluster's Kubernetes API."""
    return KubernetesStore(api)
