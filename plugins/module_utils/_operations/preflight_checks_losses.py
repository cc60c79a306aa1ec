# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of what workloads lose while they are moved: a moment, data, work (hazards B42, B43, D09, D11)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import controller_of, is_mirror
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PERSISTENT_VOLUME_CLAIMS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import desired_count
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import owner_of, owners_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    local_data as lost_volumes,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import EVICT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
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
    DECLARE,
    Situation,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    PERSISTENT_VOLUMES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import Workload

# Pods of these are replaced with every release, so what they keep beside claims is a cache (see drain_consent.py).
_REPLACED_OFTEN = ("Deployment ", "ReplicaSet ", "DaemonSet ", "Job ", "CronJob ")


def surge_room(now: Situation) -> t.Iterator[Problem]:
    """B42: workloads that lose a pod before they get another one, by the drain's own judgement."""
    plan = planned_drain(now)
    if plan is None:
        return
    ways = {treated.owner: treated.way for treated in plan.workloads}
    left = {entry.owner for entry in plan.left}
    tight, single = [], []
    for workload in owners_of(now.source_pods(), now.view):
        if workload.kind not in ("Deployment", "StatefulSet") or str(workload) in added_first(now):
            continue
        if str(workload) not in ways or str(workload) in left:
            continue
        thing = {"kind": workload.kind, **workload.thing}
        if (
            workload.kind == "Deployment"
            and ways[str(workload)] == EVICT
            and not (thing.get("spec") or {}).get("paused")
        ):
            tight.append(f"{workload} ({_reason(workload, plan.steps)})")
        if desired_count(thing) == 1:
            single.append(str(workload))
    if tight:
        yield Problem(
            WARNING,
            f"{counted(len(tight), 'workload loses', 'workloads lose')} a pod before another one is there, first "
            f"{tight[0]}.",
            "Make room for one more pod, or accept that their pods go one by one.",
            tuple(tight),
        )
    if single:
        yield Problem(
            WARNING,
            f"{counted(len(single), 'workload of one pod is', 'workloads of one pod are')} away while it is "
            f"replaced, first {single[0]}.",
            "Give those that must not be away a second replica, or a strategy that adds a pod first.",
            tuple(single),
        )


def _reason(workload: Workload, steps: t.Iterable[str]) -> str:
    """The drain's reason for evicting the pods of a workload, out of its plan."""
    start = f"evict the pods of {workload} ("
    for step in steps:
        if step.startswith(start):
            return step.partition("): ")[2] or step
    return "its pods are evicted"


def local_data(now: Situation) -> t.Iterator[Problem]:
    """B43."""
    if now.request.procedure == DECLARE:
        return
    caches: dict[str, set[str]] = {}
    tied: set[str] = set()
    local = _local_claims(now)
    for pod in now.source_pods():
        if is_mirror(pod):
            continue
        owner, namespace = owner_of(pod, now.view), str(pod["metadata"]["namespace"])
        name = str(owner) if owner is not None else f"Pod {full_name(pod)}"
        if lost_volumes(pod["spec"]):
            caches.setdefault(namespace, set()).add(name)
        for volume in pod["spec"].get("volumes") or ():
            if (namespace, (volume.get("persistentVolumeClaim") or {}).get("claimName")) in local:
                tied.add(name)
    if caches:
        names = [name for namespace in sorted(caches) for name in sorted(caches[namespace])]
        yield Problem(
            WARNING if any(not name.startswith(_REPLACED_OFTEN) for name in names) else NOTE,
            f"New pods do not have the files in emptyDir volumes or in directories of their node that old ones have: "
            f"{counted(len(names), 'workload')} in {counted(len(caches), 'namespace')} ({', '.join(sorted(caches))}), "
            f"first {names[0]}.",
            "Make sure that nothing in them is needed, or save it first (kubectl cp).",
            tuple(names),
        )
    if tied:
        yield Problem(
            NOTE,
            f"{counted(len(tied), 'workload has', 'workloads have')} volumes that are local to a node, first "
            f"{min(tied)}: their pods come back "
            "only there.",
            "Keep those nodes uncordoned and with room.",
            tuple(sorted(tied)),
        )


def _local_claims(now: Situation) -> set[tuple[str, str]]:
    """Namespace and name of the claims whose volume is local to a node."""
    around = now.view.surroundings
    local = {
        volume["metadata"]["name"]
        for volume in around.of(PERSISTENT_VOLUMES)
        if {"local", "hostPath"} & set(volume.get("spec") or {})
    }
    return {
        (str(claim["metadata"]["namespace"]), str(claim["metadata"]["name"]))
        for claim in around.of(PERSISTENT_VOLUME_CLAIMS)
        if (claim.get("spec") or {}).get("volumeName") in local
    }


def running_jobs(now: Situation) -> t.Iterator[Problem]:
    """D11."""
    if now.request.procedure == DECLARE:
        return
    jobs: dict[str, str] = {}
    for pod in now.source_pods():
        above = controller_of(pod)
        if above is None or above.kind != "Job":
            continue
        found = now.view.workload("Job", pod["metadata"]["namespace"], above.name)
        name = f"Job {pod['metadata']['namespace']}/{above.name}"
        jobs[name] = _about(found.thing) if found is not None else ""
    if jobs:
        first = min(jobs)
        endless = [name for name, about in jobs.items() if "without a deadline" in about]
        yield Problem(
            WARNING if endless else NOTE,
            f"{counted(len(jobs), 'job is', 'jobs are')} running, first "
            f"{first}{f' ({jobs[first]})' if jobs[first] else ''}: the drain waits "
            "for them, since an eviction would count as their failure and throw their work away.",
            "Let the longest of them end first, or give the drain the time they need.",
            tuple(f"{name} ({about})" if about else name for name, about in sorted(jobs.items())),
        )
    crons = [
        str(workload)
        for workload in now.view.workloads
        if workload.kind == "CronJob" and not (workload.thing.get("spec") or {}).get("suspend")
    ]
    mine = {str(owner) for owner in (owner_of(pod, now.view) for pod in now.source_pods()) if owner is not None}
    active = [name for name in crons if name in mine]
    if active:
        yield Problem(
            NOTE,
            f"{counted(len(active), 'CronJob has', 'CronJobs have')} a job running, first {active[0]}, and may start "
            "another one at any time.",
            "Suspend those that should not run meanwhile; what starts later gets an address of the new pool.",
            tuple(active),
        )


def _about(job: Object) -> str:
    spec, status = job.get("spec") or {}, job.get("status") or {}
    parts = [f"since {status['startTime']}"] if status.get("startTime") else []
    parts.append("without a deadline" if spec.get("activeDeadlineSeconds") is None else "with a deadline")
    parts.append(f"backoffLimit {spec.get('backoffLimit', 6)}")
    if spec.get("podFailurePolicy"):
        parts.append("with a podFailurePolicy")
    return ", ".join(parts)


def peers_by_address(now: Situation) -> t.Iterator[Problem]:
    """D09: members that may know each other by address."""
    if now.request.procedure == DECLARE:
        return
    members = [
        str(workload)
        for workload in owners_of(now.source_pods(), now.view)
        if workload.kind == "StatefulSet" and desired_count({"kind": "StatefulSet", **workload.thing}) > 1
    ]
    if members:
        yield Problem(
            WARNING,
            f"{counted(len(members), 'StatefulSet has', 'StatefulSets have')} several members, first {members[0]}: "
            "those that remember each other by "
            "address lose their quorum when two move close together.",
            "They move one at a time in reverse order, each when the one before is ready. Make sure that readiness "
            "means having joined, or set a pause between members.",
            tuple(members),
        )


CHECKS = (
    Check("surge-room", "workloads can add a pod before they lose one", ("B42",), surge_room, worst=WARNING),
    Check("local-data", "no data is lost with a pod", ("B43",), local_data, worst=WARNING),
    Check("running-jobs", "no work is lost with a pod", ("D11",), running_jobs, worst=WARNING),
    Check("peers-by-address", "members find each other again", ("D09",), peers_by_address, worst=WARNING),
)
