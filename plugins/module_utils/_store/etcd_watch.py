# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The stream of a watch in etcd's JSON gateway: one JSON object a line, for as long as the connection lives."""

from __future__ import annotations

import json
import socket
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Expired
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row, row_of

GONE = 410


@dataclass(frozen=True)
class RowEvent:
    """What became of a key.

    ``row`` is the key as it is now; of one that was deleted, with an empty value under the revision
    of the deletion. ``before`` is what it was, None for a new key or where etcd has forgotten it.
    """

    deleted: bool
    row: Row
    before: t.Optional[Row]

    @property
    def new(self) -> bool:
        return not self.deleted and self.before is None


class EtcdWatch:
    """The events of one watch in order; it ends when the server ends it or ``close`` is called.

    Raises ``Expired`` when etcd has compacted the revision to begin with, what ``refused`` makes of
    etcd's words when it will not watch, and what ``broken`` makes of a connection that fails.
    """

    def __init__(
        self,
        response: t.Any,
        session: t.Any,
        broken: t.Callable[[BaseException], IpamError],
        refused: t.Callable[[str], IpamError],
    ) -> None:
        self._response = response
        self._session = session
        self._broken = broken
        self._refused = refused
        self._closed = False
        self._events = self._read()

    def __iter__(self) -> t.Iterator[RowEvent]:
        return self

    def __next__(self) -> RowEvent:
        return next(self._events)

    def close(self) -> None:
        """End the stream; may be called from another thread than the one that reads."""
        self._closed = True
        sock = getattr(getattr(self._response.raw, "connection", None), "sock", None)
        if isinstance(sock, socket.socket):
            try:
                # The plain socket's own shutdown: it wakes the reader, whereas an SSL socket's would
                # pull the TLS state from under it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return

    def _read(self) -> t.Iterator[RowEvent]:
        try:
            for line in self._response.iter_lines(chunk_size=65536):
                told = json.loads(line)
                refusal = _refusal(told)
                if refusal:
                    raise self._refused(refusal)
                yield from _events(told)
        except (OSError, ValueError) as error:
            # The libraries' own errors are kinds of OSError; a line that was cut off is no JSON.
            if not self._closed:
                raise self._broken(error) from error
        finally:
            self._response.close()
            self._session.close()


def _refusal(line: t.Any) -> str:
    """Why etcd does not watch, or not any longer; empty when it does. Raises ``Expired``."""
    error, result = line.get("error"), line.get("result") or {}
    if error:
        return str(error.get("message") or error)
    if not result.get("canceled"):
        return ""
    if int(result.get("compact_revision") or 0):
        raise Expired("etcd has compacted the revision that was to be watched from.", GONE, "Expired")
    return str(result.get("cancel_reason") or "it gave no reason")


def _events(line: t.Any) -> t.Iterator[RowEvent]:
    for event in (line.get("result") or {}).get("events") or ():
        before = event.get("prev_kv")
        yield RowEvent(
            event.get("type") == "DELETE", row_of(event["kv"]), row_of(before) if before is not None else None
        )
