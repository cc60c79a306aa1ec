# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small dual-stack cluster whose IPAM data are in order, as raw records, to be damaged one by one."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit import Audit, AuditResult
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import (
    ClusterFacts,
    Key,
    NodeFacts,
    PodFacts,
    ServiceFacts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    affinity_labels,
    affinity_name,
    block_name,
    load_balancer_handle,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=timezone.utc)
OLD = "2026-08-20 09:14:05.204418 +0000 UTC"
YOUNG = "2026-08-20 11:59:05.204418 +0000 UTC"
NUMBER = 1787217245204418101
LB = load_balancer_handle("web", "shop", "uid-1")

Object = t.Dict[str, t.Any]


def key(text: str) -> Key:
    address = parse_address(text)
    return (address.version, address.value)


def attribute(handle: str | None = None, **secondary: str) -> Object:
    made: Object = {"handle_id": handle} if handle else {}
    return {**made, "secondary": secondary} if secondary else made


def pod_attribute(pod: str, node: str = "n1", since: str = OLD, handle: str | None = None) -> Object:
    return attribute(handle or f"net.{pod}", namespace="shop", pod=pod, node=node, timestamp=since)


def block(cidr: str, owner: str | None, *attributes: Object) -> Object:
    network = parse_network(cidr)
    used = len(attributes)
    spec: Object = {
        "cidr": cidr,
        "allocations": [*range(used), *[None] * (network.size - used)],
        "unallocated": list(range(used, network.size)),
        "attributes": list(attributes),
        "sequenceNumber": NUMBER + 1000,
        "sequenceNumberForAllocation": {str(ordinal): NUMBER + ordinal for ordinal in range(used)},
        "deleted": False,
        "strictAffinity": False,
    }
    if owner:
        spec["affinity"] = owner
        spec["affinityClaimTime"] = "2026-08-20T09:00:00Z"
    return {"kind": "IPAMBlock", "metadata": {"name": block_name(network)}, "spec": spec}


def row(node: str, cidr: str, state: str = "confirmed", kind: str = "host") -> Object:
    network = parse_network(cidr)
    return {
        "kind": "BlockAffinity",
        "metadata": {
            "name": affinity_name(node, network),
            "labels": affinity_labels(node, kind, network.version),
        },
        "spec": {"state": state, "node": node, "type": kind, "cidr": cidr, "deleted": "false"},
    }


def handle(identity: str, **blocks: int) -> Object:
    counts = {text.replace("_", "/"): count for text, count in blocks.items()}
    spec = {"handleID": identity, "block": counts, "deleted": False}
    return {"kind": "IPAMHandle", "metadata": {"name": identity.lower()}, "spec": spec}


@dataclass
class World:
    """``blocks``, ``rows`` and ``handles`` by name; ``facts`` is replaced, never changed."""

    blocks: t.Dict[str, Object]
    rows: t.Dict[str, Object]
    handles: t.Dict[str, Object]
    facts: ClusterFacts
    within: Network | None = None
    extra: t.List[Object] = field(default_factory=list)

    def block(self, cidr: str) -> Object:
        """The spec of a block, to be damaged."""
        return t.cast(Object, self.blocks[block_name(parse_network(cidr))]["spec"])

    def row(self, name: str) -> Object:
        return t.cast(Object, self.rows[name]["spec"])

    def know(self, **changes: t.Any) -> None:
        self.facts = replace(self.facts, **changes)

    def pod(self, name: str, pod: PodFacts | None) -> None:
        pods = dict(self.facts.pods)
        pods.pop(("shop", name), None)
        if pod is not None:
            pods["shop", name] = pod
        self.know(pods=pods)

    def node(self, name: str, node: NodeFacts | None) -> None:
        nodes = dict(self.facts.nodes)
        nodes.pop(name, None)
        if node is not None:
            nodes[name] = node
        self.know(nodes=nodes)

    def put(self, *things: Object) -> None:
        for thing in things:
            table = {"IPAMBlock": self.blocks, "BlockAffinity": self.rows, "IPAMHandle": self.handles}[thing["kind"]]
            table[thing["metadata"]["name"]] = thing

    def audit(self, kubernetes: bool = True) -> Audit:
        audit = Audit(lambda: NOW, self.within, kubernetes)
        for thing in self.blocks.values():
            audit.block(thing)
        for thing in self.rows.values():
            audit.affinity(thing)
        for thing in self.handles.values():
            audit.handle(thing)
        return audit

    def result(self) -> AuditResult:
        return self.audit().result(self.facts)


def healthy() -> World:
    """Two nodes, both families, every kind of holder."""
    pools = tuple(
        pool_from_spec(name, {"cidr": cidr, "blockSize": size, **more})
        for name, cidr, size, more in (
            ("four", "10.0.0.0/24", 29, {"vxlanMode": "Always"}),
            ("lb", "10.9.0.0/24", 29, {"allowedUses": ["LoadBalancer"]}),
            ("six", "fd00::/112", 125, {"vxlanMode": "Always"}),
        )
    )
    windows = attribute("windows-reserved-ipam-handle", note="windows host rsvd")
    world = World(
        {},
        {},
        {},
        ClusterFacts(
            now=NOW,
            pools=pools,
            nodes={
                "n1": NodeFacts({"vxlanTunnelAddress": key("10.0.0.1"), "vxlanV6TunnelAddress": key("fd00::1")}),
                "n2": NodeFacts(),
            },
            pods={
                ("shop", "a"): PodFacts((key("10.0.0.0"), key("fd00::")), (), "n1", "Running"),
                ("shop", "b"): PodFacts((key("10.0.0.10"),), (), "n2", "Running"),
                ("shop", "starting"): PodFacts((), (), "n1", "Pending"),
            },
            services={("shop", "web"): ServiceFacts(LB, (key("10.9.0.0"),))},
            machines=frozenset({("shop", "vm")}),
            cooldown=60,
        ),
    )
    windows_block = block("10.0.0.8/29", "host:n2", windows, windows, pod_attribute("b", "n2"))
    # One attribute for all that Windows keeps.
    windows_block["spec"].update(
        attributes=[windows, pod_attribute("b", "n2")],
        allocations=[0, 0, 1, *[None] * 4, 0],
        unallocated=[3, 4, 5, 6],
        sequenceNumberForAllocation={"2": NUMBER},
    )
    world.put(
        block(
            "10.0.0.0/29",
            "host:n1",
            pod_attribute("a"),
            attribute("vxlan-tunnel-addr-n1", node="n1", type="vxlanTunnelAddress"),
            attribute("net.vmi.shop.vm", **{"namespace": "shop", "pod": "virt-1", "node": "n1", "vmi-name": "vm"}),
            pod_attribute("starting", since=YOUNG),
            {"releasedAt": "2026-08-20T11:59:50Z"},
        ),
        windows_block,
        block(
            "fd00::/125",
            "host:n1",
            pod_attribute("a"),
            attribute("vxlan-v6-tunnel-addr-n1", node="n1", type="vxlanV6TunnelAddress"),
        ),
        block(
            "10.9.0.0/29",
            "virtual:load-balancer",
            attribute(LB, namespace="shop", service="web", type="LoadBalancer", timestamp=OLD),
        ),
        row("n1", "10.0.0.0/29"),
        row("n2", "10.0.0.8/29"),
        row("n1", "fd00::/125"),
        row("load-balancer", "10.9.0.0/29", kind="virtual"),
        handle("net.a", **{"10.0.0.0_29": 1, "fd00::_125": 1}),
        handle("net.b", **{"10.0.0.8_29": 1}),
        handle("net.starting", **{"10.0.0.0_29": 1}),
        handle("net.vmi.shop.vm", **{"10.0.0.0_29": 1}),
        handle("vxlan-tunnel-addr-n1", **{"10.0.0.0_29": 1}),
        handle("vxlan-v6-tunnel-addr-n1", **{"fd00::_125": 1}),
        handle(LB, **{"10.9.0.0_29": 1}),
    )
    return world


def later(**delay: float) -> datetime:
    return NOW + timedelta(**delay)
