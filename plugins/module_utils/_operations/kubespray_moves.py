# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a procedure has to do on a Kubespray cluster, and why it must not be begun (spec kubespray.md §5).

Kubespray names its IPv6 pool after its IPv4 pool, so a move to a new name concerns both families at once.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import MIGRATE, RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    FAMILIES,
    IPV4,
    IPV6,
    IPV6_SUFFIX,
    OURS,
    POOL_NAME,
    Declared,
    DeclaredPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_drift import DRIFT, Finding
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, find

LOOK, FINISH, UNDO = "look", "finish", "rollback"
PROCEDURES = (LOOK, MIGRATE, RESIZE, FINISH, UNDO)

PLUGIN, HOST_LOCAL = "kubespray-plugin", "kubespray-host-local"
INVENTORY_DRIFT, RUNNING, FAMILIES_APART = "kubespray-drift", "kubespray-running", "kubespray-families"
OLD_INVENTORY, JOURNALS = "kubespray-old-inventory", "kubespray-journals"
WAIVABLE = frozenset({INVENTORY_DRIFT, RUNNING, FAMILIES_APART})
# What tells of a run of Kubespray, by the words of ``Live.unreadable``, and the right to see it.
_TELLTALES = {"nodes": "list nodes", "DaemonSet calico-node": "get daemonsets in namespace kube-system"}

Target = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Move:
    """What to do with the pool of one family: where its pods go, or its new block size by way of a temporary range.

    ``done`` when the cluster is that way already; then ``pool`` is the one that is there. ``undoes`` is the procedure
    to undo, which leaves ``pool`` as it was.
    """

    version: int
    pool: str
    to: t.Mapping[str, t.Any] = field(default_factory=dict)
    block_size: t.Optional[int] = None
    temporary_cidr: t.Optional[str] = None
    done: bool = False
    undoes: str = ""

    def shown(self) -> t.Dict[str, t.Any]:
        shown: t.Dict[str, t.Any] = {"family": f"ipv{self.version}", "pool": self.pool}
        if self.undoes:
            return {**shown, "undoes": self.undoes}
        if self.block_size is not None:
            return {**shown, "block_size": self.block_size, "temporary_cidr": self.temporary_cidr}
        return {**shown, "to": dict(self.to)}


@dataclass(frozen=True)
class Stop:
    """Why nothing may be begun; ``waived`` when the user lets it pass."""

    id: str
    message: str
    waived: bool = False

    def shown(self) -> t.Dict[str, t.Any]:
        return {"id": self.id, "message": self.message, "waived": self.waived}


def moves_for(
    procedure: str, declared: Declared, live: Live, targets: t.Mapping[int, t.Optional[Target]]
) -> t.Tuple[Move, ...]:
    """What is to be done, and what is done. InvalidInput for a target that lacks something or contradicts Kubespray."""
    if procedure == LOOK:
        return ()
    if procedure == FINISH:
        return tuple(_finishes(declared, live))
    if procedure == UNDO:
        return tuple(_undone(declared, live))
    given = {version: target for version, target in targets.items() if target}
    if not given:
        raise InvalidInput(
            "kubespray_target: say where to, as in kubespray_target={cidr: 10.233.128.0/18} to move pods and "
            "kubespray_target={block_size: 24, temporary_cidr: 10.233.128.0/18} to change the block size.",
            field="target",
        )
    if procedure == RESIZE:
        return tuple(_resize(declared, live, version, target) for version, target in sorted(given.items()))
    return tuple(_migrations(declared, live, given))


def stops_for(
    procedure: str,
    declared: Declared,
    live: Live,
    findings: t.Sequence[Finding],
    moves: t.Sequence[Move],
    waivers: t.Collection[str],
) -> t.Tuple[Stop, ...]:
    """Every reason not to begin; none when nothing is to be changed but what makes the whole pointless."""
    found = list(_everywhere(declared))
    if procedure != LOOK:
        found += _running(live)
        if "configmaps" in live.unreadable:
            found.append(
                Stop(
                    JOURNALS,
                    "What was begun before cannot be seen without the right to list configmaps in namespace "
                    "kube-system. Grant it first.",
                )
            )
    if procedure in (MIGRATE, RESIZE) and any(not move.done for move in moves):
        # A procedure that is under way made the difference itself.
        drift = [each for each in findings if each.severity == DRIFT and each.pool and not live.journal_of(each.pool)]
        finished = {move.version for move in moves if move.done}
        drift = [each for each in drift if each.version not in finished]
        if drift:
            found.append(
                Stop(
                    INVENTORY_DRIFT,
                    f"The inventory does not describe the cluster as it is: {drift[0].message} Bring the two together "
                    "first; mode drift shows every difference.",
                )
            )
    if procedure == MIGRATE:
        found += _apart(declared, live, moves)
    if procedure == FINISH:
        found += _old_inventory(declared, live)
    return tuple(Stop(each.id, each.message, each.id in WAIVABLE and each.id in waivers) for each in found)


def _everywhere(declared: Declared) -> t.Iterator[Stop]:
    if declared.network_plugin not in (None, "calico"):
        yield Stop(
            PLUGIN, f"kube_network_plugin is {declared.network_plugin}, so Kubespray keeps no Calico pools here."
        )
    if declared.host_local:
        yield Stop(
            HOST_LOCAL,
            "calico_ipam_host_local is true: pods get their addresses from the nodes' own ranges, and Calico's pools "
            "hand out nothing.",
        )


def _running(live: Live) -> t.Iterator[Stop]:
    missing = [right for what, right in _TELLTALES.items() if what in live.unreadable]
    if missing:
        yield Stop(
            RUNNING,
            f"Whether a run of Kubespray is under way cannot be seen without the right to {' and to '.join(missing)}. "
            f"Grant it, or waive {RUNNING} when you know that there is none.",
        )
    if live.rolling:
        yield Stop(
            RUNNING, f"DaemonSet calico-node is being rolled out ({live.rolling}): wait for Kubespray's run to end."
        )
    if live.cordoned:
        yield Stop(
            RUNNING,
            f"{len(live.cordoned)} nodes are cordoned, first {live.cordoned[0]}, as Kubespray's upgrade does: wait for "
            f"its run to end, or waive {RUNNING} if they are cordoned for another reason.",
        )


def _apart(declared: Declared, live: Live, moves: t.Sequence[Move]) -> t.Iterator[Stop]:
    moving = {move.version for move in moves}
    left = [
        pool.name
        for pool in declared.pools
        if moving and pool.version not in moving and pool.name is not None and find(live.pools, pool.name)
    ]
    for name in left:
        version = IPV6 if name.endswith(IPV6_SUFFIX) and IPV6 not in moving else IPV4
        option = "kubespray_target_ipv6" if version == IPV6 else "kubespray_target"
        yield Stop(
            FAMILIES_APART,
            f"Kubespray names the pools of both families after {POOL_NAME}, and IPPool {name} would stay where it is: "
            f"no inventory could describe that. Set {option} as well.",
        )


def _old_inventory(declared: Declared, live: Live) -> t.Iterator[Stop]:
    for pool in declared.pools:
        journal = None if pool.name is None else live.journal_of(pool.name)
        if journal is not None and journal.procedure == MIGRATE:
            yield Stop(
                OLD_INVENTORY,
                f"{POOL_NAME} still leads to IPPool {pool.name}, whose pods have moved to IPPool "
                f"{journal.target.get('name')}: once it is deleted, Kubespray would create it again. Change the "
                "inventory first.",
            )


def _finishes(declared: Declared, live: Live) -> t.Iterator[Move]:
    """The old pools that were kept, found by the journals that lead to the pools of the inventory."""
    for pool in declared.pools:
        journal = None if pool.name is None else live.journal_to(pool.name)
        if journal is not None and journal.procedure == MIGRATE:
            yield Move(pool.version, journal.pool, to=dict(journal.target))


def _undone(declared: Declared, live: Live) -> t.Iterator[Move]:
    """What was begun for the pools of the inventory, or led to them where it was changed already; the last first."""
    for pool in reversed(declared.pools):
        name = pool.name or _only(live, pool.version)
        journal = None if name is None else live.journal_of(name) or live.journal_to(name)
        if journal is not None:
            yield Move(pool.version, journal.pool, undoes=journal.procedure)


def _only(live: Live, version: int) -> t.Optional[str]:
    """The pool of the only procedure of a family, where no variable names Kubespray's pool."""
    found = [journal.pool for journal in live.journals if _version(journal.target.get("cidr")) == version]
    return found[0] if len(found) == 1 else None


def _version(cidr: t.Any) -> t.Optional[int]:
    try:
        return parse_network(cidr, strict=False).version
    except InvalidInput:
        return None


def _resize(declared: Declared, live: Live, version: int, target: Target) -> Move:
    option = _option(version)
    pool = _declared_pool(declared, version)
    if target.get("block_size") is None or target.get("temporary_cidr") is None:
        raise InvalidInput(
            f"{option}: the change of a block size needs block_size and temporary_cidr, a range in which the pods "
            "stay meanwhile.",
            field="target",
        )
    if target.get("cidr") is not None or target.get("name") is not None:
        raise InvalidInput(
            f"{option}: the change of a block size keeps name and CIDR of the pool; leave them out, or choose migrate.",
            field="target",
        )
    name, size = _current(pool, live), int(target["block_size"])
    stored = find(live.pools, name)
    return Move(
        version,
        name,
        block_size=size,
        temporary_cidr=str(target["temporary_cidr"]),
        done=stored is not None and stored.spec.get("blockSize") == size and live.journal_of(name) is None,
    )


def _migrations(declared: Declared, live: Live, given: t.Mapping[int, Target]) -> t.Iterator[Move]:
    base: t.Optional[str] = None
    for version in FAMILIES:
        target = given.get(version)
        if target is None:
            continue
        option = _option(version)
        if target.get("cidr") is None:
            raise InvalidInput(f"{option}: the cidr of the new pool is missing.", field="target")
        cidr = parse_network(target["cidr"])
        if cidr.version != version:
            raise InvalidInput(f"{option}: {cidr} is not an IPv{version} range.", field="cidr", value=str(cidr))
        pool = _declared_pool(declared, version)
        there = _arrived(pool, live, target, cidr)
        if there is not None:
            under_way = live.journal_to(there.name)
            if under_way is not None and not under_way.keep_pool:
                # The inventory was changed too early.
                yield Move(version, under_way.pool, to=dict(under_way.target))
            else:
                yield Move(version, there.name, to={"name": there.name, "cidr": str(target["cidr"])}, done=True)
            base = there.name if version == IPV4 else base
            continue
        old = _current(pool, live)
        journal = live.journal_of(old)
        name = target.get("name") or (journal.target.get("name") if journal is not None else None)
        if name is None:
            name = _next_name(old, live) if version == IPV4 or base is None else base + IPV6_SUFFIX
        if version == IPV4:
            base = str(name)
        elif not str(name).endswith(IPV6_SUFFIX) or (base is not None and name != base + IPV6_SUFFIX):
            wanted = f"{base or 'NAME'}{IPV6_SUFFIX}"
            raise InvalidInput(
                f"{option}: Kubespray names its IPv6 pool {wanted}, after {POOL_NAME}; it would not know {name!r}.",
                field="name",
                value=name,
            )
        to = {key: value for key, value in target.items() if value is not None and key != "temporary_cidr"}
        # Kubespray compares ranges as text, so this is how Calico will write it.
        yield Move(version, old, to={**to, "name": str(name), "cidr": str(cidr)})


def _declared_pool(declared: Declared, version: int) -> DeclaredPool:
    pool = declared.pool(version)
    if pool is None:
        raise InvalidInput(
            f"{_option(version)}: the inventory says that this cluster has no IPv{version}.", field="target"
        )
    return pool


def _arrived(pool: DeclaredPool, live: Live, target: Target, cidr: Network) -> t.Optional[StoredPool]:
    """The target, once the inventory names it, or the pool that the inventory names is gone for good."""
    old = None if pool.name is None else find(live.pools, pool.name)
    if old is None and (pool.name is None or live.journal_of(pool.name) is not None):
        return None
    there = next((each for each in live.pools if each.pool_cidr == cidr), None)
    if there is None or (old is not None and old.name != there.name) or target.get("name") not in (None, there.name):
        return None
    return there


def _current(pool: DeclaredPool, live: Live) -> str:
    """The name of the pool that Kubespray keeps; where no variable names it, that of the only one of its family."""
    if pool.name is not None:
        # In the middle of a procedure it may not be there.
        if find(live.pools, pool.name) is not None or live.journal_of(pool.name) is not None:
            return pool.name
        raise InvalidInput(
            f"IPPool {pool.name}, which {POOL_NAME} names, is not in the cluster; its pools are: "
            f"{', '.join(each.name for each in live.pools) or 'none'}. If another one is meant, set "
            f"{OURS}: {{{POOL_NAME}: its name}}.",
            field=POOL_NAME,
            value=pool.name,
        )
    mine = [each for each in live.pools if each.pool_cidr is not None and each.pool_cidr.version == pool.version]
    if len(mine) == 1:
        return mine[0].name
    raise InvalidInput(
        f"Which IPv{pool.version} pool is Kubespray's? {POOL_NAME} is not known, and the cluster has "
        f"{', '.join(each.name for each in mine) or 'none'}. Set {OURS}: {{{POOL_NAME}: its name}}.",
        field=POOL_NAME,
    )


def _next_name(name: str, live: Live) -> str:
    """``pool`` becomes ``pool-2``, ``pool-2`` becomes ``pool-3``; names that are taken are passed over."""
    suffix = IPV6_SUFFIX if name.endswith(IPV6_SUFFIX) else ""
    stem = name[: len(name) - len(suffix)] if suffix else name
    found = re.match(r"(.+)-(\d{1,4})\Z", stem)
    stem, number = (found.group(1), int(found.group(2)) + 1) if found else (stem, 2)
    taken = {pool.name for pool in live.pools}
    while f"{stem}-{number}{suffix}" in taken or f"{stem}-{number}{IPV6_SUFFIX}" in taken:
        number += 1
    return f"{stem}-{number}{suffix}"


def _option(version: int) -> str:
    return "kubespray_target" if version == IPV4 else "kubespray_target_ipv6"
