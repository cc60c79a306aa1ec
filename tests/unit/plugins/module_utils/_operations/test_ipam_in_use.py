# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pools are not written where pods get their addresses elsewhere (spec ippool.md §7.3)."""

from __future__ import annotations

import json
import typing as t

import pytest
from cluster_tables import DENIED, INSTALLATIONS, MANIFEST, V3_CRDS, api_of, default, node
from simulation import SimulatedApi, SimulatedClock, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import resources
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_in_use import (
    ipam_in_use,
    require_calico_ipam,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import PoolWrite
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store

CONFIG_MAPS, NODE = "configmaps.", "daemonsets.apps"
CALICO = "calico-ipam"


def config_map(namespace: str, name: str, ipam: str, plugin: str = "calico") -> list[dict[str, t.Any]]:
    key = "config" if name == "cni-config" else "cni_network_config"
    text = json.dumps({"plugins": [{"type": plugin, "ipam": {"type": ipam}}]})
    return [{"metadata": {"name": name, "namespace": namespace}, "data": {key: text}}]


MANIFESTS = config_map("kube-system", "calico-config", CALICO)
CANAL = config_map("kube-system", "canal-config", "host-local")
OPERATORS = config_map("calico-system", "cni-config", "host-local")
VPC = {"type": "AmazonVPC", "ipam": {"type": "AmazonVPC"}}
BY_OPERATOR = {**V3_CRDS, CONFIG_MAPS: OPERATORS}

# What is served, the IPAM, where it stands, and how many requests it takes to find out.
TABLE: dict[str, tuple[dict[str, t.Any], str | None, str, int]] = {
    "manifests": ({CONFIG_MAPS: MANIFESTS}, CALICO, "ConfigMap kube-system/calico-config", 1),
    "canal": ({CONFIG_MAPS: CANAL}, "host-local", "ConfigMap kube-system/canal-config", 2),
    "another plugin": (
        {CONFIG_MAPS: config_map("kube-system", "calico-config", "x", "ptp")},
        "a CNI plugin other than calico",
        "ConfigMap kube-system/calico-config",
        1,
    ),
    "podCIDR of nodes": (
        {NODE: node(USE_POD_CIDR="true")},
        "host-local with the nodes' podCIDR",
        "USE_POD_CIDR of DaemonSet calico-node",
        3,
    ),
    "asked of the operator": (
        {**BY_OPERATOR, INSTALLATIONS: default(cni={"type": "Calico", "ipam": {"type": "HostLocal"}})},
        "HostLocal IPAM of the CNI plugin Calico",
        "Installation default, spec.cni",
        0,
    ),
    "Calico by the operator": ({**BY_OPERATOR, INSTALLATIONS: default(cni={"type": "Calico"})}, CALICO, "Install", 0),
    "worked out by the operator": (
        {**V3_CRDS, INSTALLATIONS: default(status={"computed": {"cni": VPC}})},
        "AmazonVPC IPAM of the CNI plugin AmazonVPC",
        "Installation default, spec.cni",
        0,
    ),
    "a young Installation": (
        {**BY_OPERATOR, INSTALLATIONS: default()},
        "host-local",
        "config of ConfigMap calico-system/cni-config",
        1,
    ),
    "the operator's ConfigMap without the operator": ({CONFIG_MAPS: OPERATORS, NODE: node()}, None, "no config", 3),
    "no rights": ({CONFIG_MAPS: DENIED, NODE: DENIED}, None, "no configuration that may be read says so", 4),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_first_source_that_answers(case: str) -> None:
    served, ipam, words, requests = TABLE[case]
    raw = api_of({**MANIFEST, **served})
    found = detect(raw)
    before = len(raw.requests)
    fact = ipam_in_use(raw, found)
    assert (fact.value, len(raw.requests) - before) == (ipam, requests)
    assert words in fact.source
    if ipam in (None, CALICO):
        require_calico_ipam(raw, found)
    else:
        with pytest.raises(Refused) as caught:
            require_calico_ipam(raw, found)
        assert caught.value.message == (
            f"Pods get their addresses from {ipam}, not from Calico's IP pools ({fact.source}): a change of pools "
            "would move nothing; let Calico IPAM give the addresses first."
        )


class Cluster:
    """The small cluster, whose CNI configuration is said to have another IPAM."""

    def __init__(self) -> None:
        self.twin = local_twin("small")
        self.simulated = SimulatedApi(self.twin)
        self.api = with_calico(self.simulated)
        text = json.dumps({"plugins": [{"type": "calico", "ipam": {"type": "host-local", "subnet": "usePodCidr"}}]})
        admin = with_calico(SimulatedApi(self.twin))
        admin.patch(resources.CONFIG_MAPS, "calico-config", {"data": {"cni_network_config": text}}, "kube-system")

    def present(self, name: str, check: bool = False, **params: t.Any) -> PoolWrite:
        return ensure_pool(self.api, pool_request({"name": name, **params}), check_mode=check)

    def absent(self, name: str, check: bool = False) -> None:
        delete_pool(
            self.api,
            open_store(self.api),
            name,
            timeout=10,
            clock=SimulatedClock(self.simulated),
            report=lambda event: None,
            check_mode=check,
        )


def test_no_pool_is_written_for_pods_that_get_no_address_of_it() -> None:
    cluster = Cluster()
    words = "Pods get their addresses from host-local, not from Calico's IP pools"
    for check in (True, False):
        for ask in (
            lambda check=check: cluster.present("new", check, cidr="10.7.0.0/16"),
            lambda check=check: cluster.present("default-ipv4-ippool", check, nat_outgoing=False),
            lambda check=check: cluster.absent("default-ipv4-ippool", check),
        ):
            with pytest.raises(Refused, match=words):
                ask()
    assert cluster.simulated.writes == []
    # What is as it was asked for stays so, and Services have addresses of pools without any CNI plugin.
    assert not cluster.present("default-ipv4-ippool").plan.changed
    assert cluster.present("services", cidr="10.8.0.0/24", allowed_uses=["LoadBalancer"]).plan.changed
    cluster.absent("services")
