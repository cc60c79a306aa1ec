# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Discovery documents, group by group and aggregated (spec kubernetes-api-behaviour.md 15)."""

from __future__ import annotations

import base64
import hashlib
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.accept import clauses
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import JSON, Reply, Request, json_reply
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind, Subresource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import encode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.served import ServedKinds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    method_not_allowed,
    not_acceptable,
    unavailable,
    unknown_path,
)

_GROUP = "apidiscovery.k8s.io"
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Discovery:
    """Answers ``/api``, ``/apis`` and what lies between them and the resources."""

    def __init__(self, served: ServedKinds, address: t.Callable[[], str]) -> None:
        self._served = served
        self._address = address
        self._aggregated: dict[str, tuple[int, bytes, str]] = {}

    def handle(self, request: Request) -> Reply:
        """Raises the text 404 ``Fault`` for a path that is none of them."""
        parts = [part for part in request.info.path.split("/") if part]
        if request.method != "GET":
            raise method_not_allowed()
        if len(parts) == 1:
            return self._roots(request, parts[0])
        if parts[0] == "api" and len(parts) == 2:
            return self._resources("", parts[1])
        if parts[0] == "apis" and len(parts) == 2:
            return json_reply(200, {"kind": "APIGroup", "apiVersion": "v1", **self._group(parts[1])})
        if parts[0] == "apis" and len(parts) == 3:
            return self._resources(parts[1], parts[2])
        raise unknown_path()

    def _roots(self, request: Request, root: str) -> Reply:
        form = _wanted(request.accept)
        if form == "aggregated":
            return self._aggregate(request, root)
        if root == "api":
            address = {"clientCIDR": "0.0.0.0/0", "serverAddress": self._address()}
            document: Object = {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [address],
            }
            return json_reply(200, document)
        groups = [self._group(name) for name in self._versions() if name]
        return json_reply(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})

    # ---- group by group

    def _versions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for group, version in self._served.group_versions():
            found.setdefault(group, []).append(version)
        return found

    def _group(self, name: str) -> Object:
        versions = self._versions().get(name)
        if not versions or not name:
            raise unknown_path()
        entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
        return {"name": name, "versions": entries, "preferredVersion": entries[0]}

    def _resources(self, group: str, version: str) -> Reply:
        if version not in self._versions().get(group, ()):
            raise unknown_path()
        if not self._served.is_available(group, version):
            raise unavailable()
        resources: list[Object] = []
        for kind in self._served.of_version(group, version):
            resources.append(_resource(kind))
            resources += [_subresource(kind, each) for each in kind.subresources]
        document: Object = {"kind": "APIResourceList"}
        if group:
            document["apiVersion"] = "v1"
        document["groupVersion"] = f"{group}/{version}" if group else version
        document["resources"] = resources
        return json_reply(200, document)

    # ---- aggregated

    def _aggregate(self, request: Request, root: str) -> Reply:
        generation, body, tag = self._aggregated.get(root, (-1, b"", ""))
        if generation != self._served.generation:
            body = encode(self._aggregated_document(root)) + b"\n"
            tag = '"' + hashlib.sha512(body).hexdigest().upper() + '"'
            self._aggregated[root] = (self._served.generation, body, tag)
        headers = {"Cache-Control": "public", "Vary": "Accept", "ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Reply(304, b"", _AGGREGATED, headers)
        return Reply(200, body, _AGGREGATED, headers)

    def _aggregated_document(self, root: str) -> Object:
        items = []
        for group, versions in self._versions().items():
            if (group == "") != (root == "api"):
                continue
            metadata: Object = {"name": group} if group else {}
            metadata["creationTimestamp"] = None
            items.append(
                {
                    "metadata": metadata,
                    "versions": [
                        {
                            "version": version,
                            "resources": [_aggregated(kind) for kind in self._served.of_version(group, version)],
                            "freshness": "Current" if self._served.is_available(group, version) else "Stale",
                        }
                        for version in versions
                    ],
                }
            )
        return {"kind": "APIGroupDiscoveryList", "apiVersion": f"{_GROUP}/v2", "metadata": {}, "items": items}


def _wanted(accept: str) -> str:
    """``aggregated`` or ``plain``, whichever the client names first. Raises the 406 ``Fault``."""
    entries = clauses(accept)
    for clause in entries:
        if clause.media_type not in (JSON, "*/*", "application/*"):
            continue
        style = clause.parameters.get("as", "")
        if not style:
            return "plain"
        wanted = (style, clause.parameters.get("g"), clause.parameters.get("v"))
        if wanted == ("APIGroupDiscoveryList", _GROUP, "v2"):
            return "aggregated"
    if not entries:
        return "plain"
    raise not_acceptable((JSON,))


def _resource(kind: Kind) -> Object:
    entry: Object = {
        "name": kind.resource.plural,
        "singularName": kind.singular,
        "namespaced": kind.resource.namespaced,
        "kind": kind.resource.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    entry["storageVersionHash"] = _version_hash(kind)
    return entry


def _version_hash(kind: Kind) -> str:
    resource = kind.resource
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _subresource(kind: Kind, sub: Subresource) -> Object:
    entry: Object = {
        "name": f"{kind.resource.plural}/{sub.name}",
        "singularName": "",
        "namespaced": kind.resource.namespaced,
    }
    if (sub.group, sub.version) != (kind.resource.group, kind.resource.version):
        entry["group"] = sub.group
        entry["version"] = sub.version
    entry["kind"] = sub.kind
    entry["verbs"] = list(sub.verbs)
    return entry


def _aggregated(kind: Kind) -> Object:
    resource = kind.resource
    entry: Object = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": each.name,
                "responseKind": {"group": each.group, "version": each.version, "kind": each.kind},
                "verbs": list(each.verbs),
            }
            for each in kind.subresources
        ]
    return entry
