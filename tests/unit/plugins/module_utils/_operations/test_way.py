# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import Journal, definition_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.known_ranges import known_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import preflight
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    PreflightRequest,
    situation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.temporary_cidr import (
    propose_new_cidr,
    propose_temporary_cidr,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.way import recommend, with_temporary_range

from .pool_change_objects import MOVE, OPERATED, RESIZE, VIEW, asked, block, node, stored, view


def pod_subnet(cidr: str) -> dict[str, t.Any]:
    kubeadm = {"ClusterConfiguration": f"networking: {{podSubnet: {cidr}}}"}
    return {"config_maps": {("kube-system", "kubeadm-config"): kubeadm}}


OPEN = asked(RESIZE, target={"name": "temporary"})
# The pod range is the pool's own, so nothing in it is free.
TAKEN = pod_subnet("192.168.0.0/16")
NARROW = pod_subnet("10.0.0.0/25")
NAMELESS: dict[str, t.Any] = {"config_maps": {}}


def proposal(request: PreflightRequest = OPEN, cluster: ClusterView = VIEW) -> t.Any:
    return propose_temporary_cidr(situation(request, cluster))


@pytest.mark.parametrize(
    ("request_", "changes", "cidr", "inside", "words"),
    [
        (
            OPEN,
            {},
            "10.0.0.0/24",
            True,
            "inside networking.podSubnet of ConfigMap kube-system/kubeadm-config",
        ),
        (asked(OPEN, more_nodes=6), {}, "10.0.0.0/22", True, "enough for 8 full nodes"),
        (asked(OPEN, external_ranges=(parse_network("10.0.0.0/16"),)), {}, "10.1.0.0/24", True, "inside"),
        (OPEN, {"blocks": (*VIEW.blocks, block("10.0.0.64/26"))}, "10.0.1.0/24", True, "inside"),
        (OPEN, {"nodes": (node("node-1", "10.0.0.5"), node("node-2", "10.0.1.5"))}, "10.0.2.0/24", True, "inside"),
        (OPEN, {"reserved": (("gateways", parse_network("10.0.0.0/30")),)}, "10.0.1.0/24", True, "inside"),
        (OPEN, NARROW, "10.0.0.0/25", True, "enough for the 2 pods of today on 2 nodes"),
        (OPEN, TAKEN, "10.0.0.0/24", False, "no room for it inside the cluster's pod range"),
        (OPEN, NAMELESS, "10.0.0.0/24", False, "no range is known to hold pods"),
    ],
)
def test_a_range_for_a_while(
    request_: PreflightRequest, changes: dict[str, t.Any], cidr: str, inside: bool, words: str
) -> None:
    cluster = view(**changes)
    found = proposal(request_, cluster)
    assert (str(found.cidr), found.inside) == (cidr, inside), found
    assert words in found.reason
    assert all(sentence.endswith(".") for sentence in found.consequences)
    assert bool(found.consequences) is (not inside or "of today" in found.reason)
    known = known_ranges(cluster, request_.external_ranges)
    assert [each for each in known if each.network.overlaps(found.cidr)] == []


def test_what_comes_of_a_range_outside() -> None:
    said = " ".join(proposal(cluster=view(**TAKEN)).consequences)
    assert "kube-proxy masquerades" in said and "Firewalls" in said and "NO_PROXY" in said
    said = " ".join(proposal(cluster=view(**TAKEN, ebpf=True)).consequences)
    assert "kube-proxy" not in said


def test_no_range_where_none_would_do() -> None:
    assert proposal(cluster=view(**TAKEN, installation=OPERATED)) is None
    assert proposal(asked(OPEN, pool="nope")) is None
    assert proposal(asked(OPEN, target={"name": "t", "block_size": 64})) is None
    every = tuple(parse_network(cidr) for cidr in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
    assert proposal(asked(OPEN, external_ranges=every), view(**NAMELESS)) is None


def test_ipv6_outside_is_a_unique_local_range_and_the_same_each_time() -> None:
    pool = stored(cidr="2001:db8::/64", blockSize=122, ipipMode="Never")
    cluster = view(pools=(pool,), blocks=(), affinities=(), config_maps={})
    found = proposal(asked(OPEN, block_size=123), cluster)
    assert found == proposal(asked(OPEN, block_size=123), cluster)
    assert parse_network("fc00::/7").contains(found.cidr) and not found.inside


def test_a_new_range_is_as_large_as_the_old_one_where_that_is_free() -> None:
    found = propose_new_cidr(situation(RESIZE, VIEW))
    assert found is not None and str(found.cidr) == "10.0.0.0/16"
    assert found.reason.endswith("as large as 192.168.0.0/16")
    assert propose_new_cidr(situation(RESIZE, view(**TAKEN))) is None


@pytest.mark.parametrize(
    ("changes", "found", "way", "words"),
    [
        ({}, (), "new_range", "10.0.0.0/16 is free"),
        ({}, ("policies-name-range",), "same_range", "Policies name the range of the pool"),
        (TAKEN, (), "same_range", "No range inside the cluster's pod range is free"),
    ],
)
def test_the_way_that_is_recommended(changes: dict[str, t.Any], found: tuple[str, ...], way: str, words: str) -> None:
    recommended = recommend(situation(RESIZE, view(**changes)), found)
    assert recommended is not None and recommended.way == way
    assert words in " ".join(recommended.reasons)
    same, new = recommended.ways
    assert (same.moves, new.moves) == (2, 1)
    assert any("calico#10778" in sentence for sentence in same.bad)
    assert ("migrate_pool_to" in new.variables) is (new.range is not None)
    assert next(recommended.lines()).startswith("recommended: ")


def test_without_any_free_range_for_a_while_the_pods_have_nowhere_to_wait() -> None:
    cluster = view(**TAKEN, installation=OPERATED)
    recommended = recommend(situation(RESIZE, cluster), ())
    assert recommended is not None
    assert [way.as_result()["possible"] for way in recommended.ways] == [False, False]
    assert "No range is free for a temporary pool." in recommended.ways[0].bad


def begun(target: t.Mapping[str, t.Any]) -> Journal:
    return Journal("change_block_size", "old", target, 28, definition_of(stored()), "2026-08-22T09:30:00Z", "0.1.0")


def test_nothing_is_recommended_once_it_has_begun() -> None:
    journal = Journal(
        "change_block_size", "old", RESIZE.target, 28, definition_of(stored()), "2026-08-22T09:30:00Z", "0.1.0"
    )
    assert recommend(situation(RESIZE, view(journal=journal)), ()) is None
    assert recommend(situation(MOVE, VIEW), ()) is None


def test_the_range_that_was_left_out() -> None:
    assert with_temporary_range(OPEN, VIEW).target["cidr"] == "10.0.0.0/24"
    live = view(pools=(stored(), stored("temporary", cidr="10.7.0.0/24")))
    assert with_temporary_range(OPEN, live).target["cidr"] == "10.7.0.0/24"
    kept = view(journal=begun({"name": "temporary", "cidr": "10.8.0.0/24"}))
    assert with_temporary_range(OPEN, kept).target["cidr"] == "10.8.0.0/24"
    for request in (RESIZE, MOVE, asked(OPEN, target={})):
        assert with_temporary_range(request, VIEW) is request


def test_the_result_says_which_range_was_taken() -> None:
    result = preflight(OPEN, VIEW)
    assert result["target"] == {"name": "temporary", "cidr": "10.0.0.0/24"}
    assert result["blockers"] == 0
    assert result["recommendation"]["way"] == "new_range"
    assert "Create pool temporary (10.0.0.0/24" in result["plan"][0]
    outside = preflight(OPEN, view(**TAKEN))
    assert [each["id"] for each in outside["findings"] if each["severity"] == "blocker"] == ["pool-inside-cluster-cidr"]
