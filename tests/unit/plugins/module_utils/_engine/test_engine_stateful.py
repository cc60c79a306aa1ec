# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything the engine can do, in any order, against a model that only knows sets of addresses.

After every step the records keep the 32 invariants of spec ipam-engine.md §21 (``tests/invariants.py``, and
``tests/write_judge.py`` for each single write) and agree with the model (``tests/engine_model.py``).

In CI the steps are the same in every run (``derandomize``): a failure belongs to the change that shows it, and
nobody's merge waits for a rare find. The search for new ones is ``make nightly``, random and much longer.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import replace
from datetime import timedelta

from engine_model import INTRUDER, LOAD_BALANCER, NODES, Gone, Model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from invariants import WINDOWS
from write_judge import Request

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import (
    release_host_affinities,
    release_pool_affinities,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign, ensure_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import HostReserved
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore, UpdateConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    AllocationError,
    BadHandle,
    BadSequenceNumber,
    BlockLimit,
    BlockNotEmpty,
    ClaimConflict,
    HandleLimit,
    IpamError,
    NoConfiguredPools,
    NoFreeBlocks,
    NoQualifiedPool,
    Refused,
    RequestedPool,
    StrictAffinityRequired,
    UseNotAllowed,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.leftovers import (
    delete_empty_blocks,
    delete_rows_without_block,
    forget_stale_counts,
    prove_clean,
    rows_without_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.owner import OwnerChange, set_owner_attributes
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.ownership import (
    claim_affinity,
    release_affinity,
    release_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import (
    ips_by_handle,
    release_by_handle,
    release_ips,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings

NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
EXAMPLES, STEPS = (3000, 60) if NIGHTLY else (150, 40)

#: Where pools can be: a base address and what a block's prefix length is counted from.
PLACES = {
    "green": ("10.0.0.0", 4),
    "red": ("10.1.0.0", 4),
    "services": ("10.2.0.0", 4),
    "six": ("fd00:1::", 6),
    "six-b": ("fd00:2::", 6),
}
SETTINGS = [
    Settings(),
    Settings(cooldown_seconds=30),
    Settings(strict_affinity=True),
    Settings(strict_affinity=True, cooldown_seconds=5),
    Settings(strict_affinity=True, max_blocks_per_host=1),
    Settings(strict_affinity=True, auto_allocate_blocks=False),
    Settings(cooldown_seconds=1200),
    # Only raw writes store these; the engine obeys them all the same (§14).
    Settings(auto_allocate_blocks=False),
    Settings(max_blocks_per_host=2),
]
NO_ROOM = HostReserved(3, 1, WINDOWS, "kept by a Windows host")

hosts = st.sampled_from(["a", "b", "c"])
owners = st.sampled_from(["a", "b", "c", "win", LOAD_BALANCER])
handles = st.sampled_from(["one", "Two", "three", "k8s-pod-network.4"])
places = st.sampled_from(sorted(PLACES))
#: log2 of the addresses of a block: 30 and 126 first, 20 and 116 at the end.
block_bits = st.sampled_from([2, 2, 1, 3, 0, 4, 5, 6, 8, 12])
pool_bits = st.integers(0, 3)
ordinals = st.integers(0, 11)
picked = st.tuples(places, ordinals, st.booleans())
namespaces = st.sampled_from([None, {"team": "x"}])
#: After how many writes the call is cut by a crash; 0: not at all.
cuts = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4])


class Engine(RuleBasedStateMachine):
    steps: t.ClassVar[int] = 0
    crashes: t.ClassVar[int] = 0
    races: t.ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.m = Model()

    @initialize(
        sizes=st.lists(block_bits, min_size=5, max_size=5),
        lengths=st.lists(pool_bits, min_size=5, max_size=5),
        chosen=st.sampled_from(SETTINGS),
        reserved=st.lists(picked, max_size=2),
    )
    def begin(
        self, sizes: list[int], lengths: list[int], chosen: Settings, reserved: list[tuple[str, int, bool]]
    ) -> None:
        self.known: dict[str, Pool] = {}
        for name, size, length in zip(PLACES, sizes, lengths):
            self.known[name] = self.pool(name, size, length)
            self.m.memory.put_pool(self.known[name])
        self.m.set_settings(chosen)
        self.reservations_change(reserved)

    def pool(self, name: str, size: int, length: int) -> Pool:
        base, version = PLACES[name]
        block_size = (32 if version == 4 else 128) - size
        cidr = parse_network(f"{base}/{block_size - (length if size < 8 else min(length, 1))}")
        uses = {"LoadBalancer", "Workload"} if name in ("services", "six-b") else {"Workload", "Tunnel"}
        selector = "rack == 'one'" if name == "red" else "all()"
        mode = "Manual" if name == "six-b" else "Automatic"
        return Pool(name, cidr, block_size, node_selector=selector, allowed_uses=frozenset(uses), assignment_mode=mode)

    # Small words

    def tick(self) -> None:
        self.m.moment += self.m.moment.resolution * 1000
        type(self).steps += 1

    def there(self) -> dict[str, Pool]:
        return {pool.name: pool for pool in self.m.memory.pools()}

    def pool_of(self, text: str) -> Pool | None:
        address = parse_address(text)
        return next((pool for pool in self.m.memory.pools() if pool.cidr.contains(address)), None)

    def block_at(self, text: str) -> t.Any:
        address = parse_address(text)
        found = self.m.memory.blocks_in(address.network(address.bits))
        return found[0].value if found else None

    def sequence_of(self, text: str) -> int:
        block = self.block_at(text)
        return block.sequences.get(block.cidr.ordinal(parse_address(text)), 0) if block else 0

    def pick(self, place: str, number: int) -> str:
        """An address of a place: near its beginning, or, with large numbers, near its end."""
        cidr = self.known[place].cidr
        return str(cidr.address(number % cidr.size if number < 8 else max(0, cidr.size - 1 - (number - 8))))

    def type_of(self, host: str) -> str:
        return "virtual" if host == LOAD_BALANCER else "host"

    def use_of(self, host: str) -> str:
        return "LoadBalancer" if host == LOAD_BALANCER else "Workload"

    # Addresses are handed out

    @rule(
        host=st.sampled_from(["a", "a", "b", "c", LOAD_BALANCER]),
        handle=st.one_of(handles, st.none()),
        v4=st.sampled_from([1, 0, 2, 5, 9]),
        v6=st.sampled_from([0, 1, 3]),
        tunnel=st.booleans(),
        requested=st.lists(places, max_size=2, unique=True),
        namespace=namespaces,
        max_blocks=st.sampled_from([0, 0, 0, 1, 3]),
        max_per_handle=st.sampled_from([0, 0, 0, 1]),
    )
    def assign(
        self,
        host: str,
        handle: str | None,
        v4: int,
        v6: int,
        tunnel: bool,
        requested: list[str],
        namespace: dict[str, str] | None,
        max_blocks: int,
        max_per_handle: int,
    ) -> None:
        self.tick()
        use = "Tunnel" if tunnel and host != LOAD_BALANCER else self.use_of(host)
        cidrs = [self.known[name].cidr for name in requested]
        by_version = {v: [cidr for cidr in cidrs if cidr.version == v] for v in (4, 6)}
        asked = AssignRequest(
            host,
            v4,
            v6,
            handle,
            {"node": host, "pod": f"pod-{handle}"} if handle else None,
            use,
            by_version[4],
            by_version[6],
            namespace,
            max_blocks,
            max_per_handle if handle else 0,
        )
        request = Request(
            "automatic", host, self.type_of(host), use, [str(c) for c in cidrs], namespace or {}, max_blocks
        )
        self.assigned(asked, request)

    @rule(host=hosts, handle=handles, v4=st.integers(0, 4), v6=st.integers(0, 2), cut=cuts)
    def assign_plainly(self, host: str, handle: str, v4: int, v6: int, cut: int) -> None:
        self.tick()
        self.m.crash_after = cut or self.m.crash_after
        self.assigned(AssignRequest(host, v4, v6, handle, {"node": host}), Request("automatic", host))

    def assigned(self, asked: AssignRequest, request: Request) -> None:
        m = self.m
        pools = {v: m.usable(request, v) for v in (4, 6)}
        free = {v: m.free_in([pool.cidr for pool in pools[v]]) for v in (4, 6)}
        own = {v: m.free_in(m.owned_by(asked.host, pools[v])) for v in (4, 6)}
        before = dict(m.held)
        owned = len(m.memory.list_affinities(asked.host))
        result = m.do(request, lambda: auto_assign(m.store, asked, now=m.now), takes=asked.handle_id)
        if isinstance(result, Gone):
            return
        for version, wanted, family in ((4, asked.num_v4, result.v4), (6, asked.num_v6, result.v6)):
            if family is None:
                assert wanted == 0 or result.error is not None
                continue
            got = [str(assigned.address) for assigned in family.addresses]
            assert len(set(got)) == len(got)
            again = [address for address in got if address in before]
            assert all(asked.max_per_handle and before[address] == asked.handle_id for address in again)
            assert not any(address in m.reserved for address in got if address not in before)
            assert not any(m.rests(address) for address in got)
            if asked.max_per_handle == 0:
                assert len(got) <= wanted
                if result.error is None or type(result.error) in (BlockLimit, AllocationError):
                    # What a host has it gets, whatever else is wrong; who may borrow gets everything there is.
                    assert len(got) >= min(wanted, own[version]), result.problem
                if result.error is None and not m.settings.strict_affinity and not asked.host_reserved_v4:
                    assert len(got) == min(wanted, free[version]), result.problem
            for address in got:
                m.take(address, asked.handle_id)
        self.expect_error(asked, request, result.error, pools, owned)

    def expect_error(self, asked: AssignRequest, request: Request, error: t.Any, pools: t.Any, owned: int) -> None:
        settings_now = self.m.settings
        if error is None:
            return
        if isinstance(error, NotFoundInStore):
            assert request.owner_type == "host"
            assert asked.host not in self.m.nodes
        elif isinstance(error, (NoQualifiedPool, NoConfiguredPools)):
            assert not all(pools.values()) or asked.host_reserved_v4
        elif isinstance(error, RequestedPool):
            assert request.requested
        elif isinstance(error, BlockLimit):
            limits = [limit for limit in (asked.max_blocks, settings_now.max_blocks_per_host) if limit]
            # What the host had when the request began counts, also rows that turn out to be stale on the way.
            assert max(owned, len(self.m.memory.list_affinities(asked.host))) >= min(limits, default=20)
        elif isinstance(error, HandleLimit):
            assert asked.max_per_handle
        elif isinstance(error, StrictAffinityRequired):
            assert asked.windows
            assert not settings_now.strict_affinity
        else:
            assert error.__class__ is AllocationError, repr(error)
            assert not settings_now.auto_allocate_blocks

    @precondition(lambda self: self.m.settings.strict_affinity)
    @rule(version=st.sampled_from([4, 6]), number=st.sampled_from([1, 4]), handle=handles)
    def assign_on_windows(self, version: int, number: int, handle: str) -> None:
        self.tick()
        asked = AssignRequest(
            "win",
            number if version == 4 else 0,
            number if version == 6 else 0,
            handle,
            {"node": "win"},
            host_reserved_v4=NO_ROOM,
            host_reserved_v6=NO_ROOM,
            windows=True,
        )
        self.assigned(asked, Request("automatic", "win"))

    @precondition(lambda self: self.m.settings.strict_affinity)
    @rule(version=st.sampled_from([4, 6]))
    def ensure(self, version: int) -> None:
        self.tick()
        m = self.m
        result = m.do(
            Request("automatic", "win", limit=None),
            lambda: ensure_block(m.store, "win", NO_ROOM, now=m.now, version=version),
        )
        if isinstance(result, Network):
            assert m.memory.get_block(result).value.affinity == "host:win"
        else:
            assert isinstance(
                result,
                (Gone, NoFreeBlocks, NoQualifiedPool, NoConfiguredPools, StrictAffinityRequired, NotFoundInStore,
                 AllocationError, UpdateConflict),
            ), repr(result)  # fmt: skip

    @rule(
        host=owners,
        handle=st.one_of(handles, st.none()),
        place=places,
        number=ordinals,
        with_use=st.booleans(),
        once=st.booleans(),
    )
    def assign_given(self, host: str, handle: str | None, place: str, number: int, with_use: bool, once: bool) -> None:
        self.tick()
        m, address = self.m, self.pick(place, number)
        use = self.use_of(host) if with_use or host == LOAD_BALANCER else None
        pool = self.pool_of(address)
        block = self.block_at(address)
        limit = 1 if once and handle else 0
        result = m.do(
            Request("specific", host, self.type_of(host), use or ""),
            lambda: assign_ip(
                m.store,
                parse_address(address),
                host,
                now=m.now,
                handle_id=handle,
                attributes={"node": host},
                use=use,
                max_per_handle=limit,
            ),
            takes=handle,
        )
        taken = address in m.held or m.rests(address) or address in m.kept()
        owner = f"{self.type_of(host)}:{host}"
        others = m.settings.strict_affinity and block is not None and block.affinity != owner
        if isinstance(result, Gone):
            return
        if isinstance(result, NoQualifiedPool):
            assert pool is None or not pool.enabled
        elif isinstance(result, UseNotAllowed):
            assert pool is not None
            assert use not in pool.allowed_uses
        elif isinstance(result, AddressTaken):
            assert taken
        elif isinstance(result, ClaimConflict):
            assert others
        elif isinstance(result, HandleLimit):
            assert limit
        else:
            assert not isinstance(result, IpamError), repr(result)
            assert str(result.address) == address
            assert not others
            assert not taken or (limit and m.held[address] == handle)
            m.take(address, handle)

    # Addresses are given back

    @rule(
        picks=st.lists(
            st.tuples(places, ordinals, st.sampled_from(["right", "bare", "bare", "sequence", "handle"])),
            min_size=1,
            max_size=6,
        ),
        held=st.lists(
            st.tuples(st.integers(0, 30), st.sampled_from(["right", "bare", "sequence", "handle"])), max_size=4
        ),
    )
    def release_addresses(self, picks: list[tuple[str, int, str]], held: list[tuple[int, str]]) -> None:
        mine = sorted(self.m.held)
        wanted = [(self.pick(place, number), how) for place, number, how in picks]
        self.release(wanted + [(mine[number % len(mine)], how) for number, how in held if mine])

    def release(self, listed: list[tuple[str, str]]) -> None:
        self.tick()
        m = self.m
        kept = m.kept()
        wanted = {address: how for address, how in listed if address not in kept}
        requests: list[ReleaseRequest] = []
        spoiled: set[t.Any] = set()
        for address, how in wanted.items():
            sequence = None if how in ("bare", "handle") else self.sequence_of(address) + (how == "sequence")
            handle = "somebody" if how == "handle" else m.held.get(address) if how == "right" else None
            requests.append(ReleaseRequest(parse_address(address), handle, sequence))
            block = self.block_at(address)
            if block is not None and (how == "sequence" or (how == "handle" and address in m.held)):
                spoiled.add(block.cidr)
        rested = {a for a, since in m.resting.items() if m.rested(since)}
        ours = [a for a in wanted if a in m.held]
        outcome = m.do(
            Request("release", addresses=ours), lambda: release_ips(m.store, requests, now=m.now), gives=ours
        )
        if isinstance(outcome, Gone):
            return
        # A cooling address that has rested loses its sequence number while the block is read.
        spoiled |= {self.cidr_of(a) for a, how in wanted.items() if how in ("right", "sequence") and a in rested}
        done = {str(request.address) for request in outcome.released}
        assert outcome.error is None or isinstance(outcome.error, (BadHandle, BadSequenceNumber))
        for address in wanted:
            cidr = self.cidr_of(address)
            if address not in done:
                assert cidr in spoiled, f"{address}: {outcome.error}"
            elif address in m.held:
                assert wanted[address] in ("right", "bare")
                m.give_up(address)
            else:
                assert address in {str(missing) for missing in outcome.not_allocated}

    def cidr_of(self, text: str) -> t.Any:
        place = next((pool for pool in self.known.values() if pool.cidr.contains(parse_address(text))), None)
        return parse_address(text).network(place.block_size) if place else None

    @precondition(lambda self: self.m.held)
    @rule(first=st.integers(0, 30), number=st.integers(1, 40), cut=cuts)
    def release_many(self, first: int, number: int, cut: int) -> None:
        """Addresses one after the other, so that whole blocks become empty."""
        self.m.crash_after = cut or self.m.crash_after
        held = sorted(self.m.held)
        start = first % len(held)
        self.release([(address, "bare") for address in held[start : start + number]])

    @rule(handle=handles, number=st.integers(-3, 3))
    def release_handle(self, handle: str, number: int) -> None:
        """With a sequence number only what was recorded under it goes; negative numbers give none."""
        self.tick()
        m = self.m
        mine = sorted(address for address, holder in m.held.items() if holder == handle)
        sequence: int | None = None
        if number >= 0:
            sequence = self.sequence_of(mine[number % len(mine)]) if mine else 7
            mine = [address for address in mine if self.sequence_of(address) == sequence]
        result = m.do(
            Request("release", handle=handle, addresses=mine),
            lambda: release_by_handle(m.store, handle, now=m.now, sequence=sequence),
            gives=mine,
        )
        if isinstance(result, Gone):
            return
        if isinstance(result, NotFoundInStore):
            assert not mine
        else:
            assert result == len(mine), repr(result)
        for address in mine:
            m.give_up(address)

    # Blocks are claimed and given back

    @rule(host=owners, place=places, number=st.integers(0, 7), whole=st.booleans())
    def claim(self, host: str, place: str, number: int, whole: bool) -> None:
        self.tick()
        m, pool = self.m, self.known[place]
        cidr = pool.cidr if whole else pool.cidr.subnet(number % pool.block_count, pool.block_size)
        if self.type_of(host) == "host" and host not in m.nodes:
            return
        result = m.do(
            Request(),
            lambda: claim_affinity(m.store, cidr, host, now=m.now, affinity_type=self.type_of(host)),
        )
        enabled = self.pool_of(str(cidr.first))
        if isinstance(result, NoQualifiedPool):
            assert enabled is None or not enabled.enabled
        elif not isinstance(result, Gone):
            assert {*result.claimed, *result.failed} == set(cidr.subnets(pool.block_size)), repr(result)
            for block in result.claimed:
                assert m.memory.get_block(block).value.owner == (self.type_of(host), host)
                assert m.memory.get_affinity(host, self.type_of(host), block).value.state == "confirmed"
            for block in result.failed:
                assert m.memory.get_block(block).value.owner != (self.type_of(host), host)

    def owners_of(self, blocks: t.Iterable[t.Any]) -> dict[t.Any, str | None]:
        return {b.value.cidr: b.value.affinity for cidr in blocks for b in self.m.memory.blocks_in(cidr)}

    @rule(
        host=owners,
        place=places,
        empty=st.booleans(),
        how=st.sampled_from(["host", "pool", "range", "block"]),
        cut=cuts,
    )
    def release_affinities(self, host: str, place: str, empty: bool, how: str, cut: int) -> None:
        self.tick()
        self.m.crash_after = cut or self.m.crash_after
        m, pool = self.m, self.known[place]
        rows = [
            row.value for row in m.memory.list_affinities(affinity_type="host") if pool.cidr.contains(row.value.cidr)
        ]
        if how == "range" and rows:  # whoever has something there
            host = max(rows, key=lambda row: any(self.cidr_of(address) == row.cidr for address in m.held)).host
        kind = self.type_of(host)

        def call() -> t.Any:
            if how == "host":
                return release_host_affinities(m.store, host, now=m.now, affinity_type=kind, must_be_empty=empty)
            if how == "pool":
                return release_pool_affinities(m.store, pool.cidr, now=m.now, must_be_empty=empty)
            if how == "range":
                return release_affinity(m.store, pool.cidr, host, now=m.now, must_be_empty=empty)
            found = m.memory.blocks_in(pool.cidr)
            return bool(found) and release_block(access_to(m.store, m.now), found[0].value.cidr, must_be_empty=empty)

        in_use = {self.cidr_of(address) for address in m.held} - {None}
        owners_before, races = self.owners_of(in_use), m.races
        result = m.do(Request(), call)
        if isinstance(result, IpamError):
            assert (isinstance(result, BlockNotEmpty) and empty) or isinstance(
                result, (NoQualifiedPool, NotFoundInStore)
            )
            assert how in ("range", "block")
        if empty:
            assert m.races > races or self.owners_of(in_use) == owners_before
        elif not isinstance(result, (Gone, IpamError)) and how in ("host", "pool"):
            rows = [
                stored.value.cidr
                for stored in m.memory.list_affinities()
                if (stored.value.host == host if how == "host" else pool.cidr.contains(stored.value.cidr))
            ]
            # A row without a block survives all of these (§13).
            assert not any(m.memory.blocks_in(cidr) for cidr in rows)

    def closed(self) -> list[str]:
        """The places without an enabled pool, those with many blocks first."""
        there = {pool.name for pool in self.m.memory.pools() if pool.enabled}
        return sorted(
            self.known.keys() - there, key=lambda name: (-len(self.m.memory.blocks_in(self.known[name].cidr)), name)
        )

    @precondition(lambda self: self.closed())
    @rule(number=st.sampled_from([0, 0, 1, 2]), anywhere=st.sampled_from([False, False, False, True]))
    def clean_range(self, number: int, anywhere: bool) -> None:
        names = sorted(self.known) if anywhere else self.closed()
        self.clean(self.known[names[number % len(names)]].cidr)

    def clean(self, cidr: Network) -> None:
        self.tick()
        m = self.m

        def call() -> None:
            release_pool_affinities(m.store, cidr, now=m.now, must_be_empty=True)
            delete_empty_blocks(m.store, cidr, now=m.now)
            delete_rows_without_block(m.store, rows_without_block(m.store, cidr))
            forget_stale_counts(m.store, cidr)

        result = m.do(Request(), call)
        if isinstance(result, Refused):
            assert any(pool.enabled for pool in m.memory.pools() if pool.cidr.overlaps(cidr))
        elif not isinstance(result, Gone):
            assert result is None, repr(result)
            blocks = {stored.value.cidr: stored.value for stored in m.memory.blocks_in(cidr)}
            assert all(row.value.cidr in blocks for row in m.memory.list_affinities() if cidr.contains(row.value.cidr))
            assert all(
                counted in blocks
                for stored in m.memory.handles_in(cidr)
                for counted in stored.value.blocks
                if cidr.contains(counted)
            )

    # Owners of addresses

    @precondition(lambda self: self.m.held)
    @rule(
        number=st.integers(0, 30),
        right=st.booleans(),
        active=st.sampled_from([None, {}, {"pod": "p", "namespace": "n"}, "clear"]),
        alternate=st.sampled_from([None, {"pod": "q", "namespace": "n"}, "clear"]),
        empty=st.booleans(),
    )
    def edit_owner(self, number: int, right: bool, active: t.Any, alternate: t.Any, empty: bool) -> None:
        self.tick()
        m = self.m
        address = sorted(m.held)[number % len(m.held)]
        handle = m.held[address] or "nobody"

        def change(wanted: t.Any) -> OwnerChange:
            cleared = wanted == "clear"
            return OwnerChange(None if cleared else wanted, cleared, None, empty)

        result = m.do(
            Request(),
            lambda: set_owner_attributes(
                m.store,
                parse_address(address),
                handle if right else "somebody",
                now=m.now,
                active=change(active),
                alternate=change(alternate),
            ),
        )
        pool = self.pool_of(address)
        if isinstance(result, NotFoundInStore):
            assert pool is None or not pool.enabled
        elif isinstance(result, UpdateConflict):
            assert not right or empty or m.held[address] is None
        elif not isinstance(result, Gone):
            assert result is None, repr(result)
            assert right

    # The cluster changes

    @rule(place=places, change=st.sampled_from(["disabled", "terminating", "allocatable"]))
    def switch_pool(self, place: str, change: str) -> None:
        pool = self.there().get(place)
        if pool is not None:
            self.put(replace(pool, **{change: not getattr(pool, change)}))

    @precondition(lambda self: self.closed())
    @rule()
    def pools_open_again(self) -> None:
        for pool in self.there().values():
            self.put(replace(pool, disabled=False, terminating=False, allocatable=True, node_selector="all()"))

    def put(self, pool: Pool) -> None:
        self.tick()
        self.known[pool.name] = pool
        self.m.memory.put_pool(pool)

    @rule(
        place=places,
        selector=st.sampled_from(["all()", "rack == 'one'", "!all()", "has(rack) && rack in {'two'}"]),
        namespace=st.sampled_from(["", "team == 'x'"]),
        uses=st.sampled_from([("Workload", "Tunnel"), ("Workload",), ("LoadBalancer",), ("Workload", "LoadBalancer")]),
        mode=st.sampled_from(["Automatic", "Automatic", "Manual"]),
    )
    def narrow_pool(self, place: str, selector: str, namespace: str, uses: tuple[str, ...], mode: str) -> None:
        pool = self.there().get(place)
        if pool is not None:
            self.put(
                replace(
                    pool,
                    node_selector=selector,
                    namespace_selector=namespace,
                    allowed_uses=frozenset(uses),
                    assignment_mode=mode,
                )
            )

    @rule(place=places, politely=st.booleans())
    def pool_vanishes(self, place: str, politely: bool) -> None:
        """With a bare DELETE the blocks keep their owners; a client disables the pool and takes them away first."""
        pool = self.there().get(place)
        if pool is None:
            return
        self.tick()
        if politely:
            self.put(replace(pool, disabled=True))
            self.m.do(Request(), lambda: release_pool_affinities(self.m.store, pool.cidr, now=self.m.now))
        self.m.memory.remove_pool(place)

    @rule(place=places, owners_first=st.booleans())
    def pool_is_drained(self, place: str, owners_first: bool) -> None:
        """The order that leaves nothing behind (§20), also when the blocks lose their owners first."""
        pool, m = self.there().get(place), self.m
        if pool is None:
            return
        accidents = m.crashed + m.races
        self.put(replace(pool, disabled=True))
        if owners_first:
            m.do(Request(), lambda: release_pool_affinities(m.store, pool.cidr, now=m.now))
        inside = [address for address in m.held if pool.cidr.contains(parse_address(address))]
        if inside:
            self.release([(address, "bare") for address in sorted(inside)])
        self.records_and_model_agree()
        m.moment += timedelta(seconds=m.settings.cooldown_seconds + 1)
        if not owners_first:
            m.do(Request(), lambda: release_pool_affinities(m.store, pool.cidr, now=m.now))
        self.clean(pool.cidr)
        if m.crashed + m.races == accidents:
            assert prove_clean(m.memory, pool.cidr).clean, prove_clean(m.memory, pool.cidr)
        m.memory.remove_pool(place)

    @rule(place=places, size=block_bits, length=pool_bits)
    def pool_appears(self, place: str, size: int, length: int) -> None:
        """A pool comes back, with another block size only where nothing is left of the old one (§20)."""
        if place in self.there():
            return
        old, new = self.known[place], self.pool(place, size, length)
        left = self.m.memory.blocks_in(old.cidr) or [
            row for row in self.m.memory.list_affinities() if old.cidr.contains(row.value.cidr)
        ]
        self.put(replace(old, disabled=False, terminating=False) if left else new)

    @rule(host=st.sampled_from(sorted(NODES)), rack=st.sampled_from([None, None, "one", "two"]))
    def node_changes(self, host: str, rack: str | None) -> None:
        self.tick()
        m = self.m
        if rack is not None:
            m.nodes[host] = {"rack": rack}
            m.memory.put_node(host, {"rack": rack})
        elif host in m.nodes:
            del m.nodes[host]
            m.memory.remove_node(host)
        else:
            m.nodes[host] = NODES[host]
            m.memory.put_node(host, NODES[host])

    @rule(chosen=st.sampled_from(SETTINGS))
    def settings_change(self, chosen: Settings) -> None:
        self.tick()
        self.m.set_settings(chosen)

    @rule(picks=st.lists(picked, max_size=3))
    def reservations_change(self, picks: list[tuple[str, int, bool]]) -> None:
        """Single addresses and whole blocks."""
        self.tick()
        entries = []
        for place, number, whole in picks:
            address = parse_address(self.pick(place, number))
            entries.append(str(address.network(self.known[place].block_size if whole else address.bits)))
        self.m.set_reservations(entries)

    @rule(seconds=st.sampled_from([0.25, 1, 5, 6, 31, 61, 1201]))
    def wait(self, seconds: float) -> None:
        self.tick()
        self.m.moment += self.m.moment.resolution * int(seconds * 1_000_000)

    # Crashes

    @rule(writes=st.integers(1, 7))
    def crash_soon(self, writes: int) -> None:
        """The next call ends after that many writes, if it makes as many."""
        self.m.crash_after = writes

    @rule(
        writes=st.integers(1, 6),
        host=hosts,
        place=places,
        what=st.sampled_from(["assign", "assign", "retire", "claim", "edit"]),
    )
    def somebody_acts_soon(self, writes: int, host: str, place: str, what: str) -> None:
        """Right before the write of that number somebody else does something to the same records."""
        m, cidr = self.m, self.known[place].cidr
        v4 = 3 if cidr.version == 4 else 0
        asked = AssignRequest(host, v4, 3 - v4, INTRUDER, {"node": host})

        def edit() -> None:
            address = sorted(m.held)[0] if m.held else "10.0.0.0"
            change = OwnerChange({"pod": "moved"})
            set_owner_attributes(m.store, parse_address(address), m.held.get(address) or "", now=m.now, active=change)

        acts: dict[str, tuple[Request, t.Callable[[], t.Any]]] = {
            "assign": (Request("automatic", host), lambda: auto_assign(m.store, asked, now=m.now)),
            "retire": (Request(), lambda: release_pool_affinities(m.store, cidr, now=m.now)),
            "claim": (Request(), lambda: host in m.nodes and claim_affinity(m.store, cidr, host, now=m.now)),
            "edit": (Request(), edit),
        }
        m.race = (writes, *acts[what])

    @precondition(lambda self: self.m.crashed or self.m.races)
    @rule(host=hosts, place=places)
    def next_visit_heals(self, host: str, place: str) -> None:
        """An assignment that walks all the host's blocks of a pool leaves only confirmed rows (§7.3, §7.5)."""
        m, pool = self.m, self.there().get(place)
        if pool is None or host not in m.nodes or not pool.enabled or "Workload" not in pool.allowed_uses:
            return
        self.tick()
        m.crash_after = m.race = None
        number = min(m.free_in([pool.cidr]) + 1, 600)
        v4, v6 = (number, 0) if pool.version == 4 else (0, number)
        asked = AssignRequest(
            host, v4, v6, "healer", None, "Workload", [pool.cidr][: bool(v4)], [pool.cidr][: bool(v6)]
        )
        request = Request("automatic", host, requested=[str(pool.cidr)])
        self.assigned(asked, request)
        if number == 600:
            return
        reservations = m.memory.reservations()
        for stored in m.memory.list_affinities(host):
            row = stored.value
            if pool.cidr.contains(row.cidr) and not reservations.whole(row.cidr):
                assert row.state == "confirmed"
                assert m.memory.get_block(row.cidr).value.affinity == f"host:{host}"
        self.release_handle("healer", -1)

    # What must hold

    @invariant()
    def records_and_model_agree(self) -> None:
        m = self.m
        m.check()
        m.agree()
        for handle in {holder for holder in m.held.values() if holder}:
            mine = {address for address, holder in m.held.items() if holder == handle}
            assert {str(address) for address in ips_by_handle(m.memory, handle, now=m.now)} == mine

    def teardown(self) -> None:
        type(self).crashes += self.m.crashed
        type(self).races += self.m.races


def test_engine_agrees_with_a_naive_model() -> None:
    Engine.steps = Engine.crashes = Engine.races = 0
    run_state_machine_as_test(
        Engine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=not NIGHTLY,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Engine.steps >= 2000
    assert Engine.crashes >= 20
    assert Engine.races >= 20


# What the machine found, as cases of their own.


def test_blocks_too_small_for_what_the_host_reserves_count_towards_its_limit() -> None:
    engine = Model()
    engine.memory.put_pool(Pool("fit", parse_network("10.0.0.0/29"), 29))
    engine.memory.put_pool(Pool("small", parse_network("10.1.0.0/24"), 31))
    engine.set_settings(Settings(strict_affinity=True))
    asked = AssignRequest("win", 8, 0, "one", host_reserved_v4=NO_ROOM, windows=True)
    result = engine.do(Request("automatic", "win"), lambda: auto_assign(engine.store, asked, now=engine.now))
    assert isinstance(result.error, BlockLimit)
    assert len(result.addresses) == 4
    assert len(engine.memory.list_affinities("win")) == 20
    for assigned in result.addresses:
        engine.take(str(assigned.address), "one")
    engine.check()
    engine.agree()
