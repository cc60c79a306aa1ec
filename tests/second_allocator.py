# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A second allocator for Calico's records, written from the specification alone.

It shares nothing with the engine: no block class, no order of blocks, no store. What both write must
fit together, so it stands for Calico's own components in tests of "two writers, one truth". It knows
group v1 and hosts (no virtual owners), one address at a time::

    from second_allocator import SecondAllocator

    rival = SecondAllocator(api, "node-1", seed=7)        # api: anything like KubeApi; one per thread
    address = rival.assign("k8s-pod-network.abc", {"node": "node-1", "pod": "p", "namespace": "n"})
    rival.assign("k8s-pod-network.abc", {...}, version=6)
    rival.release("k8s-pod-network.abc")                  # how many addresses; 0 for an unknown handle
    rival.give_back("10.77.4.8/30")                       # our own block, if it is empty: True, else False

``api`` needs ``get``, ``list``, ``create``, ``replace`` and ``delete`` as in ``_cluster/api.py`` (the client over
HTTPS and the embedded cluster's in-process API both fit). Answers of the API that mean neither a lost
compare-and-swap nor a missing or present record pass through.

Rules: spec ipam-engine.md §2 (records, soft delete), §5 (blocks), §6 (handles), §7 (ownership), §9, §12.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import ipaddress
import json
import random
import typing as t
from datetime import datetime, timedelta, timezone

from label_selector import selects

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, Conflict, NotFound

GROUP = "crd.projectcalico.org"
BLOCKS = Resource(GROUP, "v1", "ipamblocks", "IPAMBlock", False)
ROWS = Resource(GROUP, "v1", "blockaffinities", "BlockAffinity", False)
HANDLES = Resource(GROUP, "v1", "ipamhandles", "IPAMHandle", False)
POOLS = Resource(GROUP, "v1", "ippools", "IPPool", False)
CONFIGS = Resource(GROUP, "v1", "ipamconfigs", "IPAMConfig", False)
RESERVATIONS = Resource(GROUP, "v1", "ipreservations", "IPReservation", False)
NODES = Resource("", "v1", "nodes", "Node", False)

ATTEMPTS = 100
BLOCK_LIMIT = 20
METADATA = "projectcalico.org/metadata"
PREFIX = "projectcalico.org/"
WINDOWS = "windows-reserved-ipam-handle"

Net = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Lost(Exception):
    """A compare-and-swap was lost, or the record is not what it was: try the whole thing again."""


class SecondAllocator:
    """Acts for one host. ``seed`` fixes the order in which it looks for blocks, ``now`` the clock (UTC)."""

    def __init__(self, api: t.Any, host: str, *, seed: int = 0, now: t.Callable[[], datetime] | None = None) -> None:
        self._api = api
        self.host = host
        self._owner = f"host:{host}"
        self._random = random.Random(f"{host}/{seed}")
        self._now = now or (lambda: datetime.now(timezone.utc))

    # What callers want

    def assign(self, handle: str, attributes: t.Mapping[str, str], version: int = 4) -> str | None:
        """One address for a workload of the host, or None when there is none to be had."""
        settings = self._settings()
        pools = self._pools(version)
        own = self._own_blocks(pools)
        for cidr in own:
            address = self._take(cidr, handle, attributes, settings, check_owner=settings["strict"])
            if address is not None:
                return address
        limit = settings["limit"] or BLOCK_LIMIT
        for cidr in self._unknown_blocks(pools) if settings["allocate"] else ():
            if len(own) >= limit:
                return None
            if self._claim(cidr):
                own.append(cidr)
                address = self._take(cidr, handle, attributes, settings, check_owner=settings["strict"])
                if address is not None:
                    return address
        if settings["strict"]:
            return None
        for cidr in self._known_blocks(pools):
            address = self._take(cidr, handle, attributes, settings, check_owner=False)
            if address is not None:
                return address
        return None

    def release(self, handle: str) -> int:
        """Release every address of a handle; how many there were."""
        found = self._get(HANDLES, handle.lower())
        if found is None:
            return 0
        return sum(self._release_in(cidr, handle) for cidr in sorted(found["spec"]["block"]))

    def give_back(self, cidr: str) -> bool:
        """Stop owning a block and delete it, when it is empty (§7.4)."""
        try:
            row, block = self._get(ROWS, self._row_name(cidr)), self._get(BLOCKS, _name(cidr))
            if row is None or block is None or block["spec"].get("affinity") != self._owner:
                return False
            self._tidy(block, self._settings()["cooldown"])
            if not _empty(block):
                return False
            row["spec"]["state"] = "pendingDeletion"
            row = self._replace(ROWS, row)
            self._delete(BLOCKS, block, True)
            self._delete(ROWS, row, "true")
        except Lost:
            return False
        return True

    # Blocks

    def _take(
        self, cidr: str, handle: str, attributes: t.Mapping[str, str], settings: dict[str, t.Any], *, check_owner: bool
    ) -> str | None:
        """One address of one block (§5.3, §6); None when it has none for us."""
        network = ipaddress.ip_network(cidr)
        reserved = settings["reserved"]
        for _attempt in range(ATTEMPTS):
            block = self._get(BLOCKS, _name(cidr))
            if block is None:
                return None
            spec = block["spec"]
            self._tidy(block, settings["cooldown"])
            if check_owner and spec.get("affinity") != self._owner:
                return None
            free = [o for o in spec["unallocated"] if not any(network[o] in net for net in reserved)]
            if not free:
                return None
            entry = {"handle_id": handle, "secondary": dict(attributes)}
            if entry not in spec["attributes"]:
                spec["attributes"].append(entry)
            spec["allocations"][free[0]] = spec["attributes"].index(entry)
            spec["unallocated"].remove(free[0])
            spec.setdefault("sequenceNumberForAllocation", {})[str(free[0])] = spec.get("sequenceNumber", 0)
            self._count(handle, cidr, 1)
            try:
                self._write(block)
            except Lost:
                self._count(handle, cidr, -1)
                continue
            return str(network[free[0]])
        return None

    def _release_in(self, cidr: str, handle: str) -> int:
        for _attempt in range(ATTEMPTS):
            block = self._get(BLOCKS, _name(cidr))
            if block is None:
                return 0
            spec = block["spec"]
            cooldown = self._settings()["cooldown"]
            self._tidy(block, cooldown)
            mine = {i for i, entry in enumerate(spec["attributes"]) if (entry.get("handle_id") or "") == handle}
            ordinals = [o for o, index in enumerate(spec["allocations"]) if index in mine]
            if not ordinals:
                return 0
            spec["attributes"].append({"releasedAt": _text(self._now())})
            for ordinal in ordinals:
                spec["allocations"][ordinal] = len(spec["attributes"]) - 1
            self._tidy(block, cooldown or -1)
            try:
                if not spec.get("affinity") and _empty(block):
                    self._delete(BLOCKS, block, True)
                else:
                    self._write(block)
            except Lost:
                continue
            self._count(handle, cidr, -len(ordinals))
            return len(ordinals)
        return 0

    def _tidy(self, block: Object, cooldown: int) -> None:
        """The clean-up pass (§5.5), in place."""
        spec = block["spec"]
        limit = self._now() - timedelta(seconds=cooldown)
        for ordinal, index in enumerate(spec["allocations"]):
            if index is None:
                continue
            released = spec["attributes"][index].get("releasedAt")
            if released and (cooldown < 0 or _moment(released) < limit):
                spec["allocations"][ordinal] = None
                spec["unallocated"].append(ordinal)
                (spec.get("sequenceNumberForAllocation") or {}).pop(str(ordinal), None)
        used = sorted({index for index in spec["allocations"] if index is not None})
        spec["attributes"] = [spec["attributes"][index] for index in used]
        spec["allocations"] = [None if index is None else used.index(index) for index in spec["allocations"]]

    def _write(self, block: Object) -> None:
        block["spec"]["sequenceNumber"] = block["spec"].get("sequenceNumber", 0) + 1
        self._replace(BLOCKS, block)

    # Ownership (§7)

    def _own_blocks(self, pools: list[Net]) -> list[str]:
        """The blocks of our rows, after healing what a crash left (§7.3)."""
        found = []
        for row in self._list(ROWS):
            spec = row["spec"]
            inside = any(ipaddress.ip_network(spec["cidr"])[0] in pool for pool in pools)
            if spec["node"] == self.host and (spec.get("type") or "host") == "host" and inside and self._resolve(row):
                found.append(spec["cidr"])
        return found

    def _resolve(self, row: Object) -> bool:
        cidr = row["spec"]["cidr"]
        try:
            block = self._get(BLOCKS, _name(cidr))
            if block is None:
                return self._claim(cidr)
            if block["spec"].get("affinity") != self._owner:
                self._delete(ROWS, row, "true")
                return False
            if row["spec"]["state"] in ("confirmed", ""):
                return True
            row["spec"]["state"] = "pending"
            row = self._replace(ROWS, row)
            self._write(block)  # a deleter loses its compare-and-swap
            row["spec"]["state"] = "confirmed"
            self._replace(ROWS, row)
        except Lost:
            return False
        return True

    def _claim(self, cidr: str) -> bool:
        """Row pending, block, row confirmed (§7.2); False when somebody was faster."""
        try:
            row = self._pending_row(cidr)
            try:
                self._api.create(BLOCKS, self._new_block(cidr))
            except AlreadyExists:
                block = self._get(BLOCKS, _name(cidr))
                if block is None:
                    return False  # just deleted; our pending row is healed by the next visit
                if block["spec"].get("affinity") != self._owner:
                    self._delete(ROWS, row, "true")
                    return False
            row["spec"]["state"] = "confirmed"
            try:
                self._replace(ROWS, row)
            except Lost:
                current = self._get(ROWS, self._row_name(cidr))
                return current is not None and current["spec"]["state"] == "confirmed"
        except Lost:
            return False
        return True

    def _pending_row(self, cidr: str) -> Object:
        labels = {
            PREFIX + "affinity-type": "host",
            PREFIX + "hostname-hash": _host_hash(self.host),
            PREFIX + "ip-version": str(ipaddress.ip_network(cidr).version),
        }
        metadata = {
            "name": self._row_name(cidr),
            "labels": labels,
            "annotations": {METADATA: json.dumps({"labels": labels})},
        }
        spec = {"state": "pending", "node": self.host, "type": "host", "cidr": cidr, "deleted": "false"}
        try:
            return copy.deepcopy(self._api.create(ROWS, _thing(ROWS, metadata, spec)))
        except AlreadyExists:
            row = self._get(ROWS, self._row_name(cidr))
        if row is None:
            raise Lost
        if row["spec"]["state"] == "confirmed":
            return row
        row["spec"]["state"] = "pending"
        return self._replace(ROWS, row)

    def _new_block(self, cidr: str) -> Object:
        now = self._now()
        size = ipaddress.ip_network(cidr).num_addresses
        spec = {
            "cidr": cidr,
            "affinity": self._owner,
            "affinityClaimTime": _text(now),
            "allocations": [None] * size,
            "unallocated": list(range(size)),
            "attributes": [],
            "sequenceNumber": (now - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1) * 1000,
            "sequenceNumberForAllocation": {},
            "deleted": False,
            "strictAffinity": False,
        }
        return _thing(BLOCKS, {"name": _name(cidr), "annotations": {METADATA: "{}"}}, spec)

    def _row_name(self, cidr: str) -> str:
        return f"{self.host}-{_name(cidr)}"  # test hosts have short names

    # Handles (§6)

    def _count(self, handle: str, cidr: str, change: int) -> None:
        for _attempt in range(ATTEMPTS):
            found = self._get(HANDLES, handle.lower())
            try:
                if found is None:
                    if change < 0:
                        return
                    spec = {"handleID": handle, "block": {cidr: change}, "deleted": False}
                    metadata = {"name": handle.lower(), "annotations": {METADATA: "{}"}}
                    self._api.create(HANDLES, _thing(HANDLES, metadata, spec))
                    return
                counts = found["spec"]["block"]
                left = counts.get(cidr, 0) + change
                if left < 0 or (change < 0 and cidr not in counts):
                    return
                counts[cidr] = left
                if not left:
                    del counts[cidr]
                if counts:
                    self._replace(HANDLES, found)
                else:
                    self._delete(HANDLES, found, True)
                return
            except (AlreadyExists, Lost):
                continue
        raise Lost

    # What decides

    def _settings(self) -> dict[str, t.Any]:
        config = self._get(CONFIGS, "default")
        spec = {"autoAllocateBlocks": True} if config is None else config.get("spec") or {}
        reserved = []
        for thing in self._list(RESERVATIONS):
            for text in (thing.get("spec") or {}).get("reservedCIDRs") or ():
                try:
                    reserved.append(ipaddress.ip_network(text.strip(), strict=False))
                except ValueError:
                    continue
        return {
            "strict": bool(spec.get("strictAffinity")),
            "allocate": bool(spec.get("autoAllocateBlocks")),
            "limit": spec.get("maxBlocksPerHost") or 0,
            "cooldown": spec.get("ipCooldownSeconds") or 0,
            "reserved": reserved,
        }

    def _pools(self, version: int) -> list[Net]:
        """Enabled Automatic pools for workloads that select our node, as networks; ``block_sizes`` beside them."""
        labels = self._api.get(NODES, self.host)["metadata"].get("labels") or {}
        found = []
        self._block_size: dict[Net, int] = {}
        for pool in self._list(POOLS):
            spec = pool["spec"]
            network = ipaddress.ip_network(spec["cidr"], strict=False)
            if (
                network.version == version
                and not spec.get("disabled")
                and not pool["metadata"].get("deletionTimestamp")
                and "Workload" in (spec.get("allowedUses") or ("Workload", "Tunnel"))
                and (spec.get("assignmentMode") or "Automatic") == "Automatic"
                and selects(spec.get("nodeSelector"), labels)
                and selects(spec.get("namespaceSelector"), {})
            ):
                found.append(network)
                self._block_size[network] = spec.get("blockSize") or (26 if version == 4 else 122)
        return found

    def _unknown_blocks(self, pools: list[Net]) -> t.Iterator[str]:
        """CIDRs without a block, in an order of our own."""
        known = {block["spec"]["cidr"] for block in self._list(BLOCKS)}
        for pool in pools:
            size = self._block_size[pool]
            if size < pool.prefixlen:
                continue
            order = [str(network) for network in pool.subnets(new_prefix=size)]
            self._random.shuffle(order)
            yield from (cidr for cidr in order if cidr not in known)

    def _known_blocks(self, pools: list[Net]) -> list[str]:
        found = [block["spec"]["cidr"] for block in self._list(BLOCKS)]
        found = [cidr for cidr in found if any(ipaddress.ip_network(cidr)[0] in pool for pool in pools)]
        self._random.shuffle(found)
        return found

    # The store's protocol (§2.4)

    def _get(self, resource: Resource, name: str) -> Object | None:
        try:
            thing = copy.deepcopy(self._api.get(resource, name))
        except NotFound:
            return None
        if _deleted(thing):
            self._finish(resource, thing)
            return None
        return thing

    def _list(self, resource: Resource) -> list[Object]:
        return [copy.deepcopy(thing) for thing in self._api.list(resource).items if not _deleted(thing)]

    def _replace(self, resource: Resource, thing: Object) -> Object:
        try:
            return copy.deepcopy(self._api.replace(resource, thing))
        except (Conflict, NotFound):
            raise Lost from None

    def _delete(self, resource: Resource, thing: Object, mark: bool | str) -> None:
        thing["spec"]["deleted"] = mark
        self._replace(resource, thing)
        self._finish(resource, thing)

    def _finish(self, resource: Resource, thing: Object) -> None:
        try:
            self._api.delete(resource, thing["metadata"]["name"], uid=thing["metadata"]["uid"])
        except (Conflict, NotFound):
            return


def _thing(resource: Resource, metadata: Object, spec: Object) -> Object:
    return {"apiVersion": f"{GROUP}/v1", "kind": resource.kind, "metadata": metadata, "spec": spec}


def _deleted(thing: Object) -> bool:
    return (thing.get("spec") or {}).get("deleted") in (True, "true")


def _empty(block: Object) -> bool:
    spec = block["spec"]
    return all(
        index is None or (spec["attributes"][index].get("handle_id") or "").lower() == WINDOWS
        for index in spec["allocations"]
    )


def _name(cidr: str) -> str:
    return cidr.replace(".", "-").replace(":", "-").replace("/", "-")


def _host_hash(host: str) -> str:
    return base64.b32encode(hashlib.sha3_256(host.encode()).digest()).decode().rstrip("=")


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
