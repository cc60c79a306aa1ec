# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ranges read, waited for and made clean in a store in memory; tests/system/test_pool_delete_races.py has an API."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import (
    HOST,
    PENDING,
    Affinity,
    confirm_affinity,
    create_owned_block,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.allocator import auto_assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assignment import AssignRequest
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_cleaning import Cleaned, make_clean
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_state import RangeState, read_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

NETWORK = parse_network("10.0.0.0/24")
BLOCK = parse_network("10.0.0.0/28")
POOL = Pool("old", NETWORK, 28)
START = datetime(2026, 8, 20, 9, tzinfo=timezone.utc)


class StepClock:
    """Time that passes when somebody sleeps; ``during`` happens in the middle of the next sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.during: list[t.Callable[[], object]] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        if self.during:
            self.during.pop(0)()


class Pods:
    """Lists the pods of a cluster, given as namespace/name and address."""

    def __init__(self, **pods: str) -> None:
        self._pods = pods

    def list(self, resource: Resource, namespace: str | None = None, **_options: t.Any) -> Listing:
        return Listing(
            [
                {
                    "metadata": {"namespace": "shop", "name": name},
                    "spec": {},
                    "status": {"phase": "Running", "podIPs": [{"ip": address}]},
                }
                for name, address in self._pods.items()
            ],
            "1",
        )


class Cluster:
    """A store with one disabled pool; what is done to it is done by the engine, as Calico would."""

    def __init__(self, cooldown: int = 0) -> None:
        self.store = MemoryStore([POOL], {"node-1": {}, "node-2": {}}, Settings(cooldown_seconds=cooldown))
        self.clock = StepClock()
        self.api = Pods()
        self.lines: list[str] = []

    def take(self, pod: str, node: str = "node-1") -> str:
        request = AssignRequest(
            host=node, num_v4=1, handle_id=f"net.{pod}", attributes={"namespace": "shop", "pod": pod, "node": node}
        )
        result = auto_assign(self.store, request, now=self.clock.now)
        assert result.error is None
        assert result.v4 is not None
        return str(result.v4.addresses[0]).partition("/")[0]

    def disable(self) -> None:
        self.store.put_pool(replace(POOL, disabled=True))

    def state(self) -> RangeState:
        return read_range(t.cast("t.Any", self.api), self.store, NETWORK, self.clock.now)

    def clean(self, *, check_mode: bool = False, timeout: float = 60, settle: float = 5) -> Cleaned:
        return make_clean(
            t.cast("t.Any", self.api),
            self.store,
            NETWORK,
            watched=None,
            timeout=timeout,
            settle=settle,
            clock=self.clock,
            report=lambda event: self.lines.append(str(event)),
            check_mode=check_mode,
        )


def reasons(state: RangeState) -> list[tuple[str, str]]:
    return [(finding.what, finding.reason) for finding in state.findings]


def empty_block(cluster: Cluster, owner: str | None) -> None:
    cluster.store.create_block(new_block(BLOCK, 7, owner))


def row(cluster: Cluster, host: str = "node-1", state: str = "confirmed") -> None:
    cluster.store.create_affinity(Affinity(host, HOST, BLOCK, state))


def residue(cluster: Cluster) -> None:
    """The last address of an ownerless block cooled down, and nobody ever looked again (§18.6)."""
    cluster.store.set_settings(Settings(cooldown_seconds=30))
    cluster.take("a")
    release_by_handle(cluster.store, "net.a", now=cluster.clock.now)
    for stored in cluster.store.list_affinities():
        cluster.store.delete_affinity(stored)
    for block in cluster.store.list_blocks():
        cluster.store.update_block(block, replace(block.value, affinity=None))
    cluster.clock.seconds += 31


DAMAGE: dict[str, tuple[t.Callable[[Cluster], object], list[tuple[str, str]]]] = {
    "an empty block with its row": (
        lambda c: (empty_block(c, "host:node-1"), row(c)),
        [("block", "empty"), ("affinity", "with_block")],
    ),
    "an empty block of nobody": (lambda c: empty_block(c, None), [("block", "empty_without_owner")]),
    "an owner without a row": (lambda c: empty_block(c, "host:node-1"), [("block", "empty_without_affinity")]),
    "a row without a block": (row, [("affinity", "without_block")]),
    "a row that contradicts": (
        lambda c: (empty_block(c, "host:node-1"), row(c), row(c, "node-2", "pendingDeletion")),
        [("block", "empty"), ("affinity", "with_block"), ("affinity", "contradicted")],
    ),
    "two rows without a block": (
        lambda c: (row(c), row(c, "node-2", "pending")),
        [("affinity", "without_block"), ("affinity", "without_block")],
    ),
    "a count of nothing": (
        lambda c: c.store.create_handle(Handle("net.gone", {BLOCK: 3, parse_network("10.9.0.0/28"): 1})),
        [("handle", "stale_count")],
    ),
    "cooled down and forgotten": (residue, [("block", "empty_without_owner")]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_left_is_named_and_taken_away(name: str) -> None:
    damage, wanted = DAMAGE[name]
    cluster = Cluster()
    damage(cluster)
    cluster.disable()
    state = cluster.state()
    assert reasons(state) == wanted
    assert not state.clean and not state.held
    would = cluster.clean(check_mode=True)
    assert would.plan.changed and not would.after.clean
    assert [step.target for step in would.plan.steps] == [finding.name for finding in state.findings]
    assert reasons(cluster.state()) == wanted, "check mode changed something"
    did = cluster.clean()
    assert did.after.clean
    assert did.plan.as_result() == would.plan.as_result()
    assert cluster.state().clean
    again = cluster.clean()
    assert not again.plan.changed and again.after.clean


def test_other_ranges_are_left_alone() -> None:
    cluster = Cluster()
    other = parse_network("10.9.0.0/28")
    cluster.store.create_block(new_block(other, 7, None))
    cluster.store.create_affinity(Affinity("node-1", HOST, other, "confirmed"))
    cluster.store.create_handle(Handle("net.gone", {BLOCK: 3, other: 1}))
    cluster.disable()
    assert cluster.clean().after.clean
    assert [stored.value.cidr for stored in cluster.store.list_blocks()] == [other]
    assert [stored.value.cidr for stored in cluster.store.list_affinities()] == [other]
    assert cluster.store.get_handle("net.gone").value.blocks == {other: 1}


def test_a_clean_range_takes_no_time() -> None:
    cluster = Cluster()
    cluster.disable()
    assert not cluster.clean().plan.changed
    assert (cluster.clock.slept, cluster.lines) == ([], [])


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_enabled_pool_is_refused_even_when_the_range_is_clean(check_mode: bool) -> None:
    cluster = Cluster()
    with pytest.raises(Refused, match="^Range 10.0.0.0/24 cannot be made clean: IPPool 'old' .* is enabled"):
        cluster.clean(check_mode=check_mode)
    row(cluster)
    with pytest.raises(Refused, match="disable that pool first"):
        cluster.clean(check_mode=check_mode)
    assert len(cluster.store.list_affinities()) == 1


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_address_in_use_is_refused(check_mode: bool) -> None:
    cluster = Cluster()
    address = cluster.take("web")
    cluster.api = Pods(web=address)
    row(cluster, "node-2", "pending")
    cluster.disable()
    with pytest.raises(Refused, match="1 addresses in it are in use by pod shop/web on node-1; move or delete"):
        cluster.clean(check_mode=check_mode)
    assert len(cluster.store.list_blocks()) == 1
    (shown,) = cluster.state().as_result()["addresses"]
    assert (shown["address"], shown["kind"], shown["state"], shown["until"]) == (address, "pod", "stays", None)
    assert reasons(cluster.state())[0] == ("block", "in_use")


def test_a_leaked_address_is_not_taken() -> None:
    cluster = Cluster()
    cluster.take("gone")
    cluster.disable()
    with pytest.raises(Refused, match=r"1 addresses of pod shop/gone .* leaked.*ipam_release at once\.$"):
        cluster.clean()
    (stored,) = cluster.store.list_blocks()
    assert stored.value.in_use == 1


def test_a_cooldown_is_slept_for_once() -> None:
    cluster = Cluster(cooldown=40)
    cluster.take("a")
    cluster.clock.seconds = 10
    release_by_handle(cluster.store, "net.a", now=cluster.clock.now)
    cluster.disable()
    cluster.clock.seconds = 15
    state = cluster.state()
    assert reasons(state)[0] == ("block", "cooling")
    (shown,) = state.as_result()["addresses"]
    assert (shown["kind"], shown["until"]) == ("cooling", "2026-08-20T09:00:50Z")
    did = cluster.clean()
    assert did.after.clean
    assert [round(seconds, 2) for seconds in cluster.clock.slept] == [35.01]
    assert cluster.lines[0] == "Range 10.0.0.0/24: waiting for 1 cooling addresses"
    assert did.plan.steps[0].action == "wait"


def test_a_cooldown_longer_than_the_timeout() -> None:
    cluster = Cluster(cooldown=400)
    cluster.take("a")
    release_by_handle(cluster.store, "net.a", now=cluster.clock.now)
    cluster.disable()
    with pytest.raises(Refused, match="after 60 seconds 1 cooling addresses are still not free; run this again"):
        cluster.clean()
    assert cluster.clock.seconds == 60


def test_a_cooldown_that_cannot_be_read_is_not_waited_for() -> None:
    cluster = Cluster(cooldown=400)
    cluster.take("a")
    release_by_handle(cluster.store, "net.a", now=cluster.clock.now)
    (stored,) = cluster.store.list_blocks()
    damaged = tuple(attribute._replace(released_at="soon") for attribute in stored.value.attributes)
    cluster.store.update_block(stored, replace(stored.value, attributes=damaged))
    cluster.disable()
    (shown,) = cluster.state().as_result()["addresses"]
    assert (shown["until"], shown["cleaned_by"]) == (None, "nothing: the time of its release cannot be read")
    with pytest.raises(Refused, match="1 cooling addresses are still not free"):
        cluster.clean()
    assert cluster.clock.slept == []


def test_a_claim_under_way_is_respected() -> None:
    """A node wrote its row before the pool was disabled, and creates the block while we look."""
    cluster = Cluster()
    row(cluster, state=PENDING)
    cluster.disable()

    def go_on() -> None:
        stored = cluster.store.get_affinity("node-1", HOST, BLOCK)
        access = access_to(cluster.store, cluster.clock.now)
        confirm_affinity(access, stored)
        create_owned_block(access, cluster.store.get_affinity("node-1", HOST, BLOCK))
        request = AssignRequest(
            host="node-1", num_v4=1, handle_id="net.a", attributes={"pod": "a", "namespace": "shop"}
        )
        # The node still sees the pool enabled.
        late = replace(POOL)
        cluster.store.put_pool(late)
        assert auto_assign(cluster.store, request, now=cluster.clock.now).error is None
        cluster.disable()

    cluster.clock.during.append(go_on)
    with pytest.raises(Refused, match="Nobody held .* any more, but 1 blocks and 1 affinities and 1 handles"):
        cluster.clean()
    (stored,) = cluster.store.list_blocks()
    assert stored.value.affinity == "host:node-1" and stored.value.in_use == 1
    assert [r.value.cidr for r in cluster.store.list_affinities()] == [BLOCK]
    assert cluster.clock.slept == [5]


def test_a_claim_that_comes_to_its_end_empty_is_taken_away_after_all() -> None:
    cluster = Cluster()
    row(cluster, state=PENDING)
    cluster.disable()

    def go_on() -> None:
        stored = cluster.store.get_affinity("node-1", HOST, BLOCK)
        create_owned_block(access_to(cluster.store, cluster.clock.now), stored)

    cluster.clock.during.append(go_on)
    assert cluster.clean().after.clean


def test_a_pool_enabled_while_we_wait_stops_it() -> None:
    cluster = Cluster(cooldown=40)
    cluster.take("a")
    release_by_handle(cluster.store, "net.a", now=cluster.clock.now)
    cluster.disable()
    cluster.clock.during.append(lambda: cluster.store.put_pool(POOL))
    with pytest.raises(Refused, match="is enabled"):
        cluster.clean()
    assert len(cluster.store.list_blocks()) == 1


def test_a_block_beyond_the_range_counts_as_a_whole() -> None:
    """10.0.0.0/24 is asked for; a larger stray block reaches beyond it, and is in use there."""
    cluster = Cluster()
    wide = Network(4, NETWORK.value, 23)
    block = new_block(wide, 7, None)
    cluster.store.create_block(block)
    cluster.disable()
    state = cluster.state()
    assert [finding.facts["cidr"] for finding in state.blocks] == ["10.0.0.0/23"]
    assert cluster.clean().after.clean
