# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole procedures in virtual time, disturbed by others; what kills them is in test_killed_everywhere.py."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from procedures import Procedure, alive, change_block_size, migrate_pool
from runbook import Stopped
from simulation import SimulatedApi, Write, simulate, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
    LEASES,
    NAMESPACES,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

POOL = "default-ipv4-ippool"
TEMPORARY = {"cidr": "10.0.0.0/16"}


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def prepared() -> Twin:
    """The small cluster, its pool with everything that is easily lost when it is created again."""
    twin = local_twin("small")
    metadata = {"labels": {"team": "net"}, "annotations": {"note": "keep me"}}
    with_calico(SimulatedApi(twin)).patch(IP_POOLS, POOL, {"metadata": metadata, "spec": {"disableBGPExport": True}})
    return twin


def healthy(twin: Twin) -> None:
    record = twin.recorder.record()
    assert record["outages"] == []
    assert record["budget_violations"] == []
    assert record["addresses_outside_pools"] == []


def only(twin: Twin, pool: str, cidr: str, size: int) -> dict[str, t.Any]:
    """The pool, after making sure that there is nothing but it and what belongs to it."""
    twin.clock.advance(60)
    api = with_calico(SimulatedApi(twin))
    assert [each.name for each in read_pools(api)] == [pool]
    network = parse_network(cidr)
    blocks = {item["spec"]["cidr"]: item["spec"] for item in api.list(IPAM_BLOCKS).items}
    assert blocks
    for text, spec in blocks.items():
        assert parse_network(text).prefix == size and network.contains(parse_network(text)), text
        assert not spec.get("deleted")
    rows = [item["spec"] for item in api.list(BLOCK_AFFINITIES).items]
    assert {row["cidr"] for row in rows} == set(blocks)
    assert all(row["state"] == "confirmed" for row in rows)
    for handle in api.list(IPAM_HANDLES).items:
        assert set(handle["spec"]["block"]) <= set(blocks)
    pods = [pod for pod in api.list(PODS).items if not pod["spec"].get("hostNetwork")]
    assert pods
    for pod in pods:
        assert network.contains(parse_network(pod["status"]["podIP"] + "/32").first)
    assert not [item for item in api.list(NAMESPACES).items if item["metadata"]["name"].startswith("calico-ops")]
    for kind in (CONFIG_MAPS, LEASES):
        assert not [item for item in api.list(kind).items if "calico-ops" in item["metadata"]["name"]]
    for kind in (DEPLOYMENTS, STATEFUL_SETS):
        for item in api.list(kind).items:
            notes = item["metadata"].get("annotations") or {}
            assert not [note for note in notes if note.startswith("ipam.calico-ops.io/original")]
    healthy(twin)
    found = find(read_pools(api), pool)
    assert found is not None
    return found.shown()


@pytest.mark.parametrize("number", [3, 5, 9, 15, 20, 22, 24, 29])
def test_a_second_run_is_refused(number: int) -> None:
    """It wants to begin in the middle of the first one, which goes on undisturbed."""
    twin = prepared()
    refused: list[str] = []

    def second(write: Write) -> None:
        if write.number == number:
            with pytest.raises(Stopped) as error:
                change_block_size(SimulatedApi(twin), POOL, 28, TEMPORARY, owner=alive("two"))
            refused.append(error.value.message)

    change_block_size(SimulatedApi(twin, before=second), POOL, 28, TEMPORARY, owner=alive("one"))
    assert "is held by one@" in refused[0] and refused[0].endswith("stand for a cluster.")
    only(twin, POOL, "192.168.0.0/16", 28)


@pytest.mark.parametrize("number", [2, 4, 9, 15, 22, 24])
def test_a_run_that_slept_while_another_took_over_writes_nothing_any_more(number: int) -> None:
    """The first one stands still for more than a minute, as a laptop with its lid closed, and wakes up."""
    twin = prepared()

    def second(write: Write) -> None:
        if write.number == number:
            owner = replace(alive("two"), host="elsewhere")
            change_block_size(SimulatedApi(twin), POOL, 28, TEMPORARY, owner=owner, take_over=True)

    first = SimulatedApi(twin, after=second)
    # What it looks at next may be enough of a reason to stop.
    with pytest.raises(IpamError):
        change_block_size(first, POOL, 28, TEMPORARY, owner=alive("one"))
    assert len(first.writes) == number
    only(twin, POOL, "192.168.0.0/16", 28)


@pytest.mark.parametrize("number", [2, 5, 8, 12, 34])
def test_what_people_change_on_the_way_survives(number: int) -> None:
    twin = prepared()
    admin = SimulatedApi(twin)

    def edit(write: Write) -> None:
        if write.number == number:
            body = {"metadata": {"labels": {"edited": "yes"}}, "spec": {"disableBGPExport": False}}
            admin.patch(IP_POOLS, POOL, body)

    change_block_size(SimulatedApi(twin, before=edit), POOL, 28, TEMPORARY)
    after = only(twin, POOL, "192.168.0.0/16", 28)
    assert after["labels"] == {"team": "net", "edited": "yes"}
    assert after["spec"]["disableBGPExport"] is False


def test_a_pool_of_somebody_else_is_not_taken_for_the_temporary_one() -> None:
    twin = prepared()
    api = SimulatedApi(twin)
    body = {
        "apiVersion": IP_POOLS.api_version,
        "kind": "IPPool",
        "metadata": {"name": f"{POOL}-temporary"},
        "spec": {"cidr": "10.0.0.0/16", "blockSize": 28, "ipipMode": "Always", "nodeSelector": "all()"},
    }
    api.create(IP_POOLS, body)
    with pytest.raises(Stopped, match="exists already, and as temporary pool it would be emptied and deleted"):
        change_block_size(api, POOL, 28, TEMPORARY)
    assert len(api.writes) == 1


def test_a_disabled_pool_is_not_enabled_on_the_quiet() -> None:
    twin = prepared()
    api = SimulatedApi(twin)
    api.patch(IP_POOLS, POOL, {"spec": {"disabled": True}})
    with pytest.raises(Stopped, match="is disabled, and with its new block size it would be in use again"):
        change_block_size(api, POOL, 28, TEMPORARY)
    assert len(api.writes) == 1


def test_without_another_pool_nothing_is_drained() -> None:
    twin = prepared()
    api = SimulatedApi(twin)
    api.patch(IP_POOLS, POOL, {"spec": {"disabled": True}})
    with pytest.raises(Refused, match="no other enabled IPv4 pool gives addresses to pods"):
        Procedure(api).drain(POOL)
    assert len(api.writes) == 1


@pytest.mark.parametrize("number", [3, 5, 20, 21, 22, 39, 40])
def test_calico_node_restarts_create_no_pool(number: int) -> None:
    twin = prepared()

    def restart(write: Write) -> None:
        if write.number == number:
            for node in ("node-1", "node-2"):
                twin.calico_nodes.restart(node)

    change_block_size(SimulatedApi(twin, before=restart), POOL, 28, TEMPORARY)
    only(twin, POOL, "192.168.0.0/16", 28)


def dual_stack() -> Twin:
    scenario = Path(process.__file__).parent / "scenarios" / "small.yml"
    documents = [document for document in yaml.safe_load_all(scenario.read_text(encoding="utf-8")) if document]
    for document in documents:
        if document["metadata"]["name"] == "calico-config":
            text = document["data"]["cni_network_config"]
            both = '"type": "calico-ipam", "assign_ipv4": "true", "assign_ipv6": "true"'
            document["data"]["cni_network_config"] = text.replace('"type": "calico-ipam"', both)
        if document["metadata"]["name"] == "kubeadm-config":
            text = document["data"]["ClusterConfiguration"]
            document["data"]["ClusterConfiguration"] = text.replace("10.0.0.0/8", "10.0.0.0/8,fd00::/16")
    spec = {"cidr": "fd00::/64", "blockSize": 122, "natOutgoing": True, "nodeSelector": "all()"}
    pool = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": "six"}, "spec": spec}
    return local_twin([*documents, pool])


def test_one_family_of_a_dual_stack_cluster_moves() -> None:
    twin = dual_stack()
    api = SimulatedApi(twin)
    migrate_pool(api, "six", {"name": "six-new", "cidr": "fd00:0:0:1::/64"})
    change_block_size(api, "six-new", 124, {"cidr": "fd00:0:0:2::/64"})
    twin.clock.advance(60)
    assert [pool.name for pool in read_pools(api)] == [POOL, "six-new"]
    four, six = parse_network("192.168.0.0/16"), parse_network("fd00:0:0:1::/64")
    for pod in api.list(PODS).items:
        if not pod["spec"].get("hostNetwork"):
            first, second = (parse_address(entry["ip"]) for entry in pod["status"]["podIPs"])
            assert four.contains(first) and six.contains(second)
    assert {parse_network(item["spec"]["cidr"]).prefix for item in api.list(IPAM_BLOCKS).items} == {26, 124}
    healthy(twin)
