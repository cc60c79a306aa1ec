# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which workloads go first and which last (hazards.md D06, B40, B41, D10).

Name servers before everything, since whatever starts asks them; then the pods behind admission webhooks and
behind aggregated APIs, since nothing can be created, or found, without them; storage systems at the end,
since their budgets clear only when volumes are let go. Each of these goes one workload at a time. Between
them is everything else, the longest first, so that no long one is left over when all others are done.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner, template_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import scope
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View

NAME_SERVERS, WEBHOOKS, APIS, ORDINARY, STORAGE = range(5)
STAGE_WORDS = {
    NAME_SERVERS: "the cluster's name servers",
    WEBHOOKS: "the pods behind admission webhooks",
    APIS: "the pods behind aggregated APIs",
    ORDINARY: "all that is not storage",
}

VALIDATING = Resource(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False
)
MUTATING = Resource(
    "admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False
)
CSI_DRIVERS = Resource("storage.k8s.io", "v1", "csidrivers", "CSIDriver", False)
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False)

# Namespaces that storage systems are installed in by their own instructions.
STORAGE_NAMESPACES = frozenset(
    {
        "longhorn-system",
        "rook-ceph",
        "openebs",
        "mayastor",
        "portworx",
        "piraeus-datastore",
        "linbit-sds",
        "topolvm-system",
        "openshift-storage",
        "openshift-cluster-csi-drivers",
        "ceph-csi",
    }
)
# The helpers that every CSI driver runs beside itself; attachers and provisioners among them.
_SIDECAR = re.compile(
    r"(^|/)(csi-(provisioner|attacher|resizer|snapshotter|node-driver-registrar|external-health-monitor-controller))"
    r"(:|@|$)"
)
_NAME_SERVER_LABELS = (("k8s-app", "kube-dns"), ("k8s-app", "coredns"), ("dns.operator.openshift.io/daemonset-dns",))


@dataclass(frozen=True)
class Backend:
    """A Service that something asks for, and the labels of the pods behind it."""

    namespace: str
    service: str
    selector: t.Mapping[str, str]
    asked_by: str
    stops_pods: bool = False
    """Whether no pod can be created while it has none ready."""


@dataclass
class Serving:
    """What pods serve to the cluster itself; read once, when a drain begins."""

    webhooks: tuple[Backend, ...] = ()
    selectors: t.Mapping[tuple[str, str], t.Mapping[str, str]] = field(default_factory=dict)
    """Of Services, by namespace and name."""
    drivers: frozenset[str] = frozenset()
    unread: tuple[str, ...] = ()
    """What may not be read, so that nothing is ordered by it."""

    def stage_of(self, view: View, owner: Owner | None, pods: t.Sequence[PodFacts]) -> int:
        if owner is None or not pods:
            return ORDINARY
        if any(_is_name_server(pod) for pod in pods):
            return NAME_SERVERS
        if self.webhooks_of(pods):
            return WEBHOOKS
        if self.apis_of(view, pods):
            return APIS
        return STORAGE if self._is_storage(view, owner) else ORDINARY

    def webhooks_of(self, pods: t.Iterable[PodFacts]) -> list[Backend]:
        found = list(pods)
        return [each for each in self.webhooks if any(_behind(pod, each.namespace, each.selector) for pod in found)]

    def apis_of(self, view: View, pods: t.Iterable[PodFacts]) -> list[str]:
        """The names of the APIServices that these pods answer for."""
        found = list(pods)
        names = []
        for api in view.api_services.values():
            selector = self.selectors.get((api.namespace, api.service))
            if selector and any(_behind(pod, api.namespace, selector) for pod in found):
                names.append(api.name)
        return sorted(names)

    def _is_storage(self, view: View, owner: Owner) -> bool:
        if owner.namespace in STORAGE_NAMESPACES:
            return True
        workload = view.workloads.get(owner)
        if workload is None:
            return False
        for container in template_of(workload).get("containers") or ():
            if _SIDECAR.search(str(container.get("image") or "")):
                return True
            texts = [*(container.get("command") or ()), *(container.get("args") or ())]
            texts += [entry.get("value") for entry in container.get("env") or ()]
            for text in texts:
                if any(driver in str(text) for driver in self.drivers):
                    return True
        return False


def read_serving(api: KubeApi, namespaces: t.Collection[str]) -> Serving:
    """Five lists; what may not be read is left out and noted."""
    found: dict[str, list[Object]] = {}
    unread = []
    for resource in (SERVICES, VALIDATING, MUTATING, CSI_DRIVERS, STORAGE_CLASSES):
        items = _listed(api, resource, namespaces)
        if items is None:
            unread.append(resource.plural)
        found[resource.plural] = items or []
    selectors = {
        (str(metadata_of(each)["namespace"]), str(metadata_of(each)["name"])): (each.get("spec") or {}).get("selector")
        or {}
        for each in found["services"]
    }
    hooks = [*found[VALIDATING.plural], *found[MUTATING.plural]]
    drivers = {str(metadata_of(each)["name"]) for each in found["csidrivers"]}
    drivers |= {str(each.get("provisioner") or "") for each in found["storageclasses"]}
    return Serving(
        webhooks=tuple(backend for hook in hooks for backend in _backends(hook, selectors)),
        selectors=selectors,
        # A driver's name is a domain; anything shorter would be found in every second command line.
        drivers=frozenset(driver for driver in drivers if "." in driver),
        unread=tuple(unread),
    )


def _listed(api: KubeApi, resource: Resource, namespaces: t.Collection[str]) -> list[Object] | None:
    try:
        return api.list(resource, scope(namespaces, resource)).items
    except UnknownResource:
        return []
    except Forbidden:
        return None


def _backends(configuration: Object, selectors: t.Mapping[tuple[str, str], t.Mapping[str, str]]) -> t.Iterator[Backend]:
    for hook in configuration.get("webhooks") or ():
        service = (hook.get("clientConfig") or {}).get("service")
        if not service or hook.get("failurePolicy", "Fail") != "Fail":
            continue
        key = (str(service.get("namespace") or ""), str(service.get("name") or ""))
        selector = selectors.get(key)
        if selector:
            yield Backend(key[0], key[1], selector, f"webhook {hook.get('name')}", _matches_new_pods(hook))


def _matches_new_pods(hook: t.Mapping[str, t.Any]) -> bool:
    for rule in hook.get("rules") or ():
        if not {"", "*"} & set(rule.get("apiGroups") or ()):
            continue
        if {"pods", "*", "*/*"} & set(rule.get("resources") or ()) and {"CREATE", "*"} & set(
            rule.get("operations") or ()
        ):
            return True
    return False


def _behind(pod: PodFacts, namespace: str, selector: t.Mapping[str, str]) -> bool:
    return pod.namespace == namespace and all(pod.labels.get(key) == value for key, value in selector.items())


def _is_name_server(pod: PodFacts) -> bool:
    if pod.namespace not in ("kube-system", "openshift-dns"):
        return False
    for wanted in _NAME_SERVER_LABELS:
        value = pod.labels.get(wanted[0])
        if value is not None and (len(wanted) == 1 or value == wanted[1]):
            return True
    return False


def place(stage: int, seconds: float, owner: Owner | None) -> tuple[t.Any, ...]:
    """What tasks are sorted by: the stage, the longest first, then by namespace and name; bare pods last."""
    if owner is None:
        return (STORAGE + 1,)
    return (stage, -round(seconds), owner.namespace, owner.name, owner.kind)
