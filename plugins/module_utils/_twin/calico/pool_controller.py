# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""The pool controller of kube-controllers, which works only where the v3 CRDs are the store.

Source: spec ippool.md 5.3 and 6. One pass over all pools on every change of a pool, when a block is
deleted, and every five minutes: the condition ``Allocatable``, and the finalizer that keeps a deleted
pool until no block is left in it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pool_conditions import (
    Verdict,
    cidr_of,
    is_terminating,
    verdicts,
    with_verdict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.controllers.queue import TryAgain, WorkQueue
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import DELETED, Event, ObjectStore

FINALIZER = "projectcalico.org/ippool-finalizer"
_PERIOD = 300.0


class PoolController:
    """Looks after the pools while ``running()`` says that kube-controllers runs; call ``came_up`` when it begins to."""

    def __init__(
        self,
        api: KubeApi,
        datastore: Datastore,
        objects: ObjectStore,
        clock: VirtualClock,
        places: CalicoPlaces,
        running: t.Callable[[], bool],
    ) -> None:
        self._api = api
        self._datastore = datastore
        self._objects = objects
        self._clock = clock
        self._places = places
        self._running = running
        self._queue: WorkQueue[str] = WorkQueue(clock, "ippool-controller", self._pass, delay=(0.05, 0.25))

    def start(self) -> None:
        """Follow pools and blocks."""
        self._objects.subscribe(lambda _event: self.came_up(), self._places.pools)
        self._objects.subscribe(self._on_block, self._places.blocks)
        self.came_up()

    def came_up(self) -> None:
        """Look at all pools soon, if kube-controllers runs."""
        if self._running():
            self._queue.add("pools")

    def _on_block(self, event: Event) -> None:
        if event.type == DELETED:
            self.came_up()

    def _pass(self, _key: str) -> float | None:
        if not self._running():
            return None
        failed: list[str] = []
        for pool, verdict in verdicts(self._objects.list(self._places.pools)):
            try:
                self._look_after(pool, verdict)
            except NotFound:
                continue
            except IpamError as error:
                # One pool's trouble is not the others'.
                failed.append(f"{pool['metadata']['name']}: {error.message}")
        if failed:
            raise TryAgain("; ".join(failed))
        return _PERIOD

    def _look_after(self, pool: Object, verdict: Verdict) -> None:
        changed = with_verdict(pool, verdict, self._clock.timestamp())
        if changed is not None:
            pool = self._api.replace(self._places.pools, changed, subresource="status")
        guarded = FINALIZER in (pool["metadata"].get("finalizers") or [])
        if is_terminating(pool):
            if guarded:
                self._finish(pool)
        elif guarded != verdict.allocatable:
            self._guard(pool, verdict.allocatable)

    def _finish(self, pool: Object) -> None:
        """Take the pool's blocks from their nodes; let the pool go when no block is left."""
        cidr = cidr_of(pool)
        if cidr is None:
            return
        release_pool_affinities(self._datastore, cidr, now=self._clock.now)
        if not self._has_blocks(cidr):
            self._guard(pool, False)

    def _has_blocks(self, cidr: Network) -> bool:
        blocks = (cidr_of(block) for block in self._objects.list(self._places.blocks))
        return any(block is not None and cidr.contains(block.first) for block in blocks)

    def _guard(self, pool: Object, wanted: bool) -> None:
        metadata = pool["metadata"]
        finalizers = [each for each in metadata.get("finalizers") or [] if each != FINALIZER]
        if wanted:
            finalizers.append(FINALIZER)
        self._api.replace(self._places.pools, {**pool, "metadata": {**metadata, "finalizers": finalizers}})
