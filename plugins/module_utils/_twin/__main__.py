# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""``python -m ansible_collections.calico_ops.ipam.plugins.module_utils._twin``: the twin in the foreground.

Prints one line when it serves and ends with SIGINT or SIGTERM. Errors a user can do something
about are one line on standard error and exit code 2. ``--ready-fd`` is for ``process.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import typing as t
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import INSTALLATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load, names


def arguments(argv: t.Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="twin", description="A small Kubernetes cluster with Calico in one process, to rehearse on."
    )
    parser.add_argument("--data-dir", default=".twin", help="objects, kubeconfig and log (default: %(default)s)")
    parser.add_argument(
        "--scenario", default="tutorial", help=f"a file, or one of {', '.join(names())} (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--speed", type=float, default=20.0, help="virtual seconds in a real one (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, help="seed of every random number (default: the scenario's)")
    parser.add_argument("--rbac", action="store_true", help="let roles and role bindings decide who may do what")
    parser.add_argument(
        "--installation", help=f"how Calico is installed: {', '.join(INSTALLATIONS)} (default: the scenario's, crd_v1)"
    )
    parser.add_argument("--operator", action="store_true", help="let an operator look after the pools")
    parser.add_argument(
        "--etcd-endpoints",
        default="",
        help="URLs of an etcd for installation etcd, with commas in between (default: the twin starts one)",
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: t.Sequence[str] | None = None) -> int:
    """Run until told to stop; the process's exit code."""
    args = arguments(sys.argv[1:] if argv is None else argv)
    data_dir = Path(args.data_dir).expanduser().absolute()
    options = process.Options(
        data_dir=str(data_dir),
        scenario=process.absolute_scenario(args.scenario),
        port=args.port,
        speed=args.speed,
        seed=args.seed,
        rbac=args.rbac,
        installation=args.installation,
        operator=args.operator,
        etcd_endpoints=tuple(each.strip() for each in args.etcd_endpoints.split(",") if each.strip()),
    )
    parent = _Parent(args.ready_fd)
    try:
        process.require_packages()
        process.check(options)
        with process.hold_lock(data_dir):
            asyncio.run(_serve(options, data_dir, parent))
    except (IpamError, OSError) as error:
        message = error.message if isinstance(error, IpamError) else f"The twin cannot run in {data_dir}: {error}."
        parent.tell({"error": message})
        sys.stderr.write(f"{message}\n")
        return 2
    return 0


async def _serve(options: process.Options, data_dir: Path, parent: _Parent) -> None:
    # Imported late: it needs the packages that require_packages() looked for.
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    twin = Twin(
        data_dir,
        load(options.scenario),
        speed=options.speed,
        seed=options.seed,
        port=options.port,
        rbac=options.rbac,
        installation=options.installation,
        operator=options.operator,
        etcd_endpoints=options.etcd_endpoints,
    )
    await twin.start()
    try:
        state = process.Running(
            pid=os.getpid(),
            port=twin.port,
            url=twin.url,
            kubeconfig=str(twin.kubeconfig_path),
            scenario=options.scenario,
            speed=options.speed,
            seed=twin.seed,
            rbac=options.rbac,
            installation=twin.installation,
            operator=twin.operator,
            etcd_endpoints=list(twin.datastore.endpoints) if twin.datastore is not None else [],
        )
        process.write_state(data_dir, state)
        parent.tell(state.as_dict())
        sys.stdout.write(
            f"twin: scenario {twin.scenario.name}, {twin.url}, speed {options.speed:g}, "
            f"export KUBECONFIG={twin.kubeconfig_path}\n"
        )
        sys.stdout.flush()
        await ending.wait()
    finally:
        await twin.stop()


class _Parent:
    """The process that started this one and waits at a pipe; it hears one message only."""

    def __init__(self, ready_fd: int | None) -> None:
        self._ready_fd = ready_fd

    def tell(self, message: dict[str, t.Any]) -> None:
        if self._ready_fd is not None:
            os.write(self._ready_fd, json.dumps(message).encode() + b"\n")
            os.close(self._ready_fd)
            self._ready_fd = None


if __name__ == "__main__":
    raise SystemExit(main())
