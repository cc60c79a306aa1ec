# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Records in custom resources: read and written back, changed in one place, and damaged (spec ipam-engine.md §2)."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import typing as t
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from strategies_wire import Object, affinities, blocks, handles, settings

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CALICO_V3,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import affinity_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire

CIDR = "10.77.4.8/30"
NAME = "10-77-4-8-30"
NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
often = hypothesis_settings(
    max_examples=5000 if NIGHTLY else 100,
    deadline=None,
    derandomize=not NIGHTLY,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def resource_of(thing: Object) -> t.Any:
    kinds = {"IPAMBlock": IPAM_BLOCKS, "BlockAffinity": BLOCK_AFFINITIES, "IPAMHandle": IPAM_HANDLES}
    resource = kinds.get(thing["kind"], IPAM_CONFIGS)
    group, _slash, version = thing["apiVersion"].partition("/")
    return replace(resource, group=group, version=version)


def coders(thing: Object) -> tuple[t.Callable[[Object], t.Any], t.Callable[..., Object]]:
    if thing["kind"] == "IPAMBlock":
        return wire.decode_block, wire.encode_block
    if thing["kind"] == "BlockAffinity":
        return wire.decode_affinity, wire.encode_affinity
    if thing["kind"] == "IPAMHandle":
        return wire.decode_handle, wire.encode_handle
    return partial(wire.decode_settings, group=resource_of(thing).group), wire.encode_settings


def canonical(thing: t.Any) -> str:
    return json.dumps(thing, sort_keys=True)


def differences(before: t.Any, after: t.Any, path: str = "") -> set[str]:
    """The paths at which two objects differ, elements of lists not told apart."""
    if isinstance(before, dict) and isinstance(after, dict):
        missing = object()
        found: set[str] = set()
        for key in before.keys() | after.keys():
            found |= differences(before.get(key, missing), after.get(key, missing), f"{path}.{key}".lstrip("."))
        return found
    return set() if type(before) is type(after) and before == after else {path}


@often
@given(st.one_of(blocks(), affinities(), handles(), settings()))
def test_what_is_read_and_written_back_is_equal(thing: Object) -> None:
    text = canonical(thing)
    decode, encode = coders(thing)
    value = decode(thing)
    # An equal value, not the same one.
    again = encode(decode(copy.deepcopy(thing)), resource_of(thing), thing)
    assert canonical(again) == text
    assert canonical(thing) == text, "the object that was read is not touched"
    # A new object for the same value is read as the same value.
    assert decode(encode(value, resource_of(thing))) == value or thing["kind"] == "IPAMBlock"


@often
@given(st.one_of(blocks(), affinities(), handles(), settings()), st.data())
def test_a_change_touches_nothing_else(thing: Object, data: st.DataObject) -> None:
    decode, encode = coders(thing)
    value = decode(thing)
    name, changed, touched = data.draw(st.sampled_from(list(changes(value))))
    written = encode(changed, resource_of(thing), thing)
    assert decode(written) == changed, name
    needed = {f"spec.{member}" for member in NEEDED[thing["kind"]] if (thing.get("spec") or {}).get(member) is None}
    if "spec" not in thing:
        needed.add("spec")
    allowed = touched | needed
    if thing["kind"] == "BlockAffinity":
        allowed |= {f"metadata.labels.{label}" for label in LABELS} | {"metadata.labels", PACKED}
    assert {path for path in differences(thing, written) if not path.startswith(tuple(allowed))} == set(), name
    if thing["kind"] == "BlockAffinity":
        labels = written["metadata"]["labels"]
        assert labels["projectcalico.org/affinity-type"] == changed.type
        assert labels.keys() >= LABELS


NEEDED = {
    "IPAMBlock": ("allocations", "unallocated", "attributes", "strictAffinity"),
    "BlockAffinity": ("state", "deleted"),
    "IPAMHandle": ("handleID", "block"),
    "IPAMConfig": ("strictAffinity", "autoAllocateBlocks"),
    "IPAMConfiguration": ("strictAffinity", "autoAllocateBlocks"),
}
LABELS = {f"projectcalico.org/{name}" for name in ("hostname-hash", "affinity-type", "ip-version")}
PACKED = "metadata.annotations.projectcalico.org/metadata"


def changes(value: t.Any) -> t.Iterator[tuple[str, t.Any, set[str]]]:
    """Every kind of change to a value: its name, the new value, the paths it concerns."""
    if hasattr(value, "allocations"):
        sequence = (value.sequence + 1) % (1 << 64)
        yield "sequence", replace(value, sequence=sequence), {"spec.sequenceNumber"}
        yield "deleted", replace(value, deleted=not value.deleted), {"spec.deleted"}
        yield "owner", replace(value, affinity="host:new"), {"spec.affinity"}
        yield "no owner", replace(value, affinity=None, claim_time=None), {"spec.affinity", "spec.affinityClaimTime"}
        numbers = {**value.sequences, 0: 5}
        yield "number", replace(value, sequences=numbers), {"spec.sequenceNumberForAllocation"}
        if value.unallocated:
            taken = value.unallocated[0]
            allocations = list(value.allocations)
            allocations[taken] = len(value.attributes)
            after = replace(
                value,
                allocations=tuple(allocations),
                unallocated=value.unallocated[1:],
                attributes=(*value.attributes, Attribute("new", {"pod": "p"})),
            )
            yield "assign", after, {"spec.allocations", "spec.unallocated", "spec.attributes"}
    elif hasattr(value, "state"):
        state = "confirmed" if value.state != "confirmed" else "pending"
        yield "state", replace(value, state=state), {"spec.state"}
        yield "deleted", replace(value, deleted=not value.deleted), {"spec.deleted"}
    elif hasattr(value, "blocks"):
        yield "count", replace(value, blocks={**value.blocks, parse_network("10.0.0.0/30"): 1 << 50}), {"spec.block"}
        yield "deleted", replace(value, deleted=not value.deleted), {"spec.deleted"}
    else:
        yield "cooldown", replace(value, cooldown_seconds=value.cooldown_seconds ^ 1), {"spec.ipCooldownSeconds"}
        yield "strict", replace(value, strict_affinity=not value.strict_affinity), {"spec.strictAffinity"}


@often
@given(blocks(), st.data())
def test_attributes_keep_their_spelling_wherever_they_move(thing: Object, data: st.DataObject) -> None:
    block = wire.decode_block(thing)
    order = data.draw(st.permutations(range(len(block.attributes))))
    places = {old: new for new, old in enumerate(order)}
    moved = replace(
        block,
        attributes=tuple(block.attributes[old] for old in order),
        allocations=tuple(None if index is None else places[index] for index in block.allocations),
    )
    written = wire.encode_block(moved, resource_of(thing), thing)["spec"].get("attributes") or []
    assert canonical(written) == canonical([thing["spec"]["attributes"][old] for old in order])


def raw(kind: str = "IPAMBlock", name: str = NAME, **spec: t.Any) -> Object:
    return {"apiVersion": "crd.projectcalico.org/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


GOOD: Object = {
    "cidr": CIDR,
    "allocations": [0, None, None, None],
    "unallocated": [1, 2, 3],
    "attributes": [{"handle_id": "h", "secondary": {"pod": "p"}}],
    "sequenceNumber": 9,
    "sequenceNumberForAllocation": {"0": 8},
}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"cidr": "10.77.4.9/30"}, "has a bad CIDR"),
        ({"cidr": 10}, "has no CIDR"),
        ({"cidr": "10.77.4.8/030"}, "spells its CIDR"),
        ({"cidr": "1" * 10_000_000}, "far too long"),
        ({"cidr": "10.77.4.12/30"}, "which has another name"),
        ({"allocations": [0, None, None]}, "has 3 allocations where its CIDR has 4 addresses"),
        ({"allocations": None}, "has allocations that are not a list"),
        ({"allocations": [True, None, None, None]}, "has allocations that are not a list of whole numbers"),
        ({"allocations": [0.0, None, None, None]}, "has allocations that are not a list of whole numbers"),
        ({"allocations": [-1, None, None, None]}, "outside its 1"),
        ({"allocations": [10**5000, None, None, None]}, "outside its 1"),
        ({"unallocated": [1, 2, 4]}, "lists a free ordinal outside its CIDR"),
        ({"unallocated": [1, 2, -1]}, "lists a free ordinal outside its CIDR"),
        ({"unallocated": [1, 2, 2]}, "lists a free ordinal twice"),
        ({"unallocated": [0, 1, 2]}, "lists an ordinal as free that is allocated"),
        ({"attributes": {}}, "has attributes that are not a list of objects"),
        ({"attributes": [None]}, "has attributes that are not a list of objects"),
        ({"attributes": [{"handle_id": 7}]}, "handle_id is not text"),
        ({"attributes": [{"secondary": ["pod"]}]}, "secondary is not a map"),
        ({"attributes": [{"secondary": {"pod": 7}}]}, "secondary is not a map of texts"),
        ({"attributes": [{"alternateOwnerAttrs": {"pod": None}}]}, "alternateOwnerAttrs is not a map of texts"),
        ({"attributes": [{"releasedAt": "yesterday"}]}, "releasedAt is not a time"),
        ({"affinityClaimTime": 1787217245}, "affinityClaimTime that is not a time"),
        ({"affinity": {"host": "n"}}, "affinity that is not text"),
        ({"deleted": "false"}, "deleted that is neither true nor false"),
        # A double holds 1787217245204418104 and not ...103: a number that came through one is worthless.
        ({"sequenceNumber": 1787217245204418104.0}, "sequenceNumber that is not a whole number"),
        ({"sequenceNumber": 1 << 64}, "unsigned 64-bit"),
        ({"sequenceNumber": -1}, "unsigned 64-bit"),
        ({"sequenceNumberForAllocation": {"0": 1.5}}, "not a map of whole numbers"),
        ({"sequenceNumberForAllocation": {"0": True}}, "not a map of whole numbers"),
        ({"sequenceNumberForAllocation": {"0": 10**5000}}, "unsigned 64-bit"),
        ({"sequenceNumberForAllocation": [1]}, "not a map of whole numbers"),
    ],
)
def test_a_damaged_block_is_refused_by_name(change: Object, fault: str) -> None:
    wire.decode_block(raw(**GOOD))
    with pytest.raises(CorruptRecord) as caught:
        wire.decode_block(raw(**{**GOOD, **change}))
    assert caught.value.message.startswith(f"IPAMBlock {NAME} ")
    assert caught.value.message.endswith(": repair it before anything is changed.")
    assert fault in caught.value.details["fault"]
    assert (caught.value.details["kind"], caught.value.details["name"]) == ("IPAMBlock", NAME)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("decode", [wire.decode_block, wire.decode_affinity, wire.decode_handle])
@pytest.mark.parametrize("thing", [None, [], "x", {}, {"spec": {}}, {"spec": []}, {"metadata": None, "spec": GOOD}])
def test_what_is_no_record_at_all(decode: t.Callable[[t.Any], t.Any], thing: t.Any) -> None:
    with pytest.raises(CorruptRecord):
        decode(thing)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"node": None}, "names no node"),
        ({"node": ["n"]}, "node that is not text"),
        ({"node": "worker-8"}, "another name"),
        ({"node": "w\ud800" + "x" * 300}, "node that is not text"),
        ({"state": "lost"}, "state that Calico does not know"),
        ({"type": "ghost"}, "type that Calico does not know"),
        ({"deleted": 1}, "neither true nor false"),
        ({"deleted": "yes"}, "neither true nor false"),
        ({"deleted": []}, "neither true nor false"),
        ({"cidr": "10.77.4.8"}, "bad CIDR"),
    ],
)
def test_a_damaged_affinity_is_refused_by_name(change: Object, fault: str) -> None:
    good = {"node": "worker-7", "cidr": CIDR, "state": "confirmed"}
    name = f"worker-7-{NAME}"
    wire.decode_affinity(raw("BlockAffinity", name, **good))
    with pytest.raises(CorruptRecord, match=f"^BlockAffinity {name} ") as caught:
        wire.decode_affinity(raw("BlockAffinity", name, **{**good, **change}))
    assert fault in caught.value.details["fault"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"handleID": "other"}, "another name"),
        ({"handleID": 7}, "handleID that is not text"),
        ({"block": [CIDR]}, "not a map of counts"),
        ({"block": {CIDR: 1.0}}, "whole number"),
        ({"block": {CIDR: True}}, "whole number"),
        ({"block": {CIDR: -1}}, "whole number"),
        ({"block": {"10.77.4.8/030": 1}}, "spells its CIDR"),
        ({"block": {"x": 1}}, "bad CIDR"),
        ({"deleted": "true"}, "neither true nor false"),
    ],
)
def test_a_damaged_handle_is_refused_by_name(change: Object, fault: str) -> None:
    good = {"handleID": "Net.A", "block": {CIDR: 1}}
    wire.decode_handle(raw("IPAMHandle", "net.a", **good))
    with pytest.raises(CorruptRecord, match=r"^IPAMHandle net\.a ") as caught:
        wire.decode_handle(raw("IPAMHandle", "net.a", **{**good, **change}))
    assert fault in caught.value.details["fault"]


@pytest.mark.parametrize("group", [CALICO_V1, CALICO_V3])
@pytest.mark.parametrize(
    "spec",
    [
        [],
        "x",
        {"strictAffinity": "true"},
        {"autoAllocateBlocks": 1},
        {"maxBlocksPerHost": 1.0},
        {"maxBlocksPerHost": -1},
        {"maxBlocksPerHost": True},
        {"ipCooldownSeconds": "30"},
        {"kubeVirtVMAddressPersistence": False},
    ],
)
def test_damaged_settings_are_refused_by_name(group: str, spec: t.Any) -> None:
    with pytest.raises(CorruptRecord, match="^IPAMConfig default "):
        wire.decode_settings({"kind": "IPAMConfig", "metadata": {"name": "default"}, "spec": spec}, group)


def test_a_huge_annotation_and_deep_nesting_pass_through() -> None:
    deep: t.Any = {}
    for _level in range(5000):
        deep = {"in": deep}
    thing = raw(**{**GOOD, "later": deep})
    thing["metadata"]["annotations"] = {"big": "x" * 10_000_000}
    block = wire.decode_block(thing)
    written = wire.encode_block(replace(block, sequence=10), IPAM_BLOCKS, thing)
    assert written["spec"]["later"] is deep
    assert written["metadata"] == thing["metadata"]
    row = raw("BlockAffinity", f"worker-7-{NAME}", node="worker-7", cidr=CIDR, state="pending")
    for packed in ("[" * 100_000, '{"labels":7}', "5", "{"):
        row["metadata"]["annotations"] = {"projectcalico.org/metadata": packed}
        value = replace(wire.decode_affinity(row), state="confirmed")
        assert wire.encode_affinity(value, BLOCK_AFFINITIES, row)["spec"]["state"] == "confirmed"


def test_an_ordinal_is_found_by_its_decimal_text_alone() -> None:
    numbers = {"0": 8, "00": 1, "07": 2, "+1": 3, "x": 4, "99": 5, "4097": 6, "": 7}
    thing = raw(**{**GOOD, "sequenceNumberForAllocation": numbers})
    block = wire.decode_block(thing)
    assert block.sequences == {0: 8}
    written = wire.encode_block(replace(block, sequences={1: 9}), IPAM_BLOCKS, thing)
    without = {key: number for key, number in numbers.items() if key != "0"}
    assert written["spec"]["sequenceNumberForAllocation"] == {**without, "1": 9}


def test_a_block_larger_than_calico_makes() -> None:
    size = 1 << 13
    spec = {
        "cidr": "10.0.0.0/19",
        "allocations": [0, *[None] * (size - 2), 0],
        "unallocated": list(range(1, size - 1)),
        "attributes": [{}],
        "sequenceNumberForAllocation": {"0": 1, "8191": 2, "8192": 3},
    }
    assert wire.decode_block(raw(name="10-0-0-0-19", **spec)).sequences == {0: 1, 8191: 2}


def test_the_name_of_a_row_of_a_long_host() -> None:
    """§2.1: first 252 - len(cidr name) - 13 characters of the host, CIDR name, 11 digits of SHA-256 over host+CIDR."""
    cidr = parse_network("10.77.4.8/30")
    fits = "h" * (252 - 1 - len("10-77-4-8-30"))
    assert affinity_name(fits, cidr) == f"{fits}-10-77-4-8-30"
    assert len(affinity_name(fits, cidr)) == 252
    long = "h" * 240
    digest = hashlib.sha256(b"h" * 240 + b"+" + b"10-77-4-8-30").hexdigest()
    assert digest.startswith("9a1dc73d15e")
    assert affinity_name(long, cidr) == "h" * (252 - 12 - 13) + "-10-77-4-8-30-" + digest[:11]
    assert len(affinity_name(long, cidr)) == 252
