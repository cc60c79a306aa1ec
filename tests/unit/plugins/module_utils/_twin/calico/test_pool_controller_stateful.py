# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever is done to pools and pods, and at whatever pace: what spec ippool.md 5.3 and 6 promise once all rests."""

from __future__ import annotations

import itertools
import typing as t

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Invalid, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.cni import CniError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.pool_controller import FINALIZER

from .conftest import World
from .test_pool_controller import Lab

RANGES = ("10.1.0.0/26", "10.1.0.0/27", "10.1.0.32/27", "10.1.0.0/24", "10.2.0.0/27")

name = st.sampled_from(["a", "b", "c"])
pod = st.sampled_from(["one", "two", "three"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), name, st.sampled_from(RANGES), st.booleans()),
        st.tuples(st.just("disable"), name, st.booleans()),
        st.tuples(st.just("delete"), name),
        st.tuples(st.just("run"), pod),
        st.tuples(st.just("stop"), pod),
        st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0])),
        st.tuples(st.just("ready"), st.booleans()),
    ),
    max_size=25,
)


def act(lab: Lab, step: t.Tuple[t.Any, ...]) -> None:
    what, *rest = step
    if what == "create":
        lab.world.put(lab.pools, rest[0], spec={"cidr": rest[1], "blockSize": 28, "disabled": rest[2]})
    elif what == "disable":
        lab.patch(rest[0], disabled=rest[1])
    elif what == "delete":
        lab.delete(rest[0])
    elif what == "run" and lab.world.objects.get(PODS, "shop", rest[0]) is None:
        lab.running_pod(rest[0])
    elif what == "stop" and lab.world.objects.get(PODS, "shop", rest[0]) is not None:
        lab.stop_pod(rest[0])
    elif what == "wait":
        lab.pass_time(rest[0])
    elif what == "ready":
        lab.ready(rest[0])


def check(lab: Lab, reenabled: bool) -> None:
    pools = lab.world.objects.list(lab.pools)
    blocks = [stored.value.cidr for stored in lab.world.store.list_blocks()]
    cidrs: dict[str, Network] = {each["metadata"]["name"]: parse_network(each["spec"]["cidr"]) for each in pools}
    reasons = {each["metadata"]["name"]: each["status"]["conditions"][0]["reason"] for each in pools}
    holders = [each for each, reason in reasons.items() if reason in ("OK", "Terminating")]
    for pool in pools:
        own = pool["metadata"]["name"]
        reason, going = reasons[own], "deletionTimestamp" in pool["metadata"]
        guarded = FINALIZER in (pool["metadata"].get("finalizers") or [])
        assert (reason == "PoolDisabled") == bool(pool["spec"].get("disabled"))
        assert guarded == (going or reason == "OK")
        if going:
            # It waits for something, and its blocks are nobody's.
            inside = [block for block in blocks if cidrs[own].contains(block.first)]
            assert inside
            assert not [row for row in lab.world.store.list_affinities() if cidrs[own].contains(row.value.cidr.first)]
        if reason == "CIDROverlap":
            assert any(cidrs[own].overlaps(cidrs[each]) for each in holders)
    for one, two in itertools.combinations(holders, 2):
        # A pool that goes may take back, by being enabled, ground that it had lost to another one.
        if not reenabled or reasons[one] == reasons[two] == "OK":
            assert not cidrs[one].overlaps(cidrs[two])


@settings(max_examples=80, deadline=None)
@given(steps=steps)
@example(steps=[("delete", "a"), ("wait", 1.0), ("stop", "one"), ("stop", "two")])
@example(
    steps=[("delete", "a"), ("create", "b", "10.1.0.0/27", False), ("wait", 1.0), ("create", "c", RANGES[4], False)]
)
@example(steps=[("disable", "a", True), ("delete", "a"), ("create", "b", "10.1.0.0/24", False), ("wait", 1.0)])
def test_pools_at_rest(steps: t.List[t.Tuple[t.Any, ...]]) -> None:
    lab = Lab(World(CRD_V3))
    for step in (("create", "a", "10.1.0.0/26", False), ("wait", 1.0), ("run", "one"), ("run", "two")):
        act(lab, step)
    for step in steps:
        try:
            act(lab, step)
        except (Invalid, NotFound, CniError):
            # A range that shall change, a pool that is not there, no address to be had: wishes, not findings.
            continue
    lab.ready(True)
    lab.pass_time(5)
    check(lab, any(step[0] == "disable" and not step[2] for step in steps))
    written = lab.world.objects.revision
    lab.pass_time(5)
    assert lab.world.objects.revision == written
    addresses = list(lab.world.allocated())
    assert len(set(addresses)) == len(addresses)
    assert all(parse_address(each) for each in addresses)
