# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a DELETE makes of an object: marked, still waiting, or gone (spec kubernetes-api-behaviour.md 9, 10).

Pure functions on the object; ``api.py`` stores what they return.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import DeleteOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, precondition_failed

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_PROPAGATION_FINALIZER = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
_DEFAULT_GRACE = 30

# Types whose DELETE answers with the object even when it is gone at once.
RETURNS_OBJECT = frozenset(
    ("", plural)
    for plural in (
        "pods",
        "podtemplates",
        "persistentvolumes",
        "persistentvolumeclaims",
        "resourcequotas",
        "serviceaccounts",
        "services",
    )
)


@dataclass(frozen=True)
class Verdict:
    """``marked`` is the state to store first (None: nothing changes), ``remove`` whether it goes then."""

    marked: t.Optional[Object]
    remove: bool


def format_time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def is_pod(kind: Kind) -> bool:
    return kind.resource.plural == "pods" and not kind.resource.group


def check_preconditions(kind: Kind, obj: Object, options: DeleteOptions) -> Fault | None:
    """The 409 for a uid or resourceVersion that is not the object's."""
    metadata = obj["metadata"]
    for what, wanted, found in (
        ("UID", options.uid, metadata.get("uid")),
        ("ResourceVersion", options.resource_version, metadata.get("resourceVersion")),
    ):
        if wanted is not None and wanted != found:
            message = (
                f"the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). "
                "The object might have been deleted and then recreated"
            )
            return precondition_failed(kind.resource, metadata["name"], message)
    return None


def judge(kind: Kind, obj: Object, options: DeleteOptions, now: datetime) -> Verdict:
    """What happens to ``obj`` on this DELETE."""
    metadata = dict(obj["metadata"])
    finalizers = _finalizers(metadata, options)
    refinalized = finalizers != (metadata.get("finalizers") or [])
    metadata["finalizers"] = finalizers
    if is_pod(kind):
        return _judge_pod(obj, metadata, options, now, refinalized)
    if kind.resource.plural == "namespaces" and not kind.resource.group:
        return _judge_namespace(obj, metadata, now)
    if not finalizers:
        return Verdict(None, True)
    if "deletionTimestamp" in metadata:
        return Verdict({**obj, "metadata": metadata} if refinalized else None, False)
    _mark(metadata, now, 0)
    return Verdict({**obj, "metadata": metadata}, False)


def _finalizers(metadata: Object, options: DeleteOptions) -> list[str]:
    present: list[str] = list(metadata.get("finalizers") or [])
    wanted = _PROPAGATION_FINALIZER.get(options.propagation or "")
    if options.propagation is None:
        return present
    kept = [each for each in present if each not in (FOREGROUND, ORPHAN)]
    return [*kept, wanted] if wanted else kept


def _mark(metadata: Object, when: datetime, grace: int | None) -> None:
    metadata["deletionTimestamp"] = format_time(when)
    if grace is not None:
        metadata["deletionGracePeriodSeconds"] = grace
    if metadata.get("generation"):
        metadata["generation"] += 1


def _judge_pod(obj: Object, metadata: Object, options: DeleteOptions, now: datetime, refinalized: bool) -> Verdict:
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    wanted = options.grace_seconds
    if wanted is not None and wanted < 0:
        wanted = 1
    if "deletionTimestamp" in metadata:
        present = metadata.get("deletionGracePeriodSeconds") or 0
        if present == 0:
            changed = {**obj, "metadata": metadata} if refinalized else None
            return Verdict(changed, not metadata["finalizers"])
        if wanted is None or wanted >= present:
            return Verdict(None, False)
        end = parse_time(metadata["deletionTimestamp"]) - timedelta(seconds=present - wanted)
        metadata["deletionTimestamp"] = format_time(end)
        metadata["deletionGracePeriodSeconds"] = wanted
        return Verdict({**obj, "metadata": metadata}, wanted == 0 and not metadata["finalizers"])
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        wanted = 0
    elif wanted is None:
        own = spec.get("terminationGracePeriodSeconds")
        wanted = _DEFAULT_GRACE if own is None else int(own)
    _mark(metadata, now + timedelta(seconds=wanted), wanted)
    return Verdict({**obj, "metadata": metadata}, wanted == 0 and not metadata["finalizers"])


def _judge_namespace(obj: Object, metadata: Object, now: datetime) -> Verdict:
    """A namespace goes when its content is gone and ``spec.finalizers`` is empty."""
    waiting = bool((obj.get("spec") or {}).get("finalizers") or metadata["finalizers"])
    if not waiting:
        return Verdict(None, True)
    if "deletionTimestamp" in metadata:
        return Verdict(None, False)
    _mark(metadata, now, None)
    status = {**(obj.get("status") or {}), "phase": "Terminating"}
    return Verdict({**obj, "metadata": metadata, "status": status}, False)


def is_finished(kind: Kind, obj: Object) -> bool:
    """Whether an update leaves nothing to wait for, so that the object goes (last finalizer removed)."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if kind.resource.plural == "namespaces" and not kind.resource.group:
        return not (obj.get("spec") or {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")
