# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What has to be written for a pool to be as it is wanted, decided on what is stored; nothing is read or written."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    metadata_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
    InvalidPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import metadata_errors
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import (
    validate_create,
    validate_update,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_warnings import change_warnings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import (
    explained,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    FLAGS,
    StoredPool,
    engine_pools,
    find,
    shown_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import (
    Edits,
    PoolRequest,
    edited,
    wanted_annotations,
    wanted_labels,
    wanted_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import (
    OBJECTS,
    Part,
    Place,
)


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
    pool = parsed_pool(shown)
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


def parsed_pool(shown: t.Mapping[str, t.Any]) -> Pool | None:
    """A pool as it is shown, as the engine takes it; None when its CIDR does not parse."""
    return StoredPool(shown["name"], {"metadata": {"name": shown["name"]}, "spec": shown["spec"]}).pool()
