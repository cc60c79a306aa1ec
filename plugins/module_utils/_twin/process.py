# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The twin as a background process: start it, find it, stop it.

A data directory holds one twin: ``twin.lock`` (held by the living process; the truth about
"is it running"), ``twin.json`` (pid, address, options), ``twin.log``, ``kubeconfig``, the
SQLite files and ``clock.json``. The child says "ready" through a pipe it inherits, and its death
is seen as the lock's release, so nothing here sleeps and asks again.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import importlib.util
import json
import os
import select
import signal
import ssl
import subprocess
import sys
import threading
import time
import typing as t
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import parse_endpoint
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import check_installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.etcd_process import etcd_binary
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load, names

MODULE = "ansible_collections.calico_ops.ipam.plugins.module_utils._twin"
_PACKAGES = {
    "aiohttp": "aiohttp",
    "cryptography": "cryptography",
    "cel": "common-expression-language",
    "yaml": "PyYAML",
}


class TwinError(IpamError):
    """The twin process could not be started or stopped."""


@dataclass(frozen=True)
class Options:
    """How a twin runs. ``port`` 0 takes a free one, ``speed`` is virtual seconds in a real one.

    ``installation`` None is the one that the data directory, or else the scenario, has. Without
    ``etcd_endpoints`` installation etcd starts an etcd of its own.
    """

    data_dir: str
    scenario: str = "tutorial"
    port: int = 0
    speed: float = 20.0
    seed: int | None = None
    rbac: bool = False
    installation: str | None = None
    operator: bool = False
    etcd_endpoints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """A twin that runs: what ``twin.json`` says."""

    pid: int
    port: int
    url: str
    kubeconfig: str
    scenario: str
    speed: float
    seed: int
    rbac: bool
    # With defaults, so that a twin started by an earlier release can be stopped by this one.
    installation: str = "crd_v1"
    operator: bool = False
    etcd_endpoints: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)


def missing_packages() -> list[str]:
    """The PyPI names of what the twin needs and this Python does not have."""
    return sorted(name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None)


def require_packages() -> None:
    """Raises ``TwinError`` with one sentence when something is missing."""
    missing = missing_packages()
    if missing:
        raise TwinError(
            f"The twin needs {', '.join(missing)} in {sys.executable}: "
            "install the packages of the collection's requirements-twin.txt."
        )


def absolute_scenario(scenario: str) -> str:
    """A scenario's name as it is, its path made absolute: the process works in another directory."""
    path = Path(scenario).expanduser()
    return str(path.absolute()) if scenario not in names() and path.exists() else scenario


def check(options: Options) -> None:
    """Raises ``InvalidInput`` for options that no twin can run with."""
    scenario = load(options.scenario)
    check_installation(options.installation or scenario.installation, options.operator)
    if (options.installation or scenario.installation) == "etcd":
        for endpoint in options.etcd_endpoints:
            parse_endpoint(endpoint)
        if not options.etcd_endpoints:
            etcd_binary()
    elif options.etcd_endpoints:
        raise InvalidInput("etcd_endpoints are for installation etcd only.", "etcd_endpoints")
    if not 0 <= options.port <= 65535:
        raise InvalidInput(f"port is {options.port}, it must be from 0 to 65535.", "port", options.port)
    if not options.speed > 0:
        raise InvalidInput(f"speed is {options.speed:g}, it must be above 0.", "speed", options.speed)


@contextlib.contextmanager
def hold_lock(data_dir: Path) -> t.Iterator[None]:
    """Own the data directory for as long as the block runs. Raises ``TwinError`` when it is owned already."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with open(data_dir / "twin.lock", "a+", encoding="utf-8") as file:
        # Somebody who only asks whether a twin runs holds the lock for a moment.
        if not any(_locked(file, fcntl.LOCK_EX, pause) for pause in (0.0, 0.05, 0.2)):
            raise TwinError(f"A twin runs in {data_dir} already; stop it first or take another directory.")
        yield


def _locked(file: t.IO[str], mode: int, pause: float = 0.0) -> bool:
    time.sleep(pause)
    try:
        fcntl.flock(file, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_running(data_dir: Path) -> bool:
    """Whether a living process holds the data directory."""
    try:
        with open(data_dir / "twin.lock", encoding="utf-8") as file:
            return not _locked(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def running(data_dir: Path) -> Running | None:
    """The twin of a data directory, or None when none runs or it is not ready yet."""
    if not is_running(data_dir):
        return None
    try:
        stored = json.loads((data_dir / "twin.json").read_text(encoding="utf-8"))
        return Running(**stored)
    except (OSError, ValueError, TypeError):
        return None


def write_state(data_dir: Path, state: Running) -> None:
    """Say where the twin is, in one step."""
    replace_file(data_dir / "twin.json", json.dumps(state.as_dict(), indent=2) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new text, and a crash leaves one of them."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def differences(options: Options, state: Running) -> list[str]:
    """In what a running twin differs from what is asked for, as ``speed 20 instead of 50``."""
    found = []
    wanted = [
        ("scenario", options.scenario, state.scenario),
        ("port", options.port or state.port, state.port),
        ("speed", options.speed, state.speed),
        ("seed", state.seed if options.seed is None else options.seed, state.seed),
        ("rbac", options.rbac, state.rbac),
        ("installation", options.installation or state.installation, state.installation),
        ("operator", options.operator, state.operator),
        (
            "etcd_endpoints",
            ",".join(options.etcd_endpoints or state.etcd_endpoints),
            ",".join(state.etcd_endpoints),
        ),
    ]
    for name, asked, live in wanted:
        if asked != live:
            found.append(f"{name} {_plain(live)} instead of {_plain(asked)}")
    return found


def _plain(value: t.Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def ensure_started(options: Options, timeout: float = 120.0) -> tuple[Running, bool]:
    """The twin of the data directory, started when none runs; the flag says whether it was started.

    Raises ``TwinError`` when one runs there with other options.
    """
    data_dir = Path(options.data_dir)
    state = running(data_dir)
    if state is None:
        return start(options, timeout), True
    differing = differences(options, state)
    if differing:
        raise TwinError(
            f"A twin runs in {data_dir} already, with {', '.join(differing)}: "
            "stop it first (state=stopped) or take another data_dir."
        )
    return state, False


def start(options: Options, timeout: float = 120.0) -> Running:
    """Start a twin in the background and return when it serves; ``timeout`` in seconds.

    The process has a session of its own and outlives the caller. Raises ``TwinError``.
    """
    data_dir = Path(options.data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        log = open(data_dir / "twin.log", "ab")  # noqa: SIM115 - closed below, after the child inherited it
    except OSError as error:
        raise TwinError(f"The twin's data directory {data_dir} cannot be used: {error.strerror}.") from None
    command = [sys.executable, "-m", MODULE, "--data-dir", str(data_dir), "--scenario", options.scenario]
    command += ["--port", str(options.port), "--speed", str(options.speed)]
    if options.seed is not None:
        command += ["--seed", str(options.seed)]
    if options.rbac:
        command.append("--rbac")
    if options.installation is not None:
        command += ["--installation", options.installation]
    if options.operator:
        command.append("--operator")
    if options.etcd_endpoints:
        command += ["--etcd-endpoints", ",".join(options.etcd_endpoints)]
    reader, writer = os.pipe()
    try:
        child = subprocess.Popen(
            [*command, "--ready-fd", str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            pass_fds=(writer,),
            start_new_session=True,
        )
    finally:
        os.close(writer)
        log.close()
    with os.fdopen(reader, "rb") as pipe:
        answer = _read_line(pipe, timeout)
    if answer is None:
        child.kill()
        child.wait()
        raise TwinError(f"The twin did not become ready within {timeout:g} seconds; see {data_dir / 'twin.log'}.")
    if not answer:
        code = child.wait()
        raise TwinError(f"The twin ended with code {code} before it was ready; see {data_dir / 'twin.log'}.")
    message = json.loads(answer)
    if "error" in message:
        child.wait()
        raise TwinError(message["error"])
    # Nobody may be there to wait for it later; without this the garbage collector would warn.
    child.returncode = 0
    return Running(**message)


def stop(data_dir: Path, timeout: float = 30.0) -> bool:
    """End the twin of a data directory; False when none runs. ``timeout`` in seconds, then it is killed.

    Raises ``TwinError`` when its process id is not known or it does not go.
    """
    if not is_running(data_dir):
        return False
    state = running(data_dir)
    if state is None:
        raise TwinError(f"A twin runs in {data_dir}, but its twin.json does not say as which process.")
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(state.pid, number)
        except ProcessLookupError:
            pass
        except PermissionError:
            raise TwinError(f"The twin in {data_dir} (process {state.pid}) belongs to another user.") from None
        if _lock_released(data_dir, timeout):
            _reap(state.pid)
            with contextlib.suppress(FileNotFoundError):
                (data_dir / "twin.json").unlink()
            return True
    raise TwinError(f"The twin in {data_dir} (process {state.pid}) did not end within {timeout:g} seconds.")


def ask(state: Running, path: str, body: t.Any = None, timeout: float = 30.0, method: str | None = None) -> t.Any:
    """GET a path of the twin as its administrator, or POST ``body`` to it, or what ``method`` says; the decoded answer.

    Raises ``TwinError`` when it does not answer with success.
    """
    try:
        config = json.loads(Path(state.kubeconfig).read_text(encoding="utf-8"))
        authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {config['users'][0]['user']['token']}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(state.url + path, data=data, headers=headers, method=method)
        context = ssl.create_default_context(cadata=authority)
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        with opener.open(request, timeout=timeout) as answer:
            return json.load(answer)
    except (OSError, ValueError, LookupError) as error:
        raise TwinError(f"The twin at {state.url} does not answer to {path}: {error}.") from None


def _environment() -> dict[str, str]:
    """The child's environment: the collection must be importable from where this file was."""
    root = str(Path(__file__).absolute().parents[6])
    paths = [root, *(part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONUNBUFFERED": "1"}


def _read_line(pipe: t.IO[bytes], timeout: float) -> bytes | None:
    """What the child wrote up to its newline or its death; None when time ran out."""
    deadline = time.monotonic() + timeout
    data = b""
    while not data.endswith(b"\n"):
        ready = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            return None
        chunk = os.read(pipe.fileno(), 65536)
        if not chunk:
            return b""
        data += chunk
    return data


def _lock_released(data_dir: Path, timeout: float) -> bool:
    """Wait in the kernel until the process that holds the lock is gone."""
    released = threading.Event()

    def wait() -> None:
        with open(data_dir / "twin.lock", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        released.set()

    threading.Thread(target=wait, daemon=True).start()
    return released.wait(timeout)


def _reap(pid: int) -> None:
    """Collect the child when it is ours, so that no zombie stays behind."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
