# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The circuit breaker: after so many failures no further workload is begun (hazards.md D04, D15)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner


@dataclass
class Breaker:
    """Counts workloads, not events: one that fails again and again is one failure."""

    most: int = 3
    failures: dict[Owner, str] = field(default_factory=dict)

    def note(self, owner: Owner | None, reason: str) -> None:
        if owner is not None:
            self.failures[owner] = reason

    def forget(self, owner: Owner | None) -> None:
        """It came about after all."""
        if owner is not None:
            self.failures.pop(owner, None)

    @property
    def open(self) -> bool:
        return len(self.failures) >= self.most

    def sentence(self, pool: str) -> str:
        shown = "; ".join(f"{owner.label}: {reason}" for owner, reason in sorted(self.failures.items())[:3])
        number = len(self.failures)
        return (
            f"The drain of IPPool {pool!r} begins no further workload, since {number} "
            f"{'has' if number == 1 else 'have'} failed (max_failures {self.most}): {shown}."
        )
