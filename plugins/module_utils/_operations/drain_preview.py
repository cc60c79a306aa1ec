# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a drain would do, said before anything is touched; reads only."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import is_rolling
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import template_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import local_data
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_estimate import (
    drain_seconds,
    in_words,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import NEVER, WAIT
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    EVICT,
    RECREATE,
    SURGE,
    DrainResult,
    Left,
    Treated,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task


def preview(run: Run, tasks: t.Sequence[Task], seconds: float, lack: str = "") -> DrainResult:
    """The plan; ``tasks`` in the order of their treatment, ``seconds`` is how long looking took.

    ``lack`` says that there are too few addresses, as a clause.
    """
    steps: list[str] = []
    left: list[Left] = []
    treated: list[Treated] = []
    would_move = 0
    for task in tasks:
        pods = [pod for pod in run.view.pods_of(task.owner) if pod.in_pool]
        steps.append(_planned_step(run, task, len(pods)))
        treated.extend(treated_by(task))
        if task.hopeless:
            left.extend(left_pod(pod, task.choice.blocked) for pod in pods)
        else:
            would_move += len(pods)
    return DrainResult(
        changed=any(not task.hopeless and task.choice.way != WAIT for task in tasks),
        moved=would_move,
        total=sum(len(task.pods) for task in tasks),
        left=tuple(sorted(left)),
        workloads=tuple(treated),
        seconds=seconds,
        steps=tuple(steps),
        pods=tuple(pod.short for pod in run.view.in_pool()),
        estimate=drain_seconds(run, tasks),
        notes=(*_notes(run, tasks, would_move), *([f"nothing would be begun, since {lack}"] if lack else [])),
    )


def treated_by(task: Task) -> list[Treated]:
    if task.owner is None or task.choice.way in (WAIT, NEVER):
        return []
    return [Treated(task.owner.label, task.choice.way, len(task.pods))]


def left_pod(pod: PodFacts, reason: str) -> Left:
    return Left(pod.namespace, pod.name, pod.owner.label if pod.owner is not None else "", reason)


def _notes(run: Run, tasks: t.Sequence[Task], would_move: int) -> t.Iterator[str]:
    if would_move:
        yield (
            f"about {in_words(drain_seconds(run, tasks))} for {_count(would_move)}, "
            f"with max_parallel {run.max_parallel}"
        )
    volatile = sum(len(task.pods) for task in tasks if not task.hopeless and _has_local_data(run, task))
    if volatile:
        yield (
            f"{_count(volatile)} with volumes of their own (emptyDir, hostPath), whose contents new pods start without"
        )
    if run.serving.unread:
        yield f"nothing is ordered by {', '.join(run.serving.unread)}, which may not be listed"


def _has_local_data(run: Run, task: Task) -> bool:
    workload = run.view.workloads.get(task.owner) if task.owner is not None else None
    return workload is not None and task.choice.way not in (WAIT, NEVER) and bool(local_data(template_of(workload)))


def _planned_step(run: Run, task: Task, pods: int) -> str:
    if task.owner is None:
        return f"leave {_count(pods)} without a controller: {task.choice.reason}"
    name = f"{task.owner.label} ({_count(pods)})"
    if task.hopeless or task.choice.way == NEVER:
        return f"leave {name}: {task.choice.blocked}"
    if task.choice.way == WAIT:
        return f"wait for {name}: {task.choice.reason}"
    if task.choice.way == RECREATE:
        return f"evict {name} and create it again: {task.choice.reason}"
    if task.choice.way == EVICT:
        return f"evict the pods of {name}: {task.choice.reason}"
    workload = run.view.workloads.get(task.owner)
    if workload is not None and is_rolling(workload):
        return f"wait for the rollout of {name} that is under way"
    if task.choice.way == SURGE and pods == 0:
        return f"put the strategy of {name} back: {task.choice.reason}"
    if task.choice.way == SURGE:
        return f"restart {name}, adding {task.choice.bounds.surge} before taking any: {task.choice.reason}"
    return f"restart {name}: {task.choice.reason}"


def _count(pods: int) -> str:
    return "1 pod" if pods == 1 else f"{pods} pods"
