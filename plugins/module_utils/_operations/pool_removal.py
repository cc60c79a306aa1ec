# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The writes that delete one pool, each decided on what is stored at that moment."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, Conflict, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    Holding,
    name_them,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import definition_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_last_look import (
    LastLook,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import (
    FOR_GOOD,
    broken_before,
    explained,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    find,
    is_owner,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import PoolWriter
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_custom_resource import (
    wait_for_end,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writers import pool_writer
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_cleaning import (
    MOST_HOLDERS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import (
    Report,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import selects_no_node

ATTEMPTS = 5


class Appeared(Exception):
    """The operator has made the pool that was only declared, so everything is to be proven again."""


@dataclass(frozen=True)
class Deletion:
    """The writes that delete one pool; each reads anew what it is going to change. ``ends`` is a monotonic time."""

    api: PagedApi
    installation: Installation
    name: str
    clock: Clock
    ends: float
    report: Report

    def disable(self, live: StoredPool) -> bool:
        """Whether the pool is disabled now.

        It cannot be where Calico refuses every change of a broken spec, nor where an operator of old has no word for
        it; there a nodeSelector that matches nothing has to do.
        """
        for _attempt in range(ATTEMPTS):
            if live.spec.get("disabled"):
                return True
            writer = pool_writer(self.api, self.installation)
            try:
                live = self._same_pool(writer, live)
                if selects_no_node(str(live.spec.get("nodeSelector") or "")) and not writer.can_disable(self.name):
                    return False
                patch = {"metadata": {"resourceVersion": live.resource_version}, "spec": {"disabled": True}}
                stored = writer.patch(self.name, patch, live)
                writer.settle(stored, clock=self.clock, timeout=self.left, report=self.report)
            except Conflict:
                continue
            except NotFound:
                # Another run was faster with the pool; what it left in the range is given back all the same.
                return True
            except InvalidPool as error:
                if {rule for rule, _field in broken_before(live)} & FOR_GOOD:
                    return False
                raise explained(live, error) from None
            return True
        raise kept_changing(self.name)

    @property
    def left(self) -> float:
        return max(0.0, self.ends - self.clock.monotonic())

    def delete(self, live: StoredPool, look: LastLook | None, *, disabled: bool) -> None:
        for _attempt in range(ATTEMPTS):
            writer = pool_writer(self.api, self.installation)
            try:
                live = self._same_pool(writer, live)
                if live.terminating:
                    wait_for_end(self.api, live, clock=self.clock, timeout=self.left, report=self.report)
                    return
                if disabled and not live.spec.get("disabled"):
                    raise Refused(
                        f"IPPool {self.name!r} was enabled again by someone else while it was being deleted; find out "
                        "who manages it, then run this again.",
                        pool=self.name,
                    )
                if look is not None:
                    look.require(self.api)
                writer.delete(live, clock=self.clock, timeout=self.left, report=self.report)
            except Conflict:
                continue
            except NotFound:
                return
            return
        raise kept_changing(self.name)

    def put_back_if_taken(self, live: StoredPool, held: t.Sequence[Holding]) -> None:
        """Create the pool again, disabled, when an address was taken between the proof and the deletion.

        Nothing can lock an assignment out that began before the pool was disabled and took longer
        than ``IN_FLIGHT``. Without its pool, such an address has neither encapsulation nor NAT (A01);
        with it, the next run finds everything as if this one had not come so far.
        """
        if not held:
            return
        definition = definition_of(live)
        labels = {key: value for key, value in definition["labels"].items() if not is_owner(key, value)}
        body = {
            "apiVersion": IP_POOLS.api_version,
            "kind": IP_POOLS.kind,
            "metadata": {"name": live.name, "labels": labels, "annotations": definition["annotations"]},
            "spec": {**live.spec, "disabled": True},
        }
        with contextlib.suppress(AlreadyExists):
            pool_writer(self.api, self.installation).create(body)
        raise Refused(
            f"IPPool {live.name!r} is disabled and was not deleted: at the last moment {len(held)} addresses of it "
            f"were taken by {name_them(held)}, so it was created again; move them, then run this again.",
            pool=live.name,
            in_use=len(held),
            holders=[holding.as_result() for holding in held[:MOST_HOLDERS]],
        )

    def _same_pool(self, writer: PoolWriter, live: StoredPool) -> StoredPool:
        now = find(writer.pools(), self.name)
        if now is None:
            raise NotFound(f"There is no IPPool {self.name}.", 404, "NotFound")
        if now.uid and not live.uid:
            raise Appeared
        if now.thing["metadata"].get("uid") != live.thing["metadata"].get("uid") or now.spec.get(
            "cidr"
        ) != live.spec.get("cidr"):
            raise Refused(
                f"IPPool {live.name!r} was re-created by someone else while it was being deleted; it was left alone.",
                pool=live.name,
            )
        return now


def kept_changing(name: str) -> Refused:
    """What is said when every attempt met a change by somebody else."""
    return Refused(
        f"IPPool {name!r} was changed by someone else {ATTEMPTS} times while it was being deleted; find out who "
        "changes it, then run this again.",
        pool=name,
    )
