# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Validation of pods and pod templates: what is commonly got wrong, and what may change later."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    duplicate,
    forbidden_field,
    invalid_value,
    not_found_value,
    required,
    unsupported,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause

Causes = t.Iterator[Cause]

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_RESTART = ("Always", "OnFailure", "Never")
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PULL = ("Always", "IfNotPresent", "Never")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_OPERATORS = ("Equal", "Exists")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

_IMMUTABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        yield required("spec.containers")
        return
    if old is None:
        yield from pod_spec(spec, "spec")
    elif spec is not old.get("spec"):
        yield from _changes(spec, old.get("spec") or {}, subresource)


def pod_spec(spec: Object, path: str) -> Causes:
    """The rules shared by pods and templates."""
    volumes = yield from _volumes(spec.get("volumes") or [], f"{path}.volumes")
    if not spec.get("containers"):
        yield required(f"{path}.containers")
    names: set[str] = set()
    for key in ("initContainers", "containers"):
        for place, container in enumerate(spec.get(key) or []):
            yield from _container(container, f"{path}.{key}[{place}]", names, volumes)
    yield from one_of(spec, "restartPolicy", _RESTART, path)
    yield from one_of(spec, "dnsPolicy", _DNS, path)
    grace = spec.get("terminationGracePeriodSeconds")
    if type(grace) is int and grace < 0:
        yield invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
    for place, toleration in enumerate(spec.get("tolerations") or []):
        yield from _toleration(toleration, f"{path}.tolerations[{place}]")


def one_of(holder: Object, key: str, supported: tuple[str, ...], path: str) -> Causes:
    value = holder.get(key)
    if value is not None and value not in supported:
        yield unsupported(f"{path}.{key}", value, supported)


def name_in(holder: Object, path: str, taken: set[str]) -> t.Generator[Cause, None, str]:
    """``name`` is there, is an RFC 1123 label and is not used twice."""
    name = str(holder.get("name") or "")
    if not name:
        yield required(f"{path}.name")
        return name
    if len(name) > 63:
        yield invalid_value(f"{path}.name", name, "must be no more than 63 characters")
    elif not LABEL.fullmatch(name):
        yield invalid_value(f"{path}.name", name, LABEL_TEXT)
    if name in taken:
        yield duplicate(f"{path}.name", name)
    taken.add(name)
    return name


def _volumes(volumes: list[Object], path: str) -> t.Generator[Cause, None, set[str]]:
    names: set[str] = set()
    for place, volume in enumerate(volumes):
        yield from name_in(volume, f"{path}[{place}]", names)
        sources = sorted(key for key in volume if key != "name")
        for extra in sources[1:]:
            yield forbidden_field(f"{path}[{place}].{extra}", "may not specify more than 1 volume type")
    return names


def _container(container: Object, path: str, names: set[str], volumes: set[str]) -> Causes:
    yield from name_in(container, path, names)
    if not container.get("image"):
        yield required(f"{path}.image")
    yield from one_of(container, "imagePullPolicy", _PULL, path)
    mounts: set[str] = set()
    for place, mount in enumerate(container.get("volumeMounts") or []):
        where = f"{path}.volumeMounts[{place}]"
        if not mount.get("name"):
            yield required(f"{where}.name")
        elif mount["name"] not in volumes:
            yield not_found_value(f"{where}.name", mount["name"])
        target = mount.get("mountPath")
        if not target:
            yield required(f"{where}.mountPath")
        elif target in mounts:
            yield invalid_value(f"{where}.mountPath", target, "must be unique")
        mounts.add(target)
    for place, port in enumerate(container.get("ports") or []):
        yield from port_number(port, "containerPort", f"{path}.ports[{place}]", needed=True)
        yield from port_number(port, "hostPort", f"{path}.ports[{place}]")
        yield from one_of(port, "protocol", _PROTOCOLS, f"{path}.ports[{place}]")
    for place, variable in enumerate(container.get("env") or []):
        if not variable.get("name"):
            yield required(f"{path}.env[{place}].name")


def port_number(port: Object, key: str, path: str, *, needed: bool = False) -> Causes:
    """A port between 1 and 65535."""
    number = port.get(key)
    if number is None:
        if needed:
            yield required(f"{path}.{key}")
    elif type(number) is int and not 0 < number < 65536:
        yield invalid_value(f"{path}.{key}", number, "must be between 1 and 65535, inclusive")


def _toleration(toleration: Object, path: str) -> Causes:
    operator = toleration.get("operator") or "Equal"
    if operator not in _OPERATORS:
        yield unsupported(f"{path}.operator", operator, _OPERATORS)
    if not toleration.get("key") and operator != "Exists":
        yield invalid_value(
            f"{path}.operator",
            operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if operator == "Exists" and toleration.get("value"):
        yield invalid_value(f"{path}.operator", toleration["value"], "value must be empty when `operator` is 'Exists'")
    effect = toleration.get("effect")
    if effect and effect not in _EFFECTS:
        yield unsupported(f"{path}.effect", effect, _EFFECTS)


# ---- updates


def _changes(new: Object, old: Object, subresource: str | None) -> Causes:
    """Nearly all of a pod's spec stays as it was (spec kubernetes-api-behaviour.md §10)."""
    masked = dict(new)
    for key in ("containers", "initContainers"):
        if len(new.get(key) or []) != len(old.get(key) or []):
            yield forbidden_field("spec." + key, "pod updates may not add or remove containers")
            return
        if key in new:
            masked[key] = [{**each, "image": before.get("image")} for each, before in zip(new[key], old.get(key) or [])]
    for place, container in enumerate(new.get("containers") or []):
        if not container.get("image"):
            yield required(f"spec.containers[{place}].image")
    if subresource == "binding" and not old.get("nodeName"):
        _copy("nodeName", old, masked)
    if subresource == "resize":
        masked["containers"] = old.get("containers")
    _copy("activeDeadlineSeconds", old, masked)
    if old.get("terminationGracePeriodSeconds", 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        _copy("terminationGracePeriodSeconds", old, masked)
    tolerations = new.get("tolerations") or []
    if all(each in tolerations for each in old.get("tolerations") or []):
        _copy("tolerations", old, masked)
    gates = old.get("schedulingGates") or []
    if gates and all(each in gates for each in new.get("schedulingGates") or []):
        _copy("schedulingGates", old, masked)
    if masked != old:
        yield forbidden_field("spec", _IMMUTABLE)


def _copy(key: str, source: Object, target: Object) -> None:
    if key in source:
        target[key] = source[key]
    else:
        target.pop(key, None)
