# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""What Calico accepts in a pool without a word and an operator should hear about.

Sources: spec ippool.md §3.1 (notes), §7.4; spec hazards.md B09, B11 and B23.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool

_SPECIAL: t.Tuple[t.Tuple[Network, str], ...] = tuple(
    (parse_network(text), words)
    for text, words in (
        ("0.0.0.0/8", '"this network", which hosts do not route'),
        ("127.0.0.0/8", "the loopback range"),
        ("192.0.2.0/24", "a range for documentation"),
        ("198.51.100.0/24", "a range for documentation"),
        ("203.0.113.0/24", "a range for documentation"),
        ("224.0.0.0/4", "the multicast range"),
        ("240.0.0.0/4", "class E, which many systems refuse"),
        ("::/128", "the unspecified address"),
        ("::1/128", "the loopback address"),
        ("2001:db8::/32", "a range for documentation"),
        ("3fff::/20", "a range for documentation"),
        ("ff00::/8", "the multicast range"),
    )
)


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
