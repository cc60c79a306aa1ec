# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Waiting for what others do with a pool that was written, by watching it.

kube-controllers judges pools where v3 CRDs are the store (spec ippool.md §6), the Tigera operator
makes pools of the entries of its Installation (§10.4), and a pool with a finalizer goes when
its last block has gone (§5.3).
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

POOLS = "pools"


class Seen:
    """The objects that are followed, by source and name, as far as the watches have told."""

    def __init__(self, sources: t.Iterable[str]) -> None:
        self._waiting = set(sources)
        self._things: dict[tuple[str, str], Object] = {}

    @property
    def complete(self) -> bool:
        """Whether every list was taken in once."""
        return not self._waiting

    def pools(self) -> list[StoredPool]:
        """The pools in name order."""
        return [StoredPool(name, thing) for (source, name), thing in sorted(self._things.items()) if source == POOLS]

    def get(self, source: str, name: str) -> Object | None:
        return self._things.get((source, name))

    def take(self, source: str, kind: str, thing: Object) -> None:
        if kind == "SYNCED":
            self._waiting.discard(source)
        elif kind == "DELETED":
            self._things.pop((source, thing["metadata"]["name"]), None)
        elif kind in ("ADDED", "MODIFIED"):
            self._things[(source, thing["metadata"]["name"])] = thing


R = t.TypeVar("R")


def wait_for(
    api: KubeApi,
    clock: Clock,
    timeout: float,
    look: t.Callable[[Seen], R | None],
    others: t.Mapping[str, Resource] | None = None,
) -> tuple[R | None, Seen]:
    """Follow the pools, and ``others``, until ``look`` has an answer; None with what was seen last after ``timeout``.

    A list of ``others`` that cannot be read, or is not served, counts as empty.
    """
    followed = dict(others or {})
    seen = Seen((POOLS, *followed))
    deadline = clock.monotonic() + timeout
    with Watches(api) as watches:
        watches.follow(POOLS, IP_POOLS)
        for source, resource in followed.items():
            watches.follow(source, resource, optional=True)
        while True:
            notice = watches.next(max(0.0, deadline - clock.monotonic()))
            if notice is None:
                return None, seen
            seen.take(notice.source, notice.change.type, notice.change.object)
            answer = look(seen) if seen.complete else None
            if answer is not None:
                return answer, seen


def wait_until_gone(api: KubeApi, name: str, uid: str, clock: Clock, timeout: float) -> StoredPool | None:
    """Wait until the pool with that uid is gone; what is left of it after ``timeout``, None when nothing is."""

    def gone(seen: Seen) -> bool | None:
        thing = seen.get(POOLS, name)
        return True if thing is None or thing["metadata"].get("uid") != uid else None

    done, seen = wait_for(api, clock, timeout, gone)
    thing = seen.get(POOLS, name)
    return None if done or thing is None else StoredPool(name, thing)
