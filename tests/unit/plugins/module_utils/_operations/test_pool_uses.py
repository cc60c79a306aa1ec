# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last pool for pods or tunnels goes on giving addresses while some are in use (spec ippool.md §12 item 10)."""

from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest
from cluster_tables import DENIED, api_of
from simulation import SimulatedApi, SimulatedClock, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import PoolWrite
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_uses import last_uses, stranded
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store

A = Pool("a", parse_network("10.0.0.0/16"), 26)
B = Pool("b", parse_network("10.1.0.0/16"), 26)
SIX = Pool("six", parse_network("fd00::/64"), 122)
OFF = replace(A, disabled=True)
IPIP = replace(A, ipip_mode="Always")
PODS_ONLY = frozenset({"Workload"})
BOTH = ["Workload", "Tunnel"]


@pytest.mark.parametrize(
    ("before", "after", "others", "uses"),
    [
        (A, OFF, [], BOTH),
        (A, None, [A], BOTH),
        (A, replace(A, node_selector="! all()"), [SIX], BOTH),
        (A, OFF, [replace(B, disabled=True)], BOTH),
        (A, OFF, [replace(B, terminating=True)], BOTH),
        (A, OFF, [replace(B, allocatable=False)], BOTH),
        (A, OFF, [replace(B, node_selector="!all()")], BOTH),
        (A, OFF, [replace(B, assignment_mode="Manual")], BOTH),
        (A, OFF, [replace(B, allowed_uses=frozenset({"LoadBalancer"}))], BOTH),
        (A, OFF, [replace(B, allowed_uses=PODS_ONLY)], ["Tunnel"]),
        (A, replace(A, allowed_uses=PODS_ONLY), [], ["Tunnel"]),
        # Tunnels name their pools.
        (A, replace(A, assignment_mode="Manual"), [], ["Workload"]),
        (A, OFF, [B], []),
        # An address of an IPIP device comes from pools with IPIP only; one that changes in place is another matter.
        (IPIP, replace(IPIP, disabled=True), [B], ["Tunnel"]),
        (IPIP, None, [replace(B, vxlan_mode="Always")], ["Tunnel"]),
        (IPIP, None, [replace(B, ipip_mode="CrossSubnet")], []),
        (A, OFF, [replace(B, ipip_mode="Always")], []),
        (IPIP, replace(IPIP, ipip_mode="Never", vxlan_mode="Always"), [], []),
        # Whether it is for the same nodes is no reason to refuse; see below.
        (A, OFF, [replace(B, node_selector="rack == '1'")], []),
        (OFF, None, [], []),
        (A, replace(A, nat_outgoing=True), [], []),
        (A, replace(A, node_selector="rack == '1'"), [], []),
        (replace(A, assignment_mode="Manual"), OFF, [], []),
        (replace(A, allowed_uses=frozenset({"LoadBalancer"})), OFF, [], []),
    ],
)
def test_uses_that_nobody_else_has(before: Pool, after: Pool | None, others: list[Pool], uses: list[str]) -> None:
    assert last_uses(before, after, others) == uses


NODES = [{"metadata": {"name": f"n-{number}", "labels": {"rack": str(number % 2)}}} for number in range(8)]


@pytest.mark.parametrize(
    ("pool", "others", "words"),
    [
        (A, [replace(B, node_selector="rack == '1'")], "4 nodes that pool 'a' selects"),
        (A, [replace(B, node_selector="rack == '1'")], "IPv4 pool (n-0, n-2, n-4 and 1 more): new pods there"),
        (A, [B], None),
        (replace(A, node_selector="rack == '1'"), [replace(B, node_selector="has(rack)")], None),
        (A, [B, replace(B, name="c", node_selector="has(")], None),
        # That there is no other pool at all is told elsewhere.
        (A, [], None),
        (OFF, [replace(B, node_selector="rack == '1'")], None),
    ],
)
def test_nodes_for_which_no_pool_is_left(pool: Pool, others: list[Pool], words: str | None) -> None:
    found = stranded(api_of({"nodes.": NODES}), pool, others)
    assert found == [] if words is None else words in found[0]
    assert stranded(api_of({"nodes.": DENIED}), pool, others) == []


@pytest.mark.parametrize(
    ("after", "others", "words"),
    [
        (replace(A, node_selector="rack == '1'"), [], "4 nodes that pool 'a' selects"),
        (replace(A, node_selector="has(nothing)"), [], "8 nodes that pool 'a' selects"),
        (replace(A, node_selector="has(nothing)"), [B], None),
        (replace(A, node_selector="has(nothing)"), [replace(B, assignment_mode="Manual")], "8 nodes"),
        (replace(A, assignment_mode="Manual"), [replace(B, node_selector="rack == '1'")], "4 nodes"),
        (replace(A, node_selector="has(rack)"), [], None),
    ],
)
def test_nodes_for_which_a_change_leaves_no_pool(after: Pool, others: list[Pool], words: str | None) -> None:
    found = stranded(api_of({"nodes.": NODES}), A, others, after)
    assert found == [] if words is None else words in found[0] and found[0].endswith("once it is changed.")


class Cluster:
    """The small cluster: pods and tunnels of its nodes have addresses of its only pool."""

    name = "default-ipv4-ippool"

    def __init__(self) -> None:
        self.twin = local_twin("small")
        self.simulated = SimulatedApi(self.twin)
        self.api = with_calico(self.simulated)
        self.clock = SimulatedClock(self.simulated)
        self.simulated.tick(30)

    def present(self, name: str = name, check: bool = False, **params: t.Any) -> PoolWrite:
        return ensure_pool(self.api, pool_request({"name": name, **params}), check_mode=check, clock=self.clock)

    def absent(self, name: str) -> None:
        delete_pool(
            self.api,
            open_store(self.api),
            name,
            timeout=60,
            clock=self.clock,
            report=lambda event: None,
            check_mode=False,
        )


def test_the_last_pool_in_use_goes_on() -> None:
    cluster = Cluster()
    stop: tuple[dict[str, t.Any], ...] = (
        {"disabled": True},
        {"node_selector": "!all()"},
        {"allowed_uses": ["Tunnel"]},
        {"assignment_mode": "Manual"},
    )
    for params in stop:
        with pytest.raises(Refused) as caught:
            cluster.present(**params)
        # A play that is tried out may have created another pool by then.
        assert caught.value.message in cluster.present(check=True, **params).plan.warnings
        assert "must go on giving addresses for Workload: no other enabled IPv4 pool does" in caught.value.message
        assert caught.value.message.endswith("create or enable another pool first.")
        assert caught.value.details["in_use"] > 0
    assert cluster.simulated.writes == []
    # Pods have another one, tunnels have not.
    cluster.present("pods", cidr="10.7.0.0/16", allowed_uses=["Workload"])
    for params in ({"disabled": True}, {"allowed_uses": ["Workload"]}):
        with pytest.raises(Refused, match="for Tunnel: .* nodes would lose the addresses of their tunnels"):
            cluster.present(**params)
    # Tunnels of another encapsulation are no help.
    cluster.present("pods", cidr="10.7.0.0/16", allowed_uses=["Workload", "Tunnel"])
    with pytest.raises(Refused, match="no other enabled IPv4 pool with the same encapsulation does so"):
        cluster.present(disabled=True)
    cluster.present("pods", cidr="10.7.0.0/16", ipip_mode="Always")
    assert cluster.present(disabled=True).plan.changed


def test_the_last_pool_for_tunnels_is_not_deleted() -> None:
    cluster = Cluster()
    cluster.present("pods", cidr="10.7.0.0/16", allowed_uses=["Workload"])
    cluster.present("tunnels", cidr="10.8.0.0/24", allowed_uses=["Tunnel"], ipip_mode="Always")
    cluster.present(allowed_uses=["Workload"])
    cluster.simulated.tick(30)
    writes = len(cluster.simulated.writes)
    with pytest.raises(Refused, match="'tunnels' must go on giving addresses for Tunnel"):
        cluster.absent("tunnels")
    assert len(cluster.simulated.writes) == writes


def test_a_last_pool_that_nobody_uses_may_be_stopped() -> None:
    """As when a cluster is taken down: the user is warned and no more."""
    cluster = Cluster()
    cluster.present("six", cidr="fd00:7::/64")
    write = cluster.present("six", disabled=True)
    assert write.plan.changed
    assert any("No other enabled IPv6 pool allows Tunnel or Workload" in each for each in write.plan.warnings)
    assert cluster.api.get(IP_POOLS, "six")["spec"]["disabled"] is True


def test_nodes_without_a_pool_are_told() -> None:
    cluster = Cluster()
    cluster.present("rack", cidr="10.7.0.0/16", node_selector="rack == '1'")
    assert any(
        "that pool 'default-ipv4-ippool' selects are selected by no other enabled IPv4 pool" in each
        for each in cluster.present(check=True, disabled=True).plan.warnings
    )
    assert any(
        "new pods there get no address once it is changed" in each
        for each in cluster.present(node_selector="has(nothing)").plan.warnings
    )
