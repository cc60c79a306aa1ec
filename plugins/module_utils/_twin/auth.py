# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who asks: bearer tokens, client certificates, impersonation; and the kubeconfig for each."""

from __future__ import annotations

import hmac
import json
import secrets
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import Pair, Pki, encoded
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import unauthorized

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class User:
    """A name and its groups, as RBAC sees them."""

    name: str
    groups: t.Tuple[str, ...] = ()


ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))


def user_with(name: str, groups: t.Iterable[str] = ()) -> User:
    """A user that has proven who it is; a service account gets its groups."""
    all_groups = list(groups)
    if name.startswith(SERVICE_ACCOUNT):
        namespace = name[len(SERVICE_ACCOUNT) :].split(":")[0]
        all_groups += ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    if AUTHENTICATED not in all_groups:
        all_groups.append(AUTHENTICATED)
    return User(name, tuple(all_groups))


class Tokens:
    """Bearer tokens known to the server."""

    def __init__(self) -> None:
        self._users: dict[str, User] = {}

    def add(self, token: str, name: str, groups: t.Iterable[str] = ()) -> str:
        """Let ``token`` stand for that user."""
        self._users[token] = user_with(name, groups)
        return token

    def issue(self, name: str, groups: t.Iterable[str] = ()) -> str:
        """A new token for that user."""
        return self.add(secrets.token_urlsafe(32), name, groups)

    def find(self, token: str) -> User | None:
        for known, user in self._users.items():
            if hmac.compare_digest(known.encode(), token.encode()):
                return user
        return None


def user_of_certificate(peer: t.Mapping[str, t.Any] | None) -> User | None:
    """The user a verified client certificate names: common name and organizations."""
    if not peer:
        return None
    name, groups = "", []
    for part in peer.get("subject") or ():
        for key, value in part:
            if key == "commonName":
                name = value
            elif key == "organizationName":
                groups.append(value)
    return user_with(name, groups) if name else None


def authenticate(tokens: Tokens, authorization: str | None, peer: t.Mapping[str, t.Any] | None) -> User:
    """Who sent the request. Raises 401 for a bad token; without any proof it is the anonymous user."""
    by_certificate = user_of_certificate(peer)
    if by_certificate is not None:
        return by_certificate
    if not authorization:
        return ANONYMOUS
    scheme, _space, token = authorization.partition(" ")
    user = tokens.find(token.strip()) if scheme.lower() == "bearer" else None
    if user is None:
        raise unauthorized()
    return user


def kubeconfig(
    url: str,
    pki: Pki,
    *,
    token: str | None = None,
    client: Pair | None = None,
    user: str = "admin",
    cluster: str = "twin",
    namespace: str | None = None,
) -> str:
    """The text of a kubeconfig (JSON, which is YAML) for one user, with everything inside."""
    credentials: Object = {}
    if token is not None:
        credentials["token"] = token
    if client is not None:
        credentials["client-certificate-data"] = encoded(client.certificate)
        credentials["client-key-data"] = encoded(client.key)
    context: Object = {"cluster": cluster, "user": user}
    if namespace:
        context["namespace"] = namespace
    document: Object = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": url, "certificate-authority-data": encoded(pki.authority.certificate)},
            }
        ],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": cluster, "context": context}],
        "current-context": cluster,
    }
    return json.dumps(document, indent=2) + "\n"
