# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 7: dry run."""

from __future__ import annotations

import typing as t

import pytest
from wire import POOLS, Cluster, config_map, ip_pool, removed_afterwards, unique


@pytest.fixture
def pool(cluster: Cluster) -> t.Iterator[str]:
    name = unique("contract")
    with removed_afterwards(cluster, f"{POOLS}/{name}"):
        cluster.post(POOLS, ip_pool(name)).made()
        yield f"{POOLS}/{name}"


def test_create(cluster: Cluster) -> None:
    name = unique("dry")
    answer = cluster.post(POOLS, ip_pool(name), dryRun="All")
    assert answer.status == 201
    assert answer.json["metadata"]["uid"]
    assert "resourceVersion" not in answer.json["metadata"]
    assert answer.json["spec"]["nodeSelector"] == "all()"
    cluster.get(f"{POOLS}/{name}").refused(404, "NotFound")


def test_create_still_validates(cluster: Cluster, maps: str) -> None:
    cluster.post(POOLS, ip_pool("x", blockSize="26"), dryRun="All").refused(422, "Invalid")
    name = unique("dry")
    cluster.post(maps, config_map(name)).made()
    cluster.post(maps, config_map(name), dryRun="All").refused(409, "AlreadyExists")


@pytest.mark.parametrize("way", ["put", "patch"])
def test_updates_show_the_result_under_the_old_version(cluster: Cluster, pool: str, way: str) -> None:
    before = cluster.get(pool).made()
    change = {"natOutgoing": True}
    if way == "put":
        after = cluster.put(pool, {**before, "spec": {**before["spec"], **change}}, dryRun="All").made()
    else:
        after = cluster.patch(pool, {"spec": change}, dryRun="All").made()
    assert after["spec"]["natOutgoing"] is True
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert cluster.get(pool).json == before


@pytest.mark.parametrize("where", ["query", "body"])
def test_delete(cluster: Cluster, pool: str, where: str) -> None:
    answer = cluster.delete(pool, dryRun="All") if where == "query" else cluster.delete(pool, {"dryRun": ["All"]})
    assert answer.made()["status"] == "Success"
    assert cluster.get(pool).status == 200


def test_other_values(cluster: Cluster, maps: str) -> None:
    status = cluster.post(maps, config_map("x"), dryRun="Yes").refused(422, "Invalid")
    assert 'dryRun: Unsupported value: ["Yes"]: supported values: "All"' in status["message"]
