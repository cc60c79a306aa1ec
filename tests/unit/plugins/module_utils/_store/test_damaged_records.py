# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A store among whose records some are damaged: refused, or reported and left out, as its user asked."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3, NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

CIDR = parse_network("10.77.4.8/30")
ALL = parse_network("10.0.0.0/8")

LISTS: dict[str, tuple[str, t.Callable[[KubernetesStore], t.Any], int]] = {
    "list_blocks": ("10-77-4-12-30", lambda store: store.list_blocks(), 1),
    "blocks_in": ("10-77-4-12-30", lambda store: store.blocks_in(ALL), 1),
    "block_index": ("10-77-4-12-30", lambda store: store.block_index(), 1),
    "list_affinities": ("worker-7-lost", lambda store: store.list_affinities(), 1),
    "list_handles": ("bad", lambda store: store.list_handles(), 1),
    "handles_in": ("bad", lambda store: store.handles_in(ALL), 1),
}


@pytest.fixture(params=[CALICO_V1, CALICO_V3])
def group(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def damaged(api: t.Any, group: str) -> t.Any:
    """One sound record of each kind, and a damaged one."""
    store = KubernetesStore(api, group)
    store.create_block(new_block(CIDR, 1, "host:worker-7"))
    store.create_affinity(Affinity("worker-7", "host", CIDR, "confirmed"))
    store.create_handle(Handle("good", {CIDR: 1}))
    for resource, name, spec in (
        (store.blocks, "10-77-4-12-30", {"cidr": "10.77.4.12/30", "allocations": [0] * 4, "attributes": []}),
        (store.affinities, "worker-7-lost", {"node": "worker-7", "cidr": "10.77.4.12/30", "state": "confirmed"}),
        (store.handles, "bad", {"handleID": "bad", "block": {"10.77.4.8/30": "1"}}),
    ):
        api.create(resource, {"kind": resource.kind, "metadata": {"name": name}, "spec": spec})
    return api


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_refused_or_goes_on_without(damaged: t.Any, group: str, name: str) -> None:
    bad, read, sound = LISTS[name]
    with pytest.raises(CorruptRecord) as caught:
        read(KubernetesStore(damaged, group))
    assert caught.value.details["name"] == bad
    found: list[CorruptRecord] = []
    assert len(read(KubernetesStore(damaged, group, on_corrupt=found.append))) == sound
    assert [error.details["name"] for error in found] == [bad]


def test_one_damaged_record_is_refused_always(damaged: t.Any, group: str) -> None:
    store = KubernetesStore(damaged, group, on_corrupt=lambda error: None)
    with pytest.raises(CorruptRecord):
        store.get_block(parse_network("10.77.4.12/30"))
    with pytest.raises(CorruptRecord):
        store.get_handle("bad")


def test_raw_records_are_all_of_them(damaged: t.Any, group: str) -> None:
    store = KubernetesStore(damaged, group)
    names = [sorted(x["metadata"]["name"] for x in raw()) for raw in (store.raw_blocks, store.raw_affinities)]
    assert names == [["10-77-4-12-30", "10-77-4-8-30"], ["worker-7-10-77-4-8-30", "worker-7-lost"]]
    assert [x["metadata"]["name"] for x in store.raw_handles()] == ["bad", "good"]


def test_damage_elsewhere_does_not_matter_to_a_range(damaged: t.Any, group: str) -> None:
    store = KubernetesStore(damaged, group)
    assert [stored.value.cidr for stored in store.blocks_in(CIDR)] == [CIDR]


def test_deletes_are_finished_around_damaged_records(damaged: t.Any, group: str) -> None:
    found: list[CorruptRecord] = []
    store = KubernetesStore(damaged, group, on_corrupt=found.append)
    for resource in (store.blocks, store.affinities, store.handles):
        for thing in damaged.objects[(resource.group, resource.plural)].values():
            thing["spec"]["deleted"] = "true" if resource == store.affinities and group == CALICO_V1 else True
    store.finish_deletes(CIDR)
    assert [len(list(raw())) for raw in (store.raw_blocks, store.raw_affinities, store.raw_handles)] == [1, 1, 1]
    assert [error.details["kind"] for error in found] == ["IPAMHandle"]


@pytest.mark.parametrize("text", ["5", "[", "{", "[1]", '"x"', "null", "[" * 100_000])
def test_labels_of_a_node_that_cannot_be_read_are_not_there(api: t.Any, text: str) -> None:
    annotations = {"projectcalico.org/labels": text}
    api.create(NODES, {"metadata": {"name": "n", "labels": {"zone": "a"}, "annotations": annotations}})
    assert KubernetesStore(api).node_labels("n") == {"zone": "a"}


def test_tools_see_rows_that_calicos_own_lists_miss(api: t.Any, group: str) -> None:
    """§2.3: rows without labels, with an empty type label, or under the hash of another host."""
    store = KubernetesStore(api, group)
    rows = {"10.0.0.0/30": None, "10.0.0.4/30": {"projectcalico.org/affinity-type": ""}}
    for cidr, labels in rows.items():
        name = f"worker-7-{cidr.translate(str.maketrans('./', '--'))}"
        spec = {"node": "worker-7", "cidr": cidr, "state": "confirmed"}
        metadata = {"name": name, **({"labels": labels} if labels else {})}
        api.create(store.affinities, {"kind": "BlockAffinity", "metadata": metadata, "spec": spec})
    assert store.list_affinities("worker-7", "host") == []
    assert [str(stored.value.cidr) for stored in store.list_affinities()] == list(rows)
    assert {stored.value.type for stored in store.list_affinities()} == {"host"}
    assert len(list(store.raw_affinities())) == 2
