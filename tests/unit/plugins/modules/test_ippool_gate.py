# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module around the gates; what each gate decides is in tests/system/test_gates.py."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_gate

from .module_runner import failure, run_module

DEFAULT = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=20) as handle:
        yield handle


def test_from_the_first_gate_to_the_last(twin: TwinHandle, tmp_path: Path) -> None:
    def gate(name: str, pool: str = DEFAULT, **options: t.Any) -> dict[str, t.Any]:
        return run_module(ippool_gate.main, kubeconfig=twin.kubeconfig, gate=name, pool=pool, **options)

    def refused(name: str, pool: str = DEFAULT, **options: t.Any) -> str:
        return failure(ippool_gate.main, kubeconfig=twin.kubeconfig, gate=name, pool=pool, **options)

    assert "no other enabled IPv4 pool is left" in refused("before_disable")
    spec = {"cidr": "10.0.0.0/16", "blockSize": 26, "nodeSelector": "all()", "ipipMode": "Always"}
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "new"}, "spec": spec}
    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    assert gate("before_create", "new", cidr="10.0.0.0/16")["leftovers"] == []
    api.create(IP_POOLS, body)
    assert len(gate("after_create", "new")["blocks"]) == 2
    before = gate("before_disable", target="new")
    assert (before["changed"], before["stop_way"], len(before["tunnels"])) == (False, "disabled", 2)
    assert "gives out addresses" in refused("after_disable", tunnels=before["tunnels"])
    api.patch(IP_POOLS, DEFAULT, {"spec": {"disabled": True}})
    progress = tmp_path / "progress"
    after = gate("after_disable", tunnels=before["tunnels"], since=before["taken"], progress_file=str(progress))
    assert {each["address"].partition(".")[0] for each in after["tunnels"]} == {"10"}
    assert progress.read_text(encoding="utf-8").splitlines()[-1].endswith("2 of 2 tunnel addresses are out of it")
    assert "is still in use and must not be deleted: 6 pod(s)" in refused("before_delete")
    api.patch(IP_POOLS, "new", {"spec": {"disabled": True}})
    api.close()
    assert gate("closed", "new")["changes"] == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gate": "after_disable", "since": "noon"}, "since: 'noon' is no time"),
        (
            {"gate": "after_disable", "tunnels": [{"node": "a", "type": "rope", "address": "10.0.0.1"}]},
            "tunnels: each needs node, type",
        ),
        ({"gate": "before_create", "cidr": "10.0.0.1/16"}, "10.0.0.1/16"),
        ({"gate": "before_disable", "target": "none"}, "There is no IPPool 'none'"),
        ({"gate": "before_disable", "pool": "none"}, "There is no IPPool 'none'"),
    ],
)
def test_bad_input(twin: TwinHandle, options: dict[str, t.Any], sentence: str) -> None:
    message = failure(ippool_gate.main, kubeconfig=twin.kubeconfig, **{"pool": DEFAULT, **options})
    assert sentence in message


def test_no_cluster() -> None:
    message = failure(ippool_gate.main, host="https://127.0.0.1:1", api_key="hush", gate="closed", pool="x")
    assert message.startswith("No Kubernetes API server answers at 127.0.0.1:1 (connection refused)")
