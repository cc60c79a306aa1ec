# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A Kubespray inventory held against its cluster: the result of the module, and lines for the terminal."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_changes import (
    block_lines,
    changed_variables,
    filled_pools,
    left_over,
    subnet_notes,
    variables_after,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import Declared
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_drift import (
    DRIFT,
    Finding,
    differences,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_moves import (
    LOOK,
    Target,
    moves_for,
    stops_for,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_runs import PASSES, Run, predict
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, shown_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report import table

DRIFT_LINES, CHANGE_LINES = "drift", "changes"
SHOWS = (DRIFT_LINES, CHANGE_LINES)


def held_against(
    declared: Declared,
    live: Live,
    *,
    procedure: str = LOOK,
    targets: t.Optional[t.Mapping[int, t.Optional[Target]]] = None,
    waivers: t.Collection[str] = (),
    show: t.Collection[str] = SHOWS,
    more_pools: t.Sequence[t.Mapping[str, t.Any]] = (),
    expected_nodes: t.Iterable[str] = (),
) -> t.Dict[str, t.Any]:
    """Everything as plain data. InvalidInput for a target that cannot be meant."""
    findings = differences(declared, live)
    early = stops_for(LOOK, declared, live, findings, (), waivers)
    moves = () if any(not stop.waived for stop in early) else moves_for(procedure, declared, live, targets or {})
    stops = stops_for(procedure, declared, live, findings, moves, waivers)
    runs = predict(declared, live.pools, live.all_subnets())
    after = variables_after(declared, live, moves)
    changed = changed_variables(declared, live, moves, after)
    names = {pool.name for pool in declared.pools}
    lines: t.List[str] = []
    if DRIFT_LINES in show:
        lines += [*pool_lines(declared, live), "", *finding_lines(findings, live.unreadable), "", *run_lines(runs)]
    lines += [f"STOP        {stop.message} ({stop.id})" for stop in stops if not stop.waived]
    if CHANGE_LINES in show:
        notes = (*subnet_notes(declared, changed), *left_over(declared, live, moves, after))
        lines += ["", *change_lines(after, changed, notes)]
    return {
        "pools": [_shown_pool(declared, live, pool.version) for pool in declared.pools],
        "more_pools": filled_pools(more_pools, declared, live),
        "unmanaged": [pool.name for pool in live.pools if pool.name not in names],
        "findings": [finding.shown() for finding in findings],
        "drift": any(finding.severity == DRIFT for finding in findings),
        "runs": [run.shown() for run in runs],
        "moves": [move.shown() for move in moves if not move.done],
        "stops": [stop.shown() for stop in stops],
        "variables": after,
        "changed_variables": changed,
        # Where nodes may not be listed, nobody can tell.
        "missing_nodes": sorted(set(expected_nodes).difference(live.nodes)) if live.nodes else [],
        "unreadable": list(live.unreadable),
        "lines": lines,
    }


def pool_lines(declared: Declared, live: Live) -> t.List[str]:
    rows = []
    for pool in declared.pools:
        stored = None if pool.name is None else find(live.pools, pool.name)
        spec = {} if stored is None else shown_spec(stored.spec)
        for key, value in {"name": pool.name, **pool.fields}.items():
            now = (None if stored is None else stored.name) if key == "name" else spec.get(key)
            variable = "calico_pool_name" if key == "name" else pool.variables[key]
            same = "" if str(now) == str(value) else "differs"
            rows.append((f"IPv{pool.version}", variable, _text(value), _text(now), same))
    names = {pool.name for pool in declared.pools}
    others = [pool.name for pool in live.pools if pool.name not in names]
    lines = table(("FAMILY", "VARIABLE", "INVENTORY", "CLUSTER", ""), rows)
    return [*lines, *([f"not Kubespray's: {', '.join(others)}"] if others else [])]


def finding_lines(findings: t.Sequence[Finding], unreadable: t.Sequence[str] = ()) -> t.List[str]:
    """The differences, and what nobody could compare because it may not be read."""
    lines = [f"{finding.severity.upper():<10}  {finding.message}" for finding in findings]
    if not lines:
        lines.append("DRIFT       none")
    if unreadable:
        lines.append(f"UNKNOWN     There is no right to read {', '.join(unreadable)}, so nothing was compared with it.")
    return lines


def run_lines(runs: t.Sequence[Run]) -> t.List[str]:
    """What each of Kubespray's playbooks would do now."""
    lines = []
    for run in runs:
        but = [f"but {effect}" if run.verdict == PASSES else effect for effect in run.effects]
        said = "; ".join([*run.reasons, *but, *run.hides])
        lines.append(f"{run.name:<20} {run.verdict}{', ' if but and not run.reasons else ': ' if said else ''}{said}")
    return ["KUBESPRAY'S NEXT RUN", *lines]


def change_lines(
    after: t.Mapping[str, t.Any], changed: t.Mapping[str, t.Any], notes: t.Sequence[str] = ()
) -> t.List[str]:
    """The block for the inventory, ready to copy."""
    if not after:
        return []
    if not changed:
        return ["The inventory describes the pools; nothing has to be changed in it."]
    return [
        "What the inventory has to say, as in group_vars/k8s_cluster/k8s-net-calico.yml, once the pools are so and",
        "before Kubespray runs again:",
        "",
        *block_lines(after, changed),
        *(["", *notes] if notes else []),
    ]


def _shown_pool(declared: Declared, live: Live, version: int) -> t.Dict[str, t.Any]:
    pool = declared.pool(version)
    if pool is None:
        return {}
    stored = None if pool.name is None else find(live.pools, pool.name)
    return {
        "family": f"ipv{version}",
        "name": pool.name,
        "declared": dict(pool.fields),
        "sources": {pool.variables[key]: source for key, source in pool.sources.items()},
        "live": None if stored is None else stored.shown(),
    }


def _text(value: t.Any) -> str:
    return "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
