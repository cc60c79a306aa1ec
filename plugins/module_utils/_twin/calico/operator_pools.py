# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The Tigera operator's view of IP pools: entries of an Installation, and what it does to pools for them.

Source: spec ippool.md 10.1 to 10.3. Nothing is read or written here: ``operator.py`` does that.
"""

from __future__ import annotations

import ipaddress
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_block_size, default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_fields import BLOCK_SIZES

OWNER_LABEL = "app.kubernetes.io/managed-by"
OWNER = "tigera-operator"
IGNORE = "unsupported.operator.tigera.io/ignore"
#: The list of an Installation may not be longer.
MOST_ENTRIES = 25

Entry = t.Dict[str, t.Any]
Spec = t.Dict[str, t.Any]

# Word of the Installation -> ipipMode and vxlanMode.
ENCAPSULATIONS: t.Mapping[str, tuple[str, str]] = {
    "IPIP": ("Always", "Never"),
    "IPIPCrossSubnet": ("CrossSubnet", "Never"),
    "VXLAN": ("Never", "Always"),
    "VXLANCrossSubnet": ("Never", "CrossSubnet"),
    "None": ("Never", "Never"),
}
_WORDS = {modes: word for word, modes in ENCAPSULATIONS.items()}
_SWITCH = {True: "Enabled", False: "Disabled"}


@dataclass(frozen=True)
class OwnPool:
    """A pool as it is stored, with the labels and annotations that Calico shows."""

    name: str
    spec: Spec
    labels: t.Mapping[str, str]
    annotations: t.Mapping[str, str]
    terminating: bool = False

    @property
    def owned(self) -> bool:
        return self.labels.get(OWNER_LABEL) == OWNER

    @property
    def ignored(self) -> bool:
        return self.annotations.get(IGNORE) == "true"


@dataclass(frozen=True)
class Settings:
    """What of an Installation decides about its pools."""

    cni: str = "Calico"
    bgp: bool = True


@dataclass(frozen=True)
class Work:
    """What is to be done: pools to create and to change, as name and spec, names to delete; and what is in the way."""

    create: tuple[tuple[str, Spec], ...] = ()
    update: tuple[tuple[str, Spec], ...] = ()
    delete: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        return not (self.create or self.update or self.delete)


def network_of(value: t.Any) -> Network | None:
    """The range of an entry or of a pool's spec; None when it does not parse."""
    try:
        return parse_network(str((value or {}).get("cidr")), strict=False)
    except InvalidInput:
        return None


# ---- entry -> pool


def with_defaults(
    entries: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[OwnPool], settings: Settings
) -> list[Entry]:
    """The list as the operator writes it back into the Installation (10.1)."""
    return [_completed(entry, entries, pools, settings) for entry in entries]


def _completed(
    given: t.Mapping[str, t.Any],
    entries: t.Sequence[t.Mapping[str, t.Any]],
    pools: t.Sequence[OwnPool],
    settings: Settings,
) -> Entry:
    entry, network = dict(given), network_of(given)
    if network is None:
        return entry
    v4 = network.version == 4
    defaults: Entry = {
        "encapsulation": "IPIP" if v4 and settings.cni == "Calico" else "None",
        "natOutgoing": _SWITCH[v4],
        "nodeSelector": "all()",
        "blockSize": default_block_size(network.version),
        "disableBGPExport": False,
        "disableNewAllocations": False,
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }
    if not entry.get("name"):
        entry["name"] = _name(network, entries, pools)
    for key, value in defaults.items():
        if entry.get(key) in (None, "", [], 0) and entry.get(key) is not False:
            entry[key] = value
    return entry


def _name(network: Network, entries: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[OwnPool]) -> str:
    for pool in pools:
        if network_of(pool.spec) == network:
            return pool.name
    families = [found.version for found in map(network_of, entries) if found is not None]
    if len(entries) == 1 or (len(entries) == 2 and sorted(families) == [4, 6]):
        return f"default-ipv{network.version}-ippool"
    address, prefix = str(network).split("/")
    full = ipaddress.ip_address(address).exploded.replace(":", ".")
    return f"{full}-{prefix}"


def first_entries(cidrs: t.Sequence[Network]) -> list[Entry]:
    """The list of an Installation that has none, on a cluster without pools: the platform's ranges, or a well-known."""
    return [{"cidr": str(each)} for each in cidrs] or [{"cidr": "192.168.0.0/16"}]


def wanted_spec(entry: t.Mapping[str, t.Any]) -> Spec:
    """The spec of the pool for a complete entry. There is no word for a namespaceSelector."""
    ipip, vxlan = ENCAPSULATIONS[entry["encapsulation"]]
    spec: Spec = {
        "cidr": str(network_of(entry)),
        "blockSize": entry["blockSize"],
        "ipipMode": ipip,
        "vxlanMode": vxlan,
        "natOutgoing": entry["natOutgoing"] == "Enabled",
        "nodeSelector": entry["nodeSelector"],
        "allowedUses": list(entry["allowedUses"]),
        "assignmentMode": entry["assignmentMode"],
    }
    # Flags that are off are left out, as Calico's types do.
    if entry["disableBGPExport"]:
        spec["disableBGPExport"] = True
    if entry["disableNewAllocations"]:
        spec["disabled"] = True
    return spec


# ---- pool -> entry


def entry_of(name: str, spec: t.Mapping[str, t.Any]) -> Entry:
    """The complete entry for a pool of this spec; what it says on namespaces is lost."""
    return _converted(name, default_spec(spec), "None")


def adoptable(entry: t.Mapping[str, t.Any], pool: OwnPool) -> bool:
    """Whether a pool without the label becomes the operator's: equal in every converted field (10.2).

    The operator converts the pool as it is stored, and has no word for one without encapsulation,
    so those never are, and neither are pools that are stored without blockSize or allowedUses.
    """
    if network_of(pool.spec) is None:
        return False
    found = _converted(pool.name, pool.spec, "")
    return {**entry, "cidr": str(network_of(entry)), "allowedUses": sorted(entry["allowedUses"])} == {
        **found,
        "allowedUses": sorted(found["allowedUses"]),
    }


def _converted(name: str, spec: t.Mapping[str, t.Any], unencapsulated: str) -> Entry:
    modes = (spec.get("ipipMode") or "Never", spec.get("vxlanMode") or "Never")
    return {
        "name": name,
        "cidr": str(network_of(spec) or spec.get("cidr")),
        "blockSize": spec.get("blockSize") or 0,
        "encapsulation": _WORDS.get(modes, "") if modes != ("Never", "Never") else unencapsulated,
        "natOutgoing": _SWITCH[bool(spec.get("natOutgoing"))],
        "nodeSelector": spec.get("nodeSelector") or "all()",
        "disableBGPExport": bool(spec.get("disableBGPExport")),
        "disableNewAllocations": bool(spec.get("disabled")),
        "allowedUses": list(spec.get("allowedUses") or ()),
        "assignmentMode": spec.get("assignmentMode") or "Automatic",
    }


def same(one: t.Mapping[str, t.Any], other: t.Mapping[str, t.Any]) -> bool:
    """Whether two specs mean the same."""
    return _plain(one) == _plain(other)


def _plain(spec: t.Mapping[str, t.Any]) -> Spec:
    full = default_spec(spec)
    shown: Spec = {key: value for key, value in full.items() if value not in (None, "", False)}
    return {**shown, "allowedUses": sorted(full["allowedUses"]), "cidr": str(network_of(spec) or spec.get("cidr"))}


# ---- checks


def problems(entries: t.Sequence[t.Mapping[str, t.Any]], settings: Settings) -> list[str]:
    """What the operator does not take; with any of it, it does nothing at all (10.1). Entries are complete."""
    found: list[str] = []
    networks: list[Network] = []
    names: list[str] = []
    for entry in entries:
        network = network_of(entry)
        if network is None:
            found.append(f"ipPool.CIDR({entry.get('cidr')}) is invalid")
            continue
        if network in networks:
            found.append(f"IP pool {network} is specified more than once")
        if entry["name"] in names:
            found.append(f"IP pool {entry['name']} is specified more than once")
        networks.append(network)
        names.append(entry["name"])
        found += [f"IP pool {entry['name']} ({network}): {each}" for each in _problems(entry, network, settings)]
    return found


def _problems(entry: t.Mapping[str, t.Any], network: Network, settings: Settings) -> t.Iterator[str]:
    size, (least, most) = entry["blockSize"], BLOCK_SIZES[network.version]
    if not least <= size <= most:
        yield f"blockSize {size} is not from {least} to {most}"
    elif network.prefix > size:
        yield f"the range is smaller than one block of /{size}"
    encapsulation, uses = entry["encapsulation"], entry["allowedUses"]
    if encapsulation not in ENCAPSULATIONS:
        yield f"{encapsulation} is not a known encapsulation"
    elif encapsulation.startswith("IPIP"):
        if network.version == 6:
            yield "IPIP encapsulation is not supported for IPv6"
        if not settings.bgp:
            yield "IPIP encapsulation needs BGP, which is disabled"
    if settings.cni != "Calico" and entry["nodeSelector"] != "all()":
        yield f"nodeSelector must be all() with CNI plugin {settings.cni}"
    if "LoadBalancer" in uses:
        if len(uses) > 1:
            yield "LoadBalancer cannot be combined with other uses"
        if encapsulation != "None":
            yield "LoadBalancer pools cannot have an encapsulation"
        if entry["disableBGPExport"]:
            yield "LoadBalancer pools cannot disable BGP export"
        if entry["nodeSelector"] != "all()":
            yield "LoadBalancer pools must have nodeSelector all()"


def outside(entries: t.Sequence[t.Mapping[str, t.Any]], subnets: t.Sequence[Network]) -> list[str]:
    """The pools outside the platform's pod range of their family, where it has one (spec ippool.md 7.4)."""
    found = []
    for entry in entries:
        network = network_of(entry)
        ranges = [each for each in subnets if network is not None and each.version == network.version]
        if network is not None and ranges and not any(_within(network, each) for each in ranges):
            found.append(f"IP pool {network} is not within the platform's configured pod network CIDR(s)")
    return found


def _within(network: Network, other: Network) -> bool:
    return network.overlaps(other) and network.prefix >= other.prefix


def has_enabled(entries: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[OwnPool]) -> bool:
    """Whether addresses come from any pool, listed or not; an Installation without pools has nothing to wait for."""
    if not entries:
        return True
    return any(not pool.spec.get("disabled") and not pool.terminating for pool in pools)


# ---- the plan


def work(entries: t.Sequence[t.Mapping[str, t.Any]], pools: t.Sequence[OwnPool]) -> Work:
    """What to do for this list and these pools; entries are complete and pass ``problems``."""
    create: list[tuple[str, Spec]] = []
    update: list[tuple[str, Spec]] = []
    complaints: list[str] = []
    by_name = {pool.name: pool for pool in pools}
    for entry in entries:
        name, network = entry["name"], network_of(entry)
        named = by_name.get(name)
        if named is not None and named.terminating:
            # It is made again when it is gone.
            continue
        if named is not None and named.owned:
            spec = wanted_spec(entry)
            if not named.ignored and not same(spec, named.spec):
                update.append((name, spec))
            continue
        stranger = named or next(
            (pool for pool in pools if not pool.owned and not pool.terminating and network_of(pool.spec) == network),
            None,
        )
        if stranger is None:
            create.append((name, wanted_spec(entry)))
        elif adoptable(entry, stranger):
            if not stranger.ignored:
                update.append((name, wanted_spec(entry)))
        else:
            complaints.append(
                f"Cannot update an IP pool not owned by the operator: IPPool {stranger.name} "
                f"({stranger.spec.get('cidr')}) differs from entry {name} ({network})"
            )
    # A pool is listed when its range is: that is how a renamed entry leaves the old pool alone.
    listed = [network_of(entry) for entry in entries]
    delete = tuple(
        pool.name for pool in pools if pool.owned and not pool.terminating and network_of(pool.spec) not in listed
    )
    return Work(tuple(create), tuple(update), delete, tuple(complaints))
