# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""HTTP to one API server: one connection pool, authentication, retries where they are safe, and failures in words.

Requests go through the urllib3 pool manager that the ``kubernetes`` package builds from its configuration,
so TLS, proxies and client certificates behave as they do for every other Kubernetes client in Python.
"""

from __future__ import annotations

import http.client
import random
import ssl
import threading
import time
import typing as t
from dataclasses import dataclass
from urllib.parse import urlsplit

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.answers import error_from_answer
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.configuration import Loaded, load_configuration
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    BadConfiguration,
    Forbidden,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.libraries import Libraries
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions

USER_AGENT = "calico-ops-ipam"
CONNECT_TIMEOUT = 10.0
# How often one request is tried when that is safe; with the pauses below about 15 s in all.
ATTEMPTS = 7
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
LONGEST_RETRY_AFTER = 30.0
# A server that never answered is more likely a wrong address than one that is away for a moment.
FIRST_ATTEMPTS = 4
# Seconds for which one that has answered before may be away, as an API server that is started again.
AWAY = 45.0
# How often credentials are tried that were good before.
REFUSALS = 5
# Seconds after a lost connection in which a server may not know users or roles yet, since it has just been started.
SETTLING = 20.0


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``path`` starts with a slash and carries its query."""

    method: str
    path: str
    body: bytes | None = None
    content_type: str | None = None
    resource: Resource | None = None


class Transport:
    """Sends requests; safe to use from several threads."""

    def __init__(self, options: ConnectionOptions, libraries: Libraries) -> None:
        self._options = options
        self._libraries = libraries
        self._lock = threading.Lock()
        # A run of a procedure has been here before.
        self._answered = self._accepted = options.run is not None
        self._lost_at = -SETTLING
        loaded = self._load()
        self._configuration = loaded.configuration
        self.source = loaded.source
        self._pool = self._connect()

    @property
    def server(self) -> str:
        """Host and port of the API server, for messages."""
        parts = urlsplit(str(self._configuration.host))
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return f"{parts.hostname}:{port}"

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What reading an answer's body may raise when the connection breaks."""
        return (OSError, http.client.HTTPException, self._libraries.urllib3.exceptions.HTTPError)

    def close(self) -> None:
        self._pool.clear()

    def send(self, request: Request) -> bytes:
        """The body of a successful answer; anything else is a ``ClusterError``.

        GET is repeated after lost connections, 5xx and 429. A write is repeated only when the
        server cannot have acted on it: the connection was never made, or the answer was a 429
        about overload. Everything else is the caller's: read again, then decide.
        """
        attempt, began = 0, time.monotonic()
        while True:
            attempt += 1
            try:
                answer = self._exchange(request)
            except (TooManyRequests, ServerError, Unreachable) as error:
                if not _may_repeat(request, error) or not self._is_patient(error, attempt, time.monotonic() - began):
                    raise
                time.sleep(_pause(attempt, error))
            else:
                return bytes(answer.data)

    def stream(self, request: Request, read_timeout: float) -> t.Any:
        """The answer to a watch, as a urllib3 response whose body is read by the caller.

        ``read_timeout`` is the longest silence in seconds before the connection counts as lost.
        """
        return self._exchange(request, read_timeout)

    def lost(self, error: Exception, sent: bool = True) -> Unreachable:
        """What a failed exchange means for the user."""
        self._lost_at = time.monotonic()
        return Unreachable(_explain(error, self.server, self._libraries), maybe_done=sent)

    def _load(self) -> Loaded:
        attempt = 0
        while True:
            attempt += 1
            try:
                return load_configuration(self._options, self._libraries)
            except BadConfiguration:
                if not self._accepted or attempt >= REFUSALS:
                    raise
                time.sleep(_pause(attempt))

    def _connect(self) -> t.Any:
        if not self._configuration.verify_ssl:
            # Asked for by the user; a warning with every request says nothing new.
            self._libraries.urllib3.disable_warnings(self._libraries.urllib3.exceptions.InsecureRequestWarning)
        try:
            return self._libraries.rest_client(self._configuration).pool_manager
        except (OSError, ValueError, self._libraries.urllib3.exceptions.HTTPError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> BadConfiguration:
        return BadConfiguration(f"The connection settings from {self.source} cannot be used: {error}.")

    def _is_patient(self, error: Exception, attempt: int, seconds: float) -> bool:
        if not isinstance(error, Unreachable):
            return attempt < ATTEMPTS
        if not self._answered:
            return attempt < 2 or (attempt < FIRST_ATTEMPTS and seconds < CONNECT_TIMEOUT)
        return attempt < 3 or seconds < AWAY

    def _exchange(self, request: Request, read_timeout: float | None = None) -> t.Any:
        """One answer below 400. What refuses credentials that were good before may pass, so they are tried again."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._answer(request, read_timeout)
            except (BadConfiguration, Unauthorized, Forbidden) as error:
                # A server that starts does not know everybody yet, and a credential plugin has a server of its own.
                settling = time.monotonic() - self._lost_at < SETTLING
                again = settling or (attempt < REFUSALS and not isinstance(error, Forbidden))
                if not self._accepted or not again:
                    raise
                time.sleep(_pause(attempt))

    def _answer(self, request: Request, read_timeout: float | None) -> t.Any:
        used = self._configuration
        answer = self._once(request, read_timeout)
        if answer.status == 401:
            # To its end, or the connection could not be used again.
            answer.drain_conn()
            if self._reload(used):
                answer = self._once(request, read_timeout)
        self._answered = True
        if answer.status < 400:
            self._accepted = True
            return answer
        data = bytes(answer.data or b"")
        header = answer.headers.get("Retry-After")
        raise error_from_answer(answer.status, data, header, request.resource, self.server, self.source)

    def _once(self, request: Request, read_timeout: float | None) -> t.Any:
        errors = self._libraries.urllib3.exceptions
        timeout = self._libraries.urllib3.Timeout(
            connect=min(CONNECT_TIMEOUT, self._options.request_timeout),
            read=read_timeout or self._options.request_timeout,
        )
        try:
            return self._pool.request(
                request.method,
                str(self._configuration.host) + request.path,
                body=request.body,
                headers=self._headers(request),
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=read_timeout is None,
            )
        except (errors.NewConnectionError, errors.ConnectTimeoutError, errors.SSLError) as error:
            raise self.lost(error, sent=False) from error
        except errors.HTTPError as error:
            raise self.lost(error) from error
        except OSError as error:
            # A certificate or key file that went away, or is not what it says.
            raise self._unusable(error) from error

    def _headers(self, request: Request) -> dict[str, str] | t.Any:
        headers = self._libraries.urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": USER_AGENT})
        if request.content_type is not None:
            headers["Content-Type"] = request.content_type
        with self._lock:
            # Asking for the key runs the package's refresh hook: expired exec and service account tokens are renewed.
            try:
                settings = list(self._configuration.auth_settings().values())
            except (self._libraries.config.ConfigException, OSError) as error:
                raise self._unusable(error) from error
        for setting in settings:
            if setting.get("in") == "header" and setting.get("value"):
                headers[setting["key"]] = setting["value"]
        if self._options.impersonate_user:
            headers["Impersonate-User"] = self._options.impersonate_user
        for group in self._options.impersonate_groups or ():
            headers.add("Impersonate-Group", group)
        return headers

    def _reload(self, used: t.Any) -> bool:
        """Read the credentials again, once those ``used`` were refused; false when that gave the same ones."""
        with self._lock:
            if self._configuration is not used:
                return True  # Another thread was faster.
            fresh = load_configuration(self._options, self._libraries).configuration
            before, after = _credentials(self._configuration), _credentials(fresh)
            if before == after:
                return False
            self._configuration = fresh
            if before[1:] != after[1:]:
                self._pool = self._connect()
            return True


def _credentials(configuration: t.Any) -> tuple[t.Any, ...]:
    return dict(configuration.api_key), configuration.cert_file, configuration.key_file


def _may_repeat(request: Request, error: ApiError | Unreachable) -> bool:
    if isinstance(error, TooManyRequests):
        # A refused eviction is an answer, not overload; also the "still being processed" kind is the caller's to time.
        return not error.causes and not request.path.partition("?")[0].endswith("/eviction") or not error.body
    if isinstance(error, Unreachable):
        return request.method == "GET" or not error.maybe_done
    return request.method == "GET"


def _pause(attempt: int, error: Exception | None = None) -> float:
    asked = error.retry_after if isinstance(error, ApiError) else None
    if asked is not None:
        return min(asked, LONGEST_RETRY_AFTER)
    pause = min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE)
    return pause * (0.75 + random.random() / 2)


def _explain(error: Exception, server: str, libraries: Libraries) -> str:
    errors = libraries.urllib3.exceptions
    causes = _chain(error)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"The certificate of {server} is not trusted ({cause.verify_message}): "
                "give the certificate authority of the cluster as ca_cert, or another host name."
            )
    if any(isinstance(cause, (ssl.SSLError, errors.SSLError)) for cause in causes):
        return (
            f"No TLS connection to {server} ({_last_words(causes)}): check the port, and the client certificate if any."
        )
    if any(isinstance(cause, errors.ProxyError) for cause in causes):
        words = _last_words(causes)
        return f"The server at {server} cannot be reached through the proxy ({words}): check proxy and no_proxy."
    if any(isinstance(cause, errors.NameResolutionError) for cause in causes):
        return f"The host name of {server} cannot be resolved: check host or the kubeconfig's server, and the DNS."
    if any(isinstance(cause, errors.ReadTimeoutError) for cause in causes):
        return f"The server at {server} did not answer in time: it is overloaded, or the connection is cut."
    return (
        f"No Kubernetes API server answers at {server} ({_last_words(causes)}): "
        "check that the cluster runs and that host, or the server in the kubeconfig, is right."
    )


def _chain(error: BaseException) -> list[BaseException]:
    """The error and everything that caused it, outermost first."""
    found: list[BaseException] = []
    waiting: list[t.Any] = [error]
    while waiting:
        current = waiting.pop(0)
        if isinstance(current, BaseException) and all(current is not seen for seen in found):
            found.append(current)
            waiting.extend((current.__cause__, current.__context__, getattr(current, "reason", None), *current.args))
    return found


def _last_words(causes: t.Sequence[BaseException]) -> str:
    """The system's own words, which are the innermost; library exceptions carry object addresses and URLs."""
    for cause in causes:
        if isinstance(cause, ssl.SSLError) and cause.reason:
            return cause.reason.replace("_", " ").lower()
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    for cause in causes:
        if type(cause).__name__ == "ConnectTimeoutError":
            return "timed out"
        if type(cause).__name__ in ("RemoteDisconnected", "IncompleteRead", "ProtocolError"):
            return "the connection was cut"
    return type(causes[-1]).__name__
