# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Pods without a controller, moved only with consent: evicted, and created again from their own manifests (B38).

The manifests are saved first, in a ConfigMap of the pod's own namespace, so that a drain that is killed
between the two requests can create the pod when it is run again. All of a namespace are saved by one
request, and the ConfigMap is deleted when the last of them is back.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    ApiError,
    ClusterError,
    Forbidden,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import MIRROR, metadata_of, uid_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    LOCAL_DATA,
    consents,
    local_data,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import eviction_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run, Task
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_waiting import finish
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_writes import (
    denied,
    evict_pod,
    pause_task,
)

SAVED = "calico-ops-saved-pods"
LABEL = "ipam.calico-ops.io/saved-pods"
# A ConfigMap holds a mebibyte.
MOST_BYTES = 900_000
_OF_THE_RUN = (f"{MIRROR}", "kubernetes.io/config.hash", "kubernetes.io/config.seen", "kubernetes.io/config.source")
_OF_CALICO = ("cni.projectcalico.org/podIP", "cni.projectcalico.org/podIPs", "cni.projectcalico.org/containerID")
_TOKEN = "kube-api-access-"


def clean_manifest(pod: Object) -> Object:
    """What its author would have written: without what the cluster added to this one pod, its node included."""
    metadata = metadata_of(pod)
    spec = {key: value for key, value in pod["spec"].items() if key not in ("nodeName", "ephemeralContainers")}
    if spec.get("priorityClassName"):
        spec.pop("priority", None)
    spec["volumes"] = [each for each in spec.get("volumes") or () if not str(each.get("name")).startswith(_TOKEN)]
    for kind in ("containers", "initContainers"):
        if spec.get(kind):
            spec[kind] = [_without_token(container) for container in spec[kind]]
    annotations = {
        key: value
        for key, value in (metadata.get("annotations") or {}).items()
        if key not in _OF_THE_RUN and key not in _OF_CALICO
    }
    kept: Object = {"name": metadata["name"], "namespace": metadata["namespace"]}
    for key, value in (
        ("labels", metadata.get("labels")),
        ("annotations", annotations),
        ("finalizers", metadata.get("finalizers")),
        ("ownerReferences", metadata.get("ownerReferences")),
    ):
        if value:
            kept[key] = value
    return {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": spec}


def _without_token(container: Object) -> Object:
    mounts = [each for each in container.get("volumeMounts") or () if not str(each.get("name")).startswith(_TOKEN)]
    return {**container, "volumeMounts": mounts}


def read_saved(api: KubeApi, namespaces: t.Collection[str]) -> dict[Owner, Object]:
    """The manifests that earlier runs saved, whichever pool they drained. Raises what the API raises."""
    found: dict[Owner, Object] = {}
    # By its name, so that a role can grant the right to list these and no others.
    items = api.list(CONFIG_MAPS, label_selector=f"{LABEL}=yes", field_selector=f"metadata.name={SAVED}").items
    for item in items:
        namespace = str(metadata_of(item)["namespace"])
        if namespaces and namespace not in namespaces:
            continue
        for name, text in (item.get("data") or {}).items():
            found[Owner(namespace, name, "Pod")] = json.loads(text)
    return found


def step_bare_pod(run: Run, task: Task, here: list[PodFacts]) -> bool:
    owner = task.owner
    if owner is None:
        return False
    try:
        return _step(run, task, owner, here)
    except Forbidden as error:
        return denied(run, task, error)
    except (ServerError, TooManyRequests, Unreachable) as error:
        pause_task(run, task, error.retry_after if isinstance(error, ApiError) else None, soft=False)
        task.note = error.message
    except ClusterError as error:
        kept = f"; its manifest is kept in ConfigMap {owner.namespace}/{SAVED}" if task.evicted else ""
        task.failed = task.note = f"it cannot be created again: {error.message}{kept}"
        run.breaker.note(owner, task.failed)
    return False


def _step(run: Run, task: Task, owner: Owner, here: list[PodFacts]) -> bool:
    pods = run.view.pods_of(owner)
    leaving = [pod for pod in here if not pod.terminating and pod.uid not in task.evicted]
    if leaving:
        if not task.active:
            task.note = run.may_start(task)
            if task.note:
                return False
        task.note = eviction_gate(run.view, leaving[0], 1, 1)
        if task.note:
            return False
        if owner not in run.saved:
            refusal = _save(run, owner.namespace)
            if owner not in run.saved:
                task.failed = task.note = refusal.get(owner, "its manifest could not be saved")
                return False
        return evict_pod(run, task, leaving[0])
    if not pods and owner in run.saved and owner not in run.view.ended.values():
        try:
            run.api.create(PODS, run.saved[owner], owner.namespace)
        except AlreadyExists:
            if uid_of(run.api.get(PODS, owner.name, owner.namespace)) in task.pods:
                # Its containers have ended, but the object is still there; its deletion will be seen.
                task.note, task.look_at = "waiting for the old pod to go", run.clock.monotonic() + 5.0
                return False
            task.note = "somebody else has created it again"
        else:
            run.steps.append(f"create pod {owner.short} again: {task.choice.reason}")
        # Its pod is there in a moment, and must not be created twice until the watch tells.
        run.created.add(owner)
        run.saved.pop(owner, None)
        task.active = task.acted = True
        task.progress_at = run.clock.monotonic()
        return True
    done = finish(run, task, here)
    if done:
        forget_saved(run, owner)
    return done


def _save(run: Run, namespace: str) -> dict[Owner, str]:
    """Save all bare pods of a namespace that are to be moved by one request; why not, for those that are not."""
    refused: dict[Owner, str] = {}
    data = {owner.name: json.dumps(saved) for owner, saved in run.saved.items() if owner.namespace == namespace}
    fresh: dict[Owner, Object] = {}
    for pod in run.view.in_pool():
        owner = pod.owner
        if owner is None or owner.kind != "Pod" or owner.namespace != namespace or owner in run.saved:
            continue
        thing = run.api.get(PODS, pod.name, namespace)
        if uid_of(thing) != pod.uid:
            continue
        volumes = local_data(thing["spec"])
        if volumes and not consents(run.options.consent, LOCAL_DATA, namespace):
            refused[owner] = (
                f"what it keeps in {', '.join(volumes)} would be lost: consent to that "
                f"(consent: local_data/{namespace})"
            )
            continue
        manifest = clean_manifest(thing)
        text = json.dumps(manifest)
        if sum(map(len, data.values())) + len(text) > MOST_BYTES:
            refused[owner] = "there is no room to save its manifest before others are back: run the drain again"
            continue
        data[owner.name] = text
        fresh[owner] = manifest
    if fresh:
        metadata = {
            "name": SAVED,
            "namespace": namespace,
            "labels": {LABEL: "yes"},
            "annotations": {LABEL: run.options.pool},
        }
        try:
            run.api.create(
                CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, namespace
            )
        except AlreadyExists:
            run.api.patch(CONFIG_MAPS, SAVED, {"metadata": metadata, "data": data}, namespace)
        run.saved.update(fresh)
        run.steps.append(f"save the manifests of {len(fresh)} pods in ConfigMap {namespace}/{SAVED}")
    return refused


def forget_saved(run: Run, owner: Owner) -> None:
    """Delete the ConfigMap when the last pod saved in it is back."""
    run.saved.pop(owner, None)
    run.created.discard(owner)
    namespace = owner.namespace
    if any(each.namespace == namespace for each in (*run.saved, *run.created)):
        return
    try:
        run.api.delete(CONFIG_MAPS, SAVED, namespace)
    except NotFound:
        return
