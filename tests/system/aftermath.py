# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be true of a cluster once a procedure is over, however often it was killed on the way."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass

from invariants import Holder, check, state_of_raw
from modes_lab import DEFAULT, Lab
from procedures import mortal
from runbook import Runbook

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    IP_POOLS,
    IPAM_BLOCKS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

# Where something of ours may stand while a procedure works.
TOUCHED = (CONFIG_MAPS, DAEMON_SETS, DEPLOYMENTS, IP_POOLS, LEASES, NAMESPACES, NODES, STATEFUL_SETS)


@dataclass(frozen=True)
class Before:
    """A cluster before a procedure: its pool as it is shown, the operator's list, and the workloads with their pods."""

    pool: Object
    entries: list[Object]
    pods: dict[tuple[str, str], int]


def before(lab: Lab) -> Before:
    found = lab.pool(DEFAULT)
    assert found is not None
    entries = copy.deepcopy(lab.entries()) if lab.mode.operator else []
    return Before(copy.deepcopy(found.shown()), entries, _pods(lab))


def is_as_wanted(lab: Lab, was: Before, *, name: str = DEFAULT, **changed: t.Any) -> None:
    """Everything is as it was but for ``changed`` members of the pool's spec and its name; nothing else is there."""
    lab.advance(60)
    (pool,) = read_pools(lab.admin)
    shown = pool.shown()
    same_object = name == DEFAULT
    assert (pool.name, shown["spec"]) == (name, {**was.pool["spec"], **changed})
    if same_object:
        assert {**shown, "spec": None} == {**was.pool, "spec": None}
    _declared(lab, was, name, changed)
    _records(lab, shown["spec"])
    assert _pods(lab) == was.pods
    _addresses(lab, shown["spec"]["cidr"])
    _nothing_of_ours(lab)
    nobody_noticed(lab)


def nobody_noticed(lab: Lab) -> None:
    record = lab.twin.recorder.record()
    assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])
    assert len(record["workloads"]) > 2 and record["budgets"]  # or the record proves nothing


def _declared(lab: Lab, was: Before, name: str, changed: dict[str, t.Any]) -> None:
    """What the operator makes pools of lists this one, with every member that its entry had."""
    if not lab.mode.operator:
        return
    (entry,) = lab.entries()
    (old,) = was.entries
    assert entry["name"] == name
    kept = {key: value for key, value in old.items() if key != "name" and key not in changed}
    assert {key: entry.get(key) for key in kept} == kept


def _records(lab: Lab, spec: Object) -> None:
    records = open_stores(lab.admin).records
    blocks, rows = (lab.admin.list(kind).items for kind in (IPAM_BLOCKS, BLOCK_AFFINITIES))
    network = parse_network(spec["cidr"])
    cidrs = {item["spec"]["cidr"] for item in blocks}
    assert cidrs
    for text in cidrs:
        assert parse_network(text).prefix == spec["blockSize"] and network.contains(parse_network(text)), text
    assert {row["spec"]["cidr"] for row in rows} == cidrs
    nodes = frozenset(item["metadata"]["name"] for item in lab.admin.list(NODES).items)
    holders = [
        Holder(
            pod["status"]["podIP"],
            attributes={"pod": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]},
            name=pod["metadata"]["name"],
        )
        for pod in _on_the_pod_network(lab)
    ]
    state = state_of_raw(records, nodes=nodes, holders=holders, now=lab.twin.clock.now())
    assert check(state) == []
    found = Runbook(lab.admin, mortal()).module("ipam_audit_info")
    assert [line for line in found["findings"] if line["severity"] != "note"] == [], found["lines"]


def _addresses(lab: Lab, cidr: str) -> None:
    """Every pod has an address of the pool, and no two have the same one."""
    addresses = [pod["status"]["podIP"] for pod in _on_the_pod_network(lab)]
    network = parse_network(cidr)
    assert addresses and all(network.contains(parse_address(each)) for each in addresses), addresses
    assert len(set(addresses)) == len(addresses)


def _nothing_of_ours(lab: Lab) -> None:
    """No journal, no lock, no namespace of a probe, no note in what was restarted; Events may tell of it."""
    for kind in TOUCHED:
        for item in lab.admin.list(kind).items:
            name = item["metadata"]["name"]
            told = {key: value for key, value in _notes(item).items() if "calico-ops" in f"{key} {value}"}
            assert "calico-ops" not in name and not told, (kind.kind, name, told)
    for pod in lab.admin.list(PODS).items:
        assert not pod["metadata"]["namespace"].startswith("calico-ops"), pod["metadata"]["name"]


def _notes(item: Object) -> dict[str, t.Any]:
    """Annotations and labels; of what the twin keeps for itself nothing."""
    metadata = item["metadata"]
    notes = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
    return {key: value for key, value in notes.items() if "/twin-" not in key}


def _pods(lab: Lab) -> dict[tuple[str, str], int]:
    """How many pods each workload has that is not part of a job, by namespace and name of the controller's template."""
    counted: dict[tuple[str, str], int] = {}
    for kind in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS):
        for item in lab.admin.list(kind).items:
            status = item.get("status") or {}
            ready = status.get("numberReady", 0) if kind == DAEMON_SETS else status.get("readyReplicas", 0)
            counted[(item["metadata"]["namespace"], f"{kind.kind} {item['metadata']['name']}")] = ready
    return counted


def _on_the_pod_network(lab: Lab) -> list[Object]:
    return [
        pod
        for pod in lab.admin.list(PODS).items
        if not pod["spec"].get("hostNetwork") and pod["status"]["phase"] not in ("Succeeded", "Failed")
    ]
