# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The resource types the twin serves without any custom resource definition.

One table, read by discovery, by the request router and by the schema registry. What a
custom resource definition adds comes from ``crd.py`` as the same ``Kind``.
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
SUBRESOURCE_VERBS = ("get", "patch", "update")
CREATE_ONLY = ("create",)


@dataclass(frozen=True)
class Subresource:
    """One entry such as ``pods/eviction``; group and version are those of its own body."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...] = SUBRESOURCE_VERBS


@dataclass(frozen=True)
class Kind:
    """One resource type as discovery shows it.

    ``generation`` says whether ``metadata.generation`` exists and counts changes of the
    spec; ``custom`` whether a custom resource definition made the type (such types have
    no strategic merge patch and refuse a PUT without resourceVersion, spec
    kubernetes-api-behaviour.md §4, §5). ``aggregated`` is a ``custom`` one that an API server
    written in Go answers for: it knows its types, so a body need not name them and a
    strategic merge patch can be carried out.
    """

    resource: Resource
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    generation: bool = False
    custom: bool = False
    list_kind: str = ""
    aggregated: bool = False

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name, or None when the type does not have it."""
        for each in self.subresources:
            if each.name == name:
                return each
        return None

    @property
    def has_status(self) -> bool:
        """Whether writes to the main resource leave ``status`` alone."""
        return self.subresource("status") is not None


def _kind(
    group: str,
    version: str,
    plural: str,
    kind: str,
    *,
    namespaced: bool = True,
    short: str = "",
    everything: bool = False,
    verbs: tuple[str, ...] = ALL_VERBS,
    status: bool = False,
    scale: bool = False,
    more: tuple[Subresource, ...] = (),
    generation: bool = False,
    singular: str = "",
) -> Kind:
    resource = Resource(group, version, plural, kind, namespaced)
    subresources = list(more)
    if scale:
        subresources.append(Subresource("scale", "Scale", "autoscaling", "v1"))
    if status:
        subresources.append(Subresource("status", kind, group, version))
    return Kind(
        resource=resource,
        singular=singular or kind.lower(),
        short_names=tuple(short.split()),
        categories=("all",) if everything else (),
        verbs=verbs,
        subresources=tuple(sorted(subresources, key=lambda each: each.name)),
        generation=generation,
        list_kind=kind + "List",
    )


def _core() -> list[Kind]:
    no_collection = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
    pod_extras = (
        Subresource("binding", "Binding", "", "v1", CREATE_ONLY),
        Subresource("ephemeralcontainers", "Pod", "", "v1"),
        Subresource("eviction", "Eviction", "policy", "v1", CREATE_ONLY),
        Subresource("resize", "Pod", "", "v1"),
    )
    finalize = Subresource("finalize", "Namespace", "", "v1", ("update",))
    token = Subresource("token", "TokenRequest", "authentication.k8s.io", "v1", CREATE_ONLY)
    return [
        _kind("", "v1", "bindings", "Binding", verbs=CREATE_ONLY),
        _kind("", "v1", "configmaps", "ConfigMap", short="cm"),
        _kind("", "v1", "endpoints", "Endpoints", short="ep", singular="endpoints"),
        _kind("", "v1", "events", "Event", short="ev"),
        _kind("", "v1", "limitranges", "LimitRange", short="limits"),
        _kind(
            "",
            "v1",
            "namespaces",
            "Namespace",
            namespaced=False,
            short="ns",
            verbs=no_collection,
            status=True,
            more=(finalize,),
        ),
        _kind("", "v1", "nodes", "Node", namespaced=False, short="no", status=True),
        _kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short="pvc", status=True),
        _kind("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, short="pv", status=True),
        _kind("", "v1", "pods", "Pod", short="po", everything=True, status=True, more=pod_extras, generation=True),
        _kind("", "v1", "podtemplates", "PodTemplate", generation=True),
        _kind(
            "",
            "v1",
            "replicationcontrollers",
            "ReplicationController",
            short="rc",
            everything=True,
            status=True,
            scale=True,
            generation=True,
        ),
        _kind("", "v1", "resourcequotas", "ResourceQuota", short="quota", status=True),
        _kind("", "v1", "secrets", "Secret"),
        _kind("", "v1", "serviceaccounts", "ServiceAccount", short="sa", more=(token,)),
        _kind("", "v1", "services", "Service", short="svc", everything=True, status=True),
    ]


def _workloads() -> list[Kind]:
    return [
        _kind("apps", "v1", "controllerrevisions", "ControllerRevision"),
        _kind("apps", "v1", "daemonsets", "DaemonSet", short="ds", everything=True, status=True, generation=True),
        _kind(
            "apps",
            "v1",
            "deployments",
            "Deployment",
            short="deploy",
            everything=True,
            status=True,
            scale=True,
            generation=True,
        ),
        _kind(
            "apps",
            "v1",
            "replicasets",
            "ReplicaSet",
            short="rs",
            everything=True,
            status=True,
            scale=True,
            generation=True,
        ),
        _kind(
            "apps",
            "v1",
            "statefulsets",
            "StatefulSet",
            short="sts",
            everything=True,
            status=True,
            scale=True,
            generation=True,
        ),
        _kind(
            "autoscaling",
            "v2",
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            short="hpa",
            everything=True,
            status=True,
        ),
        _kind(
            "autoscaling",
            "v1",
            "horizontalpodautoscalers",
            "HorizontalPodAutoscaler",
            short="hpa",
            everything=True,
            status=True,
        ),
        _kind("batch", "v1", "cronjobs", "CronJob", short="cj", everything=True, status=True, generation=True),
        _kind("batch", "v1", "jobs", "Job", everything=True, status=True, generation=True),
        _kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short="pdb", status=True, generation=True),
    ]


def _reviews() -> list[Kind]:
    """Types one can only create, for the answer in their status."""
    group = "authorization.k8s.io"
    return [
        _kind(
            "authentication.k8s.io",
            "v1",
            "selfsubjectreviews",
            "SelfSubjectReview",
            namespaced=False,
            verbs=CREATE_ONLY,
        ),
        _kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False, verbs=CREATE_ONLY),
        _kind(group, "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=CREATE_ONLY),
        _kind(group, "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False, verbs=CREATE_ONLY),
        _kind(group, "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False, verbs=CREATE_ONLY),
        _kind(group, "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False, verbs=CREATE_ONLY),
    ]


def _cluster_services() -> list[Kind]:
    rbac = "rbac.authorization.k8s.io"
    admission = "admissionregistration.k8s.io"
    return [
        _kind(
            admission,
            "v1",
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
            namespaced=False,
            generation=True,
        ),
        _kind(
            admission,
            "v1",
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            namespaced=False,
            generation=True,
        ),
        _kind(
            "apiextensions.k8s.io",
            "v1",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            namespaced=False,
            short="crd crds",
            status=True,
            generation=True,
        ),
        _kind("apiregistration.k8s.io", "v1", "apiservices", "APIService", namespaced=False, status=True),
        _kind("coordination.k8s.io", "v1", "leases", "Lease"),
        _kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", generation=True),
        _kind("events.k8s.io", "v1", "events", "Event", short="ev"),
        _kind("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False, generation=True),
        _kind("networking.k8s.io", "v1", "ingresses", "Ingress", short="ing", status=True, generation=True),
        _kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short="netpol", generation=True),
        _kind(rbac, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
        _kind(rbac, "v1", "clusterroles", "ClusterRole", namespaced=False),
        _kind(rbac, "v1", "rolebindings", "RoleBinding"),
        _kind(rbac, "v1", "roles", "Role"),
        _kind(
            "scheduling.k8s.io",
            "v1",
            "priorityclasses",
            "PriorityClass",
            namespaced=False,
            short="pc",
            generation=True,
        ),
        _kind("storage.k8s.io", "v1", "csidrivers", "CSIDriver", namespaced=False),
        _kind("storage.k8s.io", "v1", "csinodes", "CSINode", namespaced=False),
        _kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False, short="sc"),
        _kind("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", namespaced=False, status=True),
    ]


@functools.cache
def _table() -> tuple[Kind, ...]:
    return tuple(_core() + _workloads() + _reviews() + _cluster_services())


def builtin_kinds() -> list[Kind]:
    """Every built-in resource type the twin serves, core group first, preferred versions first."""
    return list(_table())


@functools.cache
def _by_place() -> t.Mapping[tuple[str, str, str], Kind]:
    return {(each.resource.group, each.resource.version, each.resource.plural): each for each in _table()}


@functools.cache
def _by_name() -> t.Mapping[tuple[str, str], Kind]:
    return {(each.resource.api_version, each.resource.kind): each for each in _table()}


def find_builtin(group: str, version: str, plural: str) -> Kind | None:
    """The built-in type served at that place, or None."""
    return _by_place().get((group, version, plural))


def find_builtin_by_name(api_version: str, kind: str) -> Kind | None:
    """The built-in type whose objects carry that apiVersion and kind, or None."""
    return _by_name().get((api_version, kind))
