# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hypothesis strategies: Calico's IPAM records as they may be stored, of every age, and damaged ones.

``blocks``, ``affinities``, ``handles`` and ``settings`` are sound records with every freedom the formats leave
(spec ipam-engine.md §2.2, §22): null or missing members, text instead of booleans, members of later releases
anywhere. ``damaged(strategy)`` changes a sound record somewhere, in a way that may or may not make it unsound.
"""

from __future__ import annotations

import copy
import json
import typing as t

from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    affinity_labels,
    affinity_name,
    block_name,
    handle_name,
)

Object = t.Dict[str, t.Any]

GROUPS = st.sampled_from([CALICO_V1, CALICO_V3])
SEQUENCES = st.integers(1787217245204418000, (1 << 64) - 1) | st.integers(0, 9)
TIMES = st.sampled_from(["2026-08-20T09:14:05Z", "2026-08-20T11:02:40Z", "2026-08-20T09:14:05.25+02:00"])
HOSTS = st.sampled_from(["worker-7", "node-1", "a" * 63, "h" * 250, "x.y-z"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=12)

# Anything JSON can hold, for members that we do not know.
UNKNOWN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
LATER = st.dictionaries(st.sampled_from(["later", "x-1", "newField", "ZZ"]), UNKNOWN, max_size=2)


@st.composite
def networks(draw: st.DrawFn, most: int = 4) -> Network:
    """Blocks of at most ``2 ** most`` addresses."""
    version = draw(st.sampled_from([4, 6]))
    bits = 32 if version == 4 else 128
    prefix = bits - draw(st.integers(0, most))
    base = draw(st.sampled_from([10 << 24, 192 << 24 | 168 << 16] if version == 4 else [0xFD << 120, 0x2001 << 112]))
    value = base + (draw(st.integers(0, 1 << 12)) << (bits - prefix))
    return Network(version, value, prefix)


def _kept(draw: st.DrawFn, members: Object, *optional: str) -> Object:
    """``members``, those named left out or null now and then, with unknown ones between them."""
    for name in optional:
        spelled = draw(st.sampled_from(["as it is", "as it is", "null", "missing"]))
        if spelled == "null":
            members[name] = None
        elif spelled == "missing":
            members.pop(name, None)
    return {**draw(LATER), **members}


def _record(draw: st.DrawFn, group: str, kind: str, name: str, spec: Object, labels: Object | None = None) -> Object:
    metadata: Object = {"name": name, "resourceVersion": "88120", "uid": "7e0c6c1e"}
    if labels and draw(st.booleans()):
        metadata["labels"] = labels
    if group == CALICO_V1 and draw(st.booleans()):
        packed = draw(st.sampled_from(["{}", '{"creationTimestamp":null}', "not JSON", json.dumps({"labels": labels})]))
        metadata["annotations"] = {"projectcalico.org/metadata": packed, "mine": "kept"}
    version = "v1" if group == CALICO_V1 else "v3"
    thing = {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": {**draw(LATER), **metadata}, "spec": spec}
    return {**draw(LATER), **thing}


@st.composite
def attributes(draw: st.DrawFn) -> Object:
    owner = st.dictionaries(
        st.sampled_from(["node", "pod", "namespace", "type", "vmi-name", "note"]), TEXTS, max_size=4
    )
    if draw(st.integers(0, 4)) == 0:
        entry: Object = {"releasedAt": draw(TIMES)}
    else:
        entry = {"handle_id": draw(st.sampled_from(["k8s-pod-network.9d", "ipip-tunnel-addr-n", "Old\r"]) | TEXTS)}
        if draw(st.booleans()):
            entry["alternateOwnerAttrs"] = draw(owner)
        entry["secondary"] = draw(owner)
    return _kept(draw, entry, "handle_id", "secondary")


@st.composite
def blocks(draw: st.DrawFn, groups: st.SearchStrategy[str] = GROUPS) -> Object:
    cidr = draw(networks())
    entries = draw(st.lists(attributes(), max_size=4))
    index = st.none() | st.integers(0, len(entries) - 1) if entries else st.none()
    allocations = draw(st.lists(index, min_size=cidr.size, max_size=cidr.size))
    free = [ordinal for ordinal, index in enumerate(allocations) if index is None]
    numbers = {str(o): draw(SEQUENCES) for o, index in enumerate(allocations) if index is not None}
    if draw(st.booleans()):
        numbers["07"] = draw(SEQUENCES)
    spec: Object = {
        "cidr": str(cidr),
        "affinity": draw(st.sampled_from(["host:worker-7", "virtual:load-balancer", "", "worker-7"])),
        "affinityClaimTime": draw(TIMES),
        "allocations": allocations,
        "unallocated": draw(st.permutations(free)),
        "attributes": entries,
        "sequenceNumber": draw(SEQUENCES),
        "sequenceNumberForAllocation": numbers,
        "deleted": draw(st.booleans()),
        "strictAffinity": draw(st.booleans()),
    }
    optional = ["affinity", "affinityClaimTime", "sequenceNumber", "sequenceNumberForAllocation", "deleted"]
    optional += ["strictAffinity"]
    optional += [] if entries else ["attributes"]
    optional += [] if free else ["unallocated"]
    return _record(draw, draw(groups), "IPAMBlock", block_name(cidr), _kept(draw, spec, *optional))


@st.composite
def affinities(draw: st.DrawFn, groups: st.SearchStrategy[str] = GROUPS) -> Object:
    cidr, host, group = draw(networks()), draw(HOSTS), draw(groups)
    spec: Object = {
        "state": draw(st.sampled_from(["pending", "confirmed", "pendingDeletion", ""])),
        "node": host,
        "type": draw(st.sampled_from(["host", "virtual", ""])),
        "cidr": str(cidr),
        "deleted": draw(st.sampled_from(["true", "false", ""]) if group == CALICO_V1 else st.booleans()),
    }
    labels = affinity_labels(host, spec["type"], cidr.version)
    spec = _kept(draw, spec, "state", "type", "deleted")
    return _record(draw, group, "BlockAffinity", affinity_name(host, cidr), spec, labels)


@st.composite
def handles(draw: st.DrawFn, groups: st.SearchStrategy[str] = GROUPS) -> Object:
    handle = draw(st.sampled_from(["k8s-pod-network.9d1e44b0c7", "Net.ABC", "vxlan-tunnel-addr-worker-7"]))
    counts = draw(st.dictionaries(networks().map(str), st.integers(0, 1 << 40), max_size=3))
    spec = {"handleID": handle, "block": counts, "deleted": draw(st.booleans())}
    spec = _kept(draw, spec, "block", "deleted", *(["handleID"] if handle.islower() else []))
    return _record(draw, draw(groups), "IPAMHandle", handle_name(handle), spec)


@st.composite
def settings(draw: st.DrawFn, groups: st.SearchStrategy[str] = GROUPS) -> Object:
    group = draw(groups)
    spec: Object = {
        "strictAffinity": draw(st.booleans()),
        "autoAllocateBlocks": draw(st.booleans()),
        "maxBlocksPerHost": draw(st.integers(0, 30)),
        "kubeVirtVMAddressPersistence": draw(st.sampled_from(["Enabled", "Disabled"])),
        "ipCooldownSeconds": draw(st.integers(0, 1200)),
    }
    thing = _record(
        draw,
        group,
        "IPAMConfig" if group == CALICO_V1 else "IPAMConfiguration",
        "default",
        _kept(draw, spec, *spec),
    )
    if draw(st.integers(0, 9)) == 0:
        del thing["spec"]
    return thing


HOSTILE = st.sampled_from(
    [
        None, True, False, 0, -1, 1, 7, 1 << 53, 1 << 64, -(1 << 70), 10**30, 1.0, 1.5, 1.787e18, float("nan"),
        "", "x", "0", "07", "-1", "10.0.0.1/24", "10.0.0.0/99", "::ffff:10.0.0.0/120", "FD00::/122", "a" * 4000,
        "\ud800", "\x00", "true", "2026-13-40T99:99:99Z",
        [], [None], [0], [[]], [True], [1.0], ["0"], {}, {"a": 1}, {"a": None},
        {"cidr": "x"}, [{}], [{"handle_id": 1}], [{"secondary": {"a": 1}}], [{"secondary": []}], [{"releasedAt": 5}],
    ]
)  # fmt: skip


def _places(thing: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    if path:
        yield path
    inside = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    for key, value in inside:
        yield from _places(value, (*path, key))


@st.composite
def damaged(draw: st.DrawFn, records: st.SearchStrategy[Object]) -> t.Any:
    """A sound record with up to three members replaced, removed, doubled or renamed."""
    thing: t.Any = copy.deepcopy(draw(records))
    for _change in range(draw(st.integers(1, 3))):
        places = list(_places(thing))
        if not places:
            return thing
        *way, last = draw(st.sampled_from(places))
        inside = thing
        for step in way:
            inside = inside[step]
        change = draw(st.sampled_from(["replace", "replace", "replace", "remove", "double", "rename"]))
        if change == "replace":
            inside[last] = draw(HOSTILE | UNKNOWN)
        elif change == "remove":
            del inside[last]
        elif isinstance(inside, list):
            inside.append(copy.deepcopy(inside[last]))
        elif change == "rename":
            inside[draw(TEXTS)] = inside.pop(last)
    return thing
