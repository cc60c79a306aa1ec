# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico's records in etcd: what others have written, what is damaged, and the engine at work on it."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from etcd_fixture import EtcdServer
from invariants import check, state_of_raw

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import release_pool_affinities
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    CorruptRecord,
    NotFoundInStore,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import prove_clean
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_configuration import EtcdConfiguration

V4, V6 = parse_network("10.77.4.0/24"), parse_network("fd00:77::/116")
CIDR = parse_network("10.77.4.8/30")
BLOCKS = "/calico/ipam/v2/assignment/ipv4/block/"
OLD_BLOCK = {
    "cidr": "10.77.4.8/30",
    "affinity": "host:worker-7",
    "hostAffinity": "worker-7",
    "allocations": [0, None, None, None],
    "unallocated": [1, 2, 3],
    "attributes": [{"handle_id": None, "secondary": {"pod": "é"}, "future": {"a": 1.5}}],
    "newMember": [1, {"x": None}],
}


@pytest.fixture
def store(client: EtcdClient) -> EtcdStore:
    return EtcdStore(client)


def stored(etcd: EtcdServer, key: str) -> t.Any:
    row = etcd.client().get(key)
    assert row is not None
    return json.loads(row.value)


def test_what_old_and_new_releases_wrote_survives_our_write(etcd: EtcdServer, store: EtcdStore) -> None:
    etcd.put(f"{BLOCKS}10.77.4.8-30", OLD_BLOCK)
    found = store.get_block(CIDR)
    assert (found.value.owner, found.value.sequence) == (("host", "worker-7"), 0)
    same = store.update_block(found, found.value)
    assert stored(etcd, f"{BLOCKS}10.77.4.8-30") == OLD_BLOCK
    store.update_block(same, replace(same.value, sequence=7))
    assert stored(etcd, f"{BLOCKS}10.77.4.8-30") == {**OLD_BLOCK, "sequenceNumber": 7}
    with pytest.raises(UpdateConflict, match=r"Block 10.77.4.8/30 changed since it was read"):
        store.delete_block(found)


def test_unchanged_records_are_written_with_their_bytes(etcd: EtcdServer, store: EtcdStore) -> None:
    texts = {
        f"{BLOCKS}10.77.4.8-30": json.dumps(OLD_BLOCK, indent=3).encode(),
        "/calico/ipam/v2/host/worker-7/ipv4/block/10.77.4.8-30": b"",
        "/calico/ipam/v2/handle/X": b'{ "block": {"10.77.4.8/30": 1} }',
    }
    for key, text in texts.items():
        etcd.put(key, text)
    block, row, handle = store.list_blocks()[0], store.list_affinities()[0], store.list_handles()[0]
    assert row.value.confirmed
    store.update_block(block, block.value)
    store.update_affinity(row, row.value)
    store.update_handle(handle, handle.value)
    for key, text in texts.items():
        found = etcd.client().get(key)
        assert found is not None and found.value == text


def test_damaged_records_are_named_or_reported(etcd: EtcdServer, client: EtcdClient) -> None:
    etcd.put(f"{BLOCKS}10.77.4.8-30", OLD_BLOCK)
    etcd.put(f"{BLOCKS}10.77.4.12-30", b"{")
    etcd.put(f"{BLOCKS}10.77.4.16-30", {**OLD_BLOCK, "cidr": "10.77.4.16/30", "allocations": [7, None, None, None]})
    etcd.put(f"{BLOCKS}10.77.4.20-30", OLD_BLOCK)
    assert [found.value.cidr for found in EtcdStore(client).blocks_in(CIDR)] == [CIDR], "damage elsewhere is no matter"
    etcd.put(f"{BLOCKS}rubbish-30", OLD_BLOCK)
    etcd.put(f"{BLOCKS}not/ours", b"x")
    etcd.put("/calico/ipam/v2/host/worker-7/ipv4/block/10.77.4.8-30", b"[]")
    etcd.put("/calico/ipam/v2/handle/X", {"block": {"10.77.4.8/30": "many"}})
    plain = EtcdStore(client)
    for call in (plain.list_blocks, plain.list_affinities, plain.list_handles, plain.block_index):
        with pytest.raises(CorruptRecord):
            call()
    with pytest.raises(CorruptRecord, match="rubbish"):
        plain.blocks_in(CIDR)
    reported: list[CorruptRecord] = []
    tolerant = EtcdStore(client, on_corrupt=reported.append)
    assert [found.value.cidr for found in tolerant.list_blocks()] == [CIDR]
    assert (tolerant.list_affinities(), tolerant.list_handles()) == ([], [])
    assert len(reported) == 6
    assert all(error.details["kind"] and error.details["name"] for error in reported)
    with pytest.raises(CorruptRecord):
        tolerant.get_block(parse_network("10.77.4.12/30"))
    names = [thing["metadata"]["name"] for thing in plain.raw_blocks()]
    assert names == ["10-77-4-12-30", "10-77-4-16-30", "10-77-4-20-30", "10-77-4-8-30", "rubbish-30"]
    assert [thing["spec"] for thing in plain.raw_affinities()] == [None]
    assert [thing["spec"]["handleID"] for thing in plain.raw_handles()] == ["X"]


def test_raw_records_have_the_shape_of_custom_resources(etcd: EtcdServer, store: EtcdStore) -> None:
    etcd.put(f"{BLOCKS}10.77.4.8-30", {**OLD_BLOCK, "affinity_claim_time": "2026-08-20T09:14:05Z"})
    etcd.put("/calico/ipam/v2/virtual/load-balancer/ipv6/block/fd00::-122", {"state": "pending", "deleted": False})
    block, row = next(store.raw_blocks()), next(store.raw_affinities())
    assert (block["kind"], block["metadata"]["name"]) == ("IPAMBlock", "10-77-4-8-30")
    assert block["spec"]["affinityClaimTime"] == "2026-08-20T09:14:05Z"
    assert (row["kind"], row["metadata"]["name"]) == ("BlockAffinity", "load-balancer-fd00---122")
    expected = {"state": "pending", "deleted": False, "node": "load-balancer", "type": "virtual", "cidr": "fd00::/122"}
    assert row["spec"] == expected


def test_long_lists_show_one_moment(etcd: EtcdServer) -> None:
    store = EtcdStore(etcd.client(page=2))
    cidrs = [parse_network(f"10.0.{number}.0/26") for number in range(5)]
    for cidr in cidrs:
        store.create_block(new_block(cidr, 1))
    assert [found.value.cidr for found in store.list_blocks()] == cidrs
    assert len(list(store.raw_blocks())) == 5


def test_what_is_only_read(etcd: EtcdServer, store: EtcdStore) -> None:
    assert (store.pools(), store.settings(), store.reservations().any(4)) == ([], Settings(), False)
    with pytest.raises(NotFoundInStore, match="Node worker-7 does not exist"):
        store.node_labels("worker-7")
    put_cluster(etcd)
    etcd.put_resource("ippools", "IPPool", "broken", {"cidr": "10.0.0/33"})
    etcd.put_resource("ippools", "IPPool", "gone", {"cidr": "10.1.0.0/24"}, deletionTimestamp="2026-08-01T00:00:00Z")
    etcd.put_resource("clusterinformations", "ClusterInformation", "default", {"datastoreReady": True})
    etcd.put("/calico/ipam/v2/config", {"strict_affinity": True, "maxBlocksPerHost": 4})
    assert [(pool.name, pool.enabled) for pool in store.pools()] == [("gone", False), ("teal", True), ("teal6", True)]
    assert store.node_labels("worker-7") == {"rack": "a"}
    assert store.settings() == Settings(True, False, 4)
    assert store.reservations().reserved(4, V4.value)
    assert store.cluster_information()["spec"] == {"datastoreReady": True}


@pytest.mark.parametrize(
    "damaged", [b"{", b"[]", {"spec": []}, {"metadata": 1}, {"spec": "x"}, {"metadata": {"labels": 3}}]
)
def test_damaged_resources_are_named_or_reported(etcd: EtcdServer, client: EtcdClient, damaged: t.Any) -> None:
    put_cluster(etcd)
    for plural in ("ippools", "ipreservations", "nodes"):
        etcd.put(f"/calico/resources/v3/projectcalico.org/{plural}/broken", damaged)
    plain = EtcdStore(client)
    for call in (plain.pools, plain.reservations, lambda: plain.node_labels("broken")):
        with pytest.raises(CorruptRecord, match=r"at the etcd key /calico/resources/v3/\S+/broken"):
            call()
    reported: list[CorruptRecord] = []
    tolerant = EtcdStore(client, on_corrupt=reported.append)
    assert [pool.name for pool in tolerant.pools()] == ["teal", "teal6"]
    assert tolerant.reservations().reserved(4, V4.value)
    assert [error.details["kind"] for error in reported] == ["IPPool", "IPReservation"]


def test_the_key_has_the_last_word_about_a_name(etcd: EtcdServer, store: EtcdStore) -> None:
    etcd.put("/calico/resources/v3/projectcalico.org/ippools/teal", {"spec": {"cidr": "10.0.0.0/24"}})
    assert [pool.name for pool in store.pools()] == ["teal"]


def test_reservations_are_calicos_resources(etcd: EtcdServer, client: EtcdClient) -> None:
    records = EtcdConfiguration(client, now=now, new_uid=lambda: "7e0c6c1e-2c53-4c0e-9a58-6f2f0f3f6f10")
    first = records.create_reservation(Reservation("rack-gateways", ("10.77.4.0/32",)))
    records.update_reservation(first, Reservation("rack-gateways", ("10.77.4.1/32",)))
    assert stored(etcd, "/calico/resources/v3/projectcalico.org/ipreservations/rack-gateways") == {
        "kind": "IPReservation",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {
            "name": "rack-gateways",
            "uid": "7e0c6c1e-2c53-4c0e-9a58-6f2f0f3f6f10",
            "creationTimestamp": "2026-08-20T09:14:05Z",
        },
        "spec": {"reservedCIDRs": ["10.77.4.1/32"]},
    }


_MOMENT = [datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)]


def now() -> datetime:
    return _MOMENT[0]


def put_cluster(etcd: EtcdServer) -> None:
    """Two pools, two nodes and a reservation."""
    etcd.put_resource("ippools", "IPPool", "teal", {"cidr": str(V4), "blockSize": 30, "nodeSelector": "has(rack)"})
    etcd.put_resource("ippools", "IPPool", "teal6", {"cidr": str(V6), "blockSize": 126})
    etcd.put_resource("ipreservations", "IPReservation", "gateways", {"reservedCIDRs": ["10.77.4.0/31", "bad"]})
    for node in ("worker-7", "worker-8"):
        etcd.put_resource("nodes", "Node", node, labels={"rack": "a"})
    etcd.put("/calico/ipam/v2/config", {"auto_allocate_blocks": True})


def test_hosts_take_and_give_back_addresses_of_both_families(etcd: EtcdServer, store: EtcdStore) -> None:
    put_cluster(etcd)
    taken = []
    for number in range(24):
        host = f"worker-{7 + number % 2}"
        handle = f"k8s-pod-network.{number}"
        request = AssignRequest(host, 1, 1, handle, {"pod": f"p{number}", "namespace": "shop", "node": host})
        assignment = auto_assign(store, request, now=now)
        taken += [str(one.address) for one in (*assignment.v4.addresses, *assignment.v6.addresses)]
        if number % 3 == 0:
            assert release_by_handle(store, handle, now=now) == 2
    assert len(taken) == 48
    assert not {"10.77.4.0", "10.77.4.1"} & set(taken)
    assert len(store.list_affinities("worker-7", "host", 4)) > 1
    assert len(ips_by_handle(store, "k8s-pod-network.1", now=now)) == 2
    later = now() + timedelta(hours=1)
    assert check(state_of_raw(store, named=False, nodes={"worker-7", "worker-8"}, now=later)) == []
    for number in range(24):
        if number % 3:
            release_by_handle(store, f"k8s-pod-network.{number}", now=now)
    for pool in (V4, V6):
        release_pool_affinities(store, pool, now=now)
        assert prove_clean(store, pool).clean
    assert [*store.raw_blocks(), *store.raw_affinities(), *store.raw_handles()] == []
