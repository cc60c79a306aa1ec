# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The journal of a procedure: what it must still know when it is run again after an interruption.

One ConfigMap a pool, in the cluster itself. It is written before the first change and
holds the request and the pool's original definition; together with the live pool it
says how far the procedure came (``journal_phase.py``).
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import Call, Connection
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_commands import (
    back_command,
    forward_command,
    resume_command,
    undo_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    FORWARD,
    LABEL,
    MIGRATE,
    MOST_RUNS,
    NAMESPACE,
    NODE_SELECTOR,
    NOWHERE,
    PROCEDURES,
    RESIZE,
    ROLLBACK,
    Journal,
    config_map,
    config_map_name,
    data_of,
    decode,
    definition_of,
    options_of,
    summary_of,
    with_moved,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_phase import (
    DONE,
    MOVING_BACK,
    MOVING_OUT,
    NOT_STARTED,
    RECREATE,
    UNDOING,
    JournalRequest,
    phase_in,
    phase_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    SPEC_FIELDS,
    StoredPool,
    find,
    read_pools,
    require,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.version import VERSION

__all__ = [
    "DONE",
    "LABEL",
    "MIGRATE",
    "MOVING_BACK",
    "MOVING_OUT",
    "NAMESPACE",
    "NOT_STARTED",
    "PROCEDURES",
    "RECREATE",
    "RESIZE",
    "UNDOING",
    "Journal",
    "JournalNotes",
    "JournalOutcome",
    "JournalRequest",
    "begin_rollback",
    "close_journal",
    "config_map_name",
    "definition_of",
    "journal_request",
    "look",
    "open_journal",
    "phase_of",
    "read_journal",
]

TARGET_KEYS = ("name", *SPEC_FIELDS, "labels", "annotations")
ATTEMPTS = 5


@dataclass(frozen=True)
class JournalNotes:
    """What a run has to say for the journal. ``run`` is its id; ``moved`` are workloads as a drain returns them.

    ``options`` are the variables that the run was given, by their whole names, and ``call`` is how its playbook was
    called; None where a step does not say.
    """

    run: str = ""
    waivers: tuple[str, ...] = ()
    keep_pool: bool = False
    stop_way: str | None = None
    moved: tuple[t.Mapping[str, t.Any], ...] = ()
    options: t.Mapping[str, t.Any] | None = None
    call: t.Mapping[str, t.Any] | None = None


@dataclass(frozen=True)
class JournalOutcome:
    """``connection`` leads to the cluster, for the commands; ``closed`` is the journal that was removed."""

    plan: Plan
    journal: Journal | None
    phase: str
    connection: Connection = field(default_factory=Connection)
    closed: Journal | None = None

    def as_result(self) -> dict[str, t.Any]:
        shown = {**self.journal.as_dict(), "phase": self.phase} if self.journal is not None else None
        return {"journal": shown, "phase": self.phase, **self.commands()}

    def commands(self) -> dict[str, str]:
        """``resume`` and ``undo``, or ``back`` where it is too late to undo it; empty where there is none."""
        if self.journal is None:
            return {"resume": "", "undo": "", "back": ""}
        too_late = _is_too_late(self.journal, self.phase)
        return {
            "resume": resume_command(self.journal, self.connection),
            "undo": "" if too_late else undo_command(self.journal, self.connection),
            "back": back_command(self.journal, self.connection) if too_late else "",
        }

    def advice(self) -> str:
        """How to go on, in one sentence; empty when nothing was begun."""
        commands = self.commands()
        if self.journal is None:
            return ""
        if self.journal.direction == ROLLBACK:
            return f"To go on undoing it: {commands['resume']}"
        if commands["undo"]:
            return f"To resume: {commands['resume']} -- To undo: {commands['undo']}"
        return (
            f"To resume: {commands['resume']} -- It is too late to undo it; to go back, finish it first, then: "
            f"{commands['back']}"
        )


def journal_request(params: t.Mapping[str, t.Any]) -> JournalRequest:
    """The request among a module's parameters."""
    target = {key: value for key, value in (params["target"] or {}).items() if key in TARGET_KEYS and value is not None}
    size = params["block_size"] if params["procedure"] == RESIZE else None
    return JournalRequest(params["procedure"], params["pool"], target, size, params["namespace"])


def look(api: KubeApi, request: JournalRequest, connection: Connection | None = None) -> JournalOutcome:
    """The journal and the phase, without changing anything. Refused when another request is unfinished."""
    pools = read_pools(api)
    journal = read_journal(api, request.pool, request.namespace)
    _require_same(request, journal, connection)
    return JournalOutcome(Plan(), journal, phase_in(request, journal, pools), connection or Connection())


def open_journal(
    api: KubeApi,
    request: JournalRequest,
    clock: Clock,
    *,
    check_mode: bool,
    notes: JournalNotes | None = None,
    connection: Connection | None = None,
) -> JournalOutcome:
    """Write the journal; one that is there already for the same request takes in what has changed since.

    Refused when the pool has an unfinished journal of another request, or one that is being undone;
    InvalidInput when the pool does not exist. When the cluster is already as wanted, nothing is written.
    """
    notes = notes or JournalNotes()
    _require_complete(request)
    for _attempt in range(ATTEMPTS):
        pools = read_pools(api)
        thing = _stored(api, request)
        journal = None if thing is None else decode(thing)
        _require_same(request, journal, connection)
        if thing is not None and journal is not None:
            after = _refreshed(request, journal, pools, notes, clock)
        else:
            if phase_in(request, None, pools) == DONE:
                return JournalOutcome(Plan(), None, DONE, connection or Connection())
            after = _begun(request, pools, notes, clock)
        with contextlib.suppress(AlreadyExists, Conflict, NotFound):
            outcome = JournalOutcome(Plan(), after, phase_in(request, after, pools), connection or Connection())
            return replace(outcome, plan=_write(api, request, thing, journal, outcome, check_mode))
    raise _kept_changing(request)


def begin_rollback(
    api: KubeApi,
    request: JournalRequest,
    clock: Clock,
    *,
    check_mode: bool,
    notes: JournalNotes | None = None,
    connection: Connection | None = None,
) -> JournalOutcome:
    """Note that the procedure is being undone, or what was done of that; nothing to do without a journal.

    Refused when it is too late for it: when the old pool of a migration is deleted, and when a pool is
    there with its new block size already. The sentence then says which commands lead back.
    """
    notes = notes or JournalNotes()
    for _attempt in range(ATTEMPTS):
        pools = read_pools(api)
        thing = _stored(api, request)
        journal = None if thing is None else decode(thing)
        _require_same(request, journal, connection)
        phase = phase_in(request, journal, pools)
        if thing is None or journal is None:
            return JournalOutcome(Plan(), None, phase, connection or Connection())
        _refuse_too_late(journal, phase, connection)
        undoing = replace(journal, direction=ROLLBACK)
        after = _noted(request, undoing, phase_in(request, undoing, pools), notes, clock)
        with contextlib.suppress(Conflict, NotFound):
            outcome = JournalOutcome(Plan(), after, phase_in(request, after, pools), connection or Connection())
            return replace(outcome, plan=_write(api, request, thing, journal, outcome, check_mode))
    raise _kept_changing(request)


def close_journal(api: KubeApi, request: JournalRequest, *, check_mode: bool) -> JournalOutcome:
    """Remove the journal; nothing to do when there is none.

    Refused when it belongs to another procedure, and while it holds the only copy of a
    definition that is still to be re-created.
    """
    where = _where(request)
    thing = _stored(api, request)
    if thing is None:
        return JournalOutcome(Plan(), None, phase_in(request, None, read_pools(api)))
    journal = decode(thing)
    if journal.procedure != request.procedure:
        raise Refused(f"{where} is the journal of {journal.sentence()}, not of {request.procedure}.")
    pools = read_pools(api)
    if journal.procedure == RESIZE and find(pools, request.pool) is None:
        raise Refused(
            f"IPPool {request.pool!r} does not exist at the moment and {where} holds its "
            "only definition; run the change_block_size role to its end instead of removing the journal."
        )
    done = "undone" if journal.direction == ROLLBACK else "over"
    step = Step(
        "delete",
        where,
        f"{journal.procedure} of IPPool {request.pool} is {done}",
        before=_shown(journal, JournalOutcome(Plan(), journal, phase_in(request, journal, pools)).commands()),
    )
    if not check_mode:
        with contextlib.suppress(NotFound):
            api.delete(CONFIG_MAPS, config_map_name(request.pool), request.namespace, uid=thing["metadata"]["uid"])
    return JournalOutcome(Plan((step,)), None, phase_in(request, None, read_pools(api)), closed=journal)


def read_journal(api: KubeApi, pool: str, namespace: str = NAMESPACE) -> Journal | None:
    """The journal of ``pool``; Refused when the ConfigMap is there and cannot be read."""
    try:
        return decode(api.get(CONFIG_MAPS, config_map_name(pool), namespace))
    except NotFound:
        return None


def _require_complete(request: JournalRequest) -> None:
    for field_name, missing in (
        ("target", not request.target),
        ("block_size", request.procedure == RESIZE and request.block_size is None),
    ):
        if missing:
            raise InvalidInput(f"{field_name}: it is needed to begin {request.procedure}.", field=field_name)


def _stored(api: KubeApi, request: JournalRequest) -> Object | None:
    try:
        return api.get(CONFIG_MAPS, config_map_name(request.pool), request.namespace)
    except NotFound:
        return None


def _begun(request: JournalRequest, pools: t.Sequence[StoredPool], notes: JournalNotes, clock: Clock) -> Journal:
    live = require(pools, request.pool)
    target = find(pools, str(request.target.get("name")))
    if request.procedure == RESIZE:
        _refuse_to_begin(request, live, target)
    journal = Journal(
        procedure=request.procedure,
        pool=request.pool,
        target=request.target,
        block_size=request.block_size,
        definition=definition_of(live),
        started=_time(clock),
        version=VERSION,
        target_definition=None if target is None else definition_of(target),
        keep_pool=notes.keep_pool,
    )
    return _noted(request, journal, phase_in(request, journal, pools), notes, clock)


def _refuse_to_begin(request: JournalRequest, live: StoredPool, target: StoredPool | None) -> None:
    """What a change of block size would spoil for somebody, as long as it has not begun."""
    if target is not None:
        raise Refused(
            f"IPPool {target.name!r} exists already, and as temporary pool it would be emptied and deleted in the end: "
            "choose another name for the temporary pool, or delete that one first.",
            pool=target.name,
        )
    if live.spec.get("disabled"):
        raise Refused(
            f"IPPool {live.name!r} is disabled, and with its new block size it would be in use again: enable it first, "
            "or, when nobody has an address of it, delete it and create it anew.",
            pool=live.name,
        )


def _refreshed(
    request: JournalRequest, journal: Journal, pools: t.Sequence[StoredPool], notes: JournalNotes, clock: Clock
) -> Journal:
    """The journal with the definition that the pool has by now: what people change on the way is to survive it (D18).

    Only while the original pool is there; what the procedure itself changes of it stays as it was at the start.
    """
    phase = phase_in(request, journal, pools)
    live = find(pools, request.pool)
    journal = replace(journal, keep_pool=notes.keep_pool)
    if phase == MOVING_OUT and live is not None:
        definition = definition_of(live)
        before = journal.definition["spec"]
        definition["spec"]["disabled"] = before.get("disabled", False)
        stopped = NODE_SELECTOR in (journal.stop_way, notes.stop_way)
        if stopped and definition["spec"].get("nodeSelector") == NOWHERE:
            definition["spec"]["nodeSelector"] = before.get("nodeSelector", "all()")
        journal = replace(journal, definition=definition)
    return _noted(request, journal, phase, notes, clock)


def _noted(request: JournalRequest, journal: Journal, phase: str, notes: JournalNotes, clock: Clock) -> Journal:
    """The journal with the phase, the run and what it did."""
    now = _time(clock)
    if phase not in journal.phases:
        journal = replace(journal, phases={**journal.phases, phase: now})
    if notes.run and notes.run not in [run.get("run") for run in journal.runs]:
        run = {"run": notes.run, "at": now, "direction": journal.direction}
        journal = replace(journal, runs=(*journal.runs, run)[-MOST_RUNS:])
    if notes.waivers:
        journal = replace(journal, waivers=tuple(sorted({*journal.waivers, *notes.waivers})))
    if notes.options is not None:
        # Who undoes it gives no more than that needs; the rest serves the run that begins anew afterwards.
        before = journal.options if journal.direction == ROLLBACK else {}
        journal = replace(journal, options=options_of(request.procedure, {**before, **notes.options}))
    if notes.call and (journal.direction == FORWARD or not journal.call):
        # Undone it may be from elsewhere; begun anew it is as it was begun.
        journal = replace(journal, call=Call.from_dict(notes.call).as_dict())
    if notes.stop_way is not None and journal.direction == FORWARD:
        journal = replace(journal, stop_way=notes.stop_way)
    if notes.moved:
        journal = with_moved(journal, notes.moved)
    return journal


def _write(
    api: KubeApi,
    request: JournalRequest,
    thing: Object | None,
    before: Journal | None,
    outcome: JournalOutcome,
    check_mode: bool,
) -> Plan:
    """Create or patch the ConfigMap; Conflict, NotFound and AlreadyExists when somebody else was faster."""
    after, commands = outcome.journal, outcome.commands()
    if after is None or before == after:
        return Plan()
    where = _where(request)
    if before is None:
        step = Step(
            "create",
            where,
            f"keep the definition of IPPool {request.pool} in the cluster",
            after=_shown(after, commands),
            undo=f"delete {where}",
        )
    else:
        step = Step(
            "update",
            where,
            "note how far the procedure came, and what has been changed since",
            before=_shown(before, commands),
            after=_shown(after, commands),
        )
    if check_mode:
        return Plan((step,))
    data = data_of(after, commands)
    # Who works on it is not worth a changed result.
    plan = (
        Plan() if before is not None and replace(after, runs=before.runs, call=before.call) == before else Plan((step,))
    )
    try:
        if thing is None:
            api.create(CONFIG_MAPS, config_map(request.namespace, after, data), request.namespace)
        else:
            patch = {"metadata": {"resourceVersion": thing["metadata"]["resourceVersion"]}, "data": data}
            api.patch(CONFIG_MAPS, thing["metadata"]["name"], patch, request.namespace)
    except Unreachable as error:
        # It may have been written: then what is stored is what we wanted, and else the next look finds the difference.
        stored = _stored(api, request) if error.maybe_done else None
        if stored is None or decode(stored) != after:
            raise
    return plan


def _shown(journal: Journal, commands: t.Mapping[str, str]) -> dict[str, t.Any]:
    """What a diff shows: what people read with kubectl, and the definition that the journal keeps."""
    return {"summary": summary_of(journal, commands), "definition": dict(journal.definition)}


def _is_too_late(journal: Journal, phase: str) -> bool:
    return (journal.procedure, phase) in ((MIGRATE, RECREATE), (RESIZE, MOVING_BACK))


def _refuse_too_late(journal: Journal, phase: str, connection: Connection | None) -> None:
    if not _is_too_late(journal, phase):
        return
    done = "is deleted" if journal.procedure == MIGRATE else "has its new block size"
    why = f"IPPool {journal.pool!r} {done} already"
    raise Refused(
        f"{_capital(journal.sentence())} cannot be undone any more, because {why}; finish it with "
        f"`{forward_command(journal, connection)}`, then go back with `{back_command(journal, connection)}`.",
        pool=journal.pool,
    )


def _require_same(request: JournalRequest, journal: Journal | None, connection: Connection | None) -> None:
    if journal is None:
        return
    undo = undo_command(journal, connection)
    begun = f"{_capital(journal.sentence())}, begun {journal.started},"
    asked = request.sentence()
    if not request.same_as(journal):
        going = "is being undone" if journal.direction == ROLLBACK else "is not finished"
        forward = forward_command(journal, connection)
        finish = "" if journal.direction == ROLLBACK else f"finish it with `{forward}`, or "
        raise Refused(
            f"{begun} {going}, so {asked} cannot begin: {finish}undo it with `{undo}`; "
            f"its journal is {_where(request)}."
        )
    if journal.direction == ROLLBACK and not request.any:
        raise Refused(
            f"{begun} is being undone, so it cannot go on: finish undoing it with `{undo}`, then begin it anew with "
            f"`{forward_command(journal, connection)}`."
        )


def _where(request: JournalRequest) -> str:
    return f"ConfigMap {request.namespace}/{config_map_name(request.pool)}"


def _time(clock: Clock) -> str:
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _kept_changing(request: JournalRequest) -> Refused:
    return Refused(
        f"{_where(request)} was changed by someone else {ATTEMPTS} times while it was being written; find out who "
        "changes it, then run this again."
    )


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
