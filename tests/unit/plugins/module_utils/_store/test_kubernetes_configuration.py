# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on the wire: settings and reservations of both groups (spec ipam-engine.md §2.2, §2.5)."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord, NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes_configuration import (
    KubernetesConfiguration,
)

from .conftest import FakeApi

SPEC = {
    "strictAffinity": True,
    "autoAllocateBlocks": True,
    "maxBlocksPerHost": 4,
    "kubeVirtVMAddressPersistence": "Enabled",
    "ipCooldownSeconds": 30,
}
KINDS = {
    CALICO_V1: ("crd.projectcalico.org/v1", "ipamconfigs", "IPAMConfig"),
    CALICO_V3: ("projectcalico.org/v3", "ipamconfigurations", "IPAMConfiguration"),
}


def config(api: FakeApi, group: str, spec: t.Any) -> Object:
    """Store settings as somebody else wrote them; without a spec when it is None."""
    version, plural, kind = KINDS[group]
    thing: Object = {"apiVersion": version, "kind": kind, "metadata": {"name": "default", "resourceVersion": "7"}}
    if spec is not None:
        thing["spec"] = spec
    api.objects[(group, plural)] = {"default": thing}
    return copy.deepcopy(thing)


def stored(api: FakeApi, group: str) -> Object:
    return api.objects[(group, KINDS[group][1])]["default"]


@pytest.mark.parametrize("group", [CALICO_V1, CALICO_V3])
def test_the_worked_example_survives_a_change(api: FakeApi, group: str) -> None:
    before = config(api, group, {**SPEC, "later": {"x": 1}})
    before["metadata"]["annotations"] = {"projectcalico.org/metadata": "{}"}
    api.objects[(group, KINDS[group][1])]["default"] = copy.deepcopy(before)
    records = KubernetesConfiguration(api, group)
    read = records.get_settings()
    assert read.value == Settings(True, True, 4, "Enabled", 30)
    assert read.value.unset == frozenset()
    records.update_settings(read, replace(read.value, cooldown_seconds=0))
    after = stored(api, group)
    assert after["spec"] == {**SPEC, "later": {"x": 1}, "ipCooldownSeconds": 0}
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]
    records.update_settings(records.get_settings(), read.value)
    assert {**stored(api, group), "metadata": before["metadata"]} == before


@pytest.mark.parametrize("group", [CALICO_V1, CALICO_V3])
def test_both_booleans_are_written_and_defaults_stay_away(api: FakeApi, group: str) -> None:
    records = KubernetesConfiguration(api, group)
    records.create_settings(Settings(strict_affinity=True, max_blocks_per_host=2))
    thing = stored(api, group)
    assert (thing["apiVersion"], thing["kind"], thing["metadata"]["name"]) == (
        KINDS[group][0],
        KINDS[group][2],
        "default",
    )
    assert thing["spec"] == {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 2}
    records.update_settings(records.get_settings(), Settings())
    assert stored(api, group)["spec"] == {"strictAffinity": False, "autoAllocateBlocks": True, "maxBlocksPerHost": 0}


@pytest.mark.parametrize(
    ("group", "spec", "read"),
    [
        (CALICO_V1, None, Settings(False, False)),
        (CALICO_V1, {}, Settings(False, False)),
        (CALICO_V1, {"strictAffinity": True}, Settings(True, False)),
        (CALICO_V1, {"autoAllocateBlocks": True}, Settings(False, True)),
        (CALICO_V3, {}, Settings(False, True)),
        (CALICO_V3, {"autoAllocateBlocks": False, "strictAffinity": True}, Settings(True, False)),
    ],
)
def test_members_that_are_missing(api: FakeApi, group: str, spec: t.Any, read: Settings) -> None:
    config(api, group, spec)
    records = KubernetesConfiguration(api, group)
    found = records.get_settings()
    assert found.value == read
    assert found.value.unset == set(SPEC) - set(spec or {})
    records.update_settings(found, Settings())
    # A write that changes nothing leaves the object as it was read.
    both = {"strictAffinity": False, "autoAllocateBlocks": True}
    assert stored(api, group)["spec"] == (spec if read == Settings() else both)
    assert records.get_settings().value == Settings()


def test_a_reservation_on_the_wire(api: FakeApi) -> None:
    records = KubernetesConfiguration(api, CALICO_V3)
    records.create_reservation(Reservation("rack-gateways", ("10.77.4.0/32", "10.77.4.252/30")))
    thing = api.objects[(CALICO_V3, "ipreservations")]["rack-gateways"]
    assert (thing["apiVersion"], thing["kind"]) == ("projectcalico.org/v3", "IPReservation")
    assert thing["spec"] == {"reservedCIDRs": ["10.77.4.0/32", "10.77.4.252/30"]}
    thing["spec"]["later"] = 1
    thing["metadata"]["labels"] = {"team": "red"}
    records.update_reservation(records.get_reservation("rack-gateways"), Reservation("rack-gateways", ("fd00::/122",)))
    after = api.objects[(CALICO_V3, "ipreservations")]["rack-gateways"]
    assert after["spec"] == {"reservedCIDRs": ["fd00::/122"], "later": 1}
    assert after["metadata"]["labels"] == {"team": "red"}


@pytest.mark.parametrize("spec", [None, {}, {"reservedCIDRs": None}])
def test_a_reservation_of_nothing(api: FakeApi, spec: t.Any) -> None:
    api.objects[(CALICO_V1, "ipreservations")] = {"x": {"metadata": {"name": "x"}, "spec": spec}}
    assert KubernetesConfiguration(api).get_reservation("x").value == Reservation("x")


def test_a_reservation_that_is_none(api: FakeApi) -> None:
    thing = {"metadata": {"name": "x"}, "spec": {"reservedCIDRs": "10.0.0.0/8"}}
    api.objects[(CALICO_V1, "ipreservations")] = {"x": thing}
    with pytest.raises(CorruptRecord, match="IPReservation x"):
        KubernetesConfiguration(api).list_reservations()


class OldApi(FakeApi):
    """Serves neither kind, like a Calico from before them."""

    def _answer(self, *arguments: t.Any, **options: t.Any) -> t.Any:
        raise UnknownResource("the server could not find the requested resource", 404, "NotFound")

    get = list = create = replace = delete = _answer


def test_kinds_that_are_not_served() -> None:
    records = KubernetesConfiguration(OldApi())
    assert records.list_reservations() == []
    for read in (records.get_settings, lambda: records.get_reservation("x")):
        with pytest.raises(NotFoundInStore):
            read()
    with pytest.raises(Refused, match=r"does not serve ipreservations\.crd\.projectcalico\.org.* comes with Calico v3"):
        records.create_reservation(Reservation("x", ("10.0.0.0/8",)))
    with pytest.raises(Refused, match="ipamconfigs"):
        records.create_settings(Settings())
