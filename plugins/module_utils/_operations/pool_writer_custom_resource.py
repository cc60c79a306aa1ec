# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Pools that are written as IPPool objects: in the v1 or v3 CRDs, through Calico's API server, or in etcd.

The object goes to the place that is live (``_cluster/calico_api.py``). Nothing but the v3 CRDs has
a condition to wait for.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import (
    APISERVER,
    CRD_V1,
    CRD_V3,
    ETCD,
    in_v3,
    places_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError, NotFound, ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import keeps, served_schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_answers import as_broken_rule
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_condition import wait_until_allocatable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    read_pools,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_wait import wait_until_gone
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import (
    OBJECTS,
    Part,
    Report,
    Shown,
    shown_part,
)

# Where neither an API server of Calico's nor kube-controllers sees that pools overlap.
_NOBODY_ELSE_LOOKS = (CRD_V1, ETCD)

ETCD_KEY = "/calico/resources/v3/projectcalico.org/ippools"

R = t.TypeVar("R")


class CustomResourceWriter:
    """``PoolWriter`` for IPPool objects; ``mode`` is how Calico is installed."""

    def __init__(self, api: PagedApi, mode: str) -> None:
        self.api = api
        self.mode = mode

    def where(self, name: str) -> str:
        return place_of(self.mode, name)

    def can_disable(self, name: str) -> bool:
        return True

    def pools(self) -> list[StoredPool]:
        return read_pools(self.api)

    def parts(self, name: str, before: Shown | None, after: Shown | None) -> list[Part]:
        if after is not None:
            self._refuse_what_is_too_young(name, {} if before is None else before["spec"], after["spec"])
        return [Part(self.where(name), shown_part(before), shown_part(after))]

    def warnings(self, name: str) -> list[str]:
        return []

    def reworded(self, name: str, error: InvalidPool) -> InvalidPool:
        return error

    def create(self, body: Object) -> StoredPool:
        name = body["metadata"]["name"]
        spec = dict(body.get("spec") or {})
        if self.mode != ETCD and spec.get("assignmentMode") == "Automatic":
            # Calico has the field since v3.30, and before the API server refuses whoever names it. Later it is the
            # default of the custom resource, and of Calico's API server.
            del spec["assignmentMode"]
        stored = self._sent(name, spec, lambda: self.api.create(IP_POOLS, {**body, "spec": spec}))
        created = StoredPool(name, stored)
        if self.mode in _NOBODY_ELSE_LOOKS:
            self._stop_rival(created)
        return created

    def _refuse_what_is_too_young(self, name: str, old: Shown, new: Shown) -> None:
        """Before anything is written, so that check mode says so as well. Asked only where such a field is set."""
        for field, told, since in _young(new):
            if (field, told, since) in list(_young(old)) or self.mode == ETCD:
                continue
            # Behind an API server, the definition of the v1 group is what limits a pool.
            resource = in_v3(IP_POOLS) if self.mode == CRD_V3 else IP_POOLS
            schema = served_schema(self.api.raw if isinstance(self.api, CalicoApi) else self.api, resource)
            if schema is not None and not keeps(schema, ("spec", field)):
                raise Refused(
                    f"IPPool {name!r} cannot have {told}: that came with Calico {since}, and the Calico of this "
                    "cluster does not know it; leave it out.",
                    pool=name,
                    field=field,
                )

    def _stop_rival(self, created: StoredPool) -> None:
        """Of two overlapping pools that are created at the same time, neither was there when the other was checked.

        Addresses of both could be given out (spec ippool.md §3.3), so the one of this run is disabled. Two runs that
        meet disable both, and whoever comes next finds out which one is wanted.
        """
        own = created.pool()
        if own is None or own.disabled:
            return
        for other in engine_pools(self.pools()):
            if other.name == own.name or not other.cidr.overlaps(own.cidr):
                continue
            with contextlib.suppress(NotFound):
                self.api.patch(IP_POOLS, own.name, {"spec": {"disabled": True}})
            raise Refused(
                f"IPPool {own.name!r} ({own.cidr}) was created at the same time as {other.name!r} ({other.cidr}), and "
                "the two overlap: it was disabled, so that no address is given out twice; delete the one that is not "
                "wanted.",
                pool=own.name,
                overlaps=other.name,
            )

    def patch(self, name: str, patch: Object, live: StoredPool) -> StoredPool:
        spec = {**live.spec, **(patch.get("spec") or {})}
        return StoredPool(name, self._sent(name, spec, lambda: self.api.patch(IP_POOLS, name, patch)))

    def delete(self, live: StoredPool, *, clock: Clock, timeout: float, report: Report) -> None:
        self._sent(
            live.name,
            live.spec,
            lambda: self.api.delete(IP_POOLS, live.name, uid=live.uid, resource_version=live.resource_version),
        )
        if self.mode == CRD_V3:
            wait_for_end(self.api, live, clock=clock, timeout=timeout, report=report)

    def settle(self, pool: StoredPool, *, clock: Clock, timeout: float, report: Report) -> StoredPool:
        if self.mode != CRD_V3:
            return pool
        return wait_until_allocatable(self.api, pool, clock=clock, timeout=timeout, report=report)

    def _sent(self, name: str, spec: Shown, call: t.Callable[[], R]) -> R:
        try:
            return call()
        except ApiError as error:
            if self.mode == APISERVER and isinstance(error, ServerError) and error.status == 503:
                raise Refused(
                    f"IPPool {name!r} was not written: Calico's API server, which serves projectcalico.org/v3, is down "
                    "(503); run this again when it is back.",
                    pool=name,
                ) from None
            broken = as_broken_rule(error, name, spec)
            if broken is None:
                raise
            raise broken from None


def _young(spec: Shown) -> t.Iterator[tuple[str, str, str]]:
    """What of a spec not every Calico knows: the field that tells, what it is about, and the release it came with."""
    if spec.get("assignmentMode") not in (None, "Automatic"):
        yield "assignmentMode", f"assignmentMode {spec['assignmentMode']}", "v3.30"
    if "LoadBalancer" in (spec.get("allowedUses") or ()):
        # Nothing but the list of words tells, and not in every release; assignmentMode came together with it.
        yield "assignmentMode", "the use LoadBalancer", "v3.30"
    if spec.get("namespaceSelector"):
        yield "namespaceSelector", "a namespaceSelector", "v3.31"


def place_of(mode: str, name: str) -> str:
    """What is written of a pool that is an object of its own."""
    if mode == ETCD:
        return f"etcd key {ETCD_KEY}/{name}"
    return OBJECTS.where(name)


def group_of(mode: str) -> str:
    """The group and version in which the pools are."""
    return places_of(mode)[IP_POOLS].api_version if mode != ETCD else places_of(CRD_V3)[IP_POOLS].api_version


def wait_for_end(api: PagedApi, live: StoredPool, *, clock: Clock, timeout: float, report: Report) -> None:
    """Return when a pool whose deletion was asked for is gone. Refused when it still is there after ``timeout``."""
    report(f"IPPool {live.name}: waiting until it is gone")
    left = wait_until_gone(api, live.name, live.uid, clock, timeout)
    if left is None:
        return
    finalizers = left.thing["metadata"].get("finalizers") or []
    if left.terminating:
        why = (
            f"its deletion is under way and waits for {', '.join(finalizers)}, which kube-controllers takes away when "
            "no block is left in its range: see whether kube-controllers runs"
            if finalizers
            else "its deletion is under way"
        )
    else:
        why = "nobody has deleted it"
    raise Refused(
        f"IPPool {live.name!r} is still there after {timeout:.0f} seconds: {why}, then run this again.",
        pool=live.name,
        finalizers=finalizers,
    )
