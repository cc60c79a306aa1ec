# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An independent client library, lightkube, drives the server: what it takes for granted must hold."""

from __future__ import annotations

import typing as t

import pytest

lightkube = pytest.importorskip("lightkube")

from lightkube.generic_resource import create_global_resource  # noqa: E402
from lightkube.models.apps_v1 import DeploymentSpec  # noqa: E402
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec  # noqa: E402
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta  # noqa: E402
from lightkube.resources.apps_v1 import Deployment  # noqa: E402
from lightkube.resources.core_v1 import ConfigMap, Node, Pod  # noqa: E402
from lightkube.types import PatchType  # noqa: E402
from wire import IMAGE, Cluster, unique  # noqa: E402

IPPool = create_global_resource("crd.projectcalico.org", "v1", "IPPool", "ippools")


@pytest.fixture(scope="module")
def client(kubeconfig: str, namespace: str) -> lightkube.Client:
    config = lightkube.KubeConfig.from_file(kubeconfig)
    return lightkube.Client(config=config, namespace=namespace, field_manager="contract")


def test_the_life_of_a_config_map(client: lightkube.Client, namespace: str) -> None:
    name = unique("lk")
    made = client.create(ConfigMap(metadata=ObjectMeta(name=name, labels={"lk": "yes"}), data={"a": "1"}))
    assert made.metadata.namespace == namespace
    made.data = {"a": "2"}
    assert client.replace(made).data == {"a": "2"}
    with pytest.raises(lightkube.ApiError) as caught:
        client.replace(made)
    assert (caught.value.status.code, caught.value.status.reason) == (409, "Conflict")
    patched = client.patch(ConfigMap, name, {"data": {"b": "3"}}, patch_type=PatchType.MERGE)
    assert patched.data == {"a": "2", "b": "3"}
    assert [each.metadata.name for each in client.list(ConfigMap, labels={"lk": "yes"})] == [name]
    client.delete(ConfigMap, name)
    with pytest.raises(lightkube.ApiError) as caught:
        client.get(ConfigMap, name)
    assert caught.value.status.code == 404


def test_pages(client: lightkube.Client) -> None:
    for _turn in range(5):
        client.create(ConfigMap(metadata=ObjectMeta(generateName="page-", labels={"page": "yes"})))
    found = list(client.list(ConfigMap, labels={"page": "yes"}, chunk_size=2))
    assert len(found) == 5
    for each in found:
        client.delete(ConfigMap, each.metadata.name)
    assert list(client.list(ConfigMap, labels={"page": "yes"})) == []


def test_a_watch(client: lightkube.Client) -> None:
    name = unique("lk")
    listed = client.list(ConfigMap)
    list(listed)
    client.create(ConfigMap(metadata=ObjectMeta(name=name)))
    client.delete(ConfigMap, name)
    seen = []
    for kind, obj in client.watch(ConfigMap, fields={"metadata.name": name}, resource_version=listed.resourceVersion):
        seen.append((kind, obj.metadata.name))
        if kind == "DELETED":
            break
    assert seen == [("ADDED", name), ("DELETED", name)]


def test_nodes_and_pools(client: lightkube.Client) -> None:
    assert [node.metadata.name for node in client.list(Node)]
    assert [pool.spec["cidr"] for pool in client.list(IPPool)]


def test_a_deployment_comes_up(client: lightkube.Client) -> None:
    name = unique("lk")
    labels = {"app": name}
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=[Container(name="main", image=IMAGE)])
    )
    spec = DeploymentSpec(replicas=2, selector=LabelSelector(matchLabels=labels), template=template)
    client.create(Deployment(metadata=ObjectMeta(name=name), spec=spec))
    client.wait(Deployment, name, for_conditions=["Available"])
    pods: t.List[Pod] = list(client.list(Pod, labels=labels))
    assert [pod.status.phase for pod in pods] == ["Running", "Running"]
    assert len({pod.status.podIP for pod in pods}) == 2
    scale = client.get(Deployment.Scale, name)
    scale.spec.replicas = 0
    client.replace(scale, name)
    for _kind, found in client.watch(Deployment, fields={"metadata.name": name}):
        if not found.status.replicas:
            break
    client.delete(Deployment, name)


def test_the_same_cluster(client: lightkube.Client, cluster: Cluster) -> None:
    names = {each["metadata"]["name"] for each in cluster.get("/api/v1/nodes").made()["items"]}
    assert {node.metadata.name for node in client.list(Node)} == names
