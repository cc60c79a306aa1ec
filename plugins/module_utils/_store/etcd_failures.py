# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What can go wrong between us and etcd, and the sentence the user reads about it.

No sentence holds a password, a token or a key: texts of etcd and of the TLS library are
cut to what they say about the cause.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    BadConfiguration,
    Forbidden,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import StoreError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions

# Codes of gRPC, which the gateway gives in its answers.
_PERMISSION_DENIED = 7
_UNAUTHENTICATED = 16
# Canceled, deadline exceeded, unavailable: no leader, or none that had decided in time.
_UNDECIDED = frozenset({1, 4, 14})


@dataclass(frozen=True)
class Failure:
    """``unsent``: etcd cannot have got the request. ``lost``: it may have, and no answer of etcd came.

    ``code`` is gRPC's and ``text`` etcd's own words, or the cause in words of ours.
    """

    endpoint: str
    text: str
    code: t.Optional[int] = None
    unsent: bool = False
    lost: bool = False
    tls: bool = False

    @property
    def token_expired(self) -> bool:
        """Tokens live for five minutes by default, and no longer than the next change of users and roles."""
        return "invalid auth token" in self.text or "revision of auth store is old" in self.text

    @property
    def try_next(self) -> bool:
        """Whether another member may be able to answer a read."""
        return self.lost or self.code in _UNDECIDED

    def before_the_request(self) -> Failure:
        """The same failure of a login: the request it was for has not been sent."""
        return replace(self, unsent=True) if self.lost or self.code in _UNDECIDED else self


def failure_of(error: BaseException, endpoint: str) -> Failure:
    """What an exception of ``etcd3gw``, or of ``requests`` below it, means."""
    text = getattr(error, "detail_text", None)
    causes = list(_causes(error))
    names = {type(cause).__name__ for cause in causes}
    if names & {"SSLError", "SSLCertVerificationError"}:
        return Failure(endpoint, _tls_reason(causes), unsent=True, lost=True, tls=True)
    if names & {"NewConnectionError", "NameResolutionError", "ConnectTimeout", "ConnectTimeoutError", "ProxyError"}:
        return Failure(endpoint, _connect_reason(causes, names), unsent=True, lost=True)
    if names & {"ReadTimeout", "ReadTimeoutError", "Timeout"}:
        return Failure(endpoint, "no answer came in time", lost=True)
    if not names & {"ConnectionError", "ConnectionFailedError", "ChunkedEncodingError"} or _is_answer(text):
        answer = _answer(text)
        if answer is not None:
            return Failure(endpoint, answer[1], answer[0])
        if text is not None or isinstance(error, ValueError):
            return Failure(endpoint, "what answers there is not the JSON gateway of etcd 3.4 or later", lost=True)
    return Failure(endpoint, "the connection was closed before an answer came", lost=True)


def sentence_of(failure: Failure, options: EtcdOptions, writes: bool) -> IpamError:
    """The error for the last failure of a request, when no member could do it."""
    where, text = failure.endpoint, failure.text
    if failure.tls:
        return Unreachable(f"etcd at {where} cannot be reached by TLS: {text}.", endpoint=where)
    if failure.lost:
        several = len(options.endpoints) > 1
        message = f"etcd cannot be reached at any of its {len(options.endpoints)} endpoints; " if several else ""
        message += f"{where}: {text}." if several else f"etcd at {where} cannot be reached: {text}."
        maybe_done = writes and not failure.unsent
        if maybe_done:
            message = f"etcd at {where} did not confirm a write, which may have been carried out: {text}."
        return Unreachable(message, maybe_done=maybe_done, endpoint=where)
    if "authentication failed" in text or "invalid user ID or password" in text:
        return BadConfiguration(f"etcd at {where} does not accept the password of user {options.username}.")
    if "authentication is not enabled" in text:
        return BadConfiguration(
            f"etcd at {where} has authentication turned off: leave out etcd_username and etcd_password."
        )
    if "user name is empty" in text or (failure.code == _UNAUTHENTICATED and not options.username):
        return BadConfiguration(
            f"etcd at {where} asks for a user: give etcd_username and etcd_password. Its JSON gateway does not "
            "take the name in a client certificate for one."
        )
    if failure.code == _PERMISSION_DENIED or "permission denied" in text:
        who = f"user {options.username}" if options.username else "a client without user"
        what = "write" if writes else "read"
        return Forbidden(f"etcd at {where} does not let {who} {what} Calico's keys.", 403, "Forbidden")
    if "compacted" in text:
        return StoreError(
            f"etcd at {where} compacted its history while a long list was read: nothing was changed, run it again."
        )
    if "space exceeded" in text:
        return StoreError(f"etcd at {where} has no space left and takes no writes until its alarm is disarmed.")
    if failure.code in _UNDECIDED:
        maybe_done = writes and not failure.unsent
        return Unreachable(f"etcd at {where} cannot serve requests: {text}.", maybe_done=maybe_done, endpoint=where)
    return StoreError(f"etcd at {where} refused the request: {text}.")


def _causes(error: t.Optional[BaseException]) -> t.Iterator[BaseException]:
    """The exception and all that it was made from; the libraries pass some along as arguments."""
    waiting: t.List[t.Any] = [error]
    seen: t.Set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _tls_reason(causes: t.List[BaseException]) -> str:
    for cause in causes:
        words = getattr(cause, "verify_message", None)
        if words:
            return f"its certificate does not verify ({words})"
    for cause in causes:
        reason = getattr(cause, "reason", None)
        if isinstance(reason, str) and reason:
            return f"the handshake failed ({reason.replace('_', ' ').lower()})"
    return "the handshake failed"


def _connect_reason(causes: t.List[BaseException], names: t.Set[str]) -> str:
    if names & {"NameResolutionError", "gaierror"}:
        return "the name cannot be resolved"
    if names & {"ConnectTimeout", "ConnectTimeoutError"}:
        return "no connection came about in time"
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
    return "no connection came about"


def _answer(text: t.Optional[str]) -> t.Optional[t.Tuple[t.Optional[int], str]]:
    """Code and message of an error answer of the gateway."""
    try:
        body = json.loads(text or "")
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    words = body.get("message") or body.get("error")
    code = body.get("code")
    if not isinstance(words, str):
        return None
    if words.startswith("etcdserver: "):
        words = words[len("etcdserver: ") :]
    return (code if isinstance(code, int) else None), words.rstrip(".")


def _is_answer(text: t.Optional[str]) -> bool:
    return _answer(text) is not None
