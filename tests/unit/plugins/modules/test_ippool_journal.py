# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import this_process
from ansible_collections.calico_ops.ipam.plugins.modules import ippool, ippool_journal, ippool_journal_info

from .module_runner import failure, run_module

DEFAULT = "default-ipv4-ippool"
TARGET = {"name": "temporary", "cidr": "10.0.0.0/16"}
SPARE: dict[str, t.Any] = {"procedure": "change_block_size", "pool": "spare"}
MOVED = {"owner": "Deployment shop/cart", "way": "restart", "pods": 4}
REQUEST: dict[str, t.Any] = {**SPARE, "block_size": 28, "target": TARGET}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", cidr="10.20.0.0/16", node_selector="!all()")
    yield client
    for thing in client.list(CONFIG_MAPS, "kube-system", label_selector="ipam.calico-ops.io/journal").items:
        client.delete(CONFIG_MAPS, thing["metadata"]["name"], "kube-system")
    client.close()


def journal(twin: TwinHandle, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    arguments = {"procedure": "change_block_size", "pool": "spare", "block_size": 28, "target": TARGET, **options}
    return run_module(ippool_journal.main, check=check, kubeconfig=twin.kubeconfig, **arguments)


def phase(twin: TwinHandle, **options: t.Any) -> str:
    arguments = {"procedure": "change_block_size", "pool": "spare", "block_size": 28, "target": TARGET, **options}
    result = run_module(ippool_journal_info.main, kubeconfig=twin.kubeconfig, **arguments)
    assert not result["changed"]
    return str(result["phase"])


def remove(twin: TwinHandle, check: bool = False) -> dict[str, t.Any]:
    arguments = {"state": "absent", "procedure": "change_block_size", "pool": "spare"}
    return run_module(ippool_journal.main, check=check, kubeconfig=twin.kubeconfig, **arguments)


def timeless(shown: dict[str, t.Any]) -> dict[str, t.Any]:
    """A journal without its moments: what is planned in one second is written in the next."""
    return {**shown, "started": "", "phases": list(shown["phases"])}


def test_the_life_of_a_journal(twin: TwinHandle, api: HttpApi) -> None:
    assert phase(twin) == "not_started"
    planned = journal(twin, check=True)
    assert (planned["changed"], planned["phase"]) == (True, "moving_out")
    with pytest.raises(NotFound):
        api.get(CONFIG_MAPS, "calico-ops-ipam-spare", "kube-system")
    written = journal(twin)
    assert written["changed"]
    assert timeless(written["journal"]) == timeless(planned["journal"])
    assert written["journal"]["definition"]["spec"]["nodeSelector"] == "!all()"
    assert not journal(twin)["changed"]
    assert phase(twin) == "moving_out"

    run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", disabled=True)
    again = journal(twin)
    assert again["journal"]["definition"]["spec"]["disabled"] is False
    run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", state="absent")
    assert phase(twin) == "recreate"
    assert list(journal(twin)["journal"]["phases"]) == ["moving_out", "recreate"]
    assert not journal(twin)["changed"]

    definition = again["journal"]["definition"]
    options = {"definition": definition, "block_size": 28, "disabled": False}
    made = run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", **options)
    assert made["pool"]["spec"] == {**definition["spec"], "blockSize": 28}
    assert phase(twin) == "moving_back"

    assert remove(twin, check=True)["changed"]
    assert phase(twin) == "moving_back"
    assert remove(twin)["changed"]
    assert not remove(twin)["changed"]
    assert phase(twin) == "done"
    done = journal(twin)
    assert (done["changed"], done["phase"], done["journal"]) == (False, "done", None)
    run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", state="absent")


def test_another_unfinished_request_for_the_pool_is_refused(twin: TwinHandle, api: HttpApi) -> None:
    journal(twin)
    common = {"kubeconfig": twin.kubeconfig, "pool": "spare", "target": TARGET}
    message = failure(ippool_journal.main, procedure="change_block_size", block_size=27, **common)
    assert "blockSize 28" in message
    assert "blockSize 27" in message
    assert "ConfigMap kube-system/calico-ops-ipam-spare" in message
    assert "move of IPPool 'spare'" in failure(ippool_journal.main, procedure="migrate_pool", **common)
    message = failure(ippool_journal.main, state="absent", procedure="migrate_pool", **common)
    assert "not of migrate_pool" in message


def test_the_only_definition_of_a_deleted_pool_is_not_thrown_away(twin: TwinHandle, api: HttpApi) -> None:
    journal(twin)
    run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", state="absent")
    options = {"state": "absent", "procedure": "change_block_size", "pool": "spare"}
    assert "its only definition" in failure(ippool_journal.main, kubeconfig=twin.kubeconfig, **options)


def test_an_unknown_pool(twin: TwinHandle, api: HttpApi) -> None:
    options = {"procedure": "change_block_size", "pool": "nope", "block_size": 28, "target": TARGET}
    message = failure(ippool_journal.main, kubeconfig=twin.kubeconfig, **options)
    assert message == f"There is no IPPool 'nope'; the pools of this cluster are: {DEFAULT}, spare."


@pytest.mark.parametrize("data", [{}, {"journal.json": "{"}, {"journal.json": json.dumps({"pool": "spare"})}])
def test_a_journal_that_cannot_be_read(twin: TwinHandle, api: HttpApi, data: dict[str, str]) -> None:
    labels = {"ipam.calico-ops.io/journal": "change-block-size"}
    metadata = {"name": "calico-ops-ipam-spare", "namespace": "kube-system", "labels": labels}
    api.create(
        CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, "kube-system"
    )
    options = {"procedure": "change_block_size", "pool": "spare", "block_size": 28, "target": TARGET}
    for main in (ippool_journal.main, ippool_journal_info.main):
        assert "is not a journal" in failure(main, kubeconfig=twin.kubeconfig, **options)
    assert api.get(IP_POOLS, "spare")


def test_a_run_takes_the_lock_writes_under_it_and_gives_it_back(twin: TwinHandle, api: HttpApi) -> None:
    run = journal(twin, run_by=this_process(user="ann").as_dict())["run"]
    assert run.startswith("ann@")
    assert "is held by ann@" in run_module(ippool_journal_info.main, kubeconfig=twin.kubeconfig, **SPARE)["lock"]
    assert run_module(ippool.main, kubeconfig=twin.kubeconfig, name="spare", nat_outgoing=True, run=run)["changed"]
    other = this_process(user="bob", inventory_host="other").as_dict()
    assert "is held by ann@" in failure(ippool_journal.main, kubeconfig=twin.kubeconfig, run_by=other, **REQUEST)
    assert not journal(twin, check=True, run_by=other)["run"]
    message = failure(ippool.main, kubeconfig=twin.kubeconfig, name="spare", nat_outgoing=False, run="bob@there/1")
    assert "not by this run (bob@there/1) any more" in message
    paused = run_module(
        ippool_journal.main, kubeconfig=twin.kubeconfig, state="paused", run=run, moved=[MOVED], **SPARE
    )
    assert (paused["journal"]["moved"], paused["journal"]["moved_pods"]) == ([MOVED], 4)
    assert (paused["changed"], paused["run"], paused["phase"]) == (True, None, "moving_out")
    assert "calico_ops.ipam.change_block_size_rollback -e change_block_size_pool=spare" in paused["advice"]
    assert run_module(ippool_journal_info.main, kubeconfig=twin.kubeconfig, **SPARE)["lock"] == ""
    message = failure(ippool.main, kubeconfig=twin.kubeconfig, name="spare", nat_outgoing=False, run=run)
    assert message.endswith("was removed, so this run writes nothing any more; run the same command again.")


def test_undoing_begins_once_and_keeps_the_procedure_from_going_on(twin: TwinHandle, api: HttpApi) -> None:
    nothing = run_module(ippool_journal.main, kubeconfig=twin.kubeconfig, direction="rollback", **SPARE)
    assert (nothing["changed"], nothing["journal"]) == (False, None)
    journal(twin)
    assert journal(twin, stop_way="node_selector", waivers=["a"])["changed"]
    begun = run_module(ippool_journal.main, kubeconfig=twin.kubeconfig, direction="rollback", **SPARE)
    assert (begun["changed"], begun["phase"], begun["journal"]["stop_way"]) == (True, "undoing", "node_selector")
    assert not run_module(ippool_journal.main, kubeconfig=twin.kubeconfig, direction="rollback", **SPARE)["changed"]
    message = failure(ippool_journal.main, kubeconfig=twin.kubeconfig, **REQUEST)
    assert "is being undone, so it cannot go on: finish undoing it with" in message
    summary = api.get(CONFIG_MAPS, "calico-ops-ipam-spare", "kube-system")["data"]["summary"]
    assert "phase      undoing since " in summary
    assert remove(twin)["changed"]
