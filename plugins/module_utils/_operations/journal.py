# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The journal of a procedure: what it must still know when it is run again after an interruption.

One ConfigMap a pool, in the cluster itself. It is written before the first change and
holds the request and the pool's original definition; together with the live pool it
says how far the procedure came (``phase_of``, a pure function).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    BOOKKEEPING,
    SPEC_FIELDS,
    StoredPool,
    find,
    read_pools,
    require,
    shown_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.version import VERSION

MIGRATE = "migrate_pool"
RESIZE = "change_block_size"
PROCEDURES = (MIGRATE, RESIZE)

NOT_STARTED = "not_started"
MOVING_OUT = "moving_out"
RECREATE = "recreate"
MOVING_BACK = "moving_back"
DONE = "done"

NAMESPACE = "kube-system"
NAME_PREFIX = "calico-ops-ipam-"
LABEL = "ipam.calico-ops.io/journal"
KEY = "journal.json"
MAX_NAME = 253
TARGET_KEYS = ("name", *SPEC_FIELDS, "labels", "annotations")


@dataclass(frozen=True)
class JournalRequest:
    """Which procedure is meant, and for what.

    ``target`` are the options of the pool that the pods move to (the temporary pool of
    ``change_block_size``); ``block_size`` is the new size for ``change_block_size``.
    """

    procedure: str
    pool: str
    target: t.Mapping[str, t.Any] = field(default_factory=dict)
    block_size: int | None = None
    namespace: str = NAMESPACE

    def same_as(self, journal: Journal) -> bool:
        """Whether a journal was written for this very request: same pools, ranges and sizes."""
        return (self.procedure, self.pool, self.block_size, _identity(self.target)) == (
            journal.procedure,
            journal.pool,
            journal.block_size,
            _identity(journal.target),
        )


@dataclass(frozen=True)
class Journal:
    """What was written down. ``definition`` has the pool's original spec, labels and annotations."""

    procedure: str
    pool: str
    target: t.Mapping[str, t.Any]
    block_size: int | None
    definition: t.Mapping[str, t.Any]
    started: str
    version: str

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "procedure": self.procedure,
            "pool": self.pool,
            "target": dict(self.target),
            "block_size": self.block_size,
            "definition": dict(self.definition),
            "started": self.started,
            "version": self.version,
        }

    def sentence(self) -> str:
        """What the journal is about, for messages that name it."""
        return _sentence(self.procedure, self.pool, self.target, self.block_size)


@dataclass(frozen=True)
class JournalOutcome:
    plan: Plan
    journal: Journal | None
    phase: str

    def as_result(self) -> dict[str, t.Any]:
        shown = {**self.journal.as_dict(), "phase": self.phase} if self.journal is not None else None
        return {"journal": shown, "phase": self.phase}


def journal_request(params: t.Mapping[str, t.Any]) -> JournalRequest:
    """The request among a module's parameters. InvalidInput when the new block size is missing."""
    if params["procedure"] == RESIZE and params["block_size"] is None and params.get("state") != "absent":
        raise InvalidInput("block_size: it is needed for change_block_size.", field="block_size")
    target = params["target"] or {}
    return JournalRequest(
        procedure=params["procedure"],
        pool=params["pool"],
        target={key: target[key] for key in TARGET_KEYS if target.get(key) is not None},
        block_size=params["block_size"] if params["procedure"] == RESIZE else None,
        namespace=params["namespace"],
    )


def phase_of(
    request: JournalRequest, journal: Journal | None, live: StoredPool | None, target: StoredPool | None
) -> str:
    """How far the procedure came, from its journal and the two pools as they are now.

    ``not_started``: nothing is written down and nothing shows that it was done. ``moving_out``:
    the old pool is still there as recorded. ``recreate``: it is gone. ``moving_back``: it has
    the new block size and the journal is not closed. ``done``: no journal, and the cluster is
    as wanted. Refused when the live pool is neither the recorded nor the wanted one.
    """
    size = shown_spec(live.spec).get("blockSize") if live is not None else None
    if journal is None:
        if request.procedure == RESIZE:
            return DONE if live is not None and size == request.block_size else NOT_STARTED
        return DONE if live is None and target is not None and _is_target(target, request.target) else NOT_STARTED
    if live is None:
        return RECREATE
    if journal.procedure == MIGRATE:
        return MOVING_OUT
    recorded = journal.definition["spec"].get("blockSize")
    if size == recorded:
        return MOVING_OUT
    if size == journal.block_size:
        return MOVING_BACK
    raise Refused(
        f"IPPool {live.name!r} has blockSize {size}, but the journal of {journal.sentence()} recorded {recorded} and "
        f"wants {journal.block_size}: somebody else re-created the pool, so decide by hand which one is right."
    )


def look(api: KubeApi, request: JournalRequest) -> JournalOutcome:
    """The journal and the phase, without changing anything."""
    pools = read_pools(api)
    journal = read_journal(api, request.pool, request.namespace)
    _require_same(request, journal)
    return JournalOutcome(Plan(), journal, _phase(request, journal, pools))


def open_journal(api: KubeApi, request: JournalRequest, clock: Clock, *, check_mode: bool) -> JournalOutcome:
    """Write the journal; one that is there already for the same request only takes in how the pool has been changed.

    Refused when the pool has an unfinished journal of another request; InvalidInput when the
    pool does not exist. When the cluster is already as wanted, nothing is written.
    """
    pools = read_pools(api)
    journal = read_journal(api, request.pool, request.namespace)
    _require_same(request, journal)
    if journal is not None:
        return _refreshed(api, request, journal, pools, check_mode)
    if _phase(request, None, pools) == DONE:
        return JournalOutcome(Plan(), None, DONE)
    live = require(pools, request.pool)
    if request.procedure == RESIZE:
        _refuse_to_begin(request, live, pools)
    journal = Journal(
        procedure=request.procedure,
        pool=request.pool,
        target=request.target,
        block_size=request.block_size,
        definition=definition_of(live),
        started=clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        version=VERSION,
    )
    name = config_map_name(request.pool)
    step = Step(
        "create",
        f"ConfigMap {request.namespace}/{name}",
        f"keep the definition of IPPool {request.pool} in the cluster",
        after={"data": {KEY: journal.as_dict()}},
        undo=f"delete ConfigMap {request.namespace}/{name}",
    )
    outcome = JournalOutcome(Plan((step,)), journal, _phase(request, journal, pools))
    if not check_mode:
        try:
            api.create(CONFIG_MAPS, _config_map(name, request.namespace, journal), request.namespace)
        except AlreadyExists:
            # Another run wrote it between our look and our write: the same rules apply to it.
            return look(api, request)
    return outcome


def _refuse_to_begin(request: JournalRequest, live: StoredPool, pools: t.Sequence[StoredPool]) -> None:
    """What a change of block size would spoil for somebody, as long as it has not begun."""
    name = str(request.target.get("name"))
    if find(pools, name) is not None:
        raise Refused(
            f"IPPool {name!r} exists already, and as temporary pool it would be emptied and deleted in the end: choose "
            "another name for the temporary pool, or delete that one first.",
            pool=name,
        )
    if live.spec.get("disabled"):
        raise Refused(
            f"IPPool {live.name!r} is disabled, and with its new block size it would be in use again: enable it first, "
            "or, when nobody has an address of it, delete it and create it anew.",
            pool=live.name,
        )


def _refreshed(
    api: KubeApi, request: JournalRequest, journal: Journal, pools: t.Sequence[StoredPool], check_mode: bool
) -> JournalOutcome:
    """The journal with the definition that the pool has by now: what people change on the way is to survive it (D18).

    Only while the original pool is there; whether it is disabled stays as it was at the start.
    """
    phase = _phase(request, journal, pools)
    live = find(pools, request.pool)
    if phase != MOVING_OUT or live is None:
        return JournalOutcome(Plan(), journal, phase)
    definition = definition_of(live)
    definition["spec"]["disabled"] = journal.definition["spec"].get("disabled", False)
    if definition == dict(journal.definition):
        return JournalOutcome(Plan(), journal, phase)
    before, journal = journal, replace(journal, definition=definition)
    name = config_map_name(request.pool)
    step = Step(
        "update",
        f"ConfigMap {request.namespace}/{name}",
        f"the definition of IPPool {request.pool} has been changed since",
        before={"data": {KEY: before.as_dict()}},
        after={"data": {KEY: journal.as_dict()}},
    )
    if not check_mode:
        api.patch(CONFIG_MAPS, name, {"data": _data(journal)}, request.namespace)
    return JournalOutcome(Plan((step,)), journal, phase)


def close_journal(api: KubeApi, request: JournalRequest, *, check_mode: bool) -> JournalOutcome:
    """Remove the journal; nothing to do when there is none.

    Refused when it belongs to another procedure, and while it holds the only copy of a
    definition that is still to be re-created.
    """
    name = config_map_name(request.pool)
    try:
        thing = api.get(CONFIG_MAPS, name, request.namespace)
    except NotFound:
        return JournalOutcome(Plan(), None, _phase(request, None, read_pools(api)))
    journal = _decode(thing)
    if journal.procedure != request.procedure:
        raise Refused(
            f"ConfigMap {request.namespace}/{name} is the journal of {journal.sentence()}, not of {request.procedure}."
        )
    live = find(read_pools(api), request.pool)
    if journal.procedure == RESIZE and live is None:
        raise Refused(
            f"IPPool {request.pool!r} does not exist at the moment and ConfigMap {request.namespace}/{name} holds its "
            "only definition; run the change_block_size role to its end instead of removing the journal."
        )
    step = Step(
        "delete",
        f"ConfigMap {request.namespace}/{name}",
        f"{journal.procedure} of IPPool {request.pool} is over",
        before={"data": {KEY: journal.as_dict()}},
    )
    if not check_mode:
        with contextlib.suppress(NotFound):
            api.delete(CONFIG_MAPS, name, request.namespace, uid=thing["metadata"]["uid"])
    return JournalOutcome(Plan((step,)), None, _phase(request, None, read_pools(api)))


def read_journal(api: KubeApi, pool: str, namespace: str = NAMESPACE) -> Journal | None:
    """The journal of ``pool``; Refused when the ConfigMap is there and cannot be read."""
    try:
        return _decode(api.get(CONFIG_MAPS, config_map_name(pool), namespace))
    except NotFound:
        return None


def definition_of(pool: StoredPool) -> dict[str, t.Any]:
    """Everything needed to create the pool again: spec after read defaults, labels, annotations."""
    return {
        "spec": shown_spec(pool.spec),
        "labels": pool.labels,
        "annotations": {key: value for key, value in pool.annotations.items() if key not in BOOKKEEPING},
    }


def config_map_name(pool: str) -> str:
    """``calico-ops-ipam-<pool>``; the end of a pool name that would make it too long becomes a hash."""
    name = NAME_PREFIX + pool
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(pool.encode()).hexdigest()[:11]
    return f"{name[: MAX_NAME - len(digest) - 1].rstrip('.-')}-{digest}"


def _phase(request: JournalRequest, journal: Journal | None, pools: t.Sequence[StoredPool]) -> str:
    target = request.target.get("name")
    return phase_of(request, journal, find(pools, request.pool), find(pools, target) if target else None)


def _require_same(request: JournalRequest, journal: Journal | None) -> None:
    if journal is None or request.same_as(journal):
        return
    asked = _sentence(request.procedure, request.pool, request.target, request.block_size)
    config_map = f"{request.namespace}/{config_map_name(request.pool)}"
    raise Refused(
        f"{_capital(journal.sentence())}, begun {journal.started}, is not finished, so {asked} cannot begin: "
        f"run the first one again to finish it (its journal is ConfigMap {config_map})."
    )


def _identity(target: t.Mapping[str, t.Any]) -> tuple[t.Any, ...]:
    cidr = target.get("cidr")
    # A CIDR that does not parse is named where the pool is created.
    with contextlib.suppress(InvalidInput):
        cidr = str(parse_network(cidr)) if cidr else None
    return (target.get("name"), cidr, target.get("block_size"))


def _is_target(pool: StoredPool, target: t.Mapping[str, t.Any]) -> bool:
    return not target.get("cidr") or shown_spec(pool.spec).get("cidr") == _identity(target)[1]


def _sentence(procedure: str, pool: str, target: t.Mapping[str, t.Any], block_size: int | None) -> str:
    place = f"pool {target.get('name')!r} ({target.get('cidr')})" if target else "another pool"
    if procedure == RESIZE:
        return f"the change of IPPool {pool!r} to blockSize {block_size} by way of {place}"
    return f"the move of IPPool {pool!r} to {place}"


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _config_map(name: str, namespace: str, journal: Journal) -> Object:
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: journal.procedure.replace("_", "-")}},
        "data": _data(journal),
    }


def _data(journal: Journal) -> dict[str, str]:
    return {KEY: json.dumps(journal.as_dict(), indent=2) + "\n"}


def _decode(thing: Object) -> Journal:
    name = f"{thing['metadata'].get('namespace')}/{thing['metadata']['name']}"
    try:
        data = json.loads((thing.get("data") or {})[KEY])
        journal = Journal(
            procedure=data["procedure"],
            pool=data["pool"],
            target=data["target"],
            block_size=data["block_size"],
            definition=data["definition"],
            started=data["started"],
            version=data["version"],
        )
        readable = isinstance(journal.definition["spec"], dict)
    except (KeyError, TypeError, ValueError):
        readable = False
    if not readable:
        raise Refused(
            f"ConfigMap {name} is not a journal this release can read (key {KEY}); restore it, or remove it when "
            "the pool it was written for is as it should be."
        )
    return journal
