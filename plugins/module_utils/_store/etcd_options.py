# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How to reach Calico's own etcd: the settings of calicoctl, as Calico names them.

Each option falls back to Calico's environment variables (``_argspec.datastore_argspec``).
Certificates and the key may be given as paths or as PEM text.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

DEFAULT_PORT = 2379


@dataclass(frozen=True)
class Endpoint:
    """One etcd member: ``scheme`` is http or https, an IPv6 ``host`` has no brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class EtcdOptions:
    """The endpoints, tried in this order, and who we are.

    ``ca_cert``, ``cert`` and ``key`` are paths or PEM text; ``timeout`` is in seconds and
    holds for one request to one endpoint.
    """

    endpoints: t.Tuple[Endpoint, ...]
    ca_cert: t.Optional[str] = None
    cert: t.Optional[str] = None
    key: t.Optional[str] = field(default=None, repr=False)
    username: t.Optional[str] = None
    password: t.Optional[str] = field(default=None, repr=False)
    timeout: float = 30.0

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> EtcdOptions:
        """The options ``etcd_*`` among a module's parameters; InvalidInput names the one that is wrong."""

        def given(name: str) -> t.Optional[str]:
            return params.get(f"etcd_{name}") or None

        texts = [text.strip() for text in params.get("etcd_endpoints") or () if text.strip()]
        if not texts:
            if os.environ.get("ETCD_DISCOVERY_SRV") or os.environ.get("CALICO_ETCD_DISCOVERY_SRV"):
                raise InvalidInput(
                    "ETCD_DISCOVERY_SRV is not supported: name the members with etcd_endpoints or ETCD_ENDPOINTS.",
                    "etcd_endpoints",
                )
            raise InvalidInput(
                "etcd_endpoints is empty: with datastore etcd it must name at least one URL, such as "
                "https://10.0.0.1:2379.",
                "etcd_endpoints",
            )
        options = cls(
            tuple(parse_endpoint(text) for text in texts),
            _file_or_text(given("ca_cert"), "etcd_ca_cert"),
            _file_or_text(given("cert"), "etcd_cert"),
            _file_or_text(given("key"), "etcd_key"),
            given("username"),
            given("password"),
        )
        for one, other in (("cert", "key"), ("key", "cert"), ("username", "password"), ("password", "username")):
            if getattr(options, one) and not getattr(options, other):
                raise InvalidInput(f"etcd_{one} needs etcd_{other}.", f"etcd_{other}")
        return options


def parse_endpoint(text: str) -> Endpoint:
    """An endpoint from ``http[s]://host[:port]``; without a port it is 2379."""
    problem = "is not of the form http[s]://host[:port]"
    shown = text
    try:
        parts = urlsplit(text)
        if parts.username is not None or parts.password is not None:
            shown = f"{parts.scheme}://...@{parts.hostname}"
            raise ValueError("holds a user name: use etcd_username and etcd_password")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(problem)
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(problem)
        return Endpoint(parts.scheme, parts.hostname, parts.port or DEFAULT_PORT)
    except ValueError as error:
        reason = str(error) if str(error).startswith("holds") else problem
        shown = shown if "@" not in shown or "...@" in shown else "an endpoint"
        raise InvalidInput(f"etcd_endpoints: {shown} {reason}.", "etcd_endpoints") from None


def is_pem(value: str) -> bool:
    """Whether a certificate or key is given as text and not as a path."""
    return value.lstrip().startswith("-----BEGIN ")


def _file_or_text(value: t.Optional[str], option: str) -> t.Optional[str]:
    if value is None or is_pem(value):
        return value
    path = os.path.expanduser(value)
    try:
        with open(path, "rb"):
            return path
    except OSError as error:
        raise InvalidInput(f"{option}: {path} cannot be read ({error.strerror}).", option) from None
