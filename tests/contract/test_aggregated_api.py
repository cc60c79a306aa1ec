# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``projectcalico.org/v3`` behind Calico's API server, on the wire: spec ippool.md 1.1, 3.2, 4, 5.1 and 7.1."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import typing as t

import pytest
from wire import (
    JSON_PATCH,
    MERGE_PATCH,
    POOLS,
    POOLS_V3,
    STRATEGIC_PATCH,
    TABLE,
    Cluster,
    Object,
    Pools,
    removed_afterwards,
    unique,
)

GROUP = "/apis/projectcalico.org/v3"
SPEED = 20.0


@pytest.fixture(scope="module")
def cluster_aggregated(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Cluster]:
    """A cluster with Calico's API server; skips when the one under test has none."""
    from twin_fixture import start_twin

    with contextlib.ExitStack() as stack:
        given = os.environ.get("CALICO_OPS_KUBECONFIG")
        if not given:
            folder = tmp_path_factory.mktemp("contract-aggregated")
            twin = stack.enter_context(start_twin(folder, "small", speed=SPEED, installation="apiserver"))
            given = twin.kubeconfig
        found = Cluster(given)
        stack.callback(found.close)
        if found.get(f"{GROUP}/profiles").status != 200:
            pytest.skip("the cluster has no API server of Calico")
        yield found


@pytest.fixture(scope="module")
def pools(cluster_aggregated: Cluster) -> Pools:
    return Pools(cluster_aggregated, POOLS_V3)


@pytest.fixture
def pool(pools: Pools) -> t.Iterator[str]:
    name = unique("contract")
    with removed_afterwards(pools.cluster, f"{pools.path}/{name}"):
        pools.post(pools.body(name, blockSize=28)).made()
        yield f"{pools.path}/{name}"


def on_twin() -> bool:
    return "CALICO_OPS_KUBECONFIG" not in os.environ


def below(path: str) -> str:
    """The custom resource of a pool."""
    return path.replace(POOLS_V3, POOLS)


def test_discovery_tells_it_from_definitions(cluster_aggregated: Cluster) -> None:
    found = {each["name"]: each for each in cluster_aggregated.get(GROUP).made()["resources"]}
    assert {"ippools", "ippools/status", "profiles", "blockaffinities", "ipamconfigurations"} <= found.keys()
    assert not {"ipamblocks", "ipamhandles"} & found.keys()
    assert "shortNames" not in found["ippools"]
    assert cluster_aggregated.get(f"{GROUP}/ipamblocks").status == 404
    service = cluster_aggregated.get("/apis/apiregistration.k8s.io/v1/apiservices/v3.projectcalico.org").made()
    assert service["spec"]["service"]["name"] == "calico-api"
    assert [(each["type"], each["status"]) for each in service["status"]["conditions"]] == [("Available", "True")]


def test_a_document_of_its_types(cluster_aggregated: Cluster) -> None:
    schemas = cluster_aggregated.get("/openapi/v3/apis/projectcalico.org/v3").made()["components"]["schemas"]
    (spec,) = (
        each["properties"]["spec"]["properties"]
        for each in schemas.values()
        if any(place["kind"] == "IPPool" for place in each.get("x-kubernetes-group-version-kind", ()))
    )
    assert {"cidr", "blockSize", "namespaceSelector"} <= spec.keys()


def test_create_packs_the_metadata(pools: Pools) -> None:
    name = unique("contract")
    with removed_afterwards(pools.cluster, f"{pools.path}/{name}"):
        body = pools.body(name)
        body["metadata"]["labels"] = {"team": "net"}
        made = pools.post(body).made()
        stored = pools.cluster.get(f"{POOLS}/{name}").made()
        chosen = pools.cluster.get(pools.path, labelSelector="team=net").made()["items"]
        assert [each["metadata"]["name"] for each in chosen] == [name]
    assert made["spec"].items() >= {"blockSize": 26, "ipipMode": "Never", "allowedUses": ["Workload", "Tunnel"]}.items()
    assert stored["spec"] == made["spec"]
    assert "labels" not in stored["metadata"] and "projectcalico.org/metadata" in stored["metadata"]["annotations"]
    assert made["metadata"]["uid"] != stored["metadata"]["uid"]
    assert made["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


def test_calicos_rules_are_a_422(pools: Pools, pool: str) -> None:
    status = pools.post(pools.body(unique("contract"))).refused(422, "Invalid")
    assert status["details"]["group"] == "projectcalico.org"
    assert [each["field"] for each in status["details"]["causes"]] == ["IPPool.Spec.CIDR"]
    assert "CIDR overlaps with" in status["message"]


def test_rules_of_the_definition_are_a_500(pools: Pools) -> None:
    body = pools.body(unique("contract"), ipipMode="Always", vxlanMode="Always")
    status = pools.post(body).refused(500)
    assert "cannot both be enabled" in status["message"]
    assert "details" not in status


def test_a_dry_run_looks_at_the_name_only(pools: Pools, pool: str) -> None:
    name = unique("contract")
    bad = pools.body(name, ipipMode="Always", vxlanMode="Always", nodeSelector="(")
    assert pools.cluster.post(pools.path, bad, dryRun="All").status == 201
    assert pools.cluster.get(f"{pools.path}/{name}").status == 404
    taken = pools.body(pool.rpartition("/")[2])
    pools.cluster.post(pools.path, taken, dryRun="All").refused(409, "AlreadyExists")


def test_unknown_fields(pools: Pools) -> None:
    body = pools.body(unique("contract"), blocksize=28)
    answer = pools.cluster.post(pools.path, body, fieldValidation="Strict", dryRun="All")
    assert 'unknown field "spec.blocksize"' in answer.refused(400, "BadRequest")["message"]


@pytest.mark.parametrize("media_type", [MERGE_PATCH, STRATEGIC_PATCH])
def test_patches_that_merge(pools: Pools, pool: str, media_type: str) -> None:
    made = pools.cluster.patch(pool, {"spec": {"natOutgoing": True, "blockSize": 28}}, media_type).made()
    assert made["spec"].items() >= {"natOutgoing": True, "blockSize": 28}.items()
    status = pools.cluster.patch(pool, {"spec": {"blockSize": None}}, media_type).refused(422, "Invalid")
    assert "cannot be modified" in status["message"]


def test_a_json_patch(pools: Pools, pool: str) -> None:
    operations = [
        {"op": "test", "path": "/spec/blockSize", "value": 28},
        {"op": "replace", "path": "/spec/ipipMode", "value": "Always"},
    ]
    assert pools.cluster.patch(pool, operations, JSON_PATCH).made()["spec"]["ipipMode"] == "Always"


def test_an_old_version_is_a_conflict(pools: Pools, pool: str) -> None:
    found = pools.cluster.get(pool).made()
    pools.cluster.patch(pool, {"spec": {"natOutgoing": True}}).made()
    pools.cluster.put(pool, found).refused(409, "Conflict")
    # A write to the custom resource is a change of the pool as well.
    fresh = pools.cluster.get(pool).made()
    pools.cluster.patch(below(pool), {"metadata": {"annotations": {"example.com/note": "1"}}}).made()
    pools.cluster.put(pool, fresh).refused(409, "Conflict")


def test_a_watch_shows_what_is_stored(pools: Pools) -> None:
    name = unique("contract")
    start = pools.cluster.get(pools.path).version
    with removed_afterwards(pools.cluster, f"{pools.path}/{name}"):
        direct = {**pools.body(name), "apiVersion": "crd.projectcalico.org/v1"}
        pools.cluster.post(POOLS, direct).made()
        assert pools.cluster.get(f"{pools.path}/{name}").made()["spec"]["blockSize"] == 26
        for event in pools.cluster.watch(pools.path, 5, resourceVersion=start, fieldSelector=f"metadata.name={name}"):
            assert (event["type"], event["object"]["apiVersion"]) == ("ADDED", "projectcalico.org/v3")
            assert "blockSize" not in event["object"]["spec"]
            break


def test_there_are_no_pages(pools: Pools, pool: str) -> None:
    listed = pools.cluster.get(pools.path, limit=1).made()
    assert len(listed["items"]) > 1
    assert "continue" not in listed["metadata"]


def test_a_table(pools: Pools, pool: str) -> None:
    table = pools.cluster.request("GET", pool, headers={"Accept": TABLE}).made()
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Created At"]
    assert table["rows"][0]["cells"][0] == pool.rpartition("/")[2]


def test_a_delete_takes_its_time(pools: Pools, pool: str) -> None:
    """The pool is off before it is gone; in between half a second passes."""
    pools.cluster.patch(pool, {"spec": {"disabled": None}}).made()
    version = pools.cluster.get(pools.path).version
    before = time.monotonic()
    assert pools.cluster.delete(pool).made()["status"] == "Success"
    assert time.monotonic() - before > 0.5 / SPEED * 0.8
    assert pools.cluster.get(pool).status == 404
    seen = []
    for event in pools.cluster.watch(pools.path, 5, resourceVersion=version):
        if event["object"]["metadata"]["name"] == pool.rpartition("/")[2]:
            seen.append((event["type"], event["object"]["spec"].get("disabled")))
        if event["type"] == "DELETED":
            break
    assert seen == [("MODIFIED", True), ("DELETED", True)]


def test_a_delete_that_nobody_waits_for(pools: Pools, pool: str) -> None:
    """The call is not atomic: the client goes, the pool stays, switched off."""
    if not on_twin():
        pytest.skip("half a second is soon over")
    pools.cluster.patch(pool, {"spec": {"disabled": None}}).made()
    pools.cluster.post("/twin/v1/clock", {"speed": SPEED / 100}).made()
    try:
        with pools.cluster.abandoned("DELETE", pool):
            pools.cluster.wait(pool, lambda found: bool(found and found["spec"].get("disabled")))
        time.sleep(0.2)
    finally:
        pools.cluster.post("/twin/v1/clock", {"speed": SPEED}).made()
    time.sleep(1.0 / SPEED)
    assert pools.cluster.get(pool).made()["spec"]["disabled"] is True


def test_rights_come_first(pools: Pools) -> None:
    assert pools.cluster.other(None).get(pools.path).status in (401, 403)


def test_a_watch_ends_with_the_server(pools: Pools, cluster_aggregated: Cluster) -> None:
    deployments = "/apis/apps/v1/namespaces/calico-apiserver/deployments/calico-apiserver"
    if not on_twin():
        pytest.skip("Calico's API server is not ours to stop")
    ended = threading.Event()

    def follow() -> None:
        for _event in cluster_aggregated.watch(pools.path, 30):
            pass
        ended.set()

    watcher = threading.Thread(target=follow)
    watcher.start()
    cluster_aggregated.patch(deployments, {"spec": {"replicas": 0}}).made()
    assert ended.wait(20)
    watcher.join()
    answer = cluster_aggregated.get(pools.path)
    assert (answer.status, answer.text) == (503, "service unavailable\n")
    assert cluster_aggregated.get(GROUP).status == 503
    assert cluster_aggregated.get("/apis/projectcalico.org").made()["preferredVersion"]["version"] == "v3"
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups: list[Object] = cluster_aggregated.request("GET", "/apis", headers={"Accept": accept}).made()["items"]
    assert {
        each["metadata"]["name"]: each["versions"][0]["freshness"]
        for each in groups
        if "calico" in each["metadata"]["name"]
    } == {"crd.projectcalico.org": "Current", "projectcalico.org": "Stale"}
    assert cluster_aggregated.get(POOLS).status == 200
    cluster_aggregated.patch(deployments, {"spec": {"replicas": 1}}).made()
    name = "/apis/apiregistration.k8s.io/v1/apiservices/v3.projectcalico.org"
    cluster_aggregated.wait(
        name, lambda found: (found or {})["status"]["conditions"][0]["status"] == "True", seconds=30
    )
    assert cluster_aggregated.get(pools.path).status == 200
