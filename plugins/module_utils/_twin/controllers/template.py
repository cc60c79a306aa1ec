# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Pod templates: comparing them, hashing them, making pods of them."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    BadRequest,
    Forbidden,
    Invalid,
    ServerError,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import owner_reference

# What the server says to a pod that it will not have, or cannot ask a webhook about.
REFUSALS = (BadRequest, Forbidden, Invalid, ServerError)

HASH_LABEL = "pod-template-hash"
REVISION_LABEL = "controller-revision-hash"

# Kubernetes leaves out vowels and look-alikes so that no hash spells a word.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Object, collisions: int = 0) -> str:
    """A short name for the contents of a template; ``collisions`` gives another one for the same contents."""
    text = json.dumps(without_label(template, HASH_LABEL), sort_keys=True, separators=(",", ":"))
    if collisions:
        text += f"#{collisions}"
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(value))


def without_label(template: Object, label: str) -> Object:
    """The template without one label of its metadata."""
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if label not in labels:
        return template
    return {**template, "metadata": {**metadata, "labels": {k: v for k, v in labels.items() if k != label}}}


def with_labels(template: Object, labels: t.Mapping[str, str]) -> Object:
    """The template with more labels in its metadata."""
    metadata = template.get("metadata") or {}
    return {**template, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}}}


def same_template(one: Object, other: Object) -> bool:
    """Whether two templates make the same pods (the hash label aside)."""
    return _plain(one) == _plain(other)


def _plain(template: Object) -> Object:
    stripped = without_label(template, HASH_LABEL)
    metadata = stripped.get("metadata") or {}
    return {
        "labels": metadata.get("labels") or {},
        "annotations": metadata.get("annotations") or {},
        "spec": stripped.get("spec") or {},
    }


def pod_of(
    template: Object,
    resource: Resource,
    owner: Object,
    *,
    name: str = "",
    labels: t.Mapping[str, str] | None = None,
    annotations: t.Mapping[str, str] | None = None,
    finalizers: t.Sequence[str] = (),
    spec: Object | None = None,
) -> Object:
    """A pod for ``owner``: with the given name, or with one the server generates from the owner's.

    ``spec`` replaces top level fields of the template's spec.
    """
    metadata = template.get("metadata") or {}
    made: Object = {
        "labels": {**(metadata.get("labels") or {}), **(labels or {})},
        "annotations": {**(metadata.get("annotations") or {}), **(annotations or {})},
        "ownerReferences": [owner_reference(resource, owner)],
        "namespace": owner["metadata"]["namespace"],
    }
    if metadata.get("finalizers") or finalizers:
        made["finalizers"] = [*(metadata.get("finalizers") or ()), *finalizers]
    if name:
        made["name"] = name
    else:
        made["generateName"] = f"{owner['metadata']['name']}-"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: value for key, value in made.items() if value},
        "spec": {**(template.get("spec") or {}), **(spec or {})},
    }
