# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who may use the twin: an administrator always, and a reader where RBAC decides.

Files in the data directory: ``kubeconfig`` (token of the administrator), ``kubeconfig.certificate``
(the same user by client certificate) and, with RBAC, ``kubeconfig.reader`` (may get, list and watch
everything and change nothing).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import MASTERS, Tokens, kubeconfig
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pki import Pki

ADMIN = "kubernetes-admin"
READER = "reader"

_RBAC = "rbac.authorization.k8s.io"
_CLUSTER_ROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", False)
_CLUSTER_ROLE_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False)
_EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
_READ_EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
_ANY_PATH = {"nonResourceURLs": ["*"], "verbs": ["*"]}


def known_tokens(objects: ObjectStore, *, reader: bool) -> dict[str, str]:
    """User to token; made once for a data directory and kept in it."""
    found = {}
    for user in (ADMIN, READER) if reader else (ADMIN,):
        token = objects.meta(f"token/{user}")
        if token is None:
            token = secrets.token_urlsafe(32)
            objects.set_meta(f"token/{user}", token)
        found[user] = token
    return found


def register(tokens: Tokens, known: dict[str, str]) -> None:
    """Let the server know the tokens; the administrator is one of the masters, whom RBAC does not ask."""
    for user, token in known.items():
        tokens.add(token, user, [MASTERS] if user == ADMIN else [])


def write_kubeconfigs(directory: Path, url: str, pki: Pki, known: dict[str, str]) -> Path:
    """Write the files; the path of the administrator's."""
    path = directory / "kubeconfig"
    _write_private(path, kubeconfig(url, pki, token=known[ADMIN], user=ADMIN))
    certificate = kubeconfig(url, pki, client=pki.client(ADMIN, [MASTERS]), user=ADMIN)
    _write_private(directory / "kubeconfig.certificate", certificate)
    if READER in known:
        _write_private(directory / "kubeconfig.reader", kubeconfig(url, pki, token=known[READER], user=READER))
    return path


def create_roles(api: LocalApi) -> None:
    """The roles RBAC starts with: ``cluster-admin`` for the masters, ``twin-reader`` for the reader."""
    wanted: list[tuple[Resource, str, Object]] = [
        (_CLUSTER_ROLES, "cluster-admin", {"rules": [_EVERYTHING, _ANY_PATH]}),
        (_CLUSTER_ROLES, "twin-reader", {"rules": [_READ_EVERYTHING]}),
        (_CLUSTER_ROLE_BINDINGS, "cluster-admin", _binding("cluster-admin", "Group", MASTERS)),
        (_CLUSTER_ROLE_BINDINGS, "twin-reader", _binding("twin-reader", "User", READER)),
    ]
    for resource, name, rest in wanted:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}, **rest}
        try:
            api.create(resource, body)
        except AlreadyExists:
            continue


def _binding(role: str, kind: str, name: str) -> Object:
    return {
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": kind, "name": name}],
    }


def _write_private(path: Path, text: str) -> None:
    """Only the owner may read a file with a token; it is replaced in one step."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
