# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a URL means: the API's request info, which authorization, faults and routing go by."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}


@dataclass(frozen=True)
class RequestInfo:
    """A request in RBAC's words. ``resource`` is "" when the path is no resource path.

    ``verb`` is get, list, watch, create, update, patch, delete or deletecollection. ``selected`` is the one name that
    a list or watch asks for by its field selector, which roles may restrict it to. ``effects`` is where a middleware
    leaves word for the handlers (``expire``: end a watch as too old).
    """

    verb: str
    path: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    selected: str = ""
    effects: t.Dict[str, t.Any] = field(default_factory=dict, compare=False)

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


def truth(text: str | None) -> bool:
    """A boolean query parameter as the API server reads it."""
    return text is not None and text.lower() not in ("0", "false")


def parse_request(method: str, path: str, query: t.Mapping[str, str]) -> RequestInfo:
    """The request info of a method and path."""
    parts = [part for part in path.split("/") if part]
    plain = RequestInfo(_VERBS.get(method, method.lower()), path)
    if len(parts) >= 3 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return plain
    verb = plain.verb
    if rest[0] == "watch" and len(rest) > 1:
        verb, rest = "watch", rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 2:
        if len(rest) >= 3 and not (group == "" and rest[2] in ("status", "finalize")):
            namespace, rest = rest[1], rest[2:]
        else:
            namespace = rest[1]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = "/".join(rest[2:])
    if not name and method in ("GET", "HEAD") and verb != "watch":
        verb = "watch" if truth(query.get("watch")) else "list"
    if not name and verb == "delete":
        verb = "deletecollection"
    selected = _selected(query.get("fieldSelector", "")) if verb in ("list", "watch") and not name else ""
    return RequestInfo(verb, path, group, version, resource, subresource, namespace, name, selected)


def _selected(selector: str) -> str:
    for term in selector.split(","):
        path, _equals, value = term.replace("==", "=").partition("=")
        if path == "metadata.name":
            return value
    return ""
