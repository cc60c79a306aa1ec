# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drain of 2,000 pods against the least time that any drain of them can take.

Deployments with all sorts of strategies and budgets, StatefulSets, and DaemonSets on 70 nodes of the embedded cluster;
how the bound is computed is told in ``tests/drain_load.py``. Time is the twin's, processor time that of drain and
twin together, which share a process.

    python benchmarks/drain.py [--pods 2000] [--nodes 70] [--parallel 20 50] [--seed 1]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    from drain_load import make_load, measure, prepare
    from simulation import simulate

    parser = argparse.ArgumentParser()
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=70)
    parser.add_argument("--parallel", type=int, nargs="+", default=[20, 50])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    load = make_load(options.pods, options.nodes, options.seed)
    print(f"{sum(each.pods for each in load)} pods in {len(load)} workloads on {options.nodes} nodes")
    print("at once   moved  left     time    bound  ratio  writes a pod  lists  gets  processor")
    for parallel in options.parallel:
        twin = prepare(load, options.nodes, options.seed)
        with pytest.MonkeyPatch.context() as patches:
            simulate(patches)
            run = measure(twin, load, max_parallel=parallel)
        gets = sum(count for what, count in run.reads.items() if what.startswith("get "))
        harm = len(run.record["outages"]) + len(run.record["budget_violations"])
        print(
            f"{parallel:7}  {run.result.moved:6}  {len(run.result.left):4}  {run.seconds:5.0f} s  "
            f"{run.bound.seconds:5.0f} s  {run.ratio:5.2f}  {run.writes_per_pod:12.2f}  {run.lists:5}  {gets:4}  "
            f"{run.cpu:7.1f} s" + (f"  {harm} violations" if harm else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
