# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The OpenAPI documents, as far as ``kubectl apply`` and ``kubectl explain`` read them.

Schemas have names and types, no descriptions. The patch operations announce ``fieldValidation`` so that
kubectl leaves validation to the server; they do not announce strategic merge patch keys, because
kubectl then takes its own, which are complete.
"""

from __future__ import annotations

import datetime
import hashlib
import typing as t
from email.utils import format_datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin_types import (
    Shape,
    Struct,
    struct,
    struct_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import JSON, Reply, Request, json_reply
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import encode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.served import ServedKinds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import method_not_allowed, unknown_path

_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_META = "V1ObjectMeta"
_TYPES: dict[str, Object] = {
    "s": {"type": "string"},
    "i": {"type": "integer"},
    "b": {"type": "boolean"},
    "f": {"type": "number"},
    "q": {"type": "string"},
    "x": {"type": "string", "format": "int-or-string"},
    "t": {"type": "string", "format": "date-time"},
    "y": {"type": "string", "format": "byte"},
    "*": {"type": "object"},
}
_QUERY = ("dryRun", "fieldManager", "fieldValidation")
_METHODS = {"get": "get", "update": "put", "patch": "patch", "delete": "delete"}

SchemaOf = t.Callable[[Kind], t.Optional[Object]]


class OpenApi:
    """Answers ``/openapi/v3`` and below, and ``/openapi/v2``. ``crd_of`` finds the CRD of a custom type."""

    def __init__(self, served: ServedKinds, crd_of: SchemaOf, version: str) -> None:
        self._served = served
        self._crd_of = crd_of
        self._version = version
        self._documents: dict[str, tuple[int, bytes]] = {}

    def handle(self, request: Request) -> Reply:
        """Raises the text 404 ``Fault`` for a document there is none of."""
        if request.method != "GET":
            raise method_not_allowed()
        path = request.info.path.strip("/")
        if path == "openapi/v2":
            return self._v2(request)
        if path == "openapi/v3":
            return json_reply(200, {"paths": {each: {"serverRelativeURL": self._url(each)} for each in self._paths()}})
        place = path[len("openapi/v3/") :]
        if place not in self._paths():
            raise unknown_path()
        return self._v3(request, place)

    def _paths(self) -> dict[str, tuple[str, str]]:
        return {
            (f"apis/{group}/{version}" if group else f"api/{version}"): (group, version)
            for group, version in self._served.group_versions()
        }

    def _hash(self, place: str) -> str:
        return hashlib.sha512(self._document(place)).hexdigest().upper()

    def _url(self, place: str) -> str:
        return f"/openapi/v3/{place}?hash={self._hash(place)}"

    def _v3(self, request: Request, place: str) -> Reply:
        wanted, found = request.query.get("hash", ""), self._hash(place)
        if not wanted:
            return Reply(200, self._document(place), JSON, {"ETag": f'"{found}"'})
        if wanted != found:
            return Reply(301, b"", JSON, {"Location": self._url(place)})
        headers = {
            "Cache-Control": "public, immutable",
            "ETag": f'"{found}"',
            "Vary": "Accept",
            "Expires": _next_year(),
        }
        return Reply(200, self._document(place), JSON, headers)

    def _document(self, place: str) -> bytes:
        generation, body = self._documents.get(place, (-1, b""))
        group, version = self._paths()[place]
        wanted = 0 if self._served.is_builtin_group(group) else self._served.generation
        if generation != wanted:
            body = encode(self._describe(group, version)) + b"\n"
            self._documents[place] = (wanted, body)
        return body

    def _describe(self, group: str, version: str) -> Object:
        paths: Object = {}
        schemas = _Schemas("#/components/schemas/")
        for kind in self._served.of_version(group, version):
            schemas.add(kind, self._crd_of)
            paths.update(_paths_of(kind))
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": self._version},
            "paths": paths,
            "components": {"schemas": schemas.found},
        }

    def _v2(self, request: Request) -> Reply:
        if "proto-openapi.spec.v2" in request.accept:
            return Reply(200, _empty_v2(self._version), _V2_PROTOBUF)
        schemas = _Schemas("#/definitions/")
        for kind in self._served.all():
            schemas.add(kind, self._crd_of)
        document: Object = {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": self._version},
            "paths": {},
            "definitions": schemas.found,
        }
        return json_reply(200, document)


class _Schemas:
    """The schemas of one document and everything they refer to."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.found: dict[str, Object] = {}

    def add(self, kind: Kind, crd_of: SchemaOf) -> None:
        resource = kind.resource
        place = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        if kind.custom:
            name = ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])
            self.found[name] = {**self._custom(kind, crd_of(kind)), "x-kubernetes-group-version-kind": [place]}
            return
        described = struct_of(resource.api_version, resource.kind)
        if described is None:
            return
        self._struct(described)
        name = _component(described.name)
        known = self.found[name].get("x-kubernetes-group-version-kind") or []
        if place not in known:
            self.found[name]["x-kubernetes-group-version-kind"] = [*known, place]

    def _custom(self, kind: Kind, crd: Object | None) -> Object:
        schema: Object = {"type": "object"}
        for version in ((crd or {}).get("spec") or {}).get("versions") or ():
            if version["name"] == kind.resource.version:
                schema = dict((version.get("schema") or {}).get("openAPIV3Schema") or schema)
        self._struct(struct(_META))
        own = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"$ref": self._prefix + _component(_META)},
        }
        schema["properties"] = {**(schema.get("properties") or {}), **own}
        return schema

    def _struct(self, described: Struct) -> None:
        name = _component(described.name)
        if name in self.found:
            return
        schema: Object = {"type": "object"}
        self.found[name] = schema
        schema["properties"] = {field: self._shape(shape) for field, shape in described.fields.items()}
        required = [field for field, shape in described.fields.items() if shape.required]
        if required:
            schema["required"] = required

    def _shape(self, shape: Shape) -> Object:
        if shape.code == "@":
            self._struct(struct(shape.struct))
            return {"$ref": self._prefix + _component(shape.struct)}
        if shape.code == "[" and shape.item is not None:
            return {"type": "array", "items": self._shape(shape.item)}
        if shape.code == "{" and shape.item is not None:
            return {"type": "object", "additionalProperties": self._shape(shape.item)}
        return dict(_TYPES[shape.code])


def _component(name: str) -> str:
    return f"io.k8s.{name}"


def _paths_of(kind: Kind) -> Object:
    resource = kind.resource
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    parameters: list[Object] = []
    if resource.namespaced:
        root += "/namespaces/{namespace}"
        parameters.append(_parameter("namespace", "path"))
    place = {"group": resource.group, "version": resource.version, "kind": resource.kind}

    def operation(verb: str, query: t.Sequence[str] = ()) -> Object:
        return {
            "operationId": f"{verb}{resource.kind}",
            "parameters": [_parameter(name, "query") for name in query],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "post" if verb == "create" else verb,
            "x-kubernetes-group-version-kind": place,
        }

    collection: Object = {}
    if "list" in kind.verbs:
        collection["get"] = operation("list")
    if "create" in kind.verbs:
        collection["post"] = operation("create", _QUERY)
    item: Object = {}
    for verb, method in _METHODS.items():
        if verb in kind.verbs:
            item[method] = operation(verb, () if verb == "get" else _QUERY)
    paths: Object = {f"{root}/{resource.plural}": {**collection, "parameters": parameters}}
    if item:
        named = [*parameters, _parameter("name", "path")]
        paths[f"{root}/{resource.plural}/{{name}}"] = {**item, "parameters": named}
    return paths


def _parameter(name: str, where: str) -> Object:
    parameter: Object = {"name": name, "in": where, "schema": {"type": "string"}}
    if where == "path":
        parameter["required"] = True
    return parameter


def _empty_v2(version: str) -> bytes:
    """An OpenAPI v2 document without definitions, in protobuf: old kubectl then validates nothing itself."""
    info = _field(1, b"Kubernetes") + _field(2, version.encode())
    return _field(1, b"2.0") + _field(2, info) + _field(8, b"")


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def _next_year() -> str:
    now = datetime.datetime.now(datetime.timezone.utc)
    return format_datetime(now + datetime.timedelta(days=365), usegmt=True)
