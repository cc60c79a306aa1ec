# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The paths under ``/twin/v1`` that no real cluster has: what a test wants to know or to do.

========================  ======  =======================================================
``record``                GET     the availability record, see ``recorder.py``
``record``                POST    begin a new record
``clock``                 GET     ``now``, ``speed``, ``seed``
``clock``                 POST    ``{"speed": 50}`` changes the speed
``faults``                GET     the fault rules and what is left of them, see ``faults.py``
``faults``                POST    add a rule or a list of rules
``faults``                DELETE  forget all rules
``requests``              GET     the rights that requests have needed, whose, and how often, see ``rbac.py``
``requests``              DELETE  count from the beginning
``settle``                POST    ``{"seconds": 120}`` answers when the cluster is at rest, or after that virtual time
``restart-calico-node``   POST    ``?node=``: calico-node's start-up logic on that node
``compact``               POST    forget the history, as etcd does: older watches and continue tokens are expired
========================  ======  =======================================================
"""

from __future__ import annotations

import asyncio
import json
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Reply, Request, json_reply
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.settling import SettleWait
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    bad_request,
    method_not_allowed,
    unknown_path,
)

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

PREFIX = "/twin/v1/"


class Control:
    """Answers requests below ``PREFIX`` for one twin."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    async def handle(self, request: Request) -> Reply:
        """The answer. Raises ``Fault`` for what cannot be answered."""
        name = request.info.path[len(PREFIX) :]
        if request.method == "POST" and name == "settle":
            return json_reply(200, await self._settle(_body(request)))
        actions: dict[tuple[str, str], t.Callable[[Request], t.Any]] = {
            ("GET", "record"): lambda _request: self._twin.recorder.record(),
            ("POST", "record"): self._new_record,
            ("GET", "clock"): lambda _request: self._clock(),
            ("POST", "clock"): self._set_clock,
            ("GET", "faults"): lambda _request: {"rules": self._twin.faults.rules()},
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "requests"): lambda _request: {"requests": self._twin.authorizer.asked()},
            ("DELETE", "requests"): self._forget_requests,
            ("POST", "restart-calico-node"): self._restart_calico_node,
            ("POST", "restart-static-pod"): self._restart_static_pod,
            ("POST", "compact"): self._compact,
        }
        action = actions.get((request.method, name))
        if action is not None:
            return json_reply(200, action(request))
        if any(known == name for _method, known in actions) or name == "settle":
            raise method_not_allowed()
        raise unknown_path()

    def _new_record(self, _request: Request) -> t.Any:
        self._twin.recorder.restart()
        return self._twin.recorder.record()

    def _clock(self) -> t.Any:
        clock = self._twin.clock
        return {"now": clock.timestamp(), "speed": clock.speed, "seed": self._twin.seed}

    def _set_clock(self, request: Request) -> t.Any:
        speed = _body(request).get("speed")
        if isinstance(speed, bool) or not isinstance(speed, (int, float)) or speed <= 0:
            raise bad_request(f"speed is {speed!r}, it must be a number above 0")
        self._twin.clock.set_speed(float(speed))
        return self._clock()

    def _add_faults(self, request: Request) -> t.Any:
        try:
            return {"rules": self._twin.faults.add(_decoded(request))}
        except InvalidInput as error:
            raise bad_request(error.message) from None

    def _clear_faults(self, _request: Request) -> t.Any:
        self._twin.faults.clear()
        return {"rules": []}

    def _forget_requests(self, _request: Request) -> t.Any:
        self._twin.authorizer.forget()
        return {"requests": []}

    def _compact(self, _request: Request) -> t.Any:
        self._twin.objects.compact()
        return {"revision": self._twin.objects.revision}

    def _restart_calico_node(self, request: Request) -> t.Any:
        node = request.query.get("node", "")
        if not self._twin.calico_nodes.restart(node):
            raise bad_request(f"calico-node does not run on a node named {node!r}")
        return {"node": node}

    def _restart_static_pod(self, request: Request) -> t.Any:
        namespace, name = request.query.get("namespace", ""), request.query.get("pod", "")
        if not self._twin.behaviour.kubelets.restart_static(namespace, name):
            raise bad_request(f"there is no static pod {namespace}/{name}")
        return {"namespace": namespace, "pod": name}

    async def _settle(self, body: t.Mapping[str, t.Any]) -> t.Any:
        seconds = body.get("seconds", 120)
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
            raise bad_request(f"seconds is {seconds!r}, it must be a number not below 0")
        rest: asyncio.Future[t.Any] = asyncio.get_running_loop().create_future()

        def done(settled: bool, waiting: list[str]) -> None:
            if not rest.done():
                rest.set_result({"settled": settled, "waiting": waiting})

        twin = self._twin
        wait = SettleWait(twin.objects, twin.clock, twin.quiet, float(seconds), done, twin.places)
        try:
            return await rest
        finally:
            wait.cancel()


def _decoded(request: Request) -> t.Any:
    try:
        return json.loads(request.body or b"{}")
    except ValueError as error:
        raise bad_request(f"the body is not JSON: {error}") from None


def _body(request: Request) -> t.Mapping[str, t.Any]:
    body = _decoded(request)
    if not isinstance(body, dict):
        raise bad_request("the body must be a JSON object")
    return body
