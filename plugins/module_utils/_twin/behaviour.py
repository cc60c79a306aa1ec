# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Everything that makes the API server a cluster: controllers, scheduler, kubelets, collectors.

``Behaviour(server, cni).start()`` and the cluster lives, on the server's clock. On
start every part looks at all objects there are, so that a twin goes on where it was stopped.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.binding import register_bindings
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.context import ControllerContext
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.cronjob import CronJobController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.custom import CustomControllers
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.daemonset import DaemonSetController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.deployment import DeploymentController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.disruption import DisruptionController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.endpoints import EndpointsController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.job import JobController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.namespace import NamespaceController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.node import NodeController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.replicaset import ReplicaSetController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.statefulset import StatefulSetController
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.eviction import register_evictions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.garbage import GarbageCollector
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kubelet import Cni, Kubelets
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.podtiming import DEFAULT_TIMINGS, PodTimings
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scale import register_scales
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scheduler import Scheduler


class Part(t.Protocol):
    """One controller."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Behaviour:
    """All parts of one cluster.

    ``context`` has the API of the control plane and the shared indexes, for parts that others add.
    """

    def __init__(self, server: ApiServer, cni: Cni, timings: PodTimings = DEFAULT_TIMINGS) -> None:
        ctx = self.context = ControllerContext(server)
        register_evictions(server)
        register_bindings(server)
        register_scales(server)
        self.kubelets = Kubelets(ctx, cni, timings)
        self._parts: list[Part] = [
            NamespaceController(ctx),
            NodeController(ctx),
            DeploymentController(ctx),
            ReplicaSetController(ctx),
            StatefulSetController(ctx),
            DaemonSetController(ctx),
            JobController(ctx),
            CronJobController(ctx),
            CustomControllers(ctx),
            DisruptionController(ctx),
            EndpointsController(ctx),
            GarbageCollector(ctx),
            Scheduler(ctx),
            self.kubelets,
        ]

    def start(self) -> None:
        """Wake every part."""
        self.context.events.start()
        for part in self._parts:
            part.start()

    def stop(self) -> None:
        """Hear and do nothing any more; the objects stay as they are."""
        self.context.informers.stop()
        for part in self._parts:
            part.stop()
