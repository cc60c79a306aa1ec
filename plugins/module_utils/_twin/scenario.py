# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Scenario files: the cluster the twin starts with, written like manifests.

A scenario is a multi-document YAML file. Its first document describes the cluster, the others
are ordinary Kubernetes objects::

    apiVersion: ipam.calico-ops.io/v1alpha1
    kind: Scenario
    metadata: {name: tutorial}
    spec:
      base: small                      # optional: another scenario whose objects come first
      seed: 1                          # of every random number
      startTime: "2026-08-20T09:00:00Z"
      settleSeconds: 300               # virtual seconds the cluster may take to become Ready
      installation: crd_v1             # how Calico is installed, unless the twin is told another way
      calicoVersion: v3.33.0
      kubernetesVersion: v1.34.1
      timings: {podStart: [1, 3]}      # virtual seconds, see Timings
      nodes:
        - name: control-1              # one node ...
          template: {metadata: {labels: {...}}, spec: {...}}
        - prefix: worker-              # ... or several: worker-1 to worker-4
          count: 4
          template: {metadata: {labels: {zone: a}}}

A node's template is laid over what kubeadm and the kubelet would write. Explicit ``Node``
documents are taken as they stand. Objects are created in the order of the file, namespaces
named by an object and not declared are created first.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import INSTALLATIONS

API_VERSION = "ipam.calico-ops.io/v1alpha1"
KIND = "Scenario"
DIRECTORY = Path(__file__).parent / "scenarios"

_NODE_NETWORK = "172.31.0.0/20"
_FIELDS = {
    "base",
    "description",
    "seed",
    "startTime",
    "settleSeconds",
    "installation",
    "calicoVersion",
    "kubernetesVersion",
    "timings",
    "nodes",
    "afterwards",
}
_AFTERWARDS = {"apiVersion", "kind", "namespace", "name", "patch", "delete"}
_NODE_FIELDS = {"name", "prefix", "count", "template"}


@dataclass(frozen=True)
class Timings:
    """How long things take, in virtual seconds; a range is drawn from with the seed.

    ``pod_start``: sandbox, address and containers up to Running. ``pod_ready``: Running to
    Ready, for pods whose readiness probe does not say otherwise. ``pod_stop``: from the
    deletion to the end of the containers, never more than the pod's grace period.
    ``tunnel``: from a change of a pool to the new tunnel addresses. ``leak_grace``,
    ``collector_period``: spec ipam-engine.md 18.
    """

    pod_start: tuple[float, float] = (1.0, 3.0)
    pod_ready: tuple[float, float] = (1.0, 3.0)
    pod_stop: tuple[float, float] = (1.0, 4.0)
    tunnel: float = 2.0
    leak_grace: float = 900.0


@dataclass(frozen=True)
class Afterwards:
    """What is done to one object once the cluster rests: a merge patch, or its deletion where that is None."""

    api_version: str
    kind: str
    namespace: str
    name: str
    patch: Object | None = None


@dataclass(frozen=True)
class Scenario:
    """A parsed scenario: settings plus the objects to create, nodes first."""

    name: str
    description: str = ""
    seed: int = 1
    start: datetime = datetime(2026, 8, 20, 9, 0, tzinfo=timezone.utc)
    settle_seconds: float = 600.0
    installation: str = "crd_v1"
    calico_version: str = "v3.33.0"
    kubernetes_version: str = "v1.34.1"
    timings: Timings = field(default_factory=Timings)
    objects: tuple[Object, ...] = ()
    afterwards: tuple[Afterwards, ...] = ()


def names() -> list[str]:
    """The scenarios that come with the collection."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yml"))


def find(scenario: str) -> Path:
    """The file of a scenario given by name or by path.

    Raises ``InvalidInput`` when there is neither.
    """
    candidate = DIRECTORY / f"{scenario}.yml"
    if scenario in names():
        return candidate
    path = Path(scenario).expanduser()
    if path.is_file():
        return path
    raise InvalidInput(
        f"There is no scenario {scenario!r}: give the path of a scenario file or one of {', '.join(names())}.",
        "scenario",
        scenario,
    )


def load(scenario: str) -> Scenario:
    """Read a scenario by name or path. Raises ``InvalidInput``."""
    path = find(scenario)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The scenario {path} cannot be read: {error}.", "scenario", scenario) from None
    return parse(_documents(text, str(path)), str(path))


def parse(documents: t.Sequence[t.Any], origin: str = "scenario") -> Scenario:
    """Turn the documents of a scenario file into a ``Scenario``; ``origin`` is named in errors.

    Raises ``InvalidInput`` naming the document and the field.
    """
    if not documents or not isinstance(documents[0], dict) or documents[0].get("kind") != KIND:
        raise InvalidInput(f"{origin} is not a scenario: its first document must have kind: {KIND}.", "kind", None)
    head, rest = documents[0], documents[1:]
    if head.get("apiVersion") != API_VERSION:
        raise InvalidInput(
            f"{origin}: apiVersion is {head.get('apiVersion')!r}, it must be {API_VERSION}.",
            "apiVersion",
            head.get("apiVersion"),
        )
    spec = head.get("spec") or {}
    if not isinstance(spec, dict):
        raise InvalidInput(f"{origin}: spec must be a mapping.", "spec", spec)
    for key in sorted(set(spec) - _FIELDS):
        raise InvalidInput(
            f"{origin}: spec.{key} is not a field of a scenario; the fields are {', '.join(sorted(_FIELDS))}.", key
        )
    base = load(spec["base"]) if "base" in spec else Scenario(name="")
    installation = spec.get("installation", base.installation)
    if installation not in INSTALLATIONS:
        raise InvalidInput(
            f"{origin}: spec.installation is {installation!r}, it must be one of {', '.join(INSTALLATIONS)}.",
            "installation",
            installation,
        )
    kubernetes = str(spec.get("kubernetesVersion", base.kubernetes_version))
    listed = [_object(document, index, origin) for index, document in enumerate(rest, start=2)]
    used = sum(1 for item in base.objects if item["kind"] == "Node")
    nodes = _nodes(spec.get("nodes") or [], kubernetes, used, origin)
    own = {_identity(item) for item in listed}
    objects = [*(item for item in base.objects if _identity(item) not in own), *nodes, *listed]
    return Scenario(
        name=str((head.get("metadata") or {}).get("name") or Path(origin).stem),
        description=str(spec.get("description", base.description)).strip(),
        seed=_whole(spec.get("seed", base.seed), "seed", origin),
        start=_time(spec["startTime"], origin) if "startTime" in spec else base.start,
        settle_seconds=_seconds(spec.get("settleSeconds", base.settle_seconds), "settleSeconds", origin),
        installation=installation,
        calico_version=str(spec.get("calicoVersion", base.calico_version)),
        kubernetes_version=kubernetes,
        timings=_timings(spec.get("timings") or {}, base.timings, origin),
        objects=tuple(_with_namespaces(objects)),
        afterwards=(*base.afterwards, *_afterwards(spec.get("afterwards") or [], origin)),
    )


def _documents(text: str, origin: str) -> list[t.Any]:
    import yaml

    try:
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise InvalidInput(f"{origin} is not YAML: {' '.join(str(error).split())}.", "scenario", origin) from None


def _object(document: t.Any, index: int, origin: str) -> Object:
    where = f"{origin}, document {index}"
    if not isinstance(document, dict):
        raise InvalidInput(f"{where}: a Kubernetes object is expected, not {document!r}.", "scenario")
    for key in ("apiVersion", "kind", "metadata"):
        if not document.get(key):
            raise InvalidInput(f"{where}: {key} is missing.", key)
    if not isinstance(document["metadata"], dict) or not document["metadata"].get("name"):
        raise InvalidInput(f"{where}: the {document['kind']} needs metadata.name.", "metadata.name")
    return document


def _whole(value: t.Any, name: str, origin: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{origin}: spec.{name} is {value!r}, it must be a whole number.", name, value)
    return value


def _seconds(value: t.Any, name: str, origin: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise InvalidInput(f"{origin}: spec.{name} is {value!r}, it must be a number of seconds.", name, value)
    return float(value)


def _time(value: t.Any, origin: str) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or timezone.utc)
    try:
        parsed = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        raise InvalidInput(
            f"{origin}: spec.startTime is {value!r}, it must be a time such as 2026-08-20T09:00:00Z.",
            "startTime",
            value,
        ) from None
    return parsed.replace(tzinfo=parsed.tzinfo or timezone.utc)


def _timings(values: t.Any, base: Timings, origin: str) -> Timings:
    ranges = {"podStart": "pod_start", "podReady": "pod_ready", "podStop": "pod_stop"}
    single = {"tunnel": "tunnel", "leakGrace": "leak_grace"}
    if not isinstance(values, dict):
        raise InvalidInput(f"{origin}: spec.timings must be a mapping.", "timings", values)
    result: dict[str, t.Any] = dict(vars(base))
    for key, value in values.items():
        if key in single:
            result[single[key]] = _seconds(value, f"timings.{key}", origin)
        elif key in ranges:
            pair = value if isinstance(value, list) else [value, value]
            if len(pair) != 2:
                raise InvalidInput(
                    f"{origin}: spec.timings.{key} is {value!r}, it must be seconds or [least, most].", key, value
                )
            low, high = (_seconds(part, f"timings.{key}", origin) for part in pair)
            result[ranges[key]] = (min(low, high), max(low, high))
        else:
            known = ", ".join(sorted([*ranges, *single]))
            raise InvalidInput(f"{origin}: spec.timings.{key} is unknown; the timings are {known}.", key, value)
    return Timings(**result)


def _nodes(entries: t.Any, kubernetes: str, used: int, origin: str) -> list[Object]:
    if not isinstance(entries, list):
        raise InvalidInput(f"{origin}: spec.nodes must be a list.", "nodes", entries)
    nodes: list[Object] = []
    for position, entry in enumerate(entries):
        where = f"nodes[{position}]"
        if not isinstance(entry, dict) or set(entry) - _NODE_FIELDS or ("name" in entry) == ("prefix" in entry):
            raise InvalidInput(
                f"{origin}: spec.{where} must have either name, or prefix and count, and may have a template.",
                where,
                entry,
            )
        template = entry.get("template") or {}
        if "name" in entry:
            labels = [str(entry["name"])]
        else:
            labels = [f"{entry['prefix']}{i}" for i in range(1, _whole(entry.get("count", 1), where, origin) + 1)]
        first = used + len(nodes)
        nodes += [_node(name, first + i, template, kubernetes) for i, name in enumerate(labels)]
    return nodes


def _node(name: str, index: int, template: Object, kubernetes: str) -> Object:
    network = ipaddress.ip_network(_NODE_NETWORK)
    address = str(network[10 + index])
    resources = {"cpu": "4", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"}
    node: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "beta.kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
            "annotations": {"projectcalico.org/IPv4Address": f"{address}/{network.prefixlen}"},
        },
        "spec": {},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": name},
            ],
            "capacity": resources,
            "allocatable": resources,
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.8.0-79-generic",
                "kubeProxyVersion": "",
                "kubeletVersion": kubernetes,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "Ubuntu 24.04.3 LTS",
                "systemUUID": "",
            },
        },
    }
    return _overlay(node, template)


def _afterwards(entries: t.Any, origin: str) -> t.Iterator[Afterwards]:
    for position, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        where = f"afterwards[{position}]"
        given = entry if isinstance(entry, dict) else {}
        patch = given.get("patch")
        known = set(given) <= _AFTERWARDS and all(given.get(key) for key in ("apiVersion", "kind", "name"))
        if not known or isinstance(patch, dict) == bool(given.get("delete")):
            raise InvalidInput(
                f"{origin}: spec.{where} must have apiVersion, kind, name, for most kinds a namespace, and either "
                "patch or delete: true.",
                where,
                entry,
            )
        yield Afterwards(
            str(given["apiVersion"]), str(given["kind"]), str(given.get("namespace") or ""), str(given["name"]), patch
        )


def _identity(item: Object) -> tuple[str, str, str, str]:
    metadata = item["metadata"]
    return (item["apiVersion"], item["kind"], str(metadata.get("namespace") or ""), metadata["name"])


def _overlay(base: Object, over: Object) -> Object:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = _overlay(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _with_namespaces(objects: t.Sequence[Object]) -> list[Object]:
    declared = {item["metadata"]["name"] for item in objects if item["kind"] == "Namespace"}
    missing: dict[str, Object] = {}
    for item in objects:
        namespace = item["metadata"].get("namespace")
        if namespace and namespace not in declared and namespace not in missing:
            missing[namespace] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    return [*missing.values(), *objects]
