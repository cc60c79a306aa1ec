# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records as etcd keeps them: the examples of spec ipam-engine.md §3, and what survives a write."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys, etcd_wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_wire import AFFINITY, BLOCK, HANDLE, Form

CIDR = parse_network("10.77.4.8/30")
BLOCK_KEY = "/calico/ipam/v2/assignment/ipv4/block/10.77.4.8-30"
ROW_KEY = "/calico/ipam/v2/host/worker-7/ipv4/block/10.77.4.8-30"
HANDLE_KEY = "/calico/ipam/v2/handle/k8s-pod-network.9D1e"

# The block of the specification, letter by letter.
EXAMPLE = """
{"cidr":"10.77.4.8/30","affinity":"host:worker-7","affinity_claim_time":"2026-08-20T09:14:05Z",
 "allocations":[0,1,2,null],"unallocated":[3],
 "attributes":[
  {"handle_id":"k8s-pod-network.9d1e44b0c7","secondary":{"namespace":"shop","node":"worker-7","pod":"cart-5c9",
   "timestamp":"2026-08-20 09:14:05.204418 +0000 UTC"}},
  {"handle_id":"vxlan-tunnel-addr-worker-7","secondary":{"node":"worker-7","type":"vxlanTunnelAddress"}},
  {"releasedAt":"2026-08-20T11:02:40Z"}],
 "sequenceNumber":1787217245204418104,
 "sequenceNumberForAllocation":{"0":1787217245204418101,"1":1787217245204418102,"2":1787217245204418103},
 "deleted":false}
"""


def read(form: Form, key: str, text: str | bytes) -> tuple[t.Any, t.Any]:
    """The custom resource and the value of a key."""
    row = Row(key, text.encode() if isinstance(text, str) else text, 7)
    thing = form.to_object(row, etcd_wire.members(row, form.kind))
    assert thing is not None
    return thing, form.decode(thing)


def written(form: Form, value: t.Any, origin: t.Any = None) -> t.Any:
    """What is written for a value, as JSON."""
    thing = form.encode(value, form.resource, origin)
    return json.loads(etcd_wire.to_bytes(form.to_members(thing, origin)))


def test_the_block_of_the_specification() -> None:
    thing, block = read(BLOCK, BLOCK_KEY, EXAMPLE)
    assert (block.cidr, block.owner, block.claim_time) == (CIDR, ("host", "worker-7"), "2026-08-20T09:14:05Z")
    assert block.attribute_at(0).handle_id == "k8s-pod-network.9d1e44b0c7"
    assert block.attribute_at(2).released_at == "2026-08-20T11:02:40Z"
    assert (block.sequence, block.sequences[2]) == (1787217245204418104, 1787217245204418103)
    assert written(BLOCK, block, thing) == json.loads(EXAMPLE)
    changed = written(BLOCK, replace(block, sequence=block.sequence + 1), thing)
    assert changed == {**json.loads(EXAMPLE), "sequenceNumber": 1787217245204418105}
    assert thing["metadata"] == {"name": "10-77-4-8-30", "resourceVersion": "7"}
    assert thing["spec"]["affinityClaimTime"] == "2026-08-20T09:14:05Z"


def test_new_records_have_calicos_members_alone() -> None:
    assert written(BLOCK, new_block(CIDR, 1787217245204418101, "host:a", "2026-08-20T09:14:05Z")) == {
        "cidr": "10.77.4.8/30",
        "affinity": "host:a",
        "affinity_claim_time": "2026-08-20T09:14:05Z",
        "allocations": [None] * 4,
        "unallocated": [0, 1, 2, 3],
        "attributes": [],
        "sequenceNumber": 1787217245204418101,
        "sequenceNumberForAllocation": {},
        "deleted": False,
    }
    assert written(AFFINITY, Affinity("worker-7", "host", CIDR, "pending")) == {"state": "pending", "deleted": False}
    assert written(HANDLE, Handle("Net.A", {CIDR: 2})) == {"block": {"10.77.4.8/30": 2}, "deleted": False}


def test_no_owner_is_null() -> None:
    thing, block = read(BLOCK, BLOCK_KEY, EXAMPLE)
    free = written(BLOCK, replace(block, affinity=None, claim_time=None), thing)
    assert free["affinity"] is None
    assert "affinity_claim_time" not in free


def test_an_owner_in_the_way_of_very_old_releases_is_kept_and_not_understood() -> None:
    text = (
        '{"cidr":"10.77.4.8/30","hostAffinity":"worker-7","allocations":[null,null,null,null],"unallocated":[0,1,2,3]}'
    )
    thing, block = read(BLOCK, BLOCK_KEY, text)
    assert block.owner is None
    assert written(BLOCK, replace(block, sequence=5), thing)["hostAffinity"] == "worker-7"


@pytest.mark.parametrize(
    ("text", "state"),
    [("", "confirmed"), ("{}", ""), ('{"state":"pendingDeletion","deleted":false}', "pendingDeletion")],
)
def test_affinity_rows(text: str, state: str) -> None:
    thing, row = read(AFFINITY, ROW_KEY, text)
    assert row == Affinity("worker-7", "host", CIDR, state)
    assert thing["metadata"]["name"] == "worker-7-10-77-4-8-30"
    changed = written(AFFINITY, replace(row, state="pending"), thing)
    assert changed == {"state": "pending", "deleted": False}


def test_a_handle_has_its_id_in_the_key() -> None:
    thing, handle = read(HANDLE, HANDLE_KEY, '{"block":{"10.77.4.8/30":1},"deleted":false,"new":[1]}')
    assert handle == Handle("k8s-pod-network.9D1e", {CIDR: 1})
    assert thing["spec"]["handleID"] == "k8s-pod-network.9D1e"
    assert written(HANDLE, replace(handle, blocks={CIDR: 2}), thing) == {
        "block": {"10.77.4.8/30": 2},
        "deleted": False,
        "new": [1],
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"strict_affinity":true,"auto_allocate_blocks":true,"maxBlocksPerHost":4,'
         '"kubeVirtVMAddressPersistence":"Enabled","ipCooldownSeconds":30}', Settings(True, True, 4, "Enabled", 30)),
        ("{}", Settings(False, False)),
        ('{"auto_allocate_blocks":true}', Settings()),
        ('{"kubeVirtVMAddressPersistence":"Disabled","strict_affinity":null}', Settings(False, False, 0, "Disabled")),
    ],
)  # fmt: skip
def test_settings(text: str, expected: Settings) -> None:
    row = Row(etcd_keys.SETTINGS, text.encode(), 1)
    before = etcd_wire.members(row, "settings")
    assert etcd_wire.decode_settings(row) == expected
    kept = {member: value for member, value in before.items() if value}
    assert etcd_wire.encode_settings(expected, before) == kept


def test_settings_leave_out_what_is_false_or_zero() -> None:
    assert etcd_wire.encode_settings(Settings()) == {"auto_allocate_blocks": True}
    before = {"maxBlocksPerHost": 3, "strict_affinity": True, "other": 1, "kubeVirtVMAddressPersistence": "Disabled"}
    assert etcd_wire.encode_settings(Settings(False, True), before) == {
        "auto_allocate_blocks": True,
        "kubeVirtVMAddressPersistence": "Enabled",
        "other": 1,
    }


@pytest.mark.parametrize("text", ["{", "[]", "7", '"x"', "null", '{"x":NaN}', '{"x":1e999}', "\xff" * 3, "[" * 100000])
def test_what_is_no_json_object_is_named_with_its_key(text: str) -> None:
    row = Row(BLOCK_KEY, text.encode("latin-1"), 1)
    with pytest.raises(CorruptRecord, match=r"Block at the etcd key /calico/ipam/v2/assignment\S+ is no JSON") as met:
        etcd_wire.members(row, "Block")
    assert met.value.details["fault"] in ("is no JSON", "is no JSON object")
    thing = etcd_wire.block_object(row, etcd_wire.members_or_none(row))
    assert thing is not None
    with pytest.raises(CorruptRecord, match="IPAMBlock 10-77-4-8-30 has no spec"):
        BLOCK.decode(thing)


def test_a_block_under_the_key_of_another_is_corrupt() -> None:
    with pytest.raises(CorruptRecord):
        read(BLOCK, BLOCK_KEY.replace("8-30", "12-30"), EXAMPLE)
    with pytest.raises(CorruptRecord, match="holds the block fd00::/122"):
        etcd_wire.check_key(
            Row("/calico/ipam/v2/assignment/ipv6/block/fd00:0::-122", b"", 1), parse_network("fd00::/122")
        )


# Whatever Calico of any release may have stored in a block of four addresses.

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
_unknown = st.dictionaries(st.text(max_size=4).map(lambda name: f"x{name}"), _json, max_size=2)
_owners = st.none() | st.dictionaries(st.sampled_from(["pod", "node", "é"]), st.text(max_size=3), max_size=2)
_missing = object()


@st.composite
def _members(draw: t.Any, optional: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    found = draw(_unknown)
    for member, values in optional.items():
        value = draw(st.just(_missing) | values)
        if value is not _missing:
            found[member] = value
    return t.cast("dict[str, t.Any]", found)


_attributes = _members(
    {"handle_id": st.none() | st.sampled_from(["a", "B"]), "secondary": _owners, "alternateOwnerAttrs": _owners}
)


@st.composite
def _blocks(draw: t.Any) -> dict[str, t.Any]:
    attributes = draw(st.lists(_attributes, max_size=4))
    allocations = [
        draw(st.none() | st.integers(0, len(attributes) - 1)) if attributes else None for _ordinal in range(4)
    ]
    free = [ordinal for ordinal, index in enumerate(allocations) if index is None]
    body = draw(
        _members(
            {
                "affinity": st.sampled_from([None, "host:a", "virtual:load-balancer"]),
                "affinity_claim_time": st.sampled_from([None, "2026-08-20T09:14:05Z"]),
                "sequenceNumber": st.integers(0, 2**63 - 1),
                "sequenceNumberForAllocation": st.none() | st.just({}),
                "deleted": st.booleans(),
                "strictAffinity": st.booleans(),
                "hostAffinity": st.none() | st.just("a"),
            }
        )
    )
    body.update(cidr="10.77.4.8/30", allocations=allocations, unallocated=draw(st.permutations(free)))
    body["attributes"] = attributes if attributes else draw(st.sampled_from([[], None]))
    return t.cast("dict[str, t.Any]", body)


def canonical(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True)


@given(_blocks())
def test_a_block_keeps_every_member_that_does_not_change(body: dict[str, t.Any]) -> None:
    row = Row(BLOCK_KEY, json.dumps(body).encode(), 1)
    thing, block = read(BLOCK, BLOCK_KEY, row.value)
    assert BLOCK.encode(block, BLOCK.resource, thing) is thing, "what did not change is written with the bytes it had"
    moved = replace(block, sequence=block.sequence + 1)
    expected = {"affinity": None, **body, "sequenceNumber": block.sequence + 1}
    result = written(BLOCK, moved, thing)
    assert canonical({**result, "attributes": result["attributes"] or []}) == canonical(
        {**expected, "attributes": expected["attributes"] or []}
    )
    assert read(BLOCK, BLOCK_KEY, json.dumps(result))[1] == moved


@given(_members({"block": st.none() | st.just({"10.77.4.8/30": 2, "fd00::/122": 1}), "deleted": st.booleans()}))
def test_a_handle_keeps_every_member_that_does_not_change(body: dict[str, t.Any]) -> None:
    thing, handle = read(HANDLE, HANDLE_KEY, json.dumps(body))
    assert HANDLE.encode(handle, HANDLE.resource, thing) is thing
    result = written(HANDLE, replace(handle, blocks={CIDR: 9}), thing)
    assert canonical(result) == canonical({**body, "block": {"10.77.4.8/30": 9}})


@given(_members({"state": st.sampled_from(["", "pending", "confirmed", "pendingDeletion"]), "deleted": st.just(False)}))
def test_a_row_keeps_every_member_that_does_not_change(body: dict[str, t.Any]) -> None:
    thing, row = read(AFFINITY, ROW_KEY, json.dumps(body))
    assert AFFINITY.encode(row, AFFINITY.resource, thing) is thing
    result = written(AFFINITY, replace(row, state="other"), thing)
    assert canonical(result) == canonical({"deleted": False, **body, "state": "other"})
