# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Between a module and an operation: the only place where results and errors become Ansible's.

A module's ``main`` names its options and one function; ``run`` does the rest: parse the
arguments, connect, call the function, and leave through ``exit_json`` or ``fail_json``.
The function gets a ``Context`` and returns the module's result as plain data; it raises
an ``IpamError`` to fail, whose message is the sentence the user reads.
"""

from __future__ import annotations

import os
import signal
import typing as t
from contextlib import contextmanager
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import ArgumentSpec, connection_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fencing import FencedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import attach
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import this_process
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_fence import fence_etcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import (
    OnCorrupt,
    Stores,
    api_with_etcd,
    close_etcd,
    etcd_options,
    open_stores,
)

# Values that would let a reader into the cluster, wherever they stand in an inline kubeconfig.
SECRET_KEYS = frozenset({"token", "password", "client-key-data"})

Report = t.Callable[[object], object]
Require = t.Callable[[], None]


def _always() -> None:
    """Nothing has to be made sure of before a write."""


@dataclass(frozen=True)
class Context:
    """What an operation needs from its module.

    ``params`` are the parsed options, ``api`` finds Calico's kinds wherever they are kept,
    ``report`` takes progress events (each is written as one line of text to the file named by the
    option ``progress_file``, where the module has it), ``warn`` shows a warning to the user.
    Where the module writes for a run (option ``run``), ``api`` writes only while that run has the lock of the cluster,
    which ``require`` makes sure of; ``unfenced`` is the API without that, for the lock itself.
    """

    params: dict[str, t.Any]
    check_mode: bool
    api: KubeApi
    report: Report
    warn: t.Callable[[str], None]
    unfenced: KubeApi
    require: Require = field(default=_always)

    def stores(self, *, on_corrupt: OnCorrupt = None) -> Stores:
        """Where Calico keeps its data: the options of ``datastore_argspec``, else the Kubernetes API."""
        stores = open_stores(self.api, etcd_options(self.params), on_corrupt=on_corrupt)
        fence_etcd(stores.api, self.require)
        return stores


Operation = t.Callable[[Context], t.Dict[str, t.Any]]


def run(spec: ArgumentSpec, operation: Operation) -> None:
    """Run one module: ``spec`` holds its own options, the connection options are added here.

    Where ``datastore_argspec`` is among them and says so, Calico's kinds are those in its etcd.
    """
    module = AnsibleModule(supports_check_mode=True, **connection_argspec().merge(spec).to_kwargs())
    params = dict(module.params)
    module.no_log_values.update(secrets_in(params["kubeconfig"]))
    result: dict[str, t.Any] = {}
    try:
        etcd = etcd_options(params)
        api = connect(ConnectionOptions.from_params(params))
        try:
            with _of_run(api, None if module.check_mode else params.get("run")) as (fenced, require):
                calico = calico_api(fenced) if etcd is None else api_with_etcd(fenced, etcd)
                fence_etcd(calico, require)
                try:
                    with progress_sink(params.get("progress_file")) as report:
                        context = Context(params, bool(module.check_mode), calico, report, module.warn, api, require)
                        result = operation(context)
                finally:
                    close_etcd(calico)
        finally:
            api.close()
    except MissingLibrary as error:
        trace = {"exception": error.trace} if error.trace else {}
        module.fail_json(msg=f"{missing_required_lib(error.library)} ({error.message})", **trace)
    except IpamError as error:
        module.fail_json(msg=error.message, details=plain(error.details))
    module.exit_json(**result)


@contextmanager
def _of_run(api: KubeApi, run_id: str | None) -> t.Iterator[tuple[KubeApi, Require]]:
    """The API for a module that writes for this run, whose lock is renewed meanwhile; LockLost when it has none."""
    if not run_id:
        yield api, _always
        return
    lock = attach(api, run_id, SystemClock(), this_process())
    # Whoever killed the playbook wants nothing of this to go on, and every step allows for being killed.
    with lock.renewing(orphaned=lambda: os.kill(os.getpid(), signal.SIGTERM)):
        yield FencedApi(api, lock.require), lock.require


def secrets_in(kubeconfig: t.Any) -> set[str]:
    """Values of an inline kubeconfig that must not appear in any output."""
    found: set[str] = set()
    waiting = [kubeconfig]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for key, value in part.items():
                if key in SECRET_KEYS and isinstance(value, str) and value:
                    found.add(value)
                else:
                    waiting.append(value)
        elif isinstance(part, list):
            waiting.extend(part)
    return found


@contextmanager
def progress_sink(path: str | None) -> t.Iterator[Report]:
    """A ``report`` that appends each event to the file ``path`` as one line, at once.

    Raises ``InvalidInput`` when the file cannot be written. Without a path, events go nowhere.
    """
    if path is None:
        yield lambda event: None
        return
    try:
        stream = open(path, "a", encoding="utf-8", buffering=1, opener=_open_at_once)  # noqa: SIM115
    except OSError as error:
        raise InvalidInput(
            f"progress_file: {path} cannot be written ({error.strerror})", field="progress_file", value=path
        ) from None
    with stream:
        yield lambda event: stream.write(f"{event}\n")


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting: a named pipe whose reader has died must be an error and not a module that hangs."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def plain(value: t.Any) -> t.Any:
    """``value`` as JSON can carry it: dicts and lists are walked, anything unknown becomes text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, t.Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    return str(value)
