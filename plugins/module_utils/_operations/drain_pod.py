# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a drain needs to know of a pod."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    addresses,
    annotations_of,
    is_ready,
    is_terminating,
    labels_of,
    metadata_of,
    startup_seconds,
    trouble,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import PREFIX

Labels = t.Tuple[t.Tuple[str, str], ...]


@dataclass(frozen=True)
class PodFacts:
    """What a drain needs to know of a pod on the pod network that has not finished."""

    uid: str
    namespace: str
    name: str
    owner: Owner | None
    in_pool: bool
    addressed: bool
    ready: bool
    running: bool
    terminating: bool
    labels: t.Mapping[str, str]
    label_key: Labels
    pins: t.Mapping[str, str]
    node: str
    trouble: str
    deleted_at: str
    addresses: tuple[str, ...] = ()
    grace: float = 30.0
    """Seconds it has to stop."""
    finite: bool = False
    """It is not started again when it ends."""
    startup: float = 0.0
    """Seconds it took to become ready, as far as that can be told; 0 when it cannot."""

    @property
    def ordinal(self) -> int:
        """The number a StatefulSet's pod ends with; -1 for names without one."""
        found = re.search(r"-(\d+)$", self.name)
        return int(found.group(1)) if found else -1

    @property
    def short(self) -> str:
        return f"{self.namespace}/{self.name}"


def read_pod(thing: Object, owner: Owner | None, network: Network, old: PodFacts | None = None) -> PodFacts:
    """The facts of a pod; ``network`` is the range that is drained, ``old`` what was known of the pod before."""
    metadata, spec = metadata_of(thing), thing.get("spec") or {}
    found = tuple(addresses(thing))
    labels = labels_of(thing)
    if old is not None and found == old.addresses:
        in_pool = old.in_pool
    else:
        in_pool = any(_holds(network, address) for address in found)
    return PodFacts(
        uid=uid_of(thing),
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        owner=owner,
        in_pool=in_pool,
        addressed=bool(found),
        ready=is_ready(thing),
        running=(thing.get("status") or {}).get("phase") == "Running",
        terminating=is_terminating(thing),
        labels=labels,
        label_key=old.label_key if old is not None and old.labels == labels else tuple(sorted(labels.items())),
        pins=pins_of(thing),
        node=str(spec.get("nodeName") or ""),
        trouble=trouble(thing),
        deleted_at=str(metadata.get("deletionTimestamp") or ""),
        addresses=found,
        grace=float(metadata.get("deletionGracePeriodSeconds") or spec.get("terminationGracePeriodSeconds") or 0),
        finite=spec.get("restartPolicy") in ("Never", "OnFailure"),
        startup=old.startup if old is not None else startup_seconds(thing),
    )


def pins_of(thing: Object) -> dict[str, str]:
    """Calico's annotations of a pod or a namespace."""
    return {name: value for name, value in annotations_of(thing).items() if name.startswith(PREFIX)}


def _holds(network: Network, text: str) -> bool:
    try:
        return network.contains(parse_address(text))
    except InvalidInput:
        return False
