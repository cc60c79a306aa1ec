# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 8: custom resources, by the example of IPPool, and definitions made at run time."""

from __future__ import annotations

import typing as t

import pytest
from wire import CRDS, POOLS, Cluster, Object, eventually, ip_pool, removed_afterwards, unique


@pytest.fixture
def pool(cluster: Cluster) -> t.Iterator[str]:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        cluster.post(POOLS, ip_pool(name, blockSize=28)).made()
        yield f"{POOLS}/{name}"


def test_create_adds_the_schemas_defaults_and_no_others(cluster: Cluster) -> None:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        spec = cluster.post(POOLS, ip_pool(name)).made()["spec"]
    assert spec["nodeSelector"] == "all()"
    assert not {"blockSize", "ipipMode", "vxlanMode"} & spec.keys()


def test_an_immutable_field(cluster: Cluster, pool: str) -> None:
    name = pool.rpartition("/")[2]
    status = cluster.patch(pool, {"spec": {"cidr": "198.51.100.0/24"}}).refused(422, "Invalid")
    assert status["message"].startswith(f'IPPool.crd.projectcalico.org "{name}" is invalid: spec.cidr: Invalid value')
    details = status["details"]
    assert (details["name"], details["group"], details["kind"]) == (name, "crd.projectcalico.org", "IPPool")
    assert [(each["reason"], each["field"]) for each in details["causes"]] == [("FieldValueInvalid", "spec.cidr")]


def test_schema_errors_suppress_the_rules(cluster: Cluster) -> None:
    body = ip_pool("x", ipipMode="Always", vxlanMode="Always", blockSize="26")
    causes = cluster.post(POOLS, body).refused(422, "Invalid")["details"]["causes"]
    assert [each["field"] for each in causes] == ["spec.blockSize", "<nil>"]
    assert causes[1]["message"].startswith("Invalid value: null: some validation rules were not checked")


def test_transition_rules_do_not_see_removal(cluster: Cluster, pool: str) -> None:
    assert "blockSize" not in cluster.patch(pool, {"spec": {"blockSize": None}}).made()["spec"]
    assert cluster.patch(pool, {"spec": {"blockSize": 27}}).made()["spec"]["blockSize"] == 27


def test_overlapping_pools_are_accepted(cluster: Cluster, pool: str) -> None:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        assert cluster.post(POOLS, ip_pool(name)).status == 201


def test_field_selectors_know_the_name_only(cluster: Cluster, pool: str) -> None:
    name = pool.rpartition("/")[2]
    found = cluster.get(POOLS, fieldSelector=f"metadata.name={name}").made()["items"]
    assert [each["metadata"]["name"] for each in found] == [name]
    status = cluster.get(POOLS, fieldSelector="spec.cidr=1").refused(400, "BadRequest")
    assert "field label not supported: spec.cidr" in status["message"]


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
