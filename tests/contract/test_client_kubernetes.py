# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The official client's dynamic client drives the server: discovery, selectors, watch, patches."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("kubernetes")

from kubernetes import config, dynamic
from kubernetes.dynamic import exceptions
from wire import ip_pool, removed_afterwards, unique

if t.TYPE_CHECKING:
    from wire import Cluster


@pytest.fixture(scope="module")
def client(kubeconfig: str) -> dynamic.DynamicClient:
    return dynamic.DynamicClient(config.new_client_from_config(config_file=kubeconfig))


def _config_map(name: str) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"dyn": name}}}


def test_discovery(client: dynamic.DynamicClient) -> None:
    assert client.resources.get(api_version="v1", kind="Pod").namespaced
    pools = client.resources.get(api_version="crd.projectcalico.org/v1", kind="IPPool")
    assert (pools.name, pools.namespaced) == ("ippools", False)
    assert client.resources.get(api_version="apps/v1", kind="Deployment").subresources["scale"]


def test_the_life_of_a_config_map(client: dynamic.DynamicClient, namespace: str) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    name = unique("dyn")
    made = maps.create(body=_config_map(name), namespace=namespace)
    assert made.metadata.resourceVersion
    patched = maps.patch(
        name=name, namespace=namespace, body={"data": {"a": "1"}}, content_type="application/merge-patch+json"
    )
    assert patched.data.a == "1"
    found = maps.get(namespace=namespace, label_selector=f"dyn={name}")
    assert [each.metadata.name for each in found.items] == [name]
    with pytest.raises(exceptions.ConflictError):
        maps.replace(body={**made.to_dict(), "data": {"a": "2"}}, namespace=namespace)
    maps.delete(name=name, namespace=namespace)
    with pytest.raises(exceptions.NotFoundError):
        maps.get(name=name, namespace=namespace)


def test_a_watch(client: dynamic.DynamicClient, namespace: str) -> None:
    maps = client.resources.get(api_version="v1", kind="ConfigMap")
    name = unique("dyn")
    version = maps.get(namespace=namespace).metadata.resourceVersion
    maps.create(body=_config_map(name), namespace=namespace)
    maps.delete(name=name, namespace=namespace)
    seen = []
    for event in maps.watch(
        namespace=namespace, field_selector=f"metadata.name={name}", resource_version=version, timeout=10
    ):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert seen == ["ADDED", "DELETED"]


def test_pools_and_their_rules(client: dynamic.DynamicClient, cluster: Cluster) -> None:
    pools = client.resources.get(api_version="crd.projectcalico.org/v1", kind="IPPool")
    name = unique("contract")
    with removed_afterwards(cluster, f"/apis/crd.projectcalico.org/v1/ippools/{name}"):
        pools.create(body=ip_pool(name))
        with pytest.raises(exceptions.UnprocessibleEntityError):
            pools.patch(
                name=name, body={"spec": {"cidr": "198.51.100.0/24"}}, content_type="application/merge-patch+json"
            )
