# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which addresses and handles may be released, given two observations, and why the others are kept.

The rules: spec ipam-engine.md §18.4 and §18.5, spec hazards.md A05 and A06.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import NEVER
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Stored
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import COOLING, POD, UNKNOWN, WINDOWS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import handle_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_observation import (
    Observation,
    Seen,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_request import Mark, Wanted


@dataclass(frozen=True)
class Kept:
    """``what`` is an address or a handle that was asked for and is left as it is; ``gone``: there was nothing to do."""

    what: str
    handle: str
    reason: str
    gone: bool = False

    def as_result(self) -> dict[str, t.Any]:
        is_handle = self.what == self.handle
        return {"address": None if is_handle else self.what, "handle": self.handle or None, "reason": self.reason}


@dataclass(frozen=True)
class Before:
    """The first observation, as far as the second is compared with it."""

    marks: t.Mapping[Key, Mark]
    revisions: t.Mapping[str, t.Any]
    counts: t.Mapping[str, t.Mapping[str, int]]


@dataclass(frozen=True)
class Decision:
    """``release``: addresses by handle, those without one alone; ``handles``: records without an address.

    ``unfinished``: handles whose deletion somebody else has begun.
    """

    release: tuple[tuple[Seen, ...], ...] = ()
    handles: tuple[Stored[Handle], ...] = ()
    unfinished: tuple[str, ...] = ()
    kept: tuple[Kept, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.release or self.handles or self.unfinished)

    @property
    def addresses(self) -> list[Seen]:
        return [seen for group in self.release for seen in group]


def before_of(observation: Observation, wanted: Wanted) -> Before:
    """What an observation of our own has to be confirmed by the next one."""
    return Before(
        {
            key: seen.mark
            for key, seen in observation.addresses.items()
            if why_kept(seen, wanted, wanted.named.get(key)) is None
        },
        {handle: stored.revision for handle, stored in observation.handles.items()},
        {},
    )


def before_of_audit(wanted: Wanted) -> Before:
    """The same of an audit's result."""
    seen = wanted.audit
    if seen is None:
        return Before({}, {}, {})
    marks = {key: mark for key, mark in seen.leaked.items() if wanted.sure_enough(seen.certainty[key], named=False)}
    return Before(marks, {}, seen.handles)


def decide(wanted: Wanted, now: Observation, before: Before | None = None) -> Decision:
    """What goes and what stays; without ``before`` as far as one observation can tell."""
    asked, kept = _asked(wanted, now)
    good: list[Seen] = []
    for seen in asked:
        reason = why_kept(seen, wanted, wanted.named.get(seen.key)) or _changed(seen, before)
        if reason is None:
            good.append(seen)
        else:
            kept.append(Kept(str(seen.address), seen.handle, reason, gone=seen.kind == COOLING))
    groups: dict[str, list[Seen]] = {}
    for seen in good:
        groups.setdefault(seen.handle or f"/{seen.address}", []).append(seen)
    release = []
    for group in groups.values():
        reason = _sibling(group, wanted, now, before)
        if reason is None:
            release.append(tuple(group))
        else:
            kept += [Kept(str(seen.address), seen.handle, reason) for seen in group]
    handles = []
    unfinished = []
    for handle in handles_of(wanted):
        if handle_name(handle) in now.unfinished and not now.held_by(handle):
            unfinished.append(handle)
            continue
        reason = _why_handle_kept(handle, now, before)
        if reason is None:
            handles.append(now.handles[handle])
        elif reason:
            kept.append(Kept(handle, handle, reason, gone=handle not in now.handles))
    return Decision(tuple(release), tuple(handles), tuple(unfinished), tuple(kept))


def handles_of(wanted: Wanted) -> list[str]:
    """The handles whose records are asked for."""
    return list(dict.fromkeys((*wanted.handles, *(wanted.audit.handles if wanted.audit is not None else ()))))


def why_kept(seen: Seen, wanted: Wanted, named: str | None) -> str | None:
    """Why an address must not be released, by what one observation shows; None when it may go.

    ``named``: the kind as which the address was named by itself, None when it was not.
    """
    if seen.kind == COOLING:
        return "it was released already and cools down"
    if seen.kind == WINDOWS:
        return "a Windows node keeps it in each of its blocks; it goes with the block"
    if seen.twice:
        return "two blocks have allocated it; repair the overlapping blocks first"
    if seen.user:
        return f"it is in use by {seen.user}"
    if named is None and seen.kind != POD:
        return f"it is of kind {seen.kind}, which is released only when it is named in addresses"
    if named is not None and named != seen.kind:
        return f"it is of kind {seen.kind}, not {named}; name it with that kind if it is meant"
    if seen.kind == UNKNOWN:
        return None
    verdict = seen.verdict
    if verdict.certainty == NEVER:
        return f"it is not leaked: {verdict.reason}"
    if not wanted.sure_enough(verdict.certainty, named=named is not None):
        return f"it is only {verdict.certainty} leaked: {verdict.reason}"
    return None


def _asked(wanted: Wanted, now: Observation) -> tuple[list[Seen], list[Kept]]:
    """The addresses that were asked for and are allocated, in order, and those that are not."""
    keys = dict.fromkeys(wanted.named)
    for handle in wanted.handles:
        keys.update(dict.fromkeys(now.held_by(handle)))
    if wanted.audit is not None:
        keys.update(dict.fromkeys(wanted.audit.leaked))
    kept = []
    asked = []
    for key in sorted(keys):
        seen = now.addresses.get(key)
        if seen is None:
            kept.append(Kept(str(Address(*key)), "", "it is not allocated", gone=True))
        else:
            asked.append(seen)
    return asked, kept


def _changed(seen: Seen, before: Before | None) -> str | None:
    if before is None:
        return None
    mark = before.marks.get(seen.key)
    if mark is None:
        return "it was not leaked, or not as surely, when it was first looked at"
    if mark != seen.mark:
        return "it was handed out anew between the two observations"
    return None


def _sibling(group: t.Sequence[Seen], wanted: Wanted, now: Observation, before: Before | None) -> str | None:
    """§18.5: a handle's addresses belong to one holder, so they are all leaked or none is."""
    if not group[0].handle:
        return None
    for key in now.held_by(group[0].handle):
        other = now.addresses[key]
        named = wanted.named.get(key, wanted.named.get(group[0].key))
        reason = why_kept(other, wanted, named) or _changed(other, before)
        if reason is not None:
            return f"its handle also holds {other.address}, and {reason}"
    return None


def _why_handle_kept(handle: str, now: Observation, before: Before | None) -> str | None:
    """None when the record may go; "" when there is nothing to say, since its addresses were spoken of."""
    if now.held_by(handle):
        return ""
    stored = now.handles.get(handle)
    if stored is None:
        return "there is no such handle"
    if now.damaged:
        return f"block {now.damaged[0]} cannot be read and may have addresses of it; repair that first"
    if before is None:
        return None
    counts = {str(cidr): count for cidr, count in stored.value.blocks.items()}
    same = (
        before.revisions[handle] == stored.revision
        if handle in before.revisions
        else before.counts.get(handle) == counts
    )
    return None if same else "it changed between the two observations"
