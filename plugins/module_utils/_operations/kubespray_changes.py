# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The variables that describe the pools as they are, or will be, for the inventory (spec kubespray.md §2, step 2)."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    IPV4,
    IPV6_SUFFIX,
    PODS_SUBNET,
    POOL_NAME,
    POOL_VARIABLES,
    Declared,
    DeclaredPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_drift import moved_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_moves import Move
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_runs import predict
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    SPEC_FIELDS,
    StoredPool,
    find,
    shown_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.yaml_text import yaml_text

Variables = t.Dict[str, t.Any]


def variables_after(declared: Declared, live: Live, moves: t.Sequence[Move]) -> Variables:
    """Kubespray's variables for the pools as they are, or as the moves will make them; nothing for unknown pools."""
    found: Variables = {}
    for pool in declared.pools:
        name, spec = _after(pool, live, next((move for move in moves if move.version == pool.version), None))
        if name is None:
            continue
        if pool.version == IPV4:
            found[POOL_NAME] = name
        else:
            found.setdefault(POOL_NAME, name[: -len(IPV6_SUFFIX)] if name.endswith(IPV6_SUFFIX) else name)
        for key, variable in POOL_VARIABLES[pool.version].items():
            if key == "cidr" and not pool.own_cidr and str(spec.get(key)) == str(pool.pods_subnet):
                continue  # The pods' subnet says it.
            found[variable] = pool.fields[key] if _only_spelled(pool, key, spec) else spec.get(key)
    return found


def changed_variables(declared: Declared, live: Live, moves: t.Sequence[Move], after: Variables) -> Variables:
    """Those that the inventory, or a default, has otherwise; what nobody defines is held against the live pool."""
    before: Variables = {}
    for pool in declared.pools:
        move = next((move for move in moves if move.version == pool.version and not move.done), None)
        name = pool.name or (move.pool if move is not None else None)
        stored = None if name is None else find(live.pools, name)
        spec = {} if stored is None else shown_spec(stored.spec)
        if name is not None:
            before.setdefault(POOL_NAME, name[: -len(IPV6_SUFFIX)] if pool.version != IPV4 else name)
        for key, variable in POOL_VARIABLES[pool.version].items():
            # The pods' subnet does not count for a range that needs a variable of its own.
            before[variable] = pool.fields.get(key, spec.get(key)) if key != "cidr" or pool.own_cidr else None
    return {name: value for name, value in after.items() if str(before.get(name)) != str(value)}


def block_lines(after: t.Mapping[str, t.Any], changed: t.Mapping[str, t.Any]) -> t.List[str]:
    """The variables as lines of YAML, the changed ones marked."""
    lines = []
    for name, value in after.items():
        text = yaml_text({name: value}).rstrip("\n")
        lines.append(f"{text}  # changed" if name in changed else text)
    return lines


def subnet_notes(declared: Declared, changed: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """What has to be changed before the run, where the new range is outside that of the pods (§2, step 1)."""
    for pool in declared.pools:
        cidr = changed.get(POOL_VARIABLES[pool.version]["cidr"])
        if cidr is None or pool.pods_subnet is None or pool.pods_subnet.contains(parse_network(cidr, strict=False)):
            continue
        name = PODS_SUBNET[pool.version]
        yield (
            f"{cidr} is outside {name} {pool.pods_subnet}: widen {name} and run upgrade-cluster.yml before the move, "
            "which restarts kube-proxy; or choose a range inside, which needs neither."
        )


def left_over(declared: Declared, live: Live, moves: t.Sequence[Move], after: Variables) -> t.Iterator[str]:
    """What Kubespray would fail at, or undo, when the moves are made and the inventory has these variables.

    Nothing as a rule. Families that were moved apart, or a pool of another name, cannot be described by any inventory.
    """
    then = replace(declared, pools=tuple(_described(pool, after) for pool in declared.pools))
    said: t.Dict[str, t.List[str]] = {}
    for run in predict(then, _pools_after(live, moves)):
        for each in (*run.reasons, *run.effects, *run.hides):
            said.setdefault(each, []).append(run.name)
    for what, names in said.items():
        yield f"With these variables, too, {', '.join(names)} would not leave the cluster as it is: {what}."


def _described(pool: DeclaredPool, after: Variables) -> DeclaredPool:
    """The pool as an inventory with these variables declares it."""
    fields, variables = dict(pool.fields), dict(pool.variables)
    for key, variable in POOL_VARIABLES[pool.version].items():
        if variable in after:
            fields[key], variables[key] = after[variable], variable
    name = after.get(POOL_NAME)
    if name is not None:
        name = name if pool.version == IPV4 else f"{name}{IPV6_SUFFIX}"
    return replace(pool, name=name or pool.name, fields=fields, variables=variables)


def _pools_after(live: Live, moves: t.Sequence[Move]) -> t.List[StoredPool]:
    """The pools once the moves are made: the old ones stay, which is what Kubespray could collide with."""
    pools = {pool.name: pool for pool in live.pools}
    for move in moves:
        journal = live.journal_of(move.pool) if move.undoes else None
        if journal is not None:
            pools[move.pool] = StoredPool(move.pool, {**_thing(move.pool), "spec": _original(move.pool, live)})
            if journal.target_definition is None:
                pools.pop(str(journal.target.get("name")), None)
            continue
        spec = _spec(move.pool, live)
        if move.block_size is not None:
            spec["blockSize"] = move.block_size
            pools[move.pool] = StoredPool(move.pool, {**_thing(move.pool), "spec": spec})
        elif move.to and str(move.to["name"]) not in pools:
            name = str(move.to["name"])
            asked = {SPEC_FIELDS[key]: value for key, value in move.to.items() if key in SPEC_FIELDS}
            pools[name] = StoredPool(name, {**_thing(name), "spec": {**spec, **asked}})
    return list(pools.values())


def filled_pools(more: t.Sequence[t.Mapping[str, t.Any]], declared: Declared, live: Live) -> t.List[t.Dict[str, t.Any]]:
    """Declared pools; a new one has the encapsulation and NAT of Kubespray's pool where it does not say its own.

    With Kubespray's network backend, another encapsulation would often not run at all.
    """
    filled = []
    for entry in more:
        entry = {key: value for key, value in entry.items() if value is not None}
        model = None if find(live.pools, str(entry.get("name"))) is not None else _model(entry, declared, live)
        own_mode = not {"ipip_mode", "vxlan_mode"}.isdisjoint(entry)
        for option in () if model is None else ("ipip_mode", "vxlan_mode", "nat_outgoing"):
            if not (own_mode and option != "nat_outgoing"):
                entry.setdefault(option, (model or {}).get(SPEC_FIELDS[option]))
        filled.append(entry)
    return filled


def _model(entry: t.Mapping[str, t.Any], declared: Declared, live: Live) -> t.Optional[t.Dict[str, t.Any]]:
    """The spec of Kubespray's pool of the family of a declared pool; None for an entry that is not to be created."""
    try:
        version = parse_network(entry.get("cidr"), strict=False).version
    except InvalidInput:
        return None  # The module ippool says what is wrong with it.
    pool = declared.pool(version)
    stored = None if pool is None or pool.name is None else find(live.pools, pool.name)
    return None if stored is None or entry.get("state") == "absent" else shown_spec(stored.spec)


def _only_spelled(pool: DeclaredPool, key: str, spec: t.Mapping[str, t.Any]) -> bool:
    """Whether it is an IPv6 range that the inventory writes in another way, which Kubespray does not compare."""
    own = key == "cidr" and pool.own_cidr and pool.version != IPV4
    return own and spec.get(key) is not None and pool.cidr == parse_network(spec[key], strict=False)


def _after(pool: DeclaredPool, live: Live, move: t.Optional[Move]) -> t.Tuple[t.Optional[str], t.Dict[str, t.Any]]:
    """Name and spec of the pool that serves the family when all is done."""
    if move is not None and move.undoes:
        return move.pool, _original(move.pool, live)
    if move is not None and not (move.done and move.to):
        spec = _spec(move.pool, live)
        if move.block_size is not None:
            return move.pool, {**spec, "blockSize": move.block_size}
        target = find(live.pools, str(move.to["name"]))
        if target is not None:
            return target.name, shown_spec(target.spec)
        asked = {SPEC_FIELDS[key]: value for key, value in move.to.items() if key in SPEC_FIELDS}
        return str(move.to["name"]), {**spec, **asked}
    name = pool.name if move is None else move.pool
    stored = None if name is None else find(live.pools, name)
    if stored is None:
        return None, {}
    journal = moved_to(stored, live)
    successor = None if journal is None else find(live.pools, str(journal.target.get("name")))
    served = successor or stored
    return served.name, shown_spec(served.spec)


def _spec(name: str, live: Live) -> t.Dict[str, t.Any]:
    """The spec of a pool; while its block size is changed it may not be there, and its journal has it."""
    stored, journal = find(live.pools, name), live.journal_of(name)
    if stored is not None:
        return shown_spec(stored.spec)
    return {} if journal is None else shown_spec(journal.definition.get("spec") or {})


def _original(name: str, live: Live) -> t.Dict[str, t.Any]:
    """The spec that undoing leaves, which the journal keeps."""
    journal = live.journal_of(name)
    kept = {} if journal is None else journal.definition.get("spec") or {}
    return shown_spec(kept) if kept else _spec(name, live)


def _thing(name: str) -> t.Dict[str, t.Any]:
    return {"metadata": {"name": name}}
