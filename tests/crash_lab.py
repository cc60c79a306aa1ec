# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small cluster whose datastore dies after a given write, for tests of what a crash leaves.

In memory a write is one call of the store; in custom resources it is one request, so that a soft delete
(spec ipam-engine.md §2.4) can be cut between its two. ``Crash`` means that the process is gone::

    lab = make_lab("kubernetes-v1")
    lab.pool("p", "10.0.0.0/28", 30)
    lab.node("a")
    with lab.dying_after(3):
        auto_assign(lab.store, ...)
"""

from __future__ import annotations

import contextlib
import functools
import typing as t
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from invariants import State, state_of_api, state_of_memory

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CALICO_V3,
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
    NODES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

STORES = ("memory", "kubernetes-v1", "kubernetes-v3")
WRITES = ("create", "update", "delete", "replace", "patch")


class Crash(BaseException):
    """The process is gone: a BaseException, so that nothing handles it."""


class AnswerLost(IpamError):
    """The connection broke after the request was carried out; whoever sent it cannot know."""


class Time:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 8, 20, 9, 0, tzinfo=timezone.utc)

    def __call__(self) -> datetime:
        return self.moment

    def pass_seconds(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Mortal:
    """Passes every call on; after a number of successful writes the caller dies."""

    def __init__(self, inner: t.Any) -> None:
        self._inner = inner
        self.left: int | None = None
        self.last: str | None = None
        self.end: type[BaseException] = Crash
        self.writes: list[str] = []

    def __getattr__(self, name: str) -> t.Any:
        call = getattr(self._inner, name)
        return functools.partial(self._write, name, call) if name.startswith(WRITES) else call

    def _write(self, name: str, call: t.Callable[..., t.Any], *arguments: t.Any, **options: t.Any) -> t.Any:
        answer = call(*arguments, **options)
        self.writes.append(_told(name, arguments))
        if self.left is not None:
            self.left -= 1
        if self.left == 0 or self.last == self.writes[-1]:
            self.left = self.last = None
            raise self.end("the connection was lost")
        return answer


class Lab:
    """``store`` is what an operation gets; ``writes`` tells what was written through it."""

    def __init__(self, store: t.Any, mortal: Mortal) -> None:
        self.store = store
        self.now = Time()
        self.settings_now = Settings()
        self._mortal = mortal

    @property
    def writes(self) -> list[str]:
        return self._mortal.writes

    @contextlib.contextmanager
    def dying_after(self, write: int | str | None, end: type[BaseException] = Crash) -> t.Iterator[list[bool]]:
        """The process dies right after its write of that number or first of that name; the list says if it did.

        With another ``end`` it lives, and gets that error instead of its answer.

        Names are those in ``writes``: ``affinity update pending``, ``block delete``. With custom resources
        the latter is the mark, ``block gone`` the second request.
        """
        died: list[bool] = []
        self._mortal.writes.clear()
        self._mortal.end = end
        self._mortal.left = write if isinstance(write, int) else None
        self._mortal.last = write if isinstance(write, str) else None
        try:
            yield died
        except Crash:
            died.append(True)
        finally:
            self._mortal.left = self._mortal.last = None

    # What an administrator does

    def pool(self, name: str, cidr: str, block_size: int, **spec: t.Any) -> None:
        """Add a pool, or change it."""
        raise NotImplementedError

    def node(self, name: str, **labels: str) -> None:
        raise NotImplementedError

    def settings(self, settings: Settings) -> None:
        raise NotImplementedError

    def reserve(self, *entries: str) -> None:
        raise NotImplementedError

    # What is stored

    def state(self) -> State:
        """Everything, for the invariants (§21)."""
        raise NotImplementedError

    def half_deleted(self) -> list[str]:
        """Records marked as deleted, by kind and name."""
        raise NotImplementedError

    def blocks(self) -> list[Block]:
        return [stored.value for stored in self.store.list_blocks() if not stored.value.deleted]

    def owners(self) -> dict[str, str | None]:
        """Block to owner."""
        return {str(block.cidr): block.affinity for block in self.blocks()}

    def rows(self) -> dict[tuple[str, str], str]:
        """(owner, block) to state."""
        rows = (stored.value for stored in self.store.list_affinities())
        return {(row.owner, str(row.cidr)): row.state for row in rows}

    def counts(self) -> dict[str, dict[str, int]]:
        """Handle to its counts."""
        return {
            stored.value.id: {str(cidr): count for cidr, count in stored.value.blocks.items()}
            for stored in self.store.list_handles()
            if not stored.value.deleted
        }

    def held(self) -> Counter[str]:
        """Handle to number of addresses; ``""`` for those without a handle, ``cooling`` for those that rest."""
        found: Counter[str] = Counter()
        for block in self.blocks():
            for ordinal in range(block.cidr.size):
                attribute = block.attribute_at(ordinal)
                if attribute is not None:
                    found["cooling" if attribute.released_at else attribute.handle_id or ""] += 1
        return found


class MemoryLab(Lab):
    def __init__(self) -> None:
        self.inner = MemoryStore()
        self._nodes: set[str] = set()
        mortal = Mortal(self.inner)
        super().__init__(mortal, mortal)

    def pool(self, name: str, cidr: str, block_size: int, **spec: t.Any) -> None:
        self.inner.put_pool(pool_from_spec(name, {"cidr": cidr, "blockSize": block_size, **spec}))

    def node(self, name: str, **labels: str) -> None:
        self.inner.put_node(name, labels)
        self._nodes.add(name)

    def settings(self, settings: Settings) -> None:
        self.settings_now = settings
        self.inner.set_settings(settings)

    def reserve(self, *entries: str) -> None:
        self.inner.set_reservations(entries)

    def state(self) -> State:
        return state_of_memory(self.inner, now=self.now(), nodes=self._nodes)

    def half_deleted(self) -> list[str]:
        return []


class KubernetesLab(Lab):
    """On the embedded cluster's API server, with Calico's CRDs and strict validation, in this process."""

    def __init__(self, version: str) -> None:
        self.api = LocalApi(ApiServer(ObjectStore(), VirtualClock()))
        for crd in calico_crds(version):
            self.api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
        group = CALICO_V1 if version == "v1" else CALICO_V3
        mortal = Mortal(self.api)
        store = KubernetesStore(t.cast("t.Any", mortal), group)
        super().__init__(store, mortal)
        self._kinds = {
            kind: resource if version == "v1" else replace(resource, group=group, version="v3")
            for kind, resource in (
                ("pool", IP_POOLS),
                ("reservation", IP_RESERVATIONS),
                ("block", IPAM_BLOCKS),
                ("row", BLOCK_AFFINITIES),
                ("handle", IPAM_HANDLES),
            )
        }

    def pool(self, name: str, cidr: str, block_size: int, **spec: t.Any) -> None:
        self._put(self._kinds["pool"], name, {"cidr": cidr, "blockSize": block_size, "nodeSelector": "all()", **spec})

    def node(self, name: str, **labels: str) -> None:
        self._put(NODES, name, None, labels)

    def settings(self, settings: Settings) -> None:
        self.settings_now = settings
        spec: Object = {
            "strictAffinity": settings.strict_affinity,
            "autoAllocateBlocks": settings.auto_allocate_blocks,
            "maxBlocksPerHost": settings.max_blocks_per_host,
            "ipCooldownSeconds": settings.cooldown_seconds,
        }
        self._put(self.store.config, "default", spec)

    def reserve(self, *entries: str) -> None:
        self._put(self._kinds["reservation"], "some", {"reservedCIDRs": list(entries)})

    def state(self) -> State:
        return state_of_api(self.api, self.store.group, now=self.now())

    def half_deleted(self) -> list[str]:
        return sorted(
            f"{kind} {thing['metadata']['name']}"
            for kind in ("block", "row", "handle")
            for thing in self.api.list(self._kinds[kind]).items
            if wire.is_deleted(thing)
        )

    def _put(self, resource: t.Any, name: str, spec: t.Any, labels: t.Mapping[str, str] | None = None) -> None:
        metadata: Object = {"name": name, "labels": dict(labels or {})}
        body: Object = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        if spec is not None:
            body["spec"] = spec
        known = [thing for thing in self.api.list(resource).items if thing["metadata"]["name"] == name]
        if known:
            metadata["resourceVersion"] = known[0]["metadata"]["resourceVersion"]
            self.api.replace(resource, body)
        else:
            self.api.create(resource, body)


def make_lab(kind: str) -> Lab:
    """One of ``STORES``, without pools and nodes."""
    return MemoryLab() if kind == "memory" else KubernetesLab(kind.partition("-")[2])


def _told(name: str, arguments: t.Sequence[t.Any]) -> str:
    """``block create``, ``affinity update pending``; for requests ``replace blockaffinities pending``."""
    verb, _underscore, kind = name.partition("_")
    if kind:
        state = getattr(arguments[-1], "state", "") if verb != "delete" else ""
        return f"{kind} {verb} {state}".strip()
    resource = arguments[0]
    short = {"IPAMBlock": "block", "BlockAffinity": "affinity", "IPAMHandle": "handle"}.get(resource.kind, "other")
    if verb == "delete":
        return f"{short} gone"
    spec = arguments[1].get("spec") or {}
    if verb == "replace" and str(spec.get("deleted", False)).lower() == "true":
        return f"{short} delete"
    return f"{short} {'update' if verb == 'replace' else verb} {spec.get('state', '')}".strip()
