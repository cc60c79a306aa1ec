# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The cluster-wide IPAM settings (spec ipam-engine.md §14)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.capacity import DEFAULT_BLOCKS_PER_HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

MAX_COOLDOWN_SECONDS = 1200

#: The largest value any of Calico's schemas takes.
MAX_BLOCKS_PER_HOST = (1 << 31) - 1

#: Field of ``Settings`` -> Calico's spelling, in the order in which settings are shown.
SETTINGS_FIELDS: t.Dict[str, str] = {
    "strict_affinity": "strictAffinity",
    "auto_allocate_blocks": "autoAllocateBlocks",
    "max_blocks_per_host": "maxBlocksPerHost",
    "vm_address_persistence": "kubeVirtVMAddressPersistence",
    "cooldown_seconds": "ipCooldownSeconds",
}


@dataclass(frozen=True)
class Settings:
    """What is stored, or Calico's values for a missing object.

    ``max_blocks_per_host`` 0 means the built-in limit. ``cooldown_seconds`` is how long a
    released address rests before it can be handed out again. ``unset`` names, in Calico's
    spelling, the members that the stored object leaves out, where a store can tell.
    """

    strict_affinity: bool = False
    auto_allocate_blocks: bool = True
    max_blocks_per_host: int = 0
    vm_address_persistence: str = "Enabled"
    cooldown_seconds: int = 0
    unset: t.FrozenSet[str] = field(default=frozenset(), compare=False, repr=False)

    def shown(self) -> t.Dict[str, t.Any]:
        """In Calico's spelling, in a fixed order."""
        return {theirs: getattr(self, ours) for ours, theirs in SETTINGS_FIELDS.items()}


def check_settings(settings: Settings) -> None:
    """Refuse what Calico's client refuses to write; InvalidInput names the field (spec ipam-engine.md §14)."""
    if not settings.strict_affinity and not settings.auto_allocate_blocks:
        raise InvalidInput(
            "autoAllocateBlocks false needs strictAffinity true: without either, hosts could only borrow addresses.",
            "autoAllocateBlocks",
            False,
        )
    if settings.max_blocks_per_host > 0 and not settings.strict_affinity:
        raise InvalidInput(
            f"maxBlocksPerHost {settings.max_blocks_per_host} needs strictAffinity true.",
            "maxBlocksPerHost",
            settings.max_blocks_per_host,
        )
    if settings.max_blocks_per_host < 0:
        raise InvalidInput(
            f"maxBlocksPerHost {settings.max_blocks_per_host} is negative: 0 means the built-in limit of "
            f"{DEFAULT_BLOCKS_PER_HOST} blocks.",
            "maxBlocksPerHost",
            settings.max_blocks_per_host,
        )
    if settings.max_blocks_per_host > MAX_BLOCKS_PER_HOST:
        raise InvalidInput(
            f"maxBlocksPerHost {settings.max_blocks_per_host} is out of range: 0 to {MAX_BLOCKS_PER_HOST}.",
            "maxBlocksPerHost",
            settings.max_blocks_per_host,
        )
    if not 0 <= settings.cooldown_seconds <= MAX_COOLDOWN_SECONDS:
        raise InvalidInput(
            f"ipCooldownSeconds {settings.cooldown_seconds} is out of range: 0 to {MAX_COOLDOWN_SECONDS}.",
            "ipCooldownSeconds",
            settings.cooldown_seconds,
        )
    if settings.vm_address_persistence not in ("Enabled", "Disabled"):
        raise InvalidInput(
            f"kubeVirtVMAddressPersistence {settings.vm_address_persistence!r} is neither Enabled nor Disabled.",
            "kubeVirtVMAddressPersistence",
            settings.vm_address_persistence,
        )


def settings_problems(settings: Settings) -> t.Tuple[str, ...]:
    """What is wrong with settings that somebody stored past Calico's client: the engine obeys them all the same (§14).

    Each is one sentence that ends with the remedy.
    """
    problems: t.List[str] = []
    if not settings.auto_allocate_blocks and "autoAllocateBlocks" in settings.unset:
        problems.append(
            "The settings object is stored without autoAllocateBlocks, which Calico reads as false: no host gets a new "
            "block until auto_allocate_blocks is set to true."
        )
    elif not settings.strict_affinity and not settings.auto_allocate_blocks:
        problems.append(
            "strictAffinity and autoAllocateBlocks are both false: no host gets a new block, hosts only borrow "
            "addresses from each other; set one of the two to true."
        )
    elif not settings.auto_allocate_blocks:
        problems.append(
            "autoAllocateBlocks is false: no host gets a new block, so pods stay pending once the blocks of their node "
            "are full."
        )
    if settings.max_blocks_per_host > 0 and not settings.strict_affinity:
        problems.append(
            f"maxBlocksPerHost is {settings.max_blocks_per_host} while strictAffinity is false, which Calico's client "
            "refuses to write: a host with that many full blocks gets no address at all, it does not borrow; set "
            "strict_affinity to true or max_blocks_per_host to 0."
        )
    if not 0 <= settings.cooldown_seconds <= MAX_COOLDOWN_SECONDS:
        problems.append(
            f"ipCooldownSeconds is {settings.cooldown_seconds}, outside of 0 to {MAX_COOLDOWN_SECONDS}; set "
            "ip_cooldown_seconds to a value in this range."
        )
    return tuple(problems)
