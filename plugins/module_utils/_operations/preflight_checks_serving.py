# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of what the moving pods serve: DNS, admission webhooks, aggregated APIs (hazards B40, B41, D06)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.budgets import matches_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    condition,
    is_finished,
    is_ready,
    labels_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    SINGLE_REPLICA_WEBHOOKS,
    consents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_drain import (
    added_first,
    planned_drain,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    API_SERVICES,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
)

# So many ready pods keep a Service answering while one of them is replaced.
ENOUGH = 2
# The Service of the cluster's name servers: by this label with most installers, by its name with the others.
_DNS_NAMESPACE = "kube-system"
_DNS_APPS = ("kube-dns", "coredns")
_DNS_NAMES = ("kube-dns", "coredns", "rke2-coredns-rke2-coredns")

# Requests that a drain, or a controller on its behalf, makes: (group, resource, operation).
_REQUESTS = (
    ("", "pods", "CREATE"),
    ("", "pods/eviction", "CREATE"),
    ("", "pods/binding", "CREATE"),
    ("", "pods", "DELETE"),
    ("apps", "replicasets", "CREATE"),
    ("apps", "replicasets", "UPDATE"),
    ("apps", "deployments", "UPDATE"),
    ("apps", "statefulsets", "UPDATE"),
    ("apps", "daemonsets", "UPDATE"),
)


@dataclass(frozen=True)
class _Backend:
    """The pods behind a Service: all that run, and whether some of them are to move. ``adds_first`` is about them."""

    service: str
    ready: int
    moving: bool
    adds_first: bool
    owners: tuple[str, ...]


@dataclass(frozen=True)
class _Backends:
    """Services by namespace and name, seen by whom they lead to."""

    now: Situation
    moving: frozenset[str]
    added: frozenset[str]

    @staticmethod
    def of(now: Situation) -> _Backends | None:
        if planned_drain(now) is None:
            return None
        return _Backends(now, frozenset(full_name(pod) for pod in now.source_pods()), added_first(now))

    def behind(self, namespace: str, name: str) -> _Backend | None:
        """None for a Service that is not there, or that says nothing about pods."""
        for service in self.now.view.services:
            if service["metadata"]["name"] == name and service["metadata"].get("namespace") == namespace:
                selector = (service.get("spec") or {}).get("selector")
                return self._selected(f"Service {namespace}/{name}", namespace, selector) if selector else None
        return None

    def _selected(self, service: str, namespace: str, selector: t.Mapping[str, str]) -> _Backend:
        pods = [
            pod
            for pod in self.now.view.pods
            if pod["metadata"]["namespace"] == namespace
            and not is_finished(pod)
            and matches_labels({"matchLabels": selector}, labels_of(pod))
        ]
        moving = [pod for pod in pods if full_name(pod) in self.moving]
        owners = {_owner(pod, self.now) for pod in moving}
        return _Backend(
            service,
            sum(is_ready(pod) for pod in pods),
            bool(moving),
            bool(owners) and owners <= self.added,
            tuple(sorted(owners)),
        )


def _owner(pod: Object, now: Situation) -> str:
    owner = owner_of(pod, now.view)
    return str(owner) if owner is not None else f"Pod {full_name(pod)}"


def webhooks_stay_up(now: Situation) -> t.Iterator[Problem]:
    """B40: a webhook that must agree to new pods, served by pods that move."""
    backends = _Backends.of(now)
    if backends is None:
        return
    safe: list[str] = []
    for configuration in now.view.surroundings.of(MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS):
        for webhook in configuration.get("webhooks") or ():
            service = (webhook.get("clientConfig") or {}).get("service") or {}
            concerned = _concerned(webhook)
            if webhook.get("failurePolicy", "Fail") != "Fail" or not service or not concerned:
                continue
            backend = backends.behind(str(service.get("namespace")), str(service.get("name")))
            label = f"{configuration['kind']} {configuration['metadata']['name']} ({webhook.get('name')})"
            if backend is None or not (backend.moving or backend.ready == 0):
                continue
            if backend.ready == 0:
                yield Problem(
                    BLOCKER,
                    f"{label} must agree to {concerned} and no pod behind {backend.service} is ready: nothing can be "
                    "moved as it is.",
                    "Repair the webhook first.",
                    (label, backend.service, *backend.owners),
                )
            elif backend.ready >= ENOUGH or backend.adds_first:
                safe.append(label)
            else:
                agreed = consents(now.request.consent, SINGLE_REPLICA_WEBHOOKS, str(service.get("namespace")))
                yield Problem(
                    WARNING if agreed else BLOCKER,
                    f"{label} must agree to {concerned} and is served by a single pod that is to move "
                    f"({backend.service}): while it is away all of them are refused, "
                    f"{_its_own(webhook, now, str(service.get('namespace')))}.",
                    f"Give {' and '.join(backend.owners)} a second replica for the time of the procedure, or let its "
                    "rollout add a pod before it takes one away.",
                    (label, backend.service, *backend.owners),
                )
    if safe:
        yield Problem(
            NOTE,
            f"Pods that move serve {counted(len(safe), 'webhook')} whose consent new or evicted pods need, first "
            f"{safe[0]}; enough of them stay.",
            "Nothing to do.",
            tuple(safe),
        )


def _concerned(webhook: t.Mapping[str, t.Any]) -> str:
    """What of a drain's requests the webhook is asked about; empty when nothing."""
    for group, resource, operation in _REQUESTS:
        for rule in webhook.get("rules") or ():
            if (
                _among(group, rule.get("apiGroups"))
                and _names_resource(resource, rule.get("resources"))
                and _among(operation, rule.get("operations"))
            ):
                return f"every {operation} of {resource}"
    return ""


def _among(value: str, names: t.Sequence[str] | None) -> bool:
    return "*" in (names or ()) or value in (names or ())


def _names_resource(resource: str, names: t.Sequence[str] | None) -> bool:
    main, _slash, part = resource.partition("/")
    for name in names or ():
        if name == "*/*" or name == resource or (name == "*" and not part):
            return True
        first, slash, second = name.partition("/")
        if part and slash and first in ("*", main) and second in ("*", part):
            return True
        if not part and slash and second == "*" and first == main:
            return True
    return False


def _its_own(webhook: t.Mapping[str, t.Any], now: Situation, namespace: str) -> str:
    """How far it goes: a webhook that leaves its own namespace out can at least come back by itself."""
    selector = webhook.get("namespaceSelector")
    for thing in now.view.namespaces:
        own = {**labels_of(thing), "kubernetes.io/metadata.name": namespace}
        if thing["metadata"]["name"] == namespace and selector and not matches_labels(selector, own):
            return "but for those in its own namespace"
    return "those for its own pod too"


def api_services_stay_up(now: Situation) -> t.Iterator[Problem]:
    """B41: APIs that the API server forwards to pods."""
    backends = _Backends.of(now)
    if backends is None:
        return
    for thing in now.view.surroundings.of(API_SERVICES):
        service = (thing.get("spec") or {}).get("service")
        if not service:
            continue
        name = f"APIService {thing['metadata']['name']}"
        state = condition(thing, "Available")
        if state.get("status") == "False":
            yield Problem(
                WARNING,
                f"{name} is not available ({state.get('message') or state.get('reason') or 'no reason given'}): "
                "discovery and the deletion of namespaces stall meanwhile.",
                "Repair it first, or delete it if nobody needs it.",
                (name,),
            )
            continue
        backend = backends.behind(str(service.get("namespace")), str(service.get("name")))
        if backend is not None and backend.moving and backend.ready < ENOUGH and not backend.adds_first:
            yield Problem(
                WARNING,
                f"{name} is served by {_count(backend.ready)} that is to move ({backend.service}): its API is away for "
                "that time.",
                f"Give {' and '.join(backend.owners)} a second replica for the time of the procedure, if the API must "
                "stay.",
                (name, backend.service, *backend.owners),
            )


def dns_stays_up(now: Situation) -> t.Iterator[Problem]:
    """D06: every pod that is restarted asks the cluster's DNS first."""
    backends = _Backends.of(now)
    if backends is None:
        return
    # Several Services may lead to the same name servers.
    found: dict[tuple[int, tuple[str, ...]], _Backend] = {}
    for name in _dns_services(now):
        backend = backends.behind(_DNS_NAMESPACE, name)
        if backend is not None:
            found.setdefault((backend.ready, backend.owners), backend)
    for backend in found.values():
        yield from _of_dns(backend)


def _dns_services(now: Situation) -> list[str]:
    return sorted(
        service["metadata"]["name"]
        for service in now.view.services
        if service["metadata"].get("namespace") == _DNS_NAMESPACE
        and (service["metadata"]["name"] in _DNS_NAMES or labels_of(service).get("k8s-app") in _DNS_APPS)
    )


def _of_dns(backend: _Backend) -> t.Iterator[Problem]:
    if backend.ready == 0:
        yield Problem(
            BLOCKER,
            f"No pod behind {backend.service} is ready: the cluster has no DNS, and restarted pods would not come up.",
            "Repair the cluster's DNS first.",
            (backend.service,),
        )
    elif backend.moving and backend.ready < ENOUGH and not backend.adds_first:
        yield Problem(
            WARNING,
            f"The cluster's DNS is one pod that is to move ({', '.join(backend.owners)}): names do not resolve while "
            "it is away.",
            "Give it a second replica first.",
            (backend.service, *backend.owners),
        )


def _count(pods: int) -> str:
    return "no ready pod" if pods == 0 else "a single pod"


CHECKS = (
    Check("webhooks-stay-up", "webhooks answer while their pods move", ("B40",), webhooks_stay_up),
    Check(
        "api-services-stay-up",
        "aggregated APIs answer while their pods move",
        ("B41",),
        api_services_stay_up,
        worst=WARNING,
    ),
    Check("dns-stays-up", "names resolve while DNS moves", ("D06",), dns_stays_up),
)
