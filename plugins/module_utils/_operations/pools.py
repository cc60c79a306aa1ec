# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Bring one IP pool to the state that was asked for.

The decision is a pure function from what is stored and what is wanted to a plan and one
write; ``ensure_pool`` reads, decides, writes, and starts again when somebody else was
faster. Only keys that change are sent, so that nothing falls back to a default (spec
ippool.md §4.3).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_supported
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import BLOCK_AFFINITIES, IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    annotations_of,
    labels_of,
    metadata_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
    InvalidPool,
    Refused,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import metadata_errors
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import (
    validate_create,
    validate_update,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi, block_cidrs
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    BOOKKEEPING,
    FLAGS,
    SPEC_FIELDS,
    StoredPool,
    engine_pools,
    find,
    read_pools,
    shown_spec,
)

ATTEMPTS = 5

Edits = t.Mapping[str, t.Optional[str]]


@dataclass(frozen=True)
class PoolRequest:
    """What a user asked for: only the fields that were given, in Calico's spelling.

    A ``definition`` is a complete pool: fields it leaves out have their defaults. Without
    one, fields not given stay as they are. A label or annotation of None is removed.
    """

    name: str
    fields: t.Mapping[str, t.Any] = field(default_factory=dict)
    labels: Edits = field(default_factory=dict)
    annotations: Edits = field(default_factory=dict)
    definition: t.Mapping[str, t.Any] | None = None


@dataclass(frozen=True)
class PoolWrite:
    """A plan with the one request that carries it out; ``pool`` is the pool as it will be."""

    plan: Plan
    pool: dict[str, t.Any]
    create: Object | None = None
    patch: Object | None = None


def pool_request(params: t.Mapping[str, t.Any]) -> PoolRequest:
    """The request among a module's parameters."""
    return PoolRequest(
        name=params["name"],
        fields={ours: params[option] for option, ours in SPEC_FIELDS.items() if params.get(option) is not None},
        labels=_texts(params.get("labels") or {}, "labels"),
        annotations=_texts(params.get("annotations") or {}, "annotations"),
        definition=params.get("definition"),
    )


def ensure_pool(api: PagedApi, request: PoolRequest, *, check_mode: bool) -> PoolWrite:
    """Create or change the pool so that it is as requested; with ``check_mode`` only say how.

    InvalidPool when the result would break one of Calico's rules, InvalidInput for
    a definition that is none, Refused on an installation that is not supported: all before
    anything is written.
    """
    require_supported(api)
    sent: Plan | None = None
    for _attempt in range(ATTEMPTS):
        write = decide(request, read_pools(api), lambda: block_cidrs(api))
        if write.create is not None:
            _refuse_leftover_affinities(api, request.name, write.create["spec"])
        if not write.plan.changed or check_mode:
            return write if sent is None else PoolWrite(sent, write.pool)
        try:
            if write.create is not None:
                stored = api.create(IP_POOLS, write.create)
            else:
                stored = api.patch(IP_POOLS, request.name, write.patch)
        except (AlreadyExists, Conflict, NotFound):
            continue  # Somebody else wrote in between: what we decided on is no longer true.
        except Unreachable as error:
            if not error.maybe_done:
                raise
            sent = write.plan
            continue
        return PoolWrite(write.plan, StoredPool(request.name, stored).shown())
    raise Refused(
        f"IPPool {request.name!r} was changed by someone else {ATTEMPTS} times while it was being written; "
        "find out who changes it, then run this again."
    )


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
    request: PoolRequest, pools: t.Sequence[StoredPool], existing_blocks: t.Callable[[], t.Iterable[Network]]
) -> PoolWrite:
    """What has to be written for ``request``, given the pools that are stored."""
    live = find(pools, request.name)
    if live is None:
        return _decide_create(request, pools, existing_blocks)
    return _decide_update(request, live, pools)


def _decide_create(
    request: PoolRequest, pools: t.Sequence[StoredPool], existing_blocks: t.Callable[[], t.Iterable[Network]]
) -> PoolWrite:
    spec = default_spec(_wanted_spec(request, {}))
    if not spec.get("cidr"):
        raise InvalidInput(
            f"cidr: IPPool {request.name!r} does not exist yet, so its CIDR must be given.", field="cidr", rule="V1"
        )
    metadata: dict[str, t.Any] = {"name": request.name}
    for part, edits in (("labels", _wanted_labels(request)), ("annotations", _wanted_annotations(request))):
        kept = _edited({}, edits)
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
    step = Step(
        "create",
        f"IPPool {request.name}",
        "it does not exist",
        after=_diff_part(pool),
        undo=f"delete IPPool {request.name} while nothing uses it",
    )
    return PoolWrite(Plan((step,)), pool, create=body)


def _decide_update(request: PoolRequest, live: StoredPool, pools: t.Sequence[StoredPool]) -> PoolWrite:
    old = default_spec(live.spec)
    new = default_spec(_wanted_spec(request, live.spec))
    labels, annotations = _wanted_labels(request), _wanted_annotations(request)
    if _same(old, new):
        new = old
    else:
        validate_update(request.name, live.spec, new)
    _validate_metadata(request.name, labels, annotations)
    changed = {key: new.get(key) for key in {**old, **new} if not _same_value(key, old.get(key), new.get(key))}
    for flag in FLAGS:
        if flag in changed:
            changed[flag] = bool(changed[flag])
    metadata = metadata_patch(live.thing, labels, annotations)
    pool = {
        "name": request.name,
        "spec": shown_spec(new),
        "labels": _edited(live.labels, labels),
        "annotations": _edited(live.annotations, annotations),
    }
    if not changed and not metadata:
        return PoolWrite(Plan(), pool)
    patch: Object = {"metadata": {**metadata, "resourceVersion": live.resource_version}}
    if changed:
        patch["spec"] = changed
    names = sorted(changed) + (["labels or annotations"] if metadata else [])
    step = Step(
        "update",
        f"IPPool {request.name}",
        f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'} from what is wanted",
        before=_diff_part(live.shown()),
        after=_diff_part(pool),
        undo=f"set {', '.join(names)} of IPPool {request.name} back",
    )
    return PoolWrite(Plan((step,), _warnings(request.name, changed, live, pools)), pool, patch=patch)


def _warnings(
    name: str, changed: t.Mapping[str, t.Any], live: StoredPool, pools: t.Sequence[StoredPool]
) -> tuple[str, ...]:
    pool = live.pool()
    if changed.get("disabled") is not True or pool is None:
        return ()
    uses = {
        use
        for other in engine_pools(pools)
        if other.name != name and other.enabled and other.version == pool.version
        for use in other.allowed_uses
    }
    missing = sorted(pool.allowed_uses - uses)
    if not missing:
        return ()
    return (
        f"No other IPv{pool.version} pool that is there and enabled allows {' or '.join(missing)}: "
        f"until one is, nothing new gets such an address once IPPool {name} is disabled.",
    )


def _wanted_spec(request: PoolRequest, live: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    base = dict(live) if request.definition is None else definition_parts(request.definition)[0]
    return {**base, **request.fields}


def _wanted_labels(request: PoolRequest) -> dict[str, str | None]:
    return {**(definition_parts(request.definition)[1] if request.definition is not None else {}), **request.labels}


def _wanted_annotations(request: PoolRequest) -> dict[str, str | None]:
    base = definition_parts(request.definition)[2] if request.definition is not None else {}
    return {**base, **request.annotations}


def definition_parts(
    definition: t.Mapping[str, t.Any],
) -> tuple[dict[str, t.Any], dict[str, str | None], dict[str, str | None]]:
    """Spec, labels and annotations of a pool's definition.

    Takes a whole stored IPPool as well as what a journal keeps (``spec``, ``labels`` and
    ``annotations`` side by side). InvalidInput when it is neither.
    """
    spec = definition.get("spec")
    if not isinstance(spec, t.Mapping):
        raise InvalidInput(
            "definition: it has no spec; give a whole IPPool, as kubectl prints it.", field="definition", value=None
        )
    if definition.get("kind", "IPPool") != "IPPool":
        raise InvalidInput(
            f"definition: its kind is {definition['kind']!r}, an IPPool is needed.",
            field="definition.kind",
            value=definition["kind"],
        )
    metadata = definition.get("metadata")
    if isinstance(metadata, t.Mapping):
        thing = {"metadata": dict(metadata)}
        labels, annotations = labels_of(thing), annotations_of(thing)
    else:
        labels, annotations = definition.get("labels") or {}, definition.get("annotations") or {}
    kept = {key: value for key, value in annotations.items() if key not in BOOKKEEPING}
    return dict(spec), _texts(labels, "definition.labels"), _texts(kept, "definition.annotations")


def _texts(given: t.Any, where: str) -> dict[str, str | None]:
    """Labels or annotations with their values as text, which is all that Kubernetes takes."""
    if not isinstance(given, t.Mapping):
        raise InvalidInput(f"{where}: a dictionary is needed, not {given!r}.", field=where, value=given)
    texts: dict[str, str | None] = {}
    for key, value in given.items():
        if isinstance(value, bool):
            texts[str(key)] = "true" if value else "false"
        elif value is None or isinstance(value, (str, int, float)):
            texts[str(key)] = None if value is None else str(value)
        else:
            raise InvalidInput(f"{where}.{key}: text is needed, not {value!r}.", field=f"{where}.{key}", value=value)
    return texts


def _validate_metadata(name: str, labels: Edits, annotations: Edits) -> None:
    errors = metadata_errors(name, {"labels": _edited({}, labels), "annotations": _edited({}, annotations)})
    if errors:
        raise InvalidPool(errors)


def _edited(shown: dict[str, str], edits: Edits) -> dict[str, str]:
    merged: dict[str, str | None] = {**shown, **edits}
    return {key: value for key, value in merged.items() if value is not None}


def _same(old: t.Mapping[str, t.Any], new: t.Mapping[str, t.Any]) -> bool:
    return all(_same_value(key, old.get(key), new.get(key)) for key in {**old, **new})


def _same_value(key: str, old: t.Any, new: t.Any) -> bool:
    if key == "allowedUses" and isinstance(old, list) and isinstance(new, list):
        return set(old) == set(new)
    if key in FLAGS:
        return bool(old) == bool(new)
    return bool(old == new)


def _diff_part(pool: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    part: dict[str, t.Any] = {"spec": pool["spec"]}
    for key in ("labels", "annotations"):
        if pool[key]:
            part[key] = dict(sorted(pool[key].items()))
    return part
