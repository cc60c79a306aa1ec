# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole procedures in virtual time: cut right before and right after each write, undone, and disturbed by others."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from modes_lab import Mode
from procedures import Procedure, alive, change_block_size, migrate_pool, rollback
from simulation import Killed, SimulatedApi, Write, simulate, with_calico
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
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import LockHeld
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

POOL = "default-ipv4-ippool"
TEMPORARY = {"cidr": "10.0.0.0/16"}
NEW = {"name": "new", "cidr": "10.0.0.0/16"}
MOST_WRITES = 90
NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
# Every n-th write by day, with another remainder for each test; all of them at night.
EACH = 1 if NIGHTLY else 6
MODES = [Mode("crd_v1")]


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def prepared(mode: Mode = MODES[0]) -> Twin:
    """The small cluster, its pool with everything that is easily lost when it is created again."""
    twin = local_twin("small", installation=mode.installation, operator=mode.operator)
    metadata = {"labels": {"team": "net"}, "annotations": {"note": "keep me"}}
    with_calico(SimulatedApi(twin)).patch(IP_POOLS, POOL, {"metadata": metadata, "spec": {"disableBGPExport": True}})
    return twin


@dataclass(frozen=True)
class Cut:
    """Where a run dies: right before or right after its write of that number."""

    number: int
    moment: str

    def run(self, twin: Twin, work: Work) -> bool:
        """Run until there; false when the run ended before."""

        def die(write: Write) -> None:
            if write.number == self.number:
                raise Killed(str(write))

        try:
            work(with_calico(SimulatedApi(twin, **{self.moment: die})))
        except Killed:
            return True
        return False


Work = t.Callable[[t.Any], object]


def cuts(first: int, last: int = MOST_WRITES) -> t.Iterator[Cut]:
    """Where to kill: before each write and after it, beginning with number ``first`` and only each n-th by day."""
    for number in range(1 + (first % EACH), last, EACH):
        yield Cut(number, "before")
        yield Cut(number, "after")


def change(api: t.Any) -> object:
    return change_block_size(api, POOL, 28, TEMPORARY)


def migrate(api: t.Any) -> object:
    return migrate_pool(api, POOL, NEW)


def undo_change(api: t.Any) -> object:
    return rollback(api, "change_block_size", POOL)


def undo_migrate(api: t.Any) -> object:
    return rollback(api, "migrate_pool", POOL)


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


def original(twin: Twin) -> dict[str, t.Any]:
    found = find(read_pools(with_calico(SimulatedApi(twin))), POOL)
    assert found is not None
    return found.shown()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_change_block_size_killed_at_each_write_and_resumed(mode: Mode) -> None:
    for cut in cuts(first=0):
        twin = prepared(mode)
        wanted = original(twin)
        wanted["spec"]["blockSize"] = 28
        was_cut = cut.run(twin, change)
        twin.clock.advance(cut.number % 7)
        change(with_calico(SimulatedApi(twin)))
        assert only(twin, POOL, "192.168.0.0/16", 28) == wanted, cut
        again = SimulatedApi(twin)
        change(with_calico(again))
        assert again.writes == []
        if not was_cut:
            return
    raise AssertionError("the procedure has more writes than this test allows for")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_migrate_pool_killed_at_each_write_and_resumed(mode: Mode) -> None:
    for cut in cuts(first=1):
        twin = prepared(mode)
        was_cut = cut.run(twin, migrate)
        twin.clock.advance(cut.number % 7)
        migrate(with_calico(SimulatedApi(twin)))
        only(twin, "new", "10.0.0.0/16", 26)
        if not was_cut:
            return
    raise AssertionError("the procedure has more writes than this test allows for")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(
    ("forward", "undo", "too_late"),
    [(change, undo_change, "has its new block size already"), (migrate, undo_migrate, "is deleted already")],
    ids=["change_block_size", "migrate_pool"],
)
def test_killed_at_each_write_and_undone(mode: Mode, forward: Work, undo: Work, too_late: str) -> None:
    """Everything is as it was before, at whichever write the run died; when it is too late, it says how to go on."""
    undone = late = 0
    for cut in cuts(first=2):
        twin = prepared(mode)
        wanted = original(twin)
        was_cut = cut.run(twin, forward)
        twin.clock.advance(cut.number % 7)
        api = SimulatedApi(twin)
        try:
            undo(with_calico(api))
        except Refused as error:
            assert too_late in error.message and "finish it with `ansible-playbook calico_ops.ipam." in error.message
            assert api.writes == []
            forward(with_calico(SimulatedApi(twin)))
            late += 1
        else:
            if was_cut and original_is_there(twin):
                assert only(twin, POOL, "192.168.0.0/16", 26) == wanted, cut
                undone += 1
        healthy(twin)
        if not was_cut:
            assert undone > late and (late or not NIGHTLY)
            return
    raise AssertionError("the procedure has more writes than this test allows for")


def original_is_there(twin: Twin) -> bool:
    """Whether the run was cut before its very last request, after which there is nothing to undo."""
    found = find(read_pools(with_calico(SimulatedApi(twin))), POOL)
    return found is not None and found.spec.get("blockSize", 26) == 26


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(("verb", "plural"), [("patch", "deployments"), ("delete", "ippools")])
def test_undoing_killed_at_each_write_and_undone_again(mode: Mode, verb: str, plural: str) -> None:
    """A change that died half-way (while pods move out, after the pool was deleted) is undone in two runs."""
    whole = SimulatedApi(prepared(mode))
    change(with_calico(whole))
    half = next(each.number for each in whole.writes if (each.verb, each.resource.plural) == (verb, plural))
    for cut in cuts(first=3):
        twin = prepared(mode)
        wanted = original(twin)
        assert Cut(half, "after").run(twin, change)
        was_cut = cut.run(twin, undo_change)
        if was_cut and cut.number > 2 and len(journals(twin)) == 1:
            with pytest.raises(Refused, match="is being undone, so it cannot go on: finish undoing it with"):
                change(with_calico(SimulatedApi(twin)))
        undo_change(with_calico(SimulatedApi(twin)))
        assert only(twin, POOL, "192.168.0.0/16", 26) == wanted, cut
        again = SimulatedApi(twin)
        undo_change(with_calico(again))
        assert again.writes == []
        if not was_cut:
            return
    raise AssertionError("undoing has more writes than this test allows for")


def journals(twin: Twin) -> list[str]:
    items = SimulatedApi(twin).list(CONFIG_MAPS).items
    return [item["metadata"]["name"] for item in items if "calico-ops" in item["metadata"]["name"]]


@pytest.mark.parametrize("number", [3, 5, 9, 15, 20, 22, 24, 29])
def test_a_second_run_is_refused(number: int) -> None:
    """It wants to begin in the middle of the first one, which goes on undisturbed."""
    twin = prepared()
    refused: list[str] = []

    def second(write: Write) -> None:
        if write.number == number:
            with pytest.raises(LockHeld) as error:
                change_block_size(SimulatedApi(twin), POOL, 28, TEMPORARY, owner=alive("two"))
            refused.append(error.value.message)

    change_block_size(SimulatedApi(twin, before=second), POOL, 28, TEMPORARY, owner=alive("one"))
    assert "is held by one@" in refused[0] and "-e change_block_size_take_over=true" in refused[0]
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


@pytest.mark.parametrize("number", [2, 5, 8, 12, 30])
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
    with pytest.raises(Refused, match="exists already, and as temporary pool it would be emptied and deleted"):
        change_block_size(api, POOL, 28, TEMPORARY)
    assert len(api.writes) == 1


def test_a_disabled_pool_is_not_enabled_on_the_quiet() -> None:
    twin = prepared()
    api = SimulatedApi(twin)
    api.patch(IP_POOLS, POOL, {"spec": {"disabled": True}})
    with pytest.raises(Refused, match="is disabled, and with its new block size it would be in use again"):
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
