# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The API server's refusals: one exception and a constructor for each kind of answer.

A ``Fault`` carries exactly what goes over the wire: HTTP code, body (a ``Status`` object, or
plain text for the few answers that are text) and extra headers. Constructors return the fault,
so that callers write ``raise not_found(PODS, "x")`` and type checkers see the end of the branch.
``details.kind`` is the plural in 403, 404 and 409 and the Kind in 422 (spec
kubernetes-api-behaviour.md 1).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource

TEXT = "text/plain; charset=utf-8"


class Fault(Exception):
    """An answer of 400 or above.

    ``body`` is the Status object; ``text`` replaces it where the real server answers in plain
    text. ``headers`` are added to the answer.
    """

    def __init__(
        self,
        code: int,
        body: Object | None = None,
        *,
        text: str | None = None,
        headers: t.Mapping[str, str] | None = None,
    ) -> None:
        self.code = code
        self.body: Object = body or {}
        self.text = text
        self.headers: dict[str, str] = dict(headers or {})
        super().__init__(f"{code} {self.body.get('reason', '')} {self.message}")

    @property
    def message(self) -> str:
        if self.text is not None:
            return self.text
        return str(self.body.get("message", ""))

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))


@dataclass(frozen=True)
class Cause:
    """One entry of ``details.causes``; ``field`` is the path with dots, ``""`` when there is none."""

    reason: str
    message: str
    field: str = ""

    def as_object(self) -> Object:
        entry: Object = {}
        if self.reason:
            entry["reason"] = self.reason
        entry["message"] = self.message
        if self.field:
            entry["field"] = self.field
        return entry

    @property
    def sentence(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


def failure(
    code: int,
    message: str,
    reason: str = "",
    details: Object | None = None,
    headers: t.Mapping[str, str] | None = None,
) -> Fault:
    """A Status body with ``status: Failure``; an empty ``reason`` is left out as Go does."""
    body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    body["code"] = code
    return Fault(code, body, headers=headers)


def success(details: Object | None = None, code: int | None = None) -> Object:
    """The body of a carried out DELETE (with ``details``) or eviction (with ``code`` 201)."""
    body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if details is not None:
        body["details"] = details
    if code is not None:
        body["code"] = code
    return body


def qualified(name: str, group: str) -> str:
    """``ippools.crd.projectcalico.org``; without a dot in the core group."""
    return f"{name}.{group}" if group else name


def _details(name: str, group: str, kind: str) -> Object:
    details: Object = {}
    if name:
        details["name"] = name
    if group:
        details["group"] = group
    details["kind"] = kind
    return details


def not_found(resource: Resource, name: str) -> Fault:
    """404: the object does not exist."""
    return failure(
        404,
        f'{qualified(resource.plural, resource.group)} "{name}" not found',
        "NotFound",
        _details(name, resource.group, resource.plural),
    )


def unknown_resource() -> Fault:
    """404 for an unknown resource or subresource of a built-in group."""
    return failure(404, "the server could not find the requested resource", "NotFound", {})


def unknown_path() -> Fault:
    """404 in plain text: unknown group or version, or unknown resource of a CRD's group."""
    return Fault(404, text="404 page not found\n", headers={"X-Content-Type-Options": "nosniff"})


def already_exists(resource: Resource, name: str, *, terminating: bool = False) -> Fault:
    """409 on create; ``terminating`` when the old object still has finalizers or grace to go."""
    message = f'{qualified(resource.plural, resource.group)} "{name}" already exists'
    if terminating:
        message = "object is being deleted: " + message
    return failure(409, message, "AlreadyExists", _details(name, resource.group, resource.plural))


def conflict(resource: Resource, name: str, message: str | None = None) -> Fault:
    """409: the resourceVersion is not the stored one (or ``message``, on PUT)."""
    text = message or "the object has been modified; please apply your changes to the latest version and try again"
    return failure(
        409,
        f'Operation cannot be fulfilled on {qualified(resource.plural, resource.group)} "{name}": {text}',
        "Conflict",
        _details(name, resource.group, resource.plural),
    )


def precondition_failed(resource: Resource, name: str, message: str) -> Fault:
    """409 of a DELETE whose preconditions do not hold; ``details.kind`` is the Kind here."""
    return failure(
        409,
        f'Operation cannot be fulfilled on {qualified(resource.kind, resource.group)} "{name}": {message}',
        "Conflict",
        _details(name, resource.group, resource.kind),
    )


def invalid(kind: str, group: str, name: str, causes: t.Sequence[Cause]) -> Fault:
    """422 with one cause per error; ``kind`` is the Kind, not the plural."""
    sentences = list(dict.fromkeys(cause.sentence for cause in causes))
    joined = sentences[0] if len(sentences) == 1 else "[" + ", ".join(sentences) + "]"
    details = _details(name, group, kind)
    details["causes"] = [cause.as_object() for cause in causes]
    message = f'{qualified(kind, group)} "{name}" is invalid'
    if causes:
        message += f": {joined}"
    return failure(422, message, "Invalid", details)


def invalid_options(kind: str, causes: t.Sequence[Cause]) -> Fault:
    """422 about request options: ``ListOptions``, ``CreateOptions``, ``PatchOptions``, ``DeleteOptions``."""
    return invalid(kind, "meta.k8s.io", "", causes)


def rejected_patch() -> Fault:
    """422 of a JSON patch that cannot be applied; the server does not say which operation failed."""
    return failure(422, "the server rejected our request due to an error in our request", "Invalid", {})


def bad_request(message: str) -> Fault:
    """400."""
    return failure(400, message, "BadRequest")


def unauthorized() -> Fault:
    """401: a token or certificate was sent and is not valid."""
    return failure(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, message: str, causes: t.Sequence[Cause] = ()) -> Fault:
    """403 about a resource; ``message`` follows ``is forbidden: ``."""
    what = qualified(resource.plural, resource.group)
    shown = f'{what} "{name}" is forbidden' if name else f"{what} is forbidden"
    details = _details(name, resource.group, resource.plural)
    if causes:
        details["causes"] = [cause.as_object() for cause in causes]
    return failure(403, f"{shown}: {message}", "Forbidden", details)


def forbidden_path(message: str) -> Fault:
    """403 about a path that is no resource (``/metrics``)."""
    return failure(403, f"forbidden: {message}", "Forbidden", {})


def method_not_allowed() -> Fault:
    """405."""
    return failure(405, "the server does not allow this method on the requested resource", "MethodNotAllowed", {})


def not_acceptable(accepted: t.Sequence[str]) -> Fault:
    """406 listing what the server can produce."""
    return failure(
        406,
        "only the following media types are accepted: " + ", ".join(accepted),
        "NotAcceptable",
    )


def unsupported_media_type(message: str) -> Fault:
    """415; ``message`` lists the accepted types."""
    return failure(415, message, "UnsupportedMediaType")


def too_large(limit: int) -> Fault:
    """413: the body is larger than ``limit`` bytes."""
    return failure(413, f"Request entity too large: limit is {limit}", "RequestEntityTooLarge")


def expired(message: str, token: str | None = None) -> Fault:
    """410: history gone; ``token`` continues an expired list from a newer state."""
    fault = failure(410, message, "Expired")
    if token is not None:
        fault.body["metadata"] = {"continue": token}
    return fault


def too_old(wanted: int, oldest: int) -> Fault:
    """410 as a watch reports it in its ERROR event."""
    return expired(f"too old resource version: {wanted} ({oldest})")


def too_large_version(wanted: int, current: int) -> Fault:
    """504: the resourceVersion asked for has not been written yet."""
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return failure(
        504,
        message,
        "Timeout",
        {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        {"Retry-After": "1"},
    )


def too_many_requests(message: str, causes: t.Sequence[Cause] = (), retry_after: int | None = None) -> Fault:
    """429 with a Status body; the header and ``retryAfterSeconds`` only with ``retry_after`` (seconds)."""
    details: Object = {}
    if causes:
        details["causes"] = [cause.as_object() for cause in causes]
    headers: dict[str, str] = {}
    if retry_after is not None:
        details["retryAfterSeconds"] = retry_after
        headers["Retry-After"] = str(retry_after)
    return failure(429, message, "TooManyRequests", details, headers)


def unavailable() -> Fault:
    """503 of an aggregated group whose server is down: plain text, no Retry-After."""
    return Fault(503, text="service unavailable\n", headers={"X-Content-Type-Options": "nosniff"})


def internal_error(message: str, *, bare: bool = True) -> Fault:
    """500; ``bare`` for the answers that have no reason (two budgets, resourceVersion on create)."""
    return failure(500, message, "" if bare else "InternalError")
