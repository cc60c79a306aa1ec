# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The lock of a cluster: one run of one procedure at a time (hazard B44).

A Lease, renewed while a run works. It is taken over in two cases only: its holder is proven to
be gone (the same machine, see ``lock_process.py``), or the user said so and nobody renewed it
while this process watched for a whole duration. Clocks of two machines are never compared: the
times in the Lease are for people, and what counts is that its resourceVersion stood still.

A run may write while its last renewal is at most ``FRESH`` seconds old by its own monotonic clock,
counted from before the renewal was sent. Whoever takes over has seen ``DURATION`` seconds without
one, so the two cannot overlap.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import LEASES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import Process

NAMESPACE = "kube-system"
NAME = "calico-ops-ipam"
WHERE = f"Lease {NAMESPACE}/{NAME}"
# Seconds: how long a holder that is not heard of keeps the lock, how often it renews, and how old its last
# renewal may be when it writes. What lies between the last two is for requests that are under way.
DURATION = 60
RENEW_EVERY = 10.0
FRESH = 40.0
# Seconds between two looks whether the playbook is still there.
LOOK_EVERY = 1.0
ATTEMPTS = 5

# Annotations: what the holder is about, who it is, and which process of it worked last.
ABOUT = "ipam.calico-ops.io/about"
HOLDER = "ipam.calico-ops.io/holder"
WORKER = "ipam.calico-ops.io/worker"


class LockHeld(Refused):
    """Somebody else has the lock."""


class LockLost(Refused):
    """The run does not have the lock any more, so it must not write."""


@dataclass(frozen=True)
class Claim:
    """Who wants the lock, and what for. ``option`` is what the user has to set to take it over."""

    run: str
    procedure: str
    pool: str
    holder: Process
    option: str = "take_over"

    @property
    def about(self) -> str:
        return f"{self.procedure} of IPPool {self.pool!r}"


@dataclass(frozen=True)
class Here:
    """What can be known of processes: ``observer`` is this very one, and ``ended`` were seen to have ended elsewhere.

    A module on another machine than its playbook sees nothing of the playbook's machine; its action plugin does.
    """

    observer: Process
    ended: tuple[Process, ...] = ()

    def sees_end_of(self, process: Process) -> bool:
        return process in self.ended or process.is_gone(self.observer)


@dataclass(frozen=True)
class Held:
    """A Lease as somebody left it. ``run`` is empty when nobody holds it."""

    thing: Object

    @property
    def spec(self) -> dict[str, t.Any]:
        spec = self.thing.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def run(self) -> str:
        return str(self.spec.get("holderIdentity") or "")

    @property
    def version(self) -> str:
        return str(self.thing["metadata"].get("resourceVersion") or "")

    @property
    def duration(self) -> float:
        """Seconds; never less than ours, or a holder of an older release would be given less than it counts on."""
        given = self.spec.get("leaseDurationSeconds")
        return float(max(given if isinstance(given, int) else 0, DURATION))

    @property
    def about(self) -> str:
        return self._annotations().get(ABOUT) or "something this release does not know"

    @property
    def holder(self) -> Process:
        return self._process(HOLDER)

    @property
    def worker(self) -> Process:
        """The process of the holder that worked last."""
        return self._process(WORKER)

    def is_gone(self, here: Here) -> bool:
        """Whether both the holder and the last process that worked for it are proven to have ended.

        A module may go on when the playbook that started it was killed, so the holder alone is not enough.
        """
        return here.sees_end_of(self.holder) and (self.worker == Process() or here.sees_end_of(self.worker))

    def sentence(self) -> str:
        spec, holder = self.spec, self.holder
        who = f"{holder} (process {holder.pid})" if holder.pid else str(self.run)
        return (
            f"{WHERE} is held by {who} since {_shown(spec.get('acquireTime'))} for {self.about}, last renewed "
            f"{_shown(spec.get('renewTime'))} by that machine's clock"
        )

    def _process(self, annotation: str) -> Process:
        try:
            found = json.loads(self._annotations().get(annotation) or "{}")
        except ValueError:
            found = {}
        return Process.from_dict(found) if isinstance(found, dict) else Process()

    def _annotations(self) -> dict[str, str]:
        found = self.thing["metadata"].get("annotations")
        return found if isinstance(found, dict) else {}


class Lock:
    """The lock while this process works with it; ``require`` before every write.

    Made by ``acquire`` and ``attach``. Safe to use from several threads.
    """

    def __init__(self, api: KubeApi, clock: Clock, run: str, thing: Object, sent: float) -> None:
        self.run = run
        self._api = api
        self._clock = clock
        self._thing = thing
        self._renewed = sent
        self._lost: LockLost | None = None
        self._guard = threading.RLock()

    def require(self) -> None:
        """Return when the lock is certainly ours for the time a request takes; LockLost when it is not."""
        with self._guard:
            if self._age() > RENEW_EVERY:
                self.renew()
            if self._lost is not None:
                raise self._lost
            if self._age() > FRESH:
                raise self._expired()

    def renew(self) -> None:
        """Renew now. A failure is no error before the time is up; LockLost when somebody else has the lock."""
        with self._guard:
            if self._lost is not None:
                raise self._lost
            for _attempt in range(ATTEMPTS):
                sent = self._clock.monotonic()
                spec = {**self._thing["spec"], "renewTime": _micro_time(self._clock.now())}
                try:
                    self._thing = self._api.replace(LEASES, {**self._thing, "spec": spec}, NAMESPACE)
                except (Conflict, NotFound):
                    if self._read_again():
                        continue
                    if self._lost is not None:
                        raise self._lost from None
                    return
                except (Forbidden, Unauthorized):
                    raise
                except ClusterError:
                    return  # The last renewal may still be young enough; require() looks at that.
                self._renewed = sent
                return

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not ours any more."""
        with self._guard, contextlib.suppress(NotFound, Conflict):
            for _attempt in range(ATTEMPTS):
                if self._lost is not None:
                    return
                metadata = self._thing["metadata"]
                try:
                    self._api.delete(
                        LEASES, NAME, NAMESPACE, uid=metadata["uid"], resource_version=metadata["resourceVersion"]
                    )
                except Conflict:
                    if not self._read_again():
                        return
                    continue
                self._lost = LockLost(f"The run {self.run} has given back {WHERE}, so it writes nothing any more.")
                return

    @contextlib.contextmanager
    def renewing(self, orphaned: t.Callable[[], object] = lambda: None) -> t.Iterator[None]:
        """Renew from a thread of its own while the block runs.

        When the playbook that has the lock is seen to have ended, nothing is written any more, and ``orphaned`` is
        called: a module that outlived it would only keep the next run from going on.
        """
        ended = threading.Event()

        def work() -> None:
            waited, step = 0.0, min(LOOK_EVERY, RENEW_EVERY)
            # Nothing tells of the end of a process that is not one's child.
            while not ended.wait(step):
                if self._is_orphaned():
                    orphaned()
                    return
                waited += step
                if waited < RENEW_EVERY:
                    continue
                waited = 0.0
                # Whatever goes wrong here is seen by require(), in the thread that wants to write.
                with contextlib.suppress(LockLost, ClusterError):
                    self.renew()

        thread = threading.Thread(target=work, name="calico-ops-lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=5.0)

    def _is_orphaned(self) -> bool:
        held = Held(self._thing)
        if not held.holder.is_gone(held.worker):
            return False
        with self._guard:
            self._lost = self._lost or LockLost(
                f"The playbook of this run, process {held.holder.pid}, has ended, so this module writes nothing more."
            )
        return True

    def _read_again(self) -> bool:
        """Look who has the lock; false when that is not known, or it is not ours any more."""
        try:
            found = Held(self._api.get(LEASES, NAME, NAMESPACE))
        except NotFound:
            self._lost = _removed(self.run)
            return False
        except ClusterError:
            return False
        if found.run != self.run:
            self._lost = _taken(self.run, found)
            return False
        # Our own renewal, whose answer was lost, or a label that somebody set.
        self._thing = found.thing
        return True

    def _age(self) -> float:
        return self._clock.monotonic() - self._renewed

    def _expired(self) -> LockLost:
        return LockLost(
            f"{WHERE} could not be renewed for {self._age():.0f} seconds, so this run writes nothing any more, because "
            "another one may have taken over; see whether the API server answers, then run the same command again."
        )


def new_run(holder: Process) -> str:
    """A name for a run that no other has."""
    return f"{holder}/{secrets.token_hex(4)}"


def look(api: KubeApi) -> Held | None:
    """Who has the lock; None when nobody does."""
    try:
        found = Held(api.get(LEASES, NAME, NAMESPACE))
    except NotFound:
        return None
    return found if found.run else None


def acquire(
    api: KubeApi,
    claim: Claim,
    clock: Clock,
    here: Here,
    *,
    take_over: bool = False,
    warn: t.Callable[[str], None] = lambda text: None,
    report: t.Callable[[object], object] = lambda event: None,
) -> Lock:
    """Take the lock for a new run.

    LockHeld when somebody else has it: at once, or with ``take_over`` when they renewed it while
    this process watched. A holder that is proven to be gone is followed at once, with a warning.
    The same process may take its own lock again: an earlier part of its play left it.
    """
    still = ""  # the version that has stood still for a whole duration
    for _attempt in range(ATTEMPTS):
        sent = clock.monotonic()
        try:
            found = Held(api.get(LEASES, NAME, NAMESPACE))
        except NotFound:
            with contextlib.suppress(AlreadyExists):
                return _created(api, claim, clock, sent)
            continue
        if found.run and found.run != claim.run and found.version != still:
            if _same_play(found, claim):
                pass
            elif found.is_gone(here):
                warn(f"{found.sentence()}. That process is gone, so this run takes over.")
            elif not take_over:
                raise _held(found, claim, here)
            else:
                _watch_standing_still(api, found, claim, clock, report)
                still = found.version
                continue
        with contextlib.suppress(Conflict, NotFound):
            taken = _replaced(api, found, claim, clock, sent)
            if taken is not None:
                if still:
                    warn(f"{found.sentence()}. Nobody has renewed it since, so this run takes over as it was told to.")
                return taken
    raise LockHeld(f"{WHERE} changed hands {ATTEMPTS} times while it was being taken; see who else runs procedures.")


def attach(api: KubeApi, run: str, clock: Clock, worker: Process) -> Lock:
    """Go on with the lock of a run that another process took. LockLost when it is not that run's any more."""
    for _attempt in range(ATTEMPTS):
        sent = clock.monotonic()
        try:
            found = Held(api.get(LEASES, NAME, NAMESPACE))
        except NotFound:
            raise _removed(run) from None
        if found.run != run:
            raise _taken(run, found)
        metadata = found.thing["metadata"]
        notes = {**(metadata.get("annotations") or {}), WORKER: json.dumps(worker.as_dict())}
        spec = {**found.spec, "renewTime": _micro_time(clock.now())}
        body = {**found.thing, "metadata": {**metadata, "annotations": notes}, "spec": spec}
        with contextlib.suppress(Conflict, NotFound):
            try:
                return Lock(api, clock, run, api.replace(LEASES, body, NAMESPACE), sent)
            except Unreachable as error:
                if not error.maybe_done:
                    raise
    raise LockLost(f"{WHERE} changed {ATTEMPTS} times while it was being renewed; see who else writes to it.")


def release_dead(api: KubeApi, here: Here, about: str) -> bool:
    """Remove the lock that a run which is proven to be gone left for the same thing; whether there was one."""
    found = look(api)
    if found is None or found.about != about or not found.is_gone(here):
        return False
    metadata = found.thing["metadata"]
    try:
        api.delete(LEASES, NAME, NAMESPACE, uid=metadata["uid"], resource_version=found.version)
    except (Conflict, NotFound):
        return False
    return True


def _created(api: KubeApi, claim: Claim, clock: Clock, sent: float) -> Lock:
    body = {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": _annotations(claim)},
        "spec": _spec(claim, clock, 0),
    }
    try:
        thing = api.create(LEASES, body, NAMESPACE)
    except Unreachable as error:
        if not error.maybe_done:
            raise
        thing = api.get(LEASES, NAME, NAMESPACE)
        if Held(thing).run != claim.run:
            raise
    return Lock(api, clock, claim.run, thing, sent)


def _replaced(api: KubeApi, found: Held, claim: Claim, clock: Clock, sent: float) -> Lock | None:
    metadata = found.thing["metadata"]
    transitions = found.spec.get("leaseTransitions")
    body = {
        **found.thing,
        "metadata": {
            **metadata,
            "annotations": {
                **{key: value for key, value in (metadata.get("annotations") or {}).items() if key != WORKER},
                **_annotations(claim),
            },
        },
        "spec": _spec(claim, clock, (transitions if isinstance(transitions, int) else 0) + 1),
    }
    try:
        return Lock(api, clock, claim.run, api.replace(LEASES, body, NAMESPACE), sent)
    except Unreachable as error:
        if not error.maybe_done:
            raise
        return None


def _watch_standing_still(
    api: KubeApi, found: Held, claim: Claim, clock: Clock, report: t.Callable[[object], object]
) -> None:
    """Wait the whole duration of a Lease; LockHeld when it was renewed meanwhile."""
    report(f"{found.sentence()}; waiting {found.duration:.0f} seconds to see whether anybody renews it")
    # The time span itself is the rule. A little more, since the other side counts from when it began to send.
    clock.sleep(found.duration + 1.0)
    now = look(api)
    if now is not None and now.run != claim.run and now.version != found.version:
        raise LockHeld(
            f"{now.sentence()}; somebody renewed it while this run watched, so that one is alive and nothing was taken "
            "over: wait until it ends, or stop it where it runs.",
            held_by=now.run,
        )


def _same_play(found: Held, claim: Claim) -> bool:
    return bool(found.holder.started) and found.holder == claim.holder


def _held(found: Held, claim: Claim, here: Here) -> LockHeld:
    return LockHeld(
        f"{found.sentence()}, so {claim.about} cannot begin: {_way_out(found, claim, here)}",
        held_by=found.run,
        processes=[process.as_dict() for process in (found.holder, found.worker) if process != Process()],
    )


def _way_out(found: Held, claim: Claim, here: Here) -> str:
    """What to do, as far as this process can tell whether the other one still runs."""
    holder, worker = found.holder, found.worker
    take_over = (
        f"run the same command again with -e {claim.option}=true; it then watches the lock for {found.duration:.0f} "
        "seconds and goes on when nobody has renewed it."
    )
    if here.sees_end_of(holder) and worker.same_machine(here.observer):
        return (
            f"that playbook has ended, but a module that it started still works as process {worker.pid} on "
            f"{worker.host}; wait until it ends, or end it with `kill {worker.pid}` there, and run the same command "
            "again."
        )
    if here.sees_end_of(holder):
        return (
            "that playbook has ended, but a module that it started may still work on "
            f"{worker.host or 'an unknown machine'}. To go on, {take_over}"
        )
    if (holder.pid, holder.started) == (claim.holder.pid, claim.holder.started):
        return (
            f"it is the host {holder.inventory_host!r} of this very play; let one host of the inventory stand for a "
            "cluster."
        )
    if holder.same_machine(here.observer):
        return f"it still runs on this machine; wait until it ends, or stop it with `kill -INT {holder.pid}`."
    return (
        "whether that process still runs cannot be seen from here, since it is on another machine or in another "
        f"container. If it runs, wait until it ends. If it is dead, {take_over}"
    )


def _taken(run: str, found: Held) -> LockLost:
    who = found.sentence() if found.run else f"{WHERE} was given back"
    return LockLost(f"{who}, and not by this run ({run}) any more, so this run writes nothing any more.")


def _removed(run: str) -> LockLost:
    return LockLost(
        f"{WHERE} of this run ({run}) was removed, so this run writes nothing any more; run the same command again."
    )


def _annotations(claim: Claim) -> dict[str, str]:
    return {ABOUT: claim.about, HOLDER: json.dumps(claim.holder.as_dict())}


def _spec(claim: Claim, clock: Clock, transitions: int) -> dict[str, t.Any]:
    now = _micro_time(clock.now())
    return {
        "holderIdentity": claim.run,
        "leaseDurationSeconds": DURATION,
        "acquireTime": now,
        "renewTime": now,
        "leaseTransitions": transitions,
    }


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _shown(text: t.Any) -> str:
    return str(text or "an unknown time").partition(".")[0].rstrip("Z") + ("Z" if text else "")
