# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the engine needs from a datastore, and how a datastore says no.

Three kinds of record are versioned: blocks, affinity rows and handles. Every write of an
existing record is a compare-and-swap on the ``Stored`` that was read. Everything else
(pools, reservations, settings, node labels) is only read.

Rules of the stores: spec ipam-engine.md §1 to §3.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservation, Reservations
    from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

T = t.TypeVar("T")

#: Attempts wherever the specification says "retried" (spec ipam-engine.md §0).
RETRIES = 100


class StoreError(IpamError):
    """The datastore could not do a read or a write as asked."""


class NotFoundInStore(StoreError):
    """The record does not exist."""


class AlreadyInStore(StoreError):
    """A record of that name exists already."""


class UpdateConflict(StoreError):
    """The record changed since it was read: the compare-and-swap was lost."""


class CorruptRecord(StoreError):
    """A stored record cannot be understood."""


@dataclass(frozen=True)
class Stored(t.Generic[T]):
    """A record together with the revision it was read at.

    ``origin`` belongs to the store that made it (the raw object, so that members it does
    not know survive an update).
    """

    value: T
    revision: t.Any
    origin: t.Any = field(default=None, compare=False, repr=False)


class Datastore(t.Protocol):
    """Reads raise NotFoundInStore; creates AlreadyInStore; updates and deletes UpdateConflict or NotFoundInStore.

    Values are immutable and shared: whoever gets one must not change what it holds.
    """

    def get_block(self, cidr: Network) -> Stored[Block]: ...

    def list_blocks(self, version: int | None = None) -> list[Stored[Block]]:
        """All blocks in name order, those being deleted (``deleted`` true) included."""

    def blocks_in(self, network: Network) -> list[Stored[Block]]:
        """The blocks that overlap ``network``, in name order, those being deleted included."""

    def block_index(self) -> t.Mapping[Network, Stored[Block]]:
        """All blocks by CIDR, to look single ones up in; a store may answer with a live view."""

    def create_block(self, block: Block) -> Stored[Block]: ...

    def update_block(self, stored: Stored[Block], block: Block) -> Stored[Block]: ...

    def delete_block(self, stored: Stored[Block]) -> None: ...

    def get_affinity(self, host: str, affinity_type: str, cidr: Network) -> Stored[Affinity]: ...

    def list_affinities(
        self, host: str | None = None, affinity_type: str | None = None, version: int | None = None
    ) -> list[Stored[Affinity]]:
        """Affinity rows in name order without those being deleted.

        With a host the store may use an index (label selectors); without any argument it
        must find every row there is.
        """

    def create_affinity(self, affinity: Affinity) -> Stored[Affinity]: ...

    def update_affinity(self, stored: Stored[Affinity], affinity: Affinity) -> Stored[Affinity]: ...

    def delete_affinity(self, stored: Stored[Affinity]) -> None: ...

    def get_handle(self, handle_id: str) -> Stored[Handle]: ...

    def list_handles(self) -> list[Stored[Handle]]:
        """All handles in name order, those being deleted included."""

    def handles_in(self, network: Network) -> list[Stored[Handle]]:
        """The handles that count in a block overlapping ``network``, in name order."""

    def create_handle(self, handle: Handle) -> Stored[Handle]: ...

    def update_handle(self, stored: Stored[Handle], handle: Handle) -> Stored[Handle]: ...

    def delete_handle(self, stored: Stored[Handle]) -> None: ...

    def finish_deletes(self, network: Network) -> None:
        """Remove the records inside a range whose deletion was begun by somebody who did not come to its end (§2.4)."""

    def pools(self) -> t.Sequence[Pool]:
        """Every pool whose CIDR parses, by name; also disabled ones and those being deleted."""

    def reservations(self) -> Reservations: ...

    def settings(self) -> Settings: ...

    def node_labels(self, node: str) -> t.Mapping[str, str]:
        """Labels pool selectors are matched against (spec ippool.md §8.5); NotFoundInStore without such a Node."""


class ConfigurationStore(t.Protocol):
    """Settings and reservations as records of their own, to be written. The errors are those of ``Datastore``."""

    def get_settings(self) -> Stored[Settings]:
        """What is stored; NotFoundInStore when there is no object, which Calico reads as its defaults (§14)."""

    def create_settings(self, settings: Settings) -> Stored[Settings]: ...

    def update_settings(self, stored: Stored[Settings], settings: Settings) -> Stored[Settings]: ...

    def get_reservation(self, name: str) -> Stored[Reservation]: ...

    def list_reservations(self) -> list[Stored[Reservation]]:
        """All reservations in name order."""

    def create_reservation(self, reservation: Reservation) -> Stored[Reservation]: ...

    def update_reservation(self, stored: Stored[Reservation], reservation: Reservation) -> Stored[Reservation]: ...

    def delete_reservation(self, stored: Stored[Reservation]) -> None: ...


def retry_conflicts(operation: t.Callable[[], t.Any]) -> None:
    """Run a whole read-and-write procedure again while it loses compare-and-swaps; the last loss is raised."""
    for _attempt in range(RETRIES - 1):
        try:
            operation()
        except UpdateConflict:
            continue
        return
    operation()
