# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""From connection options to the ``kubernetes`` package's configuration, with errors a user can act on.

kubeconfig files, exec plugins, token refresh and service accounts are the package's business; this file
only chooses the source, lays the explicit options over it, and explains what went wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import BadConfiguration
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.libraries import Libraries
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions

DEFAULT_KUBECONFIG = "~/.kube/config"
POOL_CONNECTIONS = 16


@dataclass(frozen=True)
class Loaded:
    """A configuration, and in words where it came from (``kubeconfig /root/.kube/config``)."""

    configuration: t.Any
    source: str


def load_configuration(options: ConnectionOptions, libraries: Libraries) -> Loaded:
    """Build a ``kubernetes.client.Configuration``; raises ``BadConfiguration`` in one sentence."""
    configuration = libraries.configuration()
    source = _load_source(options, libraries, configuration)
    _lay_over(options, libraries, configuration)
    _keep_over(options, libraries, configuration)
    # Watches are silent for minutes; without keepalive a proxy or firewall drops them unnoticed.
    configuration.socket_options = _socket_options(libraries)
    # A drain holds a watch for each kind it looks at, beside the calls it makes.
    configuration.connection_pool_maxsize = POOL_CONNECTIONS
    return Loaded(configuration, source)


def _load_source(options: ConnectionOptions, libraries: Libraries, configuration: t.Any) -> str:
    kubeconfig = options.kubeconfig
    if isinstance(kubeconfig, t.Mapping):
        with _explained(dict(kubeconfig), "The kubeconfig given as a dictionary", options.context, libraries):
            libraries.config.load_kube_config_from_dict(
                dict(kubeconfig),
                context=options.context,
                client_configuration=configuration,
                persist_config=False,
            )
        return "the kubeconfig given as a dictionary"
    if kubeconfig:
        return _load_files(_paths(kubeconfig), options.context, libraries, configuration)
    if options.host:
        return "the option host"
    default = _paths(os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)
    if any(os.path.exists(path) for path in default):
        return _load_files(default, options.context, libraries, configuration)
    try:
        libraries.config.load_incluster_config(client_configuration=configuration)
    except libraries.config.ConfigException as error:
        raise BadConfiguration(
            f"No way to a cluster is configured: there is no kubeconfig at {os.pathsep.join(default)} and this is not "
            "a pod with a service account; set kubeconfig, or host and api_key (or K8S_AUTH_KUBECONFIG, K8S_AUTH_HOST)."
        ) from error
    return "the pod's service account"


def _paths(kubeconfig: str | t.Sequence[str]) -> list[str]:
    texts = kubeconfig.split(os.pathsep) if isinstance(kubeconfig, str) else [str(path) for path in kubeconfig]
    return [os.path.expanduser(text) for text in texts if text]


def _load_files(paths: list[str], context: str | None, libraries: Libraries, configuration: t.Any) -> str:
    joined = os.pathsep.join(paths)
    if not any(os.path.exists(path) for path in paths):
        raise BadConfiguration(f"The kubeconfig {joined} does not exist: give the path of an existing kubeconfig file.")
    with _explained(paths, f"The kubeconfig {joined}", context, libraries):
        libraries.config.load_kube_config(
            config_file=joined,
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    return f"the kubeconfig {joined}" + (f", context {context}" if context else "")


@contextlib.contextmanager
def _explained(
    content: dict[str, t.Any] | list[str], name: str, context: str | None, libraries: Libraries
) -> t.Iterator[None]:
    """Turn whatever the package says about a kubeconfig into one sentence about the user's file."""
    with _captured_log() as records:
        try:
            yield
        except libraries.yaml.YAMLError as error:
            raise BadConfiguration(f"{name} is not valid YAML: {_yaml_problem(error)}.") from error
        except OSError as error:
            raise BadConfiguration(f"{name} cannot be read: {error.strerror or error}.") from error
        except (
            libraries.config.ConfigException,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:
            raise BadConfiguration(_diagnosis(content, name, context, libraries, error)) from error
    if records:
        # The package logs a failed exec plugin and goes on as nobody; the user would see a puzzling 403.
        raise BadConfiguration(f"{name}: the credential plugin gave no credentials: {' '.join(records[-1].split())}.")


@contextlib.contextmanager
def _captured_log() -> t.Iterator[list[str]]:
    records: list[str] = []
    here = threading.get_ident()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # Other threads may be loading other configurations.
            if record.thread == here:
                records.append(record.getMessage())

    handler = Handler(logging.ERROR)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield records
    finally:
        root.removeHandler(handler)


def _yaml_problem(error: t.Any) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", "") or "unreadable").strip()
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark is not None else problem


def _diagnosis(
    content: dict[str, t.Any] | list[str], name: str, context: str | None, libraries: Libraries, error: Exception
) -> str:
    documents: list[t.Any] = []
    if isinstance(content, dict):
        documents.append(content)
    else:
        for path in content:
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as stream:
                    documents.append(libraries.yaml.safe_load(stream))
    for document in documents:
        if not isinstance(document, dict):
            return f"{name} is not a kubeconfig: it holds {_what(document)} where clusters, contexts and users belong."
    contexts = _names(documents, "contexts")
    if not contexts:
        return f"{name} is not a kubeconfig: it has no contexts."
    listed = ", ".join(sorted(contexts))
    wanted = context
    if wanted is None:
        current = [document.get("current-context") for document in documents if document.get("current-context")]
        if not current:
            return f"{name} has no current-context: set the option context to one of {listed}."
        wanted = str(current[-1])
    if wanted not in contexts:
        return f"{name} has no context {wanted!r}: it has {listed}."
    cluster = (contexts[wanted].get("context") or {}).get("cluster")
    if cluster not in _names(documents, "clusters"):
        return f"{name}: context {wanted!r} names the cluster {cluster!r}, which is not among its clusters."
    return f"{name} cannot be used: {' '.join(str(error).split())}."


def _what(document: t.Any) -> str:
    if document is None:
        return "nothing"
    return "a list" if isinstance(document, list) else "plain text"


def _names(documents: list[t.Any], section: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = {}
    for document in documents:
        entries = document.get(section)
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("name") is not None:
                found[str(entry["name"])] = entry
    return found


def _lay_over(options: ConnectionOptions, libraries: Libraries, configuration: t.Any) -> None:
    """Explicit options win over what the kubeconfig says."""
    if options.host:
        configuration.host = options.host.rstrip("/")
    if not str(configuration.host).startswith(("https://", "http://")):
        raise BadConfiguration(
            f"The host {configuration.host!r} is not a URL: write it like https://192.0.2.10:6443, with the scheme."
        )
    for option, attribute in (("ca_cert", "ssl_ca_cert"), ("client_cert", "cert_file"), ("client_key", "key_file")):
        path = getattr(options, option)
        if path:
            expanded = os.path.expanduser(path)
            if not os.path.isfile(expanded):
                raise BadConfiguration(f"The {option} {path} does not exist: give the path of a PEM file.")
            setattr(configuration, attribute, expanded)
    if options.validate_certs is not None:
        configuration.verify_ssl = options.validate_certs
    if options.proxy:
        configuration.proxy = options.proxy
    if options.no_proxy:
        configuration.no_proxy = options.no_proxy
    authorization = None
    if options.api_key:
        authorization = f"Bearer {options.api_key}"
    elif options.username:
        pair = f"{options.username}:{options.password or ''}"
        authorization = str(libraries.urllib3.util.make_headers(basic_auth=pair)["authorization"])
    if authorization is not None:
        # Release 37 of the package calls the key BearerToken and still reads this name.
        configuration.api_key = {"authorization": authorization}
        configuration.refresh_api_key_hook = None


def _keep_over(options: ConnectionOptions, libraries: Libraries, configuration: t.Any) -> None:
    """The package's refresh hook sets everything that the kubeconfig says anew, with each request."""
    refresh = configuration.refresh_api_key_hook
    if refresh is None:
        return

    def refreshed(current: t.Any) -> None:
        refresh(current)
        _lay_over(options, libraries, current)
        # It has put itself in this place, too.
        current.refresh_api_key_hook = refreshed

    configuration.refresh_api_key_hook = refreshed


def _socket_options(libraries: Libraries) -> list[tuple[int, int, int]]:
    found = list(libraries.urllib3.connection.HTTPConnection.default_socket_options)
    found.append((socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1))
    for name, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            found.append((socket.IPPROTO_TCP, getattr(socket, name), seconds))
    return found
