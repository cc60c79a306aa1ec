# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ippool, ippool_info

from .module_runner import ModuleFailed, failure, run_module

DEFAULT = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    yield client
    client.close()


def pool(twin: TwinHandle, name: str, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ippool.main, check=check, kubeconfig=twin.kubeconfig, name=name, **options)


def stored(api: HttpApi) -> dict[str, t.Any]:
    return {thing["metadata"]["name"]: thing for thing in api.list(IP_POOLS).items}


def test_the_life_of_a_pool(twin: TwinHandle, api: HttpApi) -> None:
    wanted = {"cidr": "10.7.0.0/16", "block_size": 28, "nat_outgoing": True, "labels": {"team": "red"}}
    planned = pool(twin, "life", check=True, **wanted)
    assert planned["changed"]
    assert "life" not in stored(api)
    made = pool(twin, "life", **wanted)
    assert made["changed"]
    assert (made["pool"], made["diff"], made["steps"]) == (planned["pool"], planned["diff"], planned["steps"])
    assert stored(api)["life"]["spec"]["blockSize"] == 28
    assert not pool(twin, "life", **wanted)["changed"]

    planned = pool(twin, "life", check=True, disabled=True)
    changed = pool(twin, "life", disabled=True)
    assert changed["diff"] == planned["diff"]
    assert "disabled: true" in changed["diff"]["after"]
    assert stored(api)["life"]["spec"]["natOutgoing"] is True
    assert not pool(twin, "life", disabled=True)["changed"]

    planned = pool(twin, "life", check=True, state="absent")
    assert "life" in stored(api)
    gone = pool(twin, "life", state="absent")
    assert gone["diff"] == planned["diff"]
    assert gone["steps"] == planned["steps"]
    assert gone["pool"] is None
    assert "life" not in stored(api)
    assert not pool(twin, "life", state="absent")["changed"]


def test_calicos_spelling_is_an_alias(twin: TwinHandle) -> None:
    made = pool(twin, "alias", check=True, cidr="10.8.0.0/16", blockSize=27, vxlanMode="CrossSubnet", natOutgoing=True)
    spec = made["pool"]["spec"]
    assert (spec["blockSize"], spec["vxlanMode"], spec["natOutgoing"]) == (27, "CrossSubnet", True)


def test_a_definition_as_kubectl_prints_it(twin: TwinHandle, api: HttpApi) -> None:
    definition = stored(api)[DEFAULT]
    assert not pool(twin, DEFAULT, definition=definition)["changed"]
    copied = pool(twin, "copy", check=True, definition={"spec": definition["spec"]}, cidr="10.9.0.0/16")
    assert copied["pool"]["spec"] == {**pool(twin, DEFAULT)["pool"]["spec"], "cidr": "10.9.0.0/16"}


def test_labels_are_changed_where_calico_keeps_them(twin: TwinHandle, api: HttpApi) -> None:
    packed = json.dumps({"labels": {"team": "red"}, "creationTimestamp": "2026-08-20T09:00:00Z"})
    api.create(
        IP_POOLS,
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": "packed", "annotations": {"projectcalico.org/metadata": packed}},
            "spec": {"cidr": "10.10.0.0/16", "disabled": True},
        },
    )
    assert pool(twin, "packed")["pool"]["labels"] == {"team": "red"}
    changed = pool(twin, "packed", labels={"team": "blue"})
    assert changed["pool"]["labels"] == {"team": "blue"}
    inside = json.loads(stored(api)["packed"]["metadata"]["annotations"]["projectcalico.org/metadata"])
    assert inside == {"labels": {"team": "blue"}, "creationTimestamp": "2026-08-20T09:00:00Z"}
    assert not pool(twin, "packed", labels={"team": "blue"})["changed"]
    pool(twin, "packed", state="absent")


def test_a_write_that_lost_the_race_is_decided_again(twin: TwinHandle, api: HttpApi) -> None:
    pool(twin, "race", cidr="10.11.0.0/16")
    twin.inject({"verb": "patch", "resource": "ippools", "code": 409, "count": 2})
    assert pool(twin, "race", disabled=True)["changed"]
    assert stored(api)["race"]["spec"]["disabled"] is True
    twin.inject({"verb": "patch", "resource": "ippools", "code": 409, "count": 5})
    message = failure(ippool.main, kubeconfig=twin.kubeconfig, name="race", disabled=False)
    assert "was changed by someone else 5 times" in message
    pool(twin, "race", state="absent")


def test_a_write_whose_answer_was_lost_counts_as_a_change(twin: TwinHandle, api: HttpApi) -> None:
    twin.inject({"verb": "create", "resource": "ippools", "drop": "after", "count": 1})
    assert pool(twin, "lost", cidr="10.15.0.0/16")["changed"]
    assert "lost" in stored(api)
    pool(twin, "lost", state="absent")


WRONG_NEW = [
    ({"cidr": "192.168.4.0/22"}, DEFAULT),
    ({"cidr": "10.0.0.0/16", "block_size": 19}, "20 to 32"),
    ({"cidr": "10.0.0.0/16", "block_size": 33}, "20 to 32"),
    ({"cidr": "10.0.0.0/28", "block_size": 26}, "smaller than one block"),
    ({"cidr": "fd00:10::/64", "ipip_mode": "Always"}, "IPv6"),
    ({"cidr": "10.0.0.0/16", "node_selector": 'rack = "7"'}, "position 5"),
    ({"cidr": "10.0.0.0/16", "namespace_selector": "has(x)"}, "allowedUses"),
    ({"cidr": "10.0.0.0"}, "10.0.0.0"),
    ({"cidr": "10.0.0.1/16"}, "host bits"),
    ({"cidr": "10.0.0.0/16", "ipip_mode": "Always", "vxlan_mode": "Always"}, "ipipMode"),
    ({"cidr": "10.0.0.0/16", "labels": {"a b": "c"}}, "a b"),
    ({"disabled": True}, "must be given"),
]
WRONG_CHANGES = [
    ({"cidr": "10.0.0.0/16"}, "calico_ops.ipam.migrate_pool"),
    ({"block_size": 28}, "calico_ops.ipam.change_block_size"),
    ({"node_selector": "has("}, "position"),
    ({"vxlan_mode": "Always"}, "ipipMode"),
]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        *[("wrong", options, words) for options, words in WRONG_NEW],
        *[(DEFAULT, options, words) for options, words in WRONG_CHANGES],
    ],
)
def test_wrong_input_is_one_sentence_and_writes_nothing(
    twin: TwinHandle, api: HttpApi, name: str, options: dict[str, t.Any], words: str
) -> None:
    before = stored(api)
    for check in (True, False):
        assert words in failure(ippool.main, check=check, kubeconfig=twin.kubeconfig, name=name, **options)
    assert stored(api) == before


def test_a_bad_name_is_refused(twin: TwinHandle) -> None:
    assert "Bad_Name" in failure(ippool.main, kubeconfig=twin.kubeconfig, name="Bad_Name", cidr="10.0.0.0/16")


def test_blocks_of_another_size_left_behind_are_in_the_way(twin: TwinHandle, api: HttpApi) -> None:
    block = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPAMBlock",
        "metadata": {"name": "10-12-0-64-26"},
        "spec": {
            "cidr": "10.12.0.64/26",
            "allocations": [None] * 64,
            "attributes": [],
            "unallocated": list(range(64)),
            "strictAffinity": False,
        },
    }
    api.create(IPAM_BLOCKS, block)
    message = failure(ippool.main, kubeconfig=twin.kubeconfig, name="left", cidr="10.12.0.0/16", block_size=28)
    assert "10.12.0.64/26" in message
    assert pool(twin, "left", check=True, cidr="10.12.0.0/16", block_size=26)["changed"]
    api.delete(IPAM_BLOCKS, "10-12-0-64-26")


def test_affinities_of_another_size_left_behind_are_in_the_way(twin: TwinHandle, api: HttpApi) -> None:
    name = "node-1-10-12-0-64-26"
    row = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "BlockAffinity",
        "metadata": {"name": name},
        "spec": {"cidr": "10.12.0.64/26", "node": "node-1", "state": "confirmed", "deleted": "false"},
    }
    api.create(BLOCK_AFFINITIES, row)
    for check in (True, False):
        options = {"name": "left", "cidr": "10.12.0.0/16", "block_size": 28}
        message = failure(ippool.main, check=check, kubeconfig=twin.kubeconfig, **options)
        assert f"{name} (10.12.0.64/26 of node node-1)" in message
    assert "left" not in stored(api)
    assert pool(twin, "left", check=True, cidr="10.12.0.0/16", block_size=26)["changed"]
    api.delete(BLOCK_AFFINITIES, name)


def test_a_pool_in_use_is_not_deleted_and_its_holders_are_named(twin: TwinHandle, api: HttpApi) -> None:
    pool(twin, "other", cidr="10.13.0.0/16")
    with pytest.raises(ModuleFailed) as caught:
        pool(twin, DEFAULT, state="absent")
    result = caught.value.result
    assert "still has 6 addresses in use" in result["msg"]
    assert "pod shop/db-0 on" in result["msg"]
    assert {holder["kind"] for holder in result["details"]["holders"]} == {"pod"}
    assert "disabled" not in stored(api)[DEFAULT]["spec"]
    pool(twin, "other", state="absent")


def test_the_last_pool_is_not_deleted(twin: TwinHandle) -> None:
    message = failure(ippool.main, kubeconfig=twin.kubeconfig, name=DEFAULT, state="absent")
    assert message.startswith(f"IPPool '{DEFAULT}' cannot be deleted: no other enabled IPv4 pool is left")


def test_tunnel_addresses_are_waited_for(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", speed=20) as own:
        own.settle()
        client = connect(ConnectionOptions(kubeconfig=own.kubeconfig))
        pool(own, "other", cidr="10.14.0.0/16", ipip_mode="Always", nat_outgoing=True)
        pool(own, DEFAULT, disabled=True)
        own.settle()
        pods = [pod for pod in client.list(PODS).items if not pod["spec"].get("hostNetwork")]
        for pod in pods:
            client.delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])
        own.settle()
        # The tunnel addresses go back into the pool that is now to be deleted; it is enabled again for that.
        pool(own, DEFAULT, disabled=False)
        pool(own, "other", disabled=True)
        own.settle()
        assert any("ipip-tunnel-addr" in handle["spec"]["handleID"] for handle in client.list(IPAM_HANDLES).items)
        pods_there = [entry for entry in client.list(PODS).items if not entry["spec"].get("hostNetwork")]
        assert pods_there
        pool(own, "other", disabled=False)
        gone = pool(own, DEFAULT, state="absent", timeout=60)
        assert [step["action"] for step in gone["steps"]] == ["update", "wait", "release", "delete"]
        assert DEFAULT not in stored(client)
        left = [*client.list(IPAM_BLOCKS).items, *client.list(BLOCK_AFFINITIES).items]
        assert [thing for thing in left if thing["spec"]["cidr"].startswith("192.168.")] == []
        client.close()


def test_no_cluster_there() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    message = failure(ippool.main, host=f"https://127.0.0.1:{port}", name="x", cidr="10.0.0.0/16")
    assert str(port) in message


def test_a_wrong_token(twin: TwinHandle) -> None:
    with open(twin.kubeconfig, encoding="utf-8") as stream:
        config = yaml.safe_load(stream)
    message = failure(
        ippool.main,
        host=config["clusters"][0]["cluster"]["server"],
        api_key="nonsense",
        validate_certs=False,
        name="x",
        cidr="10.0.0.0/16",
    )
    assert "401" in message or "token" in message
    assert "nonsense" not in message


def test_a_user_who_may_only_read(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", speed=50, rbac=True) as own:
        own.settle()
        reader = f"{own.kubeconfig}.reader"
        options = {"name": "x", "cidr": "10.0.0.0/16"}
        assert run_module(ippool.main, check=True, kubeconfig=reader, **options)["changed"]
        message = failure(ippool.main, kubeconfig=reader, **options)
        assert "ippools" in message
        assert "reader" in message or "may not" in message or "forbidden" in message
        message = failure(ippool.main, kubeconfig=reader, name=DEFAULT, nat_outgoing=False)
        assert "ippools" in message
        client = connect(ConnectionOptions(kubeconfig=own.kubeconfig))
        assert set(stored(client)) == {DEFAULT}
        client.close()


@pytest.mark.parametrize("text", ["{", "clusters: [", "just text", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text, encoding="utf-8")
    assert str(path) in failure(ippool.main, kubeconfig=str(path), name="x", cidr="10.0.0.0/16")


def test_a_kubeconfig_that_does_not_exist(tmp_path: Path) -> None:
    path = str(tmp_path / "nowhere")
    assert path in failure(ippool.main, kubeconfig=path, name="x", cidr="10.0.0.0/16")


def test_a_cluster_without_calico(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", speed=50) as own:
        client = connect(ConnectionOptions(kubeconfig=own.kubeconfig))
        for thing in client.list(CUSTOM_RESOURCE_DEFINITIONS).items:
            if thing["metadata"]["name"] == f"ippools.{CALICO_V1}":
                client.delete(CUSTOM_RESOURCE_DEFINITIONS, thing["metadata"]["name"])
        message = failure(ippool.main, kubeconfig=own.kubeconfig, name="x", cidr="10.0.0.0/16")
        assert "does not serve ippools.crd.projectcalico.org" in message
        client.close()


@pytest.mark.parametrize("installation", ["crd_v3", "apiserver"])
def test_the_life_of_a_pool_elsewhere(tmp_path: Path, installation: str) -> None:
    """Over HTTPS, with real watches; what each installation does with pools is tested in virtual time."""
    with start_twin(tmp_path, "small", speed=50, installation=installation) as own:
        own.settle()
        wanted = {"cidr": "10.7.0.0/16", "block_size": 28, "labels": {"team": "red"}}
        planned = pool(own, "life", check=True, **wanted)
        made = pool(own, "life", **wanted)
        assert (made["diff"], made["where"]) == (planned["diff"], "IPPool life")
        assert not pool(own, "life", **wanted)["changed"]
        assert pool(own, "life", disabled=True)["pool"]["spec"]["disabled"] is True
        assert pool(own, "life", disabled=False)["changed"]
        shown = run_module(ippool_info.main, kubeconfig=own.kubeconfig, name="life")
        assert shown["mode"] == installation
        (found,) = shown["pools"]
        assert (found["owner"], found["where"], found["terminating"]) == (None, "IPPool life", False)
        told = [(each["type"], each["status"]) for each in found["conditions"]]
        assert told == ([("Allocatable", "True")] if installation == "crd_v3" else [])
        message = failure(ippool.main, kubeconfig=own.kubeconfig, name=DEFAULT, state="absent")
        assert "addresses in use, so it cannot be deleted" in message
        assert pool(own, "life", state="absent")["changed"]
        assert not pool(own, "life", state="absent")["changed"]


def test_what_the_cluster_has_to_say_to_a_new_pool(twin: TwinHandle) -> None:
    made = pool(twin, "odd", check=True, cidr="198.51.100.0/24")
    assert made["changed"]
    told = " ".join(str(each) for each in made.get("warnings", []))
    assert "a range for documentation" in told
