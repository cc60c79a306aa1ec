# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import asyncio
import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    IP_POOLS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.control import Control
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault


@pytest.fixture
def twin() -> Twin:
    twin = Twin(None, load("small"), speed=200.0)
    twin.boot()
    return twin


async def asked(twin: Twin, method: str, name: str, body: t.Any = None, **query: str) -> t.Any:
    info = parse_request(method, "/twin/v1/" + name, query)
    request = Request(method, info, query, {}, b"" if body is None else json.dumps(body).encode())
    reply = await Control(twin).handle(request)
    assert reply.code == 200
    return json.loads(reply.body)


def ask(twin: Twin, method: str, name: str, body: t.Any = None, **query: str) -> t.Any:
    return asyncio.run(asked(twin, method, name, body, **query))


def test_the_record_can_be_read_and_begun_anew(twin: Twin) -> None:
    record = ask(twin, "GET", "record")
    assert record["outages"] == record["budget_violations"] == record["violations"] == []
    assert {each["name"] for each in record["workloads"]} >= {"web", "db", "calico-node"}
    twin.clock.advance(30)
    assert ask(twin, "POST", "record", {})["since"] > record["since"]


def test_the_clock_can_be_read_and_set(twin: Twin) -> None:
    assert ask(twin, "GET", "clock")["speed"] == 200.0
    assert ask(twin, "POST", "clock", {"speed": 5}) == {"now": twin.clock.timestamp(), "speed": 5.0, "seed": 1}


def test_faults_are_added_shown_and_cleared(twin: Twin) -> None:
    ask(twin, "POST", "faults", [{"verb": "get", "code": 500}, {"drop": "after"}])
    assert [rule["count"] for rule in ask(twin, "GET", "faults")["rules"]] == [1, 1]
    assert twin.faults.take("get") is not None
    assert [rule["hits"] for rule in ask(twin, "GET", "faults")["rules"]] == [1, 0]
    assert ask(twin, "DELETE", "faults") == {"rules": []}


def test_calico_node_is_restarted_on_one_node(twin: Twin) -> None:
    assert ask(twin, "POST", "restart-calico-node", node="node-1") == {"node": "node-1"}


@pytest.mark.parametrize(
    ("method", "name", "body", "query", "code"),
    [
        ("GET", "nothing", None, {}, 404),
        ("DELETE", "clock", None, {}, 405),
        ("GET", "settle", None, {}, 405),
        ("POST", "clock", {"speed": 0}, {}, 400),
        ("POST", "clock", [], {}, 400),
        ("POST", "faults", {"code": 200}, {}, 400),
        ("POST", "settle", {"seconds": "soon"}, {}, 400),
        ("POST", "restart-calico-node", None, {"node": "node-9"}, 400),
    ],
)
def test_what_cannot_be_answered(twin: Twin, method: str, name: str, body: t.Any, query: t.Any, code: int) -> None:
    with pytest.raises(Fault) as caught:
        ask(twin, method, name, body, **query)
    assert caught.value.code == code


def test_settle_answers_when_the_cluster_rests(twin: Twin) -> None:
    async def scale() -> None:
        twin.clock.start()
        LocalApi(twin.server).patch(DEPLOYMENTS, "web", {"spec": {"replicas": 5}}, "shop")
        before = twin.clock.monotonic()
        assert await asked(twin, "POST", "settle", {"seconds": 60}) == {"settled": True, "waiting": []}
        assert 0 < twin.clock.monotonic() - before < 60
        twin.clock.stop()

    asyncio.run(scale())
    ready = twin.objects.get(DEPLOYMENTS, "shop", "web")
    assert ready is not None and ready["status"]["readyReplicas"] == 5


def test_settle_gives_up_and_says_what_is_missing(twin: Twin) -> None:
    async def impossible() -> t.Any:
        twin.clock.start()
        patch = {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "true"}}}}}
        LocalApi(twin.server).patch(DEPLOYMENTS, "web", patch, "shop")
        answer = await asked(twin, "POST", "settle", {"seconds": 30})
        twin.clock.stop()
        return answer

    answer = asyncio.run(impossible())
    assert answer["settled"] is False
    assert "Deployment shop/web" in answer["waiting"]


def test_a_static_pod_is_restarted_on_its_host(twin: Twin) -> None:
    api = LocalApi(twin.server, "admin")
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "agent", "annotations": {"kubernetes.io/config.mirror": "1"}},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "agent:1"}]},
    }
    api.create(PODS, body, "default")
    twin.settle()
    first = api.get(PODS, "agent", "default")
    api.delete(PODS, "agent", "default")
    twin.settle()
    mirrored = api.get(PODS, "agent", "default")
    # Deleting the mirror does nothing to the pod.
    assert mirrored["metadata"]["uid"] != first["metadata"]["uid"]
    assert mirrored["status"]["podIP"] == first["status"]["podIP"]
    api.patch(IP_POOLS, "default-ipv4-ippool", {"spec": {"disabled": True}})
    pool = {"cidr": "10.50.0.0/16", "blockSize": 26, "nodeSelector": "all()"}
    kind = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": {"name": "new"}, "spec": pool}
    api.create(IP_POOLS, kind)
    assert ask(twin, "POST", "restart-static-pod", namespace="default", pod="agent") == {
        "namespace": "default",
        "pod": "agent",
    }
    twin.settle()
    assert api.get(PODS, "agent", "default")["status"]["podIP"].startswith("10.50.")
    with pytest.raises(Fault, match="no static pod default/nobody"):
        ask(twin, "POST", "restart-static-pod", namespace="default", pod="nobody")
