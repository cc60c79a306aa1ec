# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is about to be done, held against the cluster as it is: the common ground of all checks."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, default_spec, pool_from_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    DONE,
    MIGRATE,
    NOT_STARTED,
    RESIZE,
    JournalRequest,
    phase_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    SPEC_FIELDS,
    StoredPool,
    find,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView

DECLARE = "declare_pools"
PROCEDURES = (MIGRATE, RESIZE, DECLARE)


@dataclass(frozen=True)
class PreflightRequest:
    """What the user is going to do; options as in the module ``ippool_preflight_info``.

    ``external_ranges`` are networks outside the cluster that no pool may overlap; ``more_nodes``
    are expected beyond those that are there. ``consent`` is the drain's (``drain_consent.py``).
    """

    procedure: str
    pool: str | None = None
    target: t.Mapping[str, t.Any] = field(default_factory=dict)
    block_size: int | None = None
    pools: t.Sequence[t.Mapping[str, t.Any]] = ()
    waivers: t.Sequence[str] = ()
    external_ranges: t.Sequence[Network] = ()
    consent: t.Sequence[str] = ()
    more_nodes: int = 0

    def journal_request(self) -> JournalRequest:
        return JournalRequest(self.procedure, self.pool or "", self.target, self.block_size)


@dataclass(frozen=True)
class Wanted:
    """A pool as it shall be after the procedure or during it.

    ``role`` says which one it is in a sentence. ``pool`` is None while the CIDR does not
    parse or is missing. ``live`` is the stored pool of that name. ``leaves`` is true for a pool
    that stops giving out addresses (disabled, or deleted: ``deleted``).
    """

    role: str
    name: str
    spec: t.Mapping[str, t.Any]
    pool: Pool | None
    live: StoredPool | None
    leaves: bool = False
    deleted: bool = False

    @property
    def is_new(self) -> bool:
        return self.live is None and not self.deleted


@dataclass(frozen=True)
class Situation:
    """The request, the view, and what follows from the two."""

    request: PreflightRequest
    view: ClusterView
    phase: str
    # The pool whose addresses are to be moved, as it is or as the journal kept it.
    source: Wanted | None
    # Every pool that shall exist or change: the target, the pool with its new block size, declared pools.
    wanted: tuple[Wanted, ...]
    # What several checks go by and is worked out once, by name.
    known: dict[str, t.Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def target(self) -> Wanted | None:
        """The pool that the pods move to first."""
        return self.wanted[0] if self.wanted and self.request.procedure != DECLARE else None

    @property
    def resumed(self) -> bool:
        return self.phase not in (NOT_STARTED, DONE)

    def leaving(self) -> tuple[Wanted, ...]:
        """Pools that stop giving out addresses."""
        left = [pool for pool in self.wanted if pool.leaves]
        return (self.source, *left) if self.source is not None else tuple(left)

    def source_pods(self) -> list[Object]:
        """Pods of the pod network that have an address in a pool that is going to be drained."""
        if "source_pods" not in self.known:
            networks = [pool.pool.cidr for pool in self.leaving() if pool.pool is not None]
            self.known["source_pods"] = [
                pod
                for pod in self.view.pods
                if any(network.contains(address) for address in pod_addresses(pod) for network in networks)
            ]
        return list(self.known["source_pods"])


def situation(request: PreflightRequest, view: ClusterView) -> Situation:
    """Work out who is who. Refused when the live pool contradicts the journal."""
    if request.procedure == DECLARE:
        return Situation(request, view, NOT_STARTED, None, tuple(_declared(entry, view) for entry in request.pools))
    live = find(view.pools, request.pool or "")
    target_live = find(view.pools, str(request.target.get("name") or ""))
    phase = phase_of(request.journal_request(), view.journal, live, target_live)
    source = _source(request, view, live)
    base = dict(source.spec) if source is not None else {}
    target = _wanted(
        "the temporary pool" if request.procedure == RESIZE else "the new pool",
        str(request.target.get("name") or ""),
        {**base, "disabled": False, "cidr": None, **_fields(request.target)},
        target_live,
    )
    wanted = [target]
    if request.procedure == RESIZE and source is not None and request.block_size is not None:
        # Live only when it already has its new size; else it is a pool still to be created.
        resized = {**base, "disabled": False, "blockSize": request.block_size}
        done = live if live is not None and default_spec(live.spec).get("blockSize") == request.block_size else None
        wanted.append(_wanted("the pool with its new block size", source.name, resized, done))
    return Situation(request, view, phase, source, tuple(wanted))


def full_name(thing: Object) -> str:
    """``namespace/name``."""
    return f"{thing['metadata'].get('namespace')}/{thing['metadata']['name']}"


def _source(request: PreflightRequest, view: ClusterView, live: StoredPool | None) -> Wanted | None:
    if live is not None:
        spec = dict(live.spec)
    elif view.journal is not None:
        spec = dict(view.journal.definition["spec"])
    else:
        return None
    return _wanted("the pool", request.pool or "", spec, live, leaves=True)


def _declared(entry: t.Mapping[str, t.Any], view: ClusterView) -> Wanted:
    live = find(view.pools, str(entry["name"]))
    deleted = entry.get("state") == "absent"
    spec = {**(live.spec if live is not None else {}), **_fields(entry)}
    return _wanted("the declared pool", str(entry["name"]), spec, live, bool(spec.get("disabled")) or deleted, deleted)


def _wanted(
    role: str,
    name: str,
    spec: t.Mapping[str, t.Any],
    live: StoredPool | None,
    leaves: bool = False,
    deleted: bool = False,
) -> Wanted:
    full = default_spec(spec)
    try:
        pool: Pool | None = pool_from_spec(name, full)
    except InvalidInput:
        pool = None
    return Wanted(role, name, full, pool, live, leaves, deleted)


def _fields(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {field: options[option] for option, field in SPEC_FIELDS.items() if options.get(option) is not None}
