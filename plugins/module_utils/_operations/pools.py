# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Bring one IP pool to the state that was asked for.

The decision is a pure function from what is stored and what is wanted to a plan and one
write; ``ensure_pool`` reads, decides, writes where this cluster's pools are written, waits until
the pool is in use, and starts again when somebody else was faster. Only keys that change are
sent, so that nothing falls back to a default (spec ippool.md §4.3).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, require_supported
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import BLOCK_AFFINITIES, IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    metadata_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
    InvalidPool,
    Refused,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import metadata_errors
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import (
    validate_create,
    validate_update,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_warnings import change_warnings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock, SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_in_use import require_calico_ipam
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi, block_cidrs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import (
    explained,
    refuse_other_spelling,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_notices import notices, pinned
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    FLAGS,
    StoredPool,
    engine_pools,
    find,
    shown_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_owner import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import (
    Edits,
    PoolRequest,
    edited,
    wanted_annotations,
    wanted_labels,
    wanted_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_uses import (
    in_the_way,
    last_uses,
    stranded,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import (
    OBJECTS,
    Part,
    Place,
    PoolWriter,
    Report,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_custom_resource import (
    wait_for_end,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writers import pool_writer
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import held_now
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store

ATTEMPTS = 5
# Seconds in which a written pool is to be in use.
TIMEOUT = 120.0


@dataclass(frozen=True)
class PoolWrite:
    """A plan with the one request that carries it out.

    ``pool`` is the pool as it will be, ``where`` what is written when its spec changes.
    """

    plan: Plan
    pool: dict[str, t.Any]
    where: str = ""
    create: Object | None = None
    patch: Object | None = None


def ensure_pool(
    api: PagedApi,
    request: PoolRequest,
    *,
    check_mode: bool,
    timeout: float = TIMEOUT,
    clock: Clock | None = None,
    report: Report = lambda event: None,
    successor: str | None = None,
) -> PoolWrite:
    """Create or change the pool so that it is as requested; with ``check_mode`` only say how.

    InvalidPool when the result would break one of Calico's rules, InvalidInput for
    a definition that is none, Refused on an installation that is not supported: all before
    anything is written. Refused as well when the pool is the last one for pods or tunnels and addresses of it are in
    use that the change would leave without a successor, and when the pool was written and is not in use after
    ``timeout`` seconds, where this cluster has somebody who says so.
    """
    installation = require_supported(api)
    clock = clock or SystemClock()
    ends = clock.monotonic() + timeout
    sent: Plan | None = None
    for _attempt in range(ATTEMPTS):
        writer = pool_writer(api, installation)
        pools = writer.pools()
        live = find(pools, request.name)
        going = live is not None and live.terminating
        if live is not None and going:
            if not check_mode:
                left = max(0.0, ends - clock.monotonic())
                wait_for_end(api, live, clock=clock, timeout=left, report=report)
                continue
            pools = [pool for pool in pools if pool is not live]
        heirs = _heirs(live, successor, pools) if check_mode else ()
        if heirs:
            writer = pool_writer(api, installation, heirs)
        try:
            write = decide(request, pools, lambda: block_cidrs(api), writer, heirs)
        except InvalidPool as error:
            raise writer.reworded(request.name, error) from None
        if going:
            write = replace(write, plan=replace(write.plan, steps=(_wait_step(request.name), *write.plan.steps)))
        if write.plan.changed and "LoadBalancer" not in write.pool["spec"]["allowedUses"]:
            require_calico_ipam(api, installation)
        if live is not None and not going and write.plan.changed:
            operated = owner_of(live, installation) == OPERATOR and "spec" in (write.patch or {})
            refuse_other_spelling(live, installation.mode.value, operated=operated)
        last = None if going else _last(api, live, write, [*pools, *heirs], clock)
        if last is not None:
            if not check_mode:
                raise last
            # A play that is only tried out may create another pool before this one is written.
            write = replace(write, plan=replace(write.plan, warnings=(*write.plan.warnings, last.message)))
        if write.create is not None:
            _refuse_leftover_affinities(api, request.name, write.create["spec"])
        write = replace(
            write,
            plan=replace(
                write.plan, warnings=(*write.plan.warnings, *_notices(api, installation, write, [*pools, *heirs]))
            ),
        )
        if check_mode:
            return write
        if not write.plan.changed:
            stored = live
        else:
            try:
                stored = _carry_out(writer, write, live)
            except (AlreadyExists, Conflict, NotFound):
                continue  # Somebody else wrote in between: what we decided on is no longer true.
            except Unreachable as error:
                if not error.maybe_done:
                    raise
                sent = write.plan
                continue
        if stored is not None and _must_settle(write, live):
            left = max(0.0, ends - clock.monotonic())
            stored = writer.settle(stored, clock=clock, timeout=left, report=report)
        pool = write.pool if stored is None or not write.plan.changed else stored.shown()
        return replace(write, plan=write.plan if sent is None else sent, pool=pool)
    raise Refused(
        f"IPPool {request.name!r} was changed by someone else {ATTEMPTS} times while it was being written; "
        "find out who changes it, then run this again."
    )


def _heirs(live: StoredPool | None, successor: str | None, pools: t.Sequence[StoredPool]) -> list[StoredPool]:
    """The successor that a play which is only tried out would have created by now, as far as it is like this pool."""
    if live is None or successor is None or find(pools, successor) is not None:
        return []
    return [StoredPool(successor, {**live.thing, "metadata": {**live.thing["metadata"], "name": successor}})]


def _carry_out(writer: PoolWriter, write: PoolWrite, live: StoredPool | None) -> StoredPool:
    if write.create is not None:
        return writer.create(write.create)
    if write.patch is None or live is None:
        raise ValueError("a plan without a write")
    try:
        return writer.patch(live.name, write.patch, live)
    except InvalidPool as error:
        raise explained(live, error) from None


def _must_settle(write: PoolWrite, live: StoredPool | None) -> bool:
    """A change of labels alone is nothing that anybody would have to take up, once the pool is made."""
    made = live is not None and "uid" in live.thing["metadata"]
    return not made or write.create is not None or write.patch is None or "spec" in write.patch


def _wait_step(name: str) -> Step:
    return Step("wait", f"IPPool {name}", "its deletion is under way and must come to its end first")


def _last(
    api: PagedApi, live: StoredPool | None, write: PoolWrite, pools: t.Sequence[StoredPool], clock: Clock
) -> Refused | None:
    """The refusal when nobody would give addresses after this write for what has some of this pool."""
    before, after = None if live is None else live.pool(), _engine_pool(write.pool)
    if before is None or after is None or not write.plan.changed:
        return None
    uses = last_uses(before, after, engine_pools(pools))
    return in_the_way(before, uses, held_now(api, open_store(api), before.cidr, clock)) if uses else None


def _notices(api: PagedApi, installation: Installation, write: PoolWrite, pools: t.Sequence[StoredPool]) -> list[str]:
    pool = _engine_pool(write.pool)
    if pool is None:
        return []
    if write.create is not None:
        return notices(api, pool)
    stored = find(pools, write.pool["name"])
    before = None if stored is None else stored.pool()
    if before is None or not write.plan.changed:
        return []
    stopped = pool.disabled and not before.disabled
    found = []
    changes = stopped or (before.node_selector, before.allowed_uses, before.assignment_mode) != (
        pool.node_selector,
        pool.allowed_uses,
        pool.assignment_mode,
    )
    if changes:
        found.extend(stranded(api, before, engine_pools(pools), None if stopped else pool))
    if stopped or "Workload" in before.allowed_uses - pool.allowed_uses:
        found.extend(pinned(api, installation, pool))
    return found


def _engine_pool(shown: t.Mapping[str, t.Any]) -> Pool | None:
    return StoredPool(shown["name"], {"metadata": {"name": shown["name"]}, "spec": shown["spec"]}).pool()


def _refuse_leftover_affinities(api: PagedApi, name: str, spec: t.Mapping[str, t.Any]) -> None:
    """A15: from an affinity of another size a node makes a block of that size again, across those of the new pool."""
    cidr, size = parse_network(spec["cidr"]), spec["blockSize"]
    left = []
    for thing in api.list(BLOCK_AFFINITIES).items:
        row = thing["spec"]
        network = parse_network(row["cidr"], strict=False)
        if str(row.get("deleted")).lower() != "true" and network.overlaps(cidr) and network.prefix != size:
            left.append(f"{thing['metadata']['name']} ({network} of node {row['node']})")
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise Refused(
            f"IPPool {name!r} with blockSize {size} cannot be created: {len(left)} block affinities "
            f"of another size are left in {cidr}, from which nodes would make such blocks again: {', '.join(left[:3])}"
            f"{more}; delete those BlockAffinity objects first.",
            affinities=left,
        )


def decide(
    request: PoolRequest,
    pools: t.Sequence[StoredPool],
    existing_blocks: t.Callable[[], t.Iterable[Network]],
    place: Place = OBJECTS,
    heirs: t.Sequence[StoredPool] = (),
) -> PoolWrite:
    """What has to be written for ``request``, given the pools that are stored, and where.

    ``heirs`` are pools that are taken to be there where it is told who is left without one.
    """
    live = find(pools, request.name)
    if live is None:
        return _decide_create(request, pools, existing_blocks, place)
    return _decide_update(request, live, pools, place, heirs)


def _decide_create(
    request: PoolRequest,
    pools: t.Sequence[StoredPool],
    existing_blocks: t.Callable[[], t.Iterable[Network]],
    place: Place,
) -> PoolWrite:
    spec = default_spec(wanted_spec(request, {}))
    if not spec.get("cidr"):
        raise InvalidInput(
            f"cidr: IPPool {request.name!r} does not exist yet, so its CIDR must be given.", field="cidr", rule="V1"
        )
    metadata: dict[str, t.Any] = {"name": request.name}
    for part, edits in (("labels", wanted_labels(request)), ("annotations", wanted_annotations(request))):
        kept = edited({}, edits)
        if kept:
            metadata[part] = kept
    validate_create(request.name, spec, engine_pools(pools), existing_blocks(), metadata=metadata)
    body = {"apiVersion": IP_POOLS.api_version, "kind": IP_POOLS.kind, "metadata": metadata, "spec": spec}
    pool = {
        "name": request.name,
        "spec": shown_spec(spec),
        "labels": metadata.get("labels", {}),
        "annotations": metadata.get("annotations", {}),
    }
    steps = tuple(
        Step(
            "create" if part.before is None else "update",
            part.target,
            "it does not exist" if part.before is None else f"IPPool {request.name} is not in it",
            before=part.before,
            after=part.after,
            undo=f"delete IPPool {request.name} while nothing uses it",
        )
        for part in place.parts(request.name, None, pool)
    )
    plan = Plan(steps, (*_warnings(None, pool, pools), *place.warnings(request.name)))
    return PoolWrite(plan, pool, place.where(request.name), create=body)


def _decide_update(
    request: PoolRequest,
    live: StoredPool,
    pools: t.Sequence[StoredPool],
    place: Place,
    heirs: t.Sequence[StoredPool],
) -> PoolWrite:
    old = default_spec(live.spec)
    new = default_spec(wanted_spec(request, live.spec))
    # Whatever means the same stays as it is written, so that what is shown is what will be stored.
    new.update({key: old[key] for key in old if key in new and _same_value(key, old[key], new[key])})
    labels, annotations = wanted_labels(request), wanted_annotations(request)
    if _same(old, new):
        new = old
    else:
        try:
            validate_update(request.name, live.spec, new)
        except InvalidPool as error:
            raise explained(live, error) from None
    _validate_metadata(request.name, labels, annotations)
    changed = {key: new.get(key) for key in {**old, **new} if not _same_value(key, old.get(key), new.get(key))}
    for flag in FLAGS:
        if flag in changed:
            changed[flag] = bool(changed[flag])
    metadata = metadata_patch(live.thing, labels, annotations)
    pool = {
        "name": request.name,
        "spec": shown_spec(new),
        "labels": edited(live.labels, labels),
        "annotations": edited(live.annotations, annotations),
    }
    where = place.where(request.name)
    if not changed and not metadata:
        return PoolWrite(Plan(), pool, where)
    patch: Object = {"metadata": {**metadata, "resourceVersion": live.thing["metadata"].get("resourceVersion")}}
    if changed:
        patch["spec"] = changed
    parts = place.parts(request.name, live.shown(), pool)
    # Where labels are written elsewhere than the spec, they come last.
    steps = tuple(
        _update_step(
            request.name,
            part,
            sorted(changed) if part is parts[0] else [],
            labels=bool(metadata) and part is parts[-1],
        )
        for part in parts
    )
    warnings = (*_warnings(live, pool, [*pools, *heirs]), *place.warnings(request.name))
    return PoolWrite(Plan(steps, warnings), pool, where, patch=patch)


def _update_step(name: str, part: Part, fields: t.Sequence[str], *, labels: bool) -> Step:
    names = [*fields, *(["labels or annotations"] if labels else [])]
    return Step(
        "update",
        part.target,
        f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'} from what is wanted",
        before=part.before,
        after=part.after,
        undo=f"set {', '.join(names)} of IPPool {name} back",
    )


def _warnings(live: StoredPool | None, shown: t.Mapping[str, t.Any], pools: t.Sequence[StoredPool]) -> list[str]:
    """What the change does to pods and nodes."""
    pool = _engine_pool(shown)
    before = None if live is None else live.pool()
    if pool is None or (live is not None and before is None):
        return []
    return change_warnings(before, pool, engine_pools(pools))


def _validate_metadata(name: str, labels: Edits, annotations: Edits) -> None:
    errors = metadata_errors(name, {"labels": edited({}, labels), "annotations": edited({}, annotations)})
    if errors:
        raise InvalidPool(errors)


def _same(old: t.Mapping[str, t.Any], new: t.Mapping[str, t.Any]) -> bool:
    return all(_same_value(key, old.get(key), new.get(key)) for key in {**old, **new})


def _same_value(key: str, old: t.Any, new: t.Any) -> bool:
    if key == "allowedUses" and isinstance(old, list) and isinstance(new, list):
        return sorted(map(str, old)) == sorted(map(str, new))
    if key in FLAGS:
        return bool(old) == bool(new)
    return bool(old == new)
