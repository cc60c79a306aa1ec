# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The twin as a user has it: a process, started and stopped by the module, killed by nobody's fault."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from playbook import BIN, environment
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, DEPLOYMENTS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V3


@pytest.fixture
def small(tmp_path: Path) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path, "small", speed=50) as handle:
        yield handle


def config_map(name: str) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}}


def test_the_tutorial_cluster_serves_complete(tmp_path: Path) -> None:
    with start_twin(tmp_path, "tutorial") as twin:
        api = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
        pods = api.list(PODS).items
        assert all(pod["status"]["phase"] == "Running" for pod in pods)
        own = [pod["status"]["podIP"] for pod in pods if not pod["spec"].get("hostNetwork")]
        assert len(set(own)) == len(own) > 35
        assert twin.record()["violations"] == []


def test_what_was_acknowledged_survives_kill_9(small: TwinHandle) -> None:
    api = connect(ConnectionOptions(kubeconfig=small.kubeconfig))
    names = [f"written-{number}" for number in range(20)]
    for name in names:
        api.create(CONFIG_MAPS, config_map(name), "shop")
    then = small.ask("/twin/v1/clock")["now"]
    small.kill()
    assert not process.is_running(small.data_dir)
    small.restart()
    api = connect(ConnectionOptions(kubeconfig=small.kubeconfig))
    assert set(names) <= {item["metadata"]["name"] for item in api.list(CONFIG_MAPS, "shop").items}
    assert small.ask("/twin/v1/clock")["now"] >= then
    small.settle()


def test_a_rollout_cut_by_kill_9_is_finished_by_the_next_process(small: TwinHandle) -> None:
    api = connect(ConnectionOptions(kubeconfig=small.kubeconfig))
    patch = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
    before = {pod["metadata"]["uid"] for pod in api.list(PODS, "shop", label_selector="app=web").items}
    api.patch(DEPLOYMENTS, "web", patch, "shop", patch_type="strategic")
    small.kill()
    small.restart()
    small.settle()
    api = connect(ConnectionOptions(kubeconfig=small.kubeconfig))
    pods = api.list(PODS, "shop", label_selector="app=web").items
    assert len(pods) == 3
    assert not before & {pod["metadata"]["uid"] for pod in pods}
    addresses = [pod["status"]["podIP"] for pod in api.list(PODS).items if not pod["spec"].get("hostNetwork")]
    assert len(set(addresses)) == len(addresses)


def test_injected_faults_reach_the_client_and_not_the_controllers(small: TwinHandle) -> None:
    small.inject({"verb": "create", "resource": "configmaps", "code": 500, "count": 3})
    api = connect(ConnectionOptions(kubeconfig=small.kubeconfig))
    api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, "shop")
    small.settle()
    with pytest.raises(Exception, match="injected"):
        api.create(CONFIG_MAPS, config_map("one"), "shop")
    assert small.faults()[0]["hits"] >= 1


def test_a_reader_may_look_and_not_touch(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", rbac=True) as twin:
        reader = connect(ConnectionOptions(kubeconfig=twin.kubeconfig + ".reader"))
        assert reader.list(PODS, "shop").items
        with pytest.raises(Forbidden, match='User "reader" cannot create resource "configmaps"'):
            reader.create(CONFIG_MAPS, config_map("one"), "shop")
        for kubeconfig in (twin.kubeconfig, twin.kubeconfig + ".certificate"):
            admin = connect(ConnectionOptions(kubeconfig=kubeconfig))
            admin.create(CONFIG_MAPS, config_map(f"by-{Path(kubeconfig).suffix[1:] or 'token'}"), "shop")


def test_a_watch_sees_what_the_cluster_does(small: TwinHandle) -> None:
    api = connect(ConnectionOptions(kubeconfig=small.kubeconfig))
    listing = api.list(PODS, "shop", label_selector="app=web")
    api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, "shop")
    seen = []
    for event in api.watch(
        PODS, "shop", resource_version=listing.resource_version, label_selector="app=web", timeout_seconds=30
    ):
        conditions = (event.object.get("status") or {}).get("conditions") or []
        seen.append((event.type, any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)))
        if seen[-1][1]:
            break
    assert seen[0] == ("ADDED", False)
    assert seen[-1] == ("MODIFIED", True)


def run_module(tmp_path: Path, *extra: str, **options: t.Any) -> dict[str, t.Any]:
    """One task with the module, as JSON."""
    arguments = json.dumps({"data_dir": str(tmp_path / "data"), "scenario": "small", "speed": 50, **options})
    done = subprocess.run(
        [str(BIN / "ansible"), "localhost", "-m", "calico_ops.ipam.twin", "-a", arguments, *extra],
        env=dict(
            environment(),
            ANSIBLE_LOAD_CALLBACK_PLUGINS="1",
            ANSIBLE_STDOUT_CALLBACK="ansible.builtin.minimal",
            ANSIBLE_CALLBACK_RESULT_FORMAT="json",
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    _before, arrow, result = done.stdout.rpartition(" => ")
    if not arrow:
        raise AssertionError(done.stdout + done.stderr)
    return t.cast("dict[str, t.Any]", json.loads(result))


def test_the_module_starts_and_stops_a_twin_that_outlives_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    try:
        would = run_module(tmp_path, "--check")
        assert would["changed"] is True and not process.is_running(data)
        started = run_module(tmp_path)
        assert started["changed"] is True
        assert Path(started["kubeconfig"]).is_file()
        assert started["record"]["violations"] == []
        os.kill(started["pid"], 0)
        again = run_module(tmp_path)
        assert (again["changed"], again["pid"], again["url"]) == (False, started["pid"], started["url"])
        other = run_module(tmp_path, speed=10)
        assert "speed 50 instead of 10" in other["msg"]
        assert run_module(tmp_path, "--check", state="stopped")["changed"] is True
        assert process.is_running(data)
        assert run_module(tmp_path, state="stopped")["changed"] is True
        assert not process.is_running(data)
        assert run_module(tmp_path, state="stopped")["changed"] is False
    finally:
        process.stop(data)


def test_the_module_starts_a_cluster_with_v3_crds(tmp_path: Path) -> None:
    data = tmp_path / "data"
    try:
        started = run_module(tmp_path, installation="crd_v3")
        api = connect(ConnectionOptions(kubeconfig=started["kubeconfig"]))
        (pool,) = api.list(CRD_V3.pools).items
        assert [(each["status"], each["reason"]) for each in pool["status"]["conditions"]] == [("True", "OK")]
        assert api.list(CRD_V3.blocks).items
        # What the directory holds needs not be said again, and cannot be said otherwise.
        assert run_module(tmp_path)["changed"] is False
        assert "installation crd_v3 instead of crd_v1" in run_module(tmp_path, installation="crd_v1")["msg"]
        process.stop(data)
        assert "holds installation crd_v3, not crd_v1" in run_module(tmp_path, installation="crd_v1")["msg"]
    finally:
        process.stop(data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scenario": "nowhere"}, "There is no scenario"),
        ({"speed": 0}, "speed is 0"),
        ({"port": 99999}, "port is 99999"),
        ({"installation": "kubeadm"}, "installation"),
        ({"state": "running"}, "state"),
    ],
)
def test_wrong_options_get_one_sentence(tmp_path: Path, options: dict[str, t.Any], words: str) -> None:
    answer = run_module(tmp_path, **options)
    assert words in answer["msg"] and "\n" not in answer["msg"]
    assert not process.is_running(tmp_path / "data")
