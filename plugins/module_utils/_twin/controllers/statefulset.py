# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The StatefulSet controller: pods with names, in order.

A pod is replaced by one of the same name, so only once the old one is gone (spec
kubernetes-api-behaviour.md §10). OrderedReady goes one pod at a time, Parallel creates and
deletes at once; updates go from the highest ordinal down to the partition, one by one.
"""

from __future__ import annotations

import re

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS, STATEFUL_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.amount import scaled
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.claim import claim_pods
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_finished,
    is_ready,
    is_terminating,
    phase,
    seconds_to_available,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import TryAgain, WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import enqueue_owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.revision import (
    common_hash,
    current_revision,
    revisions_of,
    template_of,
    trim_history,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import (
    REFUSALS,
    REVISION_LABEL,
    pod_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import PERSISTENT_VOLUME_CLAIMS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import selects

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"
_COMPONENT = "statefulset-controller"
_ORDINAL = re.compile(r"^(.*)-(\d+)$")


class StatefulSetController:
    """Keeps every StatefulSet's pods complete, in order and up to date."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "statefulset", self._reconcile, (0.05, 0.1))
        self._refused = ""

    def start(self) -> None:
        self._ctx.informers.on(STATEFUL_SETS, self._on_set)
        self._ctx.informers.on(PODS, self._on_pod)
        for obj in self._ctx.objects.list(STATEFUL_SETS):
            self._queue.add(object_key(obj))

    def stop(self) -> None:
        self._queue.stop()

    def _on_set(self, event: Event) -> None:
        if event.type != DELETED:
            self._queue.add(object_key(event.object))

    def _on_pod(self, event: Event) -> None:
        enqueue_owner(self._queue, STATEFUL_SETS.kind, event)
        pod = event.object
        if controller_of(pod) is None and pod["metadata"].get("labels"):
            for obj in self._ctx.objects.list(STATEFUL_SETS, pod["metadata"]["namespace"]):
                if selects(obj["spec"].get("selector"), pod["metadata"]["labels"]):
                    self._queue.add(object_key(obj))

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        self._refused = ""
        again = self._sync(key)
        if self._refused:
            raise TryAgain(self._refused)
        return again

    def _sync(self, key: Key) -> float | None:
        ctx = self._ctx
        obj = ctx.get(STATEFUL_SETS, key)
        if obj is None:
            return None
        carried = common_hash(claim_pods(ctx, STATEFUL_SETS, obj), obj)
        update = current_revision(ctx, STATEFUL_SETS, obj, short_label=False, known_hash=carried)
        known = {each["metadata"]["name"]: each for each in revisions_of(ctx, obj)}
        name = (obj.get("status") or {}).get("currentRevision")
        current = known.get(name, update) if name else update
        if not is_terminating(obj):
            self._act(obj, current, update)
        again = self._write_status(key, current, update)
        in_use = {current["metadata"]["name"], update["metadata"]["name"]}
        in_use |= {_revision(pod) for pod in self._pods(obj).values()}
        trim_history(ctx, obj, in_use)
        return again

    def _pods(self, obj: Object) -> dict[int, Object]:
        """The set's pods by ordinal."""
        found: dict[int, Object] = {}
        for pod in self._ctx.controlled(PODS, obj):
            ordinal = ordinal_of(obj, pod)
            if ordinal is not None:
                found[ordinal] = pod
        return found

    def _healthy(self, obj: Object, pod: Object | None) -> bool:
        """Running, available and not going away: the next one may follow."""
        if pod is None or is_terminating(pod) or phase(pod) != "Running":
            return False
        min_ready = float(obj["spec"].get("minReadySeconds") or 0)
        return seconds_to_available(pod, min_ready, self._ctx.clock.now()) == 0.0

    def _act(self, obj: Object, current: Object, update: Object) -> None:
        spec = obj["spec"]
        ordered = spec.get("podManagementPolicy", "OrderedReady") == "OrderedReady"
        start = int((spec.get("ordinals") or {}).get("start") or 0)
        wanted = range(start, start + int(spec.get("replicas", 1)))
        pods = self._pods(obj)
        for ordinal in wanted:
            pod = pods.get(ordinal)
            if pod is not None and is_finished(pod):
                # A finished pod is deleted, and made anew once it is gone.
                if not is_terminating(pod):
                    self._delete(obj, pod, "")
                if ordered:
                    return
                continue
            if pod is None:
                if not self._create(obj, ordinal, self._revision_for(obj, ordinal, current, update)) or ordered:
                    return
                continue
            if ordered and not self._healthy(obj, pod):
                return
        condemned = sorted((each for each in pods if each not in wanted), reverse=True)
        if not self._scale_down(obj, pods, condemned, ordered):
            return
        self._update(obj, pods, wanted, update)

    def _scale_down(self, obj: Object, pods: dict[int, Object], condemned: list[int], ordered: bool) -> bool:
        """Delete what is too many, from the top; False while the rest has to wait for that."""
        for position, ordinal in enumerate(condemned):
            pod = pods[ordinal]
            if is_terminating(pod):
                if ordered:
                    return False
                continue
            # An unhealthy pod waits for the unhealthy ones below it to recover.
            lower = condemned[position + 1 :]
            if ordered and not self._healthy(obj, pod) and not all(self._healthy(obj, pods[each]) for each in lower):
                return False
            self._delete(obj, pod, "successful")
            if ordered:
                return False
        return True

    def _update(self, obj: Object, pods: dict[int, Object], wanted: range, update: Object) -> None:
        strategy = obj["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return
        rolling = strategy.get("rollingUpdate") or {}
        partition = int(rolling.get("partition") or 0)
        allowed = max(1, scaled(rolling.get("maxUnavailable", 1), len(wanted), up=True))
        missing = sum(1 for ordinal in wanted if not self._healthy(obj, pods.get(ordinal)))
        name = update["metadata"]["name"]
        for ordinal in reversed(wanted):
            if ordinal < max(partition, wanted.start):
                return
            pod = pods.get(ordinal)
            if pod is None:
                continue
            if _revision(pod) != name and not is_terminating(pod):
                # A pod that is not healthy anyway may be replaced in any case.
                if missing >= allowed and self._healthy(obj, pod):
                    return
                self._delete(obj, pod, "successful")
                missing += 1
                if missing >= allowed:
                    return
            elif not self._healthy(obj, pod) and missing >= allowed:
                return

    @staticmethod
    def _revision_for(obj: Object, ordinal: int, current: Object, update: Object) -> Object:
        strategy = obj["spec"].get("updateStrategy") or {}
        if strategy.get("type", "RollingUpdate") != "RollingUpdate":
            return update
        start = int((obj["spec"].get("ordinals") or {}).get("start") or 0)
        partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
        return current if ordinal < start + partition else update

    # -- pods ------------------------------------------------------------------------------

    def _create(self, obj: Object, ordinal: int, revision: Object) -> bool:
        ctx = self._ctx
        metadata = obj["metadata"]
        name = f"{metadata['name']}-{ordinal}"
        claims = obj["spec"].get("volumeClaimTemplates") or ()
        spec: Object = {"hostname": name}
        if obj["spec"].get("serviceName"):
            spec["subdomain"] = obj["spec"]["serviceName"]
        template = template_of(revision)
        if claims:
            named = {each["metadata"]["name"] for each in claims}
            volumes = [each for each in (template.get("spec") or {}).get("volumes") or () if each["name"] not in named]
            for each in claims:
                claim = each["metadata"]["name"]
                volumes.append({"name": claim, "persistentVolumeClaim": {"claimName": f"{claim}-{name}"}})
                self._create_claim(obj, each, f"{claim}-{name}")
            spec["volumes"] = volumes
        labels = {REVISION_LABEL: revision["metadata"]["name"], POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
        pod = pod_of(template, STATEFUL_SETS, obj, name=name, labels=labels, spec=spec)
        try:
            ctx.api.create(PODS, pod, metadata["namespace"])
        except AlreadyExists:
            # Somebody else's pod has the name; its end will be heard of.
            return False
        except REFUSALS as error:
            self._refused = error.message
            message = f"create Pod {name} in StatefulSet {metadata['name']} failed error: {error.message}"
            ctx.events.emit(STATEFUL_SETS, obj, WARNING, "FailedCreate", message, _COMPONENT)
            return False
        message = f"create Pod {name} in StatefulSet {metadata['name']} successful"
        ctx.events.emit(STATEFUL_SETS, obj, NORMAL, "SuccessfulCreate", message, _COMPONENT)
        return True

    def _create_claim(self, obj: Object, claim: Object, name: str) -> None:
        namespace = obj["metadata"]["namespace"]
        if self._ctx.objects.get(PERSISTENT_VOLUME_CLAIMS, namespace, name) is not None:
            return
        labels = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
        metadata = {**claim["metadata"], "name": name, "namespace": namespace}
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
        metadata.pop("creationTimestamp", None)
        body: Object = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": metadata,
            "spec": claim.get("spec") or {},
        }
        self._ctx.api.create(PERSISTENT_VOLUME_CLAIMS, body, namespace)

    def _delete(self, obj: Object, pod: Object, outcome: str) -> None:
        self._ctx.delete(PODS, pod)
        name = pod["metadata"]["name"]
        message = f"delete Pod {name} in StatefulSet {obj['metadata']['name']} {outcome}".rstrip()
        self._ctx.events.emit(STATEFUL_SETS, obj, NORMAL, "SuccessfulDelete", message, _COMPONENT)

    # -- status ----------------------------------------------------------------------------

    def _write_status(self, key: Key, current: Object, update: Object) -> float | None:
        ctx = self._ctx
        obj = ctx.get(STATEFUL_SETS, key)
        if obj is None:
            return None
        now = ctx.clock.now()
        min_ready = float(obj["spec"].get("minReadySeconds") or 0)
        pods = list(self._pods(obj).values())
        living = [pod for pod in pods if not is_terminating(pod)]
        waits = [seconds_to_available(pod, min_ready, now) for pod in pods if phase(pod) == "Running"]
        current_name, update_name = current["metadata"]["name"], update["metadata"]["name"]
        ready = sum(1 for pod in pods if phase(pod) == "Running" and is_ready(pod))
        updated = sum(1 for pod in living if _revision(pod) == update_name)
        status: Object = {
            "observedGeneration": obj["metadata"].get("generation", 1),
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": sum(1 for wait in waits if wait == 0.0),
            "currentReplicas": sum(1 for pod in living if _revision(pod) == current_name),
            "updatedReplicas": updated,
            "currentRevision": current_name,
            "updateRevision": update_name,
            "collisionCount": int((obj.get("status") or {}).get("collisionCount") or 0),
        }
        strategy = (obj["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate")
        wanted = int(obj["spec"].get("replicas", 1))
        if strategy == "RollingUpdate" and updated == len(pods) == ready and wanted == updated:
            status["currentReplicas"], status["currentRevision"] = updated, update_name
        keep = ("replicas", "observedGeneration", "collisionCount", "availableReplicas")
        status = {field: value for field, value in status.items() if value or field in keep}
        conditions = (obj.get("status") or {}).get("conditions")
        if conditions:
            status["conditions"] = conditions
        ctx.update_status(STATEFUL_SETS, obj, status)
        return min((wait for wait in waits if wait), default=None)


def ordinal_of(obj: Object, pod: Object) -> int | None:
    """The number at the end of the pod's name, when it is this set's name before it."""
    found = _ORDINAL.match(pod["metadata"]["name"])
    if found is None or found.group(1) != obj["metadata"]["name"]:
        return None
    return int(found.group(2))


def _revision(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))
