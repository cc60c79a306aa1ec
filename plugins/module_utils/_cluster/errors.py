# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a Kubernetes API server can answer, as exceptions.

IpamError
  ClusterError            the cluster could not be asked, or said no
    Unreachable           no answer: refused, timed out, TLS, name resolution
    BadConfiguration      kubeconfig missing, unreadable, or without the context
    ApiError              an HTTP answer of 400 or above, with its Status body
      BadRequest 400      Unauthorized 401     Forbidden 403      NotFound 404
      Conflict 409        AlreadyExists 409    Expired 410        Invalid 422
      TooManyRequests 429 ServerError 5xx
      UnknownResource 404   the server does not serve this resource type at all
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError


class ClusterError(IpamError):
    """The cluster could not be asked, or said no."""


class Unreachable(ClusterError):
    """No HTTP answer came back.

    ``maybe_done`` is true when the request had been sent: it may have been carried out although
    its answer was lost, so read the object again before repeating a write.
    """

    def __init__(self, message: str, maybe_done: bool = False, **details: t.Any) -> None:
        super().__init__(message, **details)
        self.maybe_done = maybe_done


class BadConfiguration(ClusterError):
    """The connection options or the kubeconfig do not lead to a cluster."""


class MissingLibrary(ClusterError):
    """A Python package this room needs cannot be imported, or is too old.

    ``library`` is its name with the version wanted (``kubernetes >= 31``), ``trace`` the traceback
    of the failed import as text.
    """

    def __init__(self, message: str, library: str, trace: str = "") -> None:
        super().__init__(message, library=library)
        self.library = library
        self.trace = trace


class ApiError(ClusterError):
    """An HTTP answer of 400 or above.

    ``status`` is the HTTP status code, ``reason`` the Status reason (``""`` when the body
    was plain text), ``causes`` the list under ``details.causes`` and ``retry_after`` the
    seconds the server asked to wait, when it did.
    """

    def __init__(
        self,
        message: str,
        status: int,
        reason: str = "",
        body: dict[str, t.Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, reason=reason)
        self.status = status
        self.reason = reason
        self.body: dict[str, t.Any] = body or {}
        self.retry_after = retry_after

    @property
    def causes(self) -> list[dict[str, t.Any]]:
        return list((self.body.get("details") or {}).get("causes") or [])


class BadRequest(ApiError):
    pass


class Unauthorized(ApiError):
    pass


class Forbidden(ApiError):
    pass


class NotFound(ApiError):
    pass


class UnknownResource(ApiError):
    """404 about the resource type, not about an object (spec kubernetes-api-behaviour.md §2).

    Deliberately no ``NotFound``: "there is no such pool" and "this is not a Calico cluster" are
    different news, and code that takes the first for "absent" must not swallow the second.
    """


class Conflict(ApiError):
    """A stale resourceVersion or a failed precondition."""


class AlreadyExists(ApiError):
    pass


class Expired(ApiError):
    """A watch or a continue token older than the server's history (410)."""


class Invalid(ApiError):
    """A validation error (422)."""


class TooManyRequests(ApiError):
    """429: a refused eviction (cause DisruptionBudget), a CRD still starting, or overload."""


class ServerError(ApiError):
    pass
