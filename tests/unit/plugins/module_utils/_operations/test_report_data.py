# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from report_sample import journal
from simulation import SimulatedApi, SimulatedClock
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    EVENTS,
    IP_POOLS,
    IPAM_BLOCKS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import KubernetesRecords
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_events import FINISHED, PoolEvents
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import (
    MIGRATE,
    NAMESPACE,
    RESIZE,
    decode,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import (
    ADDRESS_COLUMNS,
    BLOCK_COLUMNS,
    figures,
    report,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_timeline import ended_journals
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store

POOL = "default-ipv4-ippool"


@pytest.fixture
def api() -> SimulatedApi:
    return SimulatedApi(local_twin("small"))


def made(api: t.Any, **options: t.Any) -> dict[str, t.Any]:
    clock = SimulatedClock(api.inner if isinstance(api, Denied) else api)
    return report(api, KubernetesRecords(api), read_pools(api), open_store(api).reservations(), clock, **options)


def blocks(found: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    return [dict(zip(BLOCK_COLUMNS, row)) for row in found["blocks"]["rows"]]


def addresses(found: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    return [dict(zip(ADDRESS_COLUMNS, row)) for row in found["addresses"]["rows"]]


def test_figures_agree_with_one_another_and_with_the_audit(api: SimulatedApi) -> None:
    found = made(api)
    assert json.loads(json.dumps(found)) == found
    rows = blocks(found)
    stored = api.list(IPAM_BLOCKS).items
    assert sorted(row["cidr"] for row in rows) == sorted(block["spec"]["cidr"] for block in stored)
    held = addresses(found)
    assert len(held) == sum(row["in_use"] for row in rows) == found["audit"]["summary"]["addresses"]["allocated"]
    assert [sum(each["block"] == at for each in held) for at in range(len(rows))] == [row["in_use"] for row in rows]
    assert sum(row["addresses"] for row in found["namespaces"]) == len(held)
    assert sum(row["in_use"] for row in found["nodes"]) == len(held)
    assert found["pools"][0]["utilization"]["addresses"]["in_use"] == len(held)
    assert figures(found) == {
        "pools": 1,
        "blocks": len(rows),
        "in_use": len(held),
        "borrowed": 0,
        "leaked": 0,
        "findings": found["audit"]["summary"]["severities"],
    }
    assert all(each["since"] and each["since"].endswith("Z") for each in held if each["kind"] == "pod")


def test_a_leaked_address_is_marked_with_its_certainty(api: SimulatedApi) -> None:
    block = api.list(IPAM_BLOCKS).items[0]
    spec = block["spec"]
    ordinal = spec["unallocated"].pop(0)
    spec["allocations"][ordinal] = len(spec["attributes"])
    owner = {"namespace": "shop", "pod": "gone", "node": spec["affinity"][5:]}
    spec["attributes"].append({"handle_id": "k8s-pod-network.gone", "secondary": owner})
    api.replace(IPAM_BLOCKS, block)
    found = made(api)
    marked = [each for each in addresses(found) if each["leaked"]]
    assert [(each["name"], each["ordinal"]) for each in marked] == [("gone", ordinal)]
    assert marked[0]["leaked"] == found["audit"]["leaked"][0]["certainty"]
    assert [row["leaked"] for row in blocks(found) if row["cidr"] == spec["cidr"]] == [1]
    assert figures(found)["leaked"] == 1


def test_one_pool_only(api: SimulatedApi) -> None:
    other = {"metadata": {"name": "other"}, "spec": {"cidr": "10.77.0.0/16", "blockSize": 26}}
    api.create(IP_POOLS, {"apiVersion": IP_POOLS.api_version, "kind": IP_POOLS.kind, **other})
    found = made(api, pool="other", audited=False)
    assert (found["blocks"]["rows"], found["addresses"]["rows"], found["audit"]) == ([], [], None)
    assert [pool["name"] for pool in found["pools"]] == ["other"]
    with pytest.raises(InvalidInput, match="'nowhere'"):
        made(api, pool="nowhere")


def test_a_block_that_cannot_be_read_is_named_and_left_out(api: SimulatedApi) -> None:
    broken = api.list(IPAM_BLOCKS).items[0]
    broken["spec"]["cidr"] = "not-a-cidr"
    api.replace(IPAM_BLOCKS, broken)
    found = made(api)
    assert [each["name"] for each in found["damaged"]] == [broken["metadata"]["name"]]
    assert len(found["blocks"]["rows"]) == len(api.list(IPAM_BLOCKS).items) - 1


def test_what_is_under_way_and_what_was_told_of_a_pool(api: SimulatedApi) -> None:
    api.create(CONFIG_MAPS, journal(), NAMESPACE)
    PoolEvents(api, api.get(IP_POOLS, POOL), SimulatedClock(api)).say(FINISHED, "moved 4 of 4")
    found = made(api, audited=False)
    assert [(each["pool"], each["phase"], each["moved_pods"]) for each in found["procedures"]] == [
        (POOL, "moving_out", 2)
    ]
    assert [(each["resume"], each["undo"]) for each in found["procedures"]] == [("resume it", "undo it")]
    told = [(each["what"], each["text"]) for each in sorted(found["timeline"], key=lambda each: each["what"])]
    assert told == [
        ("event", "DrainFinished: moved 4 of 4"),
        ("phase", "phase moving_out"),
        ("run", "run r1, forward"),
        ("started", f"the move of IPPool {POOL!r} to pool 'new' (10.8.0.0/16) was begun"),
    ]
    assert [each["at"] for each in found["timeline"]] == sorted(each["at"] for each in found["timeline"])


def test_a_journal_that_was_removed_is_told_of_by_whoever_was_told(api: SimulatedApi) -> None:
    said = decode(journal()).as_dict()
    found = made(api, audited=False, journals=ended_journals([said]))
    assert [(each["pool"], each["phase"], each["over"]) for each in found["procedures"]] == [(POOL, "moving_out", True)]
    assert [each["what"] for each in found["timeline"]] == ["started", "run", "phase"]
    assert made(api, audited=False)["procedures"] == []


@pytest.mark.parametrize("given", [{}, {"procedure": MIGRATE}, {"procedure": MIGRATE, "pool": 1, "target": 2}])
def test_what_is_no_journal_is_refused(given: dict[str, t.Any]) -> None:
    with pytest.raises(InvalidInput, match="journals: entry 1 is no journal"):
        ended_journals([given])


def test_a_journal_that_stays_is_told_of_once(api: SimulatedApi) -> None:
    api.create(CONFIG_MAPS, journal(), NAMESPACE)
    found = made(api, audited=False, journals=ended_journals([decode(journal()).as_dict()]))
    assert [each["over"] for each in found["procedures"]] == [True]


def test_a_pool_that_somebody_else_created_again_is_a_note(api: SimulatedApi) -> None:
    thing = journal()
    said = {**json.loads(thing["data"]["journal.json"]), "procedure": RESIZE, "block_size": 30}
    thing["data"]["journal.json"] = json.dumps({**said, "definition": {"spec": {"blockSize": 20}}})
    api.create(CONFIG_MAPS, thing, NAMESPACE)
    found = made(api, audited=False)
    assert (found["procedures"], len(found["notes"])) == ([], 1)
    assert "decide by hand" in found["notes"][0]


class Denied:
    """An API whose user may not do some of it."""

    def __init__(self, api: SimulatedApi, *denied: tuple[str, t.Any]) -> None:
        self.inner = api
        self._denied = denied

    def __getattr__(self, verb: str) -> t.Any:
        allowed = getattr(self.inner, verb)

        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            if arguments and (verb, arguments[0]) in self._denied:
                raise Forbidden(f"may not {verb} {arguments[0].plural}.", status=403)
            return allowed(*arguments, **options)

        return call


def test_without_the_right_to_list_journals_each_pools_own_is_read(api: SimulatedApi) -> None:
    api.create(CONFIG_MAPS, journal(), NAMESPACE)
    found = made(Denied(api, ("list", CONFIG_MAPS), ("list", EVENTS)), audited=False)
    assert [each["pool"] for each in found["procedures"]] == [POOL]
    assert found["notes"] == []
    blind = made(Denied(api, ("list", CONFIG_MAPS), ("get", CONFIG_MAPS)), audited=False)
    assert blind["procedures"] == []
    assert "may not read" in blind["notes"][0]


def test_a_journal_that_cannot_be_read_is_a_note(api: SimulatedApi) -> None:
    thing = journal()
    thing["data"]["journal.json"] = "{"
    api.create(CONFIG_MAPS, thing, NAMESPACE)
    found = made(api, audited=False)
    assert found["procedures"] == []
    assert "is not a journal this release can read" in found["notes"][0]
