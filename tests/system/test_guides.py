# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides do what they say: their files are written and their commands run, in order, each guide on its own twin.

``guide_reader.py`` says what following means. Blocks of a page are unpacked by number, so one that is added is noticed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from cluster_state import CALICO, block_size_was_changed, nobody_noticed, objects
from etcd_fixture import small_with_etcd, start_etcd
from guide_reader import Block, Reader, blocks
from kubespray_lab import became_root, scenario, write_inventory, write_roles
from leaks import leak, leave_behind
from playbook import run_and_kill
from twin_fixture import TwinHandle, local_twin, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

ROOT = Path(__file__).parents[2]
GUIDES = sorted(path.stem for path in (ROOT / "docs/guides").glob("*.md"))
OLD = "default-ipv4-ippool"


@pytest.fixture
def twin(tmp_path: Path) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path, "tutorial", speed=40) as handle:
        yield handle


@pytest.fixture
def reader(twin: TwinHandle, tmp_path: Path) -> Reader:
    return Reader(tmp_path, twin.kubeconfig)


def pools(twin: TwinHandle) -> dict[str, t.Any]:
    return {name: item["spec"] for name, item in objects(twin, "ippools", CALICO).items()}


def journals(twin: TwinHandle) -> list[str]:
    return [name for name in objects(twin, "configmaps", "/api/v1/") if "/calico-ops-" in name]


def test_every_guide_is_followed() -> None:
    """By a test that names it, here or beside what it is about."""
    tests = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
    to_do = [name for name in GUIDES if any(block.language != "text" for block in blocks(f"docs/guides/{name}.md"))]
    assert [name for name in to_do if f"docs/guides/{name}.md" not in tests] == []


def test_readme_and_preflight(twin: TwinHandle, reader: Reader) -> None:
    page = [block for block in blocks("README.md") if block.language == "shell"]
    # The first block is make's own: `make demo` is this very procedure on a twin, `make test` runs this file.
    assert [line.split()[:2] for line in page[0].text.splitlines()] == [["make", "demo"], ["make", "test"]]
    assert len(page) == 2
    before = pools(twin)
    output = reader.follow(page[1])
    assert OLD in output
    assert "would restart Deployment shop/cart" in output
    for block in blocks("docs/guides/preflight.md"):
        output = reader.follow(block)
    assert "confirmed host-settings" in output
    assert "recommended: a new name and range" in output
    # The same question for more nodes: a guide whose one command is no more than this.
    for block in blocks("docs/guides/block_size.md"):
        output = reader.follow(block)
    assert "full nodes" in output
    assert pools(twin) == before
    assert journals(twin) == []


def test_change_block_size(twin: TwinHandle, reader: Reader) -> None:
    before = pools(twin)[OLD]
    *procedure, undo = blocks("docs/guides/change_block_size.md")
    shown = "".join(reader.follow(block) for block in procedure)
    moved = [line for line in shown.splitlines() if "moved " in line]
    assert len(moved) > 10 and any("moved 0/" not in line for line in moved)
    block_size_was_changed(twin, before, 28)
    nobody_noticed(twin)
    wanted = yaml.safe_load((reader.directory / "my-change.yml").read_text(encoding="utf-8"))
    stopped = run_and_kill(
        "change_block_size",
        Path(twin.kubeconfig),
        {**wanted, "change_block_size_block_size": 29},
        "Step 3 | Move the pods to the temporary pool",
        1.0,
    )
    assert stopped.code != 0
    assert journals(twin) == [f"kube-system/calico-ops-ipam-{OLD}"]
    assert pools(twin)[OLD]["disabled"] is True
    look, summary, same = blocks("docs/guides/interrupted.md")
    assert same == undo
    output = reader.follow(look)
    assert '"phase": "moving_out"' in output and "-e change_block_size_block_size=29" in output
    data = objects(twin, "configmaps", "/api/v1/")[journals(twin)[0]]["data"]
    assert [line.split()[0] for line in data["summary"].splitlines()] == [
        line.split()[0] for line in summary.text.splitlines()
    ]
    assert "is gone, so this run takes over" in " ".join(reader.follow(undo).split())
    assert {name: spec["blockSize"] for name, spec in pools(twin).items()} == {OLD: 28}
    assert not pools(twin)[OLD].get("disabled")
    assert journals(twin) == []
    nobody_noticed(twin)


def test_migrate_pool(twin: TwinHandle, reader: Reader) -> None:
    for block in blocks("docs/guides/migrate_pool.md"):
        reader.follow(block)
    assert {name: spec["cidr"] for name, spec in pools(twin).items()} == {"new-pool": "10.0.0.0/18"}
    nobody_noticed(twin)
    # The page of the run, which the rollback that found nothing to undo has left alone.
    report = json.loads((reader.directory / f"reports/{OLD}.json").read_text(encoding="utf-8"))
    assert [(each["over"], each["direction"]) for each in report["procedures"]] == [(True, "forward")]
    assert {row["owner"] for row in report["procedures"][0]["moved"]} >= {"Deployment shop/cart"}
    assert [(pool["name"], pool["after"] is None) for pool in report["change"]["pools"]] == [
        (OLD, True),
        ("new-pool", False),
    ]
    assert len(report["change"]["moves"]) == report["change"]["addresses"]["new"] > 0
    written = {path.name for path in (reader.directory / "reports").iterdir()}
    assert written == {f"{OLD}{end}" for end in ("-before.json", ".html", ".json", ".md")}


@pytest.mark.timeout(1800)
def test_kubespray(tmp_path: Path) -> None:
    """In a checkout of Kubespray, of which nothing is needed but the roles for defaults."""
    with start_twin(tmp_path, scenario(), speed=40) as twin:
        write_inventory(tmp_path, twin.kubeconfig)
        write_roles(tmp_path / "roles")
        # What two proofs wait for in between has tests of its own.
        soak = tmp_path / "inventory/mycluster/group_vars/k8s_cluster/soak.yml"
        soak.write_text("migrate_pool_soak: 1\n", encoding="utf-8")
        reader = Reader(tmp_path, "/nonexistent")
        reader.environment["ANSIBLE_BECOME_ALLOW_SAME_USER"] = "true"
        target, drift, report, look, migrate, inventory, finish, undo, resize, check, more, declare, _site = blocks(
            "docs/guides/kubespray.md"
        )
        reader.follow(target)
        assert "DRIFT       none" in reader.follow(drift)
        before = printed_variables(reader.follow(look))
        output = reader.follow(migrate)
        assert before == printed_variables(output)
        assert pools(twin)["default-pool"]["disabled"] is True
        # The guide's block is the printed one.
        assert yaml.safe_load(inventory.text) == printed_variables(output)
        # The Ansible host did the work, and not as root, although the inventory says so for all hosts.
        assert became_root(tmp_path) == {"node1", "node2"}
        if not os.environ.get("CALICO_OPS_NIGHTLY"):
            # The rest takes as long again.
            return
        reader.follow(undo)
        assert {name: spec["cidr"] for name, spec in pools(twin).items()} == {"default-pool": "10.234.0.0/18"}
        reader.follow(migrate)
        reader.follow(inventory)
        reader.follow(report)
        assert (tmp_path / "pools.html").stat().st_size > 10_000
        assert "The inventory describes the pools; nothing has to be changed in it." in reader.follow(finish)
        assert {name: spec["cidr"] for name, spec in pools(twin).items()} == {"default-pool-2": "10.234.64.0/18"}
        assert journals(twin) == []
        reader.follow(resize)
        assert "calico_pool_blocksize: 24  # changed" in reader.follow(check)
        assert pools(twin)["default-pool-2"]["blockSize"] == 26
        reader.follow(more)
        reader.follow(declare)
        assert sorted(pools(twin)) == ["default-pool-2", "rack", "tenants"]
        labels = {
            name: node["metadata"]["labels"].get("rack") for name, node in objects(twin, "nodes", "/api/v1/").items()
        }
        assert labels == {"node-1": None, "node-2": "r1"}
        record = twin.record()
        assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])


def printed_variables(output: str) -> dict[str, t.Any]:
    """The last block of variables on the terminal."""
    lines = output.splitlines()
    start = max(index for index, line in enumerate(lines) if line.startswith("    calico_pool_name:"))
    end = next(index for index in range(start, len(lines)) if not lines[index].startswith("    "))
    return t.cast("dict[str, t.Any]", yaml.safe_load("\n".join(lines[start:end])))


def test_declare_pools(twin: TwinHandle, reader: Reader) -> None:
    for block in blocks("docs/guides/declare_pools.md"):
        reader.follow(block)
    assert sorted(pools(twin)) == [OLD, "rack-1", "tenants"]
    assert pools(twin)["tenants"]["assignmentMode"] == "Manual"


def test_choose_pools(twin: TwinHandle, reader: Reader) -> None:
    files, by_namespace, by_workload, more_files, by_node, pinned, undo_file, undo = blocks(
        "docs/guides/choose_pools.md"
    )
    reader.follow(files)
    output = reader.follow(by_namespace)
    assert "Asked for by annotation cni.projectcalico.org/ipv4pools of the namespace" in output
    assert "running pods of Namespace shop have addresses of other pools" in " ".join(output.split())
    annotations = {
        name: item["metadata"].get("annotations", {}).get("cni.projectcalico.org/ipv4pools")
        for name, item in objects(twin, "namespaces", "/api/v1/").items()
    }
    assert annotations["shop"] == '["10.0.240.0/26"]'
    assert "replaces its" in reader.follow(by_workload)
    reader.follow(more_files)
    assert "batch-pool, default-ipv4-ippool" in reader.follow(by_node)
    output = reader.follow(pinned)
    assert '"how": "annotation cni.projectcalico.org/ipv4pools"' in output
    reader.follow(undo_file)
    reader.follow(undo)
    assert sorted(pools(twin)) == [OLD]
    assert not [item for item in objects(twin, "nodes", "/api/v1/").values() if "purpose" in item["metadata"]["labels"]]


def test_settings_and_reservations(twin: TwinHandle, reader: Reader) -> None:
    files, commands, mend, undo = blocks("docs/guides/settings_and_reservations.md")
    reader.follow(files)
    output = reader.follow(commands)
    assert '"strictAffinity": "stored"' in output
    config = objects(twin, "ipamconfigs", CALICO)["default"]
    assert config["spec"] == {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4}
    reservations = objects(twin, "ipreservations", CALICO)
    assert len(reservations) == 1
    reserved = reservations.popitem()[1]
    assert reserved["spec"]["reservedCIDRs"] == ["192.168.0.0/30", "192.168.255.254/31"]
    assert '"changed": false' in reader.follow(mend), "nothing is broken here; tests of the module break it"
    reader.follow(undo)
    assert objects(twin, "ipreservations", CALICO) == {}
    config = objects(twin, "ipamconfigs", CALICO)["default"]
    assert config["spec"]["strictAffinity"] is False


def test_audit(twin: TwinHandle, reader: Reader) -> None:
    show, files, run = blocks("docs/guides/audit.md")
    output = reader.follow(show)
    assert "FINDINGS    none" in output
    assert "calicoctl ipam check would count 0 problems" in output
    reader.follow(files)
    assert "failed=0" in reader.follow(run)


def test_release_leaked(twin: TwinHandle, reader: Reader) -> None:
    """With leaks of every sort, and an interval that nobody has to sit out."""
    # The twin's own collector would be faster than the reader.
    twin.ask("/twin/v1/clock", {"speed": 1})
    leak(twin, "192.168.200.1", "gone", "worker-1")
    tunnel = {"node": "worker-9", "type": "vxlanTunnelAddress"}
    leak(twin, "192.168.200.7", "", "worker-1", handle="vxlan-tunnel-addr-worker-9", attributes=tunnel)
    leave_behind(twin, ("worker-1", "worker-2"))

    def here(block: Block) -> Block:
        text = re.sub(r"interval(=|: )300", r"interval\g<1>1", block.text)
        return Block(block.language, text.replace("cidr: 10.9.0.0/24", "cidr: 10.9.0.0/24\n        settle: 0"))

    def leaked() -> list[str]:
        blocks = objects(twin, "ipamblocks", CALICO).values()
        handles = [each.get("handle_id") or "" for block in blocks for each in block["spec"]["attributes"]]
        return sorted(handle for handle in handles if handle.endswith((".gone", "-worker-9")))

    see, release, play, tunnels, range_play, clean = map(here, blocks("docs/guides/release_leaked.md"))
    output = reader.follow(see)
    assert "would release 192.168.200.1, pod shop/gone on worker-1: its pod is gone" in output
    assert "kept 192.168.200.7: it is of kind tunnel, which is released only when it is named" in output
    assert "calico-kube-controllers is ready and releases" in output
    assert leaked() == ["k8s-pod-network.gone", "vxlan-tunnel-addr-worker-9"]
    assert "1 of 1 addresses released" in reader.follow(release)
    assert leaked() == ["vxlan-tunnel-addr-worker-9"]
    reader.follow(play)
    assert "1 of 1 addresses released" in reader.follow(tunnels)
    assert leaked() == []
    reader.follow(range_play)
    assert "taking away 2 blocks and 2 affinities" in reader.follow(clean)
    for plural in ("ipamblocks", "blockaffinities"):
        assert not [item for item in objects(twin, plural, CALICO).values() if item["spec"]["cidr"][:5] == "10.9."]


def test_etcd(tmp_path: Path) -> None:
    """With an etcd of the test's own, behind TLS, in the place of the guide's; calico-node is told to use an etcd."""
    install, play, run, by_environment = blocks("docs/guides/etcd.md")[:4]
    directory = tmp_path / "etcd"
    directory.mkdir()
    with start_etcd(directory, tls=True) as server, start_twin(tmp_path, small_with_etcd()) as twin:
        reader = Reader(tmp_path, twin.kubeconfig)
        reader.follow(install)
        server.put_resource("clusterinformations", "ClusterInformation", "default", {"datastoreReady": True})

        def here(block: Block) -> Block:
            text = re.sub(r"https://10.0.0.1:2379,( ?)https://10.0.0.2:2379", server.url, block.text)
            files = (("ca", "ca.pem"), ("cert", "client.pem"), ("key", "client.key"))
            for name, file in files:
                text = text.replace(f"/etc/calico/{name}.pem", str(directory / file))
            return Block(block.language, text)

        reader.follow(here(play))
        assert "failed=0" in reader.follow(run)
        output = reader.follow(here(by_environment))
        assert "rack-gateways" in output
        assert "198.51.100.0/31" in output
        assert objects(twin, "ipreservations", CALICO) == {}


@pytest.mark.skipif(not os.environ.get("CALICO_OPS_NIGHTLY"), reason="CALICO_OPS_NIGHTLY is not set")
def test_etcd_with_roles(tmp_path: Path) -> None:
    """The role with the options of the guide. ``test_etcd.py`` has it with the variables, and the twin's commands."""
    _by_variables, play, _rehearse = blocks("docs/guides/etcd.md")[4:]
    with start_twin(tmp_path, "small", speed=50, installation="etcd") as twin:
        text = re.sub(r"\[https://10.0.0.1:2379, https://10.0.0.2:2379\]", str(twin.etcd_endpoints), play.text)
        lines = [line for line in text.splitlines() if "/etc/calico/" not in line]
        reader = Reader(tmp_path, twin.kubeconfig)
        reader.follow(Block("yaml", "\n".join(lines)))
        assert "failed=0" in reader.follow(Block("shell", "ansible-playbook migrate.yml"))
        twin.settle()
        pods = [pod for pod in objects(twin, "pods", "/api/v1/").values() if not pod["spec"].get("hostNetwork")]
        assert len(pods) > 5 and all(pod["status"]["podIP"].startswith("10.20.") for pod in pods)
        record = twin.record()
        assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])


def test_installations(reader: Reader) -> None:
    show, play, run = blocks("docs/guides/installations.md")
    output = reader.follow(show)
    assert '"mode": "crd_v1"' in output
    assert '"supported": true' in output
    reader.follow(play)
    output = reader.follow(run)
    assert "mode is crd_v1: the API lists crd.projectcalico.org/v1" in output
    assert "failed=0" in output


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_rights(tmp_path: Path) -> None:
    """What the roles grant has tests of its own; here they are given to somebody."""
    with start_twin(tmp_path, "small", speed=40, rbac=True) as twin:
        reader = Reader(tmp_path, twin.kubeconfig)
        reader.environment["HOME"] = str(tmp_path)
        collections = tmp_path / ".ansible/collections/ansible_collections/calico_ops"
        collections.mkdir(parents=True)
        (collections / "ipam").symlink_to(ROOT)
        file, give, *_sentences = blocks("docs/guides/rights.md")
        reader.follow(file)
        assert reader.follow(give).count("created") == 5
        rules = Block(
            "shell", "kubectl auth can-i create pods/eviction --as=system:serviceaccount:kube-system:block-size"
        )
        assert reader.follow(rules).strip() == "yes"


def test_twin(tmp_path: Path) -> None:
    """The two ways to start one, a scenario, and what only the twin has."""
    data = tmp_path / "my-twin"

    def here(block: Block) -> Block:
        # The guide's directory may be somebody's own.
        return Block(block.language, block.text.replace("/tmp/my-twin", str(data)))

    playbook, play, by_hand, by_hand_v3, scenario, fault = map(here, blocks("docs/guides/twin.md"))
    reader = Reader(tmp_path, str(data / "kubeconfig"))
    try:
        reader.follow(playbook)
        assert "failed=0" in reader.follow(play)
        state = process.running(data)
        assert state is not None
        assert process.ask(state, "/twin/v1/faults", json.loads(fault.text))
        # All the table's GETs answer; POSTs have tests of their own.
        guide = (ROOT / "docs/guides/twin.md").read_text(encoding="utf-8")
        for name in re.findall(r"^\| `GET (\w+)`", guide, re.MULTILINE):
            assert process.ask(state, f"/twin/v1/{name}")
    finally:
        process.stop(data)

    # These commands run until they are stopped, so they cannot be followed as the others are.
    log = tmp_path / "log"
    for command in (by_hand, by_hand_v3):
        with log.open("w") as stream:
            server = subprocess.Popen(
                command.text.split(), env=reader.environment, stdout=subprocess.PIPE, stderr=stream, text=True
            )
        try:
            assert server.stdout is not None
            assert "export KUBECONFIG=" in server.stdout.readline(), log.read_text()
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=20)

    path = tmp_path / "two-racks.yml"
    path.write_text(scenario.text, encoding="utf-8")
    cluster = local_twin(path)
    try:
        assert cluster.scenario.name == "two-racks"
    finally:
        cluster.close()
