# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import watch
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Expired, Forbidden, Unreachable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Change, Follower, Watches

from .conftest import Answer, ScriptedServer

PATH = "/api/v1/pods"


@pytest.fixture
def api(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[HttpApi]:
    monkeypatch.setattr(watch, "FIRST_PAUSE", 0.001)
    client = connect(ConnectionOptions(host=server.url, api_key="k"))
    yield client
    client.close()


def pod(name: str, version: int, uid: str | None = None) -> dict[str, t.Any]:
    return {"metadata": {"name": name, "namespace": "n", "uid": uid or name, "resourceVersion": str(version)}}


def listing(version: int, *pods: dict[str, t.Any]) -> Answer:
    return Answer(200, {"metadata": {"resourceVersion": str(version)}, "items": list(pods)})


def event(kind: str, item: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"type": kind, "object": item}


def gone() -> dict[str, t.Any]:
    return event("ERROR", {"kind": "Status", "message": "too old resource version", "reason": "Expired", "code": 410})


def take(follower: Follower, count: int) -> list[tuple[str, str]]:
    changes: list[Change] = []
    for change in follower:
        changes.append(change)
        if len(changes) == count:
            break
    follower.close()
    return [(change.type, change.object.get("metadata", {}).get("uid", "")) for change in changes]


class TestStream:
    def test_lines_become_events_however_they_are_cut(self, server: ScriptedServer, api: HttpApi) -> None:
        whole = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'
        server.on("GET", PATH, Answer(lines=[whole[:10], whole[10:30], whole[30:] + whole + whole[:5], whole[5:]]))
        events = list(api.watch(PODS, resource_version="7", timeout_seconds=5, label_selector="a=b"))
        assert [e.object["metadata"]["name"] for e in events] == ["a"] * 3
        assert server.asked[0].query == {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "7",
            "timeoutSeconds": "5",
            "labelSelector": "a=b",
        }

    def test_too_old_a_version(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", PATH, Answer(lines=[gone()]))
        with pytest.raises(Expired, match="too old resource version"):
            list(api.watch(PODS, resource_version="1"))

    def test_refused(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", PATH, Answer(403, {"message": "no", "reason": "Forbidden"}))
        with pytest.raises(Forbidden):
            api.watch(PODS, resource_version="1")

    def test_a_cut_stream_is_reported(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", PATH, Answer(lines=[b'{"type":'], cut=True))
        with pytest.raises(Unreachable):
            list(api.watch(PODS, resource_version="1"))

    def test_close_from_another_thread_ends_it(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", PATH, Answer(lines=[event("ADDED", pod("a", 8))], hold=20))
        stream = api.watch(PODS, resource_version="1")
        assert next(stream).type == "ADDED"
        threading.Timer(0.05, stream.close).start()
        assert list(stream) == []


class TestFollower:
    def test_list_then_watch_then_resume(self, server: ScriptedServer, api: HttpApi) -> None:
        bookmark = event("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
        server.on(
            "GET",
            PATH,
            listing(5, pod("a", 4)),
            Answer(lines=[event("ADDED", pod("b", 6)), bookmark]),
            Answer(lines=[event("DELETED", pod("a", 21))]),
        )
        assert take(Follower(api, PODS), 4) == [("ADDED", "a"), ("SYNCED", ""), ("ADDED", "b"), ("DELETED", "a")]
        assert [asked.query.get("resourceVersion") for asked in server.asked[:3]] == [None, "5", "20"]

    def test_an_expired_watch_yields_the_differences(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on(
            "GET",
            PATH,
            listing(5, pod("a", 1), pod("b", 2), pod("c", 3), pod("d", 4)),
            Answer(lines=[gone()]),
            listing(30, pod("b", 2), pod("c", 25), pod("d", 26, uid="d2"), pod("e", 27)),
            Answer(lines=[]),
        )
        changes = take(Follower(api, PODS), 11)
        assert changes[4:] == [
            ("SYNCED", ""),
            ("DELETED", "a"),
            ("DELETED", "d"),
            ("MODIFIED", "c"),
            ("ADDED", "d2"),
            ("ADDED", "e"),
            ("SYNCED", ""),
        ]

    def test_failures_that_may_pass_are_waited_out(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on(
            "GET",
            PATH,
            listing(5, pod("a", 4)),
            Answer(503, b"service unavailable"),
            Answer(cut=True),
            Answer(lines=[event("MODIFIED", pod("a", 9))]),
        )
        kinds = [kind for kind, _uid in take(Follower(api, PODS), 5)]
        assert kinds == ["ADDED", "SYNCED", "INTERRUPTED", "INTERRUPTED", "MODIFIED"]

    def test_managed_fields_are_dropped(self, server: ScriptedServer, api: HttpApi) -> None:
        item = pod("a", 4)
        item["metadata"]["managedFields"] = [{}]
        server.on("GET", PATH, listing(5, item))
        follower = Follower(api, PODS)
        first = next(iter(follower))
        assert "managedFields" not in first.object["metadata"]


class TestWatches:
    def test_several_lists_in_one_sequence(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", PATH, listing(5, pod("a", 4)), Answer(lines=[], hold=20))
        with Watches(api) as watches:
            watches.follow("pods", PODS)
            first, second = watches.next(5), watches.next(5)
            assert first is not None
            assert second is not None
            assert (first.source, first.change.type, second.change.type) == ("pods", "ADDED", "SYNCED")
            assert watches.next(0.05) is None
        assert not any(thread.name.startswith("follow-") for thread in threading.enumerate())

    def test_what_cannot_pass_is_raised(self, server: ScriptedServer, api: HttpApi) -> None:
        server.on("GET", PATH, Answer(403, {"message": "no", "reason": "Forbidden"}))
        with Watches(api) as watches:
            watches.follow("pods", PODS)
            with pytest.raises(Forbidden):
                watches.next(5)
