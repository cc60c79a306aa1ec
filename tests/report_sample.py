# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports as ``report_data.report`` makes them, of clusters of any size that never were."""

from __future__ import annotations

import ipaddress
import random
import typing as t
from datetime import datetime, timedelta, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    MIGRATE,
    NAMESPACE,
    Journal,
    config_map,
    data_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import (
    ADDRESS_COLUMNS,
    BLOCK_COLUMNS,
    FORMAT,
    namespaces_of,
    nodes_of,
)

TAKEN = datetime(2026, 8, 20, 9, 30, tzinfo=timezone.utc)
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def pool(name: str, cidr: str, size: int, **spec: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "spec": {"cidr": cidr, "blockSize": size, "ipipMode": "Always", "natOutgoing": True, **spec},
        "labels": {},
        "annotations": {},
    }


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>[[script]][[data]]",
    "\u2028\u2029\x00\r\n",
    "&lt;img src=x onerror=alert(1)&gt;",
    "'\"`${alert(1)}\\",
    # From right to left, and as long as a name may be.
    "\u05e9\u05dc\u05d5\u05dd\u0645\u0631\u062d\u0628\u0627",
    "w" * 253,
)


def hostile() -> dict[str, t.Any]:
    """A report in which every name is an attack."""

    def spoiled(value: t.Any) -> t.Any:
        if isinstance(value, dict):
            return {key: spoiled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [spoiled(each) for each in value]
        return value + "".join(HOSTILE) if isinstance(value, str) else value

    found = sample(20, 5)
    made: dict[str, t.Any] = {**spoiled(found), "taken": found["taken"]}
    for name in ("blocks", "addresses"):
        made[name]["columns"] = found[name]["columns"]
    return made


def sample(
    blocks: int = 60,
    allocations: int = 15,
    *,
    nodes: int = 12,
    namespaces: int = 9,
    pools: t.Sequence[dict[str, t.Any]] = (),
    seed: int = 1,
) -> dict[str, t.Any]:
    """``blocks`` blocks, spread over the pools, with ``allocations`` addresses each on average."""
    dice = random.Random(seed)
    moments = (TAKEN - timedelta(seconds=dice.randrange(3 * 86400)) for _moment in range(20_000))
    times = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in moments]
    described = list(pools) or [pool("default-ipv4-ippool", "10.0.0.0/8" if blocks > 900 else "10.0.0.0/16", 26)]
    rows: list[list[t.Any]] = []
    addresses: list[list[t.Any]] = []
    leaked: list[dict[str, t.Any]] = []
    for each in described:
        network = ipaddress.ip_network(each["spec"]["cidr"])
        size = each["spec"]["blockSize"]
        wide = 1 << (network.max_prefixlen - size)
        possible = 1 << (size - network.prefixlen)
        places = sorted(dice.sample(range(possible), min(possible, blocks // len(described))))
        for place in places:
            base = network.network_address + place * wide
            owner = f"node-{dice.randrange(nodes):04d}" if dice.random() > 0.01 else None
            count = min(wide, max(0, int(dice.gauss(allocations, allocations / 3))))
            borrowed = lost = 0
            for ordinal in sorted(dice.sample(range(wide), count)):
                app = f"{dice.choice(('cart', 'checkout', 'catalog', 'search', 'mailer'))}-{dice.randrange(40)}"
                letters = "".join(dice.choices(LETTERS, k=14))
                suffix = f"{letters[:9]}-{letters[9:]}"
                node = owner if owner and dice.random() > 0.005 else f"node-{dice.randrange(nodes):04d}"
                foreign = node != owner
                certainty = dice.choice(("certain", "likely")) if dice.random() < 0.001 else None
                since = times[int(dice.random() * len(times))]
                namespace = f"team-{dice.randrange(namespaces):02d}"
                addresses.append(
                    [
                        len(rows),
                        ordinal,
                        "pod",
                        namespace,
                        f"{app}-{suffix}",
                        node,
                        foreign,
                        certainty,
                        since,
                    ]
                )
                borrowed += foreign
                if certainty:
                    lost += 1
                    address = str(base + ordinal)
                    leaked.append({"address": address, "certainty": certainty, "namespace": namespace})
            affinity = f"host:{owner}" if owner else None
            rows.append([f"{base}/{size}", each["name"], owner, affinity, wide, count, 0, wide - count, borrowed, lost])
        mine = [row for row in rows if row[1] == each["name"]]
        used = sum(row[5] for row in mine)
        each["utilization"] = {
            "addresses": {
                "capacity": network.num_addresses,
                "in_use": used,
                "reserved": 0,
                "free": network.num_addresses - used,
            },
            "blocks": {"possible": possible, "allocated": len(mine), "free": possible - len(mine), "size": size},
            "nodes": [],
        }
    findings = [
        {
            "id": f"leaked-address/{row['address']}",
            "check": "leaked-address",
            "severity": "warning",
            "message": f"Address {row['address']} is allocated to a pod of {row['namespace']} that is gone.",
            "objects": [],
            "remedy": "Release it with ipam_release.",
            "data": {},
        }
        for row in leaked
    ]
    return {
        "format": FORMAT,
        "release": "0.1.0",
        "taken": TAKEN.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cluster": "6f1b9a1d5c2e4c5f9d8f3a7b2c1e0d4a",
        "calico": "v3.33.0",
        "pool": None,
        "pools": described,
        "nodes": nodes_of(rows),
        "namespaces": namespaces_of(rows, addresses),
        "blocks": {"columns": list(BLOCK_COLUMNS), "rows": rows},
        "addresses": {"columns": list(ADDRESS_COLUMNS), "rows": addresses},
        "audit": {
            "findings": findings,
            "leaked": leaked,
            "kept": [],
            "summary": {"severities": {"error": 0, "warning": len(findings), "note": 0}},
            "calicoctl": {},
            "datastore_locked": False,
        },
        "damaged": [],
        "procedures": [],
        "timeline": [],
        "notes": [],
    }


def journal() -> dict[str, t.Any]:
    """The ConfigMap of a move that is under way."""
    written = Journal(
        procedure=MIGRATE,
        pool="default-ipv4-ippool",
        target={"name": "new", "cidr": "10.8.0.0/16"},
        block_size=None,
        definition={"spec": {}, "labels": {}, "annotations": {}},
        started="2026-08-20T09:00:00Z",
        version="0.1.0",
        phases={"moving_out": "2026-08-20T09:01:00Z"},
        runs=({"run": "r1", "at": "2026-08-20T09:00:30Z", "direction": "forward"},),
        moved=({"owner": "Deployment shop/cart", "way": "restart", "pods": 2},),
        moved_pods=2,
    )
    return config_map(NAMESPACE, written, data_of(written, {"resume": "resume it", "undo": "undo it"}))
