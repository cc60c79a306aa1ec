# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is wanted of a pool: the options of a module, with a definition below them or without."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    PACKED,
    annotations_of,
    labels_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import LEGACY_FIELDS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    BOOKKEEPING,
    SPEC_FIELDS,
    is_owner,
)

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


def pool_request(params: t.Mapping[str, t.Any]) -> PoolRequest:
    """The request among a module's parameters."""
    return PoolRequest(
        name=params["name"],
        fields={ours: params[option] for option, ours in SPEC_FIELDS.items() if params.get(option) is not None},
        labels=_labels(params),
        annotations=_annotations(params),
        definition=params.get("definition"),
    )


def _labels(params: t.Mapping[str, t.Any]) -> dict[str, str | None]:
    labels = _texts(params.get("labels") or {}, "labels")
    for key, value in labels.items():
        if is_owner(key, value):
            raise InvalidInput(
                f"labels.{key}: {value} is the label by which the Tigera operator knows its pools, and it deletes a "
                "pool that has it without an entry in the Installation; leave it out, the operator sets it itself.",
                field=f"labels.{key}",
                value=value,
            )
    return labels


def _annotations(params: t.Mapping[str, t.Any]) -> dict[str, str | None]:
    annotations = _texts(params.get("annotations") or {}, "annotations")
    for key in sorted(BOOKKEEPING & set(annotations)):
        raise InvalidInput(
            f"annotations.{key}: this annotation is kept by {'Calico' if key == PACKED else 'kubectl'} itself, and "
            "whoever else writes it damages what is known of the pool; leave it out.",
            field=f"annotations.{key}",
            value=annotations[key],
        )
    return annotations


def wanted_spec(request: PoolRequest, live: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The spec that is asked for, given the one that is there (empty for a new pool)."""
    if request.definition is None:
        return {**live, **request.fields}
    defined = definition_parts(request.definition)[0]
    # Leftovers of old schemas mean nothing, and the API server of today refuses them in what is written.
    kept = {key: live[key] for key in LEGACY_FIELDS if key in live}
    spec = {key: value for key, value in defined.items() if key not in LEGACY_FIELDS}
    return {**spec, **kept, **request.fields}


def wanted_labels(request: PoolRequest) -> dict[str, str | None]:
    """Labels to be set, or removed with None."""
    return {**(definition_parts(request.definition)[1] if request.definition is not None else {}), **request.labels}


def wanted_annotations(request: PoolRequest) -> dict[str, str | None]:
    """Annotations to be set, or removed with None."""
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
        given = {
            part: _texts(metadata.get(part) or {}, f"definition.metadata.{part}") for part in ("labels", "annotations")
        }
        thing = {"metadata": {**metadata, **given}}
        labels, annotations = labels_of(thing), annotations_of(thing)
    else:
        labels, annotations = definition.get("labels") or {}, definition.get("annotations") or {}
    kept = {key: value for key, value in annotations.items() if key not in BOOKKEEPING}
    # The operator deletes a pool that carries its label and is not in its list (spec ippool.md §10.3).
    free = {key: value for key, value in _texts(labels, "definition.labels").items() if not is_owner(key, value)}
    return dict(spec), free, _texts(kept, "definition.annotations")


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


def edited(shown: dict[str, str], edits: Edits) -> dict[str, str]:
    """Labels or annotations with the edits made."""
    merged: dict[str, str | None] = {**shown, **edits}
    return {key: value for key, value in merged.items() if value is not None}
