# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import WINDOWS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    LEAKED,
    LEAVES,
    STAYS,
    holdings,
    name_them,
)

NETWORK = parse_network("10.0.0.0/24")


class PodsApi:
    """Lists the pods it was given, and counts how often."""

    def __init__(self, *pods: dict[str, t.Any]) -> None:
        self._pods = list(pods)
        self.lists = 0

    def list(self, resource: Resource, namespace: str | None = None, **_options: t.Any) -> Listing:
        self.lists += 1
        return Listing(self._pods, "1")


def block(cidr: str, *attributes: dict[str, t.Any]) -> Block:
    network = parse_network(cidr)
    held = tuple(
        Attribute(entry.get("handle_id"), entry.get("secondary"), None, entry.get("releasedAt")) for entry in attributes
    )
    free = tuple(range(len(held), network.size))
    return Block(network, None, None, (*range(len(held)), *(None for _ordinal in free)), free, held, 1)


def owned(**secondary: str) -> dict[str, t.Any]:
    return {"handle_id": "h", "secondary": secondary}


WEB = owned(namespace="shop", pod="web", node="node-1")


def pod(*addresses: str, phase: str = "Running", deleted: bool = False) -> dict[str, t.Any]:
    metadata = {
        "namespace": "shop",
        "name": "web",
        **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}),
    }
    status = {"phase": phase, "podIPs": [{"ip": address} for address in addresses]}
    return {"metadata": metadata, "spec": {}, "status": status}


@pytest.mark.parametrize(
    ("attribute", "pods", "state"),
    [
        (WEB, [pod("10.0.0.0")], STAYS),
        (WEB, [pod("fd00::1", "10.0.0.0")], STAYS),
        (WEB, [pod()], STAYS),  # just starting
        (WEB, [pod("10.0.0.0", deleted=True)], LEAVES),
        (WEB, [pod("10.9.0.0")], LEAKED),
        (WEB, [pod("10.0.0.0", phase="Failed")], LEAKED),
        (WEB, [], LEAKED),
        (owned(type="vxlanTunnelAddress", node="node-1"), [], LEAVES),
        ({"releasedAt": "2026-01-01T00:00:00Z"}, [], LEAVES),
        ({"handle_id": "net.vmi.shop.machine", "secondary": {"vmi-name": "machine"}}, [], STAYS),
        ({"handle_id": "lb-x", "secondary": {"service": "x", "namespace": "shop"}}, [], STAYS),
        ({"handle_id": "whatever"}, [], STAYS),
    ],
)
def test_who_stays(attribute: dict[str, t.Any], pods: list[dict[str, t.Any]], state: str) -> None:
    (found,) = holdings(t.cast("t.Any", PodsApi(*pods)), [block("10.0.0.0/26", attribute)], NETWORK)
    assert found.state == state


def test_windows_keeps_addresses_only_as_long_as_the_block_is_there() -> None:
    kept = {"handle_id": "windows-reserved-ipam-handle", "secondary": {"note": "windows host rsvd"}}
    assert kept["handle_id"].startswith(WINDOWS)
    assert holdings(t.cast("t.Any", PodsApi()), [block("10.0.0.0/26", kept)], NETWORK) == []


def test_other_ranges_do_not_count_and_pods_are_listed_when_needed_only() -> None:
    api = PodsApi()
    found = holdings(t.cast("t.Any", api), [block("10.9.0.0/26", WEB), block("10.0.0.0/26", owned(type="x"))], NETWORK)
    assert len(found) == 1
    assert api.lists == 0


def test_a_sentence_names_a_few_holders_and_counts_the_others() -> None:
    attributes = [owned(namespace="shop", pod=f"web-{number}", node="node-1") for number in range(8)]
    found = holdings(t.cast("t.Any", PodsApi()), [block("10.0.0.0/26", *attributes)], NETWORK)
    assert name_them(found).startswith("pod shop/web-0 on node-1, pod shop/web-1 on node-1")
    assert name_them(found).endswith("and 3 more")
    assert found[0].as_result() == {
        "address": "10.0.0.0",
        "kind": "pod",
        "namespace": "shop",
        "name": "web-0",
        "node": "node-1",
        "state": LEAKED,
    }
