# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters whose pods several pools serve: both procedures, and their undo, come to their end there, in virtual time.

Calico is free to give a new pod an address of any pool that serves it, so "an address of the new pool" would be too
much to ask of an ordinary pod; "none of the old one" is not.
"""

from __future__ import annotations

import typing as t

import pytest
from procedures import MIGRATE, RESIZE, Procedure, change_block_size, migrate_pool, rollback
from simulation import Killed, SimulatedApi, Write, simulate, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses

DEFAULT, OTHER = "default-ipv4-ippool", {"cidr": "10.9.0.0/16", "ipip_mode": "Always", "nat_outgoing": True}
TEMPORARY = {"cidr": "10.0.0.0/16"}
NEW = {"name": "new", "cidr": "10.0.0.0/16"}
PROCEDURES: list[tuple[str, t.Callable[[t.Any], object]]] = [
    (RESIZE, lambda api: change_block_size(api, DEFAULT, 28, TEMPORARY)),
    (MIGRATE, lambda api: migrate_pool(api, DEFAULT, NEW)),
]
each_procedure = pytest.mark.parametrize(("name", "forward"), PROCEDURES, ids=[RESIZE, MIGRATE])


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def beside(name: str) -> t.Any:
    """A cluster with another pool for everybody, in which all pods are, and the pool that is to change."""
    twin = local_twin("small")
    steps = Procedure(SimulatedApi(twin))
    steps.present(name, **OTHER)
    steps.present(DEFAULT, disabled=True)
    steps.drain(DEFAULT)
    steps.present(DEFAULT, disabled=False)
    twin.clock.advance(10)
    return twin


def by_rack() -> t.Any:
    """A pool for each of the two nodes, as in data centres whose racks have their own ranges."""
    twin = local_twin("small")
    api = SimulatedApi(twin)
    for node, rack in (("node-1", "a"), ("node-2", "b")):
        api.patch(NODES, node, {"metadata": {"labels": {"rack": rack}}})
    steps = Procedure(api)
    steps.present("rack-b", **OTHER, node_selector="rack == 'b'")
    steps.present(DEFAULT, node_selector="rack == 'a'")
    twin.clock.advance(30)
    return twin


def pools(twin: t.Any) -> dict[str, tuple[str, int]]:
    found = SimulatedApi(twin).list(IP_POOLS).items
    return {str(pool["metadata"]["name"]): (pool["spec"]["cidr"], pool["spec"]["blockSize"]) for pool in found}


def nobody_in(twin: t.Any, cidr: str) -> bool:
    network = parse_network(cidr)
    pods = SimulatedApi(twin).list(PODS).items
    return not any(network.contains(address) for pod in pods for address in pod_addresses(pod))


# Pools are considered by name, so one comes before the others and one behind them.
@pytest.mark.parametrize("make", [lambda: beside("aaa"), lambda: beside("zzz"), by_rack], ids=["aaa", "zzz", "racks"])
@each_procedure
def test_they_come_to_their_end(make: t.Callable[[], t.Any], name: str, forward: t.Callable[[t.Any], object]) -> None:
    twin = make()
    others = {key: value for key, value in pools(twin).items() if key != DEFAULT}
    forward(SimulatedApi(twin))
    changed = {DEFAULT: ("192.168.0.0/16", 28)} if name == RESIZE else {"new": ("10.0.0.0/16", 26)}
    assert pools(twin) == {**others, **changed}
    assert nobody_in(twin, "10.0.0.0/16" if name == RESIZE else "192.168.0.0/16")


@pytest.mark.parametrize("make", [lambda: beside("aaa"), by_rack], ids=["aaa", "racks"])
@each_procedure
def test_they_are_undone(make: t.Callable[[], t.Any], name: str, forward: t.Callable[[t.Any], object]) -> None:
    twin = make()
    was = pools(twin)

    def die(write: Write) -> None:
        if (write.verb, write.resource) == ("delete", IP_POOLS):
            raise Killed(str(write))

    with pytest.raises(Killed):
        forward(with_calico(SimulatedApi(twin, before=die)))
    rollback(SimulatedApi(twin), name, DEFAULT)
    assert pools(twin) == was
    assert nobody_in(twin, "10.0.0.0/16")
