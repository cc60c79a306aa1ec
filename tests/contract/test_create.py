# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 3: create."""

from __future__ import annotations

import typing as t

import pytest
from wire import POOLS, Cluster, Object, config_map, ip_pool, removed_afterwards, unique


def test_generated_names(cluster: Cluster, maps: str) -> None:
    made = cluster.post(maps, {"metadata": {"generateName": "gen-"}})
    assert made.status == 201
    metadata = made.json["metadata"]
    assert metadata["generateName"] == "gen-"
    assert metadata["name"].startswith("gen-")
    assert len(metadata["name"]) == 9
    assert set(metadata["name"][4:]) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert (made.json["kind"], made.json["apiVersion"]) == ("ConfigMap", "v1")


def test_long_prefixes_are_cut(cluster: Cluster, maps: str) -> None:
    name = cluster.post(maps, {"metadata": {"generateName": "g" * 80}}).made()["metadata"]["name"]
    assert len(name) == 63


def test_existing_already(cluster: Cluster, maps: str) -> None:
    name = unique("one")
    cluster.post(maps, config_map(name)).made()
    status = cluster.post(maps, config_map(name)).refused(409, "AlreadyExists")
    assert status["message"] == f'configmaps "{name}" already exists'
    assert status["details"] == {"name": name, "kind": "configmaps"}


def test_existing_and_terminating(cluster: Cluster, maps: str) -> None:
    name = unique("fin")
    cluster.post(maps, config_map(name, finalizers=["contract.example.com/hold"])).made()
    cluster.delete(f"{maps}/{name}").made()
    status = cluster.post(maps, config_map(name)).refused(409, "AlreadyExists")
    assert status["message"] == f'object is being deleted: configmaps "{name}" already exists'
    cluster.patch(f"{maps}/{name}", {"metadata": {"finalizers": None}}).made()


def test_no_name(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, {"metadata": {}}).refused(422, "Invalid")
    assert "name or generateName is required" in status["message"]
    assert status["details"]["kind"] == "ConfigMap"
    cause = status["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldValueRequired", "metadata.name")


def test_a_bad_name(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, config_map("Not_A_Name")).refused(422, "Invalid")
    cause = status["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "metadata.name")


def test_builtin_types_take_kind_and_version_from_the_url(cluster: Cluster, maps: str) -> None:
    assert cluster.post(maps, {"metadata": {"name": unique("bare")}}).made()["kind"] == "ConfigMap"


def test_custom_types_do_not(cluster: Cluster) -> None:
    status = cluster.post(POOLS, {"metadata": {"name": "x"}, "spec": {"cidr": "203.0.113.0/24"}})
    assert "Object 'Kind' is missing in" in status.refused(400, "BadRequest")["message"]


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"kind": "IPPools"}, 422, 'kind: Invalid value: "IPPools": must be IPPool'),
        (
            {"apiVersion": "crd.projectcalico.org/v9"},
            400,
            "the API version in the data (crd.projectcalico.org/v9) does not match the expected API version "
            "(crd.projectcalico.org/v1)",
        ),
    ],
)
def test_the_wrong_custom_kind(cluster: Cluster, change: Object, code: int, text: str) -> None:
    body = {**ip_pool("x"), **change}
    answer = cluster.post(POOLS, body)
    assert answer.status == code
    assert text in answer.message


def test_the_wrong_builtin_kind(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, {**config_map("x"), "kind": "Secret"}).refused(400, "BadRequest")
    assert 'Secret in version "v1" cannot be handled as a ConfigMap' in status["message"]


def test_another_namespace_in_the_body(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, config_map("x", namespace="elsewhere")).refused(400, "BadRequest")
    assert "does not match the namespace sent on the request" in status["message"]


def test_the_wrong_json_type_in_a_builtin(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, {**config_map("x"), "data": {"a": 1}}).refused(400, "BadRequest")
    assert "json: cannot unmarshal number into Go struct field ConfigMap.data of type string" in status["message"]


def test_the_wrong_json_type_in_a_custom_resource(cluster: Cluster) -> None:
    status = cluster.post(POOLS, ip_pool("x", blockSize="26")).refused(422, "Invalid")
    assert status["details"]["kind"] == "IPPool"
    assert "FieldValueTypeInvalid" in [cause["reason"] for cause in status["details"]["causes"]]


def test_yaml_bodies(cluster: Cluster, maps: str) -> None:
    name = unique("yaml")
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  day: '2026-01-01'\n"
    made = cluster.post(maps, text.encode(), media_type="application/yaml").made()
    assert made["data"] == {"day": "2026-01-01"}


def test_unknown_fields_are_dropped_with_a_warning(cluster: Cluster, maps: str) -> None:
    answer = cluster.post(maps, {**config_map(unique("warn")), "bogus": 1})
    assert answer.headers["Warning"] == r'299 - "unknown field \"bogus\""'
    assert "bogus" not in answer.made()


def test_ignore_says_nothing(cluster: Cluster, maps: str) -> None:
    answer = cluster.post(maps, {**config_map(unique("quiet")), "bogus": 1}, fieldValidation="Ignore")
    assert "Warning" not in answer.headers
    assert "bogus" not in answer.made()


@pytest.mark.parametrize("custom", [False, True])
def test_strict_refuses_unknown_fields(cluster: Cluster, maps: str, custom: bool) -> None:
    path = POOLS if custom else maps
    body: Object = ip_pool("x", bogus=1) if custom else {**config_map("x"), "bogus": 1}
    status = cluster.post(path, body, fieldValidation="Strict").refused(400, "BadRequest")
    wanted = "spec.bogus" if custom else "bogus"
    assert f'strict decoding error: unknown field "{wanted}"' in status["message"]


def test_strict_refuses_duplicates(cluster: Cluster, maps: str) -> None:
    body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1","a":"2"}}'
    status = cluster.post(maps, body, fieldValidation="Strict").refused(400, "BadRequest")
    assert 'duplicate field "data.a"' in status["message"]


def test_body_types_that_are_not_supported(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, b"a=b", media_type="application/x-www-form-urlencoded")
    assert "application/json" in status.refused(415, "UnsupportedMediaType")["message"]


def test_answers_that_are_not_acceptable(cluster: Cluster) -> None:
    answer = cluster.request("GET", POOLS, headers={"Accept": "image/png"})
    assert "application/json" in answer.refused(406, "NotAcceptable")["message"]


def test_a_broken_body(cluster: Cluster, maps: str) -> None:
    cluster.post(maps, b'{"kind":').refused(400, "BadRequest")


@pytest.fixture
def disposable(cluster: Cluster) -> t.Iterator[str]:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        yield name


def test_a_custom_resource_is_stored_as_sent(cluster: Cluster, disposable: str) -> None:
    answer = cluster.post(POOLS, ip_pool(disposable, natOutgoing=True))
    assert answer.status == 201
    assert cluster.get(f"{POOLS}/{disposable}").json == answer.json
    assert answer.json["spec"]["natOutgoing"] is True
