# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A large cluster to drain, the least time any drain of it can take, and a drain of it that counts its requests.

Every workload has start-up and stop times of its own, the same for all its pods, so that the bound can be computed:

*One workload.* At any time at most ``at_once`` of its pods are being replaced: the surge of its strategy plus what both
its strategy and its budget let be away, never more than ``max_parallel``. Replacing one takes at least the time a new
pod needs to be ready; where the new one may only come once the old one is gone (StatefulSets, DaemonSets without a
surge), the time to stop comes on top. So it takes at least ``ceil(pods / at_once)`` rounds of that, and where pods are
only added first, the last old one still has to stop. Members of a StatefulSet that may form a quorum have the drain's
``pause`` between them.

*All together.* A pod takes up one of ``max_parallel`` places while it is being replaced, so the sum of all those times
divided by the places is a bound too. The name servers go before everybody else, so their time is added to the larger
of the two.

Nothing is added for the reactions of controllers, scheduler and kubelets, a few tenths of a second each time:
the bound is a little lower than what is possible.
"""

from __future__ import annotations

import math
import random
import time
import typing as t
from collections import Counter
from dataclasses import dataclass

from simulation import SimulatedApi, SimulatedClock
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import EVENTS, IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import resolve
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_plan import QUORUM
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions, DrainResult

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

OLD, NEW = "old", "new"
OLD_CIDR, NEW_CIDR = "10.0.0.0/16", "10.1.0.0/16"
PAUSE = DrainOptions(pool=OLD).pause
_TWIN = "ipam.calico-ops.io/twin-"


@dataclass(frozen=True)
class Workload:
    """One workload of the load. ``start``: from creation to ready, ``stop``: from deletion to gone; seconds.

    ``surge`` and ``unavailable`` are those of its strategy, in pods; ``slack``: how many pods its budget lets be
    away, None without a budget.
    """

    kind: str
    namespace: str
    name: str
    pods: int
    start: float
    stop: float
    surge: int
    unavailable: int
    slack: int | None
    manifest: Object
    budget: Object | None = None

    def at_once(self, max_parallel: int) -> int:
        """How many of its pods can be on their way at once."""
        away = self.unavailable if self.slack is None else min(self.unavailable, self.slack)
        return max(1, min(self.surge + away, max_parallel, self.pods))

    @property
    def each(self) -> float:
        """The least time for one pod, in which it takes up a place."""
        return self.start + (self.stop if self.kind != "Deployment" and not self.surge else 0.0)

    def least(self, max_parallel: int, pause: float = PAUSE) -> float:
        """The least time for all its pods."""
        away = self.unavailable if self.slack is None else min(self.unavailable, self.slack)
        rest = pause * (self.pods - 1) if self.kind == "StatefulSet" and self.pods >= QUORUM else 0.0
        return math.ceil(self.pods / self.at_once(max_parallel)) * self.each + (0.0 if away else self.stop) + rest


@dataclass(frozen=True)
class Bound:
    """The least time of a drain and what decides it, in seconds."""

    name_servers: float
    longest: float
    together: float

    @property
    def seconds(self) -> float:
        return self.name_servers + max(self.longest, self.together)


def lower_bound(workloads: t.Sequence[Workload], max_parallel: int) -> Bound:
    others = [each for each in workloads if each.name != "coredns"]
    servers = [each for each in workloads if each.name == "coredns"]
    return Bound(
        sum(each.least(max_parallel) for each in servers),
        max(each.least(max_parallel) for each in others),
        sum(each.pods * each.each for each in others) / max_parallel,
    )


def make_load(pods: int, nodes: int, seed: int = 1) -> list[Workload]:
    """Workloads of about ``pods`` pods: Deployments of all sorts, StatefulSets, and DaemonSets on every node."""
    chance = random.Random(seed)
    load = [_deployment(chance, "kube-system", "coredns", 2, (1, 1), {"minAvailable": 1}, dns=True)]
    for number, update in enumerate([{"maxUnavailable": "10%"}, {"maxSurge": "10%", "maxUnavailable": 0}]):
        load.append(_daemon_set(chance, f"agent-{number}", nodes, update))
    number = 0
    while sum(each.pods for each in load) < pods:
        number += 1
        namespace, name = f"team-{number % 12}", f"app-{number}"
        if number % 4 == 0:
            load.append(_stateful_set(chance, namespace, name, chance.choice([1, 3, 3, 5])))
            continue
        replicas = chance.choice([1, 2, 3, 4, 6, 8, 12, 20])
        bounds = chance.choice([("25%", "25%"), ("25%", "25%"), (1, 0), (0, 1), (2, 1), (0, "25%"), (3, 0)])
        budget = chance.choice(
            [
                None,
                None,
                {"maxUnavailable": 1},
                {"maxUnavailable": "25%"},
                {"minAvailable": "80%"},
                {"maxUnavailable": 0},
            ]
        )
        load.append(_deployment(chance, namespace, name, replicas, bounds, budget))
    return load


def _times(chance: random.Random) -> tuple[float, float, float]:
    """Until it runs, from then until it is ready, and until it has stopped."""
    return chance.choice([1.0, 2.0, 3.0]), chance.choice([1.0, 2.0, 5.0, 10.0, 20.0]), chance.choice([1.0, 2.0, 5.0])


def _template(chance: random.Random, labels: Object) -> tuple[Object, float, float]:
    start, ready, stop = _times(chance)
    seconds = {"start": start, "ready": ready, "stop": stop}
    container = {"name": "main", "image": "registry.example.com/main:1", "readinessProbe": {"tcpSocket": {"port": 80}}}
    template = {
        "metadata": {
            "labels": labels,
            "annotations": {f"{_TWIN}{name}-seconds": str(value) for name, value in seconds.items()},
        },
        "spec": {"containers": [container]},
    }
    return template, start + ready, stop


def _manifest(api_version: str, kind: str, namespace: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": {"app": name}}, **spec},
    }


def _budget(namespace: str, name: str, rule: Object | None, pods: int) -> tuple[Object | None, int | None]:
    if rule is None:
        return None, None
    if "maxUnavailable" in rule:
        slack = resolve(rule["maxUnavailable"], pods, round_up=True)
    else:
        slack = pods - resolve(rule["minAvailable"], pods, round_up=True)
    return _manifest("policy/v1", "PodDisruptionBudget", namespace, name, rule), slack


def _deployment(
    chance: random.Random,
    namespace: str,
    name: str,
    pods: int,
    bounds: tuple[t.Any, t.Any],
    rule: Object | None,
    dns: bool = False,
) -> Workload:
    template, start, stop = _template(chance, {"app": name, **({"k8s-app": "kube-dns"} if dns else {})})
    rolling = {"maxSurge": bounds[0], "maxUnavailable": bounds[1]}
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    spec = {"replicas": pods, "strategy": strategy, "template": template}
    surge, away = resolve(bounds[0], pods, round_up=True), resolve(bounds[1], pods, round_up=False)
    budget, slack = _budget(namespace, name, rule, pods)
    return Workload(
        "Deployment",
        namespace,
        name,
        pods,
        start,
        stop,
        surge,
        away if surge or away else 1,
        slack,
        _manifest("apps/v1", "Deployment", namespace, name, spec),
        budget,
    )


def _stateful_set(chance: random.Random, namespace: str, name: str, pods: int) -> Workload:
    template, start, stop = _template(chance, {"app": name})
    spec = {"replicas": pods, "serviceName": name, "template": template}
    budget, slack = _budget(namespace, name, chance.choice([None, {"maxUnavailable": 1}]), pods)
    manifest = _manifest("apps/v1", "StatefulSet", namespace, name, spec)
    return Workload("StatefulSet", namespace, name, pods, start, stop, 0, 1, slack, manifest, budget)


def _daemon_set(chance: random.Random, name: str, nodes: int, rolling: Object) -> Workload:
    template, start, stop = _template(chance, {"app": name})
    spec = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}, "template": template}
    surge = resolve(rolling.get("maxSurge", 0), nodes, round_up=True)
    away = resolve(rolling.get("maxUnavailable", 1), nodes, round_up=True)
    manifest = _manifest("apps/v1", "DaemonSet", "agents", name, spec)
    return Workload("DaemonSet", "agents", name, nodes, start, stop, surge, away, None, manifest)


def scenario(workloads: t.Sequence[Workload], nodes: int, seed: int = 1) -> list[Object]:
    """The documents of a scenario with the load in the pool ``old``, and a pool ``new`` to go to."""
    # Many nodes with room to spare: how pods are packed is not what is measured.
    template = {
        "status": {name: {"cpu": "64", "memory": "256Gi", "pods": "110"} for name in ("capacity", "allocatable")}
    }
    documents: list[Object] = [
        {
            "apiVersion": "ipam.calico-ops.io/v1alpha1",
            "kind": "Scenario",
            "metadata": {"name": "load"},
            "spec": {
                "seed": seed,
                "startTime": "2026-08-20T09:00:00Z",
                "timings": {"tunnel": 1},
                "nodes": [{"prefix": "node-", "count": nodes, "template": template}],
            },
        }
    ]
    for name, cidr in ((OLD, OLD_CIDR), (NEW, NEW_CIDR)):
        spec = {"cidr": cidr, "blockSize": 26, "nodeSelector": "all()", "disabled": name == NEW}
        metadata = {"name": name}
        documents.append(
            {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": metadata, "spec": spec}
        )
    for each in workloads:
        documents.append(each.manifest)
        if each.budget is not None:
            documents.append(each.budget)
    return documents


class CountingApi(SimulatedApi):
    """Counts what is read, apart from what was read before the first workload or pod was touched."""

    def __init__(self, twin: Twin) -> None:
        super().__init__(twin)
        self._begun = False
        self.before: Counter[str] = Counter()
        self.inside: Counter[str] = Counter()

    def _count(self, verb: str, resource: Resource) -> None:
        (self.inside if self._begun else self.before)[f"{verb} {resource.plural}"] += 1

    def written(self, verb: str, resource: Resource, name: str, body: t.Any, call: t.Callable[[], t.Any]) -> t.Any:
        # An Event tells that the drain begins.
        self._begun = self._begun or resource != EVENTS
        return super().written(verb, resource, name, body, call)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self._count("get", resource)
        return super().get(resource, name, namespace)

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        self._count("list", resource)
        return super().list(resource, namespace, **selectors)


@dataclass(frozen=True)
class Measured:
    """A drain of the load: ``seconds`` in the twin's time, ``cpu`` in this process's."""

    result: DrainResult
    bound: Bound
    seconds: float
    cpu: float
    writes: Counter[str]
    reads: Counter[str]
    """In the loop, by verb and resource."""
    record: Object

    @property
    def ratio(self) -> float:
        return self.seconds / self.bound.seconds

    @property
    def writes_per_pod(self) -> float:
        return sum(self.writes.values()) / max(1, self.result.moved)

    @property
    def lists(self) -> int:
        return sum(count for what, count in self.reads.items() if what.startswith("list "))


def prepare(workloads: t.Sequence[Workload], nodes: int, seed: int = 1) -> Twin:
    """A twin at rest with all pods in the pool ``old``, which is disabled by then."""
    twin = local_twin(scenario(workloads, nodes, seed))
    waiting = twin.settle()
    if waiting:
        raise RuntimeError(f"the cluster does not come to rest: {waiting}")
    admin = SimulatedApi(twin)
    admin.patch(IP_POOLS, NEW, {"spec": {"disabled": False}})
    admin.patch(IP_POOLS, OLD, {"spec": {"disabled": True}})
    twin.settle()
    twin.recorder.restart()
    return twin


def measure(
    twin: Twin,
    workloads: t.Sequence[Workload],
    report: t.Callable[[object], None] = lambda event: None,
    **options: t.Any,
) -> Measured:
    """Drain ``old`` in virtual time; ``simulate`` must have been called."""
    api = CountingApi(twin)
    given = DrainOptions(pool=OLD, timeout=24 * 3600, **options)
    started, cpu = twin.clock.monotonic(), time.process_time()
    result = drain_pool(api, given, SimulatedClock(api), report, lambda text: None, check_mode=False)
    return Measured(
        result,
        lower_bound(workloads, given.max_parallel),
        twin.clock.monotonic() - started,
        time.process_time() - cpu,
        Counter(f"{write.verb} {write.resource.plural}" for write in api.writes),
        api.inside,
        twin.recorder.record(),
    )
