# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guides to fleets and filters, followed: two clusters that are, and one that is not."""

from __future__ import annotations

import os
import re
import typing as t
from pathlib import Path

import pytest
import yaml
from cluster_state import CALICO, objects
from guide_reader import Block, Reader, blocks
from twin_fixture import TwinHandle, start_twin

POOL = {"cidr": "10.0.80.0/20", "blockSize": 28}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, TwinHandle]]:
    base = tmp_path_factory.mktemp("fleet")
    for name in ("lab", "paris"):
        (base / name).mkdir()
    with (
        start_twin(base / "lab", "small", speed=40) as lab,
        start_twin(base / "paris", "small", speed=40, seed=7, installation="crd_v3") as paris,
    ):
        yield {"lab": lab, "paris": paris}


def test_fleets(twins: dict[str, TwinHandle], tmp_path: Path) -> None:
    (tmp_path / "clusters").mkdir()
    for name, twin in twins.items():
        (tmp_path / f"clusters/{name}.conf").write_text(Path(twin.kubeconfig).read_text(encoding="utf-8"))
    gone = yaml.safe_load(Path(twins["lab"].kubeconfig).read_text(encoding="utf-8"))
    gone["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "clusters/oslo.conf").write_text(yaml.safe_dump(gone), encoding="utf-8")
    reader = Reader(tmp_path, str(tmp_path / "nobody"))

    fleet, look, table, etcd, rome, pools, roll_out, change = blocks("docs/guides/fleets.md")
    for block in (fleet, etcd, rome):
        reader.follow(block)
    # One of them is gone, which the exit code says, too.
    output = reader.follow(look, code=2)
    assert "are the same cluster" not in output
    graph, report = output.split("PLAY [", 1)
    members: dict[str, list[str]] = {}
    for line in graph.splitlines():
        group, host = re.match(r"  \|--@(\w+):", line), re.match(r"  \|  \|--(\w+)$", line)
        if group:
            members[group.group(1)] = []
        elif host:
            members[list(members)[-1]].append(host.group(1))
    assert {name: sorted(hosts) for name, hosts in members.items() if "version" not in name} == {
        "ungrouped": [],
        "clusters": ["lab", "oslo", "paris"],
        "reachable_clusters": ["lab", "paris"],
        "unreachable_clusters": ["oslo"],
        "calico_mode_crd_v1": ["lab"],
        "calico_mode_crd_v3": ["paris"],
        "canary": ["lab"],
    }
    # The guide's table, line by line as it is on the terminal, with the figures of these clusters.
    shown = report.split("TASK [Show the fleet]")[1].split("ok: [")[0].splitlines()[1:]
    lines = [line.removeprefix("    ") for line in shown]
    header, *rows = lines[:4]
    assert header.split() == table.text.splitlines()[0].split()
    for line, (name, mode) in zip(rows, (("lab", "crd_v1"), ("oslo", "no figures"), ("paris", "crd_v3"))):
        assert line.startswith(name) and line[header.index("INSTALLATION") :].startswith(mode)
        assert line[header.index("FINDINGS") :] == ("-" if name == "oslo" else "none")
    assert lines[5].startswith("3 clusters, 2 of them with figures; ")
    assert lines[7:9] == ["NO FIGURES  WHY", next(line for line in lines if "No Kubernetes API server answers" in line)]
    assert re.search(r"fatal: \[oslo\]: FAILED! .*No Kubernetes API server answers at 127.0.0.1:1", report)
    if os.environ.get("CALICO_OPS_NIGHTLY"):
        reader.follow(Block("shell", f"{look.text.splitlines()[-1]} -e calico_ops_require_answers=false"))

    reader.follow(pools)
    reader.follow(roll_out)
    output = reader.follow(change)
    # The canary is done and looked at before anybody else begins.
    found = re.findall(r"^(changed|ok): \[(\w+)\]", output, re.MULTILINE)
    assert [host for what, host in found if what == "changed"] == ["lab", "paris"]
    looked = output.index("TASK [It has no errors and can be changed]")
    assert output.index("changed: [lab]") < looked < output.index(": [paris]")
    assert "[oslo]" not in output
    for name, twin in twins.items():
        group = CALICO if name == "lab" else "/apis/projectcalico.org/v3/"
        spec = objects(twin, "ippools", group)["tenants"]["spec"]
        assert {key: spec[key] for key in POOL} == POOL


def test_none_after_the_first_that_fails(twins: dict[str, TwinHandle], tmp_path: Path) -> None:
    """``serial`` and ``max_fail_percentage``: the dead one comes first."""
    (tmp_path / "clusters").mkdir()
    dead = yaml.safe_load(Path(twins["lab"].kubeconfig).read_text(encoding="utf-8"))
    dead["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "clusters/a.conf").write_text(yaml.safe_dump(dead), encoding="utf-8")
    (tmp_path / "clusters/b.conf").write_text(Path(twins["paris"].kubeconfig).read_text(encoding="utf-8"))
    (tmp_path / "my-fleet.yml").write_text(
        "plugin: calico_ops.ipam.kubeconfig\nkubeconfig: [clusters/*.conf]\n", encoding="utf-8"
    )
    (tmp_path / "pools.yml").write_text(
        "declare_pools_list: [{name: late, cidr: 10.0.96.0/20, block_size: 26}]\n", encoding="utf-8"
    )
    reader = Reader(tmp_path, str(tmp_path / "nobody"))
    command = (
        "ansible-playbook -i my-fleet.yml calico_ops.ipam.declare_pools -e @pools.yml -e calico_ops_hosts=clusters"
    )
    with pytest.raises(AssertionError, match="127.0.0.1:1"):
        reader.follow(Block("shell", command))
    assert "late" not in objects(twins["paris"], "ippools", "/apis/projectcalico.org/v3/")


def test_filters(twins: dict[str, TwinHandle], tmp_path: Path) -> None:
    play, run = blocks("docs/guides/filters.md")
    reader = Reader(tmp_path, twins["lab"].kubeconfig)
    reader.follow(play)
    output = reader.follow(run)
    assert "10.64.0.0/18 fits 40 nodes with blockSize 24 25 26 27 28 29" in output
    assert "blockSize 24: 64 blocks, enough for 64 nodes" in output
    assert "default-ipv4-ippool supports 512 nodes" in output
    assert "kubectl get ipamblocks.crd.projectcalico.org 192-168-3-64-26" in output
    assert '"10.64.0.0/30"' in output and '"10.64.32.0/25"' in output
