# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Bad days on demand: answers that fail, come late, or never come.

A rule says which requests it concerns and what happens to the next ``count`` of them. Rules are
posted to ``/twin/v1/faults`` as JSON, either one rule or a list::

    {"verb": "create", "resource": "pods", "subresource": "eviction",
     "skip": 2, "count": 1, "code": 429, "retryAfterSeconds": 1}

``verb`` is what RBAC calls it (get, list, watch, create, update, patch, delete), ``resource`` the
plural; what a rule leaves out matches everything. Exactly one of these says what happens:

* ``code``: this HTTP code with a Status body (``reason``, ``message``, ``retryAfterSeconds``) or,
  with ``text``, in plain text, and the request is not carried out;
* ``drop``: ``before`` cuts the connection without carrying the request out, ``after`` carries it
  out and loses the answer;
* ``delaySeconds``: real seconds before the request is carried out (may go with any other);
* ``expire``: a watch answers that its version is too old (410 inside the stream).

Only requests that come over HTTP are concerned, never the cluster's own controllers.
"""

from __future__ import annotations

import asyncio
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Reply, Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, failure

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.http import Connection, Outcome, Proceed

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_MATCH = ("verb", "group", "resource", "subresource", "namespace", "name")
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass(frozen=True)
class Injected:
    """What shall happen to one request; see the module's text. ``drop`` is "", "before" or "after"."""

    fault: Fault | None = None
    drop: str = ""
    delay_seconds: float = 0.0
    expire: bool = False


@dataclass
class Rule:
    """One posted rule; ``skip`` and ``count`` go down as requests match, ``hits`` goes up."""

    match: dict[str, str]
    effect: Injected
    source: Object
    skip: int = 0
    count: int = 1
    hits: int = 0

    def matches(self, request: t.Mapping[str, str]) -> bool:
        return all(request.get(key, "") == value for key, value in self.match.items())

    def as_object(self) -> Object:
        return {**self.source, "skip": self.skip, "count": self.count, "hits": self.hits}


def parse_rule(body: t.Any) -> Rule:
    """One rule from its JSON form. Raises ``InvalidInput`` naming the field."""
    if not isinstance(body, dict):
        raise InvalidInput(f"A fault rule must be a JSON object, not {body!r}.", "rule", body)
    known = {*_MATCH, "skip", "count", "code", "reason", "message", "retryAfterSeconds", "drop", "delaySeconds"}
    for key in sorted(set(body) - known - {"expire", "text"}):
        raise InvalidInput(f"A fault rule has no field {key}.", key, body[key])
    match = {key: str(body[key]) for key in _MATCH if key in body}
    if match.get("verb", "get") not in VERBS:
        raise InvalidInput(f"verb is {match['verb']!r}, it must be one of {', '.join(VERBS)}.", "verb", match["verb"])
    drop = str(body.get("drop", ""))
    if drop not in ("", "before", "after"):
        raise InvalidInput(f"drop is {drop!r}, it must be before or after.", "drop", drop)
    if "code" in body and drop:
        raise InvalidInput("A fault rule has either a code or drop, not both.", "drop", drop)
    fault = _fault(body) if "code" in body else None
    effect = Injected(fault, drop, float(_number(body, "delaySeconds", 0)), bool(body.get("expire", False)))
    if effect == Injected():
        raise InvalidInput("A fault rule needs code, drop, delaySeconds or expire.", "rule", body)
    return Rule(match, effect, dict(body), int(_number(body, "skip", 0)), int(_number(body, "count", 1)))


def _number(body: Object, key: str, default: float) -> float:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise InvalidInput(f"{key} is {value!r}, it must be a number not below 0.", key, value)
    return value


def _fault(body: Object) -> Fault:
    code = int(_number(body, "code", 0))
    if not 400 <= code <= 599:
        raise InvalidInput(f"code is {code}, it must be an HTTP code from 400 to 599.", "code", code)
    details: Object = {}
    headers: dict[str, str] = {}
    if "retryAfterSeconds" in body:
        seconds = int(_number(body, "retryAfterSeconds", 0))
        details["retryAfterSeconds"] = seconds
        headers["Retry-After"] = str(seconds)
    if "text" in body:
        # As overload and a broken aggregated API answer (spec kubernetes-api-behaviour.md 16).
        return Fault(code, text=str(body["text"]) + "\n", headers=headers)
    message = str(body.get("message", "injected by the twin's fault rules"))
    return failure(code, message, str(body.get("reason", _REASONS.get(code, ""))), details or None, headers)


class FaultInjector:
    """The posted rules, asked once for every request that comes over HTTP."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def add(self, body: t.Any) -> list[Object]:
        """Add a rule or a list of rules; all or none. Raises ``InvalidInput``."""
        rules = [parse_rule(entry) for entry in (body if isinstance(body, list) else [body])]
        self._rules.extend(rules)
        return [rule.as_object() for rule in rules]

    def clear(self) -> None:
        self._rules.clear()

    def rules(self) -> list[Object]:
        """Every rule ever posted since the last ``clear``, with what is left of it."""
        return [rule.as_object() for rule in self._rules]

    def take(
        self,
        verb: str,
        group: str = "",
        resource: str = "",
        subresource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> Injected | None:
        """What happens to this request, using up one of the first rule that concerns it."""
        request = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        for rule in self._rules:
            if rule.count <= 0 or not rule.matches(request):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.count -= 1
            rule.hits += 1
            return rule.effect
        return None

    async def middleware(self, request: Request, connection: Connection, proceed: Proceed) -> Outcome:
        """For the HTTP server: do to the request what a rule says, or let it pass."""
        info = request.info
        injected = self.take(info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)
        if injected is None:
            return await proceed()
        if injected.delay_seconds:
            await asyncio.sleep(injected.delay_seconds)
        if injected.fault is not None:
            raise injected.fault
        if injected.expire:
            info.effects["expire"] = True
        if not injected.drop:
            return await proceed()
        if injected.drop == "after":
            await proceed()
        connection.cut()
        return Reply(500, b"")
