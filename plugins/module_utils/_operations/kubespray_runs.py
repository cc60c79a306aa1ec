# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What Kubespray's playbooks would do to pools now: pass, fail in their check, fail when they apply, or undo something.

Pure, from what the inventory declares and the live pools. The rules are those of spec kubespray.md §1 (how a pool is
written, the check) and its table in §2. A read of Kubespray's that fails is not foreseen.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    IPV4,
    IPV6,
    Declared,
    DeclaredPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    find,
    shown_spec,
)

CLUSTER, UPGRADE = "cluster.yml", "upgrade-cluster.yml"
SCALE, TAGS, REMOVE = "scale.yml", "--tags network", "remove-node.yml"
RUNS = (CLUSTER, UPGRADE, SCALE, TAGS, REMOVE)
_CHECKS, _APPLIES = (CLUSTER, UPGRADE, SCALE), (CLUSTER, UPGRADE, TAGS)

PASSES = "passes"
FAILS_IN_CHECK = "fails in check"
FAILS_AT_APPLY = "fails at apply"

# What the check compares, for IPv4 only: its twin for IPv6 never runs.
_CHECKED = ("blockSize", "cidr", "ipipMode", "vxlanMode")
# What is laid over a pool that is there; its block size stays.
_WRITTEN = ("ipipMode", "vxlanMode", "natOutgoing")


@dataclass(frozen=True)
class Run:
    """One playbook of Kubespray: its end, why, and what it does to the cluster on its way."""

    name: str
    verdict: str
    reasons: t.Tuple[str, ...] = ()
    effects: t.Tuple[str, ...] = ()
    hides: t.Tuple[str, ...] = ()

    def shown(self) -> t.Dict[str, t.Any]:
        return {
            "playbook": self.name,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "effects": list(self.effects),
            "hides": list(self.hides),
        }


@dataclass(frozen=True)
class _Apply:
    failures: t.Tuple[str, ...] = ()
    effects: t.Tuple[str, ...] = ()
    hides: t.Tuple[str, ...] = ()


def predict(
    declared: Declared, pools: t.Sequence[StoredPool], live_subnets: t.Sequence[Network] = ()
) -> t.Tuple[Run, ...]:
    """How each of Kubespray's playbooks ends. ``live_subnets`` are the pods' ranges that the cluster runs with."""
    failed_check = () if declared.ignore_assert_errors else tuple(_check(declared, pools))
    applied = [_apply(pool, pools) for pool in declared.pools if pool.name is not None]
    runs = []
    for name in RUNS:
        reasons: t.Tuple[str, ...] = ()
        effects: t.Tuple[str, ...] = ()
        hides: t.Tuple[str, ...] = ()
        verdict = PASSES
        if name in _CHECKS and failed_check:
            verdict, reasons = FAILS_IN_CHECK, failed_check
        elif name in _APPLIES:
            for part in applied:
                reasons += part.failures
                effects += part.effects
                hides += part.hides
            if reasons:
                # What it would have done to the pool of the other family may be done before.
                verdict = FAILS_AT_APPLY
        if verdict == PASSES:
            effects += tuple(_subnet_effects(declared, live_subnets, name))
        runs.append(Run(name, verdict, reasons, effects, hides))
    return tuple(runs)


def _check(declared: Declared, pools: t.Sequence[StoredPool]) -> t.Iterator[str]:
    """The assertions of Kubespray's check that would fail."""
    six = declared.pool(IPV6)
    if six is not None and six.fields.get("ipipMode", "Never") != "Never":
        yield f"{six.variables['ipipMode']} is {six.fields['ipipMode']}, and there is no IP-in-IP for IPv6"
    pool = declared.pool(IPV4)
    if pool is None:
        return
    modes = [pool.fields.get(mode, "Never") for mode in ("ipipMode", "vxlanMode")]
    if "Never" not in modes:
        yield "the inventory turns both IP-in-IP and VXLAN on"
    live = None if pool.name is None else find(pools, pool.name)
    if live is None:
        return
    spec = shown_spec(live.spec)
    for key in _CHECKED:
        # The CIDR is compared as text.
        if key in pool.fields and str(pool.fields[key]) != str(spec.get(key)):
            yield f"{pool.variables[key]} is {pool.fields[key]} and IPPool {live.name} has {key} {spec.get(key)}"


def _apply(pool: DeclaredPool, pools: t.Sequence[StoredPool]) -> _Apply:
    """What writing the pool would do."""
    failures: t.List[str] = []
    cidr = pool.cidr
    outside = cidr is not None and pool.pods_subnet is not None and not pool.pods_subnet.contains(cidr)
    if pool.own_cidr and outside and all(str(live.spec.get("cidr")) != str(pool.fields["cidr"]) for live in pools):
        failures.append(f"{pool.variables['cidr']} {cidr} is not inside the pods' subnet {pool.pods_subnet}")
    live = find(pools, str(pool.name))
    if live is None:
        return _create(pool, pools, failures)
    spec = shown_spec(live.spec)
    # Calico masks and shortens a range before it compares.
    if cidr is not None and cidr != live.pool_cidr:
        failures.append(f"the CIDR of IPPool {live.name} is {spec.get('cidr')} and cannot be changed to {cidr}")
    effects = [
        f"sets {key} of IPPool {live.name} from {_said(spec.get(key))} back to {_said(pool.fields[key])}"
        for key in _WRITTEN
        if key in pool.fields and pool.fields[key] != spec.get(key)
    ]
    hides = []
    if "blockSize" in pool.fields and pool.fields["blockSize"] != spec.get("blockSize"):
        hides.append(
            f"IPPool {live.name} keeps blockSize {spec.get('blockSize')} although {pool.variables['blockSize']} is "
            f"{pool.fields['blockSize']}"
        )
    return _Apply(tuple(failures), () if failures else tuple(effects), () if failures else tuple(hides))


def _create(pool: DeclaredPool, pools: t.Sequence[StoredPool], failures: t.List[str]) -> _Apply:
    cidr = pool.cidr
    for other in pools:
        if cidr is not None and other.pool_cidr is not None and other.pool_cidr.overlaps(cidr):
            failures.append(f"IPPool {pool.name} is not there, and its range {cidr} overlaps IPPool {other.name}")
    if failures:
        return _Apply(failures=tuple(failures))
    return _Apply(effects=(f"creates IPPool {pool.name} ({cidr or 'range not known'}), enabled",))


def _subnet_effects(declared: Declared, live_subnets: t.Sequence[Network], name: str) -> t.Iterator[str]:
    """What a changed range of the pods does, which is little."""
    for pool in declared.pools:
        same_family = [network for network in live_subnets if network.version == pool.version]
        if pool.pods_subnet is None or not same_family or pool.pods_subnet in same_family:
            continue
        if name == CLUSTER:
            yield f"writes the pods' subnet {pool.pods_subnet} into kubeadm's file on the hosts only"
        elif name == UPGRADE:
            yield f"changes the pods' subnet of kube-proxy and kube-controller-manager to {pool.pods_subnet}"
        elif name == SCALE:
            joined = ", ".join(map(str, same_family))
            yield f"joins new nodes with the pods' subnet that the cluster has, {joined}"


def _said(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
