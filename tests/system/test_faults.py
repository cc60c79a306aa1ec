# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad days of whole procedures, in virtual time: success, or one sentence after which a new run succeeds.

What the HTTP client makes good by itself (repeated reads, Retry-After, watches cut or too old, credentials read
again) is tested where it is done, in ``tests/unit/plugins/module_utils/_cluster``, and with whole procedures in
``test_bad_weather.py``. Here its patience is at an end.
"""

from __future__ import annotations

import os
import random
import typing as t

import pytest
from drain_lab import budget, rolling, workload
from drain_room import Lab
from procedures import change_block_size, migrate_pool
from simulation import SimulatedApi, Write, simulate, with_calico
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Conflict,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    IP_POOLS,
    LEASES,
    NODES,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

POOL = "default-ipv4-ippool"
NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
MOST_RUNS = 40
Work = t.Callable[[t.Any], object]


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


def migrate(api: t.Any) -> object:
    return migrate_pool(api, POOL, {"name": "new", "cidr": "10.0.0.0/16"})


def resize(api: t.Any) -> object:
    return change_block_size(api, POOL, 28, {"cidr": "10.0.0.0/16"})


OUTCOME = {migrate: ("new", "10.0.0.0/16", 26), resize: (POOL, "192.168.0.0/16", 28)}


class FaultyApi(SimulatedApi):
    """Asks ``fault`` about each request; what it returns is raised, before or after the request was carried out.

    The Lease is let alone: it is renewed by a thread of its own, which has tests of its own.
    """

    def __init__(self, twin: Twin, fault: t.Callable[[str, Resource], Exception | None]) -> None:
        super().__init__(twin)
        self.fault = fault
        self.raised: list[str] = []

    def _ask(self, verb: str, resource: Resource, late: bool = False) -> None:
        error = None if resource == LEASES else self.fault(f"after {verb}" if late else verb, resource)
        if error is not None:
            self.raised.append(f"{verb} {resource.plural}: {error}")
            raise error

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        self._ask("get", resource)
        return super().get(resource, name, namespace)

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> Listing:
        self._ask("list", resource)
        return super().list(resource, namespace, **selectors)

    def written(self, verb: str, resource: Resource, name: str, body: t.Any, call: t.Callable[[], t.Any]) -> t.Any:
        self._ask(verb, resource)
        answer = super().written(verb, resource, name, body, call)
        self._ask(verb, resource, late=True)
        return answer


def attempt(work: Work, api: SimulatedApi) -> str:
    """The sentence a run ends with; ``""`` when it was carried out."""
    try:
        work(with_calico(api))
    except IpamError as error:
        assert error.message.strip() == error.message != ""
        assert "\n" not in error.message and "Traceback" not in error.message
        return error.message
    return ""


def finish(twin: Twin, work: Work) -> None:
    """A new run, with nothing in its way, ends what is unfinished; then everything is as it was wanted."""
    assert attempt(work, SimulatedApi(twin)) == ""
    twin.clock.advance(60)
    name, cidr, size = OUTCOME[work]
    api = with_calico(SimulatedApi(twin))
    (pool,) = read_pools(api)
    spec = pool.shown()["spec"]
    assert (pool.name, spec["cidr"], spec["blockSize"], bool(spec.get("disabled"))) == (name, cidr, size, False)
    network = parse_network(cidr)
    for pod in api.list(PODS).items:
        if not pod["spec"].get("hostNetwork"):
            assert network.contains(parse_address(pod["status"]["podIP"])), pod["metadata"]["name"]
    for kind in (CONFIG_MAPS, LEASES):
        assert not [item for item in api.list(kind).items if "calico-ops" in item["metadata"]["name"]]
    for item in api.list(DEPLOYMENTS).items:
        notes = item["metadata"].get("annotations") or {}
        assert not [note for note in notes if note.startswith("ipam.calico-ops.io/original")]
    harmless(twin)


def harmless(twin: Twin) -> None:
    record = twin.recorder.record()
    assert record["outages"] == record["budget_violations"] == []


# -- any request may fail ------------------------------------------------------------------


def some_error(chance: random.Random, verb: str) -> Exception:
    errors: list[Exception] = [
        TooManyRequests("Too many requests, please try again later.", 429, retry_after=1.0),
        ServerError("etcdserver: request timed out", 500, "InternalError"),
        ServerError("service unavailable", 503, "ServiceUnavailable"),
        ServerError("Timeout: request did not complete within the allotted duration", 504, "Timeout"),
        Unreachable("The connection to 127.0.0.1 was cut.", maybe_done=verb.startswith("after")),
    ]
    if verb in ("patch", "replace", "delete"):
        errors.append(Conflict("Operation cannot be fulfilled: the object has been modified", 409, "Conflict"))
    return chance.choice(errors)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("work", [migrate, resize])
@pytest.mark.parametrize("seed", range(1, 60 if NIGHTLY else 5))
def test_a_bad_day(work: Work, seed: int) -> None:
    """One write in twenty and one read in 500 fails, in all the ways there are; runs are repeated until one ends."""
    chance = random.Random(seed)

    def fault(verb: str, resource: Resource) -> Exception | None:
        del resource
        often = 0.002 if verb in ("get", "list") else 0.05
        if chance.random() >= often:
            return None
        # After it has been carried out only the answer can get lost.
        return (
            Unreachable("The answer was lost.", maybe_done=True)
            if verb.startswith("after")
            else some_error(chance, verb)
        )

    twin = local_twin("small", seed=seed)
    for _run in range(MOST_RUNS):
        api = FaultyApi(twin, fault)
        sentence = attempt(work, api)
        if not sentence:
            break
        # People take a moment before they try again.
        twin.clock.advance(5)
    assert not sentence
    finish(twin, work)


# -- a slow API server ---------------------------------------------------------------------


def test_slow_answers() -> None:
    """Each request that changes something takes three seconds; the others half a second."""
    twin = local_twin("small")

    def fault(verb: str, resource: Resource) -> None:
        del resource
        if not verb.startswith("after"):
            twin.clock.advance(0.5 if verb in ("get", "list") else 3.0)

    assert attempt(migrate, FaultyApi(twin, t.cast("t.Any", fault))) == ""
    harmless(twin)
    finish(twin, migrate)


# -- others at work; more of them in test_disturbed.py ---------------------------------------


def disturbed(twin: Twin, number: int, deed: t.Callable[[SimulatedApi], object]) -> SimulatedApi:
    """An API that lets somebody else do something right before the write of that number."""

    def before(write: Write) -> None:
        if write.number == number:
            deed(SimulatedApi(twin))

    return SimulatedApi(twin, before=before)


def off(api: SimulatedApi) -> None:
    api.patch(IP_POOLS, "new", {"spec": {"disabled": True}})


def gone(api: SimulatedApi) -> None:
    api.delete(IP_POOLS, "new")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("deed", [gone, off])
def test_somebody_takes_the_new_pool_away(deed: t.Callable[[SimulatedApi], object]) -> None:
    """Before each write from the one on that stops the old pool: the run stops before it deletes the last pool (A03).

    Nothing can be done about the moment right before that deletion itself; then the run says what has happened, and the
    next one creates the new pool again.
    """
    whole = SimulatedApi(local_twin("small"))
    migrate(with_calico(whole))
    pools = [write for write in whole.writes if write.resource.plural == "ippools"]
    stopped, deleted = pools[1].number, pools[-1].number
    assert (pools[1].verb, pools[-1].verb) == ("patch", "delete")
    some = {*range(stopped + (deed == off), deleted, 1 if NIGHTLY else 4), deleted - 1}
    for number in sorted({*some, deleted, len(whole.writes)}):
        twin = local_twin("small")
        sentence = attempt(migrate, disturbed(twin, number, deed))
        names = [pool.name for pool in read_pools(with_calico(SimulatedApi(twin)))]
        if number <= deleted:
            assert sentence, number
        if number < deleted:
            assert POOL in names, number
        harmless(twin)
        if sentence:
            finish(twin, migrate)


# -- nodes, images, budgets ----------------------------------------------------------------


def test_a_node_goes_and_another_comes() -> None:
    lab = Lab(1)
    for name in ("one", "two"):
        lab.create(DEPLOYMENTS, workload(name, 6, strategy=rolling(1, 0)))
    lab.create(POD_DISRUPTION_BUDGETS, budget("one", maxUnavailable=1))
    lab.begin()
    node = lab.admin.get(NODES, "node-1")
    done: list[str] = []

    def happen() -> None:
        evicted = len(lab.admin.list(PODS, "shop").items)
        if not done and evicted > 12:
            done.append("gone")
            lab.admin.delete(NODES, "node-2")
            metadata = {**node["metadata"], "name": "node-9"}
            metadata["labels"] = {**metadata["labels"], "kubernetes.io/hostname": "node-9"}
            metadata["annotations"] = {"projectcalico.org/IPv4Address": "172.31.0.99/24"}
            fresh = {key: metadata[key] for key in ("name", "labels", "annotations")}
            lab.admin.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": fresh, "status": node["status"]})

    lab.admin.ticks.append(happen)
    result = lab.drain()
    assert done
    assert all(entry.reason for entry in result.left)
    lab.admin.ticks.clear()
    lab.twin.settle()
    assert lab.drain().left == ()
    assert lab.left() == []
    # The node took its pods along, which no drain can help; but nobody was without any.
    assert lab.twin.recorder.record()["outages"] == []


def broken_image(kind: Resource, lab: Lab) -> None:
    containers = [{"name": "main", "image": "registry.example.com/app:broken"}]
    lab.admin.patch(kind, "web", {"spec": {"template": {"spec": {"containers": containers}}}}, "shop")


@pytest.mark.parametrize("kind", [DEPLOYMENTS, REPLICA_SETS])
def test_an_image_that_cannot_be_pulled(kind: Resource) -> None:
    """One replacement that does not come is enough: the others stay, and the sentence names the image."""
    lab = Lab(1)
    lab.create(kind, workload("web", 4))
    lab.create(DEPLOYMENTS, workload("other", 2))
    lab.begin()
    broken_image(kind, lab)
    result = lab.drain(timeout=300)
    assert {entry.owner.partition("/")[2] for entry in result.left} == {"web"}
    assert any("image" in entry.reason.lower() for entry in result.left), [str(entry) for entry in result.left]
    assert len(lab.left()) >= 3
    lab.unharmed()
    # Its owner repairs it.
    containers = [{"name": "main", "image": "registry.example.com/app:2"}]
    lab.admin.patch(kind, "web", {"spec": {"template": {"spec": {"containers": containers}}}}, "shop")
    for pod in lab.admin.list(PODS, "shop").items if kind == REPLICA_SETS else ():
        if pod["status"]["phase"] == "Pending":
            lab.admin.delete(PODS, pod["metadata"]["name"], "shop")
    lab.twin.settle()
    assert lab.drain(timeout=300).left == ()
    lab.unharmed()


def test_a_budget_that_never_allows_holds_up_nobody_else() -> None:
    lab = Lab(1)
    lab.create(REPLICA_SETS, workload("web", 3))
    lab.create(POD_DISRUPTION_BUDGETS, budget("web", maxUnavailable=0))
    lab.create(DEPLOYMENTS, workload("other", 3))
    lab.begin()
    result = lab.drain(timeout=300)
    assert result.moved == 3
    assert {entry.reason for entry in result.left} == {
        "budget shop/web (maxUnavailable 0) never spares a pod of ReplicaSet shop/web: relax it, or add replicas"
    }
    lab.admin.patch(POD_DISRUPTION_BUDGETS, "web", {"spec": {"maxUnavailable": 1}}, "shop")
    lab.admin.tick(5)
    assert lab.drain(timeout=300).left == ()
    lab.unharmed()
