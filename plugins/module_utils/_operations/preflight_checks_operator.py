# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the Tigera operator and of Calico's API server, where pools are changed through them."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import APISERVER, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import API_SERVICES

API_SERVER_STATUS = "apiserver"
# What the operator says of pools and of what runs on the nodes; the others are about other things.
OF_POOLS = ("ippools", "calico")
V3_API_SERVICE = "v3.projectcalico.org"
OPERATOR_DEPLOYMENT = ("tigera-operator", "tigera-operator")


def operator_healthy(now: Situation) -> t.Iterator[Problem]:
    """B20: who puts pools right again must be content with them."""
    manages = bool(now.view.installation.operator.value)
    if not manages and now.view.operator is None:
        return
    for status in now.view.calico.statuses:
        name = status["metadata"]["name"]
        complaint = None if name == API_SERVER_STATUS else _complaint(status)
        if complaint:
            yield Problem(
                BLOCKER if manages and name in OF_POOLS else WARNING,
                f"TigeraStatus {name} {complaint}: what the operator is asked for now may come late or never.",
                "Repair what it complains of first (kubectl describe tigerastatus, log of the operator).",
                (f"TigeraStatus {name}",),
            )
    deployment = now.view.workload("Deployment", *OPERATOR_DEPLOYMENT)
    if manages and deployment is not None and not (deployment.thing.get("status") or {}).get("readyReplicas"):
        yield Problem(
            BLOCKER,
            f"{deployment} has no ready pod, and pools are changed through the Installation that it works for.",
            f"Start it first: kubectl -n {deployment.namespace} describe deployment {deployment.name} says what is "
            "missing.",
            (str(deployment),),
        )


def api_server_ready(now: Situation) -> t.Iterator[Problem]:
    """B21: pools can be changed only while it answers, and it is made of pods itself."""
    mode, manages = now.view.installation.mode.value, now.view.installation.operator.value
    if mode == CRD_V3 or (mode != APISERVER and not manages):
        return
    for what, complaint in _api_server_complaints(now):
        yield Problem(
            BLOCKER,
            f"{what} {complaint}: pools of this cluster can be changed only while Calico's API server answers.",
            "Bring Calico's API server up first: kubectl describe apiservices v3.projectcalico.org and the log of its "
            "pods say why it does not answer.",
            (what,),
        )
    pods = [pod for pod in now.view.pods if (pod["metadata"].get("labels") or {}).get("k8s-app") == "calico-apiserver"]
    pods = pods or [pod for pod in now.view.pods if pod["metadata"].get("namespace") == "calico-apiserver"]
    ready = [pod for pod in pods if _condition(pod, "Ready").get("status") == "True"]
    if pods and not ready:
        yield Problem(
            BLOCKER,
            f"No pod of Calico's API server ({len(pods)}) is ready, first {full_name(pods[0])}.",
            "Bring Calico's API server up first: kubectl describe of its pods says what is missing.",
            tuple(full_name(pod) for pod in pods),
        )
    elif len(ready) == 1 and full_name(ready[0]) in {full_name(pod) for pod in now.source_pods()}:
        # On the network of its host, as it is usually installed, it does not move.
        yield Problem(
            WARNING,
            f"Calico's API server is the one pod {full_name(ready[0])}, which is to move: meanwhile no pool can be "
            "changed.",
            "Give it a second replica for the time of the procedure (kubectl scale of its Deployment, or "
            "spec.controlPlaneReplicas of the Installation).",
            (full_name(ready[0]),),
        )


def _api_server_complaints(now: Situation) -> t.Iterator[tuple[str, str]]:
    server = now.view.calico.api_server
    state = ((server or {}).get("status") or {}).get("state")
    if server is not None and state != "Ready":
        yield f"APIServer {server['metadata']['name']}", f"is in the state {state or 'unknown'}"
    for status in now.view.calico.statuses:
        complaint = _complaint(status) if status["metadata"]["name"] == API_SERVER_STATUS else None
        if complaint:
            yield f"TigeraStatus {API_SERVER_STATUS}", complaint
    for service in now.view.surroundings.of(API_SERVICES):
        available = _condition(service, "Available")
        if service["metadata"]["name"] == V3_API_SERVICE and available.get("status") not in (None, "True"):
            words = available.get("message") or available.get("reason") or "no reason given"
            yield f"APIService {V3_API_SERVICE}", f"is not available ({str(words).rstrip('.')})"


def _complaint(status: Object) -> str | None:
    degraded, available = _condition(status, "Degraded"), _condition(status, "Available")
    if degraded.get("status") == "True":
        words = degraded.get("message") or degraded.get("reason") or "no message"
        return f"is Degraded ({str(words).rstrip('.')})"
    if available and available.get("status") != "True":
        return "is not Available"
    return None


def _condition(thing: Object, kind: str) -> Object:
    conditions = (thing.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


CHECKS = (
    Check("operator-healthy", "the Tigera operator is well", ("B20",), operator_healthy, when_resumed=True),
    Check("api-server-ready", "Calico's API server answers", ("B21",), api_server_ready, when_resumed=True),
)
