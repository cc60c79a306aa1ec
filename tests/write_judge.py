# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The invariants only the moment of a write can tell: 9, 21 and 27 to 32 of spec ipam-engine.md §21.

A recorder tells every write of records as they are stored before and after it, a ``Request`` says what was
asked for, a ``World`` what decides, and ``judge`` compares them. It knows nothing of the engine::

    recorder = WriteRecorder(MemoryStore(...), told)        # a Datastore around a Datastore
    recorder = ApiRecorder(api, told)                       # a KubeApi around a KubeApi, for any kind of writer

    def told(write):
        problems.extend(judge(write, request, world()))
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from invariants import (
    WINDOWS,
    Object,
    Violation,
    check_settings,
    cut,
    grown,
    network_of,
    parse_time,
    pool_networks,
)
from label_selector import selects

BLOCK, ROW, HANDLE, SETTINGS = "IPAMBlock", "BlockAffinity", "IPAMHandle", "IPAMConfig"
BUILT_IN_LIMIT = 20


@dataclass(frozen=True)
class Write:
    """``verb``: create, update, mark (a soft delete begins), delete. ``before`` is what was stored right before it.

    ``guarded``: it names the record it means (a resourceVersion, for a delete the uid), so it cannot hit another.
    """

    verb: str
    kind: str
    before: Object | None = None
    after: Object | None = None
    guarded: bool = True


@dataclass(frozen=True)
class Request:
    """What the writes are made for.

    ``kind``: ``automatic`` (addresses for a host), ``specific`` (one given address), ``release`` (``addresses`` or
    ``handle``), ``other`` (claims, owner edits, affinities). ``requested`` are CIDR texts of pools asked for.
    ``limit``: blocks per host as the request wants it; None where no limit applies at all.
    """

    kind: str = "other"
    host: str = ""
    owner_type: str = "host"
    use: str = "Workload"
    requested: t.Collection[str] = ()
    namespace: t.Mapping[str, str] = field(default_factory=dict)
    limit: int | None = 0
    addresses: t.Collection[str] = ()
    handle: str | None = None


@dataclass(frozen=True)
class World:
    """What decides about writes at their moment; ``nodes`` by name with their labels, ``rows`` before the write."""

    now: datetime
    pools: t.Sequence[Object] = ()
    nodes: t.Mapping[str, t.Mapping[str, str]] = field(default_factory=dict)
    reserved: t.Sequence[str] = ()
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)
    rows: t.Sequence[Object] = ()

    @property
    def cooldown(self) -> int:
        return self.settings.get("ipCooldownSeconds") or 0


def judge(write: Write, request: Request, world: World) -> list[Violation]:
    """What one write breaks."""
    if write.kind == SETTINGS:
        return check_settings((write.after or {}).get("spec") or {}) if write.after else []
    if write.kind == ROW and write.verb == "create":
        return list(_limit(write, request, world))
    if write.kind != BLOCK:
        return []
    if write.verb in ("delete", "mark"):
        return list(_deleted(write, request, world))
    return list(_written(write, request, world))


def _limit(write: Write, request: Request, world: World) -> t.Iterator[Violation]:
    """21, at the moment of the claim."""
    row = (write.after or {})["spec"]
    if request.kind != "automatic" or request.limit is None:
        return
    limits = [limit for limit in (request.limit, world.settings.get("maxBlocksPerHost") or 0) if limit > 0]
    pools = usable_pools(request, world, ipaddress.ip_network(row["cidr"]).version)
    owned = sum(
        1
        for other in world.rows
        if other["spec"].get("node") == row["node"]
        and (other["spec"].get("type") or "host") == row["type"]
        and other["spec"].get("deleted") not in (True, "true")
        and other["spec"]["cidr"] != row["cidr"]
        and any(_contains(pool, ipaddress.ip_network(other["spec"]["cidr"])[0]) for pool in pools)
    )
    if owned >= min(limits, default=BUILT_IN_LIMIT):
        name = (write.after or {})["metadata"]["name"]
        yield Violation(21, (name,), f"{row['node']} had {owned} blocks, its limit is {min(limits, default=20)}")


def _deleted(write: Write, request: Request, world: World) -> t.Iterator[Violation]:
    """30."""
    before = write.before or {}
    name = before["metadata"]["name"]
    if not write.guarded:
        yield Violation(30, (name,), "deleted without saying which generation was seen")
    if write.verb == "delete" and before["spec"].get("deleted"):
        return  # the second half of a soft delete: emptiness was judged at the first
    entries, _free = tidied(before["spec"], world.now, world.cooldown)
    network = network_of(before)
    for ordinal, entry in entries.items():
        handle = cut(entry.get("handle_id"))
        if (handle or "").lower() == WINDOWS:
            continue
        released = request.kind == "release" and not world.cooldown and before["spec"].get("affinity") is None
        if released and entry.get("releasedAt") is None:
            if str(network[ordinal]) in request.addresses:
                continue
            if request.handle is not None and handle == cut(request.handle):
                continue
        yield Violation(30, (name,), f"deleted with {network[ordinal]} of {handle!r} in it")


def _written(write: Write, request: Request, world: World) -> t.Iterator[Violation]:
    """9, 27, 28, 29, 31."""
    after = write.after or {}
    spec, name, network = after["spec"], after["metadata"]["name"], network_of(after)
    before = (write.before or {}).get("spec") or {"allocations": [None] * network.num_addresses}
    if write.before is not None:
        yield from grown(before, spec, name)
        if before == spec:
            yield Violation(9, (name,), "an update that does not raise sequenceNumber")
        if not write.guarded:
            yield Violation(30, (name,), "updated without saying which generation was seen")
    entries, free = tidied(before, world.now, world.cooldown)
    given: list[int] = []
    numbers, old_numbers = (part.get("sequenceNumberForAllocation") or {} for part in (spec, before))
    for ordinal, index in enumerate(spec["allocations"]):
        entry = None if index is None else spec["attributes"][index]
        if entry is None or entry.get("releasedAt") is not None:
            continue
        known = entries.get(ordinal)
        if known is None:
            if write.before is None and (entry.get("handle_id") or "").lower() == WINDOWS:
                continue
            given.append(ordinal)
        elif known.get("releasedAt") is not None:
            yield Violation(27, (name,), f"{network[ordinal]} was handed out while cooling")
        elif cut(known.get("handle_id")) != cut(entry.get("handle_id")):
            yield Violation(
                27, (name,), f"{network[ordinal]} of {known.get('handle_id')!r} went to {entry.get('handle_id')!r}"
            )
        elif numbers.get(str(ordinal)) != old_numbers.get(str(ordinal)):
            yield Violation(27, (name,), f"{network[ordinal]} was handed out again to the same handle")
    yield from _order_kept(name, before, spec)
    if not given:
        return
    if request.kind not in ("automatic", "specific"):
        yield Violation(27, (name,), f"{network[given[0]]} was handed out though nobody asked for an address")
        return
    owner = f"{request.owner_type}:{request.host}"
    if world.settings.get("strictAffinity") and before.get("affinity", spec.get("affinity")) != owner:
        yield Violation(28, (name,), f"{owner} took {network[given[0]]} of {before.get('affinity')} in spite of strict")
    if request.kind != "automatic":
        return
    reserved = _networks(world.reserved)
    pools = usable_pools(request, world, network.version)
    for ordinal in given:
        if any(_contains(net, network[ordinal]) for net in reserved):
            yield Violation(27, (name,), f"{network[ordinal]} is reserved")
        if not any(_contains(pool, network[ordinal]) for pool in pools):
            yield Violation(29, (name,), f"{network[ordinal]} lies in no pool that {owner} may use for {request.use}")
    offered = [o for o in free if not any(_contains(net, network[o]) for net in reserved)]
    if set(offered[: len(given)]) != set(given) and set(given) <= set(offered):
        yield Violation(31, (name,), f"ordinals {given} were handed out before {offered[: len(given)]}")


def _order_kept(name: str, before: Object, after: Object) -> t.Iterator[Violation]:
    """31, the other half: what is free keeps its place, what becomes free goes to the end."""
    old, new = before.get("unallocated") or [], after.get("unallocated") or []
    still = set(old) & set(new)
    if old and new[: len(still)] != [ordinal for ordinal in old if ordinal in still]:
        yield Violation(31, (name,), f"the free list {old} became {new}")


def tidied(spec: Object, now: datetime, cooldown: int) -> tuple[dict[int, Object], list[int]]:
    """Attributes by ordinal and the free list, as the clean-up pass leaves them (§5.5)."""
    free = list(spec.get("unallocated") or ())
    if not spec.get("attributes") and "unallocated" not in spec:
        free = list(range(len(spec["allocations"])))
    entries: dict[int, Object] = {}
    for ordinal, index in enumerate(spec["allocations"]):
        if index is None:
            continue
        entry = spec["attributes"][index]
        moment = parse_time(entry["releasedAt"]) if entry.get("releasedAt") is not None else None
        if moment is not None and moment < now - timedelta(seconds=cooldown):
            free.append(ordinal)
        else:
            entries[ordinal] = entry
    return entries, free


def usable_pools(request: Request, world: World, version: int) -> list[t.Any]:
    """Networks automatic assignment may take addresses of (§8.1, §9.2)."""
    labels = {} if request.owner_type == "virtual" else world.nodes.get(request.host, {})
    wanted = {ipaddress.ip_network(text, strict=False) for text in request.requested}
    wanted = {network for network in wanted if network.version == version}
    found = []
    for _name, network, _size, pool in pool_networks(world.pools):
        spec = pool["spec"]
        conditions = (pool.get("status") or {}).get("conditions") or ()
        closed = (
            spec.get("disabled")
            or pool["metadata"].get("deletionTimestamp")
            or any(c.get("type") == "Allocatable" and c.get("status") == "False" for c in conditions)
        )
        if closed or network.version != version:
            continue
        if request.use not in (spec.get("allowedUses") or ("Workload", "Tunnel")):
            continue
        chosen = (
            network in wanted
            if wanted
            else (spec.get("assignmentMode") or "Automatic") == "Automatic"
            and selects(spec.get("nodeSelector"), labels)
            and selects(spec.get("namespaceSelector"), request.namespace)
        )
        if chosen:
            found.append(network)
    return found


class WriteRecorder:
    """A ``Datastore`` around a ``Datastore`` that tells every write of blocks, rows and handles after it was made.

    Whatever ``told`` raises ends the operation there, as a crash would. ``before`` is called right before a write
    is tried: there somebody else may act.
    """

    def __init__(
        self, store: t.Any, told: t.Callable[[Write], None], before: t.Callable[[], None] | None = None
    ) -> None:
        from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import resources
        from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire

        self._store = store
        self._told = told
        self._before = before or (lambda: None)
        self._kinds = {
            "block": (BLOCK, wire.encode_block, resources.IPAM_BLOCKS),
            "affinity": (ROW, wire.encode_affinity, resources.BLOCK_AFFINITIES),
            "handle": (HANDLE, wire.encode_handle, resources.IPAM_HANDLES),
        }

    def __getattr__(self, name: str) -> t.Any:
        verb, _underscore, word = name.partition("_")
        if verb not in ("create", "update", "delete") or word not in self._kinds:
            return getattr(self._store, name)
        kind, encode, resource = self._kinds[word]
        call = getattr(self._store, name)

        def current(value: t.Any) -> Object:
            if word == "block":
                stored = self._store.get_block(value.cidr)
            elif word == "affinity":
                stored = self._store.get_affinity(value.host, value.type, value.cidr)
            else:
                stored = self._store.get_handle(value.id)
            return t.cast(Object, encode(stored.value, resource))

        def create(value: t.Any) -> t.Any:
            self._before()
            written = call(value)
            self._told(Write("create", kind, None, encode(value, resource)))
            return written

        def update(stored: t.Any, value: t.Any) -> t.Any:
            self._before()
            before = current(stored.value)
            written = call(stored, value)
            self._told(Write("update", kind, before, encode(value, resource)))
            return written

        def delete(stored: t.Any) -> None:
            self._before()
            before = current(stored.value)
            call(stored)
            self._told(Write("delete", kind, before))

        return {"create": create, "update": update, "delete": delete}[verb]


class ApiRecorder:
    """A ``KubeApi`` around a ``KubeApi`` that tells every write of Calico's IPAM records after it was made."""

    def __init__(self, api: t.Any, told: t.Callable[[Write], None]) -> None:
        self._api = api
        self._told = told

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._api, name)

    def create(self, resource: t.Any, body: t.Any, *rest: t.Any, **options: t.Any) -> t.Any:
        made = self._api.create(resource, body, *rest, **options)
        self._tell(Write("create", resource.kind, None, made))
        return made

    def replace(self, resource: t.Any, body: t.Any, *rest: t.Any, **options: t.Any) -> t.Any:
        before = self._before(resource, body["metadata"]["name"])
        made = self._api.replace(resource, body, *rest, **options)
        marked = (body.get("spec") or {}).get("deleted") in (True, "true")
        guarded = bool(body["metadata"].get("resourceVersion"))
        self._tell(Write("mark" if marked else "update", resource.kind, before, made, guarded))
        return made

    def delete(self, resource: t.Any, name: str, *rest: t.Any, **options: t.Any) -> None:
        before = self._before(resource, name)
        self._api.delete(resource, name, *rest, **options)
        guarded = bool(options.get("uid")) and (before or {}).get("spec", {}).get("deleted") in (True, "true")
        self._tell(Write("delete", resource.kind, before, None, guarded))

    def _before(self, resource: t.Any, name: str) -> Object | None:
        from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound

        try:
            return t.cast(Object, self._api.get(resource, name))
        except NotFound:
            return None

    def _tell(self, write: Write) -> None:
        if write.kind in (BLOCK, ROW, HANDLE, SETTINGS):
            self._told(write)


def _networks(texts: t.Iterable[str]) -> list[t.Any]:
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text.strip(), strict=False))
        except ValueError:
            continue
    return found


def _contains(network: t.Any, address: t.Any) -> bool:
    return network.version == address.version and address in network
