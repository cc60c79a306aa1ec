# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write plugins/module_utils/_twin/builtin_types.json from the models of the kubernetes package.

    python -P tests/tools/builtin_schema.py

The models are generated from the OpenAPI document of Kubernetes (Apache-2.0). Only the
names and the JSON types of fields are taken, for the kinds in ``_twin/kinds.py`` and what
they refer to. The package knows quantities as plain strings; the tables below tell them apart.

Notation, one string a field: ``s`` string, ``i`` integer, ``b`` boolean, ``f`` number,
``q`` quantity, ``x`` integer or string, ``t`` time, ``y`` base64 bytes, ``*`` anything,
``@Name`` another type; ``[`` before it a list, ``{`` a map; ``!`` in front: required.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import typing as t

import pydantic
from kubernetes import client

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import kinds as kinds_file

TARGET = pathlib.Path(kinds_file.__file__).parent / "builtin_types.json"

# Maps of quantities: both sources call them maps of strings.
QUANTITY_MAPS = {
    ("V1ResourceRequirements", "limits"),
    ("V1ResourceRequirements", "requests"),
    ("V1VolumeResourceRequirements", "limits"),
    ("V1VolumeResourceRequirements", "requests"),
    ("V1ContainerStatus", "allocatedResources"),
    ("V1NodeStatus", "allocatable"),
    ("V1NodeStatus", "capacity"),
    ("V1PodSpec", "overhead"),
    ("V1PersistentVolumeSpec", "capacity"),
    ("V1PersistentVolumeClaimStatus", "allocatedResources"),
    ("V1PersistentVolumeClaimStatus", "capacity"),
    ("V1LimitRangeItem", "default"),
    ("V1LimitRangeItem", "defaultRequest"),
    ("V1LimitRangeItem", "max"),
    ("V1LimitRangeItem", "maxLimitRequestRatio"),
    ("V1LimitRangeItem", "min"),
    ("V1ResourceQuotaSpec", "hard"),
    ("V1ResourceQuotaStatus", "hard"),
    ("V1ResourceQuotaStatus", "used"),
}
QUANTITIES = {
    ("V1EmptyDirVolumeSource", "sizeLimit"),
    ("V1ResourceFieldSelector", "divisor"),
    ("V2MetricTarget", "averageValue"),
    ("V2MetricTarget", "value"),
    ("V2MetricValueStatus", "averageValue"),
    ("V2MetricValueStatus", "value"),
    ("V2HPAScalingRules", "tolerance"),
    ("V1CSIStorageCapacity", "capacity"),
}
# Types whose JSON is not an object of named fields.
ANYTHING = {"V1JSONSchemaProps"}
MODELS = {
    ("v1", "Event"): "CoreV1Event",
    ("events.k8s.io/v1", "Event"): "EventsV1Event",
    ("authentication.k8s.io/v1", "TokenRequest"): "AuthenticationV1TokenRequest",
}


def model_name(api_version: str, kind: str) -> str:
    if (api_version, kind) in MODELS:
        return MODELS[(api_version, kind)]
    version = api_version.rsplit("/", 1)[-1]
    return version.upper() + kind


def notation(annotation: t.Any, found: set[str]) -> str:
    origin = t.get_origin(annotation)
    if origin is t.Annotated:
        return notation(t.get_args(annotation)[0], found)
    if origin is list:
        return "[" + notation(t.get_args(annotation)[0], found)
    if origin is dict:
        return "{" + notation(t.get_args(annotation)[1], found)
    if origin is not None and (origin is t.Union or "UnionType" in repr(origin)):
        inner = {notation(each, found) for each in t.get_args(annotation) if each is not type(None)}
        if len(inner) == 1:
            return inner.pop()
        if inner == {"i", "s"}:
            return "x"
        if inner == {"y", "s"}:
            return "y"
        if inner == {"i", "f"}:
            return "f"
        raise SystemExit(f"no notation for the union {annotation}")
    if annotation is t.Any or annotation is object:
        return "*"
    simple = {str: "s", int: "i", bool: "b", float: "f", bytes: "y", datetime.datetime: "t"}
    if annotation in simple:
        return simple[annotation]
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if annotation.__name__ in ANYTHING:
            return "*"
        found.add(annotation.__name__)
        return "@" + annotation.__name__
    raise SystemExit(f"no notation for {annotation!r}")


def fields(name: str, found: set[str]) -> dict[str, str]:
    model = getattr(client, name)
    model.model_rebuild()
    result = {}
    for python_name, info in model.model_fields.items():
        wire_name = info.serialization_alias or python_name
        text = notation(info.annotation, found)
        if (name, wire_name) in QUANTITY_MAPS:
            text = "{q"
        elif (name, wire_name) in QUANTITIES:
            text = "q"
        result[wire_name] = ("!" if info.is_required() else "") + text
    return dict(sorted(result.items()))


def main() -> None:
    starts = {}
    for kind in kinds_file.builtin_kinds():
        starts[f"{kind.resource.api_version}/{kind.resource.kind}"] = model_name(
            kind.resource.api_version, kind.resource.kind
        )
    for api_version, kind_name in (
        ("policy/v1", "Eviction"),
        ("autoscaling/v1", "Scale"),
        ("v1", "Binding"),
        ("authentication.k8s.io/v1", "TokenRequest"),
        ("meta/v1", "DeleteOptions"),
    ):
        starts[f"{api_version}/{kind_name}"] = model_name(api_version, kind_name)
    types: dict[str, dict[str, str]] = {}
    todo = set(starts.values())
    while todo:
        name = todo.pop()
        found: set[str] = set()
        types[name] = fields(name, found)
        todo |= found - types.keys()
    document = {"kinds": dict(sorted(starts.items())), "types": dict(sorted(types.items()))}
    TARGET.write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{TARGET}: {len(types)} types, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
