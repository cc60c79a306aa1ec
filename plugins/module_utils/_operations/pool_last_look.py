# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What must hold besides the pool's own state when it is deleted, looked at again right before the request.

Between the first look and the deletion lie the time in which addresses leave and every block that is given back. Who
deletes or disables another pool meanwhile would leave the cluster without any (hazard A03), and who edits this one
would lose the edit (D18). What is left is the moment between the last look and one DELETE, which names the version
of this pool that was seen, and can name nothing about the others.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import definition_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import tunnels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    find,
    read_pools,
    shown_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped, selects_no_node

# What has become of the pool, in messages.
CANNOT = "cannot be deleted"
NOT_DELETED = "is disabled and was not deleted"


@dataclass(frozen=True)
class Wanted:
    """What the caller of a deletion counts on; nothing by default.

    ``successor`` is the pool that has taken over: it must be there and give out addresses. ``expected`` is the
    definition under which the pool was last noted (``definition_of``): what was changed since is not to be lost.
    """

    successor: str | None = None
    expected: t.Mapping[str, t.Any] | None = None

    def require(self, live: StoredPool, pools: t.Sequence[StoredPool], outcome: str) -> None:
        if self.successor is not None:
            why = why_not_serving(self.successor, pools)
            if why:
                raise Refused(
                    f"IPPool {live.name!r} {outcome}: IPPool {self.successor!r}, which is to give addresses in its "
                    f"place, {why}; find out who did that, then run this again.",
                    pool=live.name,
                    successor=self.successor,
                )
        if self.expected is not None:
            changed = changed_members(live, self.expected)
            if changed:
                raise Refused(
                    f"IPPool {live.name!r} {outcome}: somebody has changed {', '.join(changed)} since its definition "
                    "was noted, and that would be lost; run this again, which notes it first.",
                    pool=live.name,
                    changed=changed,
                )


ANY = Wanted()


@dataclass(frozen=True)
class LastLook:
    """The look right before the deletion. ``given`` are the uses that other pools gave addresses for at the start."""

    pool: Pool
    wanted: Wanted
    given: frozenset[str]

    def require(self, api: PagedApi) -> None:
        """Refused when the cluster would be left with less than at the start, or than the caller counts on."""
        pools = read_pools(api)
        live = find(pools, self.pool.name)
        if live is not None:
            self.wanted.require(live, pools, NOT_DELETED)
        refuse_last(api, self.pool, pools, NOT_DELETED)
        lost = self.given - given_by_others(self.pool, engine_pools(pools))
        for use in sorted(lost - {"LoadBalancer"}):
            using = _using(api, self.pool.version, use)
            if using:
                raise Refused(
                    f"IPPool {self.pool.name!r} {NOT_DELETED}: the other IPv{self.pool.version} pool that gave "
                    f"addresses for {use} was disabled or deleted meanwhile, and {using}; enable or create one, then "
                    "run this again.",
                    pool=self.pool.name,
                    use=use,
                )


def refuse_last(api: PagedApi, pool: Pool, pools: t.Sequence[StoredPool], outcome: str = CANNOT) -> None:
    """A03: without any pool of a family, a restart of calico-node creates one of its own."""
    if "LoadBalancer" in pool.allowed_uses:
        return
    for other in engine_pools(pools):
        same = other.name == pool.name or other.version != pool.version
        if not same and other.enabled and "LoadBalancer" not in other.allowed_uses:
            return
    using = _pods(api, pool.version)
    nodes = sum(1 for node in api.list(NODES).items if pool.version in _versions(node))
    if using or nodes:
        raise Refused(
            f"IPPool {pool.name!r} {outcome}: no other enabled IPv{pool.version} pool is left for the "
            f"{nodes} nodes and {using} pods of the cluster; create one first.",
            pool=pool.name,
        )


def given_by_others(pool: Pool, others: t.Iterable[Pool]) -> frozenset[str]:
    """The uses of ``pool`` that another pool of its IP version gives addresses for to those who ask for none."""
    kin = [
        each
        for each in others
        if each.version == pool.version
        and each.name != pool.name
        and each.enabled
        and each.assignment_mode != "Manual"
        and not selects_no_node(each.node_selector)
    ]
    return frozenset(use for use in pool.allowed_uses if any(use in each.allowed_uses for each in kin))


def why_not_serving(name: str, pools: t.Sequence[StoredPool]) -> str:
    """Why a pool gives out no addresses, as the end of a sentence; empty when it does."""
    live = find(pools, name)
    if live is None:
        return "does not exist"
    if live.terminating:
        return "is being deleted"
    if live.spec.get("disabled"):
        return "is disabled"
    if is_stopped(live.spec):
        return "selects no node"
    pool = live.pool()
    return "" if pool is not None and pool.enabled else "is not in use by Calico"


def changed_members(live: StoredPool, expected: t.Mapping[str, t.Any]) -> list[str]:
    """What of a pool is not as in ``expected``, but for what a procedure itself changes to stop it."""
    now, before = definition_of(live), dict(expected)
    spec, noted = dict(now["spec"]), shown_spec(before.get("spec") or {})
    if selects_no_node(str(spec.get("nodeSelector") or "")):
        spec["nodeSelector"] = noted.get("nodeSelector")
    for member in (spec, noted):
        member.pop("disabled", None)
    found = sorted(key for key in {*spec, *noted} if spec.get(key) != noted.get(key))
    return found + [key for key in ("labels", "annotations") if (now[key] or {}) != (before.get(key) or {})]


def _using(api: KubeApi, version: int, use: str) -> str:
    """Who of the whole cluster has addresses of this family for this use, as a clause; empty when nobody does."""
    if use == "Tunnel":
        nodes = {
            tunnel.node
            for node in api.list(NODES).items
            for tunnel in tunnels_of(node)
            if tunnel.address.version == version
        }
        return f"{len(nodes)} nodes have tunnels" if nodes else ""
    pods = _pods(api, version)
    return f"{pods} pods have addresses" if pods else ""


def _pods(api: KubeApi, version: int) -> int:
    return sum(1 for pod in api.list(PODS).items if any(address.version == version for address in pod_addresses(pod)))


def _versions(node: Object) -> set[int]:
    versions = set()
    for entry in (node.get("status") or {}).get("addresses") or []:
        try:
            versions.add(parse_address(entry.get("address")).version)
        except InvalidInput:
            continue  # Host names stand among the addresses.
    return versions
