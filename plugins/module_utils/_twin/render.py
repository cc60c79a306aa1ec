# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Objects and lists in the form a client asked for, from encoded bytes wherever that is possible."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.accept import Form
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import Page
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Entry, encode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.table import Tables


def list_kind(kind: Kind) -> str:
    return kind.list_kind or kind.resource.kind + "List"


def item_bytes(kind: Kind, entry: Entry) -> bytes:
    """An entry of a list: built-in types leave out kind and apiVersion there (spec kubernetes-api-behaviour.md 12)."""
    if kind.custom:
        return entry.encoded
    resource = kind.resource
    head = b'{"kind":"%s","apiVersion":"%s",' % (resource.kind.encode(), resource.api_version.encode())
    if entry.encoded.startswith(head):
        return b"{" + entry.encoded[len(head) :]
    return encode({key: value for key, value in entry.object.items() if key not in ("kind", "apiVersion")})


def list_bytes(page: Page) -> bytes:
    """The whole list, put together from the bytes of its items."""
    kind = page.kind
    head = encode({"kind": list_kind(kind), "apiVersion": kind.resource.api_version, "metadata": page.metadata})
    items = b",".join([item_bytes(kind, entry) for entry in page.entries])
    return head[:-1] + b',"items":[' + items + b"]}\n"


def metadata_only(obj: Object, version: str = "v1") -> Object:
    """A ``PartialObjectMetadata`` of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj.get("metadata") or {},
    }


class Renderer:
    """Renders for one request: its form and, for tables, ``includeObject``."""

    def __init__(self, form: Form, tables: Tables, include: str) -> None:
        self.form = form
        self._tables = tables
        self._include = include or "Metadata"

    @property
    def plain(self) -> bool:
        return self.form.style == "object"

    def page(self, page: Page) -> bytes:
        """A list."""
        if self.plain:
            return list_bytes(page)
        return encode(self._page(page)) + b"\n"

    def _page(self, page: Page) -> Object:
        objects = [entry.object for entry in page.entries]
        if self.form.style == "table":
            return self.table(page.kind, objects, page.metadata)
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{self.form.version}",
            "metadata": page.metadata,
            "items": [metadata_only(obj, self.form.version) for obj in objects],
        }

    def table(self, kind: Kind, objects: t.Sequence[Object], metadata: Object, *, columns: bool = True) -> Object:
        """A ``Table``; later events of a watch leave its columns out."""
        table = self._tables.of(kind)
        rows = []
        for obj in objects:
            row: Object = {"cells": table.cells(obj)}
            if self._include == "None":
                row["object"] = None
            elif self._include == "Object":
                row["object"] = obj
            else:
                row["object"] = metadata_only(obj, self.form.version)
            rows.append(row)
        return {
            "kind": "Table",
            "apiVersion": f"meta.k8s.io/{self.form.version}",
            "metadata": metadata,
            "columnDefinitions": table.definitions() if columns else None,
            "rows": rows,
        }

    def one(self, kind: Kind, obj: Object) -> Object:
        """A single object."""
        if self.form.style == "table":
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return self.table(kind, [obj], metadata)
        if self.form.style == "metadata":
            return metadata_only(obj, self.form.version)
        return obj

    def entry(self, kind: Kind, entry: Entry) -> bytes:
        """A stored object."""
        if self.plain:
            return entry.encoded + b"\n"
        return encode(self.one(kind, entry.object)) + b"\n"
