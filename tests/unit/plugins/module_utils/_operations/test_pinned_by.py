# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pins itself to a pool, on small views; one of everything is tested with the module, on the twin."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pinned_by import holders, pinned_by
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import ClusterView, Workload

NETWORK = parse_network("192.168.0.0/16")
POOLS = "ipv4pools"


def metadata(name: str, owner: tuple[str, str] | None = None, **annotations: str) -> dict[str, t.Any]:
    made: dict[str, t.Any] = {
        "name": name,
        "namespace": "shop",
        "annotations": {f"cni.projectcalico.org/{key}": value for key, value in annotations.items()},
    }
    if owner is not None:
        made["ownerReferences"] = [
            {"apiVersion": "v1", "kind": owner[0], "name": owner[1], "uid": "u", "controller": True}
        ]
    return made


def pod(name: str, owner: tuple[str, str] | None = None, **annotations: str) -> dict[str, t.Any]:
    return {"metadata": metadata(name, owner, **annotations), "spec": {}, "status": {"phase": "Running"}}


def workload(kind: str, name: str, owner: tuple[str, str] | None = None, **annotations: str) -> Workload:
    template = {"metadata": {"annotations": metadata(name, **annotations)["annotations"]}}
    return Workload(kind, "shop", name, {"metadata": metadata(name, owner)}, template)


def view(**parts: t.Any) -> ClusterView:
    return ClusterView(installation=Installation(Fact("crd_v1", "")), **parts)


def found(cluster: ClusterView) -> list[tuple[str, str, str]]:
    return [(pin.kind, pin.name, pin.how) for pin in pinned_by(cluster, "old", NETWORK)]


CHAIN = (
    workload("Deployment", "web", None, ipv4pools='["old"]'),
    workload("ReplicaSet", "web-1", ("Deployment", "web"), ipv4pools='["old"]'),
)
OF_TEMPLATE = "annotation cni.projectcalico.org/ipv4pools of the pod template"


def test_the_top_of_a_chain_speaks_for_all() -> None:
    cluster = view(workloads=CHAIN, pods=(pod("web-1-x", ("ReplicaSet", "web-1"), ipv4pools='["old"]'),))
    assert found(cluster) == [("Deployment", "web", OF_TEMPLATE)]
    assert [str(holder) for holder in holders(cluster)] == ["Deployment shop/web"]


def test_a_pod_that_says_something_else_speaks_for_itself() -> None:
    cluster = view(
        workloads=(workload("Deployment", "web"), workload("ReplicaSet", "web-1", ("Deployment", "web"))),
        pods=(pod("web-1-x", ("ReplicaSet", "web-1"), ipv4pools='["old"]'),),
    )
    (pin,) = pinned_by(cluster, "old", NETWORK)
    assert (pin.kind, pin.name, pin.value) == ("Pod", "web-1-x", '["old"]')
    assert pin.how == "annotation cni.projectcalico.org/ipv4pools, other than the template of Deployment shop/web"


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob"])
@pytest.mark.parametrize("value", ['["old"]', '["new", "192.168.0.0/16"]', '["192.168.9.9/16"]'])
def test_every_kind_with_a_template(kind: str, value: str) -> None:
    assert found(view(workloads=(workload(kind, "x", None, ipv4pools=value),))) == [(kind, "x", OF_TEMPLATE)]


def test_kinds_nobody_knows() -> None:
    (pin,) = pinned_by(view(pods=(pod("a", ("Rollout", "site"), ipv4pools='["old"]'),)), "old", NETWORK)
    assert (pin.kind, pin.name, pin.how) == (
        "Pod",
        "a",
        "annotation cni.projectcalico.org/ipv4pools of a pod of Rollout site",
    )


def test_addresses_count_on_pods_only() -> None:
    fixed = {"ipAddrs": '["192.168.3.3"]'}
    namespace = {"metadata": metadata("shop", **fixed)}
    assert found(view(namespaces=(namespace,))) == []
    assert found(view(pods=(pod("a", **fixed),))) == [("Pod", "a", "annotation cni.projectcalico.org/ipAddrs")]


@pytest.mark.parametrize(
    ("asked", "pins"),
    [
        ({"ipv4_pools": ["192.168.0.0/16"]}, ["ipv4_pools of the CNI configuration"]),
        ({"ipv4_pools": ["10.0.0.0/16", "old"]}, ["ipv4_pools of the CNI configuration"]),
        ({"ipv6_pools": ["fd00::/64"]}, []),
        ({"ipv4_pools": None}, []),
        ({}, []),
    ],
)
@pytest.mark.parametrize(
    ("where", "key"),
    [(("kube-system", "calico-config"), "cni_network_config"), (("calico-system", "cni-config"), "config")],
)
def test_the_cni_configuration(where: tuple[str, str], key: str, asked: dict[str, t.Any], pins: list[str]) -> None:
    text = json.dumps({"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam", **asked}}]})
    assert [how for _kind, _name, how in found(view(config_maps={where: {key: text}}))] == pins


def service(kind: str = "LoadBalancer", **parts: t.Any) -> dict[str, t.Any]:
    annotations = {f"projectcalico.org/{key}": value for key, value in parts.pop("annotations", {}).items()}
    return {
        "metadata": {"name": "front", "namespace": "shop", "annotations": annotations},
        "spec": {"type": kind, **parts},
    }


@pytest.mark.parametrize(
    ("thing", "how"),
    [
        (service(annotations={"ipv4pools": '["old"]'}), ["annotation projectcalico.org/ipv4pools"]),
        (service(annotations={"ipv6pools": '["old"]'}), ["annotation projectcalico.org/ipv6pools"]),
        (
            service(annotations={"loadBalancerIPs": '["192.168.1.1"]'}),
            ["annotation projectcalico.org/loadBalancerIPs"],
        ),
        (service(loadBalancerIP="192.168.1.1"), ["spec.loadBalancerIP"]),
        (service(loadBalancerIP="10.0.0.1"), []),
        (service("ClusterIP", annotations={"ipv4pools": '["old"]'}), []),
    ],
)
def test_services(thing: dict[str, t.Any], how: list[str]) -> None:
    assert [each for _kind, _name, each in found(view(services=(thing,)))] == how
