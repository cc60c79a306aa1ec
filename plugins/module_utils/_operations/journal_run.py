# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The journal together with the lock: how a run begins, goes on, pauses and ends."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ClusterError, Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    DONE,
    NOT_STARTED,
    JournalNotes,
    JournalOutcome,
    JournalRequest,
    begin_rollback,
    close_journal,
    config_map_name,
    journal_request,
    look,
    open_journal,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import connection_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_commands import move_back_commands
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    FORWARD,
    ROLLBACK,
    Journal,
    with_moved,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_lines import final_table, ways_on
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import (
    Claim,
    Here,
    Lock,
    LockLost,
    acquire,
    attach,
    new_run,
    release_dead,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import look as look_at_lock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import Process, this_process
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.write_rights import require_rights


def lock_sentence(api: KubeApi) -> str:
    """Who has the lock; empty when nobody does, or when that may not be read."""
    try:
        found = look_at_lock(api)
    except Forbidden:
        return ""
    return "" if found is None else found.sentence()


class JournalRun:
    """One call of the module. ``api`` has Calico's kinds, ``raw`` is the API without a fence, for the lock.

    ``worker`` is the process that this is, as others can find out whether it still runs.
    """

    def __init__(
        self,
        api: KubeApi,
        raw: KubeApi,
        clock: Clock,
        params: t.Mapping[str, t.Any],
        *,
        warn: t.Callable[[str], None],
        report: t.Callable[[object], object],
        check_mode: bool,
        worker: Process | None = None,
    ) -> None:
        self._api = api
        self._raw = raw
        self._clock = clock
        self._params = params
        self._warn = warn
        self._report = report
        self._check_mode = check_mode
        self._worker = worker or this_process()
        self._request: JournalRequest = journal_request(params)
        self._connection = connection_of(params)
        # What nobody sees as it comes, as on another machine than the control node.
        self._lines: list[str] = []

    def present(self) -> dict[str, t.Any]:
        """Write or update the journal, under the lock: the run's own, or else one that is taken now."""
        rollback = self._params["direction"] == ROLLBACK
        lock, run = None, self._params["run"]
        if not run:
            # What is refused, and what is done already, needs no lock.
            before = self._write(rollback, "", check_mode=True)
            if before.journal is None or self._check_mode:
                self._warn_of_lock()
                return self._result(before, None)
            self._look_at_rights(rollback)
            lock = self._lock()
        try:
            outcome = self._write(rollback, lock.run if lock is not None else run or "", check_mode=self._check_mode)
        except IpamError:
            if lock is not None:
                self._let_go(lock)
            raise
        if lock is not None and outcome.journal is None:
            # Somebody else finished it between our look and our lock.
            self._let_go(lock)
            return self._result(outcome, None)
        self._warn_of_target(outcome, begun=lock is not None)
        if lock is not None:
            self._say(ways_on(outcome.commands(), self._where()))
        return self._result(outcome, lock.run if lock is not None else run)

    def _look_at_rights(self, rollback: bool) -> None:
        """A run that could not be carried to its end does not begin; an undo goes as far as it can."""
        if self._owner() is None:
            return
        options = self._params["options"] or {}
        consent = options.get(f"{self._request.procedure}_consent") or ()
        try:
            require_rights(self._raw, detect(self._api), consent)
        except Refused as refusal:
            if not rollback:
                raise
            self._warn(refusal.message)

    def _warn_of_target(self, outcome: JournalOutcome, *, begun: bool) -> None:
        journal = outcome.journal
        if begun and journal is not None and journal.target_definition is not None and journal.direction == FORWARD:
            self._warn(
                f"IPPool {str(journal.target.get('name'))!r} was there before {journal.sentence()}: undoing it would "
                "give that pool its former definition, and leave the pods in it that have moved there by then."
            )

    def paused(self) -> dict[str, t.Any]:
        """Give the lock back and say how to go on. That a cluster does not answer is a warning and no failure."""
        outcome = JournalOutcome(Plan(), None, NOT_STARTED)
        run = self._params["run"]
        try:
            any_request = replace(self._request, target={}, block_size=None)
            outcome = look(self._api, any_request, self._connection)
            if run and not self._check_mode and outcome.journal is not None and self._params["moved"]:
                outcome = self._note_moved(outcome.journal)
            if outcome.phase == DONE:
                self._say_end(outcome.journal)
            elif not run and self._is_held():
                # What this run was refused with says who works and what to do; the commands are not for now.
                outcome = replace(outcome, journal=None)
            else:
                self._say(ways_on(outcome.commands(), self._where()))
        except Refused:
            pass  # Another procedure is unfinished, or the journal cannot be read: what stopped this run has said so.
        except IpamError as error:
            self._warn(f"The journal could not be read or written: {error.message}")
        if run and not self._check_mode:
            try:
                self._let_go(attach(self._raw, run, self._clock, self._worker))
            except LockLost:
                pass  # Whoever has it now goes on.
            except ClusterError as error:
                self._warn(f"The lock could not be given back, so the next run has to take it over: {error.message}")
        return self._result(outcome, None)

    def _is_held(self) -> bool:
        """Whether somebody else has the lock, as far as that may be read, and is not proven to be gone."""
        try:
            held = look_at_lock(self._raw)
        except Forbidden:
            return False
        return held is not None and not held.is_gone(self._here())

    def _note_moved(self, journal: Journal) -> JournalOutcome:
        """What a drain that failed has moved by then."""
        request = replace(self._request, target=journal.target, block_size=journal.block_size)
        notes = JournalNotes(keep_pool=journal.keep_pool, moved=tuple(self._params["moved"]))
        work = begin_rollback if journal.direction == ROLLBACK else open_journal
        return work(self._api, request, self._clock, check_mode=False, notes=notes, connection=self._connection)

    def absent(self) -> dict[str, t.Any]:
        """Remove the journal, and give the lock back as the last thing."""
        run, owner = self._params["run"], self._owner()
        if self._check_mode or (not run and owner is None):
            outcome = close_journal(self._api, self._request, check_mode=self._check_mode)
            return self._closed(outcome)
        if run:
            lock = attach(self._raw, run, self._clock, self._worker)
        elif look(self._api, replace(self._request, target={}, block_size=None)).journal is None:
            # A run that was killed between the last two requests leaves nothing but the lock.
            gone = owner is not None and release_dead(self._raw, self._here(), self._claim("", owner).about)
            outcome = close_journal(self._api, self._request, check_mode=False)
            return {**self._closed(outcome), "changed": gone}
        else:
            taken = self._lock()
            if taken is None:
                raise ValueError("an owner without a lock")
            lock = taken
        try:
            outcome = close_journal(self._api, self._request, check_mode=False)
            if outcome.closed is not None and self._params["moved"]:
                # The pods came back; nobody needs that in the cluster any more.
                outcome = replace(outcome, closed=with_moved(outcome.closed, self._params["moved"], back=True))
            self._say_end(outcome.closed)
        except IpamError:
            # What the role does next, ``paused``, gives back the lock of a run and says how to go on.
            if not run:
                self._let_go(lock)
            raise
        self._let_go(lock)
        return self._closed(outcome)

    def _closed(self, outcome: JournalOutcome) -> dict[str, t.Any]:
        """The result of removing a journal: with ``closed``, what it said, as nobody can read it any more."""
        return {**self._result(outcome, None), "closed": None if outcome.closed is None else outcome.closed.as_dict()}

    def _where(self) -> str:
        return f"ConfigMap {self._request.namespace}/{config_map_name(self._request.pool)}"

    def _say(self, lines: t.Iterable[str]) -> None:
        for line in lines:
            self._report(line)
            if not self._params["progress_file"]:
                self._lines.append(line)

    def _say_end(self, journal: Journal | None) -> None:
        if journal is None:
            return
        # What is only told must not fail what is done.
        with contextlib.suppress(ClusterError):
            self._say(final_table(journal, read_pools(self._api), self._clock.now()))

    def _write(self, rollback: bool, run: str, *, check_mode: bool) -> JournalOutcome:
        params = self._params
        notes = JournalNotes(
            run=run,
            waivers=tuple(params["waivers"]),
            keep_pool=params["keep_pool"],
            stop_way=params["stop_way"],
            moved=tuple(params["moved"]),
            options=params["options"],
            call=params["called"],
        )
        work = begin_rollback if rollback else open_journal
        return work(
            self._api,
            self._request,
            self._clock,
            check_mode=check_mode,
            notes=notes,
            connection=self._connection,
        )

    def _lock(self) -> Lock | None:
        """The lock, taken now; None without an owner."""
        owner = self._owner()
        if owner is None:
            return None
        claim = self._claim(new_run(owner), owner)
        return acquire(
            self._raw,
            claim,
            self._clock,
            self._here(),
            take_over=self._params["take_over"],
            warn=self._warn,
            report=self._report,
        )

    def _warn_of_lock(self) -> None:
        held = lock_sentence(self._raw) if self._check_mode and self._owner() is not None else ""
        if held:
            self._warn(f"{held}; outside check mode this would have to wait for it.")

    def _claim(self, run: str, owner: Process) -> Claim:
        procedure = self._request.procedure
        return Claim(run, procedure, self._request.pool, owner, f"{procedure}_take_over")

    def _owner(self) -> Process | None:
        given = self._params["run_by"]
        return None if given is None else Process.from_dict(given)

    def _here(self) -> Here:
        return Here(self._worker, tuple(Process.from_dict(each) for each in self._params["ended"]))

    def _let_go(self, lock: Lock) -> None:
        try:
            lock.release()
        except ClusterError as error:
            self._warn(f"The lock could not be given back, so the next run has to take it over: {error.message}")

    def _result(self, outcome: JournalOutcome, run: str | None) -> dict[str, t.Any]:
        return {
            **outcome.as_result(),
            **outcome.plan.as_result(),
            "advice": outcome.advice(),
            "move_back": [] if outcome.journal is None else move_back_commands(outcome.journal, self._connection),
            "run": None if self._check_mode else run or None,
            "lines": self._lines,
        }
