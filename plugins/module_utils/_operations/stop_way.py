# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How to stop a pool from giving out addresses: disabled, or with a nodeSelector that matches nothing.

Disabling is the rule: nothing gets an address of the pool any more. A virtual machine of KubeVirt keeps its
address over restarts and migrations, and Calico looks the address up among the enabled pools each time, so
both fail while it lies in a disabled one. A selector that matches nothing leaves the pool enabled, which lets
machines go on; the price is that whoever asks for the pool by name or range still gets an address of it
(spec ipam-engine.md §13, §16, §17.1, §20; hazard B18).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import VM
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector import parse
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import Holding

DISABLED = "disabled"
NODE_SELECTOR = "node_selector"
WAYS = (DISABLED, NODE_SELECTOR)

#: The nodeSelector of a pool that is stopped without being disabled.
NO_NODE = "!all()"

#: What KubeVirt writes on the pod that a virtual machine runs in.
VIRT_LAUNCHER_LABEL, VIRT_LAUNCHER = "kubevirt.io", "virt-launcher"


@dataclass(frozen=True)
class StopWay:
    """``way`` is ``disabled`` or ``node_selector``; ``reason`` and ``consequences`` are sentences."""

    way: str
    reason: str
    consequences: tuple[str, ...]
    machines: tuple[str, ...] = ()

    @property
    def changes(self) -> dict[str, t.Any]:
        """The fields of the pool's spec that stop it."""
        return {"nodeSelector": NO_NODE} if self.way == NODE_SELECTOR else {"disabled": True}

    def as_result(self) -> dict[str, t.Any]:
        return {
            "stop_way": self.way,
            "reason": self.reason,
            "consequences": list(self.consequences),
            "machines": list(self.machines),
        }


def stop_way(
    machines: t.Iterable[str], persistence: str | None, asking: t.Sequence[str] = (), *, can_disable: bool = True
) -> StopWay:
    """The way for a pool in which ``machines`` (namespace/name) hold addresses.

    ``persistence`` is kubeVirtVMAddressPersistence, None where it is not set, which means Enabled.
    ``asking`` names what asks for the pool by name or range. Tigera operators before v1.36 have no word for a pool
    that is disabled (spec ippool.md §10.4): then it is not ``can_disable``.
    """
    found = tuple(sorted(set(machines)))
    if not can_disable:
        return StopWay(
            NODE_SELECTOR,
            "The Tigera operator of this cluster cannot disable a pool, which came with operator v1.36 and Calico "
            "v3.29.",
            _with_asking(asking),
            found,
        )
    if not found:
        return StopWay(DISABLED, "No virtual machine holds an address of the pool.", _OF_DISABLED)
    shown = _some(found)
    if persistence == "Disabled":
        return StopWay(
            DISABLED,
            f"kubeVirtVMAddressPersistence is Disabled, so {shown} would take new addresses anyway.",
            _OF_DISABLED,
            found,
        )
    return StopWay(
        NODE_SELECTOR,
        "Virtual machines keep their address over restarts and migrations, which fail while the pool is disabled; "
        f"{len(found)} hold addresses of it: {shown}.",
        _with_asking(asking),
        found,
    )


def machines_in(held: t.Iterable[Holding], pods: t.Iterable[t.Mapping[str, t.Any]] = ()) -> list[str]:
    """The virtual machines among those who hold addresses, as namespace/name, sorted.

    ``pods`` have addresses of the pool; those in which a machine runs count by themselves too, since Calico
    records only the pod where persistence was off when it got its address.
    """
    found = {f"{each.holder.namespace}/{each.holder.name}" for each in held if each.holder.kind == VM}
    for pod in pods:
        labels = pod["metadata"].get("labels") or {}
        if labels.get(VIRT_LAUNCHER_LABEL) == VIRT_LAUNCHER:
            name = labels.get("vm.kubevirt.io/name") or _domain(pod) or pod["metadata"]["name"]
            found.add(f"{pod['metadata'].get('namespace')}/{name}")
    return sorted(found)


def is_stopped(spec: t.Mapping[str, t.Any]) -> bool:
    """Whether a pool with this spec gives nobody an address who does not ask for it by name or range."""
    return bool(spec.get("disabled")) or selects_no_node(str(spec.get("nodeSelector") or ""))


def selects_no_node(selector: str) -> bool:
    """Whether a nodeSelector is the negation of one that matches everything, in any spelling."""
    text = "".join(selector.split())
    if not text.startswith("!") or text.lstrip("!(").rstrip(")") not in ("all(", "global("):
        return False
    try:
        return not parse(selector).matches({})
    except SelectorError:
        return False


def way_of(spec: t.Mapping[str, t.Any]) -> str | None:
    """How a pool with this spec is stopped; None when it is not."""
    if spec.get("disabled"):
        return DISABLED
    return NODE_SELECTOR if is_stopped(spec) else None


_OF_DISABLED = (
    "Nothing gets an address of the pool any more, not even what asks for it by name; new pods that do so fail.",
    "Addresses that pods have stay as they are; tunnel addresses of nodes move to another pool within seconds.",
)
_OF_NODE_SELECTOR = (
    "The pool stays enabled: pods and namespaces that ask for it by annotation or in the CNI configuration, and pods "
    "that ask for one of its addresses, still get one.",
    "Virtual machines keep their addresses over restarts and migrations; one moves only when it is deleted, or stopped "
    "and its address released on purpose.",
    "Tunnel addresses of nodes move to another pool within seconds, and blocks are given back as soon as they are "
    "empty.",
)


def _with_asking(asking: t.Sequence[str]) -> tuple[str, ...]:
    first, *others = _OF_NODE_SELECTOR
    return (first, *([f"These ask for it now: {_some(asking)}."] if asking else []), *others)


def _domain(pod: t.Mapping[str, t.Any]) -> str:
    return str((pod["metadata"].get("annotations") or {}).get("kubevirt.io/domain") or "")


def _some(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
