# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How the last run was called and how it reached the cluster, as far as a command has to repeat it.

A secret is never repeated: in its place stands a variable of the shell, and the shell stops when it is not set.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import typing as t
from dataclasses import asdict, dataclass, field, fields

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.current_context import current_context

COLLECTION = "calico_ops.ipam"
KUBESPRAY = f"{COLLECTION}.kubespray"
# Stored in the journal and printed in a command.
MOST_CALL = 20_000
LOCALHOST = "localhost"

# Connection options with the variables of our playbooks, and the environment variables that say the same.
_VARIABLES = {
    "kubeconfig": "calico_ops_kubeconfig",
    "context": "calico_ops_context",
    "datastore": "calico_ops_datastore",
    "etcd_endpoints": "calico_ops_etcd_endpoints",
    "etcd_ca_cert": "calico_ops_etcd_ca_cert",
    "etcd_cert": "calico_ops_etcd_cert",
    "etcd_username": "calico_ops_etcd_username",
}
_ENVIRONMENT = {
    "host": ("K8S_AUTH_HOST",),
    "username": ("K8S_AUTH_USERNAME",),
    "ca_cert": ("K8S_AUTH_SSL_CA_CERT",),
    "client_cert": ("K8S_AUTH_CERT_FILE",),
    "client_key": ("K8S_AUTH_KEY_FILE",),
    "validate_certs": ("K8S_AUTH_VERIFY_SSL",),
    "no_proxy": ("K8S_AUTH_NO_PROXY",),
    "impersonate_user": ("K8S_AUTH_IMPERSONATE_USER",),
    "impersonate_groups": ("K8S_AUTH_IMPERSONATE_GROUPS",),
}
_SECRET = {
    "api_key": ("K8S_AUTH_API_KEY",),
    "password": ("K8S_AUTH_PASSWORD",),
    "proxy": ("K8S_AUTH_PROXY",),
    "etcd_key": ("ETCD_KEY_FILE", "CALICO_ETCD_KEY_FILE", "CALICO_ETCD_KEY", "ETCD_KEY"),
    "etcd_password": ("ETCD_PASSWORD", "CALICO_ETCD_PASSWORD"),
}
# A value that Ansible reads as it stands on the command line.
_PLAIN = re.compile(r"[A-Za-z0-9._:/-]+")


@dataclass(frozen=True)
class Connection:
    """What leads to the cluster: variables of our playbooks, environment variables, and names of secret ones.

    ``unset`` are those that the environment did not have, so that they came from a file or an inventory.
    """

    variables: t.Mapping[str, t.Any] = field(default_factory=dict)
    environment: t.Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """A call of ``ansible-playbook``, for ``host`` of its inventory.

    ``hidden`` are names of extra variables whose values are not kept; ``vault`` and ``options`` are words of the
    command line. Everything is empty where it is not known.
    """

    playbooks: tuple[str, ...] = ()
    inventory: tuple[str, ...] = ()
    limit: str = ""
    host: str = ""
    files: tuple[str, ...] = ()
    variables: t.Mapping[str, t.Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    vault: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, given: t.Mapping[str, t.Any]) -> Call:
        """The call that ``as_dict`` described; what is missing or of another type is not known."""
        known: dict[str, t.Any] = {}
        for each in fields(cls):
            value = given.get(each.name)
            if each.name == "variables":
                known[each.name] = dict(value) if isinstance(value, dict) else {}
            elif each.name in ("limit", "host"):
                known[each.name] = str(value or "")
            else:
                known[each.name] = tuple(map(str, value)) if isinstance(value, (list, tuple)) else ()
        return cls(**known)

    def as_dict(self) -> dict[str, t.Any]:
        """As it can be stored; what was not known is left out, and all of it when it is too much for a command."""
        found = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        found = {name: value for name, value in found.items() if value}
        return found if len(json.dumps(found, default=str)) <= MOST_CALL else {}

    @property
    def is_kubespray(self) -> bool:
        return KUBESPRAY in self.playbooks

    @property
    def is_foreign(self) -> bool:
        """Whether the role ran in a playbook that is not ours."""
        return any(not each.startswith(f"{COLLECTION}.") for each in self.playbooks)

    def again(self, **changes: t.Any) -> str:
        """The same call once more, with variables changed."""
        variables = {**self.variables, **changes}
        return _joined([*self._begin(), *self.options, *self.playbooks, *self._limit(), *self._extra(variables)])

    def of_ours(self, playbook: str, variables: t.Mapping[str, t.Any], connection: Connection) -> str:
        """A call of one of our playbooks for the same cluster."""
        hosts = {} if self.host in ("", LOCALHOST) else {"calico_ops_hosts": self.host}
        unset = () if self.files or self.inventory or self.hidden else connection.unset
        given = {**variables, **hosts, **self._rest(), **connection.variables}
        return _joined(
            [
                *_environment(connection, unset),
                *self._begin(),
                f"{COLLECTION}.{playbook}",
                *self._extra(given),
            ]
        )

    def _begin(self) -> t.Iterator[str]:
        yield "ansible-playbook"
        for each in self.inventory:
            yield f"-i {shlex.quote(each)}"
        yield from map(shlex.quote, self.vault)

    def _limit(self) -> t.Iterator[str]:
        if self.limit:
            yield f"--limit {shlex.quote(self.limit)}"

    def _rest(self) -> dict[str, t.Any]:
        """Variables of other playbooks than ours mean nothing to ours, but for those of Ansible and of the report."""
        return {name: value for name, value in self.variables.items() if name.startswith(("ansible_", "report_"))}

    def _extra(self, variables: t.Mapping[str, t.Any]) -> t.Iterator[str]:
        for each in self.files:
            yield f"-e {shlex.quote('@' + each)}"
        for name in self.hidden:
            yield f'-e {name}="${{{name}:?}}"'
        yield from variable_words(variables)


def connection_of(params: t.Mapping[str, t.Any], environ: t.Mapping[str, str] | None = None) -> Connection:
    """What the options of a module say about the way to the cluster, the environment of its process included."""
    environ = os.environ if environ is None else environ
    on_etcd = params.get("datastore") == "etcd"
    variables = {
        variable: params[option]
        for option, variable in _VARIABLES.items()
        if params.get(option) and (on_etcd or option in ("kubeconfig", "context"))
    }
    kubeconfig = params.get("kubeconfig")
    if not kubeconfig and not params.get("host"):
        kubeconfig = environ.get("KUBECONFIG")
    variables.pop("calico_ops_kubeconfig", None)
    if isinstance(kubeconfig, str) and kubeconfig:
        variables["calico_ops_kubeconfig"] = _absolute(kubeconfig)
    if not params.get("context") and not params.get("host") and (not kubeconfig or isinstance(kubeconfig, str)):
        # Whoever switches the context before the command is run again would run it on another cluster.
        context = current_context(kubeconfig)
        variables.update({"calico_ops_context": context} if context else {})
    secrets: dict[str, bool] = {}
    for option, names in _SECRET.items():
        if params.get(option) and (on_etcd or "etcd" not in option):
            found = next((name for name in names if environ.get(name)), "")
            secrets[found or names[0]] = bool(found)
    return Connection(
        variables,
        {names[0]: _text(params[option]) for option, names in _ENVIRONMENT.items() if params.get(option) is not None},
        tuple(name for name, is_set in secrets.items() if is_set),
        tuple(name for name, is_set in secrets.items() if not is_set),
    )


def variable_words(variables: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Words that give variables to ``ansible-playbook``: those that need no quotes by themselves, the rest as JSON."""
    for name, value in variables.items():
        if _is_plain(value):
            yield f"-e {name}={value}"
    rest = {name: value for name, value in variables.items() if not _is_plain(value)}
    if rest:
        yield f"-e {shlex.quote(json.dumps(rest))}"


def module_command(module: str, options: t.Mapping[str, str], connection: Connection) -> str:
    """A call of one of our modules on this machine."""
    prefix = "calico_ops_"
    given = {name[len(prefix) :]: value for name, value in connection.variables.items()}
    words = [f"{name}={shlex.quote(_text(value))}" for name, value in {**options, **given}.items()]
    begin = _environment(connection, connection.unset)
    return _joined([*begin, "ansible localhost", f"-m {COLLECTION}.{module}", f"-a {shlex.quote(' '.join(words))}"])


def _environment(connection: Connection, unset: t.Iterable[str]) -> t.Iterator[str]:
    for name, value in connection.environment.items():
        yield f"{name}={shlex.quote(value)}"
    for name in (*connection.secrets, *unset):
        yield _from_shell(name)


def _from_shell(name: str) -> str:
    return f'{name}="${{{name}:?}}"'


def _joined(words: t.Iterable[str]) -> str:
    return " ".join(words)


def _absolute(kubeconfig: str) -> str:
    """Paths as they are from everywhere; several may be joined as in ``$KUBECONFIG``."""
    paths = [os.path.abspath(os.path.expanduser(path)) for path in kubeconfig.split(os.pathsep) if path]
    return os.pathsep.join(paths)


def _text(value: t.Any) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_plain(value: t.Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and _PLAIN.fullmatch(value) is not None)
