# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Validation of built-in types: which rules hold for which kind, and the rules of the small ones.

The rules cover what clients of this collection and users of a demo cluster do get wrong;
they are a choice, not the API server's whole set. Names and labels are checked with the
metadata.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import pod_rules, workload_rules
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    duplicate,
    forbidden_field,
    invalid_value,
    required,
    too_long,
    unsupported,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pod_rules import Causes, one_of, port_number
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause

Rules = t.Callable[[Object, t.Optional[Object], t.Optional[str]], Causes]

_LARGEST = 1048576
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_RBAC = "rbac.authorization.k8s.io"
_SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def validate(kind: Kind, obj: Object, old: Object | None, subresource: str | None) -> list[Cause]:
    """What is wrong with a built-in object; ``old`` is None on create."""
    causes = list(_owners(obj["metadata"], old))
    if subresource in ("status", "finalize"):
        return causes
    rules = _RULES.get((kind.resource.group, kind.resource.kind))
    if rules is None or (old is not None and "spec" in obj and obj["spec"] is old.get("spec")):
        return causes
    return causes + list(rules(obj, old, subresource))


def _owners(metadata: Object, old: Object | None) -> Causes:
    references = metadata.get("ownerReferences")
    if not references or (old is not None and references == old["metadata"].get("ownerReferences")):
        return
    controllers = []
    for place, reference in enumerate(references):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(key):
                yield invalid_value(f"metadata.ownerReferences[{place}].{key}", "", "must not be empty")
        if reference.get("controller"):
            controllers.append(reference)
    if len(controllers) > 1:
        names = " and ".join(f"{each.get('kind')}/{each.get('name')}" for each in controllers[:2])
        yield invalid_value(
            "metadata.ownerReferences",
            references,
            f'Only one reference can have Controller set to true. Found "true" in references for {names}',
        )


def _data(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    """Keys, size and immutability of ConfigMaps and Secrets."""
    size = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            if not _KEY.fullmatch(key) or len(key) > 253:
                yield invalid_value(f"{field}[{key}]", key, _KEY_TEXT)
            size += len(value.encode()) if field == "data" and obj["kind"] == "ConfigMap" else len(value) * 3 // 4
    if size > _LARGEST:
        yield too_long("data" if obj["kind"] == "Secret" else "", _LARGEST)
    if old is None:
        return
    if old.get("immutable"):
        if not obj.get("immutable"):
            yield forbidden_field("immutable", "field is immutable when `immutable` is set")
        for field in ("data", "binaryData"):
            if (obj.get(field) or {}) != (old.get(field) or {}):
                yield forbidden_field(field, "field is immutable when `immutable` is set")
    if obj["kind"] == "Secret" and obj.get("type") != old.get("type"):
        yield invalid_value("type", obj.get("type"), "field is immutable")


def _service(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    kind, address = spec.get("type"), spec.get("clusterIP")
    yield from one_of(spec, "type", _SERVICE_TYPES, "spec")
    if kind == "ExternalName":
        if not spec.get("externalName"):
            yield required("spec.externalName")
    elif not spec.get("ports") and address != "None":
        yield required("spec.ports")
    yield from one_of(spec, "sessionAffinity", ("ClientIP", "None"), "spec")
    if address and address != "None" and not _is_address(address):
        yield invalid_value(
            "spec.clusterIPs", [address], "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        )
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    if before and kind != "ExternalName" and address != before:
        yield invalid_value("spec.clusterIPs[0]", [address], "may not change once set")
    names: set[str] = set()
    ports = spec.get("ports") or []
    for place, port in enumerate(ports):
        where = f"spec.ports[{place}]"
        yield from port_number(port, "port", where, needed=True)
        yield from one_of(port, "protocol", ("SCTP", "TCP", "UDP"), where)
        if port.get("name") or len(ports) > 1:
            yield from pod_rules.name_in(port, where, names)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _node(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    seen = set()
    for place, taint in enumerate(spec.get("taints") or []):
        where = f"spec.taints[{place}]"
        if not taint.get("key"):
            yield invalid_value(f"{where}.key", "", "name part must be non-empty")
        if taint.get("effect") not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
            yield unsupported(f"{where}.effect", taint.get("effect"), ("NoSchedule", "PreferNoSchedule", "NoExecute"))
        identity = (taint.get("key"), taint.get("effect"))
        if identity in seen:
            yield duplicate(where, taint)
        seen.add(identity)
    for place, network in enumerate(spec.get("podCIDRs") or []):
        try:
            ipaddress.ip_network(network)
        except ValueError:
            yield invalid_value(f"spec.podCIDRs[{place}]", network, "must be a valid CIDR value")
    for key in ("podCIDRs", "providerID"):
        before = ((old or {}).get("spec") or {}).get(key)
        if before and spec.get(key) != before:
            yield forbidden_field(f"spec.{key}", "node updates may not change this field once it is set")


def _lease(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        yield invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")
    transitions = spec.get("leaseTransitions")
    if transitions is not None and transitions < 0:
        yield invalid_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


def _binding(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    reference = obj.get("roleRef") or {}
    if not reference.get("name"):
        yield required("roleRef.name")
    if reference.get("kind") not in ("Role", "ClusterRole"):
        yield unsupported("roleRef.kind", reference.get("kind") or "", ("Role", "ClusterRole"))
    if old is not None and reference != old.get("roleRef"):
        yield invalid_value("roleRef", reference, "cannot change roleRef")
    for place, subject in enumerate(obj.get("subjects") or []):
        if not subject.get("name"):
            yield required(f"subjects[{place}].name")
        if subject.get("kind") not in ("User", "Group", "ServiceAccount"):
            yield unsupported(f"subjects[{place}].kind", subject.get("kind") or "", ("ServiceAccount", "User", "Group"))
        elif (
            subject["kind"] == "ServiceAccount" and obj["kind"] == "ClusterRoleBinding" and not subject.get("namespace")
        ):
            yield required(f"subjects[{place}].namespace")


def _role(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    for place, rule in enumerate(obj.get("rules") or []):
        where = f"rules[{place}]"
        if not rule.get("verbs"):
            yield required(f"{where}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            yield required(f"{where}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{where}.resources", "resource rules must supply at least one resource")


def _priority_class(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    if old is not None and obj.get("value") != old.get("value"):
        yield forbidden_field("value", "may not be changed in an update.")


def _storage_class(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    if not obj.get("provisioner"):
        yield required("provisioner")
    for key in ("provisioner", "parameters", "reclaimPolicy"):
        if old is not None and obj.get(key) != old.get(key):
            yield forbidden_field(key, f"updates to {key} are forbidden.")


def _event(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    about = (obj.get("involvedObject") or obj.get("regarding") or {}).get("namespace")
    if (about or "default") != obj["metadata"].get("namespace", "default"):
        yield invalid_value("involvedObject.namespace", about or "", "does not match event.namespace")


def _network_policy(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    yield from workload_rules.label_selector(spec.get("podSelector"), "spec.podSelector")
    for place, name in enumerate(spec.get("policyTypes") or []):
        if name not in ("Ingress", "Egress"):
            yield unsupported(f"spec.policyTypes[{place}]", name, ("Egress", "Ingress"))


def _crd(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    names = spec.get("names") or {}
    for key in ("plural", "kind"):
        if not names.get(key):
            yield required(f"spec.names.{key}")
    if not spec.get("group"):
        yield required("spec.group")
    wanted = f"{names.get('plural', '')}.{spec.get('group', '')}"
    if obj["metadata"].get("name") != wanted:
        yield invalid_value("metadata.name", obj["metadata"].get("name"), 'must be spec.names.plural+"."+spec.group')
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield unsupported("spec.scope", spec.get("scope") or "", ("Cluster", "Namespaced"))
    versions = spec.get("versions") or []
    if sum(bool(each.get("storage")) for each in versions) != 1:
        yield invalid_value("spec.versions", versions, "must have exactly one version marked as storage version")
    for place, version in enumerate(versions):
        if not isinstance((version.get("schema") or {}).get("openAPIV3Schema"), dict):
            yield required(f"spec.versions[{place}].schema.openAPIV3Schema", "schemas are required")
    if old is not None:
        before = old.get("spec") or {}
        for key in ("group", "scope"):
            if spec.get(key) != before.get(key):
                yield invalid_value(f"spec.{key}", spec.get(key), "field is immutable")
        for key in ("plural", "kind"):
            if names.get(key) != (before.get("names") or {}).get(key):
                yield invalid_value(f"spec.names.{key}", names.get(key), "field is immutable")


_RULES: t.Mapping[tuple[str, str], Rules] = {
    ("", "ConfigMap"): _data,
    ("", "Event"): _event,
    ("", "Node"): _node,
    ("", "Pod"): pod_rules.pod,
    ("", "ReplicationController"): workload_rules.replication_controller,
    ("", "Secret"): _data,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("apps", "DaemonSet"): workload_rules.daemon_set,
    ("apps", "Deployment"): workload_rules.deployment,
    ("apps", "ReplicaSet"): workload_rules.replica_set,
    ("apps", "StatefulSet"): workload_rules.stateful_set,
    ("autoscaling", "HorizontalPodAutoscaler"): workload_rules.autoscaler,
    ("batch", "CronJob"): workload_rules.cron_job,
    ("batch", "Job"): workload_rules.job,
    ("coordination.k8s.io", "Lease"): _lease,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("policy", "PodDisruptionBudget"): workload_rules.disruption_budget,
    (_RBAC, "ClusterRole"): _role,
    (_RBAC, "ClusterRoleBinding"): _binding,
    (_RBAC, "Role"): _role,
    (_RBAC, "RoleBinding"): _binding,
    ("scheduling.k8s.io", "PriorityClass"): _priority_class,
    ("storage.k8s.io", "StorageClass"): _storage_class,
}
