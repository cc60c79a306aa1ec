# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 8: custom resources, by the example of IPPool, and definitions made at run time."""

from __future__ import annotations

import typing as t

import pytest
from wire import CRDS, POOLS_V3, TABLE, Cluster, Object, Pools, eventually, removed_afterwards, unique


@pytest.fixture
def pool(pools: Pools) -> t.Iterator[str]:
    """The path of a pool in either group."""
    name = unique("contract")
    with removed_afterwards(pools.cluster, f"{pools.path}/{name}"):
        pools.post(pools.body(name, blockSize=28)).made()
        yield f"{pools.path}/{name}"


def test_create_adds_the_schemas_defaults_and_no_others(pools: Pools) -> None:
    name = unique("contract")
    with removed_afterwards(pools.cluster, f"{pools.path}/{name}"):
        spec = pools.post(pools.body(name)).made()["spec"]
    assert spec["nodeSelector"] == "all()"
    assert not {"blockSize", "ipipMode", "vxlanMode"} & spec.keys()


def test_an_immutable_field(pools: Pools, pool: str) -> None:
    name = pool.rpartition("/")[2]
    status = pools.cluster.patch(pool, {"spec": {"cidr": "198.51.100.0/24"}}).refused(422, "Invalid")
    assert status["message"].startswith(f'IPPool.{pools.group} "{name}" is invalid: spec.cidr: Invalid value')
    details = status["details"]
    assert (details["name"], details["group"], details["kind"]) == (name, pools.group, "IPPool")
    assert [(each["reason"], each["field"]) for each in details["causes"]] == [("FieldValueInvalid", "spec.cidr")]


def test_schema_errors_suppress_the_rules(pools: Pools) -> None:
    body = pools.body("x", ipipMode="Always", vxlanMode="Always", blockSize="26")
    causes = pools.post(body).refused(422, "Invalid")["details"]["causes"]
    assert [each["field"] for each in causes] == ["spec.blockSize", "<nil>"]
    assert causes[1]["message"].startswith("Invalid value: null: some validation rules were not checked")


def test_transition_rules_do_not_see_removal(pools: Pools, pool: str) -> None:
    assert "blockSize" not in pools.cluster.patch(pool, {"spec": {"blockSize": None}}).made()["spec"]
    assert pools.cluster.patch(pool, {"spec": {"blockSize": 27}}).made()["spec"]["blockSize"] == 27


def test_overlapping_pools_are_accepted(pools: Pools, pool: str) -> None:
    name = unique("contract")
    with removed_afterwards(pools.cluster, f"{pools.path}/{name}"):
        assert pools.post(pools.body(name)).status == 201


def test_field_selectors_know_the_name_only(pools: Pools, pool: str) -> None:
    name = pool.rpartition("/")[2]
    found = pools.cluster.get(pools.path, fieldSelector=f"metadata.name={name}").made()["items"]
    assert [each["metadata"]["name"] for each in found] == [name]
    status = pools.cluster.get(pools.path, fieldSelector="spec.cidr=1").refused(400, "BadRequest")
    assert "field label not supported: spec.cidr" in status["message"]


def test_a_dry_run_runs_the_rules(pools: Pools) -> None:
    name = unique("contract")
    assert pools.cluster.post(pools.path, pools.body(name), dryRun="All").status == 201
    assert pools.cluster.get(f"{pools.path}/{name}").status == 404
    body = pools.body(name, cidr="169.254.1.0/24")
    causes = pools.cluster.post(pools.path, body, dryRun="All").refused(422, "Invalid")["details"]["causes"]
    assert "link local" in causes[0]["message"]


def test_the_status_is_written_by_itself(pools: Pools, pool: str) -> None:
    assert "status" not in pools.cluster.patch(pool, {"status": {"conditions": []}}).made() or pools.path == POOLS_V3
    condition = {
        "type": "Contract",
        "status": "True",
        "reason": "Tested",
        "message": "",
        "lastTransitionTime": "2026-08-20T09:00:00Z",
    }
    changed = {"status": {"conditions": [condition]}, "spec": {"natOutgoing": True}}
    after = pools.cluster.patch(f"{pool}/status", changed).made()
    assert "Contract" in [each["type"] for each in after["status"]["conditions"]]
    assert "natOutgoing" not in after["spec"]
    broken = {"status": {"conditions": [{"type": "Contract", "status": "Perhaps"}]}}
    pools.cluster.patch(f"{pool}/status", broken).refused(422, "Invalid")


def _allocatable(cluster: Cluster, path: str) -> str:
    conditions = (cluster.get(path).made().get("status") or {}).get("conditions") or []
    return "".join(each["reason"] for each in conditions if each["type"] == "Allocatable")


def test_calico_judges_the_pools_of_the_v3_group(cluster_v3: Cluster) -> None:
    """Spec ippool.md 5.2, 5.3 and 6, on the wire."""
    pools = Pools(cluster_v3, POOLS_V3)
    first, second = (f"{POOLS_V3}/{unique('contract')}" for _number in range(2))

    def make(path: str) -> None:
        # Nobody is given an address of it unasked.
        body = pools.body(path.rpartition("/")[2], assignmentMode="Manual", nodeSelector="!all()", disabled=False)
        pools.post(body).made()

    with removed_afterwards(cluster_v3, second, first):
        make(first)
        assert eventually(lambda: _allocatable(cluster_v3, first) == "OK")
        assert eventually(lambda: cluster_v3.get(first).made()["metadata"].get("finalizers"))
        make(second)
        assert eventually(lambda: _allocatable(cluster_v3, second) == "CIDROverlap")
        table = cluster_v3.request("GET", second, headers={"Accept": TABLE}).made()
        assert (
            dict(zip((each["name"] for each in table["columnDefinitions"]), table["rows"][0]["cells"]))["Allocatable"]
            == "False"
        )
        cluster_v3.patch(first, {"spec": {"disabled": True}}).made()
        assert eventually(lambda: _allocatable(cluster_v3, second) == "OK")
        assert _allocatable(cluster_v3, first) == "PoolDisabled"
        assert eventually(lambda: not cluster_v3.get(first).made()["metadata"].get("finalizers"))
        cluster_v3.delete(first).made()
        assert cluster_v3.get(first).status == 404
        # Without a block in it an enabled pool goes, too, when the controller has looked.
        assert eventually(lambda: bool(cluster_v3.get(second).made()["metadata"].get("finalizers")))
        assert cluster_v3.delete(second).made()["metadata"]["deletionTimestamp"]
        assert eventually(lambda: cluster_v3.get(second).status == 404)


@pytest.fixture
def definition(cluster: Cluster) -> t.Iterator[Object]:
    word = unique("w").replace("-", "")
    group = "contract.calico-ops.io"
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer", "minimum": 1},
                    "colour": {"type": "string", "default": "red"},
                },
            },
            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
    }
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{word}s.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": f"{word}s", "singular": word, "kind": word.capitalize()},
            "versions": [version],
        },
    }
    with removed_afterwards(cluster, f"{CRDS}/{word}s.{group}"):
        cluster.post(CRDS, body).made()
        path = f"/apis/{group}/v1/{word}s"
        assert eventually(lambda: cluster.get(path).status == 200)
        yield {"plural": f"{word}s", "kind": word.capitalize(), "group": group, "crd": f"{CRDS}/{word}s.{group}"}


def test_a_definition_is_served_discovered_and_withdrawn(cluster: Cluster, definition: Object, namespace: str) -> None:
    group, plural = definition["group"], definition["plural"]
    conditions = cluster.get(definition["crd"]).made()["status"]["conditions"]
    assert {each["type"]: each["status"] for each in conditions}["Established"] == "True"

    def discovered() -> bool:
        answer = cluster.get(f"/apis/{group}/v1")
        return answer.status == 200 and plural in [each["name"] for each in answer.json["resources"]]

    assert eventually(discovered)
    path = f"/apis/{group}/v1/namespaces/{namespace}/{plural}"
    body = {"apiVersion": f"{group}/v1", "kind": definition["kind"], "metadata": {"name": "a"}, "spec": {"size": 1}}
    made = cluster.post(path, body).made()
    assert made["spec"] == {"size": 1, "colour": "red"}
    table = cluster.request("GET", path, headers={"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}).made()
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Size"]
    assert table["rows"][0]["cells"] == ["a", 1]
    cluster.delete(definition["crd"]).made()
    assert eventually(lambda: cluster.get(path).status == 404)
    assert cluster.get(path).text.strip() == "404 page not found"


def test_the_status_subresource_of_a_custom_resource(cluster: Cluster, definition: Object, namespace: str) -> None:
    path = f"/apis/{definition['group']}/v1/namespaces/{namespace}/{definition['plural']}"
    body = {
        "apiVersion": f"{definition['group']}/v1",
        "kind": definition["kind"],
        "metadata": {"name": "s"},
        "spec": {"size": 1},
        "status": {"ignored": True},
    }
    made = cluster.post(path, body).made()
    assert "status" not in made
    after = cluster.patch(f"{path}/s/status", {"status": {"seen": 1}, "spec": {"size": 9}}).made()
    assert (after["spec"]["size"], after["status"], after["metadata"]["generation"]) == (1, {"seen": 1}, 1)
    after = cluster.patch(f"{path}/s", {"status": {"seen": 2}, "spec": {"size": 2}}).made()
    assert (after["spec"]["size"], after["status"], after["metadata"]["generation"]) == (2, {"seen": 1}, 2)
    missing = cluster.patch(f"{path}/s", {"spec": {"size": None}}).refused(422, "Invalid")
    assert missing["details"]["causes"][0]["reason"] == "FieldValueRequired"
