# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a change of the reservations means for the pools and for addresses in use (spec ippool.md §3.5).

Reservations are consulted by automatic assignment only: they neither free addresses nor stop
one that is asked for by name.
"""

from __future__ import annotations

import typing as t
from collections import Counter

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import COOLING, Holder, classify
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations

#: Holders named in a sentence before it says "and n more".
_NAMED = 3


def reservation_warnings(
    before: t.Iterable[Network], after: t.Iterable[Network], pools: t.Sequence[Pool], blocks: t.Iterable[Block]
) -> t.Tuple[str, ...]:
    """Sentences about what becomes reserved that was not; ``before`` and ``after`` are all reservations there are."""
    old, after = Reservations(before), tuple(after)
    new = Reservations(after)
    added = [network for network in dict.fromkeys(after) if not old.whole(network)]
    warnings = [
        f"{network} lies in no pool: nothing is ever handed out there."
        for network in added
        if not any(pool.cidr.overlaps(network) for pool in pools)
    ]
    warnings += [
        f"Every address of pool {pool.name} ({pool.cidr}) is reserved: automatic assignment gets none from it any more."
        for pool in pools
        if new.whole(pool.cidr) and not old.whole(pool.cidr)
    ]
    found = held_addresses(added, blocks)
    if found:
        count = len(found)
        whom = Counter(holder.kind for holder in found)
        kinds = ", ".join(f"{whom[kind]} {kind}" for kind in sorted(whom))
        names = ", ".join(str(holder) for holder in found[:_NAMED])
        more = f" and {count - _NAMED} more" if count > _NAMED else ""
        warnings.append(
            f"{count} reserved address{'es are' if count > 1 else ' is'} in use ({kinds}): existing allocations stay "
            f"until they are released: {names}{more}."
        )
    return tuple(warnings)


def held_addresses(networks: t.Iterable[Network], blocks: t.Iterable[Block]) -> t.List[Holder]:
    """Who holds an address inside the networks, in order of address; those cooling down are held by nobody."""
    wanted = Reservations(networks)
    found: t.List[t.Tuple[int, int, Holder]] = []
    for block in blocks:
        version, base = block.cidr.version, block.cidr.value
        if not wanted.any(version) or not wanted.count(block.cidr):
            continue
        for ordinal, index in enumerate(block.allocations):
            if index is not None and wanted.reserved(version, base + ordinal):
                holder = classify(_stored(block.attributes[index]))
                if holder.kind != COOLING:
                    found.append((version, base + ordinal, holder))
    return [holder for _version, _address, holder in sorted(found)]


def _stored(attribute: Attribute) -> t.Dict[str, t.Any]:
    return {
        "handle_id": attribute.handle_id,
        "secondary": attribute.secondary,
        "alternateOwnerAttrs": attribute.alternate,
        "releasedAt": attribute.released_at,
    }
