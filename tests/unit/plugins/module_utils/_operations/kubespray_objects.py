# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories and clusters for the tables of the Kubespray tests, by Kubespray's own defaults."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import MIGRATE, Journal
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    Declared,
    read_declared,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

# As the role defaults of release 2.31, which an inventory that says nothing gets.
DEFAULTS: dict[str, t.Any] = {
    "calico_datastore": "kdd",
    "calico_ipam_autoallocateblocks": True,
    "calico_ipam_host_local": False,
    "calico_ipam_maxblocksperhost": 0,
    "calico_ipam_strictaffinity": False,
    "calico_ipip_mode": "Never",
    "calico_ipip_mode_ipv6": "Never",
    "calico_network_backend": "vxlan",
    "calico_pool_blocksize": 26,
    "calico_pool_blocksize_ipv6": 122,
    "calico_pool_name": "default-pool",
    "calico_vxlan_mode": "Always",
    "calico_vxlan_mode_ipv6": "Always",
    "ignore_assert_errors": False,
    "ipv4_stack": True,
    "ipv6_stack": False,
    "kube_pods_subnet": "10.233.64.0/18",
    "kube_pods_subnet_ipv6": "fd85:ee78:d8a6:8607::1:0000/112",
    "nat_outgoing": True,
    "nat_outgoing_ipv6": False,
}
INVENTORY: dict[str, t.Any] = {"kube_network_plugin": "calico", "kube_pods_subnet": "10.234.0.0/16"}
POOL = "default-pool"
RANGE = "10.234.0.0/18"
NEW, NEW_RANGE = "default-pool-2", "10.234.64.0/18"
OUTSIDE = "10.250.0.0/18"
RANGE6, NEW_RANGE6 = "fd85:ee78:d8a6:8607::1:0/112", "fd85:ee78:d8a6:8607::2:0/112"
SETTINGS = {"strictAffinity": False, "autoAllocateBlocks": True, "maxBlocksPerHost": 0}


def declared(**inventory: t.Any) -> Declared:
    """An inventory whose pool is ``RANGE`` unless it says otherwise, on top of Kubespray's defaults."""
    return read_declared({**INVENTORY, "calico_pool_cidr": RANGE, **inventory}, DEFAULTS)


def both_families(**inventory: t.Any) -> Declared:
    return declared(**{"ipv6_stack": True, "calico_pool_cidr_ipv6": RANGE6, **inventory})


def pool(name: str = POOL, cidr: str = RANGE, **spec: t.Any) -> StoredPool:
    """A pool as Kubespray makes it."""
    size = 122 if ":" in cidr else 26
    full = {"cidr": cidr, "blockSize": size, "ipipMode": "Never", "vxlanMode": "Always", "natOutgoing": ":" not in cidr}
    return StoredPool(name, {"metadata": {"name": name}, "spec": {**full, **spec}})


POOL6 = pool("default-pool-ipv6", RANGE6)


def live(*pools: StoredPool, **rest: t.Any) -> Live:
    """A cluster with these pools that runs with the pods' range of the inventory."""
    subnets = (("networking.podSubnet of ConfigMap kube-system/kubeadm-config", (parse_network("10.234.0.0/16"),)),)
    return Live(**{"pools": pools or (pool(),), "settings": SETTINGS, "subnets": subnets, **rest})


def journal(old: str = POOL, new: str = NEW, cidr: str = NEW_RANGE, **rest: t.Any) -> Journal:
    """What a migration that kept its old pool has left."""
    return Journal(
        **{
            "procedure": MIGRATE,
            "pool": old,
            "target": {"name": new, "cidr": cidr},
            "block_size": None,
            "definition": {"spec": {}},
            "started": "2026-08-22T09:30:00Z",
            "version": "0.2.0",
            "keep_pool": True,
            **rest,
        }
    )
