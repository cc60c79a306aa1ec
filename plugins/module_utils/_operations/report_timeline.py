# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What happened to the pools, as far as the cluster still knows: journals of procedures, and Events on pools.

A procedure that is done has no journal any more, unless whoever removed it hands it over, and Events are
forgotten after an hour or so. When each address was given out is in the blocks themselves, so moves of long
ago can be told from those.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, EVENTS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    KEY,
    LABEL,
    NAMESPACE,
    SUMMARY,
    Journal,
    config_map_name,
    decode,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_phase import JournalRequest, phase_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

# Words of a journal's summary.
COMMANDS = ("resume", "undo")
# Where the API server keeps Events about things without a namespace.
EVENTS_NAMESPACE = "default"


def procedures(
    api: KubeApi, pools: t.Sequence[StoredPool], ended: t.Sequence[Journal] = ()
) -> tuple[list[dict[str, t.Any]], list[str]]:
    """The journals of procedures, by pool, and sentences about what could not be read.

    ``ended`` are those of procedures that have come to their end, which the member ``over`` says. A journal may
    still be there then: that of a move whose old pool is kept.
    """
    notes: list[str] = []
    try:
        things = api.list(CONFIG_MAPS, NAMESPACE, label_selector=LABEL).items
    except Forbidden:
        # The rights for one journal are granted more often than those for the list.
        things = list(_one_by_one(api, pools, notes))
    found = [_procedure(journal, _latest(journal), {}, over=True) for journal in ended]
    over = {(journal.pool, journal.started) for journal in ended}
    for thing in things:
        try:
            journal = decode(thing)
            if (journal.pool, journal.started) not in over:
                found.append(_procedure(journal, _phase(journal, pools), _commands(thing), over=False))
        except Refused as error:
            notes.append(error.message)
    return sorted(found, key=lambda each: str(each["pool"])), notes


def _phase(journal: Journal, pools: t.Sequence[StoredPool]) -> str:
    request = JournalRequest(journal.procedure, journal.pool, journal.target, journal.block_size)
    return phase_in(request, journal, pools)


def ended_journals(given: t.Sequence[t.Mapping[str, t.Any]]) -> list[Journal]:
    """Journals of procedures that are over, as their last task returned them; InvalidInput when they are none."""
    found = []
    for number, each in enumerate(given, start=1):
        thing = {"metadata": {"namespace": NAMESPACE, "name": "removed"}, "data": {KEY: json.dumps(each)}}
        try:
            found.append(decode(thing))
        except Refused:
            raise InvalidInput(
                f"journals: entry {number} is no journal; give what the module ippool_journal returns as closed.",
                field="journals",
            ) from None
    return found


def _procedure(journal: Journal, phase: str | None, commands: t.Mapping[str, str], *, over: bool) -> dict[str, t.Any]:
    named = {name: commands.get(name) for name in COMMANDS}
    return {**journal.as_dict(), "sentence": journal.sentence(), "phase": phase, "over": over, **named}


def _commands(thing: Object) -> dict[str, str]:
    """How to go on, as the journal tells people who look at it: a word, and what it stands for."""
    lines = str((thing.get("data") or {}).get(SUMMARY) or "").splitlines()
    words = (line.partition(" ") for line in lines)
    return {name: text.strip() for name, _space, text in words if name in COMMANDS and text.strip()}


def _one_by_one(api: KubeApi, pools: t.Sequence[StoredPool], notes: list[str]) -> t.Iterator[Object]:
    for pool in pools:
        try:
            yield api.get(CONFIG_MAPS, config_map_name(pool.name), NAMESPACE)
        except NotFound:
            continue
        except Forbidden:
            notes.append(
                f"Whether a procedure is under way is not known: its journal is a ConfigMap in {NAMESPACE}, which this "
                "user may not read."
            )
            return


def _latest(journal: Journal) -> str | None:
    return max(journal.phases.items(), key=lambda item: str(item[1]), default=(None, ""))[0]


def timeline(api: KubeApi, begun: t.Sequence[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Moments in order: when (RFC 3339), which pool, what (``started``, ``phase``, ``run`` or ``event``), a text."""
    entries: list[dict[str, t.Any]] = []
    for journal in begun:
        pool = journal["pool"]
        entries.append(_entry(journal["started"], pool, "started", f"{journal['sentence']} was begun"))
        for phase, moment in journal["phases"].items():
            entries.append(_entry(moment, pool, "phase", f"phase {phase}"))
        for run in journal["runs"]:
            going = run.get("direction")
            entries.append(_entry(run.get("at"), pool, "run", f"run {run.get('run')}{f', {going}' if going else ''}"))
    entries += _events(api)
    return sorted((entry for entry in entries if entry["at"]), key=lambda entry: str(entry["at"]))


def _events(api: KubeApi) -> t.Iterator[dict[str, t.Any]]:
    try:
        things = api.list(EVENTS, EVENTS_NAMESPACE, field_selector="involvedObject.kind=IPPool").items
    except (Forbidden, NotFound, UnknownResource):
        return
    for thing in things:
        about = thing.get("involvedObject") or {}
        if about.get("kind") == "IPPool":
            moment = thing.get("lastTimestamp") or thing.get("eventTime") or thing.get("firstTimestamp")
            text = f"{thing.get('reason') or 'Event'}: {thing.get('message') or ''}"
            yield _entry(moment, about.get("name"), "event", text)


def _entry(at: t.Any, pool: t.Any, what: str, text: str) -> dict[str, t.Any]:
    return {"at": at, "pool": pool, "what": what, "text": text}
