# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time and memory of an audit of 10,000 blocks with 150,000 allocations, and of ten times as many.

Pages of JSON are made one by one, decoded with ``json.loads`` and fed to the audit, as from an API
server; only decoding and auditing are measured, each by itself, in seconds of the processor.
Every size is a process of its own. All pods live, so every address is judged to the end, and 1 in 1,000 is leaked.

    python benchmarks/audit.py [--blocks 10000] [--allocations 15] [--times 1 10]

``--times 100`` is a cluster of a million blocks; it takes a while and some 15 GB.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
import typing as t
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

PAGE = 500
LEAKED = 1000


def pages(blocks: int, allocations: int) -> t.Iterator[bytes]:
    """The blocks of the benchmark ``block_info``, each with its row and its handles, as lists of JSON."""
    from block_info import block

    for start in range(0, blocks, PAGE):
        made = [block(number, allocations) for number in range(start, min(start + PAGE, blocks))]
        for each in made:
            # Above the numbers of its allocations, as in a real block.
            each["spec"]["sequenceNumber"] += PAGE
        yield json.dumps(made, separators=(",", ":")).encode()


def row(block: dict[str, t.Any]) -> dict[str, t.Any]:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import affinity_labels

    spec, node = block["spec"], block["spec"]["affinity"][5:]
    return {
        "metadata": {"name": f"{node}-{block['metadata']['name']}", "labels": affinity_labels(node, "host", 4)},
        "spec": {"state": "confirmed", "node": node, "type": "host", "cidr": spec["cidr"], "deleted": "false"},
    }


def handles(block: dict[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    for attribute in block["spec"]["attributes"]:
        identity = attribute["handle_id"]
        spec = {"handleID": identity, "block": {block["spec"]["cidr"]: 1}, "deleted": False}
        yield {"metadata": {"name": identity}, "spec": spec}


def child(blocks: int, allocations: int) -> None:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit import Audit
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import (
        ClusterFacts,
        NodeFacts,
        PodFacts,
    )
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec

    # As the module does: there are no cycles to be found.
    gc.disable()
    now = datetime(2026, 8, 20, tzinfo=timezone.utc)
    audit = Audit(lambda: now)
    pods: dict[tuple[str, str], PodFacts] = {}
    nodes: dict[str, NodeFacts] = {}
    decoding = auditing = handling = 0.0
    size = count = 0
    for page in pages(blocks, allocations):
        size += len(page)
        began = time.process_time()
        things = json.loads(page)
        decoded = time.process_time()
        for thing in things:
            audit.block(thing)
        audited = time.process_time()
        decoding += decoded - began
        auditing += audited - decoded
        rest = json.dumps([[row(thing), *handles(thing)] for thing in things], separators=(",", ":"))
        size += len(rest)
        began = time.process_time()
        others = json.loads(rest)
        decoded = time.process_time()
        for affinity, *of_block in others:
            audit.affinity(affinity)
            for handle in of_block:
                audit.handle(handle)
        handling += time.process_time() - decoded
        decoding += decoded - began
        for thing in things:
            base = parse_network(thing["spec"]["cidr"]).value
            for ordinal, attribute in enumerate(thing["spec"]["attributes"]):
                owner = attribute["secondary"]
                count += 1
                nodes.setdefault(owner["node"], NodeFacts())
                if count % LEAKED:
                    pods[owner["namespace"], owner["pod"]] = PodFacts(
                        ((4, base + ordinal),), (), owner["node"], "Running"
                    )
    fed = peak_mb()
    facts = ClusterFacts(
        now=now, pools=(pool_from_spec("default", {"cidr": "10.0.0.0/8", "blockSize": 26}),), nodes=nodes, pods=pods
    )
    began = time.process_time()
    result = audit.result(facts)
    judging = time.process_time() - began
    if len(result.leaked) != count // LEAKED or set(result.summary["findings"]) != {"leaked-address"}:
        raise SystemExit(f"the audit is wrong: {len(result.leaked)} leaked, {result.summary['findings']}")
    print(
        json.dumps(
            {
                "json_mb": size / 1e6,
                "decode": decoding,
                "blocks": auditing,
                "rows": handling,
                "result": judging,
                "fed_mb": fed,
                "peak_mb": peak_mb(),
            }
        )
    )


def peak_mb() -> float:
    """The largest resident size so far; unlike ru_maxrss it does not count what the parent had."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--allocations", type=int, default=15)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--child", type=int)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.allocations)
        return
    print("addresses      JSON  json.loads    blocks    others    result   ratio  an address  peak")
    for factor in options.times:
        blocks = options.blocks * factor
        command = [sys.executable, __file__, "--child", str(blocks), "--allocations", str(options.allocations)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        run = json.loads(done.stdout)
        addresses = blocks * options.allocations
        own = run["blocks"] + run["rows"] + run["result"]
        peak = run["peak_mb"]
        times = "  ".join(f"{run[part]:6.2f} s" for part in ("decode", "blocks", "rows", "result"))
        ratio, each = own / run["decode"], own / addresses * 1e6
        print(
            f"{addresses:9,} {run['json_mb']:5.0f} MB  {times}  {ratio:4.1f} x  {each:5.1f} us  {peak:5.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
