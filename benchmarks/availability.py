# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What users notice of a move of all pods: our drain, the recipe that deletes all pods, and a drain of node after node.

On the tutorial's cluster and on a larger one of the embedded cluster; see ``tests/three_ways.py``. Prints the tables of
docs/guides/availability.md; all times are the twin's.

    python benchmarks/availability.py [--pods 200] [--nodes 10]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

HEADS = (
    "way",
    "took",
    "workloads of several replicas without a ready one",
    "single pods away",
    "missing pods",
    "budgets violated",
    "pods started",
    "pods left in the old pool",
)


def main() -> None:
    from simulation import simulate
    from three_ways import WAYS, large, move, tutorial

    parser = argparse.ArgumentParser()
    parser.add_argument("--pods", type=int, default=200)
    parser.add_argument("--nodes", type=int, default=10)
    options = parser.parse_args()
    clusters = {
        "tutorial": tutorial,
        f"{options.pods} pods on {options.nodes} nodes": lambda: large(options.pods, options.nodes),
    }
    with pytest.MonkeyPatch.context() as patches:
        simulate(patches)
        for name, make in clusters.items():
            print(f"\n{name}\n\n| {' | '.join(HEADS)} |\n|{' --- |' * len(HEADS)}")
            for words, way in WAYS.items():
                found = move(*make(), way)
                cells = (
                    words,
                    f"{found.seconds:.0f} s",
                    f"{len(found.outages)}, {sum(found.outages.values()):.0f} s in sum",
                    f"{len(found.single_outages)}, {sum(found.single_outages.values()):.0f} s in sum",
                    f"{found.missing:.0f} pod seconds",
                    str(found.budgets),
                    str(found.started),
                    str(found.left),
                )
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
