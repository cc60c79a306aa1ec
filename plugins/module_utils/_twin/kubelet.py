# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The kubelets of all nodes: what happens to a pod from its binding to its end.

Starting: the kubelet notes the pod (ContainerCreating), asks the CNI plugin for addresses, starts
the containers, waits for their readiness. Stopping: containers end within the grace period, the
pod shows it, the CNI plugin takes the addresses back, and only then the object goes (spec
kubernetes-api-behaviour.md §10). Everything needed to go on after a restart of the twin is read from
the pods themselves.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, ApiError, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import podstatus
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import CniError, container_id
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext, Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.events import NORMAL, WARNING
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.informers import object_key
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import (
    is_finished,
    is_ready,
    is_terminating,
    node_of,
    parse_time,
    phase,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import restarts
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ADDED, DELETED, Event
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.podtiming import (
    DEFAULT_TIMINGS,
    PodTimings,
    annotated,
    broken_containers,
    exit_code,
    ready_seconds,
    start_seconds,
    stop_seconds,
)

MIRROR = "kubernetes.io/config.mirror"
_FIRST_SANDBOX_RETRY = 5.0
_LAST_SANDBOX_RETRY = 60.0
_CNI_DELETE_RETRY = 5.0
_MIRROR_RETRY = 10.0
_PULL_BACK_OFF = 10.0
_CRASH_BACK_OFF = 10.0
_LONGEST_BACK_OFF = 300.0
_COMPONENT = "kubelet"


class Cni(t.Protocol):
    """The CNI plugin of the nodes. Both calls may be repeated for the same pod and raise ``CniError``."""

    def add(self, pod: Object, node_name: str) -> list[str]:
        """The addresses of the pod's sandbox."""

    def delete(self, pod: Object, node_name: str) -> None:
        """Give the addresses back; nothing to give back is fine."""


Step = t.Callable[[Object], None]


class Kubelets:
    """Runs the pods of every node that exists."""

    def __init__(self, ctx: ControllerContext, cni: Cni, timings: PodTimings = DEFAULT_TIMINGS) -> None:
        self._ctx = ctx
        self._cni = cni
        self._timings = timings
        self._timers: dict[str, Handle] = {}
        self._started: set[str] = set()
        self._networked: set[str] = set()
        self._sandbox_failures: dict[str, int] = {}
        self._restarting: set[str] = set()
        self._jitter = ctx.clock.random("kubelet")

    def start(self) -> None:
        self._ctx.informers.on(PODS, self._on_pod)
        self._ctx.informers.on(NODES, self._on_node)
        for node in self._ctx.objects.list(NODES):
            self._take_over(node["metadata"]["name"])

    def stop(self) -> None:
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()

    def restart_static(self, namespace: str, name: str) -> bool:
        """As if its manifest were taken out of the kubelet's directory and put back; false when it is no static pod."""
        pod = self._ctx.objects.get(PODS, namespace, name)
        if pod is None or MIRROR not in (pod["metadata"].get("annotations") or {}) or not self._release(pod):
            return False
        self._restarting.add(pod["metadata"]["uid"])
        self._ctx.delete(PODS, pod, grace_seconds=0)
        return True

    # -- events ----------------------------------------------------------------------------

    def _on_node(self, event: Event) -> None:
        if event.type == ADDED:
            self._take_over(event.object["metadata"]["name"])

    def _take_over(self, node: str) -> None:
        for pod in self._ctx.pods_by_node.get(node):
            if pod["metadata"]["uid"] not in self._started:
                self._resume(pod)

    def _on_pod(self, event: Event) -> None:
        pod = event.object
        uid = pod["metadata"]["uid"]
        if event.type == DELETED:
            self._on_gone(pod)
            return
        if not node_of(pod) or self._ctx.objects.get(NODES, None, node_of(pod)) is None:
            return
        if uid not in self._started:
            self._resume(pod)
            return
        old = event.previous
        if old is None:
            return
        if pod["metadata"].get("deletionTimestamp") != old["metadata"].get("deletionTimestamp"):
            self._begin_stop(pod)
        elif not is_terminating(pod) and _images(pod) != _images(old) and not is_finished(pod):
            self._later(pod, 1.0, self._run)

    def _resume(self, pod: Object) -> None:
        """Go on where the pod's status says that it is."""
        self._started.add(pod["metadata"]["uid"])
        if (pod.get("status") or {}).get("podIP") and not is_finished(pod):
            self._networked.add(pod["metadata"]["uid"])
        if is_terminating(pod):
            self._begin_stop(pod)
        elif is_finished(pod):
            self._later(pod, 0.1, self._release_finished)
        elif phase(pod) == "Running":
            if not is_ready(pod):
                self._later(pod, ready_seconds(self._ctx.clock, pod, self._timings), self._become_ready)
            else:
                self._plan_end(pod)
        elif (pod.get("status") or {}).get("podIP"):
            self._later(pod, 0.5 * start_seconds(self._ctx.clock, pod, self._timings), self._run)
        else:
            self._later(pod, self._jitter.uniform(0.02, 0.1), self._notice)

    def _later(self, pod: Object, seconds: float, step: Step) -> None:
        """Do ``step`` with the pod as it is then; a pod has one next step at a time."""
        uid = pod["metadata"]["uid"]
        waiting = self._timers.pop(uid, None)
        if waiting is not None:
            waiting.cancel()
        self._timers[uid] = self._ctx.clock.call_later(seconds, self._step, uid, object_key(pod), step)

    def _step(self, uid: str, key: Key, step: Step) -> None:
        self._timers.pop(uid, None)
        pod = self._ctx.get(PODS, key)
        if pod is not None and pod["metadata"]["uid"] == uid:
            step(pod)

    def _write(self, pod: Object, status: Object) -> Object | None:
        generation = pod["metadata"].get("generation")
        if generation:
            status = {**status, "observedGeneration": generation}
        try:
            return self._ctx.update_status(PODS, pod, status)
        except NotFound:
            return None

    def _tell(self, pod: Object, kind: str, reason: str, message: str) -> None:
        self._ctx.events.emit(PODS, pod, kind, reason, message, _COMPONENT, node_of(pod))

    # -- starting --------------------------------------------------------------------------

    def _notice(self, pod: Object) -> None:
        written = self._write(pod, podstatus.creating(pod, self._host_ips(pod), self._ctx.clock.timestamp()))
        if written is not None:
            self._later(written, 0.4 * start_seconds(self._ctx.clock, pod, self._timings), self._network)

    def _host_ips(self, pod: Object) -> list[str]:
        node = self._ctx.objects.get(NODES, None, node_of(pod))
        addresses = ((node or {}).get("status") or {}).get("addresses") or ()
        return [each["address"] for each in addresses if each.get("type") == "InternalIP"]

    def _network(self, pod: Object) -> None:
        uid, node = pod["metadata"]["uid"], node_of(pod)
        if pod["spec"].get("hostNetwork"):
            addresses = self._host_ips(pod)
        else:
            try:
                addresses = self._cni.add(pod, node)
            except CniError as error:
                self._sandbox_failed(pod, str(error))
                return
            self._networked.add(uid)
        self._sandbox_failures.pop(uid, None)
        written = self._write(pod, podstatus.networked(pod, addresses, self._ctx.clock.timestamp()))
        if written is not None:
            self._later(written, 0.6 * start_seconds(self._ctx.clock, pod, self._timings), self._run)

    def _sandbox_failed(self, pod: Object, message: str) -> None:
        failures = self._sandbox_failures[pod["metadata"]["uid"]] = (
            self._sandbox_failures.get(pod["metadata"]["uid"], 0) + 1
        )
        self._tell(
            pod,
            WARNING,
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
            f'"{container_id(pod)}": {message}',
        )
        wait = min(_LAST_SANDBOX_RETRY, _FIRST_SANDBOX_RETRY * 1.5 ** (failures - 1))
        self._later(pod, wait * self._jitter.uniform(0.9, 1.1), self._network)

    def _run(self, pod: Object) -> None:
        broken = broken_containers(pod)
        if broken:
            self._pull_failed(pod, broken)
            return
        now = self._ctx.clock.timestamp()
        wait = ready_seconds(self._ctx.clock, pod, self._timings)
        written = self._write(pod, podstatus.running(pod, now, ready=wait == 0.0))
        if written is None:
            return
        for container in podstatus.containers(pod):
            self._tell(pod, NORMAL, "Started", f"Started container {container['name']}")
        if wait:
            self._later(written, wait, self._become_ready)
        else:
            self._plan_end(written)

    def _become_ready(self, pod: Object) -> None:
        written = self._write(pod, podstatus.running(pod, self._ctx.clock.timestamp(), ready=True))
        if written is not None:
            self._plan_end(written)

    def _pull_failed(self, pod: Object, broken: set[str]) -> None:
        images = {each["name"]: each.get("image", "") for each in podstatus.containers(pod)}
        for name in sorted(broken):
            self._tell(
                pod,
                WARNING,
                "Failed",
                f'Failed to pull image "{images[name]}": rpc error: code = NotFound desc = failed to pull and unpack '
                f'image "{images[name]}": not found',
            )

        def message(container: Object) -> str:
            return f'rpc error: code = NotFound desc = failed to pull image "{container.get("image", "")}": not found'

        now = self._ctx.clock.timestamp()
        written = self._write(pod, podstatus.waiting(pod, broken, "ErrImagePull", message, now))
        if written is not None:
            self._later(written, 0.1 * _PULL_BACK_OFF, self._back_off_pull)

    def _back_off_pull(self, pod: Object) -> None:
        broken = broken_containers(pod)
        if not broken:
            self._run(pod)
            return

        def message(container: Object) -> str:
            return f'Back-off pulling image "{container.get("image", "")}"'

        for container in podstatus.containers(pod):
            if container["name"] in broken:
                self._tell(pod, NORMAL, "BackOff", message(container))
        # It stays like this until somebody changes the image or deletes the pod.
        self._write(pod, podstatus.waiting(pod, broken, "ImagePullBackOff", message, self._ctx.clock.timestamp()))

    # -- ending by itself ------------------------------------------------------------------

    def _plan_end(self, pod: Object) -> None:
        lasts = annotated(pod, "run-seconds")
        if lasts is None:
            return
        statuses: list[Object] = (pod.get("status") or {}).get("containerStatuses") or [{}]
        began = ((statuses[0].get("state") or {}).get("running") or {}).get("startedAt")
        gone = (self._ctx.clock.now() - parse_time(began)).total_seconds() if began else 0.0
        self._later(pod, max(0.0, lasts - gone), self._end)

    def _end(self, pod: Object) -> None:
        code = exit_code(pod)
        policy = pod["spec"].get("restartPolicy", "Always")
        now = self._ctx.clock.timestamp()
        if policy == "Always" or (policy == "OnFailure" and code):
            # The first restart comes at once, the others wait ever longer.
            count = restarts(pod)
            wait = min(_LONGEST_BACK_OFF, _CRASH_BACK_OFF * 2.0 ** (count - 1)) if count else 0.0
            written = self._write(pod, podstatus.restarting(pod, now, code, wait))
            if written is not None:
                if wait:
                    self._tell(pod, WARNING, "BackOff", f"Back-off restarting failed container in pod {_name(pod)}")
                self._later(written, wait or self._jitter.uniform(0.2, 0.8), self._run)
            return
        written = self._write(pod, podstatus.ended(pod, now, code))
        if written is not None:
            self._later(written, self._jitter.uniform(0.1, 0.5), self._release_finished)

    def _release_finished(self, pod: Object) -> None:
        """A finished pod gives its address back and keeps it in its status."""
        if not self._release(pod):
            self._later(pod, _CNI_DELETE_RETRY, self._release_finished)

    def _release(self, pod: Object) -> bool:
        uid = pod["metadata"]["uid"]
        if pod["spec"].get("hostNetwork"):
            return True
        try:
            self._cni.delete(pod, node_of(pod))
        except CniError as error:
            self._tell(pod, WARNING, "FailedKillPod", f"error killing pod: failed to destroy network: {error}")
            return False
        self._networked.discard(uid)
        return True

    # -- stopping --------------------------------------------------------------------------

    def _begin_stop(self, pod: Object) -> None:
        clock = self._ctx.clock
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            self._later(pod, self._jitter.uniform(0.1, 0.3), self._remove)
            return
        if is_finished(pod) or phase(pod) == "Pending":
            # Nothing runs, or only a sandbox.
            self._later(pod, self._jitter.uniform(0.1, 0.5), self._tear_down)
            return
        deadline = (parse_time(pod["metadata"]["deletionTimestamp"]) - clock.now()).total_seconds()
        # The timestamp has whole seconds; the kubelet counts the grace period itself.
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        left = min(grace, max(0.0, deadline + 0.5))
        needs = stop_seconds(clock, pod, self._timings)
        waiting = self._timers.get(pod["metadata"]["uid"])
        if is_ready(pod) or waiting is None:
            for container in podstatus.containers(pod):
                self._tell(pod, NORMAL, "Killing", f"Stopping container {container['name']}")
        self._later(pod, min(needs, left), self._killed if needs > left else self._stopped)

    def _stopped(self, pod: Object) -> None:
        self._show_end(pod, 0)

    def _killed(self, pod: Object) -> None:
        self._show_end(pod, 137)

    def _show_end(self, pod: Object, code: int) -> None:
        written = self._write(pod, podstatus.ended(pod, self._ctx.clock.timestamp(), code))
        if written is not None:
            self._later(written, self._jitter.uniform(0.05, 0.2), self._tear_down)

    def _tear_down(self, pod: Object) -> None:
        if not self._release(pod):
            self._later(pod, _CNI_DELETE_RETRY, self._tear_down)
            return
        self._later(pod, self._jitter.uniform(0.02, 0.1), self._remove)

    def _remove(self, pod: Object) -> None:
        """Confirm the end; a finalizer may still keep the object."""
        self._ctx.delete(PODS, pod, grace_seconds=0)

    def _on_gone(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        handle = self._timers.pop(uid, None)
        if handle is not None:
            handle.cancel()
        self._started.discard(uid)
        self._sandbox_failures.pop(uid, None)
        node = node_of(pod)
        alive = bool(node) and self._ctx.objects.get(NODES, None, node) is not None
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            if alive:
                self._ctx.clock.call_soon(self._mirror, pod)
            return
        if uid in self._networked:
            self._networked.discard(uid)
            if alive:
                # Force deleted: the object is gone at once, the containers and the address a moment later.
                self._ctx.clock.call_later(self._jitter.uniform(0.5, 2.0), self._release_forced, pod)

    def _release_forced(self, pod: Object) -> None:
        if not self._release(pod):
            self._ctx.clock.call_later(_CNI_DELETE_RETRY, self._release_forced, pod)

    def _mirror(self, pod: Object) -> None:
        """The static pod never stopped: write a new mirror of it, with the same address."""
        metadata = pod["metadata"]
        kept = {
            key: metadata[key]
            for key in ("name", "namespace", "labels", "annotations", "ownerReferences")
            if key in metadata
        }
        body: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": kept, "spec": pod["spec"]}
        try:
            made = self._ctx.api.create(PODS, body, metadata["namespace"])
        except AlreadyExists:
            return
        except ApiError as error:
            self._tell(pod, WARNING, "FailedMirrorPod", f"Failed creating a mirror pod: {error.message}")
            self._ctx.clock.call_later(_MIRROR_RETRY, self._mirror, pod)
            return
        if metadata["uid"] in self._restarting:
            self._restarting.discard(metadata["uid"])
            return
        # Its creation was taken for that of an ordinary pod, to be started from the beginning.
        handle = self._timers.pop(made["metadata"]["uid"], None)
        if handle is not None:
            handle.cancel()
        now = self._ctx.clock.timestamp()
        self._write(made, podstatus.running({**made, "status": pod.get("status") or {}}, now, ready=True))


def _images(pod: Object) -> list[t.Any]:
    return [each.get("image") for each in podstatus.containers(pod)]


def _name(pod: Object) -> str:
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
