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
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_RESERVATIONS, IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.modules import ip_reservation, ip_reservation_info, ipam_config

from .module_runner import run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        client = connect(ConnectionOptions(kubeconfig=handle.kubeconfig))
        for name, cidrs in (
            ("b-all", ["192.168.0.0/16", "192.168.7.0/24", "10.0.0.1/32"]),
            ("a-far", ["fd00::5/126"]),
        ):
            thing = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPReservation", "metadata": {"name": name}}
            client.create(IP_RESERVATIONS, {**thing, "spec": {"reservedCIDRs": cidrs}})
        client.close()
        yield handle


def test_what_is_reserved(twin: TwinHandle) -> None:
    found = run_module(ip_reservation_info.main, kubeconfig=twin.kubeconfig)
    assert not found["changed"]
    far, everything = found["reservations"]
    assert far == {
        "name": "a-far",
        "spec": {"reservedCIDRs": ["fd00::5/126"]},
        "addresses": 4,
        "in_use": 0,
        "pools": [],
        "ignored": [],
    }
    assert (everything["name"], everything["addresses"]) == ("b-all", 65537)
    assert (everything["in_use"], everything["pools"]) == (8, ["default-ipv4-ippool"])


def test_one_by_name(twin: TwinHandle) -> None:
    for name, count in (("a-far", 1), ("nobody", 0)):
        assert len(run_module(ip_reservation_info.main, kubeconfig=twin.kubeconfig, name=name)["reservations"]) == count


def test_a_damaged_block_is_named_and_left_out(twin: TwinHandle) -> None:
    spec = {"cidr": "192.168.77.0/30", "allocations": [-1, None, None, 7], "unallocated": [1, 9], "attributes": []}
    block = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock", "metadata": {"name": "192-168-77-0-30"}}
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    client.create(IPAM_BLOCKS, {**block, "spec": {**spec, "strictAffinity": False}})
    client.close()
    runs: list[tuple[t.Any, dict[str, t.Any]]] = [
        (ip_reservation_info, {}),
        (ip_reservation, {"name": "x", "reserved_cidrs": ["192.168.77.0/30"]}),
        (ipam_config, {"strict_affinity": True}),
    ]
    for module, options in runs:
        found = run_module(module.main, check=True, kubeconfig=twin.kubeconfig, **options)
        assert "192-168-77-0-30" in str(found["warnings"])
