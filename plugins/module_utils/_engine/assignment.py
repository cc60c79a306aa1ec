# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.


"""What automatic assignment is asked for, and what it gives (spec ipam-engine.md §9)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError

LOAD_BALANCER_USE = "LoadBalancer"


@dataclass(frozen=True)
class AssignRequest:
    """What ``auto_assign`` is asked for (§9).

    ``attributes`` describe the owner (None and ``{}`` are different things to Calico).
    ``requested_v4`` and ``requested_v6`` name pools by CIDR and bypass their selectors.
    ``max_blocks`` limits blocks per host, ``max_per_handle`` addresses per handle and family;
    0 leaves either to the settings. ``windows``: the host runs Windows.
    """

    host: str
    num_v4: int = 0
    num_v6: int = 0
    handle_id: t.Optional[str] = None
    attributes: t.Optional[t.Mapping[str, str]] = None
    use: str = "Workload"
    requested_v4: t.Sequence[Network] = ()
    requested_v6: t.Sequence[Network] = ()
    namespace_labels: t.Optional[t.Mapping[str, str]] = None
    max_blocks: int = 0
    max_per_handle: int = 0
    host_reserved_v4: t.Optional[HostReserved] = None
    host_reserved_v6: t.Optional[HostReserved] = None
    windows: bool = False


class AssignedAddress(t.NamedTuple):
    """An address with the prefix length Calico reports: the block's, or 32/128 for a given address."""

    address: Address
    prefix: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


@dataclass(frozen=True)
class FamilyAssignment:
    """Addresses of one family; ``notes`` say why there are fewer than ``requested``."""

    requested: int
    addresses: t.Tuple[AssignedAddress, ...] = ()
    notes: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Assignment:
    """What ``auto_assign`` got. Too few addresses are no error: compare, or look at ``problem``.

    With an ``error`` the addresses named here are assigned all the same; the caller
    releases them.
    """

    v4: t.Optional[FamilyAssignment] = None
    v6: t.Optional[FamilyAssignment] = None
    error: t.Optional[IpamError] = None

    @property
    def addresses(self) -> t.Tuple[AssignedAddress, ...]:
        """All addresses, IPv4 first."""
        return tuple(address for family in (self.v4, self.v6) if family for address in family.addresses)

    @property
    def problem(self) -> t.Optional[str]:
        """One sentence when not everything asked for was assigned, else None."""
        if self.error is not None:
            return self.error.message
        for version, family in ((4, self.v4), (6, self.v6)):
            if family and len(family.addresses) < family.requested:
                reason = ": " + "; ".join(family.notes) if family.notes else ""
                return f"Assigned {len(family.addresses)} of {family.requested} IPv{version} address(es){reason}."
        return None
