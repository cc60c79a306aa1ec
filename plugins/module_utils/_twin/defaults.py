# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the API server and its admission plugins fill in for built-in types.

Applied on create and again on every update, so that a field a client leaves out has its
default again.
"""

from __future__ import annotations

import base64
import typing as t
import zlib
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import pod_defaults
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pod_defaults import mapped, replaced, with_defaults

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class DefaultContext:
    """What some defaults need from outside: an address for a service, the value of a priority class.

    ``priority_of`` answers None for a class that does not exist.
    """

    cluster_ip: t.Callable[[Object], str]
    priority_of: t.Callable[[str], t.Optional[int]]


Default = t.Callable[[Object, t.Optional[Object], DefaultContext], Object]


def fill_in(kind: Kind, obj: Object, old: Object | None, subresource: str | None, context: DefaultContext) -> Object:
    """The object with defaults; ``old`` is None on create. The same dict when nothing is missing."""
    if subresource is not None and subresource not in ("binding", "scale", "resize"):
        return obj
    default = _DEFAULTS.get((kind.resource.group, kind.resource.kind))
    if default is None:
        return obj
    if old is not None and "spec" in obj and obj["spec"] is old.get("spec") and kind.resource.kind != "Namespace":
        return obj
    return default(obj, old, context)


def _spec(change: t.Callable[[Object], Object], status: Object | None = None) -> Default:
    """A default that only concerns the spec, and the status a new object shows."""

    def default(obj: Object, old: Object | None, context: DefaultContext) -> Object:
        obj = replaced(obj, "spec", change)
        return with_defaults(obj, {"status": status}) if old is None and status is not None else obj

    return default


def _pod(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    if old is None:
        return pod_defaults.pod(obj, context.priority_of)
    return replaced(obj, "spec", pod_defaults.pod_spec)


# ---- workloads

_ROLLING = {"maxUnavailable": "25%", "maxSurge": "25%"}


def _strategy(key: str, defaults: Object) -> t.Callable[[Object], Object]:
    """Defaults of a rollout strategy: the type, and its parameters when it is RollingUpdate."""

    def change(spec: Object) -> Object:
        strategy = with_defaults(spec.get(key) or {}, {"type": "RollingUpdate"})
        if strategy["type"] == "RollingUpdate":
            rolling = with_defaults(strategy.get("rollingUpdate") or {}, defaults)
            if rolling is not strategy.get("rollingUpdate"):
                strategy = {**strategy, "rollingUpdate": rolling}
        return spec if strategy is spec.get(key) else {**spec, key: strategy}

    return change


def _deployment(spec: Object) -> Object:
    spec = _strategy("strategy", _ROLLING)(pod_defaults.template(spec))
    return with_defaults(spec, {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600})


def _replica_set(spec: Object) -> Object:
    return with_defaults(pod_defaults.template(spec), {"replicas": 1})


def _daemon_set(spec: Object) -> Object:
    spec = _strategy("updateStrategy", {"maxUnavailable": 1, "maxSurge": 0})(pod_defaults.template(spec))
    return with_defaults(spec, {"revisionHistoryLimit": 10})


def _stateful_set(spec: Object) -> Object:
    spec = _strategy("updateStrategy", {"partition": 0})(pod_defaults.template(spec))
    spec = mapped(spec, "volumeClaimTemplates", _claim_template)
    retention = with_defaults(
        spec.get("persistentVolumeClaimRetentionPolicy") or {}, {"whenDeleted": "Retain", "whenScaled": "Retain"}
    )
    spec = with_defaults(spec, {"podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10})
    if retention is spec.get("persistentVolumeClaimRetentionPolicy"):
        return spec
    return {**spec, "persistentVolumeClaimRetentionPolicy": retention}


def _claim_template(claim: Object) -> Object:
    claim = with_defaults(claim, {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}})
    return replaced(claim, "spec", _claim)


def _claim(spec: Object) -> Object:
    return with_defaults(spec, {"volumeMode": "Filesystem"})


def _replication_controller(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    spec = _replica_set(obj.get("spec") or {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        spec = with_defaults(spec, {"selector": labels})
    obj = {**obj, "spec": spec}
    if old is None:
        if labels:
            obj = {**obj, "metadata": with_defaults(obj["metadata"], {"labels": labels})}
        obj = with_defaults(obj, {"status": {"replicas": 0}})
    return obj


def _job(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    spec = pod_defaults.template(obj.get("spec") or {})
    if "completions" not in spec and "parallelism" not in spec:
        spec = {**spec, "completions": 1}
    spec = with_defaults(
        spec,
        {
            "parallelism": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "suspend": False,
            "podReplacementPolicy": "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed",
        },
    )
    if old is None and not spec.get("manualSelector") and isinstance(spec.get("template"), dict):
        spec = _job_selector(spec, obj["metadata"])
    obj = {**obj, "spec": spec}
    return with_defaults(obj, {"status": {}}) if old is None else obj


def _job_selector(spec: Object, metadata: Object) -> Object:
    uid, name = str(metadata.get("uid") or ""), metadata["name"]
    ours = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    inner = spec["template"].get("metadata") or {}
    template = {**spec["template"], "metadata": {**inner, "labels": {**(inner.get("labels") or {}), **ours}}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    return {**spec, "selector": selector, "template": template}


def _cron_job(spec: Object) -> Object:
    spec = replaced(spec, "jobTemplate", lambda each: replaced(each, "spec", pod_defaults.template))
    return with_defaults(
        spec,
        {
            "concurrencyPolicy": "Allow",
            "suspend": False,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 1,
        },
    )


# ---- services

_NODE_PORTS = (30000, 2768)


def _service(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    spec = with_defaults(obj.get("spec") or {}, {"type": "ClusterIP", "sessionAffinity": "None"})
    spec = mapped(spec, "ports", _service_port)
    if spec["type"] != "ExternalName":
        if "clusterIP" not in spec:
            before = ((old or {}).get("spec") or {}).get("clusterIP")
            spec = {**spec, "clusterIP": before or context.cluster_ip(obj)}
        family = "IPv6" if ":" in spec["clusterIP"] else "IPv4"
        spec = with_defaults(
            spec,
            {
                "clusterIPs": [spec["clusterIP"]],
                "ipFamilies": [family],
                "ipFamilyPolicy": "SingleStack",
                "internalTrafficPolicy": "Cluster",
            },
        )
    if spec["type"] in ("NodePort", "LoadBalancer"):
        spec = with_defaults(spec, {"externalTrafficPolicy": "Cluster"})
        spec = mapped(spec, "ports", lambda port: _node_port(port, obj["metadata"]))
    if spec["type"] == "LoadBalancer":
        spec = with_defaults(spec, {"allocateLoadBalancerNodePorts": True})
    obj = {**obj, "spec": spec}
    return with_defaults(obj, {"status": {"loadBalancer": {}}}) if old is None else obj


def _service_port(port: Object) -> Object:
    port = with_defaults(port, {"protocol": "TCP"})
    return with_defaults(port, {"targetPort": port["port"]}) if "port" in port else port


def _node_port(port: Object, metadata: Object) -> Object:
    first, count = _NODE_PORTS
    key = f"{metadata.get('namespace')}/{metadata.get('name')}/{port.get('port')}/{port.get('protocol')}"
    return with_defaults(port, {"nodePort": first + zlib.crc32(key.encode()) % count})


# ---- the rest


def _namespace(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    if labels.get("kubernetes.io/metadata.name") != metadata["name"]:
        labels = {**labels, "kubernetes.io/metadata.name": metadata["name"]}
        obj = {**obj, "metadata": {**metadata, "labels": labels}}
    if old is not None:
        return obj
    return with_defaults({**obj, "spec": {"finalizers": ["kubernetes"]}}, {"status": {"phase": "Active"}})


def _node(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    spec = obj.get("spec") or {}
    if spec.get("podCIDR"):
        spec = with_defaults(spec, {"podCIDRs": [spec["podCIDR"]]})
    return obj if spec is obj.get("spec") else {**obj, "spec": spec}


def _secret(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    obj = with_defaults(obj, {"type": "Opaque"})
    plain = obj.get("stringData")
    if plain is None:
        return obj
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": {**(obj.get("data") or {}), **encoded}}


def _network_policy(spec: Object) -> Object:
    types = ["Ingress", "Egress"] if "egress" in spec else ["Ingress"]
    spec = with_defaults(spec, {"podSelector": {}, "policyTypes": types})
    for direction in ("ingress", "egress"):
        spec = mapped(spec, direction, lambda rule: mapped(rule, "ports", _protocol))
    return spec


def _protocol(port: Object) -> Object:
    return with_defaults(port, {"protocol": "TCP"})


def _binding(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    obj = replaced(obj, "roleRef", lambda each: with_defaults(each, {"apiGroup": _RBAC}))
    return mapped(obj, "subjects", _subject)


def _subject(subject: Object) -> Object:
    return with_defaults(subject, {"apiGroup": _RBAC}) if subject.get("kind") in ("User", "Group") else subject


def _top(defaults: Object) -> Default:
    return lambda obj, old, context: with_defaults(obj, defaults)


def _webhooks(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    def webhook(each: Object) -> Object:
        each = with_defaults(
            each,
            {
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {},
                "timeoutSeconds": 10,
            },
        )
        if obj["kind"] == "MutatingWebhookConfiguration":
            each = with_defaults(each, {"reinvocationPolicy": "Never"})
        each = replaced(
            each,
            "clientConfig",
            lambda config: replaced(config, "service", lambda to: with_defaults(to, {"port": 443})),
        )
        return mapped(each, "rules", lambda rule: with_defaults(rule, {"scope": "*"}))

    return mapped(obj, "webhooks", webhook)


def _endpoint_slice(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    return mapped(obj, "ports", lambda port: with_defaults(port, {"name": "", "protocol": "TCP"}))


def _endpoints(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    return mapped(obj, "subsets", lambda subset: mapped(subset, "ports", _protocol))


def _crd(obj: Object, old: Object | None, context: DefaultContext) -> Object:
    def spec(given: Object) -> Object:
        given = with_defaults(given, {"conversion": {"strategy": "None"}})

        def names(each: Object) -> Object:
            kind = str(each.get("kind") or "")
            return with_defaults(each, {"singular": kind.lower(), "listKind": kind + "List"})

        return replaced(given, "names", names)

    return replaced(obj, "spec", spec)


_BUDGET: Object = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
_DAEMONS: Object = {
    "currentNumberScheduled": 0,
    "numberMisscheduled": 0,
    "desiredNumberScheduled": 0,
    "numberReady": 0,
}

_DEFAULTS: t.Mapping[tuple[str, str], Default] = {
    ("", "Endpoints"): _endpoints,
    ("", "Namespace"): _namespace,
    ("", "Node"): _node,
    ("", "PersistentVolume"): _spec(
        lambda spec: with_defaults(spec, {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"}),
        {"phase": "Pending"},
    ),
    ("", "PersistentVolumeClaim"): _spec(_claim, {"phase": "Pending"}),
    ("", "Pod"): _pod,
    ("", "PodTemplate"): lambda obj, old, context: pod_defaults.template(obj),
    ("", "ReplicationController"): _replication_controller,
    ("", "ResourceQuota"): _spec(lambda spec: spec, {}),
    ("", "Secret"): _secret,
    ("", "Service"): _service,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("apiregistration.k8s.io", "APIService"): _spec(
        lambda spec: replaced(spec, "service", lambda each: with_defaults(each, {"port": 443})), {}
    ),
    ("apps", "DaemonSet"): _spec(_daemon_set, _DAEMONS),
    ("apps", "Deployment"): _spec(_deployment, {}),
    ("apps", "ReplicaSet"): _spec(_replica_set, {"replicas": 0}),
    ("apps", "StatefulSet"): _spec(_stateful_set, {"replicas": 0, "availableReplicas": 0}),
    ("autoscaling", "HorizontalPodAutoscaler"): _spec(
        lambda spec: with_defaults(spec, {"minReplicas": 1}), {"desiredReplicas": 0}
    ),
    ("batch", "CronJob"): _spec(_cron_job, {}),
    ("batch", "Job"): _job,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "Ingress"): _spec(lambda spec: spec, {"loadBalancer": {}}),
    ("networking.k8s.io", "NetworkPolicy"): _spec(_network_policy),
    ("policy", "PodDisruptionBudget"): _spec(lambda spec: spec, _BUDGET),
    (_RBAC, "ClusterRoleBinding"): _binding,
    (_RBAC, "RoleBinding"): _binding,
    ("scheduling.k8s.io", "PriorityClass"): _top({"preemptionPolicy": "PreemptLowerPriority"}),
    ("storage.k8s.io", "StorageClass"): _top({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
}
