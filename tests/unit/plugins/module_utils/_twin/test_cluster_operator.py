# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole twin with the Tigera operator, in this process: spec ippool.md 10.2 and 10.3 on the cluster itself."""

from __future__ import annotations

import typing as t
from dataclasses import replace
from pathlib import Path

import pytest
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    INSTALLATIONS,
    IP_POOLS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.operator_pools import (
    IGNORE,
    OWNER,
    OWNER_LABEL,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load

POOL = "default-ipv4-ippool"
V3 = CRD_V3.pools


class Cluster:
    """A twin with the operator, and whoever works on it by hand."""

    def __init__(self, installation: str) -> None:
        self.installation = installation
        self.twin: Twin = local_twin("small", installation=installation, operator=True)
        self.api = LocalApi(self.twin.server, "system:admin")

    def wait(self, seconds: float = 2) -> None:
        self.twin.clock.advance(seconds)

    @property
    def entries(self) -> list[Object]:
        return t.cast("list[Object]", self.api.get(INSTALLATIONS, "default")["spec"]["calicoNetwork"]["ipPools"])

    def declare(self, *entries: Object) -> None:
        self.api.patch(INSTALLATIONS, "default", {"spec": {"calicoNetwork": {"ipPools": list(entries)}}})
        self.wait()

    def pools(self) -> dict[str, Object]:
        return {pool["metadata"]["name"]: pool for pool in self.api.list(V3).items}

    def edit(self, name: str, **spec: t.Any) -> None:
        self.api.patch(V3, name, {"spec": spec})

    def annotate(self, **metadata: t.Any) -> None:
        self.api.patch(V3, POOL, {"metadata": metadata})
        self.wait()

    def put(self, name: str, labels: dict[str, str] | None = None, **spec: t.Any) -> None:
        metadata = {"name": name, "labels": labels or {}}
        self.api.create(V3, {"apiVersion": V3.api_version, "kind": V3.kind, "metadata": metadata, "spec": spec})
        self.wait()

    def complaint(self, name: str = "ippools") -> str:
        conditions = self.api.get(TIGERA_STATUSES, name)["status"]["conditions"]
        found = {each["type"]: each for each in conditions}
        assert found["Available"]["status"] != found["Degraded"]["status"]
        return str(found["Degraded"]["message"]) if found["Degraded"]["status"] == "True" else ""

    def owned(self, name: str = POOL) -> bool:
        return labels_of(self.pools()[name]).get(OWNER_LABEL) == OWNER


@pytest.fixture(params=["apiserver", "crd_v3"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    return Cluster(request.param)


def test_a_new_cluster_is_the_operators_own(cluster: Cluster) -> None:
    (entry,) = cluster.entries
    assert (entry["name"], entry["encapsulation"]) == (POOL, "IPIP")
    assert cluster.owned() and not cluster.complaint() and not cluster.complaint("calico")
    found = detect(calico_api(cluster.api))
    assert (found.mode.value, found.operator.value) == (cluster.installation, True)
    assert found.operator_pools.value == (POOL,)
    if cluster.installation == "apiserver":
        # As Calico's client stores it: the label is packed away.
        assert "labels" not in cluster.api.get(CRD_V1.pools, POOL)["metadata"]


def test_the_life_of_an_entry(cluster: Cluster) -> None:
    """Added, changed, disabled and dropped; the defaults are written back."""
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    assert cluster.owned("teal") and cluster.entries[1]["assignmentMode"] == "Automatic"
    cluster.declare(cluster.entries[0], {**cluster.entries[1], "disableNewAllocations": True})
    assert cluster.pools()["teal"]["spec"]["disabled"] is True
    cluster.declare(cluster.entries[0], {**cluster.entries[1], "disableNewAllocations": False})
    assert "disabled" not in cluster.pools()["teal"]["spec"]
    cluster.declare(cluster.entries[0])
    assert list(cluster.pools()) == [POOL] and not cluster.complaint()


def test_direct_edits_are_taken_back(cluster: Cluster) -> None:
    before = cluster.pools()[POOL]["spec"]
    for spec in ({"natOutgoing": False}, {"disabled": True}, {"ipipMode": "CrossSubnet"}, {"nodeSelector": "has(a)"}):
        cluster.edit(POOL, **spec)
        cluster.wait()
        assert cluster.pools()[POOL]["spec"] == before
    cluster.edit(POOL, allowedUses=["Workload"], namespaceSelector="has(a)")
    cluster.wait()
    assert cluster.pools()[POOL]["spec"] == before
    assert not cluster.complaint()


def test_what_is_added_to_the_metadata_stays(cluster: Cluster) -> None:
    cluster.annotate(labels={"team": "red"}, annotations={"note": "x"})
    cluster.edit(POOL, natOutgoing=False)
    cluster.wait()
    metadata = cluster.pools()[POOL]["metadata"]
    assert metadata["labels"]["team"] == "red" and metadata["annotations"]["note"] == "x"


def test_the_label_comes_back(cluster: Cluster) -> None:
    cluster.annotate(labels={OWNER_LABEL: None})
    assert cluster.owned()


def test_without_the_label_and_with_a_difference_nothing_happens(cluster: Cluster) -> None:
    cluster.api.patch(V3, POOL, {"metadata": {"labels": {OWNER_LABEL: None}}, "spec": {"natOutgoing": False}})
    cluster.wait()
    assert not cluster.owned() and cluster.pools()[POOL]["spec"].get("natOutgoing", False) is False
    assert "not owned by the operator" in cluster.complaint()


def test_a_pool_without_encapsulation_is_not_adopted(cluster: Cluster) -> None:
    cluster.declare({**cluster.entries[0], "encapsulation": "None"})
    assert cluster.pools()[POOL]["spec"]["ipipMode"] == "Never" and not cluster.complaint()
    cluster.annotate(labels={OWNER_LABEL: None})
    assert not cluster.owned() and "not owned by the operator" in cluster.complaint()
    cluster.annotate(labels={OWNER_LABEL: OWNER})
    assert not cluster.complaint()


def test_a_deleted_pool_is_made_again(cluster: Cluster) -> None:
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    uid = cluster.pools()["teal"]["metadata"]["uid"]
    cluster.api.delete(V3, "teal")
    cluster.wait(5)
    again = cluster.pools()["teal"]
    assert again["metadata"]["uid"] != uid and again["spec"].get("disabled", False) is False
    assert not cluster.complaint()


def test_the_operator_meddles_with_a_deletion_under_way() -> None:
    """Calico's API server disables a pool before it deletes it; the operator is quicker than the second step."""
    cluster = Cluster("apiserver")
    steps = cluster.twin.server.deleting(V3, POOL)
    pause = next(steps)
    assert cluster.pools()[POOL]["spec"]["disabled"] is True
    cluster.wait(pause)
    assert "disabled" not in cluster.pools()[POOL]["spec"]
    assert list(steps) == [] and POOL not in cluster.pools()


def test_the_ignore_annotation_stops_changes_but_no_deletion(cluster: Cluster) -> None:
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    cluster.api.patch(V3, "teal", {"metadata": {"annotations": {IGNORE: "true"}}})
    cluster.edit("teal", natOutgoing=False)
    cluster.wait()
    assert cluster.pools()["teal"]["spec"].get("natOutgoing", False) is False
    cluster.declare(cluster.entries[0])
    assert "teal" not in cluster.pools()


def test_management_is_ended_without_a_deletion(cluster: Cluster) -> None:
    """The four steps of 10.3."""
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    for metadata in ({"annotations": {IGNORE: "true"}}, {"labels": {OWNER_LABEL: None}}):
        cluster.api.patch(V3, "teal", {"metadata": metadata})
        cluster.wait()
    cluster.declare(cluster.entries[0])
    cluster.api.patch(V3, "teal", {"metadata": {"annotations": {IGNORE: None}}})
    cluster.wait(400)
    assert not cluster.owned("teal") and not cluster.complaint()


def test_pools_of_others(cluster: Cluster) -> None:
    cluster.put("theirs", cidr="10.8.0.0/16")
    cluster.wait(400)
    assert not cluster.owned("theirs")
    cluster.put("copied", {OWNER_LABEL: OWNER}, cidr="10.9.0.0/16")
    assert "copied" not in cluster.pools() and not cluster.complaint()


@pytest.mark.parametrize("change", [{"cidr": "10.7.0.0/17"}, {"blockSize": 28}])
def test_what_cannot_be_changed(cluster: Cluster, change: dict[str, t.Any]) -> None:
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    good = cluster.entries
    cluster.declare(good[0], {**good[1], **change})
    assert "Failed to update IPPool teal" in cluster.complaint()
    assert cluster.pools()["teal"]["spec"]["cidr"] == "10.7.0.0/16"
    cluster.declare(*good)
    assert not cluster.complaint()


def test_another_name_for_the_same_range(cluster: Cluster) -> None:
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    cluster.declare(cluster.entries[0], {**cluster.entries[1], "name": "cyan"})
    assert "teal" in cluster.pools()
    if cluster.installation == "apiserver":
        assert "Failed to create IPPool cyan" in cluster.complaint() and "cyan" not in cluster.pools()
    else:
        (condition,) = cluster.pools()["cyan"]["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", "CIDROverlap")


def test_an_invalid_list_stops_everything(cluster: Cluster) -> None:
    good = cluster.entries
    cluster.declare(*good, {"name": "teal", "cidr": "10.7.0.0/16"}, {"name": "tiny", "cidr": "10.8.0.0/28"})
    assert "smaller than one block" in cluster.complaint() and list(cluster.pools()) == [POOL]
    with pytest.raises(ApiError, match="must have at most 25 items"):
        cluster.declare(*good * 26)


def test_no_enabled_pool_is_waited_for(cluster: Cluster) -> None:
    cluster.declare({**cluster.entries[0], "disableNewAllocations": True})
    assert cluster.pools()[POOL]["spec"]["disabled"] is True
    assert "Waiting for enabled IP pools" in cluster.complaint("calico")
    cluster.declare({**cluster.entries[0], "disableNewAllocations": False})
    assert not cluster.complaint("calico")


def test_nothing_happens_while_the_operator_is_down(cluster: Cluster) -> None:
    cluster.api.patch(DEPLOYMENTS, "tigera-operator", {"spec": {"replicas": 0}}, "tigera-operator")
    cluster.wait(60)
    cluster.edit(POOL, natOutgoing=False)
    cluster.wait(400)
    assert cluster.pools()[POOL]["spec"].get("natOutgoing", False) is False
    cluster.api.patch(DEPLOYMENTS, "tigera-operator", {"spec": {"replicas": 1}}, "tigera-operator")
    cluster.wait(60)
    assert cluster.pools()[POOL]["spec"]["natOutgoing"] is True


def test_without_the_list_the_pools_that_are_there_are_not_managed(cluster: Cluster) -> None:
    """An Installation that never had a list gets an empty one; the labelled pool is then one too many."""
    cluster.annotate(labels={OWNER_LABEL: None}, annotations={IGNORE: "true"})
    cluster.api.patch(INSTALLATIONS, "default", {"spec": {"calicoNetwork": {"ipPools": None}}})
    cluster.wait()
    assert cluster.entries == [] and not cluster.owned() and not cluster.complaint()


# Without the group v3


def test_while_calicos_api_server_is_down_nothing_can_be_changed() -> None:
    cluster = Cluster("apiserver")
    cluster.api.patch(DEPLOYMENTS, "calico-apiserver", {"spec": {"replicas": 0}}, "calico-apiserver")
    cluster.wait(60)
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    assert "Calico API server is unavailable: teal" in cluster.complaint()
    cluster.api.patch(DEPLOYMENTS, "calico-apiserver", {"spec": {"replicas": 1}}, "calico-apiserver")
    cluster.wait(90)
    assert cluster.owned("teal") and not cluster.complaint()


def test_without_an_api_server_only_the_first_pools_are_made() -> None:
    cluster = Cluster("crd_v1")
    assert not cluster.complaint()
    cluster.declare(*cluster.entries, {"name": "teal", "cidr": "10.7.0.0/16"})
    assert "Calico API server is unavailable: teal" in cluster.complaint()
    cluster.api.delete(IP_POOLS, POOL)
    # Without any pool the platform's own range matters: 10.0.0.0/8.
    cluster.declare({"name": "teal", "cidr": "10.7.0.0/16"})
    pool = cluster.api.get(IP_POOLS, "teal")
    assert labels_of(pool) == {OWNER_LABEL: OWNER} and not cluster.complaint()
    cluster.api.delete(IP_POOLS, "teal")
    cluster.declare({"name": "teal", "cidr": "11.7.0.0/16"})
    assert "not within the platform" in cluster.complaint()


# Other scenarios


@pytest.mark.parametrize("installation", ["crd_v1", "apiserver", "crd_v3"])
def test_a_cluster_without_pools_gets_one_of_the_platforms_range(installation: str) -> None:
    small = load("small")
    bare = replace(small, objects=tuple(item for item in small.objects if item["kind"] != "IPPool"))
    twin = Twin(None, bare, speed=None, installation=installation, operator=True)
    twin.boot()
    (pool,) = twin.objects.list(twin.places.pools)
    assert (pool["metadata"]["name"], pool["spec"]["cidr"]) == (POOL, "10.0.0.0/8")
    assert labels_of(pool) == {OWNER_LABEL: OWNER}
    (entry,) = twin.objects.list(INSTALLATIONS)[0]["spec"]["calicoNetwork"]["ipPools"]
    assert (entry["name"], entry["cidr"]) == (POOL, "10.0.0.0/8")


@pytest.mark.parametrize("installation", ["apiserver", "crd_v3"])
def test_an_installation_of_the_scenario_stays(installation: str) -> None:
    """The pool that it lists is adopted, being equal to the entry with its defaults."""
    own = {
        "apiVersion": INSTALLATIONS.api_version,
        "kind": INSTALLATIONS.kind,
        "metadata": {"name": "default"},
        "spec": {"calicoNetwork": {"ipPools": [{"cidr": "192.168.0.0/16"}]}},
    }
    small = load("small")
    twin = Twin(
        None, replace(small, objects=(*small.objects, own)), speed=None, installation=installation, operator=True
    )
    twin.boot()
    (pool,) = twin.objects.list(twin.places.pools)
    assert pool["metadata"]["name"] == POOL and labels_of(pool) == {OWNER_LABEL: OWNER}


# The data directory


def test_a_data_directory_keeps_its_operator(tmp_path: Path) -> None:
    twin = local_twin("small", installation="crd_v3", operator=True, tmp_path=tmp_path)
    twin.close()
    with pytest.raises(InvalidInput, match="holds a cluster with the Tigera operator, not without it"):
        Twin(tmp_path, load("small"), speed=None)
    again = Twin(tmp_path, load("small"), speed=None, operator=True)
    again.boot()
    api = LocalApi(again.server, "system:admin")
    api.patch(V3, POOL, {"spec": {"natOutgoing": False}})
    again.clock.advance(5)
    assert api.get(V3, POOL)["spec"]["natOutgoing"] is True
    again.close()
