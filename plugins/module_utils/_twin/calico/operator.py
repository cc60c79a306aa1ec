# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The Tigera operator, as far as it looks after IP pools.

Source: spec ippool.md 10. It makes the pools like the list in Installation ``default``, on every change of
the Installation or of a pool and every five minutes, and says in TigeraStatus how that went. It works
only while a pod of its Deployment is ready.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    INSTALLATIONS,
    PODS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import annotations_of, labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_form import stored_form
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import kubeadm_pod_subnet
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator_install import (
    API_SERVERS,
    NAME,
    NAMESPACE,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator_pools import (
    OWNER,
    OWNER_LABEL,
    OwnPool,
    Settings,
    Spec,
    Work,
    first_entries,
    has_enabled,
    outside,
    problems,
    with_defaults,
    work,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V3, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import TryAgain, WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import API_SERVICES

USER = "system:serviceaccount:tigera-operator:tigera-operator"
IPPOOLS = "ippools"
CALICO = "calico"
_PERIOD = 300.0


class Degraded(Exception):
    """Something keeps the operator from its work; ``reason`` is a word for a condition."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class TigeraOperator:
    """Looks after the pools of the Installation; ``api`` is its own access to the API server."""

    def __init__(
        self, api: LocalApi, objects: ObjectStore, clock: VirtualClock, installation: str, places: CalicoPlaces
    ) -> None:
        self._api = api
        self._objects = objects
        self._clock = clock
        self._installation = installation
        self._places = places
        self._ready: set[str] = set()
        self._queue: WorkQueue[str] = WorkQueue(clock, "tigera-operator", self._pass, delay=(0.05, 0.25))

    @property
    def running(self) -> bool:
        """Whether a pod of the operator is ready."""
        return bool(self._ready)

    def start(self) -> None:
        """Follow the operator's pods, its resources, the pools, and whether Calico's API server is up."""
        for pod in self._objects.list(PODS, NAMESPACE):
            self._note_pod(pod, gone=False)
        self._objects.subscribe(self._on_pod, PODS)
        for resource in (INSTALLATIONS, API_SERVERS, self._places.pools, API_SERVICES):
            self._objects.subscribe(lambda _event: self._look(), resource)
        self._look()

    def _look(self) -> None:
        if self.running:
            self._queue.add(IPPOOLS)

    def _on_pod(self, event: Event) -> None:
        if event.object["metadata"].get("namespace") == NAMESPACE:
            before = self.running
            self._note_pod(event.object, gone=event.type == DELETED)
            if self.running and not before:
                self._look()

    def _note_pod(self, pod: Object, gone: bool) -> None:
        if (pod["metadata"].get("labels") or {}).get("k8s-app") != NAME:
            return
        conditions = (pod.get("status") or {}).get("conditions") or []
        ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
        if ready and not gone:
            self._ready.add(pod["metadata"]["uid"])
        else:
            self._ready.discard(pod["metadata"]["uid"])

    # ---- one look at everything

    def _pass(self, _key: str) -> float | None:
        if not self.running:
            return None
        self._note_api_server()
        installation = self._objects.get(INSTALLATIONS, None, "default")
        if installation is None:
            return _PERIOD
        try:
            entries = self._reconcile(installation)
        except Degraded as degraded:
            self._report(IPPOOLS, degraded)
            raise TryAgain(degraded.message) from None
        self._report(IPPOOLS, None)
        waits = None
        if not has_enabled(entries, self._pools()):
            waits = Degraded("ResourceNotReady", "Waiting for enabled IP pools to be created")
        self._report(CALICO, waits)
        return _PERIOD

    def _reconcile(self, installation: Object) -> list[dict[str, t.Any]]:
        """The list that holds from now on. Raises ``Degraded``."""
        pools = self._pools()
        settings = _settings(installation)
        entries = self._listed(installation, pools, settings)
        wrong = problems(entries, settings)
        if not pools:
            # Where there are pools already, nobody asks whether the platform knows of them (7.4).
            wrong += outside(entries, self._subnets())
        if wrong:
            raise Degraded("ResourceValidationError", "Error validating IP pools: " + "; ".join(wrong))
        todo = work(entries, pools)
        if not todo.idle:
            self._carry_out(todo, pools)
        if todo.complaints:
            raise Degraded("ResourceValidationError", "; ".join(todo.complaints))
        return entries

    def _listed(self, installation: Object, pools: t.Sequence[OwnPool], settings: Settings) -> list[dict[str, t.Any]]:
        """The list with all defaults, which are written back."""
        given = ((installation.get("spec") or {}).get("calicoNetwork") or {}).get("ipPools")
        if given is None:
            entries = [] if pools else with_defaults(first_entries(self._subnets()), pools, settings)
        else:
            entries = with_defaults(given, pools, settings)
        if entries != given:
            try:
                self._api.patch(INSTALLATIONS, "default", {"spec": {"calicoNetwork": {"ipPools": entries}}})
            except ApiError as error:
                raise Degraded("ResourceUpdateError", f"Failed to write defaults: {error.message}") from None
        return entries

    def _subnets(self) -> list[Network]:
        found = (kubeadm_pod_subnet(self._objects, version) for version in (4, 6))
        return [each for each in found if each is not None]

    def _carry_out(self, todo: Work, pools: t.Sequence[OwnPool]) -> None:
        if not self._serves_v3:
            if pools:
                raise Degraded(
                    "ResourceNotReady",
                    "Unable to modify IP pools while Calico API server is unavailable: "
                    + ", ".join([*(name for name, _spec in (*todo.create, *todo.update)), *todo.delete]),
                )
            for name, spec in todo.create:
                self._tried("create", name, functools.partial(self._create_past_v3, name, spec))
            return
        for name, spec in todo.create:
            self._tried("create", name, functools.partial(self._create, name, spec))
        for name, spec in todo.update:
            self._tried("update", name, functools.partial(self._update, name, spec))
        for name in todo.delete:
            self._tried("delete", name, functools.partial(self._api.delete, CRD_V3.pools, name))

    def _tried(self, verb: str, name: str, write: t.Callable[[], t.Any]) -> None:
        try:
            write()
        except ApiError as error:
            # What comes later in the list has to wait until somebody puts this right.
            raise Degraded("ResourceUpdateError", f"Failed to {verb} IPPool {name}: {error.message}") from None

    def _create(self, name: str, spec: Spec) -> None:
        self._api.create(CRD_V3.pools, _pool(CRD_V3.pools, name, spec))

    def _create_past_v3(self, name: str, spec: Spec) -> None:
        pools = self._places.pools
        body = _pool(pools, name, spec)
        body["metadata"]["creationTimestamp"] = self._clock.timestamp()
        self._api.create(pools, stored_form(body, pools))

    def _update(self, name: str, spec: Spec) -> None:
        """The spec is replaced; labels, annotations and finalizers of others stay."""
        live = self._api.get(CRD_V3.pools, name)
        labels = {**(live["metadata"].get("labels") or {}), OWNER_LABEL: OWNER}
        self._api.replace(CRD_V3.pools, {**live, "metadata": {**live["metadata"], "labels": labels}, "spec": spec})

    # ---- what there is

    def _pools(self) -> list[OwnPool]:
        return [
            OwnPool(
                name=pool["metadata"]["name"],
                spec=pool.get("spec") or {},
                labels=labels_of(pool),
                annotations=annotations_of(pool),
                terminating="deletionTimestamp" in pool["metadata"],
            )
            for pool in self._objects.list(self._places.pools)
        ]

    @property
    def _serves_v3(self) -> bool:
        if self._installation == "crd_v3":
            return True
        found = self._objects.get(API_SERVERS, None, "default") or {}
        return (found.get("status") or {}).get("state") == "Ready"

    # ---- what it says

    def _note_api_server(self) -> None:
        """APIServer is Ready while Calico's API server answers."""
        found = self._objects.get(API_SERVERS, None, "default")
        if found is None:
            return
        pools = CRD_V3.pools
        served = (pools.group, pools.version) in self._api.server.served.group_versions()
        up = served and self._api.server.served.is_available(pools.group, pools.version)
        state = "Ready" if up else ""
        status = found.get("status") or {}
        if (status.get("state") or "") != state:
            self._api.replace(API_SERVERS, {**found, "status": {**status, "state": state}}, subresource="status")

    def _report(self, name: str, degraded: Degraded | None) -> None:
        found = self._objects.get(TIGERA_STATUSES, None, name)
        if found is None:
            body = {
                "apiVersion": TIGERA_STATUSES.api_version,
                "kind": TIGERA_STATUSES.kind,
                "metadata": {"name": name},
                "spec": {},
            }
            found = self._api.create(TIGERA_STATUSES, body)
        old = {each["type"]: each for each in (found.get("status") or {}).get("conditions") or ()}
        now = self._clock.timestamp()
        conditions = [_condition(each, old.get(each["type"]), now) for each in _conditions(degraded)]
        if conditions != list(old.values()):
            self._api.replace(TIGERA_STATUSES, {**found, "status": {"conditions": conditions}}, subresource="status")


def _pool(resource: Resource, name: str, spec: Spec) -> Object:
    metadata = {"name": name, "labels": {OWNER_LABEL: OWNER}}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec}


def _settings(installation: Object) -> Settings:
    spec = installation.get("spec") or {}
    return Settings(
        cni=str((spec.get("cni") or {}).get("type") or "Calico"),
        bgp=(spec.get("calicoNetwork") or {}).get("bgp") != "Disabled",
    )


def _conditions(degraded: Degraded | None) -> list[Object]:
    fine = {"reason": "AllObjectsAvailable", "message": "All objects available"}
    none = {"reason": "NotApplicable", "message": "Not Applicable"}
    if degraded is None:
        return [
            {"type": "Available", "status": "True", **fine},
            {"type": "Progressing", "status": "False", **fine},
            {"type": "Degraded", "status": "False", **fine},
        ]
    return [
        {"type": "Available", "status": "False", **none},
        {"type": "Progressing", "status": "False", **none},
        {"type": "Degraded", "status": "True", "reason": degraded.reason, "message": degraded.message},
    ]


def _condition(told: Object, old: Object | None, now: str) -> Object:
    since = old.get("lastTransitionTime") if old is not None and old.get("status") == told["status"] else None
    return {**told, "lastTransitionTime": since or now}
