# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, PODS
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_drain

from .module_runner import ModuleFailed, failure, run_module

DEFAULT = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    """The small cluster with a second pool and a bare pod."""
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=20) as handle:
        api = connect(ConnectionOptions(kubeconfig=handle.kubeconfig))
        pool = {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": "new"},
            "spec": {"cidr": "10.0.0.0/16", "blockSize": 26, "nodeSelector": "all()", "disabled": True},
        }
        api.create(IP_POOLS, pool)
        debug = {"metadata": {"name": "debug"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
        api.create(PODS, {"apiVersion": "v1", "kind": "Pod", **debug}, "shop")
        handle.settle()
        api.patch(IP_POOLS, "new", {"spec": {"disabled": False}})
        api.close()
        yield handle


def drain(twin: TwinHandle, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ippool_drain.main, check=check, kubeconfig=twin.kubeconfig, pool=DEFAULT, **options)


def test_the_life_of_a_drain(twin: TwinHandle, tmp_path: Path) -> None:
    plan = drain(twin, check=True)
    assert (plan["changed"], plan["moved"]) == (True, 6)
    assert {entry["owner"]: entry["way"] for entry in plan["workloads"]} == {
        "Deployment kube-system/calico-kube-controllers": "restart",
        "Deployment shop/web": "restart",
        "StatefulSet shop/db": "restart",
    }
    message = failure(ippool_drain.main, kubeconfig=twin.kubeconfig, pool=DEFAULT)
    assert message.startswith(f"IPPool '{DEFAULT}' is enabled, so restarted pods would get addresses of it again")

    api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    api.patch(IP_POOLS, DEFAULT, {"spec": {"disabled": True}})
    api.close()
    progress = tmp_path / "progress"
    result = drain(twin, on_blocked="report", progress_file=str(progress))
    assert (result["changed"], result["moved"]) == (True, 6)
    assert [entry["pod"] for entry in result["left"]] == ["debug"]
    assert result["diff"]["before"].splitlines()[0].startswith("kube-system/calico-kube-controllers-")
    assert result["diff"]["after"] == "shop/debug\n"
    lines = progress.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("moved 0/7 · ")
    assert lines[-1].startswith("moved 6/7 in ")
    assert lines[-1].endswith(" s · 1 left")

    again = drain(twin, on_blocked="report")
    assert (again["changed"], again["moved"], len(again["left"])) == (False, 0, 1)
    with pytest.raises(ModuleFailed) as failed:
        drain(twin)
    assert failed.value.result["msg"].startswith(f"IPPool '{DEFAULT}' is not drained after")
    assert failed.value.result["details"]["left"] == again["left"]


def test_a_pool_that_is_gone(twin: TwinHandle) -> None:
    result = run_module(ippool_drain.main, kubeconfig=twin.kubeconfig, pool="gone")
    assert (result["changed"], result["left"], result["workloads"]) == (False, [], [])


def test_no_cluster() -> None:
    message = failure(ippool_drain.main, host="https://127.0.0.1:1", api_key="hush", pool="x")
    assert message.startswith("No Kubernetes API server answers at 127.0.0.1:1 (connection refused)")
