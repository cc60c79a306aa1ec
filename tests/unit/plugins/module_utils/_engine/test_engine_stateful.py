# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine over a store in memory against a model that only knows who holds which address.

After every step the store must keep the invariants of spec ipam-engine.md §21 and agree with
the model: what is held, what rests, how many addresses a request can get.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity_release import (
    release_host_affinities,
    release_pool_affinities,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_release import ReleaseRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    AddressTaken,
    ClaimConflict,
    NoConfiguredPools,
    NoQualifiedPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import (
    ips_by_handle,
    release_by_handle,
    release_ips,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

POOLS = {
    "green": Pool("green", parse_network("10.0.0.0/29"), 31),
    "red": Pool("red", parse_network("10.1.0.0/29"), 30, node_selector="rack == 'one'"),
}
ALL = [pool.cidr.address(ordinal) for pool in POOLS.values() for ordinal in range(pool.cidr.size)]
HOSTS = {"a": {"rack": "one"}, "b": {"rack": "one"}, "c": {"rack": "two"}}

hosts = st.sampled_from(sorted(HOSTS))
handles = st.sampled_from([f"handle-{number}" for number in range(5)])
addresses = st.sampled_from(ALL)


@pytest.fixture
def machine(check: t.Callable[..., None], now: t.Any) -> type[RuleBasedStateMachine]:
    clock_type = type(now)

    class Engine(RuleBasedStateMachine):
        @initialize(strict=st.booleans(), cooldown=st.sampled_from([0, 30]), reserved=st.sets(addresses, max_size=3))
        def begin(self, strict: bool, cooldown: int, reserved: set[Address]) -> None:
            self.now = clock_type()
            self.cooldown = cooldown
            self.strict = strict
            self.reserved = reserved
            self.store = MemoryStore(POOLS.values(), HOSTS, Settings(strict_affinity=strict, cooldown_seconds=cooldown))
            self.store.set_reservations([str(address) for address in reserved])
            self.held: dict[Address, str] = {}
            self.resting: dict[Address, t.Any] = {}
            self.disabled: set[str] = set()

        # The model

        def forget_rested(self) -> None:
            limit = self.now() - timedelta(seconds=self.cooldown)
            self.resting = {address: since for address, since in self.resting.items() if not since < limit}

        def give_up(self, address: Address) -> None:
            del self.held[address]
            if self.cooldown:
                self.resting[address] = self.now().replace(microsecond=0)

        def usable(self, host: str) -> set[Address]:
            open_pools = [
                pool
                for pool in POOLS.values()
                if pool.name not in self.disabled and (pool.name == "green" or HOSTS[host]["rack"] == "one")
            ]
            return {address for address in ALL if any(pool.cidr.contains(address) for pool in open_pools)}

        # What can happen

        @rule(host=hosts, handle=handles, count=st.integers(1, 8))
        def assign_some(self, host: str, handle: str, count: int) -> None:
            self.forget_rested()
            usable = self.usable(host)
            free = usable - self.held.keys() - self.resting.keys() - self.reserved
            asked = AssignRequest(host, num_v4=count, handle_id=handle, attributes={"node": host})
            result = auto_assign(self.store, asked, now=self.now)
            got = [assigned.address for assigned in result.addresses]
            assert set(got) <= free
            assert len(set(got)) == len(got)
            if not usable:
                assert isinstance(result.error, (NoQualifiedPool, NoConfiguredPools))
            else:
                assert result.error is None
                # Whoever may borrow gets everything there is.
                assert len(got) <= count if self.strict else len(got) == min(count, len(free))
            self.held.update(dict.fromkeys(got, handle))

        @rule(host=hosts, handle=handles, address=addresses)
        def assign_one(self, host: str, handle: str, address: Address) -> None:
            self.forget_rested()
            enabled = any(p.cidr.contains(address) for p in POOLS.values() if p.name not in self.disabled)
            try:
                assign_ip(self.store, address, host, now=self.now, handle_id=handle)
            except AddressTaken:
                assert address in self.held or address in self.resting
            except NoQualifiedPool:
                assert not enabled
            except ClaimConflict:
                assert self.strict
            else:
                assert enabled
                assert address not in self.held
                assert address not in self.resting
                self.held[address] = handle

        @rule(handle=handles)
        def release_handle(self, handle: str) -> None:
            mine = [address for address, holder in self.held.items() if holder == handle]
            try:
                assert release_by_handle(self.store, handle, now=self.now) == len(mine)
            except NotFoundInStore:
                assert not mine
            for address in mine:
                self.give_up(address)

        @rule(wanted=st.lists(addresses, min_size=1, max_size=6, unique=True))
        def release_addresses(self, wanted: list[Address]) -> None:
            outcome = release_ips(self.store, [ReleaseRequest(a, self.held.get(a)) for a in wanted], now=self.now)
            assert outcome.error is None
            assert set(outcome.not_allocated) == {address for address in wanted if address not in self.held}
            for address in wanted:
                if address in self.held:
                    self.give_up(address)

        @rule(name=st.sampled_from(sorted(POOLS)))
        def switch_pool(self, name: str) -> None:
            self.disabled ^= {name}
            self.store.put_pool(replace(POOLS[name], disabled=name in self.disabled))

        @rule(name=st.sampled_from(sorted(POOLS)))
        def release_pool(self, name: str) -> None:
            release_pool_affinities(self.store, POOLS[name].cidr, now=self.now)
            assert not any(POOLS[name].cidr.overlaps(row.value.cidr) for row in self.store.list_affinities())

        @rule(host=hosts, careful=st.booleans())
        def release_host(self, host: str, careful: bool) -> None:
            release_host_affinities(self.store, host, now=self.now, must_be_empty=careful)
            assert careful or self.store.list_affinities(host) == []

        @rule(seconds=st.sampled_from([0.25, 1, 29, 30, 31, 61]))
        def wait(self, seconds: float) -> None:
            self.now.pass_seconds(seconds)

        # What must hold

        @invariant()
        def store_agrees(self) -> None:
            if not hasattr(self, "store"):
                return
            check(self.store, self.now(), ownerless_empty=self.cooldown > 0)
            found: dict[Address, str | None] = {}
            for stored in self.store.list_blocks():
                for ordinal in range(stored.value.cidr.size):
                    attribute = stored.value.attribute_at(ordinal)
                    if attribute is not None and attribute.released_at is None:
                        found[stored.value.cidr.address(ordinal)] = attribute.handle_id
            assert found == self.held
            for handle in set(self.held.values()):
                mine = {address for address, holder in self.held.items() if holder == handle}
                assert set(ips_by_handle(self.store, handle, now=self.now)) == mine

    return Engine


def test_engine_agrees_with_a_naive_model(machine: type[RuleBasedStateMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
