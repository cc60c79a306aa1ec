# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""What Calico accepts in a pool without a word and an operator should hear about.

Sources: spec ippool.md §3.1 (notes), §7.4; spec hazards.md B09, B11 and B23.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import selector
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool

_SPECIAL: t.Tuple[t.Tuple[Network, str], ...] = tuple(
    (parse_network(text), words)
    for text, words in (
        ("0.0.0.0/8", '"this network", which hosts do not route'),
        ("127.0.0.0/8", "the loopback range"),
        ("192.0.0.0/24", "which is kept for protocols"),
        ("192.0.2.0/24", "a range for documentation"),
        ("198.18.0.0/15", "a range for measurements between networks"),
        ("198.51.100.0/24", "a range for documentation"),
        ("203.0.113.0/24", "a range for documentation"),
        ("224.0.0.0/4", "the multicast range"),
        ("240.0.0.0/4", "class E, which many systems refuse"),
        ("::/128", "the unspecified address"),
        ("::1/128", "the loopback address"),
        ("64:ff9b::/96", "the range that stands for IPv4 addresses behind NAT64"),
        ("100::/64", "the range whose packets are thrown away"),
        ("2001::/32", "the range of Teredo tunnels"),
        ("2001:db8::/32", "a range for documentation"),
        ("2002::/16", "the range of 6to4 tunnels"),
        ("3fff::/20", "a range for documentation"),
        ("fec0::/10", "the site-local range, which is not used any more"),
        ("ff00::/8", "the multicast range"),
    )
)


def change_warnings(before: t.Optional[Pool], after: Pool, others: t.Iterable[Pool]) -> t.List[str]:
    """One sentence for each thing that Calico does to pods and nodes when a pool becomes another one.

    ``before`` None: the pool is new. ``others`` are the other pools of the cluster, of any IP
    version. Sources: spec ippool.md §2.1, §9.1, §9.3, §12 item 10.
    """
    kin = [pool for pool in others if pool.enabled and pool.version == after.version and pool.name != after.name]
    found: t.List[str] = []
    if before is not None and before.enabled and not after.enabled:
        found.extend(_nowhere_else(before, kin))
    if not after.enabled:
        return found
    where = f"Pool {after.name!r} ({after.cidr})"
    # A new pool like that is refused; this one was stored past the rule, which no change has checked again (V24).
    found.extend(
        f"{where} overlaps {pool.cidr} of the enabled pool {pool.name!r}: where their block sizes differ, the same "
        "address is given out twice, and in custom resources of projectcalico.org only one of the two is used; disable "
        "or delete one of them."
        for pool in kin
        if pool.cidr.overlaps(after.cidr)
    )
    if "Workload" in after.allowed_uses and not after.nat_outgoing:
        if before is not None and before.nat_outgoing:
            found.append(
                f"{where} loses natOutgoing: its pods will speak to the world with their own addresses, so there must "
                "be a way back to them."
            )
        with_nat = [pool.name for pool in kin if pool.nat_outgoing and "Workload" in pool.allowed_uses]
        if before is None and with_nat:
            found.append(
                f"{where} has no natOutgoing, unlike {', '.join(map(repr, sorted(with_nat)))}: its pods speak to the "
                "world with their own addresses, so there must be a way back to them."
            )
    if before is not None and before.enabled and _encapsulation(before) != _encapsulation(after):
        found.append(
            f"{where} changes its encapsulation from {_words(before)} to {_words(after)}: traffic to its pods is "
            "interrupted until all nodes have taken that in."
        )
    if before is not None and before.assignment_mode == "Automatic" and after.assignment_mode == "Manual":
        found.append(f"{where} becomes Manual: it is used only by what asks for it by annotation.")
    if _narrowed(before, after):
        found.append(
            f"{where} selects otherwise than before: addresses in use stay where they are, and new ones follow the "
            "selectors."
        )
    return found


def _nowhere_else(pool: Pool, kin: t.Sequence[Pool]) -> t.Iterator[str]:
    """What nobody else gives once the pool does not."""
    missing = sorted(use for use in pool.allowed_uses if not any(use in other.allowed_uses for other in kin))
    if missing:
        yield (
            f"No other enabled IPv{pool.version} pool allows {' or '.join(missing)}: nothing new gets such an address "
            f"once pool {pool.name!r} is disabled."
        )
    tunnels = [mode for mode in _encapsulation(pool) if "Tunnel" in pool.allowed_uses]
    if tunnels and "Tunnel" not in missing:
        same = any("Tunnel" in other.allowed_uses and set(tunnels) <= set(_encapsulation(other)) for other in kin)
        if not same:
            yield (
                f"No other enabled IPv{pool.version} pool has {_words(pool)} and the use Tunnel: nodes lose the tunnel "
                f"addresses they have of pool {pool.name!r} once it is disabled."
            )


def _encapsulation(pool: Pool) -> t.Tuple[str, ...]:
    """Which kinds of tunnel the pool needs; CrossSubnet and Always need the same device."""
    modes = (("IPIP", pool.ipip_mode), ("VXLAN", pool.vxlan_mode))
    return tuple(kind for kind, mode in modes if mode != "Never")


def _words(pool: Pool) -> str:
    return " and ".join(_encapsulation(pool)) or "none"


def _narrowed(before: t.Optional[Pool], after: Pool) -> bool:
    if before is None:
        return False
    return any(
        not _same_selector(getattr(before, field), getattr(after, field))
        for field in ("node_selector", "namespace_selector")
    )


def _same_selector(one: str, two: str) -> bool:
    if one == two:
        return True
    try:
        return selector.parse(one) == selector.parse(two)
    except SelectorError:
        return False


def warnings(
    pool: Pool,
    *,
    pod_cidrs: t.Iterable[Network] = (),
    service_cidrs: t.Iterable[Network] = (),
    node_addresses: t.Iterable[Address] = (),
) -> t.List[str]:
    """One sentence for each thing about the pool that is legal and probably not meant.

    ``pod_cidrs`` are the cluster's pod ranges (none of the pool's IP version: not checked),
    ``service_cidrs`` its Service ranges, ``node_addresses`` every address of its nodes.
    """
    where = f"Pool {pool.name!r} ({pool.cidr})"
    found = [f"{where} overlaps {special}, {words}." for special, words in _SPECIAL if pool.cidr.overlaps(special)]
    found.extend(
        f"{where} overlaps the Service range {service}: Service addresses would be handed to pods."
        for service in service_cidrs
        if pool.cidr.overlaps(service)
    )
    inside = sorted({address for address in node_addresses if pool.cidr.contains(address)})
    if inside:
        more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
        found.append(f"{where} contains the node address {inside[0]}{more}: pods would be given addresses of nodes.")
    ranges = [network for network in pod_cidrs if network.version == pool.version]
    if (
        ranges
        and "LoadBalancer" not in pool.allowed_uses
        and not any(network.contains(pool.cidr) for network in ranges)
    ):
        found.append(
            f"{where} is not inside the cluster's pod range {', '.join(map(str, ranges))}: kube-proxy and others may "
            "treat its pods as outside the cluster and masquerade their traffic."
        )
    if pool.block_size == pool.cidr.bits:
        found.append(
            f"{where} has blocks of a single address (blockSize {pool.block_size}): on some Calico versions its pods "
            "never start, so try one first."
        )
    return found
