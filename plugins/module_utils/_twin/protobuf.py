# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The few protobuf bodies that ``kubectl create`` and ``kubectl auth`` send, as plain data.

kubectl writes protobuf where it makes an object itself, and does not fall back to JSON. The tables name the fields
it fills, with their numbers from the Kubernetes API's ``generated.proto`` files. A body with a field that is not in
them is refused as a whole, so nothing that was said is ever lost.
"""

from __future__ import annotations

import base64
import typing as t

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# Scalars with a star are pointers in Go: present means set, also to nothing. Others are left out when empty.
_TABLES: dict[str, dict[int, tuple[str, str]]] = {
    "Meta": {
        1: ("name", "text"),
        2: ("generateName", "text"),
        3: ("namespace", "text"),
        8: ("creationTimestamp", "ignored"),
        11: ("labels", "map"),
        12: ("annotations", "map"),
        13: ("ownerReferences", "[]OwnerReference"),
        14: ("finalizers", "[]text"),
    },
    "OwnerReference": {
        1: ("kind", "text"),
        3: ("name", "text"),
        4: ("uid", "text"),
        5: ("apiVersion", "text"),
        6: ("controller", "flag*"),
        7: ("blockOwnerDeletion", "flag*"),
    },
    "Selector": {1: ("matchLabels", "map"), 2: ("matchExpressions", "[]Requirement")},
    "Requirement": {1: ("key", "text"), 2: ("operator", "text"), 3: ("values", "[]text")},
    "IntOrString": {1: ("type", "number"), 2: ("number", "number"), 3: ("text", "text")},
    "Template": {1: ("metadata", "Meta"), 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", "[]Container"),
        3: ("restartPolicy", "text"),
        4: ("terminationGracePeriodSeconds", "number*"),
        6: ("dnsPolicy", "text"),
        7: ("nodeSelector", "map"),
        8: ("serviceAccountName", "text"),
        9: ("serviceAccount", "text"),
        10: ("nodeName", "text"),
        14: ("securityContext", "Empty*"),
        19: ("schedulerName", "text"),
    },
    "Container": {
        1: ("name", "text"),
        2: ("image", "text"),
        3: ("command", "[]text"),
        4: ("args", "[]text"),
        5: ("workingDir", "text"),
        6: ("ports", "[]Port"),
        8: ("resources", "Empty*"),
        13: ("terminationMessagePath", "text"),
        14: ("imagePullPolicy", "text"),
        20: ("terminationMessagePolicy", "text"),
    },
    "Port": {1: ("name", "text"), 3: ("containerPort", "number"), 4: ("protocol", "text")},
    "Empty": {},
    "Namespace": {1: ("metadata", "Meta"), 2: ("spec", "NamespaceSpec"), 3: ("status", "ignored")},
    "NamespaceSpec": {1: ("finalizers", "[]text")},
    "ConfigMap": {
        1: ("metadata", "Meta"),
        2: ("data", "map"),
        3: ("binaryData", "map of bytes"),
        4: ("immutable", "flag*"),
    },
    "Secret": {
        1: ("metadata", "Meta"),
        2: ("data", "map of bytes"),
        3: ("type", "text"),
        4: ("stringData", "map"),
        5: ("immutable", "flag*"),
    },
    "ServiceAccount": {1: ("metadata", "Meta")},
    "Deployment": {1: ("metadata", "Meta"), 2: ("spec", "DeploymentSpec"), 3: ("status", "ignored")},
    "DeploymentSpec": {
        1: ("replicas", "number*"),
        2: ("selector", "Selector"),
        3: ("template", "Template"),
        4: ("strategy", "Strategy"),
        5: ("minReadySeconds", "number"),
        6: ("revisionHistoryLimit", "number*"),
        7: ("paused", "flag"),
        9: ("progressDeadlineSeconds", "number*"),
    },
    "Strategy": {1: ("type", "text")},
    "Job": {1: ("metadata", "Meta"), 2: ("spec", "JobSpec"), 3: ("status", "ignored")},
    "JobSpec": {
        1: ("parallelism", "number*"),
        2: ("completions", "number*"),
        3: ("activeDeadlineSeconds", "number*"),
        4: ("selector", "Selector"),
        5: ("manualSelector", "flag*"),
        6: ("template", "Template"),
        7: ("backoffLimit", "number*"),
        8: ("ttlSecondsAfterFinished", "number*"),
        9: ("completionMode", "text"),
        10: ("suspend", "flag*"),
    },
    "PodDisruptionBudget": {1: ("metadata", "Meta"), 2: ("spec", "BudgetSpec"), 3: ("status", "ignored")},
    "BudgetSpec": {
        1: ("minAvailable", "IntOrString"),
        2: ("selector", "Selector"),
        3: ("maxUnavailable", "IntOrString"),
    },
    "SelfSubjectAccessReview": {1: ("metadata", "Meta"), 2: ("spec", "AccessSpec"), 3: ("status", "ignored")},
    "AccessSpec": {1: ("resourceAttributes", "Attributes"), 2: ("nonResourceAttributes", "PathAttributes")},
    "Attributes": {
        1: ("namespace", "text"),
        2: ("verb", "text"),
        3: ("group", "text"),
        4: ("version", "text"),
        5: ("resource", "text"),
        6: ("subresource", "text"),
        7: ("name", "text"),
    },
    "PathAttributes": {1: ("path", "text"), 2: ("verb", "text")},
    "SelfSubjectRulesReview": {1: ("metadata", "Meta"), 2: ("spec", "RulesSpec"), 3: ("status", "ignored")},
    "RulesSpec": {1: ("namespace", "text")},
    "SelfSubjectReview": {1: ("metadata", "Meta"), 2: ("status", "ignored")},
}
_KINDS = {
    "v1": ("Namespace", "ConfigMap", "Secret", "ServiceAccount"),
    "apps/v1": ("Deployment",),
    "batch/v1": ("Job",),
    "policy/v1": ("PodDisruptionBudget",),
    "authorization.k8s.io/v1": ("SelfSubjectAccessReview", "SelfSubjectRulesReview"),
    "authentication.k8s.io/v1": ("SelfSubjectReview",),
}
_ENVELOPE = {1: ("type", "TypeMeta"), 2: ("raw", "bytes"), 3: ("encoding", "text"), 4: ("content", "text")}
_TABLES["Envelope"] = _ENVELOPE
_TABLES["TypeMeta"] = {1: ("apiVersion", "text"), 2: ("kind", "text")}


class UnknownMessage(Exception):
    """The body is of a type, or has a field, that the tables do not hold."""


def decode_protobuf(body: bytes) -> dict[str, t.Any]:
    """Raises ``UnknownMessage``, and ``ValueError`` when the body is no protobuf of Kubernetes."""
    if not body.startswith(_MAGIC):
        raise ValueError("the body does not begin as Kubernetes' protobuf does")
    envelope = _message(body[len(_MAGIC) :], "Envelope")
    identity = envelope.get("type", {})
    version, kind = identity.get("apiVersion", ""), identity.get("kind", "")
    if kind not in _KINDS.get(version, ()):
        raise UnknownMessage(f"{version} {kind}")
    return {"apiVersion": version, "kind": kind, **_message(envelope.get("raw", b""), kind)}


def _message(data: bytes, name: str) -> dict[str, t.Any]:
    table = _TABLES[name]
    found: dict[str, t.Any] = {}
    for number, value in _fields(data):
        if number not in table:
            # Go writes empty strings, false and zero as well: they say nothing.
            if value in (0, b""):
                continue
            raise UnknownMessage(f"field {number} of {name}")
        field, kind = table[number]
        if kind == "ignored":
            continue
        if kind.startswith("[]"):
            found.setdefault(field, []).append(_value(value, kind[2:]))
        elif kind.startswith("map"):
            key, content = _entry(value)
            found.setdefault(field, {})[key] = _base64(content) if kind == "map of bytes" else content.decode()
        else:
            plain = _value(value, kind.rstrip("*"))
            if kind.endswith("*") or plain not in ("", 0, False, {}):
                found[field] = plain
    return found


def _value(value: int | bytes, kind: str) -> t.Any:
    if kind in ("number", "flag"):
        if not isinstance(value, int):
            raise ValueError(f"a {kind} is not written as one")
        return bool(value) if kind == "flag" else value - (1 << 64) if value >> 63 else value
    if not isinstance(value, bytes):
        raise ValueError(f"{kind} is not written with a length")
    if kind == "bytes":
        return value
    if kind == "text":
        return value.decode()
    content = _message(value, kind)
    if kind == "IntOrString":
        return content.get("text", "") if content.get("type") else content.get("number", 0)
    return content


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _entry(value: int | bytes) -> tuple[str, bytes]:
    """Key and value of a map's entry."""
    parts: dict[int, bytes] = {}
    for number, part in _fields(value if isinstance(value, bytes) else b""):
        if isinstance(part, bytes):
            parts[number] = part
    return parts.get(1, b"").decode(), parts.get(2, b"")


def _fields(data: bytes) -> t.Iterator[tuple[int, int | bytes]]:
    """Number and value of each field: an integer, or bytes for what has a length."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        if tag & 7 == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
        elif tag & 7 == 2:
            length, position = _varint(data, position)
            if position + length > len(data):
                raise ValueError("a field is longer than the body")
            yield tag >> 3, data[position : position + length]
            position += length
        else:
            raise UnknownMessage(f"wire type {tag & 7}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, position
        shift += 7
    raise ValueError("a number does not end")
