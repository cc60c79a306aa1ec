# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The object store against a naive model, and its promise to survive SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import (
    ADDED,
    DELETED,
    MODIFIED,
    Event,
    HistoryGone,
    ObjectStore,
)


def obj(name: str, namespace: str = "a", value: int = 0) -> Object:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "value": value}


def keys(store: ObjectStore, namespace: str | None = None, at: int | None = None) -> list[tuple[str, int]]:
    return [(entry.key, entry.object["value"]) for entry in store.entries(CONFIG_MAPS, namespace, at=at)]


def test_one_counter_for_everything() -> None:
    store = ObjectStore()
    first = store.create(CONFIG_MAPS, obj("x"))
    second = store.create(NODES, {"metadata": {"name": "n"}})
    gone = store.delete(CONFIG_MAPS, "a", "x")
    assert (second.revision, gone.revision) == (first.revision + 1, first.revision + 2)
    assert gone.object["metadata"]["resourceVersion"] == str(store.revision)
    assert gone.object["value"] == 0


def test_what_is_given_is_not_changed() -> None:
    store, given_object = ObjectStore(), obj("x")
    store.create(CONFIG_MAPS, given_object)
    assert given_object == obj("x")
    assert store.get(CONFIG_MAPS, "a", "x") is store.get(CONFIG_MAPS, "a", "x")


def test_writes_that_do_not_fit_are_errors() -> None:
    store = ObjectStore()
    with pytest.raises(ValueError, match="MODIFIED does not fit"):
        store.update(CONFIG_MAPS, obj("x"))
    with pytest.raises(ValueError, match="nothing to delete"):
        store.delete(CONFIG_MAPS, "a", "x")
    store.create(CONFIG_MAPS, obj("x"))
    with pytest.raises(ValueError, match="ADDED does not fit"):
        store.create(CONFIG_MAPS, obj("x"))


def test_order_is_that_of_etcd() -> None:
    store = ObjectStore()
    for namespace, name in (("a", "z"), ("a-b", "x"), ("a", "b"), ("a0", "c")):
        store.create(CONFIG_MAPS, obj(name, namespace))
    assert [key for key, _value in keys(store)] == ["a-b/x", "a/b", "a/z", "a0/c"]
    assert [key for key, _value in keys(store, "a")] == ["a/b", "a/z"]
    assert keys(store, "none") == []


def test_subscribers_see_nested_writes_in_order() -> None:
    store = ObjectStore()
    seen: list[tuple[str, int]] = []

    def answer(event: Event) -> None:
        if event.type == ADDED:
            store.update(CONFIG_MAPS, {**event.object, "value": 1})

    def note(event: Event) -> None:
        seen.append((event.type, event.object["value"]))

    store.subscribe(answer)
    stop = store.subscribe(note, CONFIG_MAPS)
    store.create(CONFIG_MAPS, obj("x"))
    assert seen == [(ADDED, 0), (MODIFIED, 1)]
    stop()
    store.delete(CONFIG_MAPS, "a", "x")
    assert len(seen) == 2


def test_history_is_bounded_and_compaction_forgets() -> None:
    store = ObjectStore(history=3)
    start = store.revision
    for number in range(5):
        store.create(CONFIG_MAPS, obj(f"x{number}"))
    with pytest.raises(HistoryGone) as caught:
        store.since(CONFIG_MAPS, start)
    assert caught.value.oldest == start + 2
    assert [event.object["metadata"]["name"] for event in store.since(CONFIG_MAPS, start + 2)] == ["x2", "x3", "x4"]
    store.compact()
    with pytest.raises(HistoryGone):
        store.entries(CONFIG_MAPS, at=start + 3)
    with pytest.raises(HistoryGone):
        store.since(NODES, start)
    assert store.since(CONFIG_MAPS, store.revision) == []


CHANGES = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.sampled_from(["a", "b"]), st.sampled_from("xyz")), max_size=30
)


@given(CHANGES)
@settings(deadline=None)
def test_every_revision_can_be_listed_again(changes: list[tuple[str, str, str]]) -> None:
    store = ObjectStore()
    model: dict[str, int] = {}
    snapshots = {store.revision: dict(model)}
    start = store.revision
    for number, (action, namespace, name) in enumerate(changes):
        key = f"{namespace}/{name}"
        if action == "delete":
            if key not in model:
                continue
            store.delete(CONFIG_MAPS, namespace, name)
            del model[key]
        elif key in model:
            store.update(CONFIG_MAPS, obj(name, namespace, number))
            model[key] = number
        else:
            store.create(CONFIG_MAPS, obj(name, namespace, number))
            model[key] = number
        snapshots[store.revision] = dict(model)
    for revision, snapshot in snapshots.items():
        assert keys(store, at=revision) == sorted(snapshot.items())
        assert keys(store, "b", at=revision) == sorted(each for each in snapshot.items() if each[0] > "b")
    replayed: dict[str, int] = {}
    for event in store.since(CONFIG_MAPS, start):
        if event.type == DELETED:
            del replayed[event.entry.key]
        else:
            replayed[event.entry.key] = event.object["value"]
    assert replayed == model


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    path = str(tmp_path / "objects.sqlite")
    store = ObjectStore(path)
    store.create(CONFIG_MAPS, obj("x"))
    with store.bulk():
        store.update(CONFIG_MAPS, {**obj("x", value=2), "text": "ä\ud800"})
        store.create(CONFIG_MAPS, obj("y"))
    store.delete(CONFIG_MAPS, "a", "y")
    store.set_meta("token", "secret")
    revision = store.revision
    store.close()
    again = ObjectStore(path)
    assert again.revision == revision
    assert keys(again) == [("a/x", 2)]
    assert again.meta("token") == "secret"
    assert again.create(CONFIG_MAPS, obj("z")).revision == revision + 1
    with pytest.raises(HistoryGone):
        again.since(CONFIG_MAPS, revision - 1)
    again.close()


_WRITER = """
import sys
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
store = ObjectStore(sys.argv[1])
number = 0
while True:
    store.create(CONFIG_MAPS, {"metadata": {"name": f"x{number}", "namespace": "a"}, "value": number})
    print(number, flush=True)
    number += 1
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    path = str(tmp_path / "objects.sqlite")
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, path], stdout=subprocess.PIPE, text=True)
    output = t.cast(t.IO[str], writer.stdout)
    for _turn in range(200):
        output.readline()
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged = 200 + len(output.read().split("\n")) - 1
    writer.wait()
    output.close()
    store = ObjectStore(path)
    found = {entry.object["value"] for entry in store.entries(CONFIG_MAPS)}
    assert set(range(acknowledged)) <= found
    assert len(found) - acknowledged <= 1
    assert store.revision == 1 + len(found)
    store.close()
