# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The Deployment controller: rollouts by way of ReplicaSets.

RollingUpdate within maxSurge and maxUnavailable, Recreate, pause, scaling in the middle of a
rollout, revisions and their history, and the status that ``kubectl rollout status`` reads.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.claim import adopt_orphans
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.deploymentstatus import (
    deployment_status,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import (
    controller_of,
    owner_reference,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    by_age,
    created,
    is_active,
    is_finished,
    is_terminating,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import enqueue_owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.rollout import (
    Set,
    bounds,
    grow,
    proportional,
    shrink,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.template import (
    HASH_LABEL,
    same_template,
    template_hash,
    with_labels,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
HIGHEST = "deployment.kubernetes.io/max-replicas"
_HISTORY = "deployment.kubernetes.io/revision-history"
_COMPONENT = "deployment-controller"
# Annotations of a Deployment that its ReplicaSets do not inherit.
_OWN = {REVISION, DESIRED, HIGHEST, _HISTORY, "kubectl.kubernetes.io/last-applied-configuration"}


class DeploymentController:
    """Rolls every Deployment out."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._ctx = ctx
        self._queue: WorkQueue[Key] = WorkQueue(ctx.clock, "deployment", self._reconcile, (0.04, 0.08))

    def start(self) -> None:
        informers = self._ctx.informers
        informers.on(DEPLOYMENTS, self._on_deployment)
        informers.on(REPLICA_SETS, self._on_replica_set)
        informers.on(PODS, self._on_pod)
        for obj in self._ctx.objects.list(DEPLOYMENTS):
            self._queue.add(object_key(obj))

    def stop(self) -> None:
        self._queue.stop()

    def _on_deployment(self, event: Event) -> None:
        if event.type != DELETED:
            self._queue.add(object_key(event.object))

    def _on_replica_set(self, event: Event) -> None:
        enqueue_owner(self._queue, DEPLOYMENTS.kind, event)

    def _on_pod(self, event: Event) -> None:
        # Only Recreate waits for pods to be gone; everything else shows in the ReplicaSets.
        if event.type != DELETED:
            return
        reference = controller_of(event.object)
        if reference is None or reference["kind"] != REPLICA_SETS.kind:
            return
        namespace = event.object["metadata"]["namespace"]
        replica_set = self._ctx.objects.get(REPLICA_SETS, namespace, reference["name"])
        owner = controller_of(replica_set) if replica_set is not None else None
        if owner is None or owner["kind"] != DEPLOYMENTS.kind:
            return
        deployment = self._ctx.objects.get(DEPLOYMENTS, namespace, owner["name"])
        if deployment is not None and (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            self._queue.add((namespace, owner["name"]))

    # -- one reconciliation ----------------------------------------------------------------

    def _reconcile(self, key: Key) -> float | None:
        ctx = self._ctx
        deployment = ctx.get(DEPLOYMENTS, key)
        if deployment is None:
            return None
        sets = self._sets(deployment)
        if is_terminating(deployment):
            return self._write_status(deployment, sets, self._new(deployment, sets))
        if deployment["spec"].get("paused") or self._was_scaled(deployment, sets):
            self._rescale(deployment, sets)
        elif (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            self._recreate(deployment, sets)
        else:
            self._roll(deployment, sets)
        return self._finish(key)

    def _finish(self, key: Key) -> float | None:
        deployment = self._ctx.get(DEPLOYMENTS, key)
        if deployment is None:
            return None
        sets = self._sets(deployment)
        return self._write_status(deployment, sets, self._new(deployment, sets))

    def _sets(self, deployment: Object) -> list[Object]:
        ctx = self._ctx
        owned = ctx.controlled(REPLICA_SETS, deployment)
        if not owned:
            namespace = deployment["metadata"]["namespace"]
            owned = adopt_orphans(ctx, REPLICA_SETS, ctx.objects.list(REPLICA_SETS, namespace), DEPLOYMENTS, deployment)
        return by_age(owned)

    @staticmethod
    def _new(deployment: Object, sets: list[Object]) -> Object | None:
        """The oldest ReplicaSet that has the Deployment's template."""
        template = deployment["spec"]["template"]
        return next((each for each in sets if same_template(each["spec"]["template"], template)), None)

    def _write_status(self, deployment: Object, sets: list[Object], new: Object | None) -> float | None:
        status, again = deployment_status(deployment, sets, new, self._ctx.clock.now(), self._ctx.clock.timestamp())
        self._ctx.update_status(DEPLOYMENTS, deployment, status)
        return again

    # -- scaling ---------------------------------------------------------------------------

    @staticmethod
    def _was_scaled(deployment: Object, sets: list[Object]) -> bool:
        wanted = int(deployment["spec"].get("replicas", 1))
        return any(_annotation(each, DESIRED, wanted) != wanted for each in sets if _replicas(each) > 0)

    def _rescale(self, deployment: Object, sets: list[Object]) -> None:
        wanted = int(deployment["spec"].get("replicas", 1))
        new = self._new(deployment, sets)
        active = [each for each in sets if _replicas(each) > 0]
        if len(active) <= 1:
            only = active[0] if active else new or (sets[-1] if sets else None)
            if only is not None:
                self._scale(deployment, only, wanted)
            return
        if new is not None and _replicas(new) == wanted == _available(new) and _annotation(new, DESIRED, -1) == wanted:
            for each in active:
                if each is not new:
                    self._scale(deployment, each, 0)
            return
        if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
            return
        surge, _unavailable = bounds(deployment["spec"])
        former = int((deployment.get("status") or {}).get("replicas") or 0)
        sizes = proportional([_as_set(each) for each in sets], wanted, surge, former)
        for each in active:
            self._scale(deployment, each, sizes[each["metadata"]["name"]])

    def _scale(self, deployment: Object, replica_set: Object, size: int) -> Object:
        """Set a ReplicaSet's size and the annotations that remember what it was meant for."""
        wanted = int(deployment["spec"].get("replicas", 1))
        surge, _unavailable = bounds(deployment["spec"])
        before = _replicas(replica_set)
        metadata = replica_set["metadata"]
        annotations = {
            **(metadata.get("annotations") or {}),
            DESIRED: str(wanted),
            HIGHEST: str(wanted + surge),
        }
        if before == size and annotations == (metadata.get("annotations") or {}):
            return replica_set
        changed = self._ctx.update(
            REPLICA_SETS,
            {
                **replica_set,
                "metadata": {**metadata, "annotations": annotations},
                "spec": {**replica_set["spec"], "replicas": size},
            },
        )
        if before != size:
            self._announce(deployment, metadata["name"], before, size)
        return changed

    def _announce(self, deployment: Object, name: str, before: int, size: int) -> None:
        way = "up" if size > before else "down"
        self._ctx.events.emit(
            DEPLOYMENTS,
            deployment,
            NORMAL,
            "ScalingReplicaSet",
            f"Scaled {way} replica set {name} from {before} to {size}",
            _COMPONENT,
        )

    # -- rolling out -----------------------------------------------------------------------

    def _roll(self, deployment: Object, sets: list[Object]) -> None:
        wanted = int(deployment["spec"].get("replicas", 1))
        surge, unavailable = bounds(deployment["spec"])
        total = sum(_replicas(each) for each in sets)
        new = self._new(deployment, sets)
        if new is None:
            self._create(deployment, sets, max(0, min(wanted + surge - total, wanted)))
            return
        new = self._refresh(deployment, new, sets)
        size = grow(_replicas(new), total, wanted, surge)
        if size != _replicas(new):
            self._scale(deployment, new, size)
            return
        old = [each for each in sets if each["metadata"]["uid"] != new["metadata"]["uid"]]
        shrinking = shrink([_as_set(each) for each in old if _replicas(each) > 0], _as_set(new), wanted, unavailable)
        for each in old:
            if each["metadata"]["name"] in shrinking:
                self._scale(deployment, each, shrinking[each["metadata"]["name"]])
        if not shrinking and _is_complete(deployment, new, old):
            self._clean_up(deployment, old)

    def _recreate(self, deployment: Object, sets: list[Object]) -> None:
        wanted = int(deployment["spec"].get("replicas", 1))
        new = self._new(deployment, sets)
        old = [each for each in sets if new is None or each["metadata"]["uid"] != new["metadata"]["uid"]]
        running = [each for each in old if _replicas(each) > 0]
        for each in running:
            self._scale(deployment, each, 0)
        if running:
            return
        if any(not is_finished(pod) for each in old for pod in self._ctx.controlled(PODS, each)):
            return
        if new is None:
            self._create(deployment, sets, wanted)
            return
        new = self._refresh(deployment, new, sets)
        self._scale(deployment, new, wanted)
        if _is_complete(deployment, new, old):
            self._clean_up(deployment, old)

    def _create(self, deployment: Object, sets: list[Object], size: int) -> None:
        ctx = self._ctx
        metadata = deployment["metadata"]
        collisions = int((deployment.get("status") or {}).get("collisionCount") or 0)
        suffix = template_hash(deployment["spec"]["template"], collisions)
        name = f"{metadata['name']}-{suffix}"
        wanted = int(deployment["spec"].get("replicas", 1))
        surge, _unavailable = bounds(deployment["spec"])
        revision = str(_last_revision(sets) + 1)
        template = with_labels(deployment["spec"]["template"], {HASH_LABEL: suffix})
        selector = deployment["spec"].get("selector") or {}
        selector = {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: suffix}}
        spec: Object = {"replicas": size, "selector": selector, "template": template}
        if deployment["spec"].get("minReadySeconds"):
            spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
        body: Object = {
            "apiVersion": REPLICA_SETS.api_version,
            "kind": REPLICA_SETS.kind,
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": (template.get("metadata") or {}).get("labels") or {},
                "annotations": {
                    **_inherited(deployment),
                    REVISION: revision,
                    DESIRED: str(wanted),
                    HIGHEST: str(wanted + surge),
                },
                "ownerReferences": [owner_reference(DEPLOYMENTS, deployment)],
            },
            "spec": spec,
        }
        try:
            ctx.api.create(REPLICA_SETS, body, metadata["namespace"])
        except AlreadyExists:
            # Another template with the same short hash: count up and try again with a different one.
            status = {**(deployment.get("status") or {}), "collisionCount": collisions + 1}
            ctx.update_status(DEPLOYMENTS, deployment, status)
            self._queue.add(object_key(deployment))
            return
        self._announce(deployment, name, 0, size)
        self._note_revision(deployment, revision)

    def _refresh(self, deployment: Object, new: Object, sets: list[Object]) -> Object:
        """Give the current ReplicaSet the newest revision number (a rollback takes up an old one again)."""
        metadata = new["metadata"]
        annotations = metadata.get("annotations") or {}
        others = [each for each in sets if each["metadata"]["uid"] != metadata["uid"]]
        revision = max(_last_revision(others) + 1, _annotation(new, REVISION, 0))
        changed = {**annotations, **_inherited(deployment), REVISION: str(revision)}
        if changed[REVISION] != annotations.get(REVISION) and REVISION in annotations:
            history = [each for each in annotations.get(_HISTORY, "").split(",") if each]
            changed[_HISTORY] = ",".join([*history, annotations[REVISION]])
        surge, _unavailable = bounds(deployment["spec"])
        wanted = int(deployment["spec"].get("replicas", 1))
        changed[DESIRED], changed[HIGHEST] = str(wanted), str(wanted + surge)
        min_ready = deployment["spec"].get("minReadySeconds") or 0
        if changed != annotations or min_ready != (new["spec"].get("minReadySeconds") or 0):
            spec = {**new["spec"], "minReadySeconds": min_ready}
            new = self._ctx.update(
                REPLICA_SETS, {**new, "metadata": {**metadata, "annotations": changed}, "spec": spec}
            )
        self._note_revision(deployment, str(revision))
        return new

    def _note_revision(self, deployment: Object, revision: str) -> None:
        metadata = deployment["metadata"]
        annotations = metadata.get("annotations") or {}
        if annotations.get(REVISION) == revision:
            return
        # As the real controller does, by way of the status: that leaves the generation alone.
        changed = {**deployment, "metadata": {**metadata, "annotations": {**annotations, REVISION: revision}}}
        self._ctx.api.replace(DEPLOYMENTS, changed, metadata["namespace"], subresource="status")

    def _clean_up(self, deployment: Object, old: list[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [
            each
            for each in old
            if _replicas(each) == 0
            and not (each.get("status") or {}).get("replicas")
            and not is_terminating(each)
            and not any(is_active(pod) for pod in self._ctx.controlled(PODS, each))
        ]
        idle.sort(key=lambda each: (_annotation(each, REVISION, 0), created(each)))
        for each in idle[: max(0, len(idle) - int(limit))]:
            self._ctx.delete(REPLICA_SETS, each, propagation="Background")


def _replicas(replica_set: Object) -> int:
    return int(replica_set["spec"].get("replicas", 1))


def _available(replica_set: Object) -> int:
    return int((replica_set.get("status") or {}).get("availableReplicas") or 0)


def _annotation(obj: Object, name: str, default: int) -> int:
    try:
        return int((obj["metadata"].get("annotations") or {}).get(name, default))
    except ValueError:
        return default


def _last_revision(sets: t.Iterable[Object]) -> int:
    return max((_annotation(each, REVISION, 0) for each in sets), default=0)


def _inherited(deployment: Object) -> dict[str, str]:
    annotations = deployment["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if key not in _OWN}


def _as_set(replica_set: Object) -> Set:
    return Set(
        replica_set["metadata"]["name"],
        _replicas(replica_set),
        _available(replica_set),
        created(replica_set),
        _annotation(replica_set, HIGHEST, 0),
    )


def _is_complete(deployment: Object, new: Object, old: list[Object]) -> bool:
    wanted = int(deployment["spec"].get("replicas", 1))
    return (
        int((new.get("status") or {}).get("replicas") or 0) == wanted
        and _available(new) == wanted
        and not any((each.get("status") or {}).get("replicas") for each in old)
    )
