# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The Kubernetes API of a cluster whose Calico has an etcd, with nodes as if Calico wrote to them.

Whoever holds IPAM records against nodes looks for the annotations with their tunnel addresses,
which Calico then writes to its own Node resource in etcd and nowhere else
(spec ipam-engine.md §1, §17.2). Everything else is the API's; Calico's kinds are not asked here
(``etcd_api.py`` has them).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    KubeApi,
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V3, NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi

#: Calico's own nodes, beside those of Kubernetes.
CALICO_NODES = Resource(CALICO_V3, "v3", "nodes", "Node", False)

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
    resource_version: str


@t.runtime_checkable
class _Paged(t.Protocol):
    def pages(self, resource: Resource, namespace: t.Optional[str] = None, **options: t.Any) -> t.Iterator[t.Any]: ...


@t.runtime_checkable
class _Discovering(t.Protocol):
    def api_groups(self) -> t.FrozenSet[str]: ...

    def api_resources(self, group: str, version: str) -> t.FrozenSet[str]: ...


@t.runtime_checkable
class _Documented(t.Protocol):
    def openapi(self, group: str, version: str) -> Object: ...


class NodesWithEtcd:
    """A ``KubeApi`` whose nodes are read with what Calico has about them in etcd; all else is the API's.

    Calico's nodes must have the names that they have in Kubernetes, or a living pod would look
    as if it had moved: ``Refused`` where they do not. A node that Calico knows and that is not
    one of Kubernetes is listed like the others.
    """

    def __init__(self, api: KubeApi, etcd: EtcdApi) -> None:
        self.kubernetes = api
        self._etcd = etcd

    def get(self, resource: Resource, name: str, namespace: t.Optional[str] = None) -> Object:
        if resource != NODES:
            return self.kubernetes.get(resource, name, namespace)
        try:
            theirs: t.Optional[Object] = self._etcd.get(CALICO_NODES, name)
        except NotFound:
            theirs = None
        try:
            node = self.kubernetes.get(resource, name)
        except NotFound:
            if theirs is None or name_in_kubernetes(theirs) is not None:
                raise
            node = _alone(theirs)
        return node if theirs is None else with_tunnels(node, theirs)

    def list(
        self,
        resource: Resource,
        namespace: t.Optional[str] = None,
        *,
        label_selector: t.Optional[str] = None,
        field_selector: t.Optional[str] = None,
    ) -> Listing:
        """With a selector, nodes are listed as the API has them."""
        if resource == CALICO_NODES:
            return self._etcd.list(resource)
        found = self.kubernetes.list(resource, namespace, label_selector=label_selector, field_selector=field_selector)
        if resource != NODES or label_selector or field_selector:
            return found
        return Listing(self._nodes(found.items), found.resource_version)

    def pages(self, resource: Resource, namespace: t.Optional[str] = None, **options: t.Any) -> t.Iterator[t.Any]:
        """A list page by page, where the API itself can do so."""
        if resource == NODES or not isinstance(self.kubernetes, _Paged):
            options.pop("limit", None)
            found = self.list(resource, namespace, **options)
            yield _Page(found.items, found.resource_version)
        else:
            yield from self.kubernetes.pages(resource, namespace, **options)

    # Discovery

    def api_groups(self) -> t.FrozenSet[str]:
        """Every ``group/version`` of the API; NotFound where it cannot tell."""
        if not isinstance(self.kubernetes, _Discovering):
            raise NotFound("This API has no list of its groups.", 404, "NotFound")
        return self.kubernetes.api_groups()

    def api_resources(self, group: str, version: str) -> t.FrozenSet[str]:
        """The plural names in one group and version; NotFound where it cannot tell."""
        if not isinstance(self.kubernetes, _Discovering):
            raise NotFound("This API has no list of its resources.", 404, "NotFound")
        return self.kubernetes.api_resources(group, version)

    def openapi(self, group: str, version: str) -> Object:
        """The OpenAPI v3 document; UnknownResource when there is none of that group."""
        if not isinstance(self.kubernetes, _Documented):
            raise UnknownResource(f"There is no OpenAPI document of {group}/{version}.", 404)
        return self.kubernetes.openapi(group, version)

    def _nodes(self, nodes: t.List[Object]) -> t.List[Object]:
        theirs = {_name(thing): thing for thing in self._etcd.list(CALICO_NODES).items}
        found = [with_tunnels(node, theirs.pop(_name(node), {})) for node in nodes]
        for thing in theirs.values():
            if name_in_kubernetes(thing) is None:
                found.append(with_tunnels(_alone(thing), thing))
        return found

    # Writes and watches

    def create(
        self, resource: Resource, body: Object, namespace: t.Optional[str] = None, *, dry_run: bool = False
    ) -> Object:
        return self.kubernetes.create(resource, body, namespace, dry_run=dry_run)

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: t.Optional[str] = None,
        *,
        subresource: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        return self.kubernetes.replace(resource, body, namespace, subresource=subresource, dry_run=dry_run)

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
        return self.kubernetes.patch(
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
        self.kubernetes.delete(
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
        self.kubernetes.evict(name, namespace, uid=uid, dry_run=dry_run)

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
        """Nodes are watched as the API has them; whoever wants their tunnel addresses watches ``CALICO_NODES``."""
        if resource == CALICO_NODES:
            return self._etcd.watch(resource, resource_version=resource_version)
        return self.kubernetes.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            timeout_seconds=timeout_seconds,
        )


def with_tunnels(node: Object, theirs: Object) -> Object:
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


def name_in_kubernetes(theirs: Object) -> t.Optional[str]:
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
