# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a change of the IPAM settings would do to a cluster that is in use.

Calico's client looks at none of this (spec ipam-engine.md §14). The reasons: hazards of the
cooldown in §17.3 and §22, of Windows nodes in §14, of the block limit and of borrowing in §9.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import DEFAULT_BLOCKS_PER_HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

#: The first release that understands cooling addresses (§22).
COOLDOWN_SINCE = (3, 33)

WINDOWS = "windows"
COOLDOWN_VERSIONS = "cooldown_versions"
COOLDOWN_LOAD_BALANCER = "cooldown_load_balancer"
#: Refusals that an informed operator may pass by name.
WAIVERS = (COOLDOWN_LOAD_BALANCER, COOLDOWN_VERSIONS, WINDOWS)

# Settings that older releases do not have (spec ippool.md §3.5).
_SINCE = {"kubeVirtVMAddressPersistence": "v3.32", "ipCooldownSeconds": "v3.33"}

#: Names listed in a sentence before it says "and n more".
_NAMED = 3


@dataclass(frozen=True)
class SettingsFacts:
    """What the cluster looks like, as far as it could be read; what could not be read is None.

    ``borrowed``: addresses recorded for another node than their block's owner. ``blocks_of``:
    per host the most blocks it owns of one family. ``nodes``: per Node the pods it may run;
    ``windows_nodes`` those that run Windows. ``free_blocks``: places for a block left in enabled
    pools for workloads. ``addresses_per_block``: of the largest blocks in those pools.
    ``versions``: per Calico component its version, major and minor. ``keeps_released_at``:
    whether the datastore keeps that member of a block. ``load_balancer``: what shows that
    Calico hands out Service addresses. ``unserved``: settings to be changed that the datastore
    has no place for.
    """

    borrowed: int = 0
    blocks_of: t.Mapping[str, int] = field(default_factory=dict)
    nodes: t.Mapping[str, int] = field(default_factory=dict)
    windows_nodes: t.Tuple[str, ...] = ()
    free_blocks: t.Optional[int] = None
    addresses_per_block: t.Optional[int] = None
    vm_addresses: int = 0
    versions: t.Mapping[str, t.Tuple[int, int]] = field(default_factory=dict)
    keeps_released_at: t.Optional[bool] = None
    load_balancer: t.Tuple[str, ...] = ()
    unserved: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Concern:
    """One sentence about a change. ``refused``: it must not be made, unless ``waiver`` is given by name."""

    message: str
    refused: bool = False
    waiver: str = ""


def review_settings(before: Settings, after: Settings, facts: SettingsFacts) -> t.Tuple[Concern, ...]:
    """The concerns about changing settings, refusals first; nothing is said about what stays as it is."""
    concerns: t.List[Concern] = list(_unserved(facts))
    if before.strict_affinity != after.strict_affinity:
        concerns += _borrowing_stops(facts) if after.strict_affinity else _borrowing_starts(facts)
    if before.auto_allocate_blocks and not after.auto_allocate_blocks:
        concerns += _no_new_blocks(facts)
    if _limit(before) != _limit(after):
        concerns += _block_limit(_limit(after), after, facts)
    if before.vm_address_persistence != after.vm_address_persistence and after.vm_address_persistence == "Disabled":
        concerns += _vm_addresses(facts)
    if before.cooldown_seconds == 0 and after.cooldown_seconds > 0:
        concerns += _cooldown(facts)
    return tuple(sorted(concerns, key=lambda concern: not concern.refused))


def _unserved(facts: SettingsFacts) -> t.Iterator[Concern]:
    for member in facts.unserved:
        since = f", which comes with Calico {_SINCE[member]}" if member in _SINCE else ""
        yield Concern(
            f"The CRD of the IPAM settings in this cluster has no {member}{since}: bring the CRDs up to date first.",
            refused=True,
        )


def _borrowing_stops(facts: SettingsFacts) -> t.Iterator[Concern]:
    if facts.borrowed:
        yield Concern(
            f"{_count(facts.borrowed, 'address')} borrowed from blocks of other nodes stay with their holders; "
            "strictAffinity only keeps nodes from borrowing more."
        )
    without = sorted(set(facts.nodes) - set(facts.blocks_of))
    if without and facts.free_blocks is not None and facts.free_blocks < len(without):
        yield Concern(
            f"{_count(len(without), 'node')} without a block of their own ({_some(without)}) but room for only "
            f"{_count(facts.free_blocks, 'more block')} in the enabled pools: with strictAffinity the others get no "
            "address at all."
        )


def _borrowing_starts(facts: SettingsFacts) -> t.Iterator[Concern]:
    if facts.windows_nodes:
        yield Concern(
            f"strictAffinity cannot be turned off while there are Windows nodes ({_some(facts.windows_nodes)}): Calico "
            "refuses every address there without it.",
            refused=True,
            waiver=WINDOWS,
        )


def _no_new_blocks(facts: SettingsFacts) -> t.Iterator[Concern]:
    without = sorted(set(facts.nodes) - set(facts.blocks_of))
    tail = f"; without any block are {_count(len(without), 'node')} ({_some(without)})" if without else ""
    yield Concern(
        "With autoAllocateBlocks false no node gets a new block: pods stay pending once the blocks of their node are "
        f"full{tail}."
    )


def _block_limit(limit: int, after: Settings, facts: SettingsFacts) -> t.Iterator[Concern]:
    above = sorted(host for host, blocks in facts.blocks_of.items() if blocks > limit)
    if above:
        most = max(above, key=lambda host: (facts.blocks_of[host], host))
        yield Concern(
            f"{_count(len(above), 'host')} above the limit of {_count(limit, 'block')} ({_some(above)}; {most} has "
            f"{facts.blocks_of[most]}): they keep their blocks and get no more."
        )
    size = facts.addresses_per_block
    if after.max_blocks_per_host and size is not None:
        small = sorted(name for name, pods in facts.nodes.items() if pods > limit * size)
        if small:
            yield Concern(
                f"{_count(limit, 'block')} of {_count(size, 'address')} are fewer addresses than "
                f"{_count(len(small), 'node')} may run pods ({_some(small)}; {small[0]} {facts.nodes[small[0]]}): "
                "the last pods there would stay pending."
            )


def _vm_addresses(facts: SettingsFacts) -> t.Iterator[Concern]:
    if facts.vm_addresses:
        yield Concern(
            f"{_count(facts.vm_addresses, 'address')} held by virtual machines: with kubeVirtVMAddressPersistence "
            "Disabled each gets another one at its next start, and live migration is refused."
        )


def _cooldown(facts: SettingsFacts) -> t.Iterator[Concern]:
    if facts.keeps_released_at is False:
        yield Concern(
            "A cooldown cannot be enabled: the ipamblocks CRD of this cluster has no releasedAt, so every released "
            "address would be stored as an allocation without a holder, which nobody ever frees; install the CRDs of "
            f"Calico v{COOLDOWN_SINCE[0]}.{COOLDOWN_SINCE[1]} or later first.",
            refused=True,
        )
    if facts.load_balancer:
        yield Concern(
            f"A cooldown must not be combined with Service addresses from Calico ({_some(facts.load_balancer)}): "
            "calico-kube-controllers crashes on a cooling one.",
            refused=True,
            waiver=COOLDOWN_LOAD_BALANCER,
        )
    old = sorted(name for name, version in facts.versions.items() if version < COOLDOWN_SINCE)
    wanted = f"v{COOLDOWN_SINCE[0]}.{COOLDOWN_SINCE[1]}"
    if old:
        major, minor = min(facts.versions.values())
        yield Concern(
            f"A cooldown must wait until every Calico component is {wanted} or later: {_some(old)}, "
            f"down to v{major}.{minor}, would take cooling addresses for allocated ones that nobody holds.",
            refused=True,
            waiver=COOLDOWN_VERSIONS,
        )
    elif not facts.versions or facts.keeps_released_at is None:
        what = "which versions of Calico run" if not facts.versions else "whether the ipamblocks CRD has releasedAt"
        yield Concern(
            f"A cooldown needs every Calico component and the CRDs to be {wanted} or later, and {what} could not be "
            "told.",
            refused=True,
            waiver=COOLDOWN_VERSIONS,
        )


def _limit(settings: Settings) -> int:
    return settings.max_blocks_per_host or DEFAULT_BLOCKS_PER_HOST


def _count(number: int, noun: str) -> str:
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"


def _some(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
