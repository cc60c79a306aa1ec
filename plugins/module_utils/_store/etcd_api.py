# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The Kubernetes API of a cluster whose Calico has an etcd, as if Calico kept its data in the API.

Whoever holds IPAM records against nodes, pods and Calico's resources asks one API. Calico's
resources come out of etcd here, and nodes get the annotations with their tunnel addresses,
which Calico writes to its own Node resource in etcd and nowhere else
(spec ipam-engine.md §1, §17.2). Everything else is the API's.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    KubeApi,
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore

#: Annotation of a node in the Kubernetes datastore -> where Calico's Node in etcd has the same address.
TUNNELS: t.Dict[str, t.Tuple[str, ...]] = {
    "projectcalico.org/IPv4IPIPTunnelAddr": ("bgp", "ipv4IPIPTunnelAddr"),
    "projectcalico.org/IPv4VXLANTunnelAddr": ("ipv4VXLANTunnelAddr",),
    "projectcalico.org/IPv6VXLANTunnelAddr": ("ipv6VXLANTunnelAddr",),
    "projectcalico.org/IPv4WireguardInterfaceAddr": ("wireguard", "interfaceIPv4Address"),
    "projectcalico.org/IPv6WireguardInterfaceAddr": ("wireguard", "interfaceIPv6Address"),
}


@dataclass(frozen=True)
class _Page:
    items: t.List[Object]


@t.runtime_checkable
class _Paged(t.Protocol):
    def pages(self, resource: Resource) -> t.Iterator[t.Any]: ...


class EtcdBackedApi:
    """A ``KubeApi`` whose reads of nodes and of Calico's kinds go to etcd; its writes and watches are the API's.

    Calico's nodes must have the names that they have in Kubernetes, or a living pod would look
    as if it had moved: ``Refused`` where they do not. A node that Calico knows and that is not
    one of Kubernetes is listed like the others.
    """

    def __init__(self, api: KubeApi, store: EtcdStore) -> None:
        self._api = api
        self._store = store

    def get(self, resource: Resource, name: str, namespace: t.Optional[str] = None) -> Object:
        if resource.group == CALICO_V1:
            return self._calicos(resource, name)
        if resource != NODES:
            return self._api.get(resource, name, namespace)
        try:
            theirs: t.Optional[Object] = self._store.resource(NODES.plural, NODES.kind, name)
        except NotFoundInStore:
            theirs = None
        try:
            node = self._api.get(resource, name)
        except NotFound:
            if theirs is None or _name_in_kubernetes(theirs) is not None:
                raise
            node = _alone(theirs)
        return node if theirs is None else _with_tunnels(node, theirs)

    def list(
        self,
        resource: Resource,
        namespace: t.Optional[str] = None,
        *,
        label_selector: t.Optional[str] = None,
        field_selector: t.Optional[str] = None,
    ) -> Listing:
        """Selectors count for what the API itself lists, not for Calico's kinds."""
        if resource.group == CALICO_V1:
            return Listing(list(self._all_of_calicos(resource)), "")
        found = self._api.list(resource, namespace, label_selector=label_selector, field_selector=field_selector)
        if resource != NODES or label_selector or field_selector:
            return found
        return Listing(self._nodes(found.items), found.resource_version)

    def pages(self, resource: Resource) -> t.Iterator[t.Any]:
        """A list page by page, where the API itself can do so."""
        if resource.group == CALICO_V1 or resource == NODES or not isinstance(self._api, _Paged):
            yield _Page(self.list(resource).items)
        else:
            yield from self._api.pages(resource)

    def _calicos(self, resource: Resource, name: str) -> Object:
        if resource.plural in _RECORDS:
            found = (thing for thing in self._all_of_calicos(resource) if _name(thing) == name)
            thing = next(found, None)
            if thing is not None:
                return thing
        else:
            with contextlib.suppress(NotFoundInStore):
                return self._store.resource(resource.plural, resource.kind, name)
        raise NotFound(f"{resource.kind} {name} is not in Calico's etcd.", 404, "NotFound")

    def _all_of_calicos(self, resource: Resource) -> t.Iterator[Object]:
        read = _RECORDS.get(resource.plural)
        return self._store.resources(resource.plural, resource.kind) if read is None else read(self._store)

    def _nodes(self, nodes: t.List[Object]) -> t.List[Object]:
        theirs = {_name(thing): thing for thing in self._store.resources(NODES.plural, NODES.kind)}
        found = [_with_tunnels(node, theirs.pop(_name(node), {})) for node in nodes]
        for thing in theirs.values():
            if _name_in_kubernetes(thing) is None:
                found.append(_with_tunnels(_alone(thing), thing))
        return found

    # Writes and watches

    def create(
        self, resource: Resource, body: Object, namespace: t.Optional[str] = None, *, dry_run: bool = False
    ) -> Object:
        return self._api.create(resource, body, namespace, dry_run=dry_run)

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: t.Optional[str] = None,
        *,
        subresource: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        return self._api.replace(resource, body, namespace, subresource=subresource, dry_run=dry_run)

    def patch(
        self,
        resource: Resource,
        name: str,
        body: t.Any,
        namespace: t.Optional[str] = None,
        *,
        patch_type: str = "merge",
        subresource: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        return self._api.patch(
            resource, name, body, namespace, patch_type=patch_type, subresource=subresource, dry_run=dry_run
        )

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: t.Optional[str] = None,
        *,
        uid: t.Optional[str] = None,
        resource_version: t.Optional[str] = None,
        grace_seconds: t.Optional[int] = None,
        propagation: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> None:
        self._api.delete(
            resource,
            name,
            namespace,
            uid=uid,
            resource_version=resource_version,
            grace_seconds=grace_seconds,
            propagation=propagation,
            dry_run=dry_run,
        )

    def evict(self, name: str, namespace: str, *, uid: t.Optional[str] = None, dry_run: bool = False) -> None:
        self._api.evict(name, namespace, uid=uid, dry_run=dry_run)

    def watch(
        self,
        resource: Resource,
        namespace: t.Optional[str] = None,
        *,
        resource_version: str,
        label_selector: t.Optional[str] = None,
        field_selector: t.Optional[str] = None,
        timeout_seconds: t.Optional[int] = None,
    ) -> t.Iterator[WatchEvent]:
        return self._api.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            timeout_seconds=timeout_seconds,
        )


def _with_tunnels(node: Object, theirs: Object) -> Object:
    """The node with the annotations that Calico would have written to it."""
    spec = theirs.get("spec") or {}
    found: t.Dict[str, t.Any] = {}
    for annotation, path in TUNNELS.items():
        value: t.Any = spec
        for member in path:
            value = value.get(member) if isinstance(value, dict) else None
        if value:
            found[annotation] = value
    metadata = node["metadata"]
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key not in TUNNELS}
    return {**node, "metadata": {**metadata, "annotations": {**kept, **found}}}


def _name_in_kubernetes(theirs: Object) -> t.Optional[str]:
    """What Kubernetes calls a node of Calico's; None when it is none of Kubernetes."""
    for reference in (theirs.get("spec") or {}).get("orchRefs") or ():
        if isinstance(reference, dict) and reference.get("orchestrator") == "k8s" and reference.get("nodeName"):
            other = str(reference["nodeName"])
            if other != _name(theirs):
                raise Refused(
                    f"Calico calls node {_name(theirs)} what Kubernetes calls {other}: on such a cluster nobody can "
                    "tell whose addresses are in use; give calico-node the name of the Kubernetes node (NODENAME)."
                )
            return other
    return None


def _alone(theirs: Object) -> Object:
    metadata = {"name": _name(theirs), "labels": (theirs.get("metadata") or {}).get("labels") or {}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": {}}


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def _settings(store: EtcdStore) -> t.Iterator[Object]:
    thing = store.raw_settings()
    if thing is not None:
        yield thing


# Kinds that are kept in a shape of their own.
_RECORDS: t.Dict[str, t.Callable[[EtcdStore], t.Iterator[Object]]] = {
    "ipamblocks": EtcdStore.raw_blocks,
    "blockaffinities": EtcdStore.raw_affinities,
    "ipamhandles": EtcdStore.raw_handles,
    "ipamconfigs": _settings,
}
