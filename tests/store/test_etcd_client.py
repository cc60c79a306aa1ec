# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection to etcd, on real servers: ranges, compare-and-swap, several endpoints, what failures say."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import typing as t
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


@contextlib.contextmanager
def speaking(answer: bytes) -> t.Iterator[Endpoint]:
    """A server that gives one answer to whatever it is asked."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Endpoint("http", "127.0.0.1", listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


NO_LEADER = http("503 Service Unavailable", b'{"error":"etcdserver: no leader","code":14}')
TOO_LATE = http("504 Gateway Timeout", b'{"error":"context deadline exceeded","code":4}')


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "the connection was closed before an answer came"),
        (http("200 OK", b"<html/>"), "what answers there is not the JSON gateway of etcd"),
        (http("404 Not Found", b"404"), "what answers there is not the JSON gateway of etcd"),
        (http("200 OK", b"[]"), "what answers there is not the JSON gateway of etcd"),
        (NO_LEADER, "cannot serve requests: no leader"),
        (TOO_LATE, "cannot serve requests: context deadline exceeded"),
    ],
)
def test_servers_that_cannot_help(etcd: EtcdServer, answer: bytes, sentence: str) -> None:
    etcd.put(KEY, b"1")
    with speaking(answer) as endpoint:
        options = EtcdOptions((endpoint,), timeout=5.0)
        with pytest.raises(Unreachable, match=re.escape(sentence)):
            EtcdClient(options).get(KEY)
        # A read asks the next member; a write that may have been carried out does not, and says so.
        two = replace(options, endpoints=(endpoint, *etcd.options.endpoints))
        assert EtcdClient(two).get(KEY) is not None
        with pytest.raises(Unreachable) as error:
            EtcdClient(two).create("/calico/other", b"")
        assert error.value.maybe_done
    assert etcd.client().get("/calico/other") is None


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (http("429 X", b'{"error":"etcdserver: too many requests","code":8}'), "the request: too many requests"),
        (http("500 X", b'{"error":"mvcc: database space exceeded","code":8}'), "has no space left and takes no writes"),
    ],
)
def test_a_refusal_is_told_in_etcds_words(answer: bytes, sentence: str) -> None:
    with speaking(answer) as endpoint, pytest.raises(StoreError, match=sentence):
        EtcdClient(EtcdOptions((endpoint,))).create(KEY, b"")


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
