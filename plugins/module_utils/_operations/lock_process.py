# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who runs a procedure: one process, named so that another one can prove that it is gone.

A process id alone proves nothing: it is used again, means another process after a reboot, and in
a container counts from 1. Together with the kernel's boot id, the PID namespace and the start
time it names one process for ever. Where any of these is not known, nothing is proven.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import asdict, dataclass, fields
from pathlib import Path

# In /proc/<pid>/stat, counted after the process's name (proc(5)): its state, and when it was started.
_STATE, _START_TIME = 0, 19
_DEAD = ("Z", "X", "x")


@dataclass(frozen=True)
class Process:
    """A process on a machine. ``boot``, ``pid_namespace`` and ``started`` are empty where the system does not tell.

    ``started`` counts the kernel's clock ticks since the boot. ``inventory_host`` is the host of the
    inventory for which it works: one play may work for several at once.
    """

    user: str = ""
    host: str = ""
    pid: int = 0
    started: str = ""
    boot: str = ""
    pid_namespace: str = ""
    inventory_host: str = ""

    @classmethod
    def from_dict(cls, given: t.Mapping[str, t.Any]) -> Process:
        """The process that ``as_dict`` described; what is missing or of another type is not known."""
        known: dict[str, t.Any] = {}
        for each in fields(cls):
            value = given.get(each.name)
            if each.name == "pid":
                known["pid"] = value if isinstance(value, int) and not isinstance(value, bool) else 0
            elif value is not None:
                known[each.name] = str(value)
        return cls(**known)

    def as_dict(self) -> dict[str, t.Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.user or 'somebody'}@{self.host or 'an unknown machine'}"

    def same_machine(self, other: Process) -> bool:
        """Whether both see the same processes: one boot of one kernel, and one PID namespace of it."""
        theirs = (other.host, other.boot, other.pid_namespace)
        return all(theirs) and theirs == (self.host, self.boot, self.pid_namespace)

    def is_gone(self, observer: Process) -> bool:
        """Whether ``observer``, the process that asks, can prove that this one has ended."""
        if self.pid <= 0 or not self.started or not self.same_machine(observer):
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # Somebody else's process: it is there, and may be another one by now.
        state, started = _stat(self.pid)
        return bool(started) and (started != self.started or state in _DEAD)


def this_process(pid: int | None = None, *, user: str = "", inventory_host: str = "") -> Process:
    """The process ``pid`` on this machine, this very one by default."""
    pid = os.getpid() if pid is None else pid
    return Process(
        user=user,
        host=os.uname().nodename,
        pid=pid,
        started=_stat(pid)[1],
        boot=_read("/proc/sys/kernel/random/boot_id"),
        pid_namespace=_link("/proc/self/ns/pid"),
        inventory_host=inventory_host,
    )


def _stat(pid: int) -> tuple[str, str]:
    """State and start time of a process; empty where they cannot be read."""
    # The name may hold spaces and brackets, so what follows is counted from its last bracket.
    words = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (words[_STATE], words[_START_TIME]) if len(words) > _START_TIME else ("", "")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
