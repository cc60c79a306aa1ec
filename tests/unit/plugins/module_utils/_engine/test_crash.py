# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every operation that writes dies after each of its writes, and the next ones heal what is left.

After the death the records keep every invariant that holds at rest. Then, on a cluster each: the same
operation again, the host's next assignment, another host a minute later, and the cleaning of the whole
range make of it what an uncut run makes. ``test_crash_table.py`` says what exactly each cut leaves.
"""

from __future__ import annotations

import contextlib
import os
import sys
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import (
    release_host_affinities,
    release_pool_affinities,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign, ensure_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import AddressTaken, HandleLimit
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.owner import OwnerChange, set_owner_attributes
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.ownership import claim_affinity, release_affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import (
    ips_by_handle,
    release_by_handle,
    release_ips,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[5]))

from crash_lab import STORES, AnswerLost, Lab, make_lab
from invariants import History, check

V4, V6 = "10.0.0.0/28", "fd00::/124"
FIRST = parse_network("10.0.0.0/30")
WINDOWS = HostReserved(1, 1)

Act = t.Callable[[Lab], t.Any]


def nothing(_lab: Lab) -> None:
    pass


def take(lab: Lab, host: str, handle: str, v4: int = 0, v6: int = 0, **more: t.Any) -> int:
    """How many addresses a pod's request got."""
    request = AssignRequest(
        host, num_v4=v4, num_v6=v6, handle_id=handle, attributes={"node": host, "pod": handle}, **more
    )
    return len(auto_assign(lab.store, request, now=lab.now).addresses)


def fill(lab: Lab, host: str, family: int = 4) -> None:
    """Every block of the pool is the host's, and every address in use."""
    take(lab, host, f"full-{host}", **{f"v{family}": 16})


def owning_all(lab: Lab, host: str = "b") -> None:
    """Every block of the pools is the host's, and empty."""
    for cidr in (V4, V6):
        claim_affinity(lab.store, parse_network(cidr), host, now=lab.now)


def disable(lab: Lab, disabled: bool = True) -> None:
    lab.pool("four", V4, 30, disabled=disabled)
    lab.pool("six", V6, 126, disabled=disabled)


def narrow(lab: Lab) -> None:
    """The pool of IPv4 does not select host a any more; another one does."""
    lab.pool("four", V4, 30, nodeSelector="rack == 'two'")
    lab.pool("other", "10.1.0.0/28", 30)


def lost_row(lab: Lab) -> None:
    """A block with an owner whose row somebody deleted by hand."""
    claim_affinity(lab.store, FIRST, "a", now=lab.now)
    lab.store.delete_affinity(lab.store.get_affinity("a", "host", FIRST))


def lost_block(lab: Lab) -> None:
    """Rows and a count of blocks that are gone."""
    take(lab, "a", "pod", 5)
    for stored in lab.store.list_blocks():
        lab.store.delete_block(stored)
    disable(lab)


def ownerless(lab: Lab, count: int = 2) -> None:
    """A block in use that belongs to nobody."""
    take(lab, "a", "pod", count)
    release_pool_affinities(lab.store, parse_network(V4), now=lab.now)


def forget(lab: Lab) -> None:
    delete_rows_without_block(lab.store, rows_without_block(lab.store, parse_network(V4)))
    forget_stale_counts(lab.store, parse_network(V4))


def pick(lab: Lab, handle: str, address: str, host: str = "a", **more: t.Any) -> None:
    assign_ip(lab.store, parse_address(address), host, now=lab.now, handle_id=handle, **more)


def picked(lab: Lab) -> None:
    for number in range(3):
        pick(lab, "pod", f"10.0.0.{number * 3}")


def give_back(lab: Lab, *addresses: str) -> None:
    release_ips(lab.store, [ReleaseRequest(parse_address(text), "pod") for text in addresses], now=lab.now)


def migrate(lab: Lab) -> None:
    active, alternate = OwnerChange({"pod": "new"}), OwnerChange({"pod": "pod"})
    address = ips_by_handle(lab.store, "pod", now=lab.now)[0]
    set_owner_attributes(lab.store, address, "pod", now=lab.now, active=active, alternate=alternate)


def age(lab: Lab) -> None:
    owning_all(lab)
    lab.now.pass_seconds(61)


def half_released(lab: Lab) -> None:
    """A host died on the way of giving its block back; the row says so."""
    take(lab, "a", "old", 1)
    with lab.dying_after(1):
        release_host_affinities(lab.store, "a", now=lab.now)


@dataclass(frozen=True)
class Case:
    """``grows``: what is cut may have handed out addresses that the second try hands out again.

    ``limited``: the handle may hold one address; raised by a process that died, it is taken for one that is
    half-way, and no address can be had until somebody deletes it (§7.5, §11). ``broken``: begins with records
    that contradict each other, so only the same again and the cleaning can be asked to set them right.
    ``postponed``: what the second try does not finish is left to the host's next assignment (§9.1 step 7).
    """

    act: Act
    before: Act = nothing
    settings: Settings = field(default_factory=Settings)
    grows: bool = False
    limited: bool = False
    broken: bool = False
    postponed: bool = False


STRICT = Settings(strict_affinity=True)
COOLING = Settings(cooldown_seconds=30)

CASES = {
    "assign in a fresh block": Case(lambda lab: take(lab, "a", "pod", 2), grows=True),
    "assign in a fresh block, strictly": Case(lambda lab: take(lab, "a", "pod", 2), settings=STRICT, grows=True),
    "assign IPv6 in a fresh block": Case(lambda lab: take(lab, "a", "pod", 0, 2), grows=True),
    "assign both families": Case(lambda lab: take(lab, "a", "pod", 1, 1), grows=True),
    "assign over two blocks": Case(lambda lab: take(lab, "a", "pod", 6), grows=True),
    "assign without a handle": Case(lambda lab: auto_assign(lab.store, AssignRequest("a", 1), now=lab.now), grows=True),
    "assign in an own block": Case(
        lambda lab: take(lab, "a", "pod", 1), lambda lab: take(lab, "a", "old", 1), grows=True
    ),
    "assign in an own block, given back by half": Case(lambda lab: take(lab, "a", "pod", 1), half_released, grows=True),
    "assign under a handle that exists": Case(
        lambda lab: take(lab, "a", "old", 1), lambda lab: take(lab, "a", "old", 1), grows=True
    ),
    "assign by borrowing": Case(lambda lab: take(lab, "a", "pod", 3), owning_all, grows=True),
    "assign IPv6 by borrowing": Case(lambda lab: take(lab, "a", "pod", 0, 3), owning_all, grows=True),
    "assign by reclaiming": Case(lambda lab: take(lab, "a", "pod", 2), age, grows=True),
    "assign IPv6 by reclaiming": Case(lambda lab: take(lab, "a", "pod", 0, 2), age, grows=True),
    "assign by reclaiming, strictly": Case(lambda lab: take(lab, "a", "pod", 2), age, STRICT, grows=True),
    "assign after the pool was narrowed": Case(
        lambda lab: take(lab, "a", "pod", 1), lambda lab: (owning_all(lab, "a"), narrow(lab)), grows=True
    ),
    "assign to a Service": Case(
        lambda lab: take(lab, "load-balancer", "lb", 1, use="LoadBalancer"),
        lambda lab: lab.pool("four", V4, 30, allowedUses=["LoadBalancer", "Workload"]),
        grows=True,
    ),
    "assign to Windows": Case(
        lambda lab: take(lab, "a", "pod", 1, windows=True, host_reserved_v4=WINDOWS), settings=STRICT, grows=True
    ),
    "assign at most one per handle": Case(lambda lab: take(lab, "a", "vm", 1, max_per_handle=1), limited=True),
    "assign a given address": Case(lambda lab: pick(lab, "pod", "10.0.0.5")),
    "assign a given IPv6 address": Case(lambda lab: pick(lab, "pod", "fd00::5")),
    "assign a given address of an own block": Case(
        lambda lab: pick(lab, "pod", "10.0.0.1"), lambda lab: pick(lab, "old", "10.0.0.0")
    ),
    "assign a given address of another host": Case(lambda lab: pick(lab, "pod", "10.0.0.5"), owning_all),
    "assign a given address at most once": Case(
        lambda lab: pick(lab, "vm", "10.0.0.5", max_per_handle=1), limited=True
    ),
    "ensure a block": Case(lambda lab: ensure_block(lab.store, "a", WINDOWS, now=lab.now), settings=STRICT),
    "ensure an IPv6 block": Case(
        lambda lab: ensure_block(lab.store, "a", WINDOWS, now=lab.now, version=6), settings=STRICT
    ),
    "release addresses of one block": Case(lambda lab: give_back(lab, "10.0.0.0", "10.0.0.3"), picked),
    "release addresses of several blocks": Case(lambda lab: give_back(lab, "10.0.0.0", "10.0.0.3", "10.0.0.6"), picked),
    "release addresses, cooling": Case(lambda lab: give_back(lab, "10.0.0.0", "10.0.0.6"), picked, COOLING),
    "release the last addresses of ownerless blocks": Case(
        lambda lab: give_back(lab, "10.0.0.0", "10.0.0.3", "10.0.0.6"),
        lambda lab: (picked(lab), release_pool_affinities(lab.store, parse_network(V4), now=lab.now)),
    ),
    "release a handle": Case(
        lambda lab: release_by_handle(lab.store, "pod", now=lab.now), lambda lab: take(lab, "a", "pod", 6, 6)
    ),
    "release a handle, cooling": Case(
        lambda lab: release_by_handle(lab.store, "pod", now=lab.now), lambda lab: take(lab, "a", "pod", 6), COOLING
    ),
    "release a handle in an ownerless block": Case(
        lambda lab: release_by_handle(lab.store, "pod", now=lab.now), lambda lab: ownerless(lab, 6)
    ),
    "release a handle in a block that is not the host's any more": Case(
        lambda lab: release_by_handle(lab.store, "pod", now=lab.now),
        lambda lab: (take(lab, "a", "pod", 6), narrow(lab)),
        postponed=True,
    ),
    "claim affinity": Case(lambda lab: claim_affinity(lab.store, parse_network(V4), "a", now=lab.now)),
    "claim IPv6 affinity": Case(lambda lab: claim_affinity(lab.store, parse_network(V6), "a", now=lab.now)),
    "claim affinity to blocks of others": Case(
        lambda lab: claim_affinity(lab.store, parse_network(V4), "a", now=lab.now), lambda lab: take(lab, "b", "pod", 6)
    ),
    "release affinity to empty blocks": Case(
        lambda lab: release_affinity(lab.store, parse_network(V4), "b", now=lab.now), owning_all
    ),
    "release affinity to blocks in use": Case(
        lambda lab: release_affinity(lab.store, parse_network(V4), "a", now=lab.now),
        lambda lab: take(lab, "a", "pod", 6),
    ),
    "release the affinities of a host": Case(
        lambda lab: release_host_affinities(lab.store, "a", now=lab.now), lambda lab: take(lab, "a", "pod", 6, 6)
    ),
    "release the empty affinities of a host": Case(
        lambda lab: release_host_affinities(lab.store, "b", now=lab.now, must_be_empty=True), owning_all
    ),
    "release the affinities of a pool": Case(
        lambda lab: release_pool_affinities(lab.store, parse_network(V4), now=lab.now),
        lambda lab: (take(lab, "a", "pod", 6), claim_affinity(lab.store, parse_network(V4), "b", now=lab.now)),
    ),
    "clean rows and counts without a block": Case(forget, lost_block, broken=True),
    "clean an empty block without a row": Case(
        lambda lab: delete_empty_blocks(lab.store, parse_network(V4), now=lab.now), lost_row, broken=True
    ),
    "change the owner of an address": Case(migrate, lambda lab: take(lab, "a", "pod", 1)),
}
NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
HEALERS = ("again", "same host", "other host", "cleaning")


def cluster(kind: str, case: Case) -> Lab:
    lab = make_lab(kind)
    disable(lab, False)
    for host in ("a", "b", "c", "d"):
        lab.node(host, rack="one" if host == "a" else "two")
    lab.settings(case.settings)
    case.before(lab)
    return lab


def run(lab: Lab, case: Case, count: int | None = None) -> bool:
    """Whether it died."""
    with lab.dying_after(count) as died:
        case.act(lab)
    return bool(died)


def assert_sound(lab: Lab, where: str, *, at_rest: bool = False) -> None:
    """``at_rest`` adds what a cut sequence may break. Empty ownerless blocks are what a crash may leave (14)."""
    problems = check(lab.state(), at_rest=at_rest, empty_ownerless=True)
    assert not problems, where


@pytest.mark.parametrize("kind", STORES if NIGHTLY else STORES[:2])
@pytest.mark.parametrize("name", CASES)
def test_a_death_after_any_write_is_healed(name: str, kind: str) -> None:
    case = CASES[name]
    whole = cluster(kind, case)
    before = whole.held()
    run(whole, case)
    writes = list(whole.writes)
    assert writes, "an operation that writes nothing proves nothing"
    assert_sound(whole, f"{name}, uncut", at_rest=True)
    for number, write in enumerate(writes, 1):
        if kind != "memory" and not NIGHTLY and not write.endswith(" delete"):
            continue  # only a delete is cut elsewhere than in memory: between its two requests
        for healer in HEALERS if not case.broken else ("again", "cleaning"):
            where = f"{name}: died after write {number} of {writes}; healed by {healer}"
            lab = cluster(kind, case)
            history = History()
            history.see(lab.state())
            assert run(lab, case, number), where
            assert not history.see(lab.state()), where
            assert_sound(lab, where)
            heal(lab, case, healer, where, before, whole)
            assert not history.see(lab.state()), where


@pytest.mark.parametrize("kind", STORES if NIGHTLY else STORES[:2])
@pytest.mark.parametrize("name", CASES)
def test_an_answer_that_is_lost_breaks_nothing(name: str, kind: str) -> None:
    """The process goes on and may clean up after itself, but not what it only believes not to have happened."""
    case = CASES[name]
    whole = cluster(kind, case)
    run(whole, case)
    writes = list(whole.writes)
    for number, write in enumerate(writes, 1):
        if kind != "memory" and not NIGHTLY and not write.endswith((" delete", " gone")):
            continue
        where = f"{name}: the answer to write {number} of {writes} was lost"
        lab = cluster(kind, case)
        with contextlib.suppress(AnswerLost), lab.dying_after(number, AnswerLost):
            case.act(lab)
        assert_sound(lab, where)
        for handle, count in lab.held().items():
            if handle in ("pod", "vm", "lb"):
                assert release_by_handle(lab.store, handle, now=lab.now) == count, where
        clean(lab, where)


def heal(lab: Lab, case: Case, healer: str, where: str, before: t.Mapping[str, int], whole: Lab) -> None:
    if healer == "again":
        if case.limited and lab.writes[-1] == "handle create":
            with contextlib.suppress(HandleLimit):
                run(lab, case)
            assert lab.held() == before, where
        else:
            with contextlib.suppress(AddressTaken, NotFoundInStore):
                run(lab, case)
            compare(lab, case, where, before, whole)
    elif healer == "cleaning":
        clean(lab, where)
        return
    else:
        host = "a" if healer == "same host" else "d"
        lab.now.pass_seconds(61)
        if lab.settings_now.strict_affinity:
            assert take(lab, host, "next", 1), where
        else:
            get_everything(lab, host, where)
    assert_sound(lab, where, at_rest=True)
    for handle in ("pod", "next", "vm", "lb"):
        with contextlib.suppress(NotFoundInStore):
            release_by_handle(lab.store, handle, now=lab.now)
        assert not lab.held()[handle], where


def compare(lab: Lab, case: Case, where: str, before: t.Mapping[str, int], whole: Lab) -> None:
    """As if it had never been cut, but for what §7.5 allows: addresses nobody knows of, counts too high, rows."""
    held, wanted = lab.held(), whole.held()
    for handle in {*held, *wanted}:
        spare = wanted[handle] - before.get(handle, 0) if case.grows else 0
        assert wanted[handle] <= held[handle] <= wanted[handle] + spare, where
    if not case.grows:
        if not case.postponed:
            assert lab.owners() == whole.owners(), where
        alive = [key for key, state in lab.rows().items() if state != "pendingDeletion"]
        assert alive == list(whole.rows()) or case.postponed, where


def get_everything(lab: Lab, host: str, where: str) -> None:
    """No address is lost to a crash: whoever may borrow gets all there are."""
    free = {4: 16, 6: 16}
    for _time in range(3):  # the first look may only finish a delete
        take(lab, host, "next", free[4], free[6])
        free = {4: 0, 6: 0}
        for pool in lab.store.pools():
            if host != "a" or "two" not in pool.node_selector:
                known = [block for block in lab.blocks() if pool.cidr.contains(block.cidr.first)]
                free[pool.version] += pool.cidr.size - sum(block.in_use for block in known)
        if not any(free.values()):
            return
    raise AssertionError(f"{where}: {free} addresses are out of reach")


def clean(lab: Lab, where: str) -> None:
    """Everything is given back; then the ranges are taken out of service and cleaned (§20)."""
    for stored in lab.store.list_handles():
        with contextlib.suppress(NotFoundInStore):
            release_by_handle(lab.store, stored.value.id, now=lab.now)
    for block in lab.blocks():
        addresses = [block.cidr.address(ordinal) for ordinal in range(block.cidr.size)]
        release_ips(lab.store, [ReleaseRequest(address) for address in addresses], now=lab.now)
    lab.now.pass_seconds(61)
    disable(lab)
    for cidr in (V4, V6, "10.1.0.0/28"):
        network = parse_network(cidr)
        if network == parse_network("10.1.0.0/28") and not any(p.name == "other" for p in lab.store.pools()):
            continue
        if str(network) == "10.1.0.0/28":
            lab.pool("other", cidr, 30, disabled=True)
        release_pool_affinities(lab.store, network, now=lab.now)
        lab.store.finish_deletes(network)
        delete_rows_without_block(lab.store, rows_without_block(lab.store, network))
        delete_empty_blocks(lab.store, network, now=lab.now)
        forget_stale_counts(lab.store, network)
        assert prove_clean(lab.store, network).clean, where
    assert not lab.half_deleted(), where
