# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Release leaked addresses: two observations, a last question to the API, and a compare-and-swap on what was seen.

An address goes only if the audit's judge calls it leaked twice, ``interval`` seconds apart, under
the same handle and the same sequence number; if its holder, asked for once more right before the
write, is still gone; and if the block still has that handle and that number when it is written.
Spec ipam-engine.md §5.6, §12, §18.5; spec hazards.md A05, A06.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ClusterError, Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import ClusterFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    NotFoundInStore,
    Stored,
    UpdateConflict,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import POD
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, release_ips
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_facts import read_cluster
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_decision import (
    Decision,
    Kept,
    before_of,
    before_of_audit,
    decide,
    handles_of,
    why_kept,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_observation import (
    Observation,
    ReleaseStore,
    Seen,
    observe,
    seen_now,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_request import Wanted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.yaml_text import yaml_text

# Clocks of control nodes differ; an audit this far in the future is not refused, seconds.
CLOCK_SKEW = 60.0
# Addresses whose holders are asked for, and which are then written, together.
BATCH = 64
# Addresses and handles in lines of progress; the others are counted.
LINES = 100
COLLECTOR = "k8s-app=calico-kube-controllers"

Report = t.Callable[[object], object]
Group = t.Tuple[Seen, ...]


@dataclass(frozen=True)
class Released:
    """What was released, or would be: addresses, and records of ``handles`` that held none.

    ``confirm_in``: in check mode, how many seconds later all of it would be looked at again.
    """

    addresses: tuple[Seen, ...]
    kept: tuple[Kept, ...]
    handles: tuple[Handle, ...]
    notes: tuple[str, ...] = ()
    confirm_in: int = 0

    def refusals(self) -> list[str]:
        """Sentences about what was asked for and is kept although there was something to release."""
        return [f"{kept.what} was not released: {kept.reason}." for kept in self.kept if not kept.gone]

    def as_result(self) -> dict[str, t.Any]:
        before = {
            **{f"address {seen.address}": _shown(seen) for seen in self.addresses},
            **{
                f"IPAMHandle {handle.id}": {str(cidr): count for cidr, count in sorted(handle.blocks.items())}
                for handle in self.handles
            },
        }
        return {
            "changed": bool(before),
            "diff": {"before": yaml_text(before or None), "after": yaml_text(None)},
            "released": [{"address": str(seen.address), **_shown(seen)} for seen in self.addresses],
            "kept": [kept.as_result() for kept in self.kept],
            "handles_deleted": [handle.id for handle in self.handles],
            "notes": list(self.notes),
            "confirm_in": self.confirm_in,
        }


def release_leaked(
    api: KubeApi, store: ReleaseStore, wanted: Wanted, *, clock: Clock, report: Report, check_mode: bool
) -> Released:
    """Release what is asked for and leaked, and say of everything else why it is kept.

    Refused for an audit of another cluster and while the datastore is locked. In check mode
    nothing is waited for: what one observation shows is what would be released.
    """
    cluster = read_cluster(api)
    if cluster.locked:
        raise Refused(
            "Calico's datastore is locked: ClusterInformation default says datastoreReady: false, so nothing may be "
            "released until it is true again."
        )
    waits = wanted.interval
    before = None
    if wanted.audit is not None:
        if cluster.identity != wanted.audit.cluster:
            raise Refused(
                f"audit: it was taken on another cluster: it names {wanted.audit.cluster or 'none'}, and this one is "
                f"{cluster.identity}.",
                cluster=cluster.identity,
            )
        before = before_of_audit(wanted)
        waits = _left_to_wait(wanted, clock)
    handles = handles_of(wanted)
    now = observe(api, store, handles, clock)
    decision = decide(wanted, now, before)
    report(f"leaked at the first look: {_count(decision)}; kept: {len(decision.kept)}")
    if decision.empty:
        return _told(_planned(decision, (), 0), "would release", report)
    notes = _notes(api, now.facts)
    for note in notes:
        report(note)
    if check_mode:
        return _told(_planned(decision, notes, waits), "would release", report)
    if before is None:
        before = before_of(now, wanted)
    if waits > 0:
        report(f"waiting {waits:.0f} seconds for the second look")
        clock.sleep(waits)
        now = observe(api, store, handles, clock)
        decision = decide(wanted, now, before)
        report(f"still leaked at the second look: {_count(decision)}; kept: {len(decision.kept)}")
    elif wanted.audit is None:
        # No time is to lie between the two; it is still two observations.
        now = observe(api, store, handles, clock)
        decision = decide(wanted, now, before)
    done = _apply(api, store, wanted, now, decision, clock, report)
    return _told(replace(done, notes=notes), "released", report)


def _told(released: Released, verb: str, report: Report) -> Released:
    """Lines for whoever watches: what became of each address, as far as a screen has room."""
    lines = [f"{verb} {seen.address}, {seen.allocation.holder}: {seen.verdict.reason}" for seen in released.addresses]
    lines += [f"{verb} handle {handle.id}, which holds no address" for handle in released.handles]
    lines += [f"kept {kept.what}: {kept.reason}" for kept in released.kept]
    for line in lines[:LINES]:
        report(line)
    if len(lines) > LINES:
        report(f"and {len(lines) - LINES} more")
    return released


def _left_to_wait(wanted: Wanted, clock: Clock) -> float:
    """The first observation is the audit's, so only the rest of the interval is left."""
    if wanted.audit is None:
        return wanted.interval
    elapsed = (clock.now() - wanted.audit.taken).total_seconds()
    if elapsed < -CLOCK_SKEW:
        raise InvalidInput(
            f"audit.taken: it lies {-elapsed:.0f} seconds in the future; set the clocks of the machines right.",
            "audit.taken",
            str(wanted.audit.taken),
        )
    return max(0.0, wanted.interval - max(0.0, elapsed))


def _planned(decision: Decision, notes: tuple[str, ...], waits: float) -> Released:
    return Released(
        tuple(decision.addresses),
        decision.kept,
        (*(stored.value for stored in decision.handles), *map(Handle, decision.unfinished)),
        notes,
        round(waits),
    )


def _apply(
    api: KubeApi,
    store: ReleaseStore,
    wanted: Wanted,
    now: Observation,
    decision: Decision,
    clock: Clock,
    report: Report,
) -> Released:
    done: list[Seen] = []
    kept = list(decision.kept)
    gone: list[Handle] = []
    batches = _batches(decision.release)
    total = sum(len(group) for group in decision.release)
    try:
        for batch in batches:
            released, stayed = _release(api, store, wanted, now.facts, batch, clock)
            done += released
            kept += stayed
            report(f"{len(done)} of {total} addresses released")
        for handle in decision.unfinished:
            with contextlib.suppress(NotFoundInStore):
                # Whoever gets such a record finishes its deletion (§2.4).
                store.get_handle(handle)
            gone.append(Handle(handle))
        for handle in _emptied(done, decision):
            gone += _forget(store, handle, clock)
        for stored in decision.handles:
            reason = _delete(store, stored, clock)
            if reason is None:
                gone.append(stored.value)
            else:
                kept.append(Kept(stored.value.id, stored.value.id, reason))
    except ClusterError as error:
        # What is done is done: the message says what went wrong, the details how far we came.
        error.details["released"] = [str(seen.address) for seen in done]
        error.details["handles_deleted"] = [handle.id for handle in gone]
        raise
    return Released(tuple(done), tuple(kept), tuple(gone))


def _batches(groups: t.Iterable[Group]) -> list[list[Group]]:
    """Handles that lie in the same blocks together, so that a block is written once for all of them."""
    places: dict[tuple[str, ...], list[list[Group]]] = {}
    for group in groups:
        place = tuple(sorted({seen.allocation.block.text for seen in group}))
        batches = places.setdefault(place, [[]])
        if sum(len(each) for each in batches[-1]) >= BATCH:
            batches.append([])
        batches[-1].append(group)
    return [batch for batches in places.values() for batch in batches]


def _release(
    api: KubeApi, store: ReleaseStore, wanted: Wanted, facts: ClusterFacts, batch: t.Sequence[Group], clock: Clock
) -> tuple[list[Seen], list[Kept]]:
    """Ask for the holders once more, then write. One handle that has changed must not keep the others."""
    kept: list[Kept] = []
    good: list[Group] = []
    fresh = {seen.key: seen for seen in seen_now(api, facts, [seen for group in batch for seen in group])}
    for group in batch:
        reasons = [why_kept(fresh[seen.key], wanted, wanted.named.get(seen.key)) for seen in group]
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is None:
            good.append(group)
        else:
            kept += [Kept(str(seen.address), seen.handle, f"by now {reason}") for seen in group]
    requests = [
        ReleaseRequest(seen.address, seen.handle or None, seen.allocation.sequence) for group in good for seen in group
    ]
    outcome = release_ips(store, requests, now=clock.now)
    if isinstance(outcome.error, ClusterError):
        raise outcome.error
    written = {request.address for request in outcome.released}
    free = set(outcome.not_allocated)
    done = []
    for group in good:
        left = [seen for seen in group if seen.address not in written]
        done += [seen for seen in group if seen.address in written and seen.address not in free]
        kept += [
            Kept(str(seen.address), seen.handle, "it is free by now", gone=True)
            for seen in group
            if seen.address in free
        ]
        if left and len(batch) > 1:
            again, stayed = _release(api, store, wanted, facts, [tuple(left)], clock)
            done += again
            kept += stayed
        elif left:
            reason = "it could not be released" if outcome.error is None else _clause(outcome.error)
            kept += [Kept(str(seen.address), seen.handle, reason) for seen in left]
    return done, kept


def _emptied(done: t.Iterable[Seen], decision: Decision) -> list[str]:
    """Handles of pods that have lost every address. Others than pods use their handles again."""
    released = {seen.key for seen in done}
    return [
        group[0].handle
        for group in decision.release
        if group[0].handle and group[0].allocation.holder.kind == POD and all(seen.key in released for seen in group)
    ]


def _forget(store: ReleaseStore, handle: str, clock: Clock) -> list[Handle]:
    """Delete what a release leaves of a handle whose counts were too high (§6)."""
    try:
        stored = store.get_handle(handle)
    except NotFoundInStore:
        return []
    return [stored.value] if _delete(store, stored, clock) is None else []


def _delete(store: ReleaseStore, stored: Stored[Handle], clock: Clock) -> str | None:
    """Delete a handle's record if it is still the same and holds nothing; otherwise the reason."""
    try:
        held = ips_by_handle(store, stored.value.id, now=clock.now)
        if held:
            return f"it holds {held[0]} by now"
        store.delete_handle(stored)
    except NotFoundInStore:
        return "somebody else has deleted it"
    except UpdateConflict:
        return "it changed at the last moment"
    return None


def _notes(api: KubeApi, facts: ClusterFacts) -> tuple[str, ...]:
    """Whether waiting would do, too."""
    if not facts.leak_grace:
        return ()
    try:
        found = api.list(DEPLOYMENTS, label_selector=COLLECTOR).items
    except Forbidden:
        return ()
    if not any((thing.get("status") or {}).get("readyReplicas") for thing in found):
        return ()
    return (
        f"calico-kube-controllers is ready and releases addresses of pods by itself, {facts.leak_grace:.0f} to "
        f"{facts.leak_grace * 1.5:.0f} seconds after it has seen that they are leaked.",
    )


def _free(seen: Seen) -> Kept:
    return Kept(str(seen.address), seen.handle, "it is free by now", gone=True)


def _clause(error: IpamError) -> str:
    return error.message.rstrip(".")


def _count(decision: Decision) -> str:
    handles = len(decision.handles) + len(decision.unfinished)
    return f"{len(decision.addresses)} addresses, {handles} handles without any"


def _shown(seen: Seen) -> dict[str, t.Any]:
    holder = seen.allocation.holder
    return {
        "handle": seen.handle or None,
        "sequence": str(seen.allocation.sequence),
        "kind": seen.kind,
        "namespace": holder.namespace or None,
        "name": holder.name or None,
        "node": holder.node or None,
        "reason": seen.verdict.reason,
    }
