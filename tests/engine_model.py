# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A naive model of the engine: sets of addresses, who holds them, since when they rest. No blocks, no order.

Calls of the engine go through ``Model.do``: their writes are judged one by one, and a crash or somebody else's
call is put in where the test wants it. ``agree`` compares the model with what is stored, ``check`` has all records
judged.
"""

from __future__ import annotations

import ipaddress
import typing as t
from datetime import datetime, timedelta, timezone

from invariants import WINDOWS, History, Holder, Violation, allocated, check, settings_object, state_of_memory
from write_judge import Request, World, Write, WriteRecorder, judge

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings, check_settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

LOAD_BALANCER = "load-balancer"
NODES: dict[str, dict[str, str]] = {
    "a": {"rack": "one"},
    "b": {"rack": "one"},
    "c": {"rack": "two"},
    "win": {"rack": "two", "kubernetes.io/os": "windows"},
}


class Crash(BaseException):
    """The process is gone: nothing may handle this."""


class Gone(t.NamedTuple):
    """What ``do`` answers for a call whose result says nothing: a crash cut it, or somebody acted in its middle."""

    after: int


INTRUDER = "intruder"


class Model:
    """The store with everything around it, and the model of what is in it. Addresses are texts."""

    def __init__(self) -> None:
        self.memory = MemoryStore((), NODES)
        self.store = WriteRecorder(self.memory, self._told, self._let_others_act)
        self.moment = datetime(2026, 8, 20, 9, tzinfo=timezone.utc)
        self.settings = Settings()
        self.raw_settings = False
        self.reserved: set[str] = set()
        self.entries: list[str] = []
        self.nodes = dict(NODES)
        self.held: dict[str, str | None] = {}
        self.resting: dict[str, datetime] = {}
        self.crash_after: int | None = None
        self.crashed = 0
        self.race: tuple[int, Request, t.Callable[[], t.Any]] | None = None
        self.races = 0
        self._intruding = False
        self.request = Request()
        self.writes = 0
        self._history = History()
        self._left_empty: set[str] = set()
        self._problems: list[str] = []

    # Calls

    def now(self) -> datetime:
        return self.moment

    def do(
        self,
        request: Request,
        call: t.Callable[[], t.Any],
        *,
        takes: str | None = None,
        gives: t.Collection[str] = (),
    ) -> t.Any:
        """The result of a call, the IpamError it raised, or Gone.

        ``takes``: the handle addresses may be found under after a crash, ``gives``: the addresses that may be free.
        """
        self.request = request
        self.writes = 0
        races = self.races
        try:
            result = call()
        except IpamError as error:
            result = error
        except Crash:
            self.crashed += 1
            self._remember_ownerless(crashed=True)
            self._reconcile({takes, INTRUDER}, gives)
            return Gone(self.writes)
        finally:
            if self.writes:
                self.crash_after = None
            self.request = Request()
        if self.races == races:
            return result
        self._remember_ownerless(crashed=True)
        self._reconcile({takes, INTRUDER}, gives)
        for address in getattr(result, "addresses", ()):
            assert self.held[str(address.address)] == takes, f"{address} was reported, but not assigned"
        return Gone(self.writes)

    def _let_others_act(self) -> None:
        if self.race is None or self._intruding:
            return
        number, request, act = self.race
        if number > 1:
            self.race = (number - 1, request, act)
            return
        self.race, mine, self.request, self._intruding = None, self.request, request, True
        self.races += 1
        try:
            act()
        except IpamError:
            pass
        finally:
            self.request, self._intruding = mine, False

    def _told(self, write: Write) -> None:
        self.writes += 1
        world = World(
            self.moment,
            state_of_memory(self.memory).pools,
            self.nodes,
            self.entries,
            settings_object(self.settings),
            state_of_memory(self.memory).rows if write.kind == "BlockAffinity" else (),
        )
        self._problems.extend(str(violation) for violation in judge(write, self.request, world))
        if self.crash_after is not None and not self._intruding:
            self.crash_after -= 1
            if self.crash_after <= 0:
                raise Crash

    def _reconcile(self, takes: t.Collection[str | None], gives: t.Collection[str]) -> None:
        """After a crash the part of the call that was written is the truth, after a race what both made of it."""
        taken, _cooling = self.stored()
        for address, handle in taken.items():
            if address not in self.held:
                assert handle in takes, f"{address} went to {handle}, the call was for {takes}"
                self.take(address, handle)
        for address in [address for address in self.held if address not in taken]:
            assert address in gives, f"{address} was freed by a call for {sorted(gives)}"
            self.give_up(address)

    # The sets

    def take(self, address: str, handle: str | None) -> None:
        self.held[address] = handle
        self.resting.pop(address, None)

    def give_up(self, address: str) -> None:
        del self.held[address]
        if self.settings.cooldown_seconds:
            self.resting[address] = self.moment.replace(microsecond=0)

    def rests(self, address: str) -> bool:
        since = self.resting.get(address)
        return since is not None and not self.rested(since)

    def rested(self, since: datetime) -> bool:
        return since < self.moment - timedelta(seconds=self.settings.cooldown_seconds)

    def set_settings(self, settings: Settings) -> None:
        self.settings = settings
        self.memory.set_settings(settings)
        try:
            check_settings(settings)
        except IpamError:
            self.raw_settings = True
        else:
            self.raw_settings = False

    def set_reservations(self, entries: t.Sequence[str]) -> None:
        self.entries = list(entries)
        self.memory.set_reservations(entries)
        self.reserved = {str(address) for entry in entries for address in ipaddress.ip_network(entry)}

    def stored(self) -> tuple[dict[str, str | None], dict[str, str]]:
        """(handle by address, releasedAt by address) as stored, without what Windows hosts keep."""
        taken: dict[str, str | None] = {}
        cooling: dict[str, str] = {}
        for block in state_of_memory(self.memory).blocks:
            if not block["spec"]["attributes"]:
                continue
            for address, entry in allocated(block).items():
                if entry.get("releasedAt") is not None:
                    cooling[str(address)] = entry["releasedAt"]
                elif entry.get("handle_id") != WINDOWS:
                    taken[str(address)] = entry.get("handle_id")
        return taken, cooling

    def kept(self) -> set[str]:
        """What Windows hosts keep in blocks that exist."""
        return {
            str(address)
            for block in state_of_memory(self.memory).blocks
            if block["spec"]["attributes"]
            for address, entry in allocated(block).items()
            if entry.get("handle_id") == WINDOWS
        }

    def free_in(self, networks: t.Sequence[Network]) -> int:
        """How many addresses of these networks, which do not overlap, could be handed out now."""
        closed = self.held.keys() | self.reserved | self.kept() | {a for a in self.resting if self.rests(a)}
        parsed = [ipaddress.ip_network(str(network)) for network in networks]
        total = sum(network.num_addresses for network in parsed)
        return total - sum(any(_has(network, address) for network in parsed) for address in closed)

    def usable(self, request: Request, version: int) -> list[Pool]:
        """The pools of one family an automatic request may use."""
        from write_judge import usable_pools

        world = World(self.moment, state_of_memory(self.memory).pools, self.nodes)
        known = {str(pool.cidr): pool for pool in self.memory.pools()}
        return [known[str(network)] for network in usable_pools(request, world, version)]

    def owned_by(self, host: str, pools: t.Sequence[Pool]) -> list[Network]:
        """The blocks a host owns with a row, inside pools."""
        return [
            stored.value.cidr
            for stored in self.memory.list_affinities(host)
            if any(pool.cidr.contains(stored.value.cidr) for pool in pools)
            and any(b.value.affinity == stored.value.owner for b in self.memory.blocks_in(stored.value.cidr))
        ]

    def _excused(self, violation: Violation) -> bool:
        """Empty blocks without an owner may stay where something cooled in them, and after a crash (14)."""
        return violation.number == 14 and violation.objects[0] in self._left_empty

    def _remember_ownerless(self, *, crashed: bool = False) -> None:
        for block in state_of_memory(self.memory).blocks:
            spec = block["spec"]
            cools = any(entry.get("releasedAt") is not None for entry in spec["attributes"])
            if spec.get("affinity") is None and (cools or crashed):
                self._left_empty.add(block["metadata"]["name"])

    # What must hold after every step

    def agree(self) -> None:
        taken, cooling = self.stored()
        assert taken == self.held
        assert cooling.keys() <= self.resting.keys()
        for address, since in list(self.resting.items()):
            if address in cooling:
                assert cooling[address] == since.strftime("%Y-%m-%dT%H:%M:%SZ"), address
            else:
                assert self.rested(since), f"{address} does not rest any more"
                del self.resting[address]

    def check(self) -> None:
        state = state_of_memory(
            self.memory,
            now=self.moment,
            nodes=set(self.nodes),
            settings=None if self.raw_settings else settings_object(self.settings),
            holders=[Holder(address, handle) for address, handle in self.held.items()],
        )
        vanished = NODES.keys() - self.nodes.keys()
        judged = check(state, at_rest=not self.races, vanished=vanished)
        found = [violation for violation in judged if not self._excused(violation)]
        found += self._history.see(state)
        self._remember_ownerless()
        assert not self._problems, self._problems
        assert not found, [str(violation) for violation in found]


def _has(network: t.Any, address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.version == network.version and parsed in network
