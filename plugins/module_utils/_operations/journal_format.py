# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A journal as a value, and as the ConfigMap that keeps it.

Format 2; format 1, which had the request and the pool's definition only, is read. The key
``journal.json`` is the journal, the key ``summary`` says the same to people who look with kubectl.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    BOOKKEEPING,
    StoredPool,
    shown_spec,
)

MIGRATE = "migrate_pool"
RESIZE = "change_block_size"
PROCEDURES = (MIGRATE, RESIZE)

FORWARD = "forward"
ROLLBACK = "rollback"
DIRECTIONS = (FORWARD, ROLLBACK)

# How a pool is kept from giving out addresses.
DISABLED = "disabled"
NODE_SELECTOR = "node_selector"
STOP_WAYS = (DISABLED, NODE_SELECTOR)
NOWHERE = "!all()"

FORMAT = 2
NAMESPACE = "kube-system"
NAME_PREFIX = "calico-ops-ipam-"
LABEL = "ipam.calico-ops.io/journal"
KEY = "journal.json"
SUMMARY = "summary"
MAX_NAME = 253
# An object may have 1 MiB; what is listed without a bound of its own is cut here.
MOST_MOVED = 500
MOST_RUNS = 20
# Printed in a command, where Linux takes no argument of more than 128 KiB.
MOST_OPTIONS = 50_000
_VARIABLE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Journal:
    """What was written down.

    ``definition`` has the pool's original spec, labels and annotations, ``target_definition`` those of
    a target that existed before. ``phases`` are the moments at which a phase was first noted, ``runs``
    who worked on it, ``moved`` the workloads whose pods have moved, ``back`` among their members when back
    (``moved_pods`` counts all that moved out). ``options``
    are the other variables that the last run was given, by their whole names, and ``call`` is how its playbook was
    called (``journal_call.py``).
    """

    procedure: str
    pool: str
    target: t.Mapping[str, t.Any]
    block_size: int | None
    definition: t.Mapping[str, t.Any]
    started: str
    version: str
    direction: str = FORWARD
    stop_way: str = DISABLED
    target_definition: t.Mapping[str, t.Any] | None = None
    keep_pool: bool = False
    waivers: tuple[str, ...] = ()
    phases: t.Mapping[str, str] = field(default_factory=dict)
    runs: tuple[t.Mapping[str, t.Any], ...] = ()
    moved: tuple[t.Mapping[str, t.Any], ...] = ()
    moved_pods: int = 0
    options: t.Mapping[str, t.Any] = field(default_factory=dict)
    call: t.Mapping[str, t.Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "format": FORMAT,
            "procedure": self.procedure,
            "pool": self.pool,
            "target": dict(self.target),
            "block_size": self.block_size,
            "definition": dict(self.definition),
            "target_definition": None if self.target_definition is None else dict(self.target_definition),
            "direction": self.direction,
            "stop_way": self.stop_way,
            "keep_pool": self.keep_pool,
            "waivers": list(self.waivers),
            "phases": dict(self.phases),
            "runs": [dict(run) for run in self.runs],
            "moved": [dict(each) for each in self.moved],
            "moved_pods": self.moved_pods,
            "options": dict(self.options),
            "call": dict(self.call),
            "started": self.started,
            "version": self.version,
        }

    def sentence(self) -> str:
        """What the journal is about, for messages that name it."""
        return sentence_of(self.procedure, self.pool, self.target, self.block_size)


def sentence_of(procedure: str, pool: str, target: t.Mapping[str, t.Any], block_size: int | None) -> str:
    """What a procedure does, in words."""
    place = f"pool {target.get('name')!r} ({target.get('cidr')})" if target else "another pool"
    if procedure == RESIZE:
        size = "another blockSize" if block_size is None else f"blockSize {block_size}"
        return f"the change of IPPool {pool!r} to {size} by way of {place}"
    return f"the move of IPPool {pool!r} to {place}"


def definition_of(pool: StoredPool) -> dict[str, t.Any]:
    """Everything needed to create the pool again: spec after read defaults, labels, annotations."""
    return {
        "spec": shown_spec(pool.spec),
        "labels": pool.labels,
        "annotations": {key: value for key, value in pool.annotations.items() if key not in BOOKKEEPING},
    }


def with_moved(journal: Journal, moved: t.Iterable[t.Mapping[str, t.Any]], *, back: bool = False) -> Journal:
    """The journal with workloads that a drain moved: out of the pool, or ``back``, as when it is undone."""
    back = back or journal.direction == ROLLBACK
    rows = [{key: row[key] for key in ("owner", "way", "pods") if key in row} for row in moved]
    rows = [{**row, "back": True} for row in rows] if back else rows
    count = 0 if back else sum(row["pods"] for row in rows if isinstance(row.get("pods"), int))
    noted = (*journal.moved, *(row for row in rows if row not in journal.moved))
    return replace(journal, moved=noted[:MOST_MOVED], moved_pods=journal.moved_pods + count)


def config_map_name(pool: str) -> str:
    """``calico-ops-ipam-<pool>``; the end of a pool name that would make it too long becomes a hash."""
    name = NAME_PREFIX + pool
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(pool.encode()).hexdigest()[:11]
    return f"{name[: MAX_NAME - len(digest) - 1].rstrip('.-')}-{digest}"


def config_map(namespace: str, journal: Journal, data: t.Mapping[str, str]) -> Object:
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {
            "name": config_map_name(journal.pool),
            "namespace": namespace,
            "labels": {LABEL: journal.procedure.replace("_", "-")},
        },
        "data": dict(data),
    }


def data_of(journal: Journal, commands: t.Mapping[str, str]) -> dict[str, str]:
    """The data of the ConfigMap. ``commands`` are those that ``resume`` and ``undo`` it, or lead ``back``."""
    rows = summary_of(journal, commands)
    return {
        KEY: json.dumps(journal.as_dict(), indent=2) + "\n",
        SUMMARY: "".join(f"{name:<10} {text}\n" for name, text in rows.items()),
    }


def decode(thing: Object) -> Journal:
    """The journal in a ConfigMap; Refused when this release cannot read it."""
    name = f"{thing['metadata'].get('namespace')}/{thing['metadata']['name']}"
    try:
        data = json.loads((thing.get("data") or {})[KEY])
        form = data.get("format", 1)
        if isinstance(form, int) and form > FORMAT:
            raise Refused(
                f"ConfigMap {name} is a journal in format {form} of release {data.get('version')}, and this release "
                f"reads up to {FORMAT}: go on with a release that is at least as new."
            )
        journal = Journal(
            procedure=data["procedure"],
            pool=data["pool"],
            target=dict(data["target"]),
            block_size=data["block_size"],
            definition=data["definition"],
            started=data["started"],
            version=data["version"],
            direction=_one_of(data.get("direction", FORWARD), DIRECTIONS),
            stop_way=_one_of(data.get("stop_way", DISABLED), STOP_WAYS),
            target_definition=data.get("target_definition"),
            keep_pool=bool(data.get("keep_pool", False)),
            waivers=tuple(data.get("waivers") or ()),
            phases=dict(data.get("phases") or {}),
            runs=tuple(dict(run) for run in data.get("runs") or ()),
            moved=tuple(dict(each) for each in data.get("moved") or ()),
            moved_pods=int(data.get("moved_pods") or 0),
            options=options_of(data["procedure"], data.get("options") or {}),
            call=dict(data.get("call") or {}),
        )
        readable = isinstance(journal.definition["spec"], dict) and (
            journal.target_definition is None or isinstance(journal.target_definition["spec"], dict)
        )
    except (AttributeError, InvalidInput, KeyError, TypeError, ValueError):
        readable = False
    if not readable:
        raise Refused(
            f"ConfigMap {name} is not a journal this release can read (key {KEY}); restore it, or remove it when "
            "the pool it was written for is as it should be."
        )
    return journal


def options_of(procedure: str, given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """``given`` as it can be stored and printed in a command; InvalidInput when it cannot."""
    for name in given:
        if not (isinstance(name, str) and name.startswith(f"{procedure}_") and _VARIABLE.fullmatch(name)):
            raise InvalidInput(
                f"options: {name!r} is no variable of the role {procedure}; their names begin with {procedure}_.",
                field="options",
            )
    length = len(json.dumps(dict(given)))
    if length > MOST_OPTIONS:
        longest = max(given, key=lambda name: len(json.dumps(given[name])))
        raise InvalidInput(
            f"options: the variables of the run have {length} characters, and the commands that resume it may have "
            f"{MOST_OPTIONS}: shorten {longest}.",
            field="options",
        )
    return dict(given)


def _one_of(value: t.Any, allowed: t.Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(value)
    return str(value)


def summary_of(journal: Journal, commands: t.Mapping[str, str]) -> dict[str, str]:
    """The journal for people: a word that says what, and a few more."""
    phase, since = next(reversed(list(journal.phases.items())), ("begun", journal.started))
    last = f"{journal.runs[-1].get('run')} at {journal.runs[-1].get('at')}" if journal.runs else "none that was noted"
    owners = sum(1 for each in journal.moved if not each.get("back"))
    moved = f"{counted(journal.moved_pods, 'pod')} of {counted(owners, 'workload')}, as far as noted"
    back = commands.get("back")
    return {
        "what": journal.sentence(),
        "direction": "being undone" if journal.direction == ROLLBACK else "forward",
        "phase": f"{phase} since {since}",
        "started": f"{journal.started} by release {journal.version}",
        "last run": last,
        "moved": moved,
        "waived": ", ".join(journal.waivers) or "nothing",
        "resume": commands["resume"],
        "undo": f"too late; once it is finished: {back}" if back else commands["undo"],
    }
