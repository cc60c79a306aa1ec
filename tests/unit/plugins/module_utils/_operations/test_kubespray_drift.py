# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory and cluster side by side, for both families."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import read_declared
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_drift import (
    DRIFT,
    PENDING,
    UNKNOWN,
    Finding,
    differences,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live, rollout

from . import kubespray_objects as ks


def found(declared: t.Any, live: Live) -> list[tuple[str, str, t.Any, t.Any]]:
    return [(each.severity, each.subject, each.declared, each.live) for each in differences(declared, live)]


def test_an_inventory_that_describes_the_cluster() -> None:
    assert differences(ks.declared(), ks.live()) == ()
    assert differences(ks.both_families(), ks.live(ks.pool(), ks.POOL6)) == ()


@pytest.mark.parametrize(
    ("spec", "subject", "declared", "live"),
    [
        ({"blockSize": 28}, "calico_pool_blocksize", 26, 28),
        ({"cidr": ks.NEW_RANGE}, "calico_pool_cidr", ks.RANGE, ks.NEW_RANGE),
        ({"ipipMode": "CrossSubnet"}, "calico_ipip_mode", "Never", "CrossSubnet"),
        ({"vxlanMode": "Never"}, "calico_vxlan_mode", "Always", "Never"),
        ({"natOutgoing": False}, "nat_outgoing", True, False),
    ],
)
def test_every_field_of_the_pool(spec: t.Any, subject: str, declared: t.Any, live: t.Any) -> None:
    assert found(ks.declared(), ks.live(ks.pool(**spec))) == [(DRIFT, subject, declared, live)]


@pytest.mark.parametrize("spec", [{"disabled": True}, {"nodeSelector": "has(rack)"}, {"allowedUses": ["Workload"]}])
def test_what_kubespray_does_not_model_is_no_drift(spec: t.Any) -> None:
    assert differences(ks.declared(), ks.live(ks.pool(**spec))) == ()


def test_ipv6_which_kubespray_does_not_check() -> None:
    other = ks.pool("default-pool-ipv6", ks.RANGE6, blockSize=120)
    assert found(ks.both_families(), ks.live(ks.pool(), other)) == [(DRIFT, "calico_pool_blocksize_ipv6", 122, 120)]
    assert found(ks.both_families(), ks.live()) == [(DRIFT, "calico_pool_name", "default-pool-ipv6", None)]


def test_ipv6_ranges_in_two_spellings_are_one() -> None:
    """calicoctl writes the short form, and nothing compares the text."""
    declared = ks.both_families(calico_pool_cidr_ipv6="fd85:ee78:d8a6:8607::1:0000/112")
    assert differences(declared, ks.live(ks.pool(), ks.POOL6)) == ()


def test_a_pool_that_is_gone() -> None:
    (finding,) = differences(ks.declared(), ks.live(ks.pool(ks.NEW, ks.NEW_RANGE)))
    assert (finding.severity, finding.subject, finding.pool) == (DRIFT, "calico_pool_name", ks.POOL)
    assert "Kubespray would create it" in finding.message


def test_pods_that_have_moved_while_the_old_pool_is_kept() -> None:
    pools = (ks.pool(disabled=True), ks.pool(ks.NEW, ks.NEW_RANGE))
    assert found(ks.declared(), ks.live(*pools, journals=(ks.journal(),))) == [
        (PENDING, "calico_pool_name", ks.POOL, ks.NEW)
    ]
    stopped = (ks.pool(nodeSelector="!all()"), ks.pool(ks.NEW, ks.NEW_RANGE))
    assert [each.severity for each in differences(ks.declared(), ks.live(*stopped, journals=(ks.journal(),)))] == [
        PENDING
    ]
    # Before the old pool is stopped, and without a journal, nothing has moved.
    running = (ks.pool(), ks.pool(ks.NEW, ks.NEW_RANGE))
    assert differences(ks.declared(), ks.live(*running, journals=(ks.journal(),))) == ()
    assert differences(ks.declared(), ks.live(*pools)) == ()


def test_settings_that_kubespray_puts_back() -> None:
    live = ks.live(settings={**ks.SETTINGS, "maxBlocksPerHost": 4, "strictAffinity": True})
    assert found(ks.declared(), live) == [
        (DRIFT, "calico_ipam_strictaffinity", False, True),
        (DRIFT, "calico_ipam_maxblocksperhost", 0, 4),
    ]
    assert "Kubespray writes its own value back" in differences(ks.declared(), live)[0].message


def test_the_pods_range_by_every_source_of_its_family() -> None:
    subnets = (
        ("kubeadm", (parse_network("10.234.0.0/16"), parse_network("fd00::/64"))),
        ("kube-proxy", (parse_network("10.0.0.0/8"),)),
    )
    assert found(ks.declared(), ks.live(subnets=subnets)) == [
        (DRIFT, "kube_pods_subnet", "10.234.0.0/16", "10.0.0.0/8")
    ]
    assert [
        each.subject for each in differences(ks.both_families(), ks.live(ks.pool(), ks.POOL6, subnets=subnets))
    ] == [
        "kube_pods_subnet",
        "kube_pods_subnet_ipv6",
    ]


@pytest.mark.parametrize(
    ("mode", "declared", "drift"),
    [("etcd", "kdd", True), ("crd_v1", "kdd", False), ("etcd", "etcd", False), ("apiserver", "etcd", True)],
)
def test_the_datastore(mode: str, declared: str, drift: bool) -> None:
    assert bool(differences(ks.declared(calico_datastore=declared), ks.live(mode=mode))) is drift


def test_what_was_not_compared_is_said() -> None:
    declared = read_declared({"calico_pool_name": ks.POOL, "calico_pool_cidr": ks.RANGE, "calico_pool_blocksize": 26})
    findings = differences(declared, ks.live())
    assert {finding.severity for finding in findings} == {UNKNOWN}
    assert [finding.subject for finding in findings] == ["calico_ipip_mode", "calico_vxlan_mode", "nat_outgoing"]
    assert all("kubespray_checkout" in finding.message for finding in findings)


def test_why_it_was_not_compared() -> None:
    """Releases that have no such variable are told from roles that were not found."""
    inventory = {"calico_pool_name": ks.POOL, "calico_pool_cidr": ks.RANGE}
    (first, *_rest) = [each for each in differences(read_declared(inventory), ks.live()) if each.severity == UNKNOWN]
    assert first.message.endswith("were not found. kubespray_checkout says where they are.")
    old = {key: value for key, value in ks.DEFAULTS.items() if key != "calico_vxlan_mode"}
    (only,) = [each for each in differences(read_declared(inventory, old), ks.live()) if each.severity == UNKNOWN]
    assert only.message == (
        "calico_vxlan_mode was not compared: neither the inventory nor Kubespray's roles define it."
    )


def test_a_finding_as_plain_data() -> None:
    finding = Finding(DRIFT, "calico_pool_blocksize", 26, 28, "They differ.", ks.POOL, 4)
    assert finding.shown() == {
        "severity": "drift",
        "subject": "calico_pool_blocksize",
        "declared": 26,
        "live": 28,
        "message": "They differ.",
        "pool": ks.POOL,
        "family": "ipv4",
    }


@pytest.mark.parametrize(
    ("generation", "status", "said"),
    [
        (2, {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}, ""),
        (3, {"observedGeneration": 2}, "its change has not been seen yet"),
        (1, {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1}, "1 of 3 pods are new"),
        (
            1,
            {"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 2},
            "2 of 3 pods are ready",
        ),
        (0, {}, ""),
    ],
)
def test_a_rollout_in_words(generation: int, status: t.Any, said: str) -> None:
    assert rollout({"metadata": {"name": "calico-node", "generation": generation}, "status": status}) == said
