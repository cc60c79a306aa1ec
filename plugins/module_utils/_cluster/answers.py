# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""From an HTTP answer of 400 or above to an exception (spec kubernetes-api-behaviour.md §1, §2, §16)."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3

_CLASSES: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooManyRequests,
}
_NO_SUCH_PATH = "the server could not find the requested resource"
_LONGEST_TEXT = 300


def error_from_answer(
    status: int, data: bytes, retry_after_header: str | None, resource: Resource | None, server: str, source: str
) -> ApiError:
    """The exception for an answer.

    ``server`` and ``source`` (where the credentials came from) are for the message only;
    ``resource`` is what was asked for, ``None`` for a path outside the resources.
    """
    body = _status_body(data)
    text = " ".join(data[: 4 * _LONGEST_TEXT].decode("utf-8", "replace").split())[:_LONGEST_TEXT]
    message = str(body.get("message") or text or f"The server at {server} answered {status} without a message.")
    reason = str(body.get("reason") or "")
    retry_after = _retry_after(body, retry_after_header)
    kind = _CLASSES.get(status, ServerError if status >= 500 else ApiError)
    if status == 401:
        message = (
            f"The server at {server} does not accept the credentials from {source} (401 {message}): "
            "the token or client certificate is wrong or has expired."
        )
    elif status == 403 and re.search(r"\bcannot \S+ resource\b", message):
        message = f"{message}: grant that right, or use other credentials than those from {source}."
    elif status == 404 and (not body or message == _NO_SUCH_PATH):
        kind, message = UnknownResource, _unknown(resource, server)
    elif status == 409 and reason == "AlreadyExists":
        kind = AlreadyExists
    elif status >= 500:
        message = f"The server at {server} answered {status}: {message.rstrip('.')}."
    return kind(message, status, reason, body, retry_after)


def error_from_event(body: t.Mapping[str, t.Any], server: str) -> ApiError:
    """The exception for an ERROR event in a watch, whose object is a Status."""
    status = int(body.get("code") or 500)
    kind = _CLASSES.get(status, ServerError)
    message = str(body.get("message") or f"The server at {server} ended a watch with {status}.")
    return kind(message, status, str(body.get("reason") or ""), dict(body), _retry_after(body, None))


def _status_body(data: bytes) -> dict[str, t.Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(body: t.Mapping[str, t.Any], header: str | None) -> float | None:
    for value in (header, (body.get("details") or {}).get("retryAfterSeconds")):
        if isinstance(value, int):
            return float(value)
        if isinstance(value, str) and value.isdigit():
            return float(value)
    return None


def _unknown(resource: Resource | None, server: str) -> str:
    if resource is None:
        return f"The server at {server} does not know the requested path: it is not a Kubernetes API server."
    if resource.group in (CALICO_V1, CALICO_V3):
        return (
            f"The server has no {resource.plural}.{resource.group}: "
            "Calico's CRDs are not installed or this is not a Calico cluster."
        )
    name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    return f"The server has no {name} in version {resource.version}: this cluster does not serve that resource type."
