# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 14: tables and metadata-only representations."""

from __future__ import annotations

import pytest
from wire import POOLS, TABLE, Cluster, config_map, ip_pool, removed_afterwards, unique

PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


@pytest.fixture
def one(cluster: Cluster, maps: str) -> str:
    name = unique("one")
    cluster.post(maps, config_map(name, labels={"table": name})).made()
    return name


def test_a_table_of_a_list(cluster: Cluster, maps: str, one: str) -> None:
    table = cluster.request("GET", maps, headers={"Accept": TABLE}, labelSelector=f"table={one}").made()
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert set(table["columnDefinitions"][0]) == {"name", "type", "format", "description", "priority"}
    (row,) = table["rows"]
    assert row["cells"][:2] == [one, 1]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == one
    assert table["metadata"]["resourceVersion"]


def test_a_table_of_one_object(cluster: Cluster, maps: str, one: str) -> None:
    table = cluster.request("GET", f"{maps}/{one}", headers={"Accept": TABLE + ",application/json"}).made()
    assert [row["cells"][0] for row in table["rows"]] == [one]


@pytest.mark.parametrize(("include", "kind"), [("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "")])
def test_what_rows_include(cluster: Cluster, maps: str, one: str, include: str, kind: str | None) -> None:
    query = {"includeObject": include, "labelSelector": f"table={one}"}
    (row,) = cluster.request("GET", maps, headers={"Accept": TABLE}, **query).made()["rows"]
    if kind is None:
        assert row["object"] is None
    elif kind:
        assert row["object"]["kind"] == kind
    else:
        assert row["object"]["data"] == {"a": "1"}


def test_custom_resources_without_columns(cluster: Cluster) -> None:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        cluster.post(POOLS, ip_pool(name)).made()
        table = cluster.request("GET", f"{POOLS}/{name}", headers={"Accept": TABLE}).made()
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Age"]
    cell = table["rows"][0]["cells"]
    assert cell[0] == name
    assert cell[1][-1] in "smhd"


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("/api/v1/nodes", ["Name", "Status", "Roles", "Age", "Version"]),
        ("/api/v1/pods", ["Name", "Ready", "Status", "Restarts", "Age"]),
        ("/apis/apps/v1/deployments", ["Name", "Ready", "Up-to-date", "Available", "Age"]),
        (
            "/apis/policy/v1/poddisruptionbudgets",
            ["Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"],
        ),
    ],
)
def test_columns_of_builtin_types(cluster: Cluster, path: str, columns: list[str]) -> None:
    table = cluster.request("GET", path, headers={"Accept": TABLE}).made()
    assert [each["name"] for each in table["columnDefinitions"] if each["priority"] == 0] == columns
    assert all(len(row["cells"]) == len(table["columnDefinitions"]) for row in table["rows"])


def test_a_watch_of_tables(cluster: Cluster, maps: str, one: str) -> None:
    query = {"watch": "true", "timeoutSeconds": "1", "labelSelector": f"table={one}"}
    lines = cluster.request("GET", maps, headers={"Accept": TABLE}, **query).text.splitlines()
    assert '"kind":"Table"' in lines[0]
    assert f'"{one}"' in lines[0]


def test_errors_stay_status(cluster: Cluster, maps: str) -> None:
    cluster.request("GET", f"{maps}/none", headers={"Accept": TABLE}).refused(404, "NotFound")


def test_an_unknown_version_alone_is_not_acceptable(cluster: Cluster, maps: str) -> None:
    accept = "application/json;as=Table;g=meta.k8s.io;v=v9"
    assert cluster.request("GET", maps, headers={"Accept": accept}).status == 406
    assert (
        cluster.request("GET", maps, headers={"Accept": accept + ",application/json"}).made()["kind"] == "ConfigMapList"
    )


def test_metadata_only(cluster: Cluster, maps: str, one: str) -> None:
    found = cluster.request("GET", f"{maps}/{one}", headers={"Accept": PARTIAL}).made()
    assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadata", "meta.k8s.io/v1")
    assert found["metadata"]["name"] == one
    assert "data" not in found
    listed = cluster.request("GET", maps, headers={"Accept": PARTIAL_LIST}, labelSelector=f"table={one}").made()
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert [each["kind"] for each in listed["items"]] == ["PartialObjectMetadata"]
