# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Labels and annotations of objects in the v1 CRDs (spec ippool.md §1.1).

Calico's client packs the metadata it was given into the annotation
``projectcalico.org/metadata`` of the custom resource. Reading must unpack it, and a
change of a label must reach both places where the label stands.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

PACKED = "projectcalico.org/metadata"

# Keys containing one of these stand on the custom resource too, so that selectors can find them.
KEPT_OUTSIDE = ("projectcalico.org/", "operator.tigera.io/")

Changes = t.Mapping[str, t.Optional[str]]


def labels_of(thing: Object) -> dict[str, str]:
    """The labels Calico shows: those of the custom resource, overlaid by the packed ones."""
    return _overlaid(thing, "labels")


def annotations_of(thing: Object) -> dict[str, str]:
    """The annotations Calico shows, without the packing annotation itself."""
    shown = _overlaid(thing, "annotations")
    shown.pop(PACKED, None)
    return shown


def metadata_patch(thing: Object, labels: Changes, annotations: Changes) -> dict[str, t.Any]:
    """The ``metadata`` of a merge patch that sets, or removes with None, these labels and annotations.

    Only changes appear; the result is empty when nothing changes. An object without the packing
    annotation is changed in place; one with it keeps it, brought up to date.
    """
    labels = _changes(labels_of(thing), labels)
    annotations = _changes(annotations_of(thing), annotations)
    if not labels and not annotations:
        return {}
    packed = _packed(thing)
    if packed is None:
        return {part: dict(edits) for part, edits in (("labels", labels), ("annotations", annotations)) if edits}
    patch: dict[str, t.Any] = {}
    for part, edits in (("labels", labels), ("annotations", annotations)):
        inside = _texts(packed.get(part))
        outside = thing["metadata"].get(part) or {}
        for key, value in edits.items():
            if value is None:
                inside.pop(key, None)
            else:
                inside[key] = value
            if key in outside or (value is not None and any(kept in key for kept in KEPT_OUTSIDE)):
                patch.setdefault(part, {})[key] = value
        if inside:
            packed[part] = inside
        else:
            packed.pop(part, None)
    patch.setdefault("annotations", {})[PACKED] = json.dumps(packed, separators=(",", ":"))
    return patch


def _changes(shown: dict[str, str], wanted: Changes) -> dict[str, str | None]:
    return {key: value for key, value in wanted.items() if shown.get(key) != value}


def _overlaid(thing: Object, part: str) -> dict[str, str]:
    shown = _texts(_metadata(thing).get(part))
    shown.update(_texts((_packed(thing) or {}).get(part)))
    return shown


def _packed(thing: Object) -> dict[str, t.Any] | None:
    text = _texts(_metadata(thing).get("annotations")).get(PACKED)
    if text is None:
        return None
    try:
        packed = json.loads(text)
    except (ValueError, RecursionError):
        # Calico itself cannot read it either; treat the metadata of the resource as the truth.
        return None
    return packed if isinstance(packed, dict) else None


def _metadata(thing: Object) -> dict[str, t.Any]:
    metadata = thing.get("metadata") if isinstance(thing, dict) else None
    return metadata if isinstance(metadata, dict) else {}


def _texts(found: t.Any) -> dict[str, str]:
    """A map of texts; what is in it and none, nobody can have meant."""
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}
