# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may talk to etcd: TLS with client certificates, and users with passwords."""

from __future__ import annotations

import threading
import typing as t
from pathlib import Path

import pytest
from etcd_fixture import EtcdServer, make_authority, start_etcd

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    BadConfiguration,
    Forbidden,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import Endpoint

KEY = "/calico/ipam/v2/handle/x"
PASSWORD = "not-to-be-shown-7"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdServer]:
    with start_etcd(tmp_path_factory.mktemp("tls"), tls=True) as server:
        yield server


def test_files_and_texts_do_the_same(secure: EtcdServer) -> None:
    by_file = secure.client()
    assert by_file.create("/calico/tls", b"1").done
    texts = {
        name: Path(t.cast("str", getattr(secure.options, name))).read_text(encoding="ascii")
        for name in ("ca_cert", "cert", "key")
    }
    by_text = secure.client(**texts)
    assert by_text.get("/calico/tls") is not None
    directory = Path(t.cast("t.Any", by_text)._files.name)
    assert sorted(path.stat().st_mode & 0o777 for path in directory.iterdir()) == [0o600] * 3
    by_text.close()
    assert not directory.exists()
    assert texts["key"] not in repr(secure.options)


def test_an_authority_that_is_not_theirs_is_refused(secure: EtcdServer, tmp_path: Path) -> None:
    stranger = make_authority(tmp_path)
    with pytest.raises(Unreachable, match=r"by TLS: its certificate does not verify \(") as error:
        secure.client(ca_cert=stranger.ca).get(KEY)
    assert not error.value.maybe_done


def test_without_an_authority_the_public_ones_are_asked(secure: EtcdServer) -> None:
    with pytest.raises(Unreachable, match="by TLS: its certificate does not verify"):
        secure.client(ca_cert=None).get(KEY)


def test_a_host_that_is_not_in_the_certificate_is_refused(secure: EtcdServer) -> None:
    port = secure.options.endpoints[0].port
    with pytest.raises(Unreachable, match="by TLS: its certificate does not verify"):
        secure.client(endpoints=(Endpoint("https", "localhost", port),)).get(KEY)


def test_a_client_without_certificate_is_refused(secure: EtcdServer) -> None:
    with pytest.raises(Unreachable, match=r"etcd at https://127.0.0.1:[0-9]+ cannot be reached"):
        secure.client(cert=None, key=None).get(KEY)


def test_a_key_that_is_none_is_refused(secure: EtcdServer) -> None:
    with pytest.raises(Unreachable, match="by TLS: the handshake failed"):
        secure.client(key="-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").get(KEY)


def test_http_is_refused(secure: EtcdServer) -> None:
    port = secure.options.endpoints[0].port
    with pytest.raises(Unreachable, match="cannot be reached"):
        secure.client(endpoints=(Endpoint("http", "127.0.0.1", port),)).get(KEY)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdServer]:
    with start_etcd(tmp_path_factory.mktemp("users")) as server:
        server.client().create(KEY, b"1")
        server.enable_users(PASSWORD, {"reader": PASSWORD})
        yield server


def test_the_password_is_taken(guarded: EtcdServer) -> None:
    client = guarded.client()
    assert client.get(KEY) is not None
    assert client.create("/calico/users", b"").done


def test_a_wrong_password_is_one_sentence(guarded: EtcdServer) -> None:
    with pytest.raises(BadConfiguration, match="does not accept the password of user root") as error:
        guarded.client(password="wrong-secret").get(KEY)
    assert "wrong-secret" not in error.value.message + repr(error.value.details)


def test_no_password_is_one_sentence(guarded: EtcdServer) -> None:
    with pytest.raises(BadConfiguration, match="asks for a user: give etcd_username and etcd_password"):
        guarded.client(username=None, password=None).get(KEY)


def test_a_reader_may_not_write(guarded: EtcdServer) -> None:
    client = guarded.client(username="reader")
    assert client.get(KEY) is not None
    with pytest.raises(Forbidden, match="does not let user reader write Calico's keys"):
        client.create("/calico/new", b"")
    with pytest.raises(Forbidden, match="does not let user reader read Calico's keys"):
        client.get("/other")


def test_a_token_that_is_no_longer_valid_is_renewed(guarded: EtcdServer) -> None:
    client = guarded.client()
    client.get(KEY)
    t.cast("t.Any", client)._token = "expired.1"
    assert client.create("/calico/renewed", b"").done
    guarded.call("/auth/user/add", {"name": "later", "password": PASSWORD})
    assert client.get(KEY) is not None


def test_users_that_are_turned_off_are_named(etcd: EtcdServer) -> None:
    with pytest.raises(BadConfiguration, match="has authentication turned off"):
        etcd.client(username="root", password=PASSWORD).get(KEY)


def test_a_watch_over_tls_is_woken_by_closing_it(secure: EtcdServer) -> None:
    client = secure.client()
    _rows, revision = client.snapshot("/calico/w")
    stream = client.watch("/calico/w", revision)
    client.create("/calico/watched", b"1")
    event = next(stream)
    assert (event.row.key, event.row.value, event.deleted) == ("/calico/watched", b"1", False)
    closer = threading.Timer(0.2, stream.close)
    closer.start()
    assert list(stream) == []
    closer.join()


def test_a_watch_asks_for_its_own_token(guarded: EtcdServer) -> None:
    client = guarded.client(username="reader")
    _rows, revision = client.snapshot("/calico/")
    writer = guarded.client()
    # Turned into an old token meanwhile.
    t.cast("t.Any", client)._token = "expired.1"
    stream = client.watch("/calico/", revision)
    writer.create("/calico/seen", b"")
    assert next(stream).row.key == "/calico/seen"
    stream.close()


def test_a_watch_without_the_right_is_one_sentence(guarded: EtcdServer) -> None:
    client = guarded.client(username="reader")
    with pytest.raises(Forbidden, match="does not let user reader read Calico's keys"):
        next(client.watch("/other", 1))
    with pytest.raises(Forbidden, match="does not let a client without user read"):
        next(guarded.client(username=None, password=None).watch("/calico/", 1))
