# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks are tested in _operations/test_preflight.py; here the module reads a cluster."""

from __future__ import annotations

import sys
import typing as t
from ipaddress import ip_network
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_journal, ippool_preflight_info

from .module_runner import ModuleFailed, failure, run_module

DEFAULT = "default-ipv4-ippool"
RESIZE = {
    "procedure": "change_block_size",
    "pool": DEFAULT,
    "block_size": 28,
    "target": {"name": "temporary", "cidr": "10.0.0.0/16"},
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    """The tutorial cluster; its pods have come up."""
    with start_twin(tmp_path_factory.mktemp("twin"), "tutorial", speed=100) as handle:
        handle.settle()
        yield handle


def preflight(twin: TwinHandle, **options: t.Any) -> dict[str, t.Any]:
    result = run_module(ippool_preflight_info.main, kubeconfig=twin.kubeconfig, **options)
    assert not result["changed"]
    return result


def ids(result: dict[str, t.Any], severity: str = "blocker") -> list[str]:
    return [finding["id"] for finding in result["findings"] if finding["severity"] == severity]


def test_the_tutorial_cluster_is_ready(twin: TwinHandle) -> None:
    result = preflight(twin, **RESIZE)
    assert (result["blockers"], result["phase"], ids(result)) == (0, "not_started", [])
    assert len(result["plan"]) == 9
    assert result["capacity"]["temporary"]["nodes"] == 5
    assert result["capacity"][DEFAULT]["blocks"] == 4096
    assert result["lines"]
    move = {"procedure": "migrate_pool", "pool": DEFAULT, "target": {"name": "new", "cidr": "10.0.0.0/16"}}
    assert preflight(twin, **move)["blockers"] == 0


@pytest.mark.parametrize(
    ("changes", "blocker"),
    [
        ({"pool": "nope"}, "pool-exists"),
        ({"block_size": 19}, "block-size-legal"),
        ({"block_size": 33}, "block-size-legal"),
        ({"procedure": "migrate_pool", "target": {"name": "t"}}, "pool-definition"),
        ({"target": {"name": "t", "cidr": "192.168.0.0/24"}}, "pool-overlap"),
        ({"target": {"name": "t", "cidr": "10.96.0.0/16"}}, "service-cidr"),
        ({"target": {"name": "t", "cidr": "10.200.0.0/16"}}, "pool-inside-cluster-cidr"),
        ({"target": {"name": "t", "cidr": "10.0.0.0/16", "node_selector": "has("}}, "pool-definition"),
        ({"target": {"name": "t", "cidr": "fd00::/64"}}, "pool-definition"),
    ],
)
def test_wrong_plans(twin: TwinHandle, changes: dict[str, t.Any], blocker: str) -> None:
    result = preflight(twin, **{**RESIZE, **changes})
    assert blocker in ids(result)
    assert result["blockers"] >= 1
    assert all("\n" not in finding["message"] and finding["message"].endswith(".") for finding in result["findings"])


def test_a_waiver(twin: TwinHandle) -> None:
    outside = {**RESIZE, "target": {"name": "t", "cidr": "10.200.0.0/16"}}
    assert preflight(twin, **outside)["blockers"] == 1
    assert preflight(twin, **outside, waivers=["pool-inside-cluster-cidr"])["blockers"] == 0
    message = failure(ippool_preflight_info.main, kubeconfig=twin.kubeconfig, **outside, waivers=["pool-exists"])
    assert "cannot be waived" in message


def test_a_range_for_the_temporary_pool_is_proposed(twin: TwinHandle) -> None:
    """The tutorial's nodes have podCIDRs at the start of the pod range, which is 10.0.0.0/16."""
    result = preflight(twin, **{**RESIZE, "target": {"name": "t"}})
    assert (result["blockers"], result["target"]["name"]) == (0, "t")
    cidr = ip_network(result["target"]["cidr"])
    assert cidr.subnet_of(ip_network("10.0.0.0/16")) and not cidr.overlaps(ip_network("10.0.0.0/24"))
    recommendation = result["recommendation"]
    assert recommendation["way"] == "new_range"
    assert [(way["way"], way["moves"], way["possible"]) for way in recommendation["ways"]] == [
        ("same_range", 2, True),
        ("new_range", 1, True),
    ]
    new = recommendation["ways"][1]["variables"]["migrate_pool_to"]
    move = preflight(twin, procedure="migrate_pool", pool=DEFAULT, target=new)
    assert (move["blockers"], move["recommendation"]) == (0, None)
    outside = preflight(twin, **{**RESIZE, "target": {"name": "t"}}, external_ranges=["10.0.0.0/16"])
    assert ids(outside) == ["pool-inside-cluster-cidr"]
    assert outside["recommendation"]["way"] == "same_range"
    assert "external_ranges" in failure(
        ippool_preflight_info.main, kubeconfig=twin.kubeconfig, **RESIZE, external_ranges=["here"]
    )


def test_declared_pools(twin: TwinHandle) -> None:
    pools = [{"name": "one", "cidr": "10.0.0.0/24"}, {"name": "two", "cidr": "10.0.0.0/25"}]
    assert "pool-overlap" in ids(preflight(twin, procedure="declare_pools", pools=pools))
    assert preflight(twin, procedure="declare_pools", pools=pools[:1])["blockers"] == 0
    assert preflight(twin, procedure="declare_pools")["findings"] == []


def test_a_begun_procedure_is_known(twin: TwinHandle) -> None:
    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    run_module(ippool_journal.main, kubeconfig=twin.kubeconfig, **RESIZE)
    pin = {"metadata": {"annotations": {"cni.projectcalico.org/ipv4pools": f'["{DEFAULT}"]'}}}
    api.patch(NAMESPACES, "shop", pin)
    result = preflight(twin, **RESIZE)
    assert (result["phase"], result["blockers"]) == ("moving_out", 0)
    assert "pool-pinned" in ids(result, "note")
    api.delete(CONFIG_MAPS, f"calico-ops-ipam-{DEFAULT}", "kube-system")
    assert ids(preflight(twin, **RESIZE)) == ["pool-pinned"]
    api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {"cni.projectcalico.org/ipv4pools": None}}})
    api.close()


def test_config_maps_are_searched_where_asked_for(twin: TwinHandle) -> None:
    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pg"}, "data": {"hba": "host 192.168.0.0/16"}}
    api.create(CONFIG_MAPS, body, "shop")
    named = "ConfigMap shop/pg, key hba (192.168.0.0/16)"
    for namespaces, found in (([], False), (["data"], False), (["data", "shop"], True), (["*"], True)):
        result = preflight(twin, **RESIZE, config_map_namespaces=namespaces)
        assert any(named in each["objects"] for each in result["findings"]) is found, namespaces
    api.delete(CONFIG_MAPS, "pg", "shop")
    api.close()


def test_consent_that_means_nothing(twin: TwinHandle) -> None:
    message = failure(ippool_preflight_info.main, kubeconfig=twin.kubeconfig, **RESIZE, consent=["everything"])
    assert "'everything' means nothing" in message


def test_options_that_belong_together(twin: TwinHandle) -> None:
    with pytest.raises(ModuleFailed, match="block_size"):
        preflight(twin, procedure="change_block_size", pool=DEFAULT, target={"name": "t"})
