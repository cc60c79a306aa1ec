# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Ask many clusters at once what they are; a cluster that does not answer in time is a fact like any other."""

from __future__ import annotations

import queue
import threading
import time
import typing as t
from collections import deque
from contextlib import closing

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import detect, unsupported_reason
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.libraries import load_libraries
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_contexts import ClusterContext

Facts = t.Dict[str, t.Any]
Ask = t.Callable[[ClusterContext, float], Facts]

#: The first request is tried twice, with a pause between; both must fit into the time of the cluster.
_SHARE = 0.45


def ask(context: ClusterContext, seconds: float) -> Facts:
    """What one cluster is: ``reachable`` with mode, version and so on, or not ``reachable`` with the ``reason``."""
    options = ConnectionOptions(context.kubeconfig, context.context, request_timeout=seconds * _SHARE)
    try:
        with closing(connect(options)) as api:
            found = detect(api)
            cluster = _identity(api)
    except IpamError as error:
        return unreachable(error.message)
    stop = unsupported_reason(found)
    return {
        "reachable": True,
        "reason": "",
        "cluster": cluster,
        "mode": found.mode.value,
        "version": found.version.value or "",
        "operator": bool(found.operator.value),
        "supported": stop is None,
        "stop": stop or "",
    }


def unreachable(reason: str) -> Facts:
    """The facts of a cluster that nothing is known of."""
    return {
        "reachable": False,
        "reason": reason,
        "cluster": "",
        "mode": "",
        "version": "",
        "operator": False,
        "supported": False,
        "stop": reason,
    }


def twice(facts: t.Mapping[str, Facts]) -> list[list[str]]:
    """Names that stand for one and the same cluster, together; a playbook would work on it more than once."""
    names: dict[str, list[str]] = {}
    for name, each in facts.items():
        if each["cluster"]:
            names.setdefault(each["cluster"], []).append(name)
    return [together for together in names.values() if len(together) > 1]


def is_facts(value: t.Any) -> bool:
    """Whether this is the answer of a cluster as ``ask`` gives it: what comes out of a cache may be older than us."""
    return isinstance(value, dict) and set(value) == set(unreachable("")) and value["reachable"] is True


def ask_all(
    contexts: t.Iterable[ClusterContext], seconds: float, at_once: int, *, ask_one: Ask = ask
) -> dict[ClusterContext, Facts]:
    """``ask`` for each, ``at_once`` at a time, none for longer than ``seconds``.

    MissingLibrary without kubernetes, InvalidInput for no time at all.

    A cluster whose time is up is left alone: its thread ends by itself, or with this process.
    """
    if not 0 < seconds < float("inf"):
        raise InvalidInput(f"timeout must be a number of seconds above 0, not {seconds:g}.", "timeout", seconds)
    # Importing takes long and must not count, nor happen in many threads.
    load_libraries()
    answers: queue.SimpleQueue[tuple[ClusterContext, Facts]] = queue.SimpleQueue()
    waiting = deque(dict.fromkeys(contexts))
    deadlines: dict[ClusterContext, float] = {}
    found: dict[ClusterContext, Facts] = {}

    def answer(context: ClusterContext) -> None:
        facts = unreachable("Asking this cluster ended too early.")
        try:
            facts = ask_one(context, seconds)
        except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            # One strange cluster must not cost the others their inventory.
            words = " ".join(str(error).split())
            facts = unreachable(f"The cluster answered what cannot be understood ({type(error).__name__}: {words}).")
        finally:
            answers.put((context, facts))

    while waiting or deadlines:
        while waiting and len(deadlines) < at_once:
            context = waiting.popleft()
            deadlines[context] = time.monotonic() + seconds
            threading.Thread(target=answer, args=(context,), daemon=True).start()
        try:
            context, facts = answers.get(timeout=max(min(deadlines.values()) - time.monotonic(), 0.0))
        except queue.Empty:
            late = [each for each, deadline in deadlines.items() if deadline <= time.monotonic()]
            found.update(dict.fromkeys(late, unreachable(f"The cluster did not answer within {seconds:g} seconds.")))
            for each in late:
                del deadlines[each]
            continue
        if deadlines.pop(context, None) is not None:
            found[context] = facts
    return found


def _identity(api: KubeApi) -> str:
    """The uid of the namespace kube-system, which no two clusters share; "" without the right to read it."""
    thing, _source = readable_object(api, NAMESPACES, "kube-system")
    return str((thing or {}).get("metadata", {}).get("uid") or "")
