# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The rules of ``metadata``: names, what a client may set, what the server keeps."""

from __future__ import annotations

import random
import re
import typing as t
import uuid

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Cause,
    bad_request,
    internal_error,
    invalid,
)

# The letters of generated names: no vowels and no digits that look like them, so no words come out.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_LONGEST_PREFIX = 58

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)

_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)
# What only the server writes.
SERVERS_OWN = ("uid", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
_DROPPED = ("selfLink", "managedFields")


def generated_name(prefix: str, chance: random.Random) -> str:
    """``prefix`` cut to 58 characters and five letters (spec kubernetes-api-behaviour.md 3)."""
    return prefix[:_LONGEST_PREFIX] + "".join(chance.choice(ALPHABET) for _letter in range(5))


def new_uid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def ordered(metadata: Object) -> Object:
    """The members in Kubernetes' order, without empty labels, annotations and lists."""
    tidy: Object = {}
    for key in _ORDER:
        value = metadata.get(key)
        if value is None or value == "" or value == {} or value == []:
            continue
        tidy[key] = value
    for key, value in metadata.items():
        if key not in tidy and key not in _ORDER and key not in _DROPPED and value is not None:
            tidy[key] = value
    return tidy


def arranged(kind: Kind, obj: Object, metadata: Object) -> Object:
    """The object with kind, apiVersion and metadata first, so that every stored object starts alike."""
    resource = kind.resource
    head: Object = (
        {"apiVersion": resource.api_version, "kind": resource.kind}
        if kind.custom
        else {"kind": resource.kind, "apiVersion": resource.api_version}
    )
    head["metadata"] = ordered(metadata)
    for key, value in obj.items():
        if key not in head:
            head[key] = value
    return head


def metadata_of(obj: Object) -> Object:
    """A copy of the metadata. Raises a 400 ``Fault`` when it is no object."""
    metadata = obj.get("metadata")
    if metadata is None:
        return {}
    if not isinstance(metadata, dict):
        raise bad_request("json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta")
    return dict(metadata)


def check_type(kind: Kind, obj: t.Any) -> Object:
    """The object with its kind and apiVersion checked, or filled in for built-in types.

    Raises a ``Fault``: 400 or, for the kind of a custom resource, 422 (spec kubernetes-api-behaviour.md 3).
    """
    if not isinstance(obj, dict):
        raise bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct"
        )
    resource = kind.resource
    found_kind, found_version = obj.get("kind") or "", obj.get("apiVersion") or ""
    if not kind.custom or kind.aggregated:
        if (found_kind or resource.kind) != resource.kind or (found_version or resource.api_version) != (
            resource.api_version
        ):
            wrong = found_kind or resource.kind
            version = found_version or resource.api_version
            raise bad_request(f'{wrong} in version "{version}" cannot be handled as a {resource.kind}')
        return obj
    if not found_kind:
        raise bad_request("Object 'Kind' is missing in the request body")
    if not found_version:
        raise bad_request("Object 'apiVersion' is missing in the request body")
    if found_version != resource.api_version:
        raise bad_request(
            f"the API version in the data ({found_version}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if found_kind != resource.kind:
        cause = Cause("FieldValueInvalid", f'Invalid value: "{found_kind}": must be {resource.kind}', "kind")
        raise invalid(resource.kind, resource.group, str(metadata_of(obj).get("name") or ""), [cause])
    return obj


def check_name(kind: Kind, name: str) -> list[Cause]:
    """What is wrong with a name; nothing when it is good."""
    group = kind.resource.group
    if group == "rbac.authorization.k8s.io":
        bad = name in (".", "..") or "/" in name or "%" in name
        return [_bad_name(name, "may not contain '/' or '%'")] if bad else []
    label = (group, kind.resource.plural) in (("", "namespaces"), ("", "services"))
    limit, pattern, text = (63, _LABEL, _LABEL_TEXT) if label else (253, _SUBDOMAIN, _SUBDOMAIN_TEXT)
    causes = []
    if len(name) > limit:
        causes.append(_bad_name(name, f"must be no more than {limit} characters"))
    if not pattern.fullmatch(name):
        causes.append(_bad_name(name, text))
    return causes


def _bad_name(name: str, why: str) -> Cause:
    return Cause("FieldValueInvalid", f'Invalid value: "{name}": {why}', "metadata.name")


_MAPS = ("labels", "annotations")
_LISTS = ("finalizers", "ownerReferences", "managedFields")
_TEXTS = ("name", "generateName", "namespace", "uid", "resourceVersion")


def check_shape(kind: Kind, metadata: Object) -> None:
    """Raises a 400 ``Fault`` when a member of the metadata has the wrong JSON type."""
    for key in _TEXTS:
        if key in metadata and metadata[key] is not None and not isinstance(metadata[key], str):
            raise _wrong_type(metadata[key], kind, key, "string")
    for key in _MAPS:
        value = metadata.get(key)
        if value is None:
            continue
        if not isinstance(value, dict):
            raise _wrong_type(value, kind, key, "map[string]string")
        for member in value.values():
            if not isinstance(member, str):
                raise _wrong_type(member, kind, key, "string")
    for key in _LISTS:
        value = metadata.get(key)
        if value is not None and not isinstance(value, list):
            raise _wrong_type(value, kind, key, "[]string" if key == "finalizers" else f"[]{key}")


def _wrong_type(value: t.Any, kind: Kind, key: str, wanted: str) -> Exception:
    names = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
    found = names.get(type(value), "null")
    return bad_request(
        f'{kind.resource.kind} in version "{kind.resource.version}" cannot be handled as a {kind.resource.kind}: '
        f"json: cannot unmarshal {found} into Go struct field ObjectMeta.metadata.{key} of type {wanted}"
    )


_LABEL_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def check_labels(metadata: Object) -> list[Cause]:
    """What is wrong with labels, annotation keys and finalizers."""
    causes = []
    for field in _MAPS:
        for key in metadata.get(field) or {}:
            prefix, slash, name = key.rpartition("/")
            good = (
                len(name) <= 63 and _LABEL_NAME.fullmatch(name) and (not slash or _SUBDOMAIN.fullmatch(prefix.lower()))
            )
            if not good:
                causes.append(
                    Cause(
                        "FieldValueInvalid",
                        f"Invalid value: \"{key}\": name part must consist of alphanumeric characters, '-', '_' or "
                        "'.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or "
                        "'123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                        f"metadata.{field}",
                    )
                )
    for value in (metadata.get("labels") or {}).values():
        if len(value) > 63:
            causes.append(
                Cause(
                    "FieldValueInvalid",
                    f'Invalid value: "{value}": must be no more than 63 bytes',
                    "metadata.labels",
                )
            )
        elif value and not _LABEL_NAME.fullmatch(value):
            causes.append(
                Cause(
                    "FieldValueInvalid",
                    f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric '
                    "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue'"
                    ",  or 'my_value',  or '12345', regex used for validation is "
                    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
                    "metadata.labels",
                )
            )
    return causes


def parse_version(text: t.Any) -> int | None:
    """A resourceVersion as a number; None for absent and ``"0"``. Raises a 500 ``Fault`` for other text."""
    if text in (None, "", "0"):
        return None
    if not isinstance(text, str) or not text.isdigit():
        raise internal_error(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)
