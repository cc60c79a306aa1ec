# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The eviction subresource of pods: the door that disruption budgets guard.

All the cases of spec kubernetes-api-behaviour.md §11 with their exact answers. The budget is
charged before the pod is deleted: ``disruptionsAllowed`` falls and ``disruptedPods`` grows at
once, so that no two evictions share one permission.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import POD_DISRUPTION_BUDGETS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.disruption import disruption_condition
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    condition,
    is_finished,
    is_ready,
    is_terminating,
    phase,
    with_condition,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.deletion import check_preconditions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import (
    Answer,
    SubresourceCall,
    WriteOptions,
    delete_options_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selects
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Cause,
    Fault,
    bad_request,
    failure,
    internal_error,
    not_found,
    success,
    too_many_requests,
)

_MESSAGE = "Cannot evict pod as it would violate the pod's disruption budget."
_TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
_CAUSE = "DisruptionBudget"
# More evictions under way than this are refused: the status must not grow without end.
_MOST_DISRUPTED = 2000
_VERSIONS = (None, "", "policy/v1", "policy/v1beta1")


@dataclass(frozen=True)
class Verdict:
    """The pod may be deleted; ``budget`` is the one to charge first, None when none is concerned."""

    budget: Object | None = None


def budgets_of(objects: ObjectStore, pod: Object) -> list[Object]:
    """The disruption budgets that select the pod."""
    metadata = pod["metadata"]
    return [
        budget
        for budget in objects.list(POD_DISRUPTION_BUDGETS, metadata["namespace"])
        if selects((budget.get("spec") or {}).get("selector"), metadata.get("labels"))
    ]


def judge(pod: Object, budgets: t.Sequence[Object]) -> Verdict:
    """Whether the pod may be evicted now. Raises the ``Fault`` of the refusal."""
    if is_finished(pod) or phase(pod) == "Pending" or is_terminating(pod) or not budgets:
        return Verdict()
    if len(budgets) > 1:
        raise internal_error(_TWO_BUDGETS)
    budget = budgets[0]
    status = budget.get("status") or {}
    if not is_ready(pod):
        policy = (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") or "IfHealthyBudget"
        desired = int(status.get("desiredHealthy") or 0)
        if policy == "AlwaysAllow" or (desired > 0 and int(status.get("currentHealthy") or 0) >= desired):
            return Verdict()
    _check(budget)
    return Verdict(budget)


def _check(budget: Object) -> None:
    name, status = budget["metadata"]["name"], budget.get("status") or {}
    if int(status.get("observedGeneration") or 0) < int(budget["metadata"].get("generation") or 1):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", retry_after=10)
    allowed = int(status.get("disruptionsAllowed") or 0)
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or {}) > _MOST_DISRUPTED:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed > 0:
        return
    healthy, desired = int(status.get("currentHealthy") or 0), int(status.get("desiredHealthy") or 0)
    failed = condition(budget, "DisruptionAllowed")
    if failed is not None and failed.get("reason") == "SyncFailed" and failed.get("status") == "False":
        why = f"does not allow evicting pods currently because it failed sync: {failed.get('message', '')}"
    elif healthy <= desired:
        why = f"needs {desired} healthy pods and has {healthy} currently"
    else:
        why = "does not allow evicting pods currently"
    raise _refused(f"The disruption budget {name} {why}")


def charged(budget: Object, pod: str, now: str) -> Object:
    """The budget's status after one of its disruptions was given to ``pod``."""
    status = budget.get("status") or {}
    allowed = int(status.get("disruptionsAllowed") or 0) - 1
    return {
        **status,
        "disruptionsAllowed": allowed,
        "disruptedPods": {**(status.get("disruptedPods") or {}), pod: now},
        "conditions": disruption_condition(
            status.get("conditions") or (), allowed, now, int(budget["metadata"].get("generation") or 1)
        ),
    }


def target_condition(pod: Object, clock: VirtualClock) -> Object:
    """The pod's status with the condition that says why it goes."""
    status = pod.get("status") or {}
    conditions = with_condition(
        status.get("conditions") or (),
        "DisruptionTarget",
        "True",
        clock.timestamp(),
        "EvictionByEvictionAPI",
        "Eviction API: evicting",
    )
    return {**status, "conditions": conditions}


def evict(server: ApiServer, call: SubresourceCall) -> Answer:
    """POST to pods/eviction. Raises the ``Fault`` of a refusal."""
    namespace = call.namespace or ""
    _check_body(call, namespace)
    options = delete_options_of(call.body.get("deleteOptions"), {}, call.options.user)
    if call.options.dry_run and not options.dry_run:
        options = replace(options, dry_run=True)
    pod = server.objects.get(PODS, namespace, call.name)
    if pod is None:
        raise not_found(PODS, call.name)
    failed = check_preconditions(call.kind, pod, options)
    if failed is not None:
        raise failed
    verdict = judge(pod, budgets_of(server.objects, pod))
    done = Answer(201, success(code=201))
    if options.dry_run:
        return done
    writing = WriteOptions(user=call.options.user)
    if verdict.budget is not None:
        budget = verdict.budget
        body = {**budget, "status": charged(budget, call.name, server.clock.timestamp())}
        server.replace(
            POD_DISRUPTION_BUDGETS, budget["metadata"]["name"], body, namespace, writing, subresource="status"
        )
    if not is_finished(pod) and not is_terminating(pod):
        marked = {**pod, "status": target_condition(pod, server.clock)}
        server.replace(PODS, call.name, marked, namespace, writing, subresource="status")
        # That write made a new version; the caller's precondition was about the one before.
        options = replace(options, resource_version=None)
    server.delete(PODS, call.name, namespace, options)
    return done


def register_evictions(server: ApiServer) -> None:
    """Let the API server answer pods/eviction."""
    server.register_subresource("pods", "eviction", lambda call: evict(server, call))


def _check_body(call: SubresourceCall, namespace: str) -> None:
    body = call.body
    if body.get("kind") not in (None, "", "Eviction") or body.get("apiVersion") not in _VERSIONS:
        raise bad_request(
            f'no kind "{body.get("kind", "")}" is registered for version "{body.get("apiVersion", "")}" in scheme'
        )
    metadata = body.get("metadata") or {}
    if metadata.get("name") and metadata["name"] != call.name:
        raise bad_request("name in URL does not match name in Eviction object")
    if metadata.get("namespace") and metadata["namespace"] != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _refused(cause: str, retry_after: int | None = None) -> Fault:
    return too_many_requests(_MESSAGE, [Cause(_CAUSE, cause)], retry_after)


def _forbidden(name: str, why: str) -> Fault:
    return failure(
        403,
        f'poddisruptionbudgets.policy "{name}" is forbidden: {why}',
        "Forbidden",
        {"name": name, "group": "policy", "kind": "poddisruptionbudgets"},
    )
