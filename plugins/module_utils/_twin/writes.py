# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a write does to an object besides what the client asked for: status, finalizers, generation.

Pure functions; ``api.py`` stores what comes out. The rules are those of spec
kubernetes-api-behaviour.md; section numbers stand at each.
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import WriteOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause, Fault, internal_error, invalid

# Types that count changes of their annotations as well.
_ANNOTATIONS_COUNT = frozenset({("apps", "deployments")})
# Types whose /status may change labels and annotations.
_STATUS_WITH_METADATA = frozenset({("", "pods"), ("", "nodes")})
# The deployment controller notes the revision by way of the status; that counts as no change of the spec.
_STATUS_WITH_ANNOTATIONS = frozenset({("apps", "deployments")})


def with_status_of(old: Object, obj: Object) -> Object:
    """The main resource leaves the status alone (4)."""
    merged = {key: value for key, value in obj.items() if key != "status"}
    if "status" in old:
        merged["status"] = old["status"]
    return merged


def status_only(kind: Kind, old: Object, obj: Object, metadata: Object) -> tuple[Object, Object]:
    """``/status`` changes the status only; on pods and nodes labels and annotations too (4)."""
    kept = dict(old["metadata"])
    if (kind.resource.group, kind.resource.plural) in _STATUS_WITH_METADATA:
        for key in ("labels", "annotations"):
            kept[key] = metadata.get(key)
    elif (kind.resource.group, kind.resource.plural) in _STATUS_WITH_ANNOTATIONS:
        kept["annotations"] = metadata.get("annotations")
    merged = {key: value for key, value in old.items() if key != "status"}
    if obj.get("status") is not None:
        merged["status"] = obj["status"]
    return kept, merged


def new_finalizers(before: Object, metadata: Object) -> list[Cause]:
    if "deletionTimestamp" not in before:
        return []
    added = [each for each in metadata.get("finalizers") or [] if each not in (before.get("finalizers") or [])]
    if not added:
        return []
    shown = ", ".join(f'"{each}"' for each in added)
    message = (
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        f"found new finalizers []string{{{shown}}}"
    )
    return [Cause("FieldValueForbidden", message, "metadata.finalizers")]


def version_on_create(kind: Kind, metadata: Object, options: WriteOptions) -> Fault:
    """The refusal of a new object with a resourceVersion (3); Calico's client has words of its own (V28)."""
    if not kind.aggregated or options.dry_run:
        return internal_error("resourceVersion should not be set on objects to be created")
    message = f'Invalid value: "{metadata["resourceVersion"]}": field must not be set for a Create request'
    cause = Cause("FieldValueInvalid", message, "Metadata.ResourceVersion")
    return invalid(kind.resource.kind, kind.resource.group, str(metadata.get("name") or ""), [cause])


def counts(kind: Kind, old: Object, obj: Object) -> bool:
    """Whether the change is one of the kind that ``metadata.generation`` counts (4)."""
    place = (kind.resource.group, kind.resource.plural)
    if not kind.generation or place == ("", "pods"):
        return False
    if kind.custom:
        ignored = {"metadata", "status"} if kind.has_status else {"metadata"}
        keys = (old.keys() | obj.keys()) - ignored
        return any(old.get(key) != obj.get(key) for key in keys)
    if old.get("spec") != obj.get("spec"):
        return True
    return place in _ANNOTATIONS_COUNT and old["metadata"].get("annotations") != obj["metadata"].get("annotations")
