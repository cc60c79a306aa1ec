# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How to reach a cluster: the connection options, with the names ``kubernetes.core`` gave them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, fields

Kubeconfig = t.Union[str, t.Sequence[str], t.Mapping[str, t.Any]]


@dataclass(frozen=True)
class ConnectionOptions:
    """Where the API server is and who we are; whatever is ``None`` or empty comes from the kubeconfig.

    ``kubeconfig`` is a path, several paths (a list, or one string joined by ``os.pathsep``), or the
    content of a kubeconfig as a dict. Without it and without ``host`` the places kubectl looks at are
    used: ``$KUBECONFIG``, ``~/.kube/config``, and the service account of the pod we may be running in.
    ``request_timeout`` is in seconds and holds for one request, not for watches. With ``run``, the run of a procedure,
    the cluster has answered before, so one that does not is waited for.
    """

    kubeconfig: Kubeconfig | None = field(default=None, repr=False)
    context: str | None = None
    host: str | None = None
    api_key: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    validate_certs: bool | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    impersonate_user: str | None = None
    impersonate_groups: t.Sequence[str] | None = None
    request_timeout: float = 60.0
    run: str | None = None

    @classmethod
    def from_params(cls, params: t.Mapping[str, t.Any]) -> ConnectionOptions:
        """The connection options among a module's parameters; empty strings count as not given."""
        given = {option.name: params.get(option.name) for option in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None and value != ""})
