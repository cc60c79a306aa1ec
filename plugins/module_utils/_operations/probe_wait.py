# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Waiting until every pod of a probe has its address, and has ended well where it has something to do."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    addresses,
    is_finished,
    metadata_of,
    trouble,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import EVENTS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.sandbox_cause import sandbox_cause

NAMED = 5
Key = t.Tuple[str, str]


@dataclass(frozen=True)
class Wanted:
    """A pod that was created: where, on which node (None: wherever it is scheduled), and for which namespaces."""

    namespace: str
    name: str
    node: str | None
    like: str = ""

    @property
    def key(self) -> Key:
        return self.namespace, self.name


@dataclass(frozen=True)
class Found:
    """What came of a pod: its addresses, as texts; ``failed`` says why its command did not end well, "" when it did."""

    wanted: Wanted
    node: str
    addresses: tuple[str, ...]
    failed: str = ""


@dataclass
class _Seen:
    """The pods and their events as the watches tell of them. A finished pod keeps the addresses it had."""

    ends: bool
    pods: dict[Key, Object] = field(default_factory=dict)
    addresses: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)

    def take(self, notice: Notice) -> None:
        thing = notice.change.object
        if notice.change.type not in ("ADDED", "MODIFIED"):
            return
        if notice.source == "pods":
            key = (str(metadata_of(thing).get("namespace") or ""), str(metadata_of(thing)["name"]))
            self.pods[key] = thing
            self.addresses[key] = tuple(addresses(thing)) or self.addresses.get(key, ())
        elif thing.get("type") == "Warning":
            involved = str((thing.get("involvedObject") or {}).get("uid") or "")
            self.words[involved] = " ".join(str(thing.get("message") or "").split())

    def done(self, key: Key) -> bool:
        pod = self.pods.get(key)
        return pod is not None and bool(self.addresses[key]) and (not self.ends or is_finished(pod))

    def found(self, wanted: Wanted) -> Found:
        pod = self.pods[wanted.key]
        return Found(wanted, _node(pod), self.addresses[wanted.key], _ending(pod) if self.ends else "")


def wait_for_pods(
    api: KubeApi, wanted: t.Sequence[Wanted], *, ends: bool, pool: str, timeout: float, clock: Clock
) -> list[Found]:
    """What came of every pod; ``ends``: each has a command that is to end.

    Refused when after ``timeout`` seconds one has no address or goes on, in the words of its last event.
    """
    deadline = clock.monotonic() + timeout
    seen = _Seen(ends)
    with Watches(api) as watches:
        for namespace in sorted({each.namespace for each in wanted}):
            watches.follow("pods", PODS, namespace)
            watches.follow("events", EVENTS, namespace, optional=True)
        waiting = list(wanted)
        while waiting:
            notice = watches.next(max(0.0, deadline - clock.monotonic()))
            if notice is None:
                raise Refused(_too_late(waiting, seen, pool, timeout), pods=_details(waiting, seen))
            seen.take(notice)
            waiting = [each for each in waiting if not seen.done(each.key)]
    return [seen.found(each) for each in wanted]


def _too_late(waiting: t.Sequence[Wanted], seen: _Seen, pool: str, timeout: float) -> str:
    without = [each for each in waiting if not seen.addresses.get(each.key)]
    what = "A new pod got no address" if without else "The command of a new pod did not end"
    reasons = [_reason(each, seen) for each in without or waiting]
    more = f"; and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    text = "; ".join(reasons[:NAMED]).rstrip(".")
    return f"{what} within {timeout:g} s, so IPPool {pool!r} is not proven: {text}{more}."


def _reason(wanted: Wanted, seen: _Seen) -> str:
    pod = seen.pods.get(wanted.key)
    if pod is None:
        return f"{wanted.name} did not appear"
    where = _node(pod) or "no node"
    if wanted.like:
        where += f", as in namespace {wanted.like}"
    if seen.addresses.get(wanted.key):
        return f"{where}: {trouble(pod) or seen.words.get(uid_of(pod)) or 'it is still running'}"
    words = seen.words.get(uid_of(pod)) or ""
    cause = sandbox_cause(words)
    return f"{where}: {f'{cause} ({words})' if cause else words or trouble(pod) or 'no event says why'}"


def _details(waiting: t.Sequence[Wanted], seen: _Seen) -> list[dict[str, str]]:
    found = []
    for each in waiting:
        pod = seen.pods.get(each.key)
        words = "" if pod is None else seen.words.get(uid_of(pod)) or trouble(pod)
        node = each.node or ("" if pod is None else _node(pod))
        found.append({"node": node, "namespace": each.like, "cause": sandbox_cause(words), "event": words})
    return found


def _node(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _ending(pod: Object) -> str:
    """Why a finished pod did not end well; "" when it did."""
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return ""
    for container in status.get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended:
            words = "; ".join(line.strip() for line in str(ended.get("message") or "").splitlines() if line.strip())
            return words or f"its command ended with exit code {ended.get('exitCode')}"
    return str(status.get("message") or status.get("reason") or "it failed")
