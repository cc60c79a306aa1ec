# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's etcd in the twin: the connection of its components, and what they remember of it.

The components write IPAM records straight to etcd. What they follow, the pools and the record of
the cluster, is copied to the twin's own objects, as their caches do: there everybody who follows a
kind hears of changes. The copies are served to nobody, for the API has no such kinds. While time
stands still the copies are brought up to date after each write of the twin's own; a twin that
serves follows etcd in a thread of its own, which only tells the loop to look.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import typing as t
import uuid
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import KINDS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CLUSTER_INFORMATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_watch import EtcdWatch
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.etcd_process import EtcdProcess
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

# Real seconds: how long one request may take, and the pause before a lost watch is taken up again.
_TIMEOUT = 10.0
_PAUSE = 0.5
_PORT = "etcd_port"
# Nothing is there, so the answer is no more than the present revision.
_NOWHERE = "/calico-ops/"

_CLUSTER_WIDE = {kind.kind: kind for kind in KINDS}


class EtcdDatastore:
    """``endpoints`` None starts an etcd that keeps its data in ``directory``.

    Raises ``InvalidInput`` for endpoints that are none, ``EtcdMissing`` without a program to start,
    ``MissingLibrary`` without the client.
    """

    def __init__(
        self,
        directory: Path | None,
        endpoints: t.Sequence[str] | None,
        objects: ObjectStore,
        clock: VirtualClock,
        places: CalicoPlaces,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._looked_at = 0
        self._followed = (places.pools, places.cluster_information)
        self._seen: dict[Resource, dict[str, str]] = {resource: {} for resource in self._followed}
        self._process: EtcdProcess | None = None
        if not endpoints:
            self._process = EtcdProcess(directory, int(objects.meta(_PORT) or 0))
            objects.set_meta(_PORT, str(self._process.port))
            endpoints = [self._process.url]
        self.endpoints = tuple(endpoints)
        try:
            options = EtcdOptions(tuple(parse_endpoint(each) for each in endpoints), timeout=_TIMEOUT)
            self.client = EtcdClient(options)
        except IpamError:
            self._end_process()
            raise
        # A damaged pool takes part in nothing; it is no reason for Calico to stand still.
        self.api = EtcdApi(self.client, on_corrupt=lambda error: None, now=clock.now, new_uid=uuid.uuid4)
        self.store = EtcdStore(self.client, on_corrupt=lambda error: None)
        self._ending = threading.Event()
        self._watch: EtcdWatch | None = None
        self._thread: threading.Thread | None = None
        self._due = False

    def require_empty(self) -> None:
        """Raises ``InvalidInput`` when Calico, or another twin, keeps something there already."""
        if next(iter(self.client.rows("/calico/")), None) is not None:
            raise InvalidInput(
                f"{self.client.where} holds data of Calico already: give the twin an etcd without, or none.",
                "etcd_endpoints",
            )

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        """Create an object of Calico's, and let it be seen."""
        made = self.api.create(resource, body, dry_run=dry_run)
        self.refresh()
        return made

    def load(self, item: Object) -> None:
        """Take in an object of a scenario, spelled in the v3 group. Raises ``InvalidInput`` for what Calico lacks."""
        resource = _CLUSTER_WIDE.get(item["kind"])
        if resource is None:
            raise InvalidInput(f"the twin keeps no kind {item['kind']} of Calico in etcd", "kind", item["kind"])
        if resource == CLUSTER_INFORMATIONS:
            # Words of the Kubernetes datastore are none here.
            spec = dict(item.get("spec") or {})
            words = str(spec.get("clusterType") or "").split(",")
            item = {**item, "spec": {**spec, "clusterType": ",".join(word for word in words if word != "kdd")}}
        self.api.create(resource, item)

    def refresh(self) -> None:
        """Bring the copies up to date with etcd."""
        self._due = False
        for resource in self._followed:
            seen = self._seen[resource]
            found = {item["metadata"]["name"]: item for item in self.api.list(resource).items}
            for name in [thing["metadata"]["name"] for thing in self._objects.list(resource)]:
                if name not in found:
                    seen.pop(name, None)
                    self._objects.delete(resource, None, name)
            for name, item in found.items():
                version = item["metadata"]["resourceVersion"]
                if seen.get(name) == version:
                    continue
                seen[name] = version
                if self._objects.get(resource, None, name) is None:
                    self._objects.create(resource, item)
                else:
                    self._objects.update(resource, item)

    def look_every(self, seconds: float) -> None:
        """Look in virtual time instead, for a clock that somebody moves by hand."""
        with contextlib.suppress(IpamError):  # Calico's components go on with what they remember.
            revision = self.client.snapshot(_NOWHERE)[1]
            if revision != self._looked_at:
                self.refresh()
                self._looked_at = revision
        self._clock.call_later(seconds, self.look_every, seconds)

    def follow(self) -> None:
        """Look whenever something changes there, in the running loop, until ``close``."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="follow-etcd", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let go of etcd, and end it when it is our own."""
        self._ending.set()
        if self._watch is not None:
            self._watch.close()
        if self._thread is not None:
            self._thread.join(_TIMEOUT)
        self.api.close()
        self._end_process()

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        client = self.client.another()
        prefixes = tuple(etcd_keys.resource_prefix(resource.plural) for resource in self._followed)
        while not self._ending.is_set():
            try:
                _rows, revision = client.snapshot(prefixes[0])
                self._watch = client.watch(etcd_keys.RESOURCES, revision)
                self._tell(loop)
                for event in self._watch:
                    if event.row.key.startswith(prefixes):
                        self._tell(loop)
            except IpamError:
                # Calico's components go on with what they remember, and try again.
                self._ending.wait(_PAUSE)
        client.close()

    def _tell(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._ending.is_set():
            loop.call_soon_threadsafe(self._look_soon, loop)

    def _look_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once for all the changes that are waiting."""
        if not self._due and not self._ending.is_set():
            self._due = True
            loop.call_soon(self._look)

    def _look(self) -> None:
        try:
            if not self._ending.is_set():
                self.refresh()
        except IpamError:
            # The thread's watch breaks too, and has another look made when etcd is back.
            self._due = False
