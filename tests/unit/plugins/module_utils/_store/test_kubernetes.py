# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store over the Kubernetes API: soft delete, labels, unknown members, inputs (spec ipam-engine.md §2)."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CALICO_V3,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    NODES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
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
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

CIDR = parse_network("10.77.4.8/30")


def now() -> datetime:
    return datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)


def seed(api: t.Any, group: str = CALICO_V1) -> KubernetesStore:
    store = KubernetesStore(api, group)
    spec = {"cidr": "10.77.4.0/24", "blockSize": 30}
    api.create(store.ip_pools, {"metadata": {"name": "teal"}, "spec": spec})
    api.create(NODES, {"metadata": {"name": "worker-7", "labels": {"zone": "a"}}})
    return store


def test_a_delete_marks_first_and_removes_by_uid(api: t.Any) -> None:
    store = KubernetesStore(api)
    store.delete_block(store.create_block(new_block(CIDR, 1)))
    assert api.requests == ["create ipamblocks", "replace ipamblocks", "delete ipamblocks"]


def test_a_delete_loses_against_an_update(api: t.Any) -> None:
    store = KubernetesStore(api)
    read = store.create_block(new_block(CIDR, 1))
    api.before = lambda verb, name: store.update_block(read, replace(read.value, sequence=2)) and None
    with pytest.raises(UpdateConflict):
        store.delete_block(read)
    assert store.get_block(CIDR).value.sequence == 2


def test_a_get_finishes_a_delete_that_was_cut(api: t.Any) -> None:
    store = KubernetesStore(api)
    stored = store.create_block(new_block(CIDR, 1))
    store.update_block(stored, replace(stored.value, deleted=True))
    assert [listed.value.deleted for listed in store.list_blocks()] == [True]
    with pytest.raises(NotFoundInStore):
        store.get_block(CIDR)
    assert store.list_blocks() == []


def test_a_new_record_of_the_same_name_is_not_removed(api: t.Any) -> None:
    store = KubernetesStore(api)
    read = store.create_block(new_block(CIDR, 1))

    def recreate(verb: str, name: str) -> None:
        def inside(verb: str, name: str) -> None:
            del api.objects[(CALICO_V1, "ipamblocks")][name]
            store.create_block(new_block(CIDR, 2))

        api.before = inside

    api.before = recreate  # acts before the second request, the DELETE
    store.delete_block(read)
    assert store.get_block(CIDR).value.sequence == 2


@pytest.mark.parametrize(("group", "deleted"), [(CALICO_V1, "true"), (CALICO_V3, True)])
def test_deleted_rows_are_not_listed(api: t.Any, group: str, deleted: str | bool) -> None:
    store = KubernetesStore(api, group)
    stored = store.create_affinity(Affinity("worker-7", "host", CIDR, "confirmed"))
    store.update_affinity(stored, replace(stored.value, deleted=True))
    raw = api.get(store.affinities, "worker-7-10-77-4-8-30")
    assert raw["spec"]["deleted"] is deleted or raw["spec"]["deleted"] == deleted
    assert store.list_affinities() == []
    with pytest.raises(NotFoundInStore):
        store.get_affinity("worker-7", "host", CIDR)


def test_a_row_looks_as_calico_writes_it(api: t.Any) -> None:
    store = KubernetesStore(api)
    store.create_affinity(Affinity("worker-7", "host", CIDR, "confirmed"))
    raw = api.get(BLOCK_AFFINITIES, "worker-7-10-77-4-8-30")
    labels = {
        "projectcalico.org/affinity-type": "host",
        "projectcalico.org/ip-version": "4",
        "projectcalico.org/hostname-hash": "64JFLL4AKLJBI3NJKBCDVPX2G4766YG64IE4CA4H7LRIFPPPQYVQ",
    }
    assert raw["metadata"]["labels"] == labels
    assert json.loads(raw["metadata"]["annotations"]["projectcalico.org/metadata"]) == {"labels": labels}
    assert raw["spec"] == {
        "state": "confirmed",
        "node": "worker-7",
        "type": "host",
        "cidr": "10.77.4.8/30",
        "deleted": "false",
    }


def test_group_v3_has_booleans_and_no_annotation(api: t.Any) -> None:
    store = KubernetesStore(api, CALICO_V3)
    store.create_affinity(Affinity("worker-7", "host", CIDR, "confirmed"))
    raw = api.get(store.affinities, "worker-7-10-77-4-8-30")
    assert (raw["apiVersion"], raw["spec"]["deleted"]) == ("projectcalico.org/v3", False)
    assert "annotations" not in raw["metadata"]


def test_an_old_row_is_one_of_a_host_and_gets_its_labels_on_update(api: t.Any) -> None:
    store = KubernetesStore(api)
    spec = {"state": "", "node": "worker-7", "cidr": "10.77.4.8/30", "deleted": "false"}
    annotation = {"projectcalico.org/metadata": '{"creationTimestamp":null}', "mine": "kept"}
    api.create(
        BLOCK_AFFINITIES, {"metadata": {"name": "worker-7-10-77-4-8-30", "annotations": annotation}, "spec": spec}
    )
    assert store.list_affinities("worker-7") == []  # by label, as Calico looks
    (row,) = store.list_affinities()
    assert row.value == Affinity("worker-7", "host", CIDR, "")
    store.update_affinity(row, replace(row.value, state="confirmed"))
    assert len(store.list_affinities("worker-7", "host", 4)) == 1
    packed = api.get(BLOCK_AFFINITIES, "worker-7-10-77-4-8-30")["metadata"]["annotations"]
    assert packed["mine"] == "kept"
    assert json.loads(packed["projectcalico.org/metadata"])["labels"]["projectcalico.org/affinity-type"] == "host"


def test_what_we_do_not_know_survives_an_update(api: t.Any) -> None:
    store = KubernetesStore(api)
    block = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPAMBlock",
        "metadata": {"name": "10-77-4-8-30", "annotations": {"projectcalico.org/metadata": "{}"}, "labels": {"x": "y"}},
        "spec": {
            "cidr": "10.77.4.8/30",
            "affinity": "host:worker-7",
            "allocations": [0, 1, None, None],
            "unallocated": [2, 3],
            "attributes": [{"handle_id": None, "secondary": None, "later": 1}, {"handle_id": "h", "secondary": {}}],
            "strictAffinity": False,
            "newField": {"a": [1, 2]},
        },
    }
    api.create(IPAM_BLOCKS, block)
    stored = store.get_block(CIDR)
    store.update_block(stored, replace(stored.value, sequence=1))
    raw = api.get(IPAM_BLOCKS, "10-77-4-8-30")
    assert raw["metadata"]["labels"] == {"x": "y"}
    assert raw["spec"]["newField"] == {"a": [1, 2]}
    assert raw["spec"]["attributes"] == block["spec"]["attributes"]
    assert raw["spec"]["sequenceNumber"] == 1


@pytest.mark.parametrize(
    "change",
    [
        {"cidr": "10.77.4.9/30"},
        {"cidr": None},
        {"allocations": [None]},
        {"allocations": [0, 3, None, None]},
        {"unallocated": [4]},
    ],
)
def test_a_block_that_contradicts_itself_is_named(api: t.Any, change: dict[str, t.Any]) -> None:
    spec = {"cidr": "10.77.4.8/30", "allocations": [0, None, None, None], "unallocated": [1], "attributes": [{}]}
    api.create(IPAM_BLOCKS, {"kind": "IPAMBlock", "metadata": {"name": "10-77-4-8-30"}, "spec": {**spec, **change}})
    with pytest.raises(CorruptRecord, match="IPAMBlock 10-77-4-8-30"):
        KubernetesStore(api).list_blocks()


@pytest.mark.parametrize(
    ("group", "spec", "settings"),
    [
        (CALICO_V1, None, Settings(auto_allocate_blocks=False)),
        (
            CALICO_V1,
            {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4, "ipCooldownSeconds": 30},
            Settings(True, True, 4, "Enabled", 30),
        ),
        (CALICO_V3, {"kubeVirtVMAddressPersistence": "Disabled"}, Settings(vm_address_persistence="Disabled")),
    ],
)
def test_settings(api: t.Any, group: str, spec: dict[str, t.Any] | None, settings: Settings) -> None:
    store = KubernetesStore(api, group)
    assert store.settings() == Settings()
    api.create(store.config, {"metadata": {"name": "default"}, **({"spec": spec} if spec is not None else {})})
    assert store.settings() == settings
    assert (group == CALICO_V1) == (store.config == IPAM_CONFIGS)


def test_pools_come_by_name_and_broken_ones_are_left_out(api: t.Any) -> None:
    store = KubernetesStore(api)
    dying = {"name": "b", "deletionTimestamp": "2026-08-20T11:02:40Z"}
    for metadata, cidr in (
        ({"name": "c"}, "10.1.0.0/16"),
        (dying, "10.2.0.0/16"),
        ({**dying, "name": "a", "annotations": {"projectcalico.org/metadata": "{}"}}, "10.3.0.0/16"),
        ({"name": "x"}, "nonsense"),
    ):
        api.create(IP_POOLS, {"metadata": metadata, "spec": {"cidr": cidr}})
    assert [(pool.name, pool.terminating) for pool in store.pools()] == [("a", False), ("b", True), ("c", False)]


def test_reservations_and_node_labels(api: t.Any) -> None:
    store = KubernetesStore(api)
    assert not store.reservations().any(4)
    api.create(IP_RESERVATIONS, {"metadata": {"name": "r"}, "spec": {"reservedCIDRs": ["10.0.0.1", "bad"]}})
    assert store.reservations().count(parse_network("10.0.0.0/30")) == 1
    with pytest.raises(NotFoundInStore):
        store.node_labels("n")
    annotations = {"projectcalico.org/labels": '{"rack":"7","zone":"overruled"}'}
    api.create(NODES, {"metadata": {"name": "n", "labels": {"zone": "a"}, "annotations": annotations}})
    assert store.node_labels("n") == {"rack": "7", "zone": "a"}


@pytest.mark.parametrize("group", [CALICO_V1, CALICO_V3])
def test_a_whole_life_leaves_nothing_behind(api: t.Any, group: str) -> None:
    store = seed(api, group)
    asked = AssignRequest("worker-7", num_v4=6, handle_id="Net.abc", attributes={"pod": "cart"})
    assert auto_assign(store, asked, now=now).problem is None
    assert len(store.list_blocks()) == 2
    raw = api.list(store.blocks).items[0]["spec"]
    assert raw["affinityClaimTime"] == "2026-08-20T09:14:05Z"
    assert raw["attributes"] == [{"handle_id": "Net.abc", "secondary": {"pod": "cart"}}]
    assert all(isinstance(number, int) for number in raw["sequenceNumberForAllocation"].values())
    assert release_by_handle(store, "Net.abc", now=now) == 6
    release_pool_affinities(store, parse_network("10.77.4.0/24"), now=now)
    left = prove_clean(store, parse_network("10.77.4.0/24"))
    assert (left.blocks, left.affinities) == ((), ())
    assert [count for _handle, _cidr, count in left.handles] == [2]  # the excess that Calico leaves, too
    assert [thing["metadata"]["name"] for thing in api.list(store.handles).items] == ["net.abc"]


def test_blocks_are_streamed_page_by_page_where_the_api_can(api: t.Any) -> None:
    store = KubernetesStore(api)
    store.create_block(new_block(CIDR, 1))
    assert [raw["spec"]["cidr"] for raw in store.raw_blocks()] == ["10.77.4.8/30"]

    class Page:
        items: t.ClassVar[list[t.Any]] = [{"spec": {"cidr": "page"}}]

    api.pages = lambda resource: iter([Page(), Page()])
    assert [raw["spec"]["cidr"] for raw in store.raw_blocks()] == ["page", "page"]


def test_handles_keep_the_case_of_their_id(api: t.Any) -> None:
    store = seed(api)
    auto_assign(store, AssignRequest("worker-7", num_v4=1, handle_id="Net.ABC"), now=now)
    assert api.get(IPAM_HANDLES, "net.abc")["spec"]["handleID"] == "Net.ABC"
