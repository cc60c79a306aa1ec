# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How long a new pod without an address is put up with (hazards.md D04)."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_pod import PodFacts

# Seconds: what only a person can put right, once more tried by the kubelet, and what may pass by itself.
FOR_GOOD = 15.0
FOR_NOW = 120.0
# Calico's words for it: no pool selects the pod, a pool asked for is not to be had, or all are full.
_LASTING = re.compile(
    r"no configured Calico pools|Assigned 0 out of|No more free|out of addresses|not enough IPs|limit.*blocks|"
    r"not in any configured|is not one of|does not exist|pools are disabled|no (qualified|enabled|IPv[46]) .*pool",
    re.IGNORECASE,
)


@dataclass
class Patience:
    """When each pod was first seen to fail."""

    _since: dict[str, float] = field(default_factory=dict)

    def lost(self, failing: t.Sequence[tuple[PodFacts, str]], now: float) -> tuple[PodFacts, str] | None:
        """The first pod that will not get an address any more, as it seems, with the words of its last event."""
        known = {pod.uid for pod, _text in failing}
        self._since = {uid: since for uid, since in self._since.items() if uid in known}
        for pod, text in failing:
            since = self._since.setdefault(pod.uid, now)
            if now - since >= (FOR_GOOD if _LASTING.search(text) else FOR_NOW):
                return pod, text
        return None

    def moments(self, now: float) -> list[float]:
        """When patience with a pod ends."""
        ends = [since + limit for since in self._since.values() for limit in (FOR_GOOD, FOR_NOW)]
        return [end for end in ends if end > now]
