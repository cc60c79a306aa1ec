# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A request and a reply without an HTTP library: what goes in and what comes out of ``routes.py``."""

from __future__ import annotations

import gzip
import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import ANONYMOUS, User
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import encode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import RequestInfo, truth
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import TEXT, Fault

JSON = "application/json"
_GZIP_FROM = 128 * 1024
_READERS = ("curl", "wget", "mozilla")


@dataclass(frozen=True)
class Request:
    """One request. Header names are lower case; ``query`` has the last value of each parameter."""

    method: str
    info: RequestInfo
    query: t.Mapping[str, str]
    headers: t.Mapping[str, str]
    body: bytes = b""
    user: User = ANONYMOUS

    @property
    def accept(self) -> str:
        return self.headers.get("accept", "")

    @property
    def media_type(self) -> str:
        """The Content-Type without parameters."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    @property
    def pretty(self) -> bool:
        """Indented answers are for people (spec kubernetes-api-behaviour.md 1)."""
        if "pretty" in self.query:
            return truth(self.query["pretty"])
        agent = self.headers.get("user-agent", "").lower()
        return agent.startswith(_READERS)


@dataclass(frozen=True)
class Reply:
    """One answer: body and headers as they go out."""

    code: int
    body: bytes
    content_type: str = JSON
    headers: t.Mapping[str, str] = field(default_factory=dict)
    warnings: t.Tuple[str, ...] = ()


@dataclass(frozen=True)
class Later:
    """A request that is not done yet: go on with ``resume`` when ``seconds`` of the cluster's time have passed."""

    seconds: float
    resume: t.Callable[[], t.Union[Reply, Later]]


def json_reply(
    code: int,
    document: t.Any,
    *,
    warnings: t.Iterable[str] = (),
    headers: t.Mapping[str, str] | None = None,
    content_type: str = JSON,
) -> Reply:
    """A reply with a JSON document and the newline that ends it."""
    return Reply(code, encode(document) + b"\n", content_type, headers or {}, tuple(warnings))


def text_reply(code: int, text: str, headers: t.Mapping[str, str] | None = None) -> Reply:
    return Reply(code, text.encode(), TEXT, headers or {})


def fault_reply(fault: Fault) -> Reply:
    """The answer a ``Fault`` stands for."""
    if fault.text is not None:
        return text_reply(fault.code, fault.text, fault.headers)
    return json_reply(fault.code, fault.body, headers=fault.headers)


def final_headers(request: Request, reply: Reply) -> tuple[bytes, dict[str, str]]:
    """Body and headers with indentation and compression as this client gets them."""
    body = reply.body
    headers = {"Cache-Control": "no-cache, private", "Content-Type": reply.content_type, **reply.headers}
    if reply.content_type.startswith(JSON) and request.pretty and body:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        body = text.encode("utf-8", "replace")
    if len(body) > _GZIP_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
        headers["Vary"] = "Accept-Encoding"
    return body, headers


def warning_header(text: str) -> str:
    """The value of a ``Warning`` header."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'299 - "{quoted}"'
