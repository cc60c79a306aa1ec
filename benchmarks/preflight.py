# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time of the preflight's checks on a large cluster that has been read, and whether it grows faster than the cluster.

Every pod is in the pool that is to be emptied, has a workload with a budget and a Service, and an address in a block of
its node. Reading the cluster is not measured: that is one list a kind.

    python benchmarks/preflight.py [--pods 2000] [--nodes 500] [--times 1 10]
"""

from __future__ import annotations

import argparse
import sys
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/unit/plugins/module_utils/_operations"))

OLD, NEW, PER_WORKLOAD, BLOCK = "10.0.0.0/10", "10.64.0.0/10", 10, 64


def cluster(pods: int, nodes: int) -> t.Any:
    """The view of such a cluster."""
    import preflight_objects as objects

    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD, Holder
    from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import (
        AffinityFact,
        Allocation,
        BlockFact,
    )

    network, spaces = parse_network(OLD), max(pods // 50, 1)
    workloads, budgets, services, running = [], [], [], []
    blocks: dict[t.Any, list[Allocation]] = {}
    for number in range(-(-pods // PER_WORKLOAD)):
        namespace, name = f"ns-{number % spaces}", f"web-{number}"
        workloads.append(objects.workload("Deployment", name, namespace=namespace))
        workloads.append(objects.workload("ReplicaSet", f"{name}-1", ("Deployment", name), namespace=namespace))
        budget = objects.budget(1, selector={"matchLabels": {"app": name}})
        budget["metadata"].update(name=name, namespace=namespace)
        budgets.append(budget)
        services.append({"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": {"app": name}}})
    for number in range(pods):
        workload, on, slot = number // PER_WORKLOAD, number % nodes, number // nodes
        first = (on * (pods // nodes // BLOCK + 1) + slot // BLOCK) * BLOCK
        address = network.address(first + slot % BLOCK)
        name, namespace = f"web-{workload}-1-{number}", f"ns-{workload % spaces}"
        owner, labels = ("ReplicaSet", f"web-{workload}-1"), {"app": f"web-{workload}"}
        running.append(
            objects.pod(name, str(address), owner=owner, namespace=namespace, labels=labels, on=f"node-{on}")
        )
        holder = Holder(POD, namespace, name, name, f"node-{on}", f"k8s-pod-network.{number}")
        blocks.setdefault((network.address(first).network(26), on), []).append(Allocation(address, holder))
    return objects.view(
        pools=(objects.pool(cidr=OLD),),
        nodes=[objects.node(f"node-{number}") for number in range(nodes)],
        namespaces=[{"metadata": {"name": f"ns-{number}"}} for number in range(spaces)],
        pods=running,
        workloads=workloads,
        budgets=budgets,
        services=services,
        blocks=[BlockFact(cidr, f"host:node-{on}", len(held), tuple(held)) for (cidr, on), held in blocks.items()],
        affinities=[AffinityFact(cidr, f"node-{on}", "host", True) for cidr, on in blocks],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()

    from preflight_objects import asked

    from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import preflight

    for times in options.times:
        view = cluster(options.pods * times, options.nodes * times)
        begun = time.process_time()
        found = preflight(asked(target={"name": "new", "cidr": NEW}), view)["findings"]
        seconds = time.process_time() - begun
        print(f"{len(view.pods):8} pods on {len(view.nodes):6} nodes: {seconds:6.2f} s, {len(found)} findings")


if __name__ == "__main__":
    main()
