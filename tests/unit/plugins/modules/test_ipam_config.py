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

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IPAM_CONFIGS
from ansible_collections.calico_ops.ipam.plugins.modules import ipam_config, ipam_config_info

from .module_runner import ModuleFailed, failure, run_module

DEFAULTS = {
    "strictAffinity": False,
    "autoAllocateBlocks": True,
    "maxBlocksPerHost": 0,
    "kubeVirtVMAddressPersistence": "Enabled",
    "ipCooldownSeconds": 0,
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    forget(client)
    yield client
    forget(client)
    client.close()


def forget(client: HttpApi) -> None:
    for thing in client.list(IPAM_CONFIGS).items:
        client.delete(IPAM_CONFIGS, thing["metadata"]["name"])


def store(client: HttpApi, spec: t.Any) -> None:
    """As somebody else wrote it."""
    parts = {} if spec is None else {"spec": spec}
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMConfig", "metadata": {"name": "default"}, **parts}
    client.create(IPAM_CONFIGS, body)


def spec(client: HttpApi) -> t.Any:
    return client.get(IPAM_CONFIGS, "default").get("spec")


def config(twin: TwinHandle, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ipam_config.main, check=check, kubeconfig=twin.kubeconfig, **options)


def info(twin: TwinHandle) -> dict[str, t.Any]:
    return run_module(ipam_config_info.main, kubeconfig=twin.kubeconfig)


def test_only_what_is_given_changes(twin: TwinHandle, api: HttpApi) -> None:
    wanted = {"strict_affinity": True, "max_blocks_per_host": 4}
    planned = config(twin, check=True, **wanted)
    assert planned["changed"]
    with pytest.raises(NotFound):
        api.get(IPAM_CONFIGS, "default")
    made = config(twin, **wanted)
    assert {**made, "warnings": 0} == {**planned, "warnings": 0}
    assert made["settings"] == {**DEFAULTS, "strictAffinity": True, "maxBlocksPerHost": 4}
    assert [step["action"] for step in made["steps"]] == ["create"]
    assert spec(api) == {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4}
    assert not config(twin, **wanted)["changed"]

    planned = config(twin, check=True, maxBlocksPerHost=6)
    changed = config(twin, maxBlocksPerHost=6)
    assert (changed["diff"], changed["steps"]) == (planned["diff"], planned["steps"])
    assert "maxBlocksPerHost: 4" in changed["diff"]["before"]
    assert "maxBlocksPerHost: 6" in changed["diff"]["after"]
    assert changed["steps"][0]["undo"] == "set back maxBlocksPerHost 4"
    assert spec(api) == {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 6}


def test_nothing_is_written_for_the_defaults(twin: TwinHandle, api: HttpApi) -> None:
    same = config(twin, strict_affinity=False, auto_allocate_blocks=True, ip_cooldown_seconds=0)
    assert (same["changed"], same["exists"], same["settings"]) == (False, False, DEFAULTS)


def test_an_object_without_spec_is_mended(twin: TwinHandle, api: HttpApi) -> None:
    store(api, None)
    assert info(twin)["problems"]
    message = failure(ipam_config.main, kubeconfig=twin.kubeconfig, strict_affinity=False)
    assert "autoAllocateBlocks false needs strictAffinity true" in message
    message = failure(ipam_config.main, kubeconfig=twin.kubeconfig, ip_cooldown_seconds=1)
    assert message.endswith("This autoAllocateBlocks is what is stored now: give auto_allocate_blocks as well.")
    assert spec(api) is None
    assert config(twin, autoAllocateBlocks=True)["changed"]
    assert spec(api) == {"strictAffinity": False, "autoAllocateBlocks": True}
    assert info(twin)["problems"] == []


def test_members_of_others_survive(twin: TwinHandle, api: HttpApi) -> None:
    store(api, {**DEFAULTS, "kubeVirtVMAddressPersistence": "Disabled"})
    config(twin, ip_cooldown_seconds=5)
    assert spec(api) == {**DEFAULTS, "kubeVirtVMAddressPersistence": "Disabled", "ipCooldownSeconds": 5}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auto_allocate_blocks": False}, "autoAllocateBlocks false needs strictAffinity true"),
        ({"max_blocks_per_host": 2}, "maxBlocksPerHost 2 needs strictAffinity true"),
        ({"max_blocks_per_host": -1, "strict_affinity": True}, "negative"),
        ({"max_blocks_per_host": 1 << 31, "strict_affinity": True}, "out of range"),
        ({"ip_cooldown_seconds": 1201}, "0 to 1200"),
    ],
)
def test_calicos_rules(twin: TwinHandle, api: HttpApi, options: dict[str, t.Any], words: str) -> None:
    for check in (True, False):
        assert words in failure(ipam_config.main, check=check, kubeconfig=twin.kubeconfig, **options)
    assert api.list(IPAM_CONFIGS).items == []


def test_something_must_be_given(twin: TwinHandle) -> None:
    with pytest.raises(ModuleFailed, match="one of the following is required: strict_affinity"):
        config(twin)


def test_what_surprises_is_a_warning(twin: TwinHandle, api: HttpApi) -> None:
    warned = config(twin, check=True, strict_affinity=True, auto_allocate_blocks=False)["warnings"]
    assert any("pods stay pending once the blocks of their node are full" in str(warning) for warning in warned)


def test_a_write_that_lost_the_race_is_decided_again(twin: TwinHandle, api: HttpApi) -> None:
    store(api, DEFAULTS)
    twin.inject({"verb": "update", "resource": "ipamconfigs", "code": 409, "count": 2})
    assert config(twin, strict_affinity=True)["changed"]
    assert spec(api)["strictAffinity"] is True
    twin.inject({"verb": "update", "resource": "ipamconfigs", "code": 409, "count": 5})
    message = failure(ipam_config.main, kubeconfig=twin.kubeconfig, strict_affinity=False)
    assert "changed by someone else 5 times" in message
    twin.inject({"verb": "update", "resource": "ipamconfigs", "drop": "after", "count": 1})
    lost = config(twin, strict_affinity=False)
    assert lost["changed"]
    assert spec(api)["strictAffinity"] is False


def test_a_user_who_may_only_read(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", speed=50, rbac=True) as own:
        reader = f"{own.kubeconfig}.reader"
        assert run_module(ipam_config.main, check=True, kubeconfig=reader, strict_affinity=True)["changed"]
        assert "ipamconfigs" in failure(ipam_config.main, kubeconfig=reader, strict_affinity=True)
