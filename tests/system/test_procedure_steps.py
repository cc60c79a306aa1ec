# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What single steps of the roles do when something is in their way, in virtual time."""

from __future__ import annotations

import json
import os
import typing as t

import pytest
from procedures import MIGRATE, RESIZE, mortal
from runbook import Runbook, Stopped
from simulation import SimulatedApi, Write, simulate, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, IP_POOLS, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, read_pools

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

POOL = "default-ipv4-ippool"
TEMPORARY = f"{POOL}-temporary"
NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
NEW = {"name": "new", "cidr": "10.0.0.0/16"}
GIVEN: dict[str, dict[str, t.Any]] = {
    MIGRATE: {"from": POOL, "to": NEW, "soak": 5},
    RESIZE: {"pool": POOL, "block_size": 28, "soak": 5},
}
OTHER = {MIGRATE: "new", RESIZE: TEMPORARY}


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def play(api: SimulatedApi, role: str, entry: str = "main", check: bool = False, **more: t.Any) -> Runbook:
    given = {f"{role}_{name}": value for name, value in {**GIVEN[role], **more}.items()}
    runbook = Runbook(with_calico(api), mortal(), given, check_mode=check)
    runbook.play(role, entry)
    return runbook


def spec(twin: Twin, name: str) -> dict[str, t.Any]:
    found = find(read_pools(with_calico(SimulatedApi(twin))), name)
    assert found is not None
    return t.cast("dict[str, t.Any]", found.shown()["spec"])


def names(twin: Twin) -> list[str]:
    return [pool.name for pool in read_pools(with_calico(SimulatedApi(twin)))]


def once(test: t.Callable[[Write], bool], deed: t.Callable[[], object]) -> t.Callable[[Write], None]:
    """A hook that does something at the first write of a kind."""
    done: list[int] = []

    def hook(write: Write) -> None:
        if not done and test(write):
            done.append(write.number)
            deed()

    return hook


def of_pool(verb: str, name: str) -> t.Callable[[Write], bool]:
    return lambda write: (write.verb, write.resource.plural, write.name) == (verb, "ippools", name)


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
def test_check_mode_warns_of_nothing_that_the_role_prevents(role: str) -> None:
    twin = local_twin("small")
    api = SimulatedApi(twin)
    runbook = play(api, role, check=True)
    assert runbook.warnings == []
    assert api.writes == []


def test_a_temporary_range_that_is_not_given() -> None:
    """The preflight's is taken, and a run that goes on keeps it, also when another would be proposed by then."""
    twin = local_twin("small")
    api = SimulatedApi(twin)

    def block(write: Write) -> None:
        if write.resource.plural == "deployments":
            raise Refused("Enough for today.")

    with pytest.raises(Stopped, match="Enough for today. To resume: .*temporary_cidr=10.0.0.0/") as stopped:
        play(SimulatedApi(twin, before=block), RESIZE)
    range_ = spec(twin, TEMPORARY)["cidr"]
    assert f"temporary_cidr={range_} " in stopped.value.message
    api.delete(IP_POOLS, TEMPORARY)
    with pytest.raises(Stopped, match="is not finished, so"):
        play(api, RESIZE, temporary_cidr="10.99.0.0/16")
    play(api, RESIZE, external_ranges=[])
    assert spec(twin, POOL)["blockSize"] == 28
    assert names(twin) == [POOL]


def test_a_range_in_use_outside_is_not_taken() -> None:
    twin = local_twin("small")
    api = SimulatedApi(twin)
    shown: list[str] = []
    hook = once(of_pool("delete", POOL), lambda: shown.append(spec(twin, TEMPORARY)["cidr"]))
    play(SimulatedApi(twin, before=hook), RESIZE, external_ranges=["10.0.0.0/9"])
    assert not parse_network(shown[0]).overlaps(parse_network("10.0.0.0/9"))
    assert api.list(CONFIG_MAPS, "kube-system", label_selector="ipam.calico-ops.io/journal").items == []


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
def test_a_node_that_loses_its_tunnel_address(role: str) -> None:
    """Between the gate and the stop, somebody takes a node from the new pool: the old one is enabled again."""
    twin = local_twin("small")
    other = SimulatedApi(twin)
    wrong = {"spec": {"nodeSelector": "kubernetes.io/hostname == 'node-1'"}}
    hook = once(of_pool("patch", POOL), lambda: other.patch(IP_POOLS, OTHER[role], wrong))
    with pytest.raises(Stopped, match="node node-2 .*pool gives out addresses again. To resume: .* To undo: "):
        play(SimulatedApi(twin, before=hook), role, gate_timeout=20)
    assert spec(twin, POOL)["disabled"] is False
    twin.clock.advance(20)
    # What is run again makes the new pool as it is to be.
    play(SimulatedApi(twin), role)
    assert names(twin) == [POOL if role == RESIZE else "new"]
    assert twin.recorder.record()["outages"] == []


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
def test_a_node_that_loses_its_tunnel_address_while_it_is_undone(role: str) -> None:
    twin = local_twin("small")
    other = SimulatedApi(twin)

    def block(write: Write) -> None:
        if write.resource.plural == "namespaces" and spec(twin, POOL)["disabled"]:
            raise Refused("Enough for today.")

    with pytest.raises(Stopped, match="Enough for today"):
        play(SimulatedApi(twin, before=block), role)
    before = {**spec(twin, POOL), "disabled": False}
    wrong = {"spec": {"nodeSelector": "kubernetes.io/hostname == 'node-1'"}}
    hook = once(of_pool("patch", OTHER[role]), lambda: other.patch(IP_POOLS, POOL, wrong))
    with pytest.raises(Stopped, match="node node-2 .*pool gives out addresses again. To go on undoing it: "):
        play(SimulatedApi(twin, before=hook), role, "rollback", gate_timeout=20)
    assert spec(twin, OTHER[role])["disabled"] is False
    twin.clock.advance(20)
    play(SimulatedApi(twin), role, "rollback")
    assert names(twin) == [POOL]
    assert spec(twin, POOL) == before
    assert twin.recorder.record()["outages"] == []


def test_what_people_change_right_before_the_pool_is_deleted() -> None:
    """The pool is not deleted as long as its definition is not the one that was noted; the next run notes it."""
    whole = SimulatedApi(local_twin("small"))
    play(whole, RESIZE)
    deleted = next(write.number for write in whole.writes if of_pool("delete", POOL)(write))
    refused = 0
    for number in range(3, deleted + 1, 1 if NIGHTLY else 5):
        twin = local_twin("small")

        def edit(write: Write, twin: Twin = twin, number: int = number) -> None:
            if write.number == number:
                body = {"metadata": {"labels": {"edited": "yes"}}, "spec": {"disableBGPExport": True}}
                SimulatedApi(twin).patch(IP_POOLS, POOL, body)

        try:
            play(SimulatedApi(twin, before=edit), RESIZE)
        except Stopped as error:
            assert "somebody has changed disableBGPExport, labels since its definition was noted" in error.message
            assert "To resume: " in error.message
            refused += 1
            play(SimulatedApi(twin), RESIZE)
        found = find(read_pools(with_calico(SimulatedApi(twin))), POOL)
        assert found is not None
        assert (found.spec.get("disableBGPExport"), found.labels) == (True, {"edited": "yes"}), number
    assert refused


def test_what_people_change_of_a_pool_while_its_pods_leave_it() -> None:
    """The old pool is not deleted before the new one has it."""
    twin = local_twin("small")

    def edit() -> None:
        SimulatedApi(twin).patch(IP_POOLS, POOL, {"spec": {"disableBGPExport": True}})

    hook = once(lambda write: write.resource.plural == "deployments", edit)
    with pytest.raises(Stopped, match="somebody has changed disableBGPExport since its definition was noted"):
        play(SimulatedApi(twin, before=hook), MIGRATE)
    play(SimulatedApi(twin), MIGRATE)
    assert names(twin) == ["new"]
    assert spec(twin, "new")["disableBGPExport"] is True


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
def test_the_table_at_the_end_has_what_moved_back(role: str) -> None:
    twin = local_twin("small")

    def block(write: Write) -> None:
        if of_pool("delete", POOL)(write):
            raise Refused("Enough for today.")

    with pytest.raises(Stopped, match="Enough for today"):
        play(SimulatedApi(twin, before=block), role)
    said = "\n".join(play(SimulatedApi(twin), role, "rollback").progress)
    assert "moved out by" in said
    out, back = (said.partition(f"moved {each} by")[2].splitlines()[1] for each in ("out", "back"))
    assert out == back


def test_undoing_a_move_to_a_pool_that_was_there_before() -> None:
    """Its definition comes back, nobody who was there before is moved, and where the others are is said."""
    twin = local_twin("small")
    api = SimulatedApi(twin)
    body = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": "new", "labels": {"a": "b"}}}
    own = {"cidr": "10.0.0.0/16", "ipipMode": "Always", "natOutgoing": True, "nodeSelector": "all()", "disabled": True}
    api.create(IP_POOLS, {**body, "spec": own})
    before = {name: spec(twin, name) for name in (POOL, "new")}

    def block(write: Write) -> None:
        if of_pool("delete", POOL)(write):
            raise Refused("Enough for today.")

    with pytest.raises(Stopped, match="Enough for today"):
        play(SimulatedApi(twin, before=block), MIGRATE)
    runbook = play(api, MIGRATE, "rollback")
    assert not runbook.warnings
    assert {name: spec(twin, name) for name in (POOL, "new")} == before
    said = str(runbook.said)
    assert "stay in IPPool new," in said and "Noted so far: StatefulSet shop/db, Deployment" in said
    # It was disabled before, so nobody would be hit by a drain.
    assert "ansible localhost -m calico_ops.ipam.ippool_drain -a 'pool=new namespaces=" in said
    assert "shop" in said and "disabled=" not in said
    network = parse_network("10.0.0.0/16")
    assert any(network.contains(parse_address(pod["status"]["podIP"])) for pod in api.list(PODS).items)
    assert twin.recorder.record()["outages"] == []


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
@pytest.mark.parametrize("entry", ["main", "rollback"])
def test_a_misspelt_variable_is_refused_before_anything_else(role: str, entry: str) -> None:
    api = SimulatedApi(local_twin("small"))
    with pytest.raises(Stopped) as stopped:
        play(api, role, entry, concent=["bare_pods"])
    assert stopped.value.message == (
        f"This role has no variable {role}_concent (did you mean {role}_consent?): correct the name, or leave it out."
    )
    assert not api.writes


def test_a_misspelt_way_to_the_cluster_is_refused_before_the_first_write() -> None:
    """It would lead to another cluster."""
    api = SimulatedApi(local_twin("small"))
    given = {f"{MIGRATE}_{name}": value for name, value in GIVEN[MIGRATE].items()}
    with pytest.raises(Stopped, match="There is no variable calico_ops_contxt .did you mean calico_ops_context.."):
        Runbook(with_calico(api), mortal(), {**given, "calico_ops_contxt": "east"}).play(MIGRATE)
    assert not api.writes


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
def test_the_commands_repeat_what_the_run_was_given(role: str) -> None:
    more = {"consent": ["bare_pods"], "max_parallel": 7, "external_ranges": ["198.51.100.0/24"], "canary": True}
    runbook = play(SimulatedApi(local_twin("small")), role, **more)
    noted = [call.params["options"] for call in runbook.calls if "options" in call.params]
    # The canary is as it is by default, and the request has a place of its own in the journal.
    kept = ("consent", "external_ranges", "max_parallel", "soak")
    assert noted == [{f"{role}_{name}": {**GIVEN[role], **more}[name] for name in kept}]


@pytest.mark.parametrize("role", [MIGRATE, RESIZE])
def test_what_a_drain_had_moved_by_the_time_it_failed_is_noted(role: str) -> None:
    api = SimulatedApi(local_twin("small"))
    with pytest.raises(Stopped, match="is not drained after"):
        play(api, role, drain_timeout=8)
    journal = json.loads(api.get(CONFIG_MAPS, f"calico-ops-ipam-{POOL}", "kube-system")["data"]["journal.json"])
    assert journal["moved"] and journal["moved_pods"]
    assert journal["options"][f"{role}_drain_timeout"] == 8
