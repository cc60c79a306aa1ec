# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A check of the first writes of a procedure: they are decided on by the code that writes, and go nowhere."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    INSTALLATIONS,
    IP_POOLS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import VM
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import STAYS, Holding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import decide
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import refuse_other_spelling
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import shown_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_owner import owner_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import PoolRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import PoolWriter
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writers import pool_writer
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import to_write
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    Wanted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import (
    NODE_SELECTOR,
    StopWay,
    is_stopped,
    machines_in,
    stop_way,
)


def writes_accepted(now: Situation) -> t.Iterator[Problem]:
    """B10, B20: what would stop a procedure half way, since nobody takes the write that is due."""
    for pool in to_write(now):
        if pool.pool is None or (now.source is not None and pool.name == now.source.name):
            continue
        refusal = _of_writing(now, pool)
        if refusal:
            yield Problem(BLOCKER, refusal, "Do that first: the procedure begins with it.", (f"IPPool {pool.name}",))
    source = now.source
    if source is None or source.live is None or now.target is None or is_stopped(source.live.spec):
        return
    writer = _writer(now, now.target)
    try:
        way = _way(now, source, writer)
        decide(PoolRequest(source.name, fields=way.changes), writer.pools(), lambda: (), writer)
        operated = owner_of(source.live, now.view.installation) == OPERATOR
        refuse_other_spelling(source.live, now.view.installation.mode.value, operated=operated)
    except InvalidPool as error:
        # What is wrong with its CIDR, non-canonical-cidr says.
        for each in error.errors:
            if each.field != "cidr":
                yield Problem(
                    BLOCKER,
                    f"The old pool could not be stopped: {each.message}",
                    f"Put IPPool {source.name} right first.",
                    (f"IPPool {source.name}",),
                )
    except Refused as error:
        yield Problem(
            BLOCKER,
            f"The old pool could not be stopped: {error.message}",
            "Do that first: the procedure would stop half way.",
            (f"IPPool {source.name}",),
        )
    else:
        if way.way == NODE_SELECTOR and not way.machines:
            yield Problem(
                NOTE,
                f"Pool {source.name!r} will be stopped by a nodeSelector that matches nothing. {way.reason}",
                f"Nothing to do. {way.consequences[0]}",
                (f"IPPool {source.name}",),
            )


def planned_stop(now: Situation) -> str | None:
    """How the old pool is going to be stopped; None when it is stopped already, or nobody can tell."""
    source = now.source
    if source is None or source.live is None or now.target is None or is_stopped(source.live.spec):
        return None
    try:
        return _way(now, source, _writer(now, now.target)).way
    except Refused:
        return None


def _of_writing(now: Situation, pool: Wanted) -> str:
    """Why the pool could not be written where this cluster wants it written; "" when it could."""
    writer = _writer(now)
    before = None if pool.live is None else pool.live.shown()
    after = before or {"name": pool.name, "labels": {}, "annotations": {}}
    try:
        writer.parts(pool.name, before, {**after, "spec": shown_spec(pool.spec)})
    except Refused as error:
        return error.message
    return ""


def _way(now: Situation, source: Wanted, writer: PoolWriter) -> StopWay:
    held = [
        Holding(each.address, each.holder, STAYS)
        for block in now.view.blocks
        for each in block.allocations
        if each.holder.kind == VM and source.pool is not None and source.pool.cidr.contains(each.address)
    ]
    return stop_way(
        machines_in(held, now.source_pods()),
        now.view.settings.get("kubeVirtVMAddressPersistence"),
        can_disable=writer.can_disable(source.name),
    )


def _writer(now: Situation, *others: Wanted) -> PoolWriter:
    """The writer of this cluster on what has been read of it; ``others`` are pools that are there by then."""
    return pool_writer(t.cast(PagedApi, _ReadBefore(now, others)), now.view.installation)


@dataclass(frozen=True)
class _ReadBefore:
    """As much of ``KubeApi`` as it takes to decide on a write."""

    now: Situation
    others: tuple[Wanted, ...]

    def list(self, resource: Resource, namespace: str | None = None) -> Listing:
        if resource != IP_POOLS:
            raise UnknownResource(f"The preflight has not read {resource.plural}.", 404)
        found = {pool.name: pool.thing for pool in self.now.view.pools}
        for pool in self.others:
            found.setdefault(pool.name, {"metadata": {"name": pool.name}, "spec": dict(pool.spec)})
        return Listing(list(found.values()), "")

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        view = self.now.view
        if resource == INSTALLATIONS and view.operator is not None:
            return view.operator
        schema = view.schemas.get(name.partition(".")[0]) if resource == CUSTOM_RESOURCE_DEFINITIONS else None
        if schema is None:
            raise NotFound(f"There is no {resource.kind} {name}.", 404)
        versions = [{"name": version, "schema": {"openAPIV3Schema": schema}} for version in ("v1", "v3")]
        return {"metadata": {"name": name}, "spec": {"versions": versions}}


CHECKS = (Check("writes-accepted", "the first writes would be taken", ("B10", "B20"), writes_accepted, False),)
