# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""A connection to etcd: ranges, compare-and-swap, several endpoints, one sentence for each failure.

The requests go through ``etcd3gw`` to etcd's JSON gateway, which every etcd since 3.4
serves on its client port under ``/v3/``. Keys and values are bytes here.
"""

from __future__ import annotations

import base64
import importlib
import os
import tempfile
import traceback
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_failures import (
    Failure,
    failure_of,
    sentence_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import Endpoint, EtcdOptions, is_pem
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row, row_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_watch import EtcdWatch

REQUIREMENT = "etcd3gw >= 2.4"
PAGE = 500

Payload = t.Dict[str, t.Any]


@dataclass(frozen=True)
class Outcome:
    """What a compare-and-swap came to.

    ``done`` with the new ``revision``, or not done, and then ``exists`` says whether the
    key is there at all.
    """

    done: bool
    revision: int
    exists: bool


class EtcdClient:
    """Use one in one thread. ``where`` names the endpoints for messages.

    Raises ``Unreachable`` when no endpoint answers (with ``maybe_done`` when a write may have
    been carried out although its answer was lost), ``BadConfiguration`` for credentials that
    etcd does not take, ``Forbidden`` for a user without the right, ``StoreError`` for the rest.
    """

    def __init__(self, options: EtcdOptions, page: int = PAGE) -> None:
        self._options = options
        self._page = page
        self._library = _load("etcd3gw")
        self._files: t.Optional[tempfile.TemporaryDirectory[str]] = None
        self._members = [_Member(endpoint, self._open(endpoint)) for endpoint in options.endpoints]
        self._token: t.Optional[str] = None
        #: Called before each write; whatever it raises keeps that write from being sent.
        self.before_write: t.Callable[[], None] = lambda: None
        self.where = f"etcd at {', '.join(str(endpoint) for endpoint in options.endpoints)}"

    def close(self) -> None:
        """Close the connections and remove the files of certificates that were given as text."""
        for member in self._members:
            member.gateway.session.close()
        if self._files is not None:
            self._files.cleanup()

    def get(self, key: str) -> t.Optional[Row]:
        """One key, or None."""
        rows, _answer = self._range({"key": _text(key)})
        return rows[0] if rows else None

    def rows(self, prefix: str, revision: int = 0) -> t.Iterator[Row]:
        """Every key that begins with ``prefix``, in byte order, in pages that all show one moment.

        ``revision`` 0 is the present one; StoreError when it has been compacted meanwhile.
        """
        for rows, _moment in self._pages(prefix, revision):
            yield from rows

    def snapshot(self, prefix: str, revision: int = 0) -> t.Tuple[t.List[Row], int]:
        """All of ``rows``, with the revision whose state they show: a watch goes on from there."""
        found: t.List[Row] = []
        moment = revision
        for rows, moment in self._pages(prefix, revision):  # noqa: B007 - the moment of the last page is wanted
            found.extend(rows)
        return found, moment

    def _pages(self, prefix: str, revision: int) -> t.Iterator[t.Tuple[t.List[Row], int]]:
        start, end = prefix.encode(), _end(prefix)
        while True:
            payload = {"key": _text(start), "range_end": _text(end), "limit": self._page, "revision": revision}
            rows, answer = self._range({**payload, "sort_target": "KEY", "sort_order": "ASCEND"})
            # Without this, changes between two pages would show halves of what belongs together.
            revision = revision or _revision(answer)
            yield rows, revision
            if not answer.get("more") or not rows:
                return
            start = rows[-1].key.encode(errors="surrogateescape") + b"\0"

    def create(self, key: str, value: bytes) -> Outcome:
        """Write a key that must not exist."""
        return self._swap(key, {"target": "CREATE", "create_revision": 0}, _put(key, value))

    def update(self, key: str, value: bytes, revision: int) -> Outcome:
        """Write a key that must be as it was at ``revision``."""
        return self._swap(key, {"target": "MOD", "mod_revision": revision}, _put(key, value))

    def delete(self, key: str, revision: int) -> Outcome:
        """Delete a key that must be as it was at ``revision``."""
        operation = {"request_delete_range": {"key": _text(key)}}
        return self._swap(key, {"target": "MOD", "mod_revision": revision}, operation)

    def watch(self, prefix: str, revision: int) -> EtcdWatch:
        """What happens after ``revision`` to the keys that begin with ``prefix``.

        The stream has a connection of its own, so another thread may read it while this client is used.
        """
        request = {
            "key": _text(prefix),
            "range_end": _text(_end(prefix)),
            "start_revision": revision + 1,
            "prev_kv": True,
        }
        failure: t.Optional[Failure] = None
        for member in tuple(self._members):
            answer = self._watched(member, {"create_request": request})
            if not isinstance(answer, Failure):
                return answer
            failure = answer
            if not (failure.unsent or failure.try_next):
                break
        raise self._error(failure, writes=False) if failure is not None else ValueError("no endpoint")

    def another(self) -> EtcdClient:
        """A second client with the same options, for another thread."""
        client = EtcdClient(self._options, self._page)
        client.before_write = self.before_write
        return client

    # Requests

    def _range(self, payload: Payload) -> t.Tuple[t.List[Row], Payload]:
        answer = self._request("/kv/range", payload, writes=False)
        return [row_of(entry) for entry in answer.get("kvs") or ()], answer

    def _swap(self, key: str, condition: Payload, operation: Payload) -> Outcome:
        self.before_write()
        payload = {
            "compare": [{"key": _text(key), "result": "EQUAL", **condition}],
            "success": [operation],
            "failure": [{"request_range": {"key": _text(key), "keys_only": True}}],
        }
        answer = self._request("/kv/txn", payload, writes=True)
        if answer.get("succeeded"):
            return Outcome(True, _revision(answer), True)
        found = answer["responses"][0].get("response_range") or {}
        return Outcome(False, _revision(answer), bool(found.get("kvs")))

    def _request(self, path: str, payload: Payload, writes: bool) -> Payload:
        """Ask the members in turn, beginning with the one that answered last.

        A write goes to another member only when the first one cannot have got it: repeated
        after a lost answer it would take its own first half for somebody else's change.
        """
        failure: t.Optional[Failure] = None
        for member in tuple(self._members):
            answer = self._ask(member, path, payload)
            if not isinstance(answer, Failure):
                if member is not self._members[0]:
                    self._members.remove(member)
                    self._members.insert(0, member)
                return answer
            failure = answer
            if not (failure.unsent or (failure.try_next and not writes)):
                break
        raise self._error(failure, writes) if failure is not None else ValueError("no endpoint")

    def _watched(self, member: _Member, payload: Payload) -> t.Union[EtcdWatch, Failure]:
        """A login first, whose token a watch needs as any request does."""
        if self._options.username:
            failure = self._authenticate(member)
            if failure is not None:
                return failure
        gateway = self._open(member.endpoint)
        headers = {"Authorization": self._token} if self._token else {}
        try:
            # Between two events any time may pass; that the connection comes about has its usual limit.
            response = gateway.session.post(
                gateway.get_url("/watch"),
                json=payload,
                headers=headers,
                stream=True,
                timeout=(self._options.timeout, None),
            )
        except (self._library.exceptions.Etcd3Exception, OSError, ValueError) as error:
            gateway.session.close()
            return failure_of(error, str(member.endpoint))
        if response.status_code != 200:
            gateway.session.close()
            return Failure(str(member.endpoint), f"a watch is answered with status {response.status_code}")
        return EtcdWatch(
            response,
            gateway.session,
            lambda error: self._broken(error, member),
            lambda words: self._unwatched(words, member),
        )

    def _broken(self, error: BaseException, member: _Member) -> IpamError:
        return self._error(failure_of(error, str(member.endpoint)), writes=False)

    def _unwatched(self, words: str, member: _Member) -> IpamError:
        # The gateway passes on what gRPC made of etcd's words.
        failure = Failure(str(member.endpoint), words.rpartition("etcdserver: ")[2])
        # A new watch brings a new token, so this one may be tried again.
        return self._error(replace(failure, lost=failure.token_expired), writes=False)

    def _ask(self, member: _Member, path: str, payload: Payload) -> t.Union[Payload, Failure]:
        if self._options.username and self._token is None:
            failure = self._authenticate(member)
            if failure is not None:
                return failure
        answer = self._post(member, path, payload)
        if isinstance(answer, Failure) and answer.token_expired and self._options.username:
            failure = self._authenticate(member)
            return failure if failure is not None else self._post(member, path, payload)
        return answer

    def _authenticate(self, member: _Member) -> t.Optional[Failure]:
        self._token = None
        login = {"name": self._options.username, "password": self._options.password}
        answer = self._post(member, "/auth/authenticate", login)
        if isinstance(answer, Failure):
            return answer.before_the_request()
        self._token = answer["token"]
        return None

    def _post(self, member: _Member, path: str, payload: Payload) -> t.Union[Payload, Failure]:
        gateway = member.gateway
        headers = {"Authorization": self._token} if self._token else {}
        try:
            answer = gateway.post(gateway.get_url(path), json=payload, headers=headers)
            if not isinstance(answer, dict):
                raise ValueError("the answer is no JSON object")
            return answer
        except (self._library.exceptions.Etcd3Exception, OSError, ValueError) as error:
            return failure_of(error, str(member.endpoint))

    def _error(self, failure: Failure, writes: bool) -> IpamError:
        return sentence_of(failure, self._options, writes)

    # Connections

    def _open(self, endpoint: Endpoint) -> t.Any:
        options = self._options
        gateway = self._library.Etcd3Client(
            host=endpoint.host,
            port=endpoint.port,
            protocol=endpoint.scheme,
            ca_cert=self._file(options.ca_cert, "ca.pem"),
            cert_cert=self._file(options.cert, "cert.pem"),
            cert_key=self._file(options.key, "key.pem"),
            timeout=options.timeout,
            api_path="/v3/",
        )
        # Proxies, .netrc and REQUESTS_CA_BUNDLE would override what the user said about this connection.
        gateway.session.trust_env = False
        return gateway

    def _file(self, value: t.Optional[str], name: str) -> t.Optional[str]:
        """The path of a certificate or key; text is written to a file that only we can read."""
        if value is None or not is_pem(value):
            return value
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="calico-ops-")
        path = os.path.join(self._files.name, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as stream:
            stream.write(value)
        return path


@dataclass(frozen=True)
class _Member:
    endpoint: Endpoint
    gateway: t.Any


def _load(name: str) -> t.Any:
    try:
        module: t.Any = importlib.import_module(name)
        importlib.import_module(f"{name}.exceptions")
    except ImportError:
        words = f"The Python package {REQUIREMENT} is needed to read Calico's etcd, and it cannot be imported."
        raise MissingLibrary(words, REQUIREMENT, traceback.format_exc()) from None
    return module


def _end(prefix: str) -> bytes:
    """The end of the range of keys that begin with ``prefix``."""
    start = prefix.encode()
    return start[:-1] + bytes([start[-1] + 1])


def _text(data: t.Union[str, bytes]) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def _put(key: str, value: bytes) -> Payload:
    return {"request_put": {"key": _text(key), "value": _text(value)}}


def _revision(answer: Payload) -> int:
    # 64-bit numbers are text in this JSON, and 0 is left out.
    return int((answer.get("header") or {}).get("revision") or 0)
