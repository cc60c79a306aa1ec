# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who holds an address, told from its handle and attributes (spec ipam-engine.md §17).

An allocation whose kind cannot be told is in use all the same (§17.4).
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    TUNNEL_HANDLES,
    WINDOWS_RESERVED_HANDLE,
    tunnel_of_handle,
)

POD = "pod"
TUNNEL = "tunnel"
LOAD_BALANCER = "loadbalancer"
WINDOWS = "windows"
VM = "vm"
COOLING = "cooling"
UNKNOWN = "unknown"
KINDS = (POD, TUNNEL, LOAD_BALANCER, WINDOWS, VM, COOLING, UNKNOWN)

_TUNNEL_TYPES = frozenset(TUNNEL_HANDLES.values())
_LB_PREFIX = "lb-"
_NOTHING: t.Mapping[str, str] = {}


class Holder(t.NamedTuple):
    """``kind`` is one of ``KINDS``; ``name`` what people call it.

    That is the pod, the Service, the virtual machine, or the type of a tunnel address.
    ``pod`` is also set for a virtual machine's pod. Members that are not recorded are "".
    """

    kind: str
    namespace: str = ""
    name: str = ""
    pod: str = ""
    node: str = ""
    handle: str = ""

    def __str__(self) -> str:
        whom = f"{self.namespace}/{self.name}" if self.namespace else self.name or self.handle
        if self.kind == WINDOWS:
            return "addresses reserved by a Windows node"
        where = f" on {self.node}" if self.node else ""
        return f"{self.kind} {whom}{where}" if whom else f"{self.kind} holder{where}"


def classify(attribute: t.Any) -> Holder:
    """The holder one entry of a block's stored ``attributes`` describes; unknown when it is not well formed."""
    try:
        return _classify(attribute)
    except (AttributeError, TypeError):
        return Holder(UNKNOWN)


def _classify(attribute: t.Mapping[str, t.Any]) -> Holder:
    if attribute.get("releasedAt"):
        return Holder(COOLING)
    handle = (attribute.get("handle_id") or "").partition("\r")[0]
    owner: t.Mapping[str, str] = attribute.get("secondary") or attribute.get("alternateOwnerAttrs") or _NOTHING
    get = owner.get
    namespace, pod, node = get("namespace", ""), get("pod", ""), get("node", "")
    kind, machine, service = get("type", ""), get("vmi-name", ""), get("service", "")
    "".join((handle, namespace, pod, node, kind, machine, service))  # TypeError unless all of them are text
    if kind in _TUNNEL_TYPES:
        return Holder(TUNNEL, "", kind, "", node, handle)
    if machine or _names_vm(handle):
        space, named = _vm_of(handle)
        return Holder(VM, namespace or space, machine or named, pod, node, handle)
    if pod and namespace:
        return Holder(POD, namespace, pod, pod, node, handle)
    if handle.lower() == WINDOWS_RESERVED_HANDLE:
        return Holder(WINDOWS, handle=handle, node=node)
    tunnel = tunnel_of_handle(handle)
    if tunnel is not None:
        return Holder(TUNNEL, "", tunnel[0], "", node or tunnel[1], handle)
    if kind == "LoadBalancer" or (handle.startswith(_LB_PREFIX) and (service or "." not in handle)):
        return Holder(LOAD_BALANCER, namespace, service, "", node, handle)
    return Holder(UNKNOWN, namespace, pod, pod, node, handle)


def _names_vm(handle: str) -> bool:
    return ".vmi." in handle


def _vm_of(handle: str) -> t.Tuple[str, str]:
    """(namespace, machine) of a handle ``<network>.vmi.<namespace>.<machine>``."""
    namespace, separator, machine = handle.partition(".vmi.")[2].partition(".")
    return (namespace, machine) if separator else ("", "")
