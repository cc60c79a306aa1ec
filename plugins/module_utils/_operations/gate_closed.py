# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""At the end: what is declared elsewhere held against the pools as they are now.

Whoever declares pools writes them again at the next run, from what is declared there; so each place that still says
otherwise is named with what it should say (hazards A09, A10, B20, B22, B23; spec kubespray.md §1, §2).
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import condition
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import INSTALLATIONS, TIGERA_STATUSES
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import annotations_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool, default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import pod_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import marks_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_survey import (
    Configuration,
    read_configuration,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    index_of,
    network_of,
    same_pool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_last_look import why_not_serving
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    find,
    is_owner,
    read_pools,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped

OPERATOR = "the Tigera operator"
KUBESPRAY = "Kubespray"
KUBECTL = "a manifest applied with kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
STATUSES = ("ippools", "apiserver", "calico")
ENTRIES = "Installation default, spec.calicoNetwork.ipPools"


@dataclass(frozen=True)
class Change:
    """What somebody must change outside this collection.

    ``seen``: the cluster shows that it is declared otherwise; else it cannot be seen from here, and is to be checked.
    """

    manager: str
    where: str
    what: str
    seen: bool = True

    def __str__(self) -> str:
        return f"{self.manager}: {self.where}: {self.what}"

    def as_result(self) -> dict[str, t.Any]:
        return {
            "manager": self.manager,
            "where": self.where,
            "what": self.what,
            "seen": self.seen,
            "sentence": str(self),
        }


def closed(
    api: PagedApi, name: str, *, target: str | None, managers: t.Sequence[str] = (), strict: bool
) -> dict[str, t.Any]:
    """Everything that is declared otherwise than it is, or that may be and cannot be seen.

    ``name`` is the pool that was migrated, ``target`` the one that has its pods; ``managers`` are those that the
    pool carried marks of before it was deleted. ``strict``: Refused when the cluster shows such a declaration.
    Always Refused when the target gives out no addresses: then nothing has been closed (A03).
    """
    pools = read_pools(api)
    why = "" if target is None else why_not_serving(target, pools)
    if why:
        raise Refused(
            f"IPPool {target!r}, which is to serve in the end, {why}: find out who did that, then run this again.",
            pool=target,
        )
    installation = detect(api)
    raw = calico_api(api).raw
    configuration = read_configuration(raw, installation)
    changes = [
        *_operator(raw, installation, pools),
        *_kubespray(installation, pools, name, target),
        *_marks(raw, pools, name, target, managers),
        *_ranges(configuration, [pool for pool in pools if pool.name in (name, target)]),
        *_unseen(configuration),
    ]
    seen = [change for change in changes if change.seen]
    if strict and seen:
        raise Refused(
            f"{len(seen)} declaration(s) do not agree with the pools as they are now: "
            f"{'; '.join(str(change) for change in seen)}.",
            changes=[change.as_result() for change in changes],
        )
    return {"changes": [change.as_result() for change in changes], "pools": [pool.shown() for pool in pools]}


def managers_of(pool: StoredPool) -> list[str]:
    """Who left a mark on a pool, for the end, when the pool may be gone."""
    return sorted(set(marks_of(pool.thing)))


def _operator(raw: KubeApi, installation: Installation, pools: t.Sequence[StoredPool]) -> t.Iterator[Change]:
    entries = installation.operator_entries.value
    if entries is not None:
        known = set()
        for entry in entries:
            live = next(
                (pool for pool in pools if index_of([entry], pool.name, pool.pool_cidr) is not None),
                None,
            )
            named = str(entry.get("name") or network_of(entry))
            if live is None:
                yield Change(OPERATOR, ENTRIES, f"remove the entry {named}, whose pool does not exist")
                continue
            known.add(live.name)
            if not same_pool(entry, live.spec):
                yield Change(OPERATOR, ENTRIES, f"make the entry {named} like IPPool {live.name} as it is now")
        for pool in pools:
            if pool.name not in known and any(is_owner(key, value) for key, value in pool.labels.items()):
                yield Change(OPERATOR, ENTRIES, f"add an entry for IPPool {pool.name}, which is the operator's")
    for status, complaint in operator_complaints(raw, installation):
        yield Change(OPERATOR, f"TigeraStatus {status}", complaint)


def operator_complaints(raw: KubeApi, installation: Installation) -> t.Iterator[tuple[str, str]]:
    """Each TigeraStatus that is not content, with what to do; none where the operator does not manage pools.

    It makes pools only while Calico's API server answers, where that is installed (hazard B21).
    """
    if installation.operator.value:
        for status in STATUSES:
            thing, _source = readable_object(raw, TIGERA_STATUSES, status)
            complaint = None if thing is None else _complaint(thing)
            if complaint:
                yield status, complaint


def _complaint(status: Object) -> str | None:
    degraded, available = condition(status, "Degraded"), condition(status, "Available")
    if degraded.get("status") == "True":
        words = " ".join(str(degraded.get("message") or degraded.get("reason") or "no message").split())
        return f"mend what it is Degraded for: {words.rstrip('.')}"
    return "find out why it is not Available" if available and available.get("status") != "True" else None


def _kubespray(
    installation: Installation, pools: t.Sequence[StoredPool], name: str, target: str | None
) -> t.Iterator[Change]:
    """Its inventory cannot be seen from here; the variables that make it agree can be told all the same."""
    if "kubespray" not in (installation.cluster_type.value or ()):
        return
    serving = find(pools, target or name) or find(pools, name)
    pool = None if serving is None else serving.pool()
    if serving is None or pool is None:
        return
    where = "inventory, group_vars/k8s_cluster/k8s-net-calico.yml"
    variables = ", ".join(f"{key}: {value}" for key, value in kubespray_variables(pool).items())
    yield Change(KUBESPRAY, where, f"set {variables}, before any run of Kubespray", seen=False)
    if name != serving.name and find(pools, name) is None:
        yield Change(
            KUBESPRAY,
            where,
            f"a run with the old values creates IPPool {name} again, enabled, or fails where the ranges overlap",
            seen=False,
        )


def kubespray_variables(pool: Pool) -> dict[str, t.Any]:
    """The variables of Kubespray that describe this pool (spec kubespray.md §1)."""
    six = "_ipv6" if pool.version == 6 else ""
    # The IPv6 pool has the name of the other one with an ending.
    name = pool.name[: -len("-ipv6")] if six and pool.name.endswith("-ipv6") else pool.name
    return {
        "calico_pool_name": name,
        f"calico_pool_cidr{six}": str(pool.cidr),
        f"calico_pool_blocksize{six}": pool.block_size,
        f"calico_ipip_mode{six}": pool.ipip_mode,
        f"calico_vxlan_mode{six}": pool.vxlan_mode,
        f"nat_outgoing{six}": str(pool.nat_outgoing).lower(),
    }


def _marks(
    raw: KubeApi, pools: t.Sequence[StoredPool], name: str, target: str | None, managers: t.Sequence[str]
) -> t.Iterator[Change]:
    told = set()
    for pool in pools:
        if pool.name not in (name, target):
            continue
        for who in marks_of(pool.thing):
            told.add(who)
            if who == KUBECTL:
                differing = _differing(pool)
                if differing:
                    fields = ", ".join(differing)
                    yield Change(who, f"the manifest of IPPool {pool.name}", f"write {fields} as the pool has them now")
            else:
                yield Change(
                    who,
                    f"IPPool {pool.name}",
                    f"make its source declare the pool as it is now: {_words(pool)}",
                    seen=False,
                )
    thing, _source = readable_object(raw, INSTALLATIONS, "default")
    for who in marks_of(thing) if thing is not None else ():
        if thing is None or who != KUBECTL or _entries(_applied(thing)) is not None:
            yield Change(
                who, "Installation default", "make its source agree with spec.calicoNetwork.ipPools", seen=False
            )
    if find(pools, name) is None:
        for who in managers:
            if who not in told:
                yield Change(who, f"IPPool {name}", "take the pool, which is gone, out of its source")


def _differing(pool: StoredPool) -> list[str]:
    """The members of the spec that the manifest last applied says otherwise."""
    spec = _applied(pool.thing).get("spec")
    if not isinstance(spec, dict):
        return []
    declared, live = default_spec(spec), default_spec(pool.spec)
    return [key for key in spec if declared.get(key) != live.get(key)]


def _applied(thing: Object) -> dict[str, t.Any]:
    try:
        found = json.loads(annotations_of(thing).get(LAST_APPLIED) or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _entries(applied: t.Mapping[str, t.Any]) -> t.Any:
    spec = applied.get("spec")
    network = spec.get("calicoNetwork") if isinstance(spec, dict) else None
    return network.get("ipPools") if isinstance(network, dict) else None


def _words(pool: StoredPool) -> str:
    spec = default_spec(pool.spec)
    disabled = str(bool(spec.get("disabled"))).lower()
    return f"cidr {spec.get('cidr')}, blockSize {spec.get('blockSize')}, disabled {disabled}"


def _unseen(configuration: Configuration) -> t.Iterator[Change]:
    """What may not be read may say otherwise as well."""
    for what in configuration.unreadable:
        yield Change("nobody knows", what, "it may not be read; make sure that it agrees with the pools", seen=False)


def _ranges(configuration: Configuration, pools: t.Sequence[StoredPool]) -> t.Iterator[Change]:
    """B23: what the platform takes for the range of pods, with any pool in use that lies outside."""
    serving = [
        pool
        for pool in engine_pools(pools)
        if pool.enabled and "Workload" in pool.allowed_uses and not is_stopped({"nodeSelector": pool.node_selector})
    ]
    for ranges in pod_ranges(configuration):
        for pool in serving:
            same = [network for network in ranges.networks if network.version == pool.version]
            if same and not any(network.contains(pool.cidr) for network in same):
                shown = ", ".join(str(network) for network in same)
                yield Change(
                    "the platform",
                    ranges.source,
                    f"it says {shown}, and IPPool {pool.name} ({pool.cidr}) lies outside: make it contain the pool, "
                    "and restart what reads it",
                )
