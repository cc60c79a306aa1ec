# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock: who gets it, who loses it, and what a lost answer or a clock that is wrong does to it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[4]))

from simulation import SimulatedApi
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict, ServerError, Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import LEASES, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fencing import FencedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import (
    DURATION,
    FRESH,
    NAME,
    NAMESPACE,
    RENEW_EVERY,
    Claim,
    Here,
    Lock,
    LockHeld,
    LockLost,
    acquire,
    attach,
    look,
    release_dead,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import Process, this_process

ELSEWHERE = Process("eve", "elsewhere", 7, "1", "another-boot", "pid:[1]")
GONE = 500_000_000
HERE = Here(this_process())


class HandClock:
    """Time that passes when it is told to; ``skew`` is how wrong the wall clock is."""

    def __init__(self, skew: float = 0.0) -> None:
        self.seconds = 0.0
        self.skew = skew
        self.sleeping: t.Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return datetime(2026, 8, 20, 9, tzinfo=timezone.utc) + timedelta(seconds=self.seconds + self.skew)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.sleeping()
        self.seconds += seconds


class Flaky:
    """An API whose next writes fail as told: before they are carried out, or with their answer lost."""

    def __init__(self, api: t.Any) -> None:
        self.api = api
        self.before: list[Exception] = []
        self.after: list[Exception] = []

    def get(self, *args: t.Any, **options: t.Any) -> t.Any:
        return self.api.get(*args, **options)

    def _write(self, call: t.Callable[[], t.Any]) -> t.Any:
        if self.before:
            raise self.before.pop(0)
        answer = call()
        if self.after:
            raise self.after.pop(0)
        return answer

    def create(self, *args: t.Any, **options: t.Any) -> t.Any:
        return self._write(lambda: self.api.create(*args, **options))

    def replace(self, *args: t.Any, **options: t.Any) -> t.Any:
        return self._write(lambda: self.api.replace(*args, **options))

    def delete(self, *args: t.Any, **options: t.Any) -> t.Any:
        return self._write(lambda: self.api.delete(*args, **options))


@pytest.fixture(scope="module")
def cluster() -> t.Iterator[t.Any]:
    twin = local_twin("small")
    yield twin
    twin.close()


@pytest.fixture
def api(cluster: t.Any) -> t.Iterator[Flaky]:
    simulated = SimulatedApi(cluster)
    yield Flaky(simulated)
    if look(simulated) is not None:
        simulated.delete(LEASES, NAME, NAMESPACE)


def claim(run: str = "mine", holder: Process | None = None) -> Claim:
    return Claim(run, "migrate_pool", "old", holder or replace(this_process(), user="ann"), "migrate_pool_take_over")


def lease(api: Flaky) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", api.get(LEASES, NAME, NAMESPACE))


def lost() -> Unreachable:
    return Unreachable("The connection was cut.", maybe_done=True)


def test_it_is_taken_renewed_and_given_back(api: Flaky) -> None:
    clock = HandClock()
    lock = acquire(api, claim(), clock, HERE)
    spec = lease(api)["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("mine", DURATION)
    assert spec["acquireTime"] == spec["renewTime"] == "2026-08-20T09:00:00.000000Z"
    lock.require()
    clock.seconds += RENEW_EVERY + 1
    lock.require()
    assert lease(api)["spec"]["renewTime"] == "2026-08-20T09:00:11.000000Z"
    lock.release()
    assert look(api) is None
    lock.release()
    with pytest.raises(LockLost, match="has given back"):
        lock.require()


def test_who_has_it_is_said_with_the_way_out(api: Flaky) -> None:
    acquire(api, claim("theirs", ELSEWHERE), HandClock(), HERE)
    with pytest.raises(LockHeld) as refused:
        acquire(api, claim(), HandClock(skew=86_400), HERE)
    assert refused.value.message == (
        "Lease kube-system/calico-ops-ipam is held by eve@elsewhere (process 7) since 2026-08-20T09:00:00Z for "
        "migrate_pool of IPPool 'old', last renewed 2026-08-20T09:00:00Z by that machine's clock, so migrate_pool of "
        "IPPool 'old' cannot begin: whether that process still runs cannot be seen from here, since it is on another "
        "machine or in another container. If it runs, wait until it ends. If it is dead, run the same command again "
        "with -e migrate_pool_take_over=true; it then watches the lock for 60 seconds and goes on when nobody has "
        "renewed it."
    )
    assert refused.value.details["processes"] == [ELSEWHERE.as_dict()]


def test_a_module_on_another_machine_than_its_playbook_proves_nothing(api: Flaky) -> None:
    """Its own process table says nothing about the control node's: what is gone there, the action plugin sees."""
    dead = replace(ELSEWHERE, pid=GONE)
    mine = claim(holder=replace(ELSEWHERE, user="ann"))
    acquire(api, claim("theirs", dead), HandClock(), HERE)
    with pytest.raises(LockHeld) as refused:
        acquire(api, mine, HandClock(), HERE)
    ended = tuple(Process.from_dict(each) for each in refused.value.details["processes"])
    assert ended == (dead,)
    attach(api, "theirs", HandClock(), replace(ELSEWHERE, host="third"))
    with pytest.raises(
        LockHeld, match=r"has ended, but .* may still work on third. To go on, run .*_take_over=true; it"
    ):
        acquire(api, mine, HandClock(), replace(HERE, ended=ended))
    acquire(api, mine, HandClock(), replace(HERE, ended=(*ended, replace(ELSEWHERE, host="third"))))
    assert lease(api)["spec"]["holderIdentity"] == "mine"


@pytest.mark.parametrize("skew", [-86_400.0, 0.0, 86_400.0])
def test_only_standing_still_counts_and_never_the_time_that_is_written(api: Flaky, skew: float) -> None:
    theirs = acquire(api, claim("theirs", ELSEWHERE), HandClock(skew), HERE)
    warnings: list[str] = []
    clock = HandClock()
    acquire(api, claim(), clock, HERE, take_over=True, warn=warnings.append)
    assert clock.seconds > DURATION
    assert "Nobody has renewed it since" in warnings[0]
    assert lease(api)["spec"]["leaseTransitions"] == 1
    with pytest.raises(LockLost, match="not by this run"):
        theirs.renew()


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0])
def test_a_living_one_is_never_taken(api: Flaky, skew: float) -> None:
    their_clock = HandClock(skew)
    theirs = acquire(api, claim("theirs", ELSEWHERE), their_clock, HERE)

    def renew() -> None:
        their_clock.seconds += 1
        theirs.renew()

    clock = HandClock()
    clock.sleeping = renew
    with pytest.raises(LockHeld, match="is alive and nothing was taken over"):
        acquire(api, claim(), clock, HERE, take_over=True)
    assert lease(api)["spec"]["holderIdentity"] == "theirs"


def test_a_holder_that_is_proven_dead_is_followed_at_once(api: Flaky) -> None:
    dead = replace(this_process(), pid=GONE, user="bob")
    acquire(api, claim("theirs", dead), HandClock(), HERE)
    warnings: list[str] = []
    clock = HandClock()
    acquire(api, claim(), clock, HERE, warn=warnings.append)
    assert clock.seconds == 0
    assert "held by bob@" in warnings[0] and "is gone, so this run takes over" in warnings[0]


def test_a_module_that_outlives_its_playbook_is_not_dead(api: Flaky) -> None:
    dead = replace(this_process(), pid=GONE)
    acquire(api, claim("theirs", dead), HandClock(), HERE)
    attach(api, "theirs", HandClock(), this_process())
    with pytest.raises(LockHeld, match=f"has ended, but a module .* `kill {os.getpid()}` there"):
        acquire(api, claim(holder=replace(this_process(), user="ann")), HandClock(), HERE)


def test_a_later_part_of_the_same_play_goes_on_with_its_own_lock(api: Flaky) -> None:
    acquire(api, claim("first"), HandClock(), HERE)
    acquire(api, claim("second"), HandClock(), HERE)
    assert lease(api)["spec"]["holderIdentity"] == "second"
    with pytest.raises(LockHeld, match="it is the host '' of this very play"):
        acquire(api, claim("third", replace(this_process(), user="ann", inventory_host="other")), HandClock(), HERE)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("held", [False, True])
def test_taking_it_survives_a_conflict_and_a_lost_answer(api: Flaky, moment: str, held: bool) -> None:
    if held:
        acquire(api, claim("theirs", replace(this_process(), pid=GONE)), HandClock(), HERE)
    if moment == "before":
        api.before = [Conflict("Somebody was faster.", 409)] if held else []
    else:
        api.after = [lost()]
    lock = acquire(api, claim(), HandClock(), HERE)
    lock.require()
    assert lease(api)["spec"]["holderIdentity"] == "mine"


def test_a_renewal_whose_answer_was_lost_is_not_taken_for_somebody_elses(api: Flaky) -> None:
    clock = HandClock()
    lock = acquire(api, claim(), clock, HERE)
    api.after = [lost()]
    clock.seconds += RENEW_EVERY + 1
    lock.require()
    clock.seconds += RENEW_EVERY + 1
    lock.require()
    assert lease(api)["spec"]["renewTime"] == "2026-08-20T09:00:22.000000Z"


def test_without_an_answer_it_holds_for_a_while_and_is_lost_then(api: Flaky) -> None:
    clock = HandClock()
    lock = acquire(api, claim(), clock, HERE)
    api.before = [ServerError("The server is down.", 503) for _each in range(9)]
    clock.seconds += FRESH - 1
    lock.require()
    clock.seconds += 2
    with pytest.raises(LockLost, match="could not be renewed for 41 seconds, so this run writes nothing any more"):
        lock.require()
    api.before = []
    lock.require()


def test_it_is_lost_when_somebody_removes_it(api: Flaky) -> None:
    clock = HandClock()
    lock = acquire(api, claim(), clock, HERE)
    api.delete(LEASES, NAME, NAMESPACE)
    lock.require()
    clock.seconds += RENEW_EVERY + 1
    with pytest.raises(LockLost, match="was removed, so this run writes nothing any more"):
        lock.require()
    with pytest.raises(LockLost, match="was removed"):
        attach(api, "mine", clock, this_process())


def test_no_write_passes_the_fence_after_the_lock_is_lost(api: Flaky) -> None:
    clock = HandClock()
    lock = acquire(api, claim("mine", ELSEWHERE), clock, HERE)
    fenced = FencedApi(api.api, lock.require)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fenced"}}
    fenced.create(NAMESPACES, body)
    acquire(api, claim("theirs"), HandClock(), HERE, take_over=True)
    clock.seconds += RENEW_EVERY + 1
    writes = len(api.api.writes)
    thing = fenced.get(NAMESPACES, "fenced")
    for write in (
        lambda: fenced.create(NAMESPACES, body),
        lambda: fenced.replace(NAMESPACES, thing),
        lambda: fenced.patch(NAMESPACES, "fenced", {"metadata": {"labels": {"a": "b"}}}),
        lambda: fenced.delete(NAMESPACES, "fenced"),
        lambda: fenced.evict("pod", "default"),
    ):
        with pytest.raises(LockLost, match="this run writes nothing any more"):
            write()
    assert len(api.api.writes) == writes
    api.api.delete(NAMESPACES, "fenced")


def test_what_a_killed_run_left_is_cleared_for_the_same_thing_only(api: Flaky) -> None:
    acquire(api, claim("theirs", replace(this_process(), pid=GONE)), HandClock(), HERE)
    assert not release_dead(api, HERE, "migrate_pool of IPPool 'other'")
    assert release_dead(api, HERE, claim().about)
    assert look(api) is None


def test_a_lease_of_somebody_who_is_not_us_is_left_alone(api: Flaky) -> None:
    body = {
        "apiVersion": LEASES.api_version,
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"holderIdentity": "someone"},
    }
    api.create(LEASES, body, NAMESPACE)
    with pytest.raises(LockHeld, match="is held by someone since an unknown time for something this release does not"):
        acquire(api, claim(), HandClock(), HERE)


def test_a_module_whose_playbook_is_gone_stops(api: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import lock as module

    monkeypatch.setattr(module, "LOOK_EVERY", 0.01)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    acquire(api, claim(holder=this_process(child.pid)), HandClock(), HERE)
    lock = attach(api, "mine", HandClock(), this_process())
    orphaned = threading.Event()
    with lock.renewing(orphaned.set):
        assert not orphaned.wait(0.05)
        child.kill()
        assert orphaned.wait(5)
        child.communicate()
    with pytest.raises(LockLost, match="has ended, so this module writes nothing more"):
        lock.require()


def test_it_is_renewed_by_a_thread(api: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import lock as module

    monkeypatch.setattr(module, "RENEW_EVERY", 0.01)
    clock = HandClock()
    lock = acquire(api, claim(), clock, HERE)
    renewed: list[Lock] = []

    def renew(self: Lock) -> None:
        renewed.append(self)

    monkeypatch.setattr(Lock, "renew", renew)
    with lock.renewing():
        while len(renewed) < 3:
            pass
    assert set(renewed) == {lock}


# Which process is gone


def test_a_process_is_gone_when_it_has_ended_and_not_before() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    running = this_process(child.pid)
    try:
        assert not running.is_gone(this_process())
    finally:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    # Dead, and nobody has asked for its exit code yet.
    assert running.is_gone(this_process())
    child.communicate()
    assert running.is_gone(this_process())


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        ({}, True),
        ({"pid": os.getpid()}, False),
        ({"pid": os.getpid(), "started": "1"}, True),  # the id is used again
        ({"host": "elsewhere"}, False),
        ({"boot": "another"}, False),
        ({"boot": ""}, False),
        ({"pid_namespace": "pid:[1]"}, False),
        ({"started": ""}, False),
        ({"pid": 0}, False),
    ],
)
def test_what_is_proof_of_an_end(changes: dict[str, t.Any], gone: bool) -> None:
    other = replace(this_process(), pid=GONE)
    if "started" not in changes and changes.get("pid") == os.getpid():
        changes = {**changes, "started": this_process().started}
    assert replace(other, **changes).is_gone(this_process()) is gone


def test_a_process_survives_being_written_down() -> None:
    process = this_process(user="ann", inventory_host="localhost")
    assert Process.from_dict(process.as_dict()) == process
    assert Process.from_dict({"pid": "seven", "user": None, "more": 1}) == Process()
