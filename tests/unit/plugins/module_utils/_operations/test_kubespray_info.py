# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result as a whole, its lines, and the variables to change."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import MIGRATE, RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    IPV4,
    IPV6,
    read_declared,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_drift import differences
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_info import held_against
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_moves import UNDO
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_runs import PASSES

from . import kubespray_objects as ks

TARGET = {IPV4: {"cidr": ks.NEW_RANGE}}
BOTH = {IPV4: {"cidr": ks.NEW_RANGE, "block_size": 24}, IPV6: {"cidr": ks.NEW_RANGE6}}


def changes(*args: t.Any, **rest: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    result = held_against(*args, **rest)
    return result["variables"], result["changed_variables"]


def test_the_variables_of_a_move_before_it_and_after_it() -> None:
    before = changes(ks.both_families(), ks.live(ks.pool(), ks.POOL6), procedure=MIGRATE, targets=BOTH)
    pools = (
        ks.pool(disabled=True),
        ks.pool(ks.NEW, ks.NEW_RANGE, blockSize=24),
        ks.pool("default-pool-ipv6", ks.RANGE6, disabled=True),
        ks.pool("default-pool-2-ipv6", ks.NEW_RANGE6),
    )
    journals = (ks.journal(), ks.journal("default-pool-ipv6", "default-pool-2-ipv6", ks.NEW_RANGE6))
    moved = ks.live(*pools, journals=journals)
    assert changes(ks.both_families(), moved, procedure=MIGRATE, targets=BOTH) == before
    # Whoever looks later learns the same.
    assert changes(ks.both_families(), moved) == before
    assert changes(ks.both_families(), ks.live(*pools[1::2]), procedure=MIGRATE, targets=BOTH) == before
    assert before[1] == {
        "calico_pool_name": ks.NEW,
        "calico_pool_cidr": ks.NEW_RANGE,
        "calico_pool_blocksize": 24,
        "calico_pool_cidr_ipv6": ks.NEW_RANGE6,
    }
    # With the variables in the inventory, every playbook passes and changes nothing.
    new = ks.both_families(**before[0])
    assert changes(new, moved) == (before[0], {})
    result = held_against(new, moved)
    assert (result["drift"], result["findings"]) == (False, [])
    assert all((run["verdict"], run["effects"], run["hides"]) == (PASSES, [], []) for run in result["runs"])


def test_the_variables_of_a_new_block_size() -> None:
    target = {IPV4: {"block_size": 28, "temporary_cidr": "10.234.128.0/18"}}
    for pool in (ks.pool(), ks.pool(blockSize=28)):
        variables, changed = changes(ks.declared(), ks.live(pool), procedure=RESIZE, targets=target)
        assert changed == {"calico_pool_blocksize": 28}
        assert variables["calico_pool_name"] == ks.POOL


def test_a_range_that_follows_the_pods_subnet_needs_no_variable() -> None:
    declared = ks.declared(calico_pool_cidr="")
    variables, changed = changes(declared, ks.live(ks.pool(cidr="10.234.0.0/16")))
    assert ("calico_pool_cidr" in variables, changed) == (False, {})
    _variables, changed = changes(
        declared, ks.live(ks.pool(cidr="10.234.0.0/16")), procedure=MIGRATE, targets={IPV4: {"cidr": ks.OUTSIDE}}
    )
    assert changed == {"calico_pool_name": ks.NEW, "calico_pool_cidr": ks.OUTSIDE}


def test_the_block_can_be_copied() -> None:
    lines = held_against(ks.declared(), ks.live(), procedure=MIGRATE, targets=TARGET, show=["changes"])["lines"]
    start = lines.index("calico_pool_name: default-pool-2  # changed")
    block = yaml.safe_load("\n".join(lines[start:]))
    assert block == held_against(ks.declared(), ks.live(), procedure=MIGRATE, targets=TARGET)["variables"]
    assert [line for line in lines if line.endswith("# changed")] == [
        "calico_pool_name: default-pool-2  # changed",
        f'calico_pool_cidr: "{ks.NEW_RANGE}"  # changed',
    ]


def test_a_range_outside_the_pods_subnet_is_told_before_the_move() -> None:
    targets = {IPV4: {"cidr": ks.OUTSIDE}}
    lines = held_against(ks.declared(), ks.live(), procedure=MIGRATE, targets=targets)["lines"]
    assert lines[-1].startswith(f"{ks.OUTSIDE} is outside kube_pods_subnet 10.234.0.0/16: widen")
    assert not any("is outside" in line for line in held_against(ks.declared(), ks.live())["lines"])


def test_lines() -> None:
    pools = (ks.pool(blockSize=28), ks.pool("racks", "10.9.0.0/24"))
    lines = held_against(ks.declared(), ks.live(*pools), show=["drift"])["lines"]
    assert lines == [
        "FAMILY  VARIABLE               INVENTORY      CLUSTER",
        "IPv4    calico_pool_name       default-pool   default-pool",
        "IPv4    calico_pool_cidr       10.234.0.0/18  10.234.0.0/18",
        "IPv4    calico_pool_blocksize  26             28             differs",
        "IPv4    calico_ipip_mode       Never          Never",
        "IPv4    calico_vxlan_mode      Always         Always",
        "IPv4    nat_outgoing           true           true",
        "not Kubespray's: racks",
        "",
        "DRIFT       calico_pool_blocksize is 26 (Kubespray's role defaults), and IPPool default-pool has blockSize "
        "28.",
        "",
        "KUBESPRAY'S NEXT RUN",
        "cluster.yml          fails in check: calico_pool_blocksize is 26 and IPPool default-pool has blockSize 28",
        "upgrade-cluster.yml  fails in check: calico_pool_blocksize is 26 and IPPool default-pool has blockSize 28",
        "scale.yml            fails in check: calico_pool_blocksize is 26 and IPPool default-pool has blockSize 28",
        "--tags network       passes: IPPool default-pool keeps blockSize 28 although calico_pool_blocksize is 26",
        "remove-node.yml      passes",
    ]


def test_a_run_that_passes_and_undoes_something() -> None:
    lines = held_against(ks.declared(), ks.live(ks.pool(ks.NEW, ks.NEW_RANGE)), show=["drift"])["lines"]
    assert "cluster.yml          passes, but creates IPPool default-pool (10.234.0.0/18), enabled" in lines
    assert (
        "DRIFT       IPPool default-pool, which calico_pool_name names, is not in the cluster; Kubespray would "
        in " ".join(lines)
    )


def test_the_result_is_plain_data() -> None:
    result = held_against(ks.both_families(), ks.live(ks.pool(), ks.POOL6), procedure=MIGRATE, targets=BOTH)
    assert json.loads(json.dumps(result)) == result
    assert [pool["name"] for pool in result["pools"]] == ["default-pool", "default-pool-ipv6"]
    assert result["pools"][0]["sources"]["calico_pool_cidr"] == "inventory"
    assert result["unmanaged"] == []


def test_nothing_is_asked_of_a_cluster_without_pools_of_kubesprays() -> None:
    """Not even a target."""
    result = held_against(ks.declared(kube_network_plugin="cilium"), ks.live(), procedure=MIGRATE)
    assert [stop["id"] for stop in result["stops"]] == ["kubespray-plugin"]
    assert result["moves"] == []
    assert any(line.startswith("STOP") for line in result["lines"])


def test_the_variables_after_any_move_describe_the_cluster() -> None:
    """Whatever is moved, the printed block brings the differences to nothing."""
    for size in (24, 26, 28):
        for modes in ({}, {"ipipMode": "Always", "vxlanMode": "Never"}, {"natOutgoing": False}):
            old, new = ks.pool(disabled=True, **modes), ks.pool(ks.NEW, ks.NEW_RANGE, blockSize=size, **modes)
            live = ks.live(old, new, journals=(ks.journal(),))
            variables = held_against(ks.declared(), live)["variables"]
            again = read_declared({**ks.INVENTORY, **variables}, ks.DEFAULTS)
            assert differences(again, live) == ()


def test_further_pools_are_like_kubesprays_own() -> None:
    more = [
        {"name": "tenants", "cidr": "10.234.192.0/20", "block_size": None},
        {"name": "routed", "cidr": "10.234.208.0/20", "vxlan_mode": "CrossSubnet", "nat_outgoing": False},
        {"name": "six", "cidr": "fd00::/112"},
        {"name": "racks", "cidr": "10.9.0.0/24"},
        {"name": "old", "cidr": "10.8.0.0/24", "state": "absent"},
        {"name": "wrong", "cidr": "10.8.0.0"},
        {"name": "rangeless"},
    ]
    live = ks.live(ks.pool(), ks.pool("racks", "10.9.0.0/24", ipipMode="Always"))
    tenants, routed, *others = held_against(ks.declared(), live, more_pools=more)["more_pools"]
    assert tenants == {
        "name": "tenants",
        "cidr": "10.234.192.0/20",
        "ipip_mode": "Never",
        "vxlan_mode": "Always",
        "nat_outgoing": True,
    }
    # One that says an encapsulation says both.
    assert routed == more[1]
    assert others == more[2:]


def test_what_nobody_defines_is_no_change() -> None:
    """Without Kubespray's roles; the block has all variables all the same."""
    little = read_declared({"calico_pool_cidr": ks.RANGE})
    assert changes(little, ks.live(), procedure=MIGRATE, targets=TARGET)[1] == {
        "calico_pool_name": ks.NEW,
        "calico_pool_cidr": ks.NEW_RANGE,
    }
    assert changes(read_declared({"calico_pool_name": ks.POOL, "calico_pool_cidr": ks.RANGE}), ks.live())[1] == {}


MODES = (("Never", "Always"), ("Never", "CrossSubnet"), ("Always", "Never"), ("CrossSubnet", "Never"))
RESIZES = {
    IPV4: {"block_size": 28, "temporary_cidr": "10.234.128.0/18"},
    IPV6: {"block_size": 124, "temporary_cidr": "fd85:ee78:d8a6:8607::3:0/112"},
}


@given(
    both=st.booleans(),
    modes=st.sampled_from(MODES),
    mode6=st.sampled_from(["Never", "Always", "CrossSubnet"]),
    nat=st.booleans(),
    nat6=st.booleans(),
    size=st.integers(20, 32),
    resized=st.sampled_from([(), (IPV4,), (IPV6,), (IPV4, IPV6)]),
    own_range=st.booleans(),
)
def test_with_the_printed_variables_kubesprays_runs_change_nothing(
    both: bool,
    modes: tuple[str, str],
    mode6: str,
    nat: bool,
    nat6: bool,
    size: int,
    resized: tuple[int, ...],
    own_range: bool,
) -> None:
    """Whatever is asked for, on a cluster that the inventory describes."""
    old = {"ipipMode": modes[0], "vxlanMode": modes[1], "natOutgoing": nat, "blockSize": size}
    old6 = {"vxlanMode": mode6, "natOutgoing": nat6}
    cidr = ks.RANGE if own_range else "10.234.0.0/16"
    declared = (ks.both_families if both else ks.declared)(
        calico_pool_cidr=ks.RANGE if own_range else "",
        calico_ipip_mode=modes[0],
        calico_vxlan_mode=modes[1],
        calico_vxlan_mode_ipv6=mode6,
        calico_pool_blocksize=str(size),
        nat_outgoing=nat,
        nat_outgoing_ipv6="yes" if nat6 else "no",
    )
    live = ks.live(ks.pool(cidr=cidr, **old), *([ks.pool("default-pool-ipv6", ks.RANGE6, **old6)] if both else []))
    families = (IPV4, IPV6) if both else (IPV4,)
    if resized:
        targets = {version: RESIZES[version] for version in resized if version in families}
        result = held_against(declared, live, procedure=RESIZE if targets else "look", targets=targets)
    else:
        target = {"cidr": ks.OUTSIDE, "block_size": 24}
        targets = {IPV4: target, IPV6: {"cidr": ks.NEW_RANGE6}} if both else {IPV4: target}
        result = held_against(declared, live, procedure=MIGRATE, targets=targets)
    assert [finding["message"] for finding in result["findings"]] == []
    assert not any("With these variables, too" in line for line in result["lines"]), result["lines"]


def test_what_no_inventory_can_describe_is_said() -> None:
    live = ks.live(ks.pool(), ks.POOL6)
    waived = held_against(
        ks.both_families(), live, procedure=MIGRATE, targets=TARGET, waivers=["kubespray-families"], show=["changes"]
    )
    assert waived["lines"][-1] == (
        "With these variables, too, cluster.yml, upgrade-cluster.yml, --tags network would not leave the cluster as it "
        "is: IPPool default-pool-2-ipv6 is not there, and its range fd85:ee78:d8a6:8607::1:0/112 overlaps IPPool "
        "default-pool-ipv6."
    )


def test_the_variables_while_the_pool_is_not_there() -> None:
    """A change of block size that was cut short between deleting the pool and creating it."""
    spec = ks.pool().spec
    journal = ks.journal(new="default-pool-temporary", cidr="10.234.128.0/18", procedure=RESIZE)
    cut = ks.live(
        ks.pool("default-pool-temporary", "10.234.128.0/18"),
        journals=(replace(journal, block_size=28, definition={"spec": dict(spec)}),),
    )
    variables, _changed = changes(ks.declared(), cut, procedure=RESIZE, targets={IPV4: RESIZES[IPV4]})
    assert variables == changes(ks.declared(), ks.live(), procedure=RESIZE, targets={IPV4: RESIZES[IPV4]})[0]


def test_what_may_not_be_read_is_named() -> None:
    lines = held_against(ks.declared(), ks.live(unreadable=("nodes", "configmaps")), show=["drift"])["lines"]
    assert "UNKNOWN     There is no right to read nodes, configmaps, so nothing was compared with it." in lines


def test_the_variables_once_a_move_is_undone() -> None:
    """Whoever has changed the inventory already has to change it back."""
    kept = ks.journal(definition={"spec": dict(ks.pool().spec)})
    moved = ks.live(ks.pool(disabled=True), ks.pool(ks.NEW, ks.NEW_RANGE), journals=(kept,))
    as_it_was = changes(ks.declared(), ks.live())[0]
    assert changes(ks.declared(), moved, procedure=UNDO) == (as_it_was, {})
    new = ks.declared(calico_pool_name=ks.NEW, calico_pool_cidr=ks.NEW_RANGE)
    result = held_against(new, moved, procedure=UNDO)
    assert (result["variables"], result["changed_variables"]) == (
        as_it_was,
        {"calico_pool_name": ks.POOL, "calico_pool_cidr": ks.RANGE},
    )
    assert not any("With these variables, too" in line for line in result["lines"])


def test_another_spelling_of_an_ipv6_range_is_no_change() -> None:
    long = "fd85:ee78:d8a6:8607::1:0000/112"
    variables, changed = changes(ks.both_families(calico_pool_cidr_ipv6=long), ks.live(ks.pool(), ks.POOL6))
    assert (variables["calico_pool_cidr_ipv6"], changed) == (long, {})
