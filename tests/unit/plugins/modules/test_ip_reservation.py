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
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_RESERVATIONS,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ip_reservation

from .module_runner import ModuleFailed, failure, run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    yield client
    for thing in client.list(IP_RESERVATIONS).items:
        client.delete(IP_RESERVATIONS, thing["metadata"]["name"])
    client.close()


def reserve(twin: TwinHandle, name: str, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ip_reservation.main, check=check, kubeconfig=twin.kubeconfig, name=name, **options)


def stored(api: HttpApi) -> dict[str, t.Any]:
    return {thing["metadata"]["name"]: thing["spec"]["reservedCIDRs"] for thing in api.list(IP_RESERVATIONS).items}


def warnings(result: dict[str, t.Any]) -> str:
    return " ".join(str(warning) for warning in result.get("warnings", []))


def test_the_life_of_a_reservation(twin: TwinHandle, api: HttpApi) -> None:
    wanted = {"reserved_cidrs": ["192.168.255.0/30", "192.168.254.7", "192.168.255.0/30"]}
    canonical = ["192.168.255.0/30", "192.168.254.7/32"]
    planned = reserve(twin, "rack", check=True, **wanted)
    assert stored(api) == {}
    made = reserve(twin, "rack", **wanted)
    assert made == planned
    assert made["changed"]
    assert warnings(made) == ""
    assert made["reservation"] == {"name": "rack", "spec": {"reservedCIDRs": canonical}}
    assert stored(api) == {"rack": canonical}
    assert not reserve(twin, "rack", reservedCIDRs=list(reversed(canonical)))["changed"]

    planned = reserve(twin, "rack", check=True, cidrs=["192.168.255.0/30"])
    changed = reserve(twin, "rack", cidrs=["192.168.255.0/30"])
    assert changed["diff"] == planned["diff"]
    assert "192.168.254.7/32" in changed["diff"]["before"]
    assert "192.168.254.7/32" not in changed["diff"]["after"]
    assert stored(api) == {"rack": ["192.168.255.0/30"]}

    planned = reserve(twin, "rack", check=True, state="absent")
    assert stored(api) != {}
    gone = reserve(twin, "rack", state="absent")
    assert gone == planned
    assert gone["reservation"] is None
    assert stored(api) == {}
    assert not reserve(twin, "rack", state="absent")["changed"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reserved_cidrs": []}, "reserved_cidrs is empty"),
        ({"reserved_cidrs": ["192.168.0.0/30", "192.168.0.9/30"]}, "reserved_cidrs[1] '192.168.0.9/30' has host bits"),
        ({"reserved_cidrs": ["192.168.0.9/30"]}, "192.168.0.8/30"),
        ({"reserved_cidrs": ["192.168.0.0/33"]}, "no usable prefix length"),
        ({"reserved_cidrs": ["gateway"]}, "reserved_cidrs[0] 'gateway' does not parse"),
        ({"reserved_cidrs": ["::ffff:192.0.2.0/120"]}, "IPv4-mapped"),
        ({"reserved_cidrs": [""]}, "does not parse"),
        ({"name": "Rack_1", "reserved_cidrs": ["192.168.0.0/30"]}, "'Rack_1' is no name for a reservation"),
    ],
)
def test_wrong_input_is_one_sentence(twin: TwinHandle, api: HttpApi, options: dict[str, t.Any], words: str) -> None:
    for check in (True, False):
        message = failure(ip_reservation.main, check=check, kubeconfig=twin.kubeconfig, **{"name": "rack", **options})
        assert words in message
    assert stored(api) == {}


def test_the_ranges_must_be_given(twin: TwinHandle) -> None:
    with pytest.raises(ModuleFailed, match="reserved_cidrs"):
        reserve(twin, "rack")


def test_what_surprises_is_a_warning(twin: TwinHandle, api: HttpApi) -> None:
    everything = reserve(twin, "all", check=True, cidrs=["192.168.0.0/16", "10.0.0.0/24"])
    said = warnings(everything)
    assert "10.0.0.0/24 lies in no pool" in said
    assert "Every address of pool default-ipv4-ippool (192.168.0.0/16) is reserved" in said
    assert "8 reserved addresses are in use (6 pod, 2 tunnel): existing allocations stay" in said
    assert "pod shop/" in said


def test_the_same_in_another_spelling_is_left_alone(twin: TwinHandle, api: HttpApi) -> None:
    thing = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPReservation", "metadata": {"name": "by-hand"}}
    api.create(IP_RESERVATIONS, {**thing, "spec": {"reservedCIDRs": ["192.168.255.5/30"]}})
    assert not reserve(twin, "by-hand", cidrs=["192.168.255.4/30"])["changed"]
    assert reserve(twin, "by-hand", cidrs=["192.168.255.4/31"])["changed"]


def test_a_write_that_lost_the_race_is_decided_again(twin: TwinHandle, api: HttpApi) -> None:
    reserve(twin, "race", cidrs=["192.168.255.0/30"])
    twin.inject({"verb": "update", "resource": "ipreservations", "code": 409, "count": 2})
    assert reserve(twin, "race", cidrs=["192.168.255.0/31"])["changed"]
    assert stored(api)["race"] == ["192.168.255.0/31"]
    twin.inject({"verb": "update", "resource": "ipreservations", "code": 409, "count": 5})
    message = failure(ip_reservation.main, kubeconfig=twin.kubeconfig, name="race", cidrs=["192.168.255.0/32"])
    assert "was changed by someone else 5 times" in message
    twin.inject({"verb": "create", "resource": "ipreservations", "drop": "after", "count": 1})
    assert reserve(twin, "lost", cidrs=["192.168.255.0/31"])["changed"]
    assert "lost" in stored(api)


def test_a_calico_that_has_no_reservations(twin: TwinHandle) -> None:
    """Comes last: nothing brings the kind back."""
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    client.delete(CUSTOM_RESOURCE_DEFINITIONS, f"ipreservations.{CALICO_V1}")
    client.close()
    message = failure(ip_reservation.main, kubeconfig=twin.kubeconfig, name="x", cidrs=["192.168.255.0/30"])
    assert "does not serve ipreservations.crd.projectcalico.org" in message
    assert not reserve(twin, "x", state="absent")["changed"]
