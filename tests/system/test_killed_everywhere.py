# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both roles, killed right before and right after each of their writes, in every installation, in virtual time.

Afterwards the role finishes, or its entry point ``rollback`` restores. By day a few writes, another choice in each
test and installation; all of them at night. A process that is killed tidies up nothing (``simulation.Killed``); one
whose connection is cut after a write was accepted, "lost", goes on with an error.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass

import pytest
from aftermath import Before, before, is_as_wanted
from modes_lab import DEFAULT, Lab, Mode
from procedures import MIGRATE, RESIZE, change_block_size, migrate_pool, rollback
from runbook import Stopped
from simulation import Killed, SimulatedApi, Write, simulate, simulated, with_calico

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    INSTALLATIONS,
    IP_POOLS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import KEY, ROLLBACK

# 0 by day; at night each n-th moment, all of them with 1.
NIGHTLY = int(os.environ.get("CALICO_OPS_NIGHTLY") or 0)
MODES = [
    Mode("crd_v1"),
    Mode("crd_v3"),
    Mode("apiserver"),
    Mode("etcd"),
    Mode("apiserver", operator=True),
    Mode("crd_v3", operator=True),
]
TEMPORARY = {"cidr": "10.0.0.0/16"}
NEW = {"name": "new", "cidr": "10.0.0.0/16"}
TOO_LATE = "cannot be undone any more"
# Between two cuts by day, counted in moments: before and after each write. No number of writes is a multiple of them.
STRIDES = {"crd_v1": 23, "etcd": 149}
STRIDE = 61
MOST_MOMENTS = 300
# Where a run died that is undone, while this is what is killed.
BEGUN = ("patch deployments", "patch statefulsets", "delete ippools")


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@dataclass(frozen=True)
class Procedure:
    """A role, how it is undone, and what is there at its end, in which pool."""

    name: str
    forward: t.Callable[[t.Any], object]
    changed: dict[str, t.Any]
    pool: str = DEFAULT

    def undo(self, api: t.Any) -> object:
        return rollback(api, self.name, DEFAULT)

    def __str__(self) -> str:
        return self.name


PROCEDURES = [
    Procedure(RESIZE, lambda api: change_block_size(api, DEFAULT, 28, TEMPORARY), {"blockSize": 28}),
    Procedure(MIGRATE, lambda api: migrate_pool(api, DEFAULT, NEW), {"cidr": "10.0.0.0/16"}, "new"),
]


@dataclass(frozen=True)
class Cut:
    """What befalls a run right before or right after its write of that number."""

    number: int
    moment: str

    def run(self, lab: Lab, work: t.Callable[[t.Any], object]) -> bool:
        """Run until there; false when the run ended before."""

        def die(write: Write) -> None:
            if write.number == self.number:
                raise Killed(str(write))

        try:
            work(client(lab, **{self.moment: die}))
        except Killed:
            return True
        return False


def client(lab: Lab, **hooks: t.Any) -> t.Any:
    """A new process: it knows nothing of what one before it saw."""
    return with_calico(SimulatedApi(lab.twin, **hooks))


@contextlib.contextmanager
def prepared(mode: Mode) -> t.Iterator[tuple[Lab, Before]]:
    """The small cluster, its pool with everything that is easily lost when it is created again."""
    with Lab(mode) as lab:
        lab.declare(DEFAULT, disableBGPExport=True)
        metadata = {"labels": {"team": "net"}, "annotations": {"note": "keep me"}}
        lab.admin.patch(IP_POOLS, DEFAULT, {"metadata": metadata})
        lab.advance(10)
        lab.twin.recorder.restart()
        yield lab, before(lab)


def cuts(mode: Mode, turn: int, sparser: int = 1) -> t.Iterator[Cut]:
    """Where to kill: each moment at night, by day some that are others for each mode and each ``turn``.

    ``sparser`` is for tests of which several share their moments: each takes that part of them at night.
    """
    stride = NIGHTLY * sparser if NIGHTLY else STRIDES.get(str(mode), STRIDE)
    first = (17 * MODES.index(mode) + 7 * turn) % min(stride, 56)
    for moment in range(first, MOST_MOMENTS, stride):
        yield Cut(1 + moment // 2, ("before", "after")[moment % 2])
    raise AssertionError("the procedure has more writes than this test allows for")


every_mode = pytest.mark.parametrize("mode", MODES, ids=str)
# What differs from one installation to the next is covered by the first two tests.
one_mode = pytest.mark.parametrize("mode", MODES if NIGHTLY else MODES[:1], ids=str)
each_procedure = pytest.mark.parametrize("procedure", PROCEDURES, ids=str)


@pytest.mark.timeout(3600)
@every_mode
@each_procedure
def test_a_new_run_finishes(mode: Mode, procedure: Procedure) -> None:
    for cut in cuts(mode, PROCEDURES.index(procedure)):
        with prepared(mode) as (lab, was):
            was_cut = cut.run(lab, procedure.forward)
            lab.advance(cut.number % 7)
            procedure.forward(client(lab))
            finished(lab, was, procedure)
            if not was_cut:
                return


def finished(lab: Lab, was: Before, procedure: Procedure) -> None:
    """Everything is as the procedure wants it, and one more run has nothing to write."""
    is_as_wanted(lab, was, name=procedure.pool, **procedure.changed)
    again = client(lab)
    procedure.forward(again)
    assert written(again) == []


def written(api: t.Any) -> list[str]:
    return [str(write) for write in simulated(api).writes]


@pytest.mark.timeout(3600)
@every_mode
@each_procedure
def test_undoing_restores(mode: Mode, procedure: Procedure) -> None:
    """At whichever write the run died; when it is too late for that, it says how to go on, and changes nothing."""
    for cut in cuts(mode, 2 + PROCEDURES.index(procedure)):
        with prepared(mode) as (lab, was):
            was_cut = cut.run(lab, procedure.forward)
            lab.advance(cut.number % 7)
            undone(lab, was, procedure)
            if not was_cut:
                return


def undone(lab: Lab, was: Before, procedure: Procedure) -> None:
    """Undo it; where that is refused because it is too late, finish it."""
    undo = client(lab)
    try:
        procedure.undo(undo)
    except Stopped as stopped:
        assert TOO_LATE in stopped.message
        assert f"finish it with `ansible-playbook calico_ops.ipam.{procedure.name} " in stopped.message
        assert stopped.message.count("ansible-playbook") == 2
        assert written(undo) == []
        procedure.forward(client(lab))
    restored_or_finished(lab, was, procedure)


def restored_or_finished(lab: Lab, was: Before, procedure: Procedure) -> None:
    """Finished where the last run, or the one before it, had nothing to undo any more."""
    pool = lab.pool(procedure.pool)
    if pool is not None and procedure.changed.items() <= pool.shown()["spec"].items():
        finished(lab, was, procedure)
    else:
        is_as_wanted(lab, was)
    again = client(lab)
    procedure.undo(again)
    assert written(again) == []


@pytest.mark.timeout(3600)
@one_mode
@each_procedure
def test_killed_twice(mode: Mode, procedure: Procedure) -> None:
    """The second run dies at another write than the first, and the third finishes."""
    for cut in cuts(mode, 4 + PROCEDURES.index(procedure), 3):
        with prepared(mode) as (lab, was):
            was_cut = cut.run(lab, procedure.forward)
            Cut(1 + cut.number * 5 % 13, cut.moment).run(lab, procedure.forward)
            procedure.forward(client(lab))
            finished(lab, was, procedure)
            if not was_cut:
                return


@pytest.mark.timeout(3600)
@one_mode
@each_procedure
@pytest.mark.parametrize("begun", BEGUN)
def test_killed_while_it_was_undone(mode: Mode, procedure: Procedure, begun: str) -> None:
    """A procedure that died half-way is undone in two runs, and cannot go on in between."""
    if procedure.name == MIGRATE and begun == "delete ippools":
        pytest.skip("too late to undo it")
    with prepared(mode) as (lab, was):
        whole = client(lab)
        procedure.forward(whole)
        half = next(write.number for write in simulated(whole).writes if begins(write, begun))
    for cut in cuts(mode, 6 + BEGUN.index(begun), len(BEGUN)):
        with prepared(mode) as (lab, was):
            assert Cut(half, "after").run(lab, procedure.forward)
            was_cut = cut.run(lab, procedure.undo)
            if was_cut and being_undone(lab):
                with pytest.raises(Stopped, match="is being undone, so it cannot go on: finish undoing it with"):
                    procedure.forward(client(lab))
            undone(lab, was, procedure)
            if not was_cut:
                return


def begins(write: Write, begun: str) -> bool:
    """Whether it is a write of that kind; the operator's pools are deleted by taking them off its list."""
    if begun == "delete ippools" and write.resource == INSTALLATIONS:
        return f"'{DEFAULT}'" not in str(write.body)
    return f"{write.verb} {write.resource.plural}" == begun


def being_undone(lab: Lab) -> bool:
    """Whether the journal says so already."""
    found = [item for item in lab.admin.list(CONFIG_MAPS).items if "calico-ops" in item["metadata"]["name"]]
    return bool(found) and json.loads(found[0]["data"][KEY])["direction"] == ROLLBACK


class LostAnswer:
    """The connection is cut right after a write was accepted."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lost = False

    def __call__(self, write: Write) -> None:
        if write.number == self.number and not self.lost:
            self.lost = True
            raise Unreachable("The connection to the API server was cut.", maybe_done=True)


@pytest.mark.timeout(3600)
@one_mode
@each_procedure
@pytest.mark.parametrize("undo", [False, True], ids=["finished", "undone"])
def test_a_lost_answer(mode: Mode, procedure: Procedure, undo: bool) -> None:
    """The run goes on, or it ends with one sentence and has given the lock back; then a new one finishes or undoes."""
    for cut in cuts(mode, 8 + 2 * undo + PROCEDURES.index(procedure)):
        if cut.moment == "before":
            continue
        with prepared(mode) as (lab, was):
            lost = LostAnswer(cut.number)
            try:
                procedure.forward(client(lab, after=lost))
            except Stopped as stopped:
                assert "The connection to the API server was cut." in stopped.message
                assert "\n" not in stopped.message
            if undo:
                undone(lab, was, procedure)
            else:
                procedure.forward(client(lab))
                finished(lab, was, procedure)
            if not lost.lost:
                return
