# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection to etcd, on real servers: ranges, compare-and-swap, several endpoints, what failures say."""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from etcd_fixture import EtcdServer, start_etcd

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import StoreError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import (
    Endpoint,
    EtcdOptions,
    parse_endpoint,
)

KEY = "/calico/ipam/v2/handle/x"


def nobody() -> Endpoint:
    """An endpoint nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Endpoint("http", "127.0.0.1", probe.getsockname()[1])


def test_ranges_come_in_pages_in_byte_order_and_show_one_moment(etcd: EtcdServer) -> None:
    client = etcd.client(page=3)
    keys = [f"/calico/x/{name}" for name in ("10.0.0.0-26", "10.0.0.128-26", "10.0.0.64-26", "A", "a", "é", "日")]
    for number, key in enumerate(keys):
        client.create(key, str(number).encode())
    client.create("/calico/x", b"")
    client.create("/calico/y/1", b"")
    seen = []
    for row in client.rows("/calico/x/"):
        if not seen:
            assert client.create("/calico/x/z", b"new").done
            last = client.get(keys[-1])
            assert last is not None
            assert client.delete(keys[-1], last.revision).done
        seen.append(row)
    assert [row.key for row in seen] == keys
    assert [row.value for row in seen] == [str(number).encode() for number in range(len(keys))]
    assert [row.key for row in client.rows("/calico/x/")] == [*keys[:-2], "/calico/x/z", keys[-2]]
    assert list(client.rows("/calico/none/")) == []


def test_values_are_bytes_of_any_kind(client: EtcdClient) -> None:
    value = bytes(range(256)) * 10
    outcome = client.create(KEY, value)
    row = client.get(KEY)
    assert row is not None
    assert (row.value, row.revision) == (value, outcome.revision)


def test_writes_compare_revisions(client: EtcdClient) -> None:
    first = client.create(KEY, b"1")
    assert first.done
    assert client.create(KEY, b"2") == replace(client.create(KEY, b"2"), done=False, exists=True)
    second = client.update(KEY, b"2", first.revision)
    assert second.done and second.revision > first.revision
    stale = client.update(KEY, b"3", first.revision)
    assert (stale.done, stale.exists) == (False, True)
    assert not client.delete(KEY, first.revision).done
    assert client.delete(KEY, second.revision).done
    gone = client.update(KEY, b"3", second.revision)
    assert (gone.done, gone.exists) == (False, False)
    assert client.get(KEY) is None


def test_history_that_is_compacted_between_two_pages_is_one_sentence(etcd: EtcdServer) -> None:
    client = etcd.client(page=1)
    for number in range(3):
        newest = client.create(f"/calico/x/{number}", b"")
    rows = client.rows("/calico/x/")
    next(rows)
    newest = client.create("/calico/x/9", b"")
    etcd.call("/kv/compaction", {"revision": newest.revision})
    with pytest.raises(StoreError, match="compacted its history while a long list was read"):
        list(rows)


def test_an_endpoint_that_is_down_is_passed_over(etcd: EtcdServer) -> None:
    client = etcd.client(endpoints=(nobody(), *etcd.options.endpoints))
    assert client.create(KEY, b"1").done
    assert client.get(KEY) is not None
    only = replace(etcd.options, endpoints=(nobody(), nobody()))
    with pytest.raises(
        Unreachable, match="at any of its 2 endpoints; http://127.0.0.1:[0-9]+: connection refused"
    ) as e:
        EtcdClient(only).get(KEY)
    assert not e.value.maybe_done
    with pytest.raises(Unreachable) as e:
        EtcdClient(only).create(KEY, b"")
    assert not e.value.maybe_done


def test_a_name_that_does_not_resolve_is_named() -> None:
    options = EtcdOptions((parse_endpoint("http://etcd.invalid:2379"),), timeout=5.0)
    with pytest.raises(Unreachable, match=r"etcd at http://etcd.invalid:2379 cannot be reached: the name cannot be"):
        EtcdClient(options).get(KEY)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "the connection was closed before an answer came"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n<html/>", "what answers there is not the JSON gateway of etcd"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n404", "what answers there is not the JSON gateway"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "what answers there is not the JSON gateway of etcd"),
    ],
)
def test_what_is_no_etcd_is_named(answer: bytes, sentence: str) -> None:
    def serve(listener: socket.socket) -> None:
        for _request in range(2):
            connection, _address = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        options = EtcdOptions((Endpoint("http", "127.0.0.1", listener.getsockname()[1]),), timeout=5.0)
        with pytest.raises(Unreachable, match=re.escape(sentence)):
            EtcdClient(options).get(KEY)
        with pytest.raises(Unreachable, match="did not confirm a write, which may have been carried out") as error:
            EtcdClient(options).create(KEY, b"")
        assert error.value.maybe_done
        thread.join(5)


def test_a_server_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        options = EtcdOptions((Endpoint("http", "127.0.0.1", listener.getsockname()[1]),), timeout=0.2)
        with pytest.raises(Unreachable, match="no answer came in time"):
            EtcdClient(options).get(KEY)


def test_it_comes_back_after_a_restart_of_etcd(tmp_path: Path) -> None:
    with start_etcd(tmp_path) as server:
        client = server.client()
        written = client.create(KEY, b"1")
        server.restart()
        row = client.get(KEY)
        assert row is not None
        assert (row.value, row.revision) == (b"1", written.revision)
