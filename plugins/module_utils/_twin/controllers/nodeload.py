# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the pods of each node ask for, kept up to date by events."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from fractions import Fraction

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.amount import quantity
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.owner import controller_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.podstate import is_finished, node_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event

# What a node without figures is taken to have, so that hand-written scenarios stay short.
_DEFAULT_CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110"}


@dataclass
class Load:
    """Requests on one node in thousandths and bytes; ``owners`` counts pods by their managing owner's uid."""

    cpu: int = 0
    memory: int = 0
    pods: int = 0
    owners: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """Thousandths of a CPU and bytes of memory."""

    cpu: int
    memory: int


def request_of(pod: Object) -> Request:
    """CPU and memory that a pod asks for: containers added up, each init container by itself, plus overhead."""
    totals = {}
    spec = pod["spec"]
    for name in ("cpu", "memory"):
        running = sum((_requested(each, name) for each in spec.get("containers") or ()), Fraction(0))
        starting = max((_requested(each, name) for each in spec.get("initContainers") or ()), default=Fraction(0))
        totals[name] = max(running, starting) + quantity(str((spec.get("overhead") or {}).get(name, "0")))
    return Request(math.ceil(totals["cpu"] * 1000), math.ceil(totals["memory"]))


def _requested(container: Object, name: str) -> Fraction:
    resources = container.get("resources") or {}
    value = (resources.get("requests") or {}).get(name)
    if value is None:
        value = (resources.get("limits") or {}).get(name, "0")
    return quantity(str(value))


def capacity(node: Object, name: str) -> int:
    """What the node can give away of ``cpu`` (thousandths), ``memory`` (bytes) or ``pods``."""
    status = node.get("status") or {}
    for field_name in ("allocatable", "capacity"):
        value = (status.get(field_name) or {}).get(name)
        if value is not None:
            return _units(name, str(value))
    return _units(name, _DEFAULT_CAPACITY[name])


@functools.lru_cache(maxsize=1024)
def _units(name: str, text: str) -> int:
    return int(quantity(text) * (1000 if name == "cpu" else 1))


class NodeLoads:
    """The load of every node."""

    def __init__(self, ctx: ControllerContext) -> None:
        self._loads: dict[str, Load] = {}
        for pod in ctx.objects.list(PODS):
            self._count(pod, 1)
        ctx.informers.on(PODS, self._on_pod)

    def of(self, node: str) -> Load:
        return self._loads.setdefault(node, Load())

    def _on_pod(self, event: Event) -> None:
        old, new = event.previous, None if event.type == DELETED else event.object
        counted_before = old is not None and bool(node_of(old)) and not is_finished(old)
        counted_now = new is not None and bool(node_of(new)) and not is_finished(new)
        if counted_before == counted_now:
            return
        if counted_before and old is not None:
            self._count(old, -1)
        if counted_now and new is not None:
            self._count(new, 1)

    def _count(self, pod: Object, sign: int) -> None:
        node = node_of(pod)
        if not node or is_finished(pod):
            return
        load, request = self.of(node), request_of(pod)
        load.cpu += sign * request.cpu
        load.memory += sign * request.memory
        load.pods += sign
        owner = controller_of(pod)
        if owner is not None:
            left = load.owners.get(owner["uid"], 0) + sign
            if left:
                load.owners[owner["uid"]] = left
            else:
                del load.owners[owner["uid"]]
