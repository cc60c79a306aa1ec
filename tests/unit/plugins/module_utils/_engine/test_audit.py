# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A healthy cluster has no findings; each damage has exactly those it should have (spec ipam-engine.md §18 to §21)."""

from __future__ import annotations

import copy
import json
import random
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit import Audit
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import (
    NodeFacts,
    PodFacts,
    ServiceFacts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import CHECKS, SEVERITIES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec

from .audit_world import LB, NOW, OLD, World, block, handle, healthy, key, later, pod_attribute, row

FOUR, SIX, WIN, LBS = "10.0.0.0/29", "fd00::/125", "10.0.0.8/29", "10.9.0.0/29"
RUNNING = PodFacts((), (), "n1", "Running")


def found(world: World) -> dict[str, str]:
    return {each.id: each.severity for each in world.result().findings}


def test_nothing_is_wrong_with_a_healthy_cluster() -> None:
    result = healthy().result()
    assert found(healthy()) == {}
    assert result.leaked == ()
    assert result.summary["addresses"]["kinds"] == {
        "cooling": 1,
        "ipv6_tunnel": 1,
        "loadbalancer": 1,
        "pod": 4,
        "tunnel": 1,
        "vm": 1,
        "windows": 3,
    }
    assert result.summary["blocks"] == {"total": 4, "empty": 0, "ownerless": 0, "strays": 0}


def test_calicoctl_is_reconciled() -> None:
    """A05: an IPv6 tunnel, a stopped machine and a pod that is starting are no leaks, whatever calicoctl says."""
    result = healthy().result()
    assert result.calicoctl["leaked"] == 3
    assert {row["kind"]: row["certainty"] for row in result.kept} == {
        "ipv6_tunnel": "never",
        "vm": "never",
        "pod": "never",
    }
    assert sorted(result.calicoctl["wrongly_leaked"]) == [
        "leaked-address/10.0.0.2",
        "leaked-address/10.0.0.3",
        "leaked-address/fd00::1",
    ]
    assert result.calicoctl["problems"] == 3


def without_pod(world: World) -> None:
    world.pod("b", None)


def with_pod(name: str, pod: PodFacts) -> t.Callable[[World], None]:
    return lambda world: world.pod(name, pod)


def with_node(name: str, node: NodeFacts | None) -> t.Callable[[World], None]:
    return lambda world: world.node(name, node)


def both(*changes: t.Callable[[World], None]) -> t.Callable[[World], None]:
    def change(world: World) -> None:
        for each in changes:
            each(world)

    return change


def since(text: str) -> t.Callable[[World], None]:
    return lambda world: world.block(WIN)["attributes"][1]["secondary"].update(timestamp=text)


B = (key("10.0.0.10"),)
OTHER = PodFacts((key("10.0.0.11"),), (), "n2", "Running")


@pytest.mark.parametrize(
    ("change", "address", "certainty", "words"),
    [
        (without_pod, "10.0.0.10", "certain", "its pod is gone"),
        (both(without_pod, since("2026-08-20 11:50:00 +0000 UTC")), "10.0.0.10", "possible", "grace"),
        (both(without_pod, since("2026-08-20 13:50:00.1 +0200 CEST")), "10.0.0.10", "possible", "grace"),
        (both(without_pod, since("2026-08-20 11:50:00 +0200 CEST")), "10.0.0.10", "certain", "its pod is gone"),
        (both(without_pod, since("long ago")), "10.0.0.10", "likely", "its pod is gone"),
        (both(without_pod, with_node("n2", NodeFacts(ready=False))), "10.0.0.10", "possible", "not ready"),
        (both(without_pod, with_node("n2", None)), "10.0.0.10", "certain", "so is node n2"),
        (with_node("n2", None), "10.0.0.10", "possible", "node n2 does not exist"),
        (with_pod("b", PodFacts(B, (), "n2", "Failed", "Evicted")), "10.0.0.10", "certain", "evicted"),
        (with_pod("b", PodFacts(B, (), "n2", "Succeeded")), "10.0.0.10", "likely", "finished"),
        (with_pod("b", PodFacts(B, (), "n1", "Running")), "10.0.0.10", "certain", "runs on node n1"),
        (with_pod("b", PodFacts((key("fd00::5"),), (), "n2")), "10.0.0.10", "possible", "another address"),
        # The other way round: still in use.
        (with_pod("b", PodFacts(B, (), "n2", "Running", terminating=True)), "10.0.0.10", "", ""),
        (with_pod("b", PodFacts((key("10.7.0.1"),), B, "n2", "Running", without_ipam=True)), "10.0.0.10", "", ""),
        (with_pod("b", PodFacts((), (), "", "Pending")), "10.0.0.10", "", ""),
        # Tunnels of both families.
        (with_node("n1", NodeFacts()), "10.0.0.1", "possible", "has no vxlanTunnelAddress"),
        (with_node("n1", NodeFacts()), "fd00::1", "possible", "has no vxlanV6TunnelAddress"),
        (
            with_node("n1", NodeFacts({"vxlanTunnelAddress": key("10.0.0.3")})),
            "10.0.0.1",
            "likely",
            "is another one",
        ),
        (both(with_node("n1", None), lambda w: w.know(pods={})), "fd00::1", "certain", "node n1 is gone"),
        (with_node("n1", None), "10.0.0.1", "likely", "node n1 is gone"),
        # Services and machines.
        (lambda w: w.know(services={}), "10.9.0.0", "certain", "its Service is gone"),
        (lambda w: w.know(services=None), "10.9.0.0", "", ""),
        (lambda w: w.know(machines=frozenset()), "10.0.0.2", "likely", "machine is gone"),
        (lambda w: w.know(machines=None), "10.0.0.2", "", ""),
    ],
)
def test_leaked_addresses(change: t.Callable[[World], None], address: str, certainty: str, words: str) -> None:
    world = healthy()
    change(world)
    result = world.result()
    leaked = {each["address"]: each for each in result.leaked}
    if not certainty:
        assert address not in leaked
        return
    assert leaked[address]["certainty"] == certainty
    assert words in leaked[address]["reason"]
    assert leaked[address]["sequence"].isdigit()
    finding = next(each for each in result.findings if each.id == f"leaked-address/{address}")
    assert finding.severity == ("note" if certainty == "possible" else "warning")
    assert finding.rests_on[0][0] == "IPAMBlock"
    assert result.summary["addresses"]["leaked"][certainty] >= 1


def test_a_pod_of_the_same_name_with_another_address() -> None:
    world = healthy()
    world.block(WIN).update(
        attributes=[*world.block(WIN)["attributes"], pod_attribute("b", "n2", handle="net.b2")],
        allocations=[0, 0, 1, 2, *[None] * 3, 0],
        unallocated=[4, 5, 6],
    )
    world.put(handle("net.b2", **{"10.0.0.8_29": 1}))
    world.pod("b", OTHER)
    (leaked,) = world.result().leaked
    assert leaked == {
        "address": "10.0.0.10",
        "block": WIN,
        "handle": "net.b",
        "sequence": "1787217245204418101",
        "kind": "pod",
        "certainty": "certain",
        "reason": "its pod has another address",
        "namespace": "shop",
        "name": "b",
        "pod": "b",
        "node": "n2",
    }


def edit(block_cidr: str, /, **members: t.Any) -> t.Callable[[World], None]:
    return lambda world: world.block(block_cidr).update(members)


def put(*things: dict[str, t.Any]) -> t.Callable[[World], None]:
    return lambda world: world.put(*copy.deepcopy(things))


def edit_row(name: str, /, **members: t.Any) -> t.Callable[[World], None]:
    return lambda world: world.row(name).update(members)


def edit_handle(name: str, /, **members: t.Any) -> t.Callable[[World], None]:
    return lambda world: world.handles[name]["spec"].update(members)


def drop(table: str, name: str) -> t.Callable[[World], None]:
    return lambda world: getattr(world, table).pop(name)


def relabel(world: World) -> None:
    world.rows["n1-10-0-0-0-29"]["metadata"]["labels"] = {}


def pools(**changes: dict[str, t.Any]) -> t.Callable[[World], None]:
    def change(world: World) -> None:
        specs = {"four": ("10.0.0.0/24", 29), "lb": ("10.9.0.0/24", 29), "six": ("fd00::/112", 125)}
        made = [
            pool_from_spec(name, {"cidr": cidr, "blockSize": size, **changes.get(name, {})})
            for name, (cidr, size) in specs.items()
            if changes.get(name, {}) is not None
        ]
        world.know(pools=tuple(made))

    return change


SERVICE = ServiceFacts(LB, (key("10.9.0.0"), key("10.9.0.3"), key("10.8.0.1")))
R1, R2 = "n1-10-0-0-0-29", "n2-10-0-0-8-29"
EMPTY = block("10.0.0.16/29", None)
INNER = block("10.0.0.0/30", "host:n1", pod_attribute("a"))


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        # Blocks by themselves: §19 "invalid block" and §21, 1 to 13.
        (edit(FOUR, cidr=None), {"damaged-record/IPAMBlock/10-0-0-0-29": "error"}),
        (edit(FOUR, allocations="none"), {"damaged-record/IPAMBlock/10-0-0-0-29": "error"}),
        (edit(FOUR, cidr="10.0.0.1/29"), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(SIX, cidr="fd00:0::/125"), {"invalid-block/fd00::/125": "error"}),
        (edit(FOUR, allocations=[0, 1, 2, 3, 4]), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(LBS, attributes=[]), {"invalid-block/10.9.0.0/29": "error",
                                    "unknown-holder/10.9.0.0/29": "note",
                                    f"handle-without-address/{LB.lower()}": "warning"}),
        (edit(FOUR, unallocated=[5, 6]), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(FOUR, unallocated=[5, 6, 6]), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(FOUR, unallocated=[4, 6, 7]), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(FOUR, unallocated=[5, 6, 8]), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(FOUR, unallocated=["5", 6, 7]), {"invalid-block/10.0.0.0/29": "error"}),
        (edit(FOUR, sequenceNumber=5), {"invalid-block/10.0.0.0/29": "warning"}),
        (edit(FOUR, sequenceNumber=5, sequenceNumberForAllocation=None), {}),
        (edit(FOUR, sequenceNumberForAllocation={"7": 1}), {"invalid-block/10.0.0.0/29": "warning"}),
        (edit(FOUR, affinity=""), {"invalid-block/10.0.0.0/29": "warning", f"affinity-owner/{R1}": "error"}),
        (edit(FOUR, affinity="n1"), {"invalid-block/10.0.0.0/29": "error", f"affinity-owner/{R1}": "error"}),
        (edit(FOUR, affinityClaimTime="soon"), {"invalid-block/10.0.0.0/29": "error"}),
        (
            lambda w: w.block(FOUR)["attributes"][4].update(releasedAt="2026-08-20T12:05:00Z"),
            {"invalid-block/10.0.0.0/29": "warning"},
        ),
        (
            lambda w: w.block(FOUR)["attributes"][4].update(handle_id="net.a"),
            {"invalid-block/10.0.0.0/29": "warning"},
        ),
        (
            lambda w: w.block(FOUR)["attributes"].append({"handle_id": "net.a"}),
            {"invalid-block/10.0.0.0/29": "warning"},
        ),
        (edit(FOUR, deleted=True), {"unfinished-delete/IPAMBlock/10-0-0-0-29": "warning"}),
        (lambda w: w.know(now=later(minutes=40)), {"overdue-cooling/10.0.0.0/29": "note"}),
        # Blocks and pools.
        (pools(four={"blockSize": 28}), {f"block-size/{FOUR}": "error", f"block-size/{WIN}": "error",
                                         f"affinity-size/{R1}": "error", f"affinity-size/{R2}": "error"}),
        (pools(four={"disabled": True}), {"allocated-in-disabled-pool/four": "note"}),
        (pools(lb=t.cast(t.Any, None)), {f"stray-block/{LBS}": "warning"}),
        (put(EMPTY), {"ownerless-block/10.0.0.16/29": "note"}),
        (both(put(EMPTY), lambda w: w.know(cooldown=0)), {"ownerless-block/10.0.0.16/29": "warning"}),
        (
            put(INNER),
            {
                "block-size/10.0.0.0/30": "error",
                "overlapping-blocks/10.0.0.0/30-in-10.0.0.0/29": "error",
                "allocated-twice/10.0.0.0": "error",
                "block-without-affinity/10.0.0.0/30": "warning",
                "handle-count-low/net.a/10.0.0.0/30": "error",
            },
        ),
        # Affinity rows.
        (drop("blocks", "10-9-0-0-29"), {"affinity-without-block/load-balancer-10-9-0-0-29": "warning",
                                         f"handle-without-address/{LB.lower()}": "warning",
                                         "in-use-not-allocated/10.9.0.0": "error"}),
        (put(row("n2", "10.0.0.24/29", "pending")),
         {"affinity-without-block/n2-10-0-0-24-29": "note", "affinity-state/n2-10-0-0-24-29": "note"}),
        (drop("rows", R1), {f"block-without-affinity/{FOUR}": "warning"}),
        (put(row("n2", FOUR)), {f"affinity-twice/{FOUR}": "error", "affinity-owner/n2-10-0-0-0-29": "error"}),
        (put(row("n2", FOUR, "pending")), {"affinity-owner/n2-10-0-0-0-29": "note",
                                           "affinity-state/n2-10-0-0-0-29": "note"}),
        (edit_row(R1, state="pendingDeletion"), {f"affinity-state/{R1}": "note"}),
        (edit_row(R1, state=""), {}),
        (edit_row(R1, state="asleep"), {f"invalid-affinity/{R1}": "error"}),
        (edit_row(R1, deleted="true"), {f"unfinished-delete/BlockAffinity/{R1}": "note",
                                        f"block-without-affinity/{FOUR}": "warning"}),
        (edit_row(R1, type=""), {"affinity-untyped": "warning"}),
        (relabel, {"affinity-unlabelled": "note"}),
        (edit_row(R1, cidr="10.0.0.0/99"), {f"damaged-record/BlockAffinity/{R1}": "error",
                                            f"block-without-affinity/{FOUR}": "warning"}),
        (put(row("n3", "10.0.0.32/29")), {"affinity-without-block/n3-10-0-0-32-29": "warning",
                                          "missing-node/n3": "warning"}),
        (put(row("n2", "10.0.0.64/28")), {"affinity-without-block/n2-10-0-0-64-28": "warning",
                                          "affinity-size/n2-10-0-0-64-28": "error"}),
        # Handles.
        (put(handle("net.old", **{"10.0.0.0_29": 1})), {"handle-without-address/net.old": "warning"}),
        (put(handle("net.gone", **{"10.0.0.48_29": 1})), {"handle-without-address/net.gone": "warning"}),
        (drop("handles", "net.a"), {"missing-handle/net.a": "warning"}),
        (edit_handle("net.a", block={FOUR: 1, SIX: 0}),
         {"invalid-handle/net.a": "warning", f"handle-count-low/net.a/{SIX}": "error"}),
        (edit_handle("net.a", block={FOUR: 1}), {f"handle-count-low/net.a/{SIX}": "error"}),
        (edit_handle("net.a", block={FOUR: 6, SIX: 2}), {"handle-count-high": "note"}),
        (edit_handle("net.a", block={FOUR: 1, "fd00:0::/125": 1}), {}),
        (edit_handle("net.a", block={FOUR: "1"}),
         {"damaged-record/IPAMHandle/net.a": "error", "missing-handle/net.a": "warning"}),
        (edit_handle("net.a", deleted=True), {"unfinished-delete/IPAMHandle/net.a": "note"}),
        # Addresses in use.
        (lambda w: w.know(services={("shop", "web"): SERVICE}),
         {"in-use-not-allocated/10.9.0.3": "error"}),
        (lambda w: w.know(services={("shop", "web"): SERVICE},
                          load_balancers=False), {}),
        (both(pools(six={"disabled": True}), with_pod("c", RUNNING._replace(addresses=(key("fd00::6"),)))),
         {"in-use-not-allocated/fd00::6": "warning", "allocated-in-disabled-pool/six": "note"}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.0.0.6"),))), {"in-use-not-allocated/10.0.0.6": "error"}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.0.0.4"),))), {"in-use-not-allocated/10.0.0.4": "error"}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.0.0.10"),))),
         {"held-by-another/10.0.0.10": "error", "used-twice/10.0.0.10/shop/c": "error"}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.5.0.6"),))), {"in-use-outside-pools/10.5.0.6": "warning"}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.5.0.6"),), without_ipam=True)),
         {"in-use-outside-pools/10.5.0.6": "note"}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.0.0.6"),), terminating=True)), {}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.0.0.6"),), host_network=True)), {}),
        (with_pod("c", RUNNING._replace(addresses=(key("10.0.0.6"),), phase="Succeeded")), {}),
        (with_pod("c", RUNNING._replace(others=(key("10.0.0.6"),))), {}),
        (with_node("n2", NodeFacts({"ipipTunnelAddress": key("10.0.0.12")})),
         {"in-use-not-allocated/10.0.0.12": "error"}),
        (with_node("n2", NodeFacts({"vxlanTunnelAddress": key("10.0.0.10")})),
         {"held-by-another/10.0.0.10": "error", "used-twice/10.0.0.10/shop/b": "error"}),
    ],
)  # fmt: skip
def test_each_damage_has_its_findings(change: t.Callable[[World], None], wanted: dict[str, str]) -> None:
    world = healthy()
    change(world)
    assert found(world) == wanted


def test_findings_are_sentences_with_a_remedy() -> None:
    world = healthy()
    for change in (without_pod, put(INNER, EMPTY), drop("rows", R2), edit(SIX, unallocated=[]), with_node("n1", None)):
        change(world)
    result = world.result()
    assert len(result.findings) > 10
    order = [SEVERITIES.index(each.severity) for each in result.findings]
    assert order == sorted(order)
    for each in result.findings:
        assert each.check in CHECKS
        assert each.message[0].isupper() or each.message[0].isdigit()
        assert each.message.endswith(".") and "\n" not in each.message
        assert each.remedy
        json.dumps(each.shown())
    assert len({each.id for each in result.findings}) == len(result.findings)


def test_a_range_is_audited_alone() -> None:
    world = healthy()
    world.pod("a", None)
    world.within = parse_network(SIX)
    result = world.result()
    assert [row["address"] for row in result.leaked] == ["fd00::"]
    assert set(found(world)) == {"leaked-address/fd00::"}
    assert result.summary["blocks"]["total"] == 1


def test_the_second_look_clears_what_was_only_passing() -> None:
    world = healthy()
    world.pod("b", None)
    world.put(row("n2", "10.0.0.24/29"))
    audit = world.audit()
    first = audit.result(world.facts)
    assert {each.check for each in first.findings} == {"leaked-address", "affinity-without-block"}
    audit.block(block("10.0.0.24/29", "host:n2"))
    still = audit.result(world.facts, first)
    assert {each.check for each in still.findings} == {"leaked-address"}
    # The address was handed out anew in the meantime: nothing is leaked of what was.
    again = copy.deepcopy(world.blocks["10-0-0-8-29"])
    again["spec"]["sequenceNumberForAllocation"]["2"] += 2
    audit.block(again)
    cleared = audit.result(world.facts, first)
    assert cleared.leaked == ()
    audit.forget("IPAMBlock", "10-0-0-8-29")
    assert audit.result(healthy().facts).summary["blocks"]["total"] == 4


def test_forgetting_a_block_gives_its_addresses_to_the_other() -> None:
    world = healthy()
    world.put(copy.deepcopy(INNER))
    audit = world.audit()
    audit.forget("IPAMBlock", "10-0-0-0-29")
    rows = audit.result(world.facts).summary
    assert rows["addresses"]["kinds"]["pod"] == 3
    audit.forget("IPAMBlock", "10-0-0-0-30")
    assert audit.result(world.facts).summary["addresses"]["kinds"]["pod"] == 2


def test_records_in_etcd() -> None:
    """Handles keep their case there, labels mean nothing, and kubectl does not reach a key."""
    world = healthy()
    relabel(world)
    for name, ordinal in (("net.X", 3), ("net.x", 4)):
        spec = world.block(WIN)
        spec["allocations"][ordinal] = len(spec["attributes"])
        spec["attributes"].append(pod_attribute("b", "n2", handle=name))
        spec["unallocated"].remove(ordinal)
        world.handles[name] = {**handle(name, **{"10.0.0.8_29": 1}), "metadata": {"name": name}}
    world.pod("b", PodFacts((key("10.0.0.10"), key("10.0.0.11"), key("10.0.0.12")), (), "n2", "Running"))
    assert world.audit(kubernetes=False).result(world.facts).findings == ()
    world.put(row("n2", "10.0.0.24/29"))
    (finding,) = world.audit(kubernetes=False).result(world.facts).findings
    assert finding.id == "affinity-without-block/n2-10-0-0-24-29"
    assert "kubectl" not in finding.remedy and "key" in finding.remedy


HOSTILE: list[t.Any] = [None, "", "x", -1, 0, 1.5, True, [], [[]], {}, {"": None}, 10**30, "\r\n", [None], [{}]]


def damaged(thing: t.Any, source: random.Random) -> t.Any:
    """The object with one part replaced, anywhere in it."""
    if isinstance(thing, dict) and thing and source.random() < 0.85:
        chosen = source.choice(sorted(thing))
        return {**thing, chosen: damaged(thing[chosen], source)}
    if isinstance(thing, list) and thing and source.random() < 0.6:
        position = source.randrange(len(thing))
        return [*thing[:position], damaged(thing[position], source), *thing[position + 1 :]]
    return copy.deepcopy(source.choice(HOSTILE))


def test_hostile_records_end_as_findings() -> None:
    source = random.Random(7)
    world = healthy()
    silent = 0
    for _round in range(1500):
        audit = Audit(lambda: NOW)
        for feed, things in (
            (audit.block, world.blocks),
            (audit.affinity, world.rows),
            (audit.handle, world.handles),
        ):
            for thing in things.values():
                feed(damaged(thing, source) if source.random() < 0.3 else thing)
        result = audit.result(world.facts)
        json.dumps([each.shown() for each in result.findings])
        silent += not result.findings
        json.dumps([result.summary, result.calicoctl, result.leaked, result.kept])
    assert silent < 100


def test_old_and_odd_timestamps() -> None:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import moment_of

    assert moment_of(OLD) is not None
    assert moment_of("2026-02-31 09:14:05 +0000 UTC") is None
    assert moment_of("0001-01-01 00:00:00 +2300 X") is None
    assert moment_of("") is None
