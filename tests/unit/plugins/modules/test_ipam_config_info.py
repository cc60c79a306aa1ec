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
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CUSTOM_RESOURCE_DEFINITIONS,
    IPAM_CONFIGS,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ipam_config_info

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        yield handle


def info(twin: TwinHandle) -> dict[str, t.Any]:
    return run_module(ipam_config_info.main, kubeconfig=twin.kubeconfig)


def stored(twin: TwinHandle, spec: t.Any) -> dict[str, t.Any]:
    """The answer while somebody else's object is stored."""
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    thing = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMConfig", "metadata": {"name": "default"}}
    client.create(IPAM_CONFIGS, thing if spec is None else {**thing, "spec": spec})
    try:
        return info(twin)
    finally:
        client.delete(IPAM_CONFIGS, "default")
        client.close()


def test_without_an_object_the_defaults_hold(twin: TwinHandle) -> None:
    found = info(twin)
    assert (found["exists"], found["block_limit"], found["problems"], found["changed"]) == (False, 20, [], False)
    assert set(found["sources"].values()) == {"default"}
    assert found["settings"] == {
        "strictAffinity": False,
        "autoAllocateBlocks": True,
        "maxBlocksPerHost": 0,
        "kubeVirtVMAddressPersistence": "Enabled",
        "ipCooldownSeconds": 0,
    }


def test_where_each_setting_comes_from(twin: TwinHandle) -> None:
    found = stored(twin, {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 3})
    assert found["sources"] == {
        "strictAffinity": "stored",
        "autoAllocateBlocks": "stored",
        "maxBlocksPerHost": "stored",
        "kubeVirtVMAddressPersistence": "default",
        "ipCooldownSeconds": "default",
    }
    assert (found["exists"], found["block_limit"], found["problems"]) == (True, 3, [])


def test_an_object_without_spec_turns_block_allocation_off(twin: TwinHandle) -> None:
    found = stored(twin, None)
    assert found["settings"]["autoAllocateBlocks"] is False
    assert (found["sources"]["autoAllocateBlocks"], found["sources"]["strictAffinity"]) == ("missing", "default")
    assert len(found["problems"]) == 1
    assert "without autoAllocateBlocks, which Calico reads as false: no host gets a new block" in found["problems"][0]
    assert found["problems"][0] in str(found["warnings"])


def test_settings_that_calicos_client_refuses_to_write(twin: TwinHandle) -> None:
    found = stored(twin, {"strictAffinity": False, "autoAllocateBlocks": False, "maxBlocksPerHost": 3})
    assert ["both false" in found["problems"][0], "does not borrow" in found["problems"][1]] == [True, True]


def test_a_cluster_without_calico(twin: TwinHandle) -> None:
    """Comes last: nothing brings the kind back."""
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    client.delete(CUSTOM_RESOURCE_DEFINITIONS, f"ippools.{CALICO_V1}")
    client.close()
    message = failure(ipam_config_info.main, kubeconfig=twin.kubeconfig)
    assert "does not serve ippools.crd.projectcalico.org" in message
