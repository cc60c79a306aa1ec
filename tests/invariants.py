# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The invariants of Calico's IPAM records (spec ipam-engine.md §21), judged on records as they are stored.

Nothing here knows the engine: records are objects in the shape of the Kubernetes custom resources (group v1 or
v3), as the API, ``raw_blocks()`` and its sisters, or ``state_of_memory`` give them::

    from invariants import History, check, state_of_api

    problems = check(state_of_api(api))                     # [] or violations with number, objects, sentence
    history = History()                                     # number 9 over time: hand it one state after another
    problems += history.see(state)

``check`` judges 1 to 20, 22 to 26 and 32; what only the moment of a write can tell (9, 21, 27 to 31) is judged by
``write_judge``. Levels as in the specification: ``H`` must hold at rest, ``T`` not while a write sequence runs or
after a crash (``at_rest=False`` leaves them out), ``bound`` is an inequality, ``W`` is judged when writing.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import typing as t
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

Object = t.Mapping[str, t.Any]
Net = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

LEVELS: dict[int, str] = {
    **dict.fromkeys(range(1, 21), "H"),
    17: "T",
    18: "T",
    21: "bound",
    22: "H",
    23: "bound",
    24: "T",
    25: "H",
    26: "H",
    **dict.fromkeys(range(27, 33), "W"),
}
STATES = ("pending", "confirmed", "pendingDeletion", "")
WINDOWS = "windows-reserved-ipam-handle"
_LABEL = "projectcalico.org/"


class Violation(t.NamedTuple):
    """One broken invariant: its number, the names of the objects, one sentence."""

    number: int
    objects: tuple[str, ...]
    sentence: str

    @property
    def level(self) -> str:
        return LEVELS[self.number]

    def __str__(self) -> str:
        return f"{self.number} ({self.level}) {', '.join(self.objects)}: {self.sentence}"


@dataclass(frozen=True)
class Holder:
    """Who must have an address: a running pod, a tunnel device, a Service.

    ``handle`` None: not known; then ``attributes`` must be among those stored.
    """

    address: str
    handle: str | None = None
    attributes: t.Mapping[str, str] = field(default_factory=dict)
    name: str = "a holder"


@dataclass(frozen=True)
class State:
    """One moment. ``nodes`` None: not known (22 is not judged). ``named``: records carry Kubernetes names."""

    blocks: t.Sequence[Object] = ()
    rows: t.Sequence[Object] = ()
    handles: t.Sequence[Object] = ()
    pools: t.Sequence[Object] = ()
    nodes: t.Collection[str] | None = None
    settings: t.Mapping[str, t.Any] | None = None
    holders: t.Sequence[Holder] = ()
    now: datetime = datetime(2026, 8, 20, tzinfo=timezone.utc)
    named: bool = True

    def cleaned(self) -> State:
        """Without the records whose soft delete has begun."""
        return replace(self, blocks=_living(self.blocks), rows=_living(self.rows), handles=_living(self.handles))


def check(
    state: State,
    *,
    at_rest: bool = True,
    empty_ownerless: bool = False,
    vanished: t.Collection[str] = (),
    skew: timedelta = timedelta(0),
) -> list[Violation]:
    """Every violation of one moment.

    ``at_rest`` False leaves out what a running or cut write sequence may break. ``empty_ownerless``: a cooldown
    was set, or something crashed, so 14 is not judged. ``vanished``: hosts whose Node was deleted and not collected.
    """
    state = state.cleaned()
    found: list[Violation] = []
    for block in state.blocks:
        found.extend(check_block(block, state.now, skew=skew, named=state.named))
    # What follows needs blocks that can be read.
    broken = {violation.objects[0] for violation in found if violation.number in (1, 2, 3)}
    readable = [block for block in state.blocks if _name(block) not in broken]
    found.extend(_ranges(readable, state.pools))
    if not empty_ownerless:
        found.extend(_ownerless(readable))
    found.extend(_held(readable, state.holders))
    found.extend(_rows(state, vanished))
    found.extend(_handles(state, readable))
    if state.settings is not None:
        found.extend(check_settings(state.settings))
    return [violation for violation in found if at_rest or violation.level != "T"]


# Single blocks: 1 to 11


def check_block(block: Object, now: datetime, *, skew: timedelta = timedelta(0), named: bool = True) -> list[Violation]:
    """1 to 8, 10, 11 and the half of 9 that one moment shows."""
    spec, name = block["spec"], _name(block)
    found: list[Violation] = []

    def say(number: int, sentence: str) -> None:
        found.append(Violation(number, (name,), sentence))

    try:
        network = ipaddress.ip_network(spec.get("cidr") or "")
    except ValueError as error:
        say(1, f"cidr {spec.get('cidr')!r} is no network: {error}")
        return found
    if str(network) != spec["cidr"]:
        say(1, f"cidr {spec['cidr']!r} is not in canonical spelling")
    if named and name != block_name(spec["cidr"]):
        say(1, f"the name does not fit cidr {spec['cidr']}")
    size = network.num_addresses
    allocations, unallocated = spec.get("allocations") or [], spec.get("unallocated") or []
    attributes = spec.get("attributes") or []
    if len(allocations) != size:
        say(2, f"{len(allocations)} allocations for {size} addresses")
        return found
    used = {index for index in allocations if index is not None}
    wrong = [index for index in used if not _whole(index) or not 0 <= index < len(attributes)]
    if wrong:
        say(3, f"allocations point to {wrong} of {len(attributes)} attributes")
        return found
    if len(used) != len(attributes):
        say(4, f"nobody points to attributes {sorted(set(range(len(attributes))) - used)}")
    if len(set(unallocated)) != len(unallocated):
        say(5, "unallocated repeats an ordinal")
    for ordinal in unallocated:
        if not _whole(ordinal) or not 0 <= ordinal < size:
            say(5, f"unallocated holds {ordinal!r} in a block of {size}")
        elif allocations[ordinal] is not None:
            say(5, f"ordinal {ordinal} is both free and allocated")
    taken = size - allocations.count(None)
    if len(unallocated) + taken != size:
        say(6, f"{len(unallocated)} free and {taken} allocated make no {size}")
    for index, entry in enumerate(attributes):
        if entry.get("handle_id") == "":
            say(7, f"attribute {index} has an empty handle_id")
        if entry.get("releasedAt") is not None:
            if entry.get("handle_id") or entry.get("secondary") or entry.get("alternateOwnerAttrs"):
                say(10, f"attribute {index} is cooling but has an owner")
            moment = parse_time(entry["releasedAt"])
            if moment is None or moment > now + skew:
                say(10, f"attribute {index} was released at {entry['releasedAt']}, in the future")
    last = spec.get("sequenceNumber") or 0
    for key, number in (spec.get("sequenceNumberForAllocation") or {}).items():
        if not (key.isdigit() and str(int(key)) == key and int(key) < size and allocations[int(key)] is not None):
            say(8, f"the sequence map has {key!r}, which is not allocated")
        if not _whole(number) or number > last:
            say(9, f"ordinal {key} has sequence number {number!r}, the block is at {last}")
    affinity = spec.get("affinity")
    if affinity is not None and (not affinity.startswith(("host:", "virtual:")) or affinity.endswith(":")):
        say(11, f"affinity {affinity!r} names no owner")
    if affinity is None and spec.get("affinityClaimTime") is not None:
        say(11, "a claim time without an owner")
    return found


# Blocks and pools: 12 to 16


def _ranges(blocks: t.Sequence[Object], pools: t.Sequence[Object]) -> t.Iterator[Violation]:
    named = sorted(((network_of(block), _name(block), block) for block in blocks), key=lambda item: _order(item[0]))
    widest: tuple[Net, str, Object] | None = None
    for item in named:
        if widest is not None and _overlap(widest[0], item[0]):
            yield Violation(12, (widest[1], item[1]), f"{widest[0]} and {item[0]} overlap")
            twice = allocated(widest[2]).keys() & allocated(item[2]).keys()
            if twice:
                yield Violation(15, (widest[1], item[1]), f"{sorted(map(str, twice))[0]} is allocated in both")
        if widest is None or not _overlap(widest[0], item[0]) or _last(item[0]) > _last(widest[0]):
            widest = item
    known = pool_networks(pools)
    for network, name, _block in named:
        pool = next((item for item in known if _inside(network, item[1])), None)
        if pool is not None and pool[2] != network.prefixlen:
            yield Violation(13, (name, pool[0]), f"pool {pool[0]} has blocks of /{pool[2]}, not /{network.prefixlen}")


def _ownerless(blocks: t.Sequence[Object]) -> t.Iterator[Violation]:
    for block in blocks:
        if block["spec"].get("affinity") is None and is_empty(block):
            yield Violation(14, (_name(block),), "no owner and no address")


def _held(blocks: t.Sequence[Object], holders: t.Sequence[Holder]) -> t.Iterator[Violation]:
    if not holders:
        return
    taken: dict[t.Any, tuple[str, Object]] = {}
    for block in blocks:
        for address, entry in allocated(block).items():
            taken[address] = (_name(block), entry)
    for holder in holders:
        name, entry = taken.get(ipaddress.ip_address(holder.address), ("", {}))
        if not name:
            yield Violation(16, (holder.name,), f"{holder.address} is not allocated")
        elif entry.get("releasedAt") is not None:
            yield Violation(16, (holder.name, name), f"{holder.address} is cooling")
        elif holder.handle is not None and cut(entry.get("handle_id")) != cut(holder.handle):
            yield Violation(
                16, (holder.name, name), f"{holder.address} is under {entry.get('handle_id')!r}, not {holder.handle!r}"
            )
        elif (
            not holder.attributes.items()
            <= {
                **(entry.get("alternateOwnerAttrs") or {}),
                **(entry.get("secondary") or {}),
            }.items()
        ):
            yield Violation(16, (holder.name, name), f"{holder.address} is recorded for {entry.get('secondary')}")


# Affinity rows: 17 to 20, 22


def _rows(state: State, vanished: t.Collection[str]) -> t.Iterator[Violation]:
    owners = {block["spec"].get("cidr"): (_name(block), block["spec"].get("affinity")) for block in state.blocks}
    confirmed: dict[str, list[str]] = {}
    known: set[tuple[str, str]] = set()
    for row in state.rows:
        spec, name = row["spec"], _name(row)
        cidr, kind, node = spec.get("cidr") or "", spec.get("type") or "host", spec.get("node") or ""
        owner = f"{kind}:{node}"
        known.add((cidr, owner))
        yield from _row_fields(row, state.named)
        if spec.get("state", "") in ("confirmed", ""):
            confirmed.setdefault(cidr, []).append(name)
            if cidr not in owners:
                yield Violation(17, (name,), f"confirmed, but block {cidr} does not exist")
            elif owners[cidr][1] != owner:
                yield Violation(17, (name, owners[cidr][0]), f"confirmed for {owner}, the owner is {owners[cidr][1]}")
        if state.nodes is not None and kind == "host" and node not in state.nodes and node not in vanished:
            yield Violation(22, (name,), f"there is no Node {node!r}")
    for cidr, names in confirmed.items():
        if len(names) > 1:
            yield Violation(19, tuple(sorted(names)), f"{len(names)} confirmed rows for {cidr}")
    for cidr, (name, affinity) in owners.items():
        if affinity is not None and (cidr, affinity) not in known:
            yield Violation(18, (name,), f"the owner {affinity} has no row")


def _row_fields(row: Object, named: bool) -> t.Iterator[Violation]:
    spec, name = row["spec"], _name(row)
    if spec.get("state", "") not in STATES:
        yield Violation(20, (name,), f"state {spec.get('state')!r}")
    try:
        network = ipaddress.ip_network(spec.get("cidr") or "")
    except ValueError:
        yield Violation(20, (name,), f"cidr {spec.get('cidr')!r} is no network")
        return
    if not spec.get("node") or spec.get("type", "host") not in ("host", "virtual", ""):
        yield Violation(20, (name,), f"node {spec.get('node')!r}, type {spec.get('type')!r}")
    elif named and name != row_name(spec["node"], str(network)):
        yield Violation(20, (name,), f"the name does not fit node {spec['node']} and cidr {spec['cidr']}")
    labels = row["metadata"].get("labels") or {}
    expected = {
        "hostname-hash": {host_hash(spec.get("node") or "")},
        "affinity-type": {spec.get("type") or "host"} | ({""} if not spec.get("type") else set()),
        "ip-version": {str(network.version)},
    }
    for label, values in expected.items():
        value = labels.get(_LABEL + label)
        if value is not None and value not in values:
            yield Violation(20, (name,), f"label {label} is {value!r}")


# Handles: 23 to 26


def _handles(state: State, blocks: t.Sequence[Object]) -> t.Iterator[Violation]:
    held: Counter[tuple[str, str]] = Counter()
    for block in blocks:
        entries = block["spec"].get("attributes") or []
        numbers = Counter(index for index in block["spec"]["allocations"] if index is not None)
        for index, number in numbers.items():
            handle = cut(entries[index].get("handle_id"))
            if handle and handle.lower() != WINDOWS:  # those are nobody's request and are never counted (§5.1)
                held[handle, block["spec"]["cidr"]] += number
    counts: dict[str, t.Mapping[str, t.Any]] = {}
    for thing in state.handles:
        spec, name = thing["spec"], _name(thing)
        handle_id = spec.get("handleID") or ""
        blocks_of = spec.get("block") or {}
        counts[handle_id.lower() if state.named else handle_id] = blocks_of
        if not blocks_of:
            yield Violation(25, (name,), "no block")
        for cidr, count in blocks_of.items():
            if not _whole(count) or count <= 0:
                yield Violation(25, (name,), f"count {count!r} for {cidr}")
        if state.named and name != handle_id.lower():
            yield Violation(26, (name,), f"the name does not fit handleID {handle_id!r}")
    for (handle, cidr), number in held.items():
        key = handle.lower() if state.named else handle
        if key not in counts:
            yield Violation(24, (handle, block_name(cidr)), "mentioned by an allocation, but there is no such row")
        elif (counts[key].get(cidr) or 0) < number:
            yield Violation(
                23, (handle, block_name(cidr)), f"counts {counts[key].get(cidr)} where {number} ordinals are held"
            )


def check_settings(settings: t.Mapping[str, t.Any]) -> list[Violation]:
    """32; members as the custom resource spells them. Calico's own client never writes such settings."""
    strict, found = bool(settings.get("strictAffinity")), []
    if not strict and not settings.get("autoAllocateBlocks"):
        found.append(Violation(32, ("default",), "strictAffinity and autoAllocateBlocks are both false"))
    if (settings.get("maxBlocksPerHost") or 0) > 0 and not strict:
        found.append(Violation(32, ("default",), f"maxBlocksPerHost {settings['maxBlocksPerHost']} without strict"))
    return found


class History:
    """9 over time. A block's numbers never fall, and rise with every change of the record."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, t.Any], Object] = {}

    def see(self, state: State) -> list[Violation]:
        found: list[Violation] = []
        seen: dict[tuple[str, t.Any], Object] = {}
        for block in state.blocks:
            key, spec = (_name(block), block["metadata"].get("uid")), block["spec"]
            before = self._seen.get(key)
            seen[key] = spec
            if before is not None and before is not spec:
                found.extend(grown(before, spec, _name(block)))
        self._seen = seen
        return found


def grown(before: Object, after: Object, name: str) -> list[Violation]:
    """9 between two readings of one block's ``spec``."""
    old, new = before.get("sequenceNumber") or 0, after.get("sequenceNumber") or 0
    if new < old:
        return [Violation(9, (name,), f"sequenceNumber fell from {old} to {new}")]
    if new == old and {**before, "deleted": None} != {**after, "deleted": None}:
        return [Violation(9, (name,), f"changed, but sequenceNumber stayed {old}")]
    return []


# Where states come from


def state_of_api(api: t.Any, group: str = "crd.projectcalico.org", **more: t.Any) -> State:
    """The state of a cluster behind anything like ``KubeApi``; ``more`` are further members of ``State``."""
    from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
    from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, UnknownResource

    v1 = group == "crd.projectcalico.org"

    def items(plural: str, kind: str) -> list[Object]:
        return list(api.list(Resource(group, "v1" if v1 else "v3", plural, kind, False)).items)

    settings: t.Mapping[str, t.Any] | None = None
    plural, kind = ("ipamconfigs", "IPAMConfig") if v1 else ("ipamconfigurations", "IPAMConfiguration")
    try:
        settings = next((thing.get("spec") or {} for thing in items(plural, kind) if _name(thing) == "default"), None)
    except (NotFound, UnknownResource):
        settings = None
    state = State(
        blocks=items("ipamblocks", "IPAMBlock"),
        rows=items("blockaffinities", "BlockAffinity"),
        handles=items("ipamhandles", "IPAMHandle"),
        pools=items("ippools", "IPPool"),
        nodes=frozenset(_name(node) for node in api.list(Resource("", "v1", "nodes", "Node", False)).items),
        settings=settings,
        now=datetime.now(timezone.utc),
    )
    return replace(state, **more)


def state_of_raw(store: t.Any, **more: t.Any) -> State:
    """The state of a store that offers ``raw_blocks``, ``raw_affinities`` and ``raw_handles``."""
    state = State(
        blocks=list(store.raw_blocks()),
        rows=list(store.raw_affinities()),
        handles=list(store.raw_handles()),
        pools=[pool_object(pool) for pool in store.pools()],
        now=datetime.now(timezone.utc),
    )
    return replace(state, **more)


_ENCODED: dict[int, tuple[t.Any, Object]] = {}


def state_of_memory(store: t.Any, **more: t.Any) -> State:
    """The state of the store in memory, its values encoded as the custom resources they would be."""
    from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import resources
    from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire

    def encoded(records: t.Iterable[t.Any], encode: t.Any, resource: t.Any) -> list[Object]:
        found = []
        for stored in records:
            known = _ENCODED.get(id(stored.value))
            if known is None or known[0] is not stored.value:
                known = _ENCODED[id(stored.value)] = (stored.value, encode(stored.value, resource))
            found.append(known[1])
        return found

    if len(_ENCODED) > 20000:
        _ENCODED.clear()
    state = State(
        blocks=encoded(store.list_blocks(), wire.encode_block, resources.IPAM_BLOCKS),
        rows=encoded(store.list_affinities(), wire.encode_affinity, resources.BLOCK_AFFINITIES),
        handles=encoded(store.list_handles(), wire.encode_handle, resources.IPAM_HANDLES),
        pools=[pool_object(pool) for pool in store.pools()],
        settings=settings_object(store.settings()),
    )
    return replace(state, **more)


def pool_object(pool: t.Any) -> Object:
    """An IPPool from one of the engine's pools."""
    metadata: dict[str, t.Any] = {"name": pool.name}
    if pool.terminating:
        metadata["deletionTimestamp"] = "2026-08-20T00:00:00Z"
    spec = {
        "cidr": str(pool.cidr),
        "blockSize": pool.block_size,
        "disabled": pool.disabled,
        "nodeSelector": pool.node_selector,
        "namespaceSelector": pool.namespace_selector,
        "allowedUses": sorted(pool.allowed_uses),
        "assignmentMode": pool.assignment_mode,
    }
    conditions = [] if pool.allocatable else [{"type": "Allocatable", "status": "False"}]
    return {"kind": "IPPool", "metadata": metadata, "spec": spec, "status": {"conditions": conditions}}


def settings_object(settings: t.Any) -> t.Mapping[str, t.Any]:
    """An IPAMConfig's ``spec`` from the engine's settings."""
    return {
        "strictAffinity": settings.strict_affinity,
        "autoAllocateBlocks": settings.auto_allocate_blocks,
        "maxBlocksPerHost": settings.max_blocks_per_host,
        "ipCooldownSeconds": settings.cooldown_seconds,
    }


# Words about records


def block_name(cidr: str) -> str:
    return cidr.replace(".", "-").replace(":", "-").replace("/", "-")


def row_name(node: str, cidr: str) -> str:
    tail = block_name(cidr)
    if len(node) + 1 + len(tail) < 253:
        return f"{node}-{tail}"
    digest = hashlib.sha256(f"{node}+{tail}".encode()).hexdigest()[:11]
    return f"{node[: 252 - len(tail) - 13]}-{tail}-{digest}"


def host_hash(node: str) -> str:
    return base64.b32encode(hashlib.sha3_256(node.encode()).digest()).decode().rstrip("=")


def cut(handle: str | None) -> str | None:
    """A handle up to its first carriage return."""
    return handle.partition("\r")[0] if handle else None


def network_of(block: Object) -> Net:
    return ipaddress.ip_network(block["spec"]["cidr"], strict=False)


def allocated(block: Object) -> dict[t.Any, Object]:
    """The attribute of every address that is not free, cooling ones included."""
    network, spec = network_of(block), block["spec"]
    return {network[o]: spec["attributes"][index] for o, index in enumerate(spec["allocations"]) if index is not None}


def is_empty(block: Object) -> bool:
    """Nothing allocated but what a Windows host keeps (§5.8)."""
    spec = block["spec"]
    return all(
        (spec["attributes"][index].get("handle_id") or "").lower() == WINDOWS
        for index in set(spec["allocations"])
        if index is not None
    )


def pool_networks(pools: t.Iterable[Object]) -> list[tuple[str, Net, int, Object]]:
    """(name, network, block size, pool) by name, without those whose CIDR does not parse."""
    found = []
    for pool in sorted(pools, key=_name):
        try:
            network = ipaddress.ip_network(pool["spec"].get("cidr") or "", strict=False)
        except ValueError:
            continue
        found.append((_name(pool), network, pool["spec"].get("blockSize") or (26, 122)[network.version == 6], pool))
    return found


def parse_time(text: t.Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


def _name(thing: Object) -> str:
    return t.cast(str, thing["metadata"].get("name") or "")


def _living(things: t.Sequence[Object]) -> list[Object]:
    return [thing for thing in things if (thing.get("spec") or {}).get("deleted") not in (True, "true")]


def _whole(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _order(network: Net) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _last(network: Net) -> int:
    return int(network.broadcast_address)


def _overlap(one: Net, other: Net) -> bool:
    return one.version == other.version and one.overlaps(other)


def _inside(network: Net, pool: Net) -> bool:
    return (
        network.version == pool.version
        and int(pool.network_address) <= int(network.network_address)
        and _last(network) <= _last(pool)
    )
