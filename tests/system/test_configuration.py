# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings and reservations written by the modules are what the cluster's Calico obeys from then on."""

from __future__ import annotations

import ipaddress
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from cluster_state import objects
from playbook import BIN, environment
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS

SMALL = Path(__file__).parents[2] / "plugins/module_utils/_twin/scenarios/small.yml"
LIMIT = 3


@pytest.fixture
def twin(tmp_path: Path) -> t.Iterator[TwinHandle]:
    """Two nodes and blocks of four addresses."""
    documents = list(yaml.safe_load_all(SMALL.read_text(encoding="utf-8")))
    for document in documents:
        if document["kind"] == "IPPool":
            document["spec"]["blockSize"] = 30
        if (document["kind"], document["metadata"]["name"]) == ("Deployment", "web"):
            document["spec"]["replicas"] = 2  # so that blocks are not full to begin with
    with start_twin(tmp_path, documents, speed=50) as handle:
        handle.settle()
        yield handle


def play(twin: TwinHandle, directory: Path, *tasks: dict[str, t.Any]) -> str:
    book = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {"group/calico_ops.ipam.cluster": {"kubeconfig": twin.kubeconfig}},
        "tasks": list(tasks),
    }
    (directory / "play.yml").write_text(yaml.safe_dump([book], sort_keys=False), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), str(directory / "play.yml")],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def blocks(twin: TwinHandle) -> list[dict[str, t.Any]]:
    return [item["spec"] for item in objects(twin, "ipamblocks").values()]


def allocated(twin: TwinHandle) -> set[str]:
    return {
        str(ipaddress.ip_network(spec["cidr"])[ordinal])
        for spec in blocks(twin)
        for ordinal, index in enumerate(spec["allocations"])
        if index is not None
    }


def pods(twin: TwinHandle) -> dict[str, dict[str, t.Any]]:
    found = objects(twin, "pods", "/api/v1/")
    return {name: pod for name, pod in found.items() if not pod["spec"].get("hostNetwork")}


def within(cidr: str, other: str) -> bool:
    return ipaddress.IPv4Network(cidr).subnet_of(ipaddress.IPv4Network(other))


def scale(twin: TwinHandle, replicas: int) -> None:
    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": replicas}}, "shop")
    api.close()


def test_the_cluster_obeys(twin: TwinHandle, tmp_path: Path) -> None:
    free = sorted(
        str(ipaddress.ip_network(spec["cidr"])[ordinal]) for spec in blocks(twin) for ordinal in spec["unallocated"]
    )
    # A host goes on with the block after its own, unless all of that is reserved.
    following = [f"{ipaddress.ip_network(spec['cidr']).broadcast_address + 1}/30" for spec in blocks(twin)]
    assert free
    output = play(
        twin,
        tmp_path,
        {"calico_ops.ipam.ip_reservation": {"name": "gateways", "reserved_cidrs": [*free, *following]}},
        {"calico_ops.ipam.ipam_config": {"strict_affinity": True, "max_blocks_per_host": LIMIT}},
    )
    # A host of three blocks of four addresses cannot serve the 110 pods its kubelet would run.
    assert "fewer addresses than 2 nodes may run" in output

    scale(twin, 40)
    with pytest.raises(AssertionError, match="did not settle"):
        twin.settle(60)
    owned = [spec["affinity"] for spec in blocks(twin)]
    assert sorted(owned) == ["host:node-1"] * LIMIT + ["host:node-2"] * LIMIT
    waiting = [name for name, pod in pods(twin).items() if pod["status"]["phase"] == "Pending"]
    assert len(waiting) == len(pods(twin)) - (2 * LIMIT * 4 - 2 - len(free))
    messages = {
        event["message"]
        for event in objects(twin, "events", "/api/v1/").values()
        if f"shop/{event['involvedObject']['name']}" in waiting and event["reason"] == "FailedCreatePodSandBox"
    }
    assert any(f"may not own more than {LIMIT}" in message for message in messages), messages
    reserved = [*free, *following]
    assert not [address for address in allocated(twin) if any(within(address, cidr) for cidr in reserved)]

    play(
        twin,
        tmp_path,
        {"calico_ops.ipam.ipam_config": {"strict_affinity": False, "max_blocks_per_host": 0}},
    )
    twin.settle(600)
    assert all(pod["status"]["phase"] == "Running" for pod in pods(twin).values())
    assert not [address for address in allocated(twin) if any(within(address, cidr) for cidr in reserved)]

    play(twin, tmp_path, {"calico_ops.ipam.ip_reservation": {"name": "gateways", "state": "absent"}})
    scale(twin, 40 + len(free))
    twin.settle(600)
    assert set(free) & allocated(twin)
