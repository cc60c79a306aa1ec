# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import (
    CalicoCni,
    CniError,
    container_id,
)

CONFIG = """{"name": "k8s-pod-network", "plugins": [{"type": "calico", "mtu": __CNI_MTU__,
"ipam": {"type": "calico-ipam", %s}, "policy": {"type": "k8s"}, "feature_control": {"ip_addrs_no_ipam": true}}]}"""


@pytest.fixture
def cni(world: t.Any) -> CalicoCni:
    world.node()
    world.pool()
    return CalicoCni(world.store, world.objects, world.clock)


def test_add_assigns_under_the_sandbox_handle_and_delete_gives_back(world: t.Any, cni: CalicoCni) -> None:
    pod = world.pod()
    (address,) = cni.add(pod, "n1")
    assert world.allocated() == {address: "k8s-pod-network." + container_id(pod)}
    (stored,) = world.store.list_blocks()
    assert stored.value.affinity == "host:n1"
    attributes = dict(stored.value.attribute_at(0).secondary)
    assert attributes.pop("timestamp") == "2026-01-01 00:00:00.000000 +0000 UTC"
    assert attributes == {"namespace": "shop", "node": "n1", "pod": "web"}
    cni.delete(pod, "n1")
    assert world.allocated() == {}
    assert world.store.list_handles() == []
    cni.delete(pod, "n1")


def test_a_repeated_add_does_not_collect_addresses(world: t.Any, cni: CalicoCni) -> None:
    pod = world.pod()
    cni.add(pod, "n1")
    cni.add(pod, "n1")
    assert len(world.allocated()) == 1


def test_no_address_comes_from_a_disabled_pool(world: t.Any, cni: CalicoCni) -> None:
    cni.add(world.pod("first"), "n1")
    world.pool(disabled=True)
    with pytest.raises(CniError, match=r"no enabled IPv4 pool"):
        cni.add(world.pod("second"), "n1")
    assert len(world.allocated()) == 1


def test_releases_work_after_the_pool_object_is_gone_and_blocks_stay_behind(world: t.Any, cni: CalicoCni) -> None:
    pod = world.pod()
    cni.add(pod, "n1")
    world.api.delete(IP_POOLS, "p")
    cni.delete(pod, "n1")
    (stored,) = world.store.list_blocks()
    assert (stored.value.in_use, stored.value.affinity) == (0, "host:n1")


@pytest.mark.parametrize(
    ("pod_annotations", "namespace_annotations", "expected"),
    [
        ({}, {}, "10.1.0."),
        ({"ipv4pools": '["q"]'}, {}, "10.2.0."),
        ({"ipv4pools": '["10.2.0.0/24"]'}, {}, "10.2.0."),
        ({}, {"ipv4pools": '["q"]'}, "10.2.0."),
        ({"ipv4pools": '["p"]'}, {"ipv4pools": '["q"]'}, "10.1.0."),
        ({"ipv4pools": "[]"}, {}, "10.1.0."),
        ({"ipAddrs": '["10.2.0.9"]'}, {}, "10.2.0.9"),
    ],
)
def test_annotations_choose_the_pool(
    world: t.Any,
    cni: CalicoCni,
    pod_annotations: dict[str, str],
    namespace_annotations: dict[str, str],
    expected: str,
) -> None:
    world.pool("q", "10.2.0.0/24", nodeSelector="!all()")
    annotations = {f"cni.projectcalico.org/{key}": value for key, value in namespace_annotations.items()}
    world.put(NAMESPACES, "shop", metadata={"annotations": annotations})
    (address,) = cni.add(world.pod(**pod_annotations), "n1")
    assert address.startswith(expected)


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({"ipv4pools": '["missing"]'}, "'missing'"),
        ({"ipv4pools": '["six"]'}, "IPv6"),
        ({"ipv4pools": '["off"]'}, "does not exist, or is not enabled"),
        ({"ipv4pools": "p"}, "JSON list"),
        ({"ipFamilies": '["IPv5"]'}, "IPv5"),
        ({"ipAddrs": '["192.0.2.1"]'}, "no enabled pool"),
        ({"ipAddrs": "[]"}, "empty"),
        ({"ipAddrs": '["10.1.0.1", "10.1.0.2"]'}, "only one address of each family"),
        ({"ipAddrs": '["10.1.0.1"]', "ipAddrsNoIpam": '["10.1.0.1"]'}, "cannot have both"),
        ({"ipAddrsNoIpam": '["10.1.0.1"]'}, "not enabled"),
    ],
)
def test_what_cannot_be_had_fails_the_pod(
    world: t.Any, cni: CalicoCni, annotations: dict[str, str], message: str
) -> None:
    world.pool("six", "fd00::/112", blockSize=122, ipipMode="Never")
    world.pool("off", "10.3.0.0/24", disabled=True)
    with pytest.raises(CniError) as caught:
        cni.add(world.pod(**annotations), "n1")
    assert message in str(caught.value)
    assert str(caught.value).startswith('plugin type="calico" failed (add): ')
    assert world.allocated() == {}


def test_families_of_configuration_and_annotation(world: t.Any, cni: CalicoCni) -> None:
    world.pool("six", "fd00::/112", blockSize=122, ipipMode="Never")
    world.network_config(CONFIG % '"assign_ipv6": "true"')
    four, six = cni.add(world.pod("both"), "n1")
    assert (four[:7], six[:6]) == ("10.1.0.", "fd00::")
    (only,) = cni.add(world.pod("only", ipFamilies='["IPv6"]'), "n1")
    assert only.startswith("fd00::")


def test_when_one_family_comes_out_short_nothing_stays_assigned(world: t.Any, cni: CalicoCni) -> None:
    world.network_config(CONFIG % '"assign_ipv6": "true"')
    with pytest.raises(CniError, match="IPv6"):
        cni.add(world.pod(), "n1")
    assert world.allocated() == {}


def test_pools_of_the_cni_configuration(world: t.Any, cni: CalicoCni) -> None:
    world.pool("q", "10.2.0.0/24")
    world.network_config(CONFIG % f'"ipv4_pools": {json.dumps(["q"])}')
    assert cni.add(world.pod(), "n1")[0].startswith("10.2.0.")


def test_addresses_without_ipam_leave_no_record(world: t.Any, cni: CalicoCni) -> None:
    world.network_config(CONFIG % '"assign_ipv4": "true"')
    assert cni.add(world.pod(ipAddrsNoIpam='["10.9.9.9"]'), "n1") == ["10.9.9.9"]
    assert world.allocated() == {}


def test_nothing_is_assigned_while_the_datastore_is_locked(world: t.Any, cni: CalicoCni) -> None:
    world.lock_datastore()
    with pytest.raises(CniError, match="not ready"):
        cni.add(world.pod(), "n1")


def test_a_full_pool_says_so(world: t.Any, cni: CalicoCni) -> None:
    world.pool("tiny", "10.5.0.0/30", blockSize=30)
    for number in range(4):
        cni.add(world.pod(f"web-{number}", ipv4pools='["tiny"]'), "n1")
    with pytest.raises(CniError, match="Assigned 0 of 1 IPv4"):
        cni.add(world.pod("late", ipv4pools='["tiny"]'), "n1")
