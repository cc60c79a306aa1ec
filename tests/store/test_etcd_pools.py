# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico's kinds in a real etcd, through the interface of the Kubernetes API."""

from __future__ import annotations

import json
import threading
import typing as t
from datetime import datetime, timezone

import pytest
from etcd_fixture import EtcdServer, start_etcd

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Expired,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi

NOW = datetime(2026, 5, 4, 3, 2, 1, 654321, tzinfo=timezone.utc)
UID = "0c4b54a5-6d27-4dd0-9d2c-5e53f3e4a001"
KEY = "/calico/resources/v3/projectcalico.org/ippools/teal"
NODES = Resource("projectcalico.org", "v3", "nodes", "Node", False)


@pytest.fixture
def api(etcd: EtcdServer) -> t.Iterator[EtcdApi]:
    found = EtcdApi(etcd.client(), now=lambda: NOW, new_uid=lambda: UID)
    yield found
    found.close()


def pool(name: str = "teal", **spec: t.Any) -> Object:
    body = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": name}}
    return {**body, "spec": {"cidr": "10.7.0.0/16", **spec}}


def stored(api: EtcdApi, key: str = KEY) -> t.Any:
    row = api.client.get(key)
    return None if row is None else json.loads(row.value)


def test_a_pool_stands_there_as_calico_writes_it(api: EtcdApi) -> None:
    body = pool(blockSize=26)
    body["metadata"] |= {"labels": {"a": "b"}, "annotations": {"c": "d"}, "resourceVersion": "7"}
    made = api.create(IP_POOLS, body)
    assert stored(api) == {
        "kind": "IPPool",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {
            "name": "teal",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "uid": UID,
            "creationTimestamp": "2026-05-04T03:02:01Z",
        },
        "spec": {"cidr": "10.7.0.0/16", "blockSize": 26},
    }
    row = api.client.get(KEY)
    assert row is not None and made["metadata"]["resourceVersion"] == str(row.revision)
    assert api.get(IP_POOLS, "teal") == made
    found = api.list(IP_POOLS)
    assert found.items == [made] and int(found.resource_version) >= row.revision
    assert [item for page in api.pages(IP_POOLS, limit=1) for item in page.items] == [made]


def test_a_name_is_taken_once(api: EtcdApi) -> None:
    api.create(IP_POOLS, pool())
    for dry_run in (False, True):
        with pytest.raises(AlreadyExists, match="IPPool teal exists already"):
            api.create(IP_POOLS, pool(cidr="10.8.0.0/16"), dry_run=dry_run)
    assert stored(api)["spec"]["cidr"] == "10.7.0.0/16"


def test_dry_runs_write_nothing(api: EtcdApi) -> None:
    assert api.create(IP_POOLS, pool(), dry_run=True)["spec"]["cidr"] == "10.7.0.0/16"
    assert api.list(IP_POOLS).items == []
    made = api.create(IP_POOLS, pool())
    assert api.patch(IP_POOLS, "teal", {"spec": {"disabled": True}}, dry_run=True)["spec"]["disabled"]
    assert api.replace(IP_POOLS, {**made, "spec": {"cidr": "10.7.0.0/16", "x": 1}}, dry_run=True)["spec"]["x"] == 1
    api.delete(IP_POOLS, "teal", dry_run=True)
    assert api.get(IP_POOLS, "teal") == made


def test_a_merge_patch(api: EtcdApi) -> None:
    made = api.create(IP_POOLS, pool(natOutgoing=True, allowedUses=["Workload", "Tunnel"]))
    patch = {
        "metadata": {"labels": {"new": "1"}, "uid": UID, "resourceVersion": made["metadata"]["resourceVersion"]},
        "spec": {"natOutgoing": None, "allowedUses": ["Tunnel"]},
    }
    after = api.patch(IP_POOLS, "teal", patch)
    assert after["spec"] == {"cidr": "10.7.0.0/16", "allowedUses": ["Tunnel"]}
    assert after["metadata"]["labels"] == {"new": "1"}
    assert stored(api)["metadata"] == {
        "name": "teal",
        "uid": UID,
        "creationTimestamp": "2026-05-04T03:02:01Z",
        "labels": {"new": "1"},
    }
    assert after["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]
    same = api.patch(IP_POOLS, "teal", {"spec": {"allowedUses": ["Tunnel"]}})
    assert same == after, "what changes nothing writes nothing"
    with pytest.raises(Conflict, match="changed since it was read"):
        api.patch(IP_POOLS, "teal", patch)
    with pytest.raises(NotFound):
        api.patch(IP_POOLS, "none", {"spec": {}})
    with pytest.raises(BadRequest, match="merge patches only"):
        api.patch(IP_POOLS, "teal", [], patch_type="json")


def test_who_a_pool_is_does_not_change(api: EtcdApi) -> None:
    made = api.create(IP_POOLS, pool())
    metadata = {"name": "teal", "creationTimestamp": "1999-01-01T00:00:00Z"}
    after = api.replace(IP_POOLS, {**pool(disabled=True), "metadata": metadata})
    assert after["metadata"]["uid"] == UID
    assert after["metadata"]["creationTimestamp"] == made["metadata"]["creationTimestamp"]
    stale = {**after, "metadata": {**after["metadata"], "resourceVersion": made["metadata"]["resourceVersion"]}}
    with pytest.raises(Conflict):
        api.replace(IP_POOLS, stale)
    with pytest.raises(Conflict):
        api.replace(IP_POOLS, {**pool(), "metadata": {"name": "teal", "uid": "another"}})


@pytest.mark.parametrize("by", ["uid", "resource_version"])
def test_a_deletion_has_conditions(api: EtcdApi, by: str) -> None:
    made = api.create(IP_POOLS, pool())
    right = {"uid": UID, "resource_version": made["metadata"]["resourceVersion"]}
    with pytest.raises(Conflict):
        api.delete(IP_POOLS, "teal", **{by: "1"})
    api.delete(IP_POOLS, "teal", **{by: right[by]})
    assert stored(api) is None
    with pytest.raises(NotFound, match="IPPool teal is not in Calico's etcd"):
        api.delete(IP_POOLS, "teal", **{by: right[by]})


def test_two_writers_lose_nothing(etcd: EtcdServer, api: EtcdApi) -> None:
    """Unconditional patches read again; all of them are there in the end, whichever thread came when."""
    api.create(IP_POOLS, pool())

    def write(thread: int) -> None:
        for number in range(8):
            api.patch(IP_POOLS, "teal", {"metadata": {"labels": {f"{thread}-{number}": "x"}}})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(api.get(IP_POOLS, "teal")["metadata"]["labels"]) == 24


def test_records_of_ipam_are_the_stores(api: EtcdApi) -> None:
    store = EtcdStore(api.client)
    network = parse_network("10.7.3.64/26")
    block = store.create_block(new_block(network, ("host", "n-1"), None))
    store.create_affinity(Affinity("n-1", "host", network, "confirmed"))
    found = api.get(IPAM_BLOCKS, "10-7-3-64-26")
    assert found["spec"]["cidr"] == "10.7.3.64/26"
    api.delete(IPAM_BLOCKS, "10-7-3-64-26", resource_version=str(block.revision))
    assert store.list_blocks() == []
    row = api.get(BLOCK_AFFINITIES, "n-1-10-7-3-64-26")
    assert (row["spec"]["node"], row["spec"]["state"]) == ("n-1", "confirmed")
    with pytest.raises(NotFound):
        api.get(IPAM_BLOCKS, "10-7-3-64-26")


def test_records_of_the_v1_group_can_be_loaded(api: EtcdApi) -> None:
    """As a scenario has them: text for a deletion, names that do not tell the key."""
    block = {"cidr": "10.7.0.0/30", "affinity": "host:n", "allocations": [None] * 4, "unallocated": [0, 1, 2, 3]}
    block |= {"attributes": [], "strictAffinity": False, "deleted": False}
    api.create(IPAM_BLOCKS, {"metadata": {"name": "10-7-0-0-30"}, "spec": block})
    affinity = {"cidr": "10.7.0.0/30", "node": "n", "state": "confirmed", "deleted": "false", "type": "host"}
    api.create(BLOCK_AFFINITIES, {"metadata": {"name": "n-10-7-0-0-30"}, "spec": affinity})
    handle = {"handleID": "K8s.One", "block": {"10.7.0.0/30": 1}, "deleted": False}
    api.create(IPAM_HANDLES, {"metadata": {"name": "k8s.one"}, "spec": handle})
    api.create(IPAM_CONFIGS, {"metadata": {"name": "default"}, "spec": {"strictAffinity": True, "maxBlocksPerHost": 0}})
    store = EtcdStore(api.client)
    assert [str(each.value.cidr) for each in store.list_blocks()] == ["10.7.0.0/30"]
    assert [each.value.host for each in store.list_affinities()] == ["n"]
    assert [each.value.id for each in store.list_handles()] == ["K8s.One"]
    assert store.settings().strict_affinity
    assert stored(api, "/calico/ipam/v2/config") == {"strict_affinity": True}
    assert "strictAffinity" not in stored(api, "/calico/ipam/v2/assignment/ipv4/block/10.7.0.0-30")


def test_other_kinds_look_as_in_the_public_api(api: EtcdApi) -> None:
    api.create(IP_RESERVATIONS, {"metadata": {"name": "r"}, "spec": {"reservedCIDRs": ["10.7.0.1/32"]}})
    api.create(CLUSTER_INFORMATIONS, {"metadata": {"name": "default"}, "spec": {"datastoreReady": True}})
    api.create(NODES, {"metadata": {"name": "n-1"}, "spec": {}})
    assert api.get(IP_RESERVATIONS, "r")["apiVersion"] == "projectcalico.org/v3"
    assert api.get(CLUSTER_INFORMATIONS, "default")["spec"] == {"datastoreReady": True}
    assert [node["kind"] for node in api.list(NODES).items] == ["Node"]
    assert api.list(IP_POOLS).items == []


def test_what_cannot_be_read_is_named(etcd: EtcdServer, api: EtcdApi) -> None:
    etcd.put(KEY, b"{")
    with pytest.raises(CorruptRecord, match="is no JSON: repair it"):
        api.list(IP_POOLS)
    faults: list[CorruptRecord] = []
    assert EtcdApi(api.client, on_corrupt=faults.append).list(IP_POOLS).items == []
    assert len(faults) == 1
    with pytest.raises(BadRequest, match="knows no selectors"):
        api.list(IP_POOLS, label_selector="a=b")


def test_a_watch_goes_on_from_a_list(api: EtcdApi) -> None:
    api.create(IP_POOLS, pool("before"))
    version = api.list(IP_POOLS).resource_version
    api.create(IP_POOLS, pool())
    api.patch(IP_POOLS, "teal", {"spec": {"disabled": True}})
    api.create(IP_RESERVATIONS, {"metadata": {"name": "r"}, "spec": {}})
    api.delete(IP_POOLS, "teal")
    stream = api.watch(IP_POOLS, resource_version=version)
    events = [next(stream) for _number in range(3)]
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert {event.object["metadata"]["name"] for event in events} == {"teal"}
    revisions = [int(event.object["metadata"]["resourceVersion"]) for event in events]
    assert revisions == sorted(revisions) and revisions[0] == int(version) + 1
    closer = threading.Timer(0.2, stream.close)
    closer.start()
    assert list(stream) == [], "closing wakes the reader"
    closer.join()


def test_a_watch_that_begins_too_early(etcd: EtcdServer, api: EtcdApi) -> None:
    version = api.list(IP_POOLS).resource_version
    api.create(IP_POOLS, pool())
    api.delete(IP_POOLS, "teal")
    etcd.call("/kv/compaction", {"revision": api.list(IP_POOLS).resource_version})
    with pytest.raises(Expired):
        next(api.watch(IP_POOLS, resource_version=version))


def test_blocks_are_followed_in_a_thread(api: EtcdApi) -> None:
    store = EtcdStore(api.client)
    networks = [parse_network(f"10.7.{number}.0/30") for number in range(3)]
    kept = store.create_block(new_block(networks[0], ("host", "n"), None))
    with Watches(api) as watches:
        watches.follow("blocks", IPAM_BLOCKS)
        assert [_told(watches), _told(watches)] == ["ADDED 10-7-0-0-30", "SYNCED"]
        store.create_block(new_block(networks[1], ("host", "n"), None))
        assert _told(watches) == "ADDED 10-7-1-0-30"
        store.delete_block(kept)
        assert _told(watches) == "DELETED 10-7-0-0-30"


def test_a_damaged_pool_ends_the_following_of_pools_and_says_so(etcd: EtcdServer, api: EtcdApi) -> None:
    etcd.put(KEY, b"{")
    with Watches(api) as watches:
        watches.follow("pools", IP_POOLS)
        with pytest.raises(CorruptRecord, match="is no JSON"):
            watches.next(5.0)


def test_a_server_that_dies_ends_a_watch(tmp_path_factory: pytest.TempPathFactory) -> None:
    with start_etcd(tmp_path_factory.mktemp("mortal")) as server:
        api = EtcdApi(server.client())
        stream = api.watch(IP_POOLS, resource_version=api.list(IP_POOLS).resource_version)
        killer = threading.Timer(0.3, server.kill)
        killer.start()
        with pytest.raises(Unreachable, match="cannot be reached: the connection was closed"):
            next(stream)
        killer.join()
        with pytest.raises(Unreachable):
            api.watch(IP_POOLS, resource_version="1")
        api.close()


def _told(watches: Watches) -> str:
    notice = watches.next(5.0)
    if notice is None:
        return "nothing"
    return " ".join(filter(None, [notice.change.type, (notice.change.object.get("metadata") or {}).get("name")]))
