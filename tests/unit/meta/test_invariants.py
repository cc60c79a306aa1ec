# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The judge is judged: a healthy cluster passes, and every one of the 32 invariants can be seen to break."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from invariants import LEVELS, History, Holder, State, check, host_hash, row_name
from label_selector import selects
from write_judge import Request, World, Write, judge

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=timezone.utc)
POD, TUNNEL, SERVICE = "k8s-pod-network.9d1e44B0c7", "vxlan-tunnel-addr-worker-7", "lb-Xy12"
FIRST = 1787217245204418101


def block(cidr: str, affinity: str | None, allocations: list[t.Any], attributes: list[t.Any], **more: t.Any) -> t.Any:
    spec = {
        "cidr": cidr,
        "allocations": allocations,
        "unallocated": [ordinal for ordinal, index in enumerate(allocations) if index is None],
        "attributes": attributes,
        "sequenceNumber": FIRST + 9,
        "sequenceNumberForAllocation": {str(o): FIRST + o for o, i in enumerate(allocations) if i is not None},
        "deleted": False,
        "strictAffinity": False,
    }
    if affinity:
        spec.update(affinity=affinity, affinityClaimTime="2026-08-20T09:14:05Z")
    name = cidr.replace(".", "-").replace(":", "-").replace("/", "-")
    return {"kind": "IPAMBlock", "metadata": {"name": name}, "spec": {**spec, **more}}


def row(node: str, cidr: str, kind: str = "host", state: str = "confirmed") -> t.Any:
    labels = {
        "projectcalico.org/hostname-hash": host_hash(node),
        "projectcalico.org/affinity-type": kind,
        "projectcalico.org/ip-version": "6" if ":" in cidr else "4",
    }
    spec = {"state": state, "node": node, "type": kind, "cidr": cidr, "deleted": "false"}
    return {"kind": "BlockAffinity", "metadata": {"name": row_name(node, cidr), "labels": labels}, "spec": spec}


def handle(handle_id: str, blocks: dict[str, int]) -> t.Any:
    spec = {"handleID": handle_id, "block": blocks}
    return {"kind": "IPAMHandle", "metadata": {"name": handle_id.lower()}, "spec": spec}


def pool(name: str, cidr: str, size: int, **more: t.Any) -> t.Any:
    return {"kind": "IPPool", "metadata": {"name": name}, "spec": {"cidr": cidr, "blockSize": size, **more}}


TEAL = block(
    "10.77.4.8/30",
    "host:worker-7",
    [0, 1, 2, None],
    [
        {"handle_id": POD, "secondary": {"namespace": "shop", "pod": "cart-5c9", "node": "worker-7"}},
        {"handle_id": TUNNEL, "secondary": {"node": "worker-7", "type": "vxlanTunnelAddress"}},
        {"releasedAt": "2026-08-20T11:59:40Z"},
    ],
)
BORROWED = block("10.77.4.16/30", None, [None, 0, None, None], [{"handle_id": POD, "secondary": None}])
VIRTUAL = block("fd00::10/124", "virtual:load-balancer", [0, *[None] * 15], [{"handle_id": SERVICE}])
KEPT = block(
    "10.77.4.24/30",
    "host:win-1",
    [0, 0, 0, 0],
    [{"handle_id": "windows-reserved-ipam-handle", "secondary": {"note": "w"}}],
    sequenceNumberForAllocation={},
)
HEALTHY = State(
    blocks=[TEAL, BORROWED, VIRTUAL, KEPT],
    rows=[
        row("worker-7", "10.77.4.8/30"),
        row("load-balancer", "fd00::10/124", "virtual"),
        row("win-1", "10.77.4.24/30"),
        row("worker-8", "10.77.4.8/30", state="pending"),
    ],
    handles=[
        handle(POD, {"10.77.4.8/30": 2, "10.77.4.16/30": 1}),
        handle(TUNNEL, {"10.77.4.8/30": 1}),
        handle(SERVICE, {"fd00::10/124": 1, "fd00::20/124": 3}),
    ],
    pools=[pool("teal", "10.77.4.0/24", 30), pool("lb", "fd00::/120", 124)],
    nodes={"worker-7", "worker-8", "win-1"},
    settings={"strictAffinity": False, "autoAllocateBlocks": True, "ipCooldownSeconds": 30},
    holders=[
        Holder("10.77.4.8", POD),
        Holder("10.77.4.9", TUNNEL),
        Holder("fd00::10", SERVICE),
        Holder("10.77.4.8", None, {"pod": "cart-5c9", "namespace": "shop"}),
    ],
    now=NOW,
)


def change(records: str, index: int, **members: t.Any) -> t.Callable[[State], State]:
    """A state in which members of one record's spec differ; None removes a member."""

    def changed(state: State) -> State:
        things = copy.deepcopy(list(getattr(state, records)))
        for member, value in members.items():
            things[index]["spec"][member] = value
            if value is None:
                del things[index]["spec"][member]
        return replace(state, **{records: things})

    return changed


def add(records: str, *things: t.Any) -> t.Callable[[State], State]:
    return lambda state: replace(state, **{records: [*getattr(state, records), *things]})


def drop(records: str, index: int) -> t.Callable[[State], State]:
    return lambda state: replace(state, **{records: [x for i, x in enumerate(getattr(state, records)) if i != index]})


def entries(*changed: t.Any) -> list[t.Any]:
    return [{**entry, **(changed[index] or {})} for index, entry in enumerate(TEAL["spec"]["attributes"])]


BROKEN_STATES: list[tuple[int, t.Callable[[State], State], set[int]]] = [
    # number, how the state is broken, numbers that break with it
    (1, change("blocks", 2, cidr="fd00::11/124"), {16, 17, 18, 23}),
    (1, change("blocks", 0, cidr="10.77.4.12/30"), {16, 17, 18, 23}),
    (1, change("blocks", 2, cidr="FD00::10/124"), {16, 17, 18, 23}),
    (2, change("blocks", 0, allocations=[0, 1, 2]), {16}),
    (3, change("blocks", 0, allocations=[0, 1, 3, None]), {16}),
    (3, change("blocks", 0, allocations=[0, 1, -1, None]), {16}),
    (4, change("blocks", 0, attributes=[*TEAL["spec"]["attributes"], {"handle_id": "x"}]), set()),
    (5, change("blocks", 1, unallocated=[0, 2, 2]), set()),
    (5, change("blocks", 1, unallocated=[0, 2, 4]), set()),
    (5, change("blocks", 1, unallocated=[0, 1, 2]), set()),
    (6, change("blocks", 0, unallocated=[]), set()),
    (7, change("blocks", 0, attributes=entries({"handle_id": ""}, None, None)), {16}),
    (8, change("blocks", 0, sequenceNumberForAllocation={"3": FIRST}), set()),
    (8, change("blocks", 0, sequenceNumberForAllocation={"01": FIRST}), set()),
    (9, change("blocks", 0, sequenceNumber=FIRST), set()),
    (10, change("blocks", 0, attributes=entries(None, None, {"handle_id": "x"})), {24}),
    (10, change("blocks", 0, attributes=entries(None, None, {"releasedAt": "2026-08-20T12:00:01Z"})), set()),
    (11, change("blocks", 0, affinity="worker-7"), {17, 18}),
    (11, change("blocks", 0, affinity="host:"), {17, 18}),
    (11, change("blocks", 1, affinityClaimTime="2026-08-20T09:14:05Z"), set()),
    (12, add("blocks", block("10.77.4.9/32", None, [0], [{}])), {13, 15, 16}),
    (12, add("blocks", block("10.77.4.11/32", None, [0], [{}])), {13}),
    (13, add("pools", pool("a", "10.77.4.16/29", 29)), set()),
    (14, add("blocks", block("10.77.4.20/30", None, [None] * 4, [])), set()),
    (15, add("blocks", block("10.77.4.0/28", None, [*[None] * 8, 0, *[None] * 7], [{}])), {12, 13, 16}),
    (16, add("holders", Holder("10.77.4.11", POD)), set()),
    (16, add("holders", Holder("10.77.4.10", POD)), set()),
    (16, add("holders", Holder("10.77.4.9", POD)), set()),
    (16, add("holders", Holder("10.77.4.8", None, {"pod": "other"})), set()),
    (17, add("rows", row("worker-8", "10.77.4.28/30")), set()),
    (17, add("rows", row("worker-8", "10.77.4.16/30", state="")), set()),
    (18, drop("rows", 0), set()),
    (19, change("rows", 3, state="confirmed"), {17}),
    (20, change("rows", 3, state="deleting"), set()),
    (20, change("rows", 3, node="worker-7"), set()),
    (20, change("rows", 3, type="virtual"), set()),
    (20, change("rows", 3, cidr="10.77.4.8"), set()),
    (22, lambda state: replace(state, nodes={"worker-7", "win-1"}), set()),
    (23, change("handles", 1, block={"10.77.4.16/30": 1}), set()),
    (23, change("handles", 0, block={"10.77.4.8/30": 1}), set()),
    (24, drop("handles", 1), set()),
    (25, change("handles", 2, block={}), {23}),
    (25, change("handles", 2, block={"fd00::10/124": 1, "fd00::20/124": 0}), set()),
    (26, change("handles", 1, handleID=TUNNEL + "x"), {24}),
    (32, lambda state: replace(state, settings={"strictAffinity": False, "autoAllocateBlocks": False}), set()),
    (32, lambda state: replace(state, settings={"autoAllocateBlocks": True, "maxBlocksPerHost": 4}), set()),
]

# Writes: the block a pod's address comes from, before and after.

RESTING = {"releasedAt": "2026-08-20T11:59:40Z"}
BEFORE = block("10.77.4.8/30", "host:worker-7", [0, None, 1, None], [{"handle_id": POD}, RESTING])
ASKED = Request("automatic", "worker-7")
WORLD = World(
    NOW,
    pools=HEALTHY.pools,
    nodes={"worker-7": {"rack": "one"}},
    settings={"autoAllocateBlocks": True, "ipCooldownSeconds": 30},
    rows=[row("worker-7", "10.77.4.8/30")],
)


def written(allocations: list[t.Any], attributes: list[t.Any], before: t.Any = None, **more: t.Any) -> Write:
    before = BEFORE if before is None else before
    numbers = {str(o): FIRST + o for o, i in enumerate(allocations) if i is not None}
    after = block(before["spec"]["cidr"], before["spec"].get("affinity"), allocations, attributes,
                  **{"sequenceNumber": FIRST + 10, "sequenceNumberForAllocation": numbers, **more})  # fmt: skip
    return Write("update", "IPAMBlock", before, after)


NEW = {"handle_id": "new"}
GOOD = written([0, 2, 1, None], [{"handle_id": POD}, RESTING, NEW])
STRICT = replace(WORLD, settings={"strictAffinity": True})
IN_SECOND = replace(WORLD, pools=[pool("a", "10.77.4.0/25", 30, disabled=True), pool("b", "10.78.0.0/24", 30)])
MARKED = copy.deepcopy(BEFORE)
MARKED["spec"]["deleted"] = True
EMPTY = block("10.77.4.12/30", "host:worker-7", [None] * 4, [])
CONFIG = {"metadata": {"name": "default"}, "spec": {"strictAffinity": False, "autoAllocateBlocks": False}}

BROKEN_WRITES: list[tuple[int, Write, Request, World]] = [
    (9, written([0, 2, 1, None], [{"handle_id": POD}, RESTING, NEW], sequenceNumber=FIRST + 9), ASKED, WORLD),
    (9, Write("update", "IPAMBlock", BEFORE, BEFORE), ASKED, WORLD),
    (9, written([0, 2, 1, None], [{"handle_id": POD}, RESTING, NEW], sequenceNumber=FIRST + 3), ASKED, WORLD),
    (21, Write("create", "BlockAffinity", None, row("worker-7", "10.77.4.32/30")), replace(ASKED, limit=1), WORLD),
    (21, Write("create", "BlockAffinity", None, row("worker-7", "10.77.4.128/30")), ASKED,
     replace(WORLD, rows=[row("worker-7", f"10.77.4.{4 * n}/30") for n in range(20)])),
    (27, GOOD, ASKED, replace(WORLD, reserved=["10.77.4.9"])),
    (27, written([0, None, 1, None], [{"handle_id": POD}, NEW]), ASKED, WORLD),
    (27, written([1, None, 2, None], [{"handle_id": "unused"}, NEW, RESTING]), ASKED, WORLD),
    (27, written([0, None, 1, None], [{"handle_id": POD}, RESTING],
                 sequenceNumberForAllocation={"0": FIRST + 9, "2": FIRST + 2}), ASKED, WORLD),
    (27, GOOD, Request(), WORLD),
    (28, GOOD, replace(ASKED, host="worker-8"), replace(STRICT, nodes={"worker-8": {}})),
    (28, GOOD, replace(ASKED, kind="specific", owner_type="virtual"), STRICT),
    (29, GOOD, ASKED, IN_SECOND),
    (29, GOOD, replace(ASKED, use="Tunnel"),
     replace(WORLD, pools=[pool("a", "10.77.4.0/24", 30, allowedUses=["Workload"])])),
    (29, GOOD, ASKED, replace(WORLD, pools=[pool("a", "10.77.4.0/24", 30, nodeSelector="rack == 'two'")])),
    (29, GOOD, ASKED, replace(WORLD, pools=[pool("a", "10.77.4.0/24", 30, namespaceSelector="has(team)")])),
    (29, GOOD, ASKED, replace(WORLD, pools=[pool("a", "10.77.4.0/24", 30, assignmentMode="Manual")])),
    (29, GOOD, replace(ASKED, requested=["10.78.0.0/24"]), IN_SECOND),
    (30, Write("delete", "IPAMBlock", BEFORE), Request(), WORLD),
    (30, Write("mark", "IPAMBlock", BEFORE, MARKED), Request("release", handle="other"), WORLD),
    (30, Write("delete", "IPAMBlock", EMPTY, guarded=False), Request(), WORLD),
    (31, written([0, None, 1, 2], [{"handle_id": POD}, RESTING, NEW]), ASKED, WORLD),
    (31, written([0, None, 1, None], [{"handle_id": POD}, RESTING], unallocated=[3, 1]), Request(), WORLD),
    (32, Write("update", "IPAMConfig", None, CONFIG), Request(), WORLD),
]  # fmt: skip

OWNERLESS = block("10.77.4.8/30", None, [0, None, None, 1], [{"handle_id": POD}, {"handle_id": "new"}])
HEALTHY_WRITES: list[tuple[Write, Request, World]] = [
    (GOOD, ASKED, WORLD),
    (GOOD, replace(ASKED, host="worker-8"), replace(WORLD, nodes={"worker-8": {}})),  # borrowed
    (GOOD, replace(ASKED, kind="specific"), replace(WORLD, reserved=["10.77.4.9"])),
    (GOOD, replace(ASKED, requested=["10.77.4.0/24"]),
     replace(WORLD, pools=[pool("a", "10.77.4.0/24", 30, assignmentMode="Manual", nodeSelector="!all()")])),
    (written([0, None, 1, 2], [{"handle_id": POD}, RESTING, NEW]), ASKED, replace(WORLD, reserved=["10.77.4.9/32"])),
    # rested, cleaned up and handed out last
    (written([0, 1, 1, 1], [{"handle_id": POD}, NEW]), ASKED, replace(WORLD, now=NOW + timedelta(seconds=60))),
    (Write("delete", "IPAMBlock", EMPTY), Request(), WORLD),
    (Write("delete", "IPAMBlock", KEPT), Request(), WORLD),
    (Write("delete", "IPAMBlock", OWNERLESS), Request("release", handle=POD, addresses=["10.77.4.11"]),
     replace(WORLD, settings={})),
    (Write("create", "BlockAffinity", None, row("worker-7", "10.77.4.32/30")), replace(ASKED, limit=2), WORLD),
    (Write("create", "BlockAffinity", None, row("worker-7", "10.77.4.32/30")), replace(ASKED, limit=None), WORLD),
    (Write("create", "IPAMBlock", None, KEPT), ASKED, WORLD),
]  # fmt: skip


def test_a_healthy_cluster_passes() -> None:
    assert check(HEALTHY) == []
    assert check(replace(HEALTHY, now=NOW + timedelta(hours=1))) == []
    # What is being deleted does not count, however it is spelled.
    gone = copy.deepcopy(row("worker-9", "10.77.4.99/30"))
    gone["spec"]["deleted"] = "true"
    assert check(add("rows", gone)(HEALTHY)) == []


@pytest.mark.parametrize("case", BROKEN_STATES, ids=lambda case: str(case[0]))
def test_a_broken_state_is_reported(case: tuple[int, t.Callable[[State], State], set[int]]) -> None:
    number, broken, others = case
    found = check(broken(HEALTHY))
    assert {violation.number for violation in found} - others == {number}, [str(violation) for violation in found]
    violation = next(violation for violation in found if violation.number == number)
    assert violation.objects and all(violation.objects) and violation.sentence


@pytest.mark.parametrize("case", BROKEN_WRITES, ids=lambda case: str(case[0]))
def test_a_broken_write_is_reported(case: tuple[int, Write, Request, World]) -> None:
    number, write, request, world = case
    found = judge(write, request, world)
    assert {violation.number for violation in found} == {number}, [str(violation) for violation in found]


@pytest.mark.parametrize("case", HEALTHY_WRITES)
def test_a_healthy_write_passes(case: tuple[Write, Request, World]) -> None:
    assert [str(violation) for violation in judge(*case)] == []


def test_every_invariant_was_broken() -> None:
    assert {case[0] for case in BROKEN_STATES} | {case[0] for case in BROKEN_WRITES} == set(LEVELS) == set(range(1, 33))


def test_what_may_break_for_a_moment_is_left_out_when_told() -> None:
    assert check(drop("rows", 0)(HEALTHY), at_rest=False) == []
    assert check(drop("handles", 1)(HEALTHY), at_rest=False) == []
    assert check(add("rows", row("worker-8", "10.77.4.28/30"))(HEALTHY), at_rest=False) == []
    assert check(add("blocks", block("10.77.4.20/30", None, [None] * 4, []))(HEALTHY), empty_ownerless=True) == []
    assert check(replace(HEALTHY, nodes={"worker-7"}), vanished={"worker-8", "win-1"}) == []


def test_history_sees_numbers_that_fall_or_stand_still() -> None:
    history = History()
    assert history.see(HEALTHY) == []
    assert history.see(change("blocks", 0, sequenceNumber=FIRST + 10)(HEALTHY)) == []
    assert [v.number for v in history.see(HEALTHY)] == [9]
    assert [v.number for v in history.see(change("blocks", 0, unallocated=[])(HEALTHY))] == [9]


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ("", {}, True),
        ("all()", {}, True),
        ("!all()", {}, False),
        ("global( )", {}, True),
        ("rack == 'one' && !has(gpu)", {"rack": "one"}, True),
        ("rack != \"one\" || (has(gpu) && gpu in {'a', 'b'})", {"rack": "one", "gpu": "b"}, True),
        ("rack not in {'one'}", {}, True),
        ("rack != 'one'", {}, True),
        ("a/b.c-d starts with 'x' && a/b.c-d ends with 'z' && a/b.c-d contains 'y'", {"a/b.c-d": "xyz"}, True),
        ("rack contains 'o'", {}, False),
        ("x == 'a' || y == 'b' && z == 'c'", {"x": "a"}, True),
    ],
)
def test_selectors_of_the_judge(selector: str, labels: dict[str, str], expected: bool) -> None:
    assert selects(selector, labels) is expected


@pytest.mark.parametrize("selector", ["rack =", "rack == one", "(all()", "all() all()", "rack in {'a'", "&&", "~"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        selects(selector, {"rack": "one"})
