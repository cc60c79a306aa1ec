# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Wait until the last address has left a range.

Pods that end, tunnels that move and Calico's garbage collection show as changes of blocks,
which are watched. A cooling address lets go at a moment that is known, which is slept for.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block, clean_up
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import COOLING
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    Holding,
    holdings,
    name_them,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_state import rests_until
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire import block_cidr, decode_block

# Times are stored in whole seconds, and an address is free strictly after its last one.
MOMENT = 0.01

Held = t.Sequence[Holding]
Report = t.Callable[[object], object]


@dataclass(frozen=True)
class Waiting:
    """Progress: what is waited for."""

    what: str
    left: tuple[Holding, ...]

    def __str__(self) -> str:
        return f"{self.what}: waiting for {held_text(self.left)}"


@dataclass(frozen=True)
class Wording:
    """How the caller speaks of the range.

    ``what`` begins a line of progress. ``refuse_staying`` raises when one of the holders will
    not let go by itself; ``timed_out`` is the failure for those left after so many seconds.
    """

    what: str
    refuse_staying: t.Callable[[Held], None]
    timed_out: t.Callable[[Held, float], Refused]


def held_text(held: Held) -> str:
    """How many addresses are held, by whom, and how many merely cool down; for a sentence."""
    others = [holding for holding in held if holding.holder.kind != COOLING]
    parts = [f"{len(others)} addresses of {name_them(others)}"] if others else []
    if len(others) < len(held):
        parts.append(f"{len(held) - len(others)} cooling addresses")
    return " and ".join(parts)


def held_now(api: KubeApi, store: Datastore, network: Network, clock: Clock) -> list[Holding]:
    """The addresses in use in the blocks of a range; those whose cooldown has passed are not."""
    return _held(api, [block.value for block in store.blocks_in(network)], network, store, clock)


def wait_until_free(
    api: KubeApi,
    store: Datastore,
    network: Network,
    *,
    watched: Resource | None,
    timeout: float,
    clock: Clock,
    report: Report,
    wording: Wording,
) -> None:
    """Return when nobody holds an address of the range any more.

    ``watched`` is the resource in which the store's blocks can be watched; None when the store
    keeps them elsewhere, and then only cooling addresses are waited for. What ``wording``
    raises is raised when a holder stays, or when ``timeout`` seconds are over.
    """
    begun = clock.monotonic()
    deadline = begun + timeout
    held = held_now(api, store, network, clock)
    wording.refuse_staying(held)
    if not held:
        return
    report(Waiting(wording.what, tuple(held)))
    if watched is None:
        _sleep_until_free(api, store, network, held, timeout, clock, wording)
        return
    seen = _Seen(network)
    with Watches(api) as watches:
        watches.follow("blocks", watched)
        while True:
            left = max(0.0, deadline - clock.monotonic())
            rest = seconds_until_rested(held, store.settings().cooldown_seconds, clock)
            notice = watches.next(left if rest is None else min(left, rest))
            if notice is None and (rest is None or rest >= left):
                raise wording.timed_out(held, clock.monotonic() - begun)
            if notice is not None and not seen.take(notice):
                continue
            if not seen.synced:
                continue
            before, held = held, _held(api, seen.blocks.values(), network, store, clock)
            wording.refuse_staying(held)
            if not held:
                return
            if held != before:
                report(Waiting(wording.what, tuple(held)))


def _sleep_until_free(
    api: KubeApi,
    store: Datastore,
    network: Network,
    held: list[Holding],
    timeout: float,
    clock: Clock,
    wording: Wording,
) -> None:
    begun = clock.monotonic()
    while held:
        rest = seconds_until_rested(held, store.settings().cooldown_seconds, clock)
        if rest is None or any(holding.holder.kind != COOLING for holding in held):
            raise wording.timed_out(held, clock.monotonic() - begun)
        left = begun + timeout - clock.monotonic()
        clock.sleep(max(0.0, min(rest, left)))
        held = held_now(api, store, network, clock)
        wording.refuse_staying(held)
        if held and rest >= left:
            raise wording.timed_out(held, clock.monotonic() - begun)


class _Seen:
    """The blocks of a range as a watch tells of them."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.blocks: dict[str, Block] = {}
        self.synced = False

    def take(self, notice: Notice) -> bool:
        """Whether the notice changes anything here."""
        change = notice.change
        if change.type == "SYNCED":
            self.synced = True
            return True
        if change.type == "DELETED":
            return self.blocks.pop(_name(change.object), None) is not None
        if change.type in ("ADDED", "MODIFIED") and self._network.overlaps(block_cidr(change.object)):
            self.blocks[_name(change.object)] = decode_block(change.object)
            return True
        return False


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])


def _held(api: KubeApi, blocks: t.Iterable[Block], network: Network, store: Datastore, clock: Clock) -> list[Holding]:
    now, cooldown = clock.now(), store.settings().cooldown_seconds
    return holdings(api, [clean_up(block, now, cooldown) for block in blocks], network)


def seconds_until_rested(held: Held, cooldown: int, clock: Clock) -> float | None:
    """Until the next cooling address is free; None when there is none, or none whose time can be read."""
    moments = [moment for moment in (rests_until(holding, cooldown) for holding in held) if moment is not None]
    return None if not moments else max(0.0, (min(moments) - clock.now()).total_seconds()) + MOMENT
