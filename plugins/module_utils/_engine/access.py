# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A datastore, the clock and the settings: what every operation on blocks works with."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block, clean_up, next_revision
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore, Stored
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import StrictAffinityRequired
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import Clock


@dataclass(frozen=True)
class Access:
    """Settings are read once per call, as Calico does."""

    datastore: Datastore
    now: Clock
    settings: Settings

    def load(self, cidr: Network) -> Stored[Block]:
        """A block after its clean-up pass (spec ipam-engine.md §5.5); NotFoundInStore without one."""
        return self.tidy(self.datastore.get_block(cidr))

    def tidy(self, stored: Stored[Block]) -> Stored[Block]:
        """A block that was listed, after its clean-up pass."""
        if stored.value.settled:
            return stored
        block = clean_up(stored.value, self.now(), self.settings.cooldown_seconds)
        return stored if block is stored.value else Stored(block, stored.revision, stored.origin)

    def write(self, stored: Stored[Block], block: Block) -> Stored[Block]:
        """Update a block under the next sequence number (§5.2)."""
        return self.datastore.update_block(stored, next_revision(block))


def access_to(datastore: Datastore, now: Clock, *, windows: bool = False) -> Access:
    """Access with the settings as they are stored now.

    StrictAffinityRequired for a Windows host when strictAffinity is off (§14).
    """
    settings = datastore.settings()
    if windows and not settings.strict_affinity:
        raise StrictAffinityRequired("Windows hosts need strictAffinity true in the IPAM settings.")
    return Access(datastore, now, settings)
