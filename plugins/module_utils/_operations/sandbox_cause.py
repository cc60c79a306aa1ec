# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Why a pod got no sandbox, told from the words of the kubelet's event (hazard D04)."""

from __future__ import annotations

import re
import typing as t

# Calico's words, those of its releases side by side -> what is wrong, as a clause, and what to do about it.
_CAUSES: t.Tuple[t.Tuple[str, str], ...] = (
    (
        r"not ready to process requests|datastore is locked|datastoreReady",
        "Calico's datastore is locked: set datastoreReady of ClusterInformation default to true again",
    ),
    (
        r"not enabled|does not exist|is not one of|pools are disabled|not within a configured IP pool",
        "a pool or an address is asked for that is disabled or gone: look at the annotations and the CNI configuration",
    ),
    (
        r"no configured Calico pools|No enabled IPv[46] pool selects|no configured pools|no IP pools",
        "no enabled pool selects the node and the namespace: look at the selectors of the pools",
    ),
    (
        r"no enabled IPv[46] pool|no qualified pool|allows the use",
        "no enabled pool of that IP version may be used for pods",
    ),
    (
        r"may not own more than|limit.{0,20}blocks|max.{0,20}blocks",
        "the node has as many blocks as it may have: raise maxBlocksPerHost or use larger blocks",
    ),
    (
        r"No more free|out of addresses|not enough IPs|Assigned \d+ (of|out of)|No block is left|failed to request",
        "the pools that select it have no address left for this node",
    ),
    (r"already (assigned|in use)|is taken", "the address it asks for is in use"),
    (
        r"context deadline exceeded|timed? ?out|connection refused|i/o timeout|no route to host",
        "the CNI plugin could not reach the Kubernetes API or Calico's datastore from that node",
    ),
    (
        r"no such file|failed to find plugin|cni config uninitialized|stat /var/lib/calico",
        "the CNI plugin is not set up on that node: see whether calico-node runs there",
    ),
)
_KNOWN = tuple((re.compile(pattern, re.IGNORECASE), cause) for pattern, cause in _CAUSES)


def sandbox_cause(text: str) -> str:
    """What is wrong, as a clause; "" when the words are not known."""
    return next((cause for pattern, cause in _KNOWN if pattern.search(text)), "")
