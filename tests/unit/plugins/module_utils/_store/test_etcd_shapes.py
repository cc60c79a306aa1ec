# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which key an object has, and which keys are an object's."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import in_v3
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    KUBE_CONTROLLERS_CONFIGURATIONS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row, row_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_shapes import shape_of

POOLS = "/calico/resources/v3/projectcalico.org/ippools/"
NODE = {"node": "n-1", "cidr": "10.7.4.8/30", "type": "host", "state": "confirmed"}

TABLE: tuple[tuple[Resource, str, Object, str], ...] = (
    (IP_POOLS, "teal", {}, POOLS + "teal"),
    (in_v3(IP_POOLS), "teal", {}, POOLS + "teal"),
    (IPAM_BLOCKS, "10-7-4-8-30", {"cidr": "10.7.4.8/30"}, "/calico/ipam/v2/assignment/ipv4/block/10.7.4.8-30"),
    (IPAM_BLOCKS, "fd00---122", {"cidr": "fd00::/122"}, "/calico/ipam/v2/assignment/ipv6/block/fd00::-122"),
    (BLOCK_AFFINITIES, "n-1-10-7-4-8-30", NODE, "/calico/ipam/v2/host/n-1/ipv4/block/10.7.4.8-30"),
    (
        BLOCK_AFFINITIES,
        "load-balancer-10-7-4-8-30",
        {**NODE, "node": "load-balancer", "type": "virtual"},
        "/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.7.4.8-30",
    ),
    (IPAM_HANDLES, "K8s.One", {"handleID": "K8s.One"}, "/calico/ipam/v2/handle/K8s.One"),
    (IPAM_CONFIGS, "default", {"strictAffinity": True}, "/calico/ipam/v2/config"),
    (
        KUBE_CONTROLLERS_CONFIGURATIONS,
        "default",
        {"controllers": {"node": {"leakGracePeriod": "5m0s"}}},
        "/calico/resources/v3/projectcalico.org/kubecontrollersconfigurations/default",
    ),
)


@pytest.mark.parametrize(("resource", "name", "spec", "key"), TABLE, ids=lambda value: str(value)[-40:])
def test_an_object_has_one_key_and_comes_out_of_it(resource: Resource, name: str, spec: Object, key: str) -> None:
    shape = shape_of(resource)
    thing = {"metadata": {"name": name}, "spec": spec}
    assert shape.key_of(thing) == key and shape.is_key(key)
    assert any(key.startswith(prefix) for prefix in shape.listed) and key.startswith(shape.prefix)
    assert shape.key_named(name) in (key, None)
    again = shape.to_object(Row(key, json.dumps(shape.to_members(thing, None)).encode(), 7))
    assert again is not None
    assert (again["metadata"]["name"], again["metadata"]["resourceVersion"]) == (name, "7")
    assert {part: again["spec"][part] for part in spec} == spec
    assert again["kind"] == resource.kind


@pytest.mark.parametrize("key", [POOLS, POOLS + "a/b"])
def test_keys_that_are_no_pools(key: str) -> None:
    assert not shape_of(IP_POOLS).is_key(key)


def test_kinds_with_namespaces_are_read() -> None:
    kind = Resource("crd.projectcalico.org", "v1", "networkpolicies", "NetworkPolicy", True)
    prefix = "/calico/resources/v3/projectcalico.org/networkpolicies/"
    shape = shape_of(kind)
    assert [shape.is_key(prefix + rest) for rest in ("shop/default.web", "web", "a/b/c", "")] == [
        True,
        False,
        False,
        False,
    ]
    value = {"kind": "NetworkPolicy", "metadata": {"name": "default.web", "namespace": "shop"}, "spec": {"order": 1}}
    thing = shape.to_object(Row(f"{prefix}shop/default.web", json.dumps(value).encode(), 7))
    assert thing is not None
    assert (thing["metadata"]["namespace"], thing["metadata"]["name"]) == ("shop", "default.web")


def test_what_belongs_to_an_answer_is_not_kept() -> None:
    metadata: dict[str, t.Any] = {"name": "teal", "uid": "u", "resourceVersion": "9", "generation": 3}
    members = shape_of(IP_POOLS).to_members({"metadata": metadata, "spec": {}, "status": {}}, None)
    assert members == {
        "kind": "IPPool",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": "teal", "uid": "u"},
        "spec": {},
        "status": {},
    }


def test_a_row_as_the_gateway_tells_of_it() -> None:
    """Numbers are text, and what is 0 or empty is left out."""
    assert row_of({"key": "L2E=", "value": "Yg==", "mod_revision": "12"}) == Row("/a", b"b", 12)
    assert row_of({"key": "L2E="}) == Row("/a", b"", 0)
