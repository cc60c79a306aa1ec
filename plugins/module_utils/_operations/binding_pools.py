# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The pools a binding names: they must exist, be enabled, and allow workloads."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import why_not


def resolve_pools(
    entries: t.Sequence[str], pools: t.Sequence[Pool], version: int, option: str, *, serving: bool = True
) -> t.Iterator[Pool]:
    """The pools meant by names or CIDRs, in that order, each once.

    InvalidInput, blamed on the ``option``, for one that does not exist or is of the other family; Refused for
    one from which no pod gets an address now, unless not ``serving``.
    """
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        pool = find_pool(entry, pools)
        where = f"{option}[{index}]"
        if pool is None:
            existing = ", ".join(f"{each.name} ({each.cidr})" for each in pools if each.version == version) or "none"
            raise InvalidInput(
                f"{where}: there is no IPPool {entry!r}; the IPv{version} pools of this cluster are: {existing}.",
                field=where,
                value=entry,
            )
        if pool.version != version:
            raise InvalidInput(
                f"{where}: IPPool {pool.name!r} is an IPv{pool.version} pool; name it in ipv{pool.version}_pools.",
                field=where,
                value=entry,
            )
        reason = why_not(pool, version, {}, None, "Workload", [pool.cidr])
        if serving and reason is not None:
            raise Refused(f"{where}: new pods would get no address. {reason}", pool=pool.name)
        if pool.name not in seen:
            seen.add(pool.name)
            yield pool


def find_pool(entry: str, pools: t.Iterable[Pool]) -> Pool | None:
    """The pool meant by a name or a CIDR in any spelling. What parses as a CIDR is one, as for Calico."""
    network: Network | None
    try:
        network = parse_network(entry, strict=False)
    except InvalidInput:
        network = None
    return next((pool for pool in pools if (pool.cidr == network if network else pool.name == entry)), None)
