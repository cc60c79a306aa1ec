# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods come from the pools they are bound to: the tutorial of Calico 3.3, and filters by node, tenant and pod.

What the modules say is held against the addresses that pods get, and against the events of pods that get none.
"""

from __future__ import annotations

import ipaddress
import itertools
import sys
import typing as t
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from modes_lab import Lab as ModesLab
from modes_lab import Mode
from simulation import SimulatedApi
from twin_fixture import TwinHandle, start_twin

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/plugins/modules"))

from module_runner import ModuleFailed, run_module

from ansible_collections.calico_ops.ipam.plugins.module_utils import _module
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import WatchEvent
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    DEPLOYMENTS,
    EVENTS,
    IP_POOLS,
    IPAM_BLOCKS,
    NAMESPACES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_binding, ippool_binding_info

POOLS_KEY = "cni.projectcalico.org/ipv4pools"


class Lab:
    """A twin with its API, the two modules, and a look at the pools of pods.

    ``connection`` are the options that lead a module there.
    """

    def __init__(self, twin: TwinHandle | InThisProcess, api: CalicoApi, connection: dict[str, t.Any]) -> None:
        self.twin = twin
        self.api = api
        self.connection = connection

    def bind(self, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        return self._run(ippool_binding.main, check=check, **options)

    def refused(self, **options: t.Any) -> str:
        with pytest.raises(ModuleFailed) as failed:
            self.bind(**options)
        return str(failed.value)

    def info(self, **options: t.Any) -> dict[str, t.Any]:
        return self._run(ippool_binding_info.main, **options)

    def _run(self, main: t.Callable[[], None], **options: t.Any) -> dict[str, t.Any]:
        if isinstance(self.twin, InThisProcess):
            with mock.patch.object(_module, "connect", self.twin.connect):
                return run_module(main, **self.connection, **options)
        return run_module(main, **self.connection, **options)

    def pools(self, namespace: str, app: str | None = None) -> Counter[str]:
        """How many pods of the namespace have an address of which pool; ``none`` for those without."""
        ranges = {
            item["metadata"]["name"]: ipaddress.ip_network(item["spec"]["cidr"])
            for item in self.api.list(IP_POOLS).items
        }
        found: Counter[str] = Counter()
        for pod in self.pods(namespace, app):
            address = pod["status"].get("podIP")
            inside = [name for name, network in ranges.items() if address and ipaddress.ip_address(address) in network]
            found[inside[0] if inside else "none"] += 1
        return found

    def pods(self, namespace: str, app: str | None = None) -> list[dict[str, t.Any]]:
        selector = None if app is None else f"app={app}"
        return self.api.list(PODS, namespace, label_selector=selector).items

    def deploy(self, namespace: str, name: str, replicas: int, annotations: dict[str, str] | None = None) -> None:
        labels = {"app": name}
        template: dict[str, t.Any] = {
            "metadata": {"labels": labels, "annotations": annotations or {}},
            "spec": {"containers": [{"name": name, "image": "registry.example.com/x:1"}]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.api.create(
            DEPLOYMENTS,
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec},
            namespace,
        )

    def namespace(self, name: str) -> None:
        self.api.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def why_pending(self, namespace: str) -> str:
        """What the first event of a pod that gets no address says."""
        listing = self.api.list(EVENTS, namespace)
        later: t.Iterable[WatchEvent] = ()
        if isinstance(self.twin, InThisProcess):
            self.twin.settle()
            listing = self.api.list(EVENTS, namespace)
        else:
            later = self.api.watch(EVENTS, namespace, resource_version=listing.resource_version, timeout_seconds=10)
        events = itertools.chain(listing.items, (event.object for event in later))
        return next(str(event["message"]) for event in events if event.get("reason") == "FailedCreatePodSandBox")


class InThisProcess:
    """A twin without a process of its own: modules get its API where they would connect."""

    def __init__(self, scenario: str, mode: Mode) -> None:
        self.modes = ModesLab(mode, scenario=scenario)
        self.twin = self.modes.twin
        self.settle()

    def settle(self) -> None:
        self.twin.clock.advance(20)

    def connect(self, options: t.Any) -> Closable:
        return Closable(self.twin)


class Closable(SimulatedApi):
    """As a client of a module."""

    def close(self) -> None:
        """Nothing is open."""


def on_the_wire(directory: Path, scenario: str, installation: str) -> t.Iterator[Lab]:
    with start_twin(directory, scenario, speed=50, installation=installation) as twin:
        twin.settle()
        client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
        yield Lab(twin, calico_api(client), {"kubeconfig": twin.kubeconfig})
        client.close()


def in_this_process(scenario: str, mode: Mode) -> t.Iterator[Lab]:
    twin = InThisProcess(scenario, mode)
    etcd = twin.twin.datastore
    connection = {"datastore": "etcd", "etcd_endpoints": list(etcd.endpoints)} if etcd else {}
    yield Lab(twin, twin.modes.admin, connection)
    twin.twin.close()


# One of each kind over HTTPS, the others without.
BY_NAMESPACE = ("crd_v1", Mode("apiserver"), Mode("etcd"), Mode("crd_v3", operator=True))
BY_FILTER = ("crd_v3", Mode("crd_v1"), Mode("etcd"), Mode("apiserver", operator=True))


@pytest.fixture(scope="module", params=BY_NAMESPACE, ids=str)
def by_namespace(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    yield from labs(tmp_path_factory, "pools_by_namespace", request.param)


@pytest.fixture(scope="module", params=BY_FILTER, ids=str)
def by_filter(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    yield from labs(tmp_path_factory, "pools_by_filter", request.param)


def labs(tmp_path_factory: pytest.TempPathFactory, scenario: str, mode: str | Mode) -> t.Iterator[Lab]:
    if isinstance(mode, Mode):
        return in_this_process(scenario, mode)
    return on_the_wire(tmp_path_factory.mktemp("twin"), scenario, mode)


class TestByNamespace:
    def test_the_tutorial(self, by_namespace: Lab) -> None:
        lab = by_namespace
        assert lab.pools("external-ns") == {"external-pool": 3}
        assert lab.pools("internal-ns") == {"internal-pool": 3}
        sizes = {item["spec"]["cidr"] for item in lab.api.list(IPAM_BLOCKS).items}
        assert all(cidr.endswith("/29") for cidr in sizes if cidr.startswith("172."))

    def test_what_is_there_by_name_is_left_alone(self, by_namespace: Lab) -> None:
        lab = by_namespace
        for wanted in ("external-pool", "172.16.0.0/26"):
            assert not lab.bind(namespace="external-ns", ipv4_pools=[wanted])["changed"]

    def test_a_new_namespace(self, by_namespace: Lab) -> None:
        lab = by_namespace
        lab.namespace("partners")
        planned = lab.bind(check=True, namespace="partners", ipv4_pools=["external-pool"])
        bound = lab.bind(namespace="partners", ipv4_pools=["external-pool"])
        assert bound == planned
        assert bound["binding"]["annotations"] == {POOLS_KEY: '["172.16.0.0/26"]'}
        (serving,) = lab.info(namespace="partners")["serve"]
        lab.deploy("partners", "web", 3)
        lab.twin.settle()
        assert lab.pools("partners") == {serving["pool"]: 3} == {"external-pool": 3}
        # Pods that run stay where they are; new ones follow.
        moved = lab.bind(namespace="partners", ipv4_pools=["internal-pool"])
        assert "3 running pods of Namespace partners have addresses of other pools" in str(moved["warnings"])
        assert lab.pools("partners") == {"external-pool": 3}
        lab.deploy("partners", "late", 2)
        lab.twin.settle()
        assert lab.pools("partners", "late") == {"internal-pool": 2}
        lab.bind(namespace="partners", state="absent")
        lab.deploy("partners", "free", 1)
        lab.twin.settle()
        assert lab.info(namespace="partners")["source"]["ipv4"] == "the selectors of the pools"

    def test_who_is_pinned_to_a_pool(self, by_namespace: Lab) -> None:
        found = by_namespace.info(pool="172.16.1.0/26")
        assert found["pinned_by"] == [
            {
                "kind": "Namespace",
                "namespace": "",
                "name": "internal-ns",
                "how": f"annotation {POOLS_KEY}",
                "value": '["internal-pool"]',
            }
        ]
        assert found["serve"] == []

    @pytest.mark.parametrize(
        ("name", "value", "blamed"),
        [
            ("unknown", '["no-such-pool"]', "no-such-pool"),
            ("disabled", '["closed-pool"]', "closed-pool"),
            ("one-of-two", '["external-pool", "closed-pool"]', "closed-pool"),
        ],
    )
    def test_a_pod_that_asks_for_the_wrong_pool_stays_pending(
        self, by_namespace: Lab, name: str, value: str, blamed: str
    ) -> None:
        lab = by_namespace
        if "closed-pool" not in {item["metadata"]["name"] for item in lab.api.list(IP_POOLS).items}:
            spec = {"cidr": "172.16.2.0/26", "blockSize": 29, "disabled": True, "nodeSelector": "all()"}
            body = {
                "apiVersion": IP_POOLS.api_version,
                "kind": "IPPool",
                "metadata": {"name": "closed-pool"},
                "spec": spec,
            }
            lab.api.create(IP_POOLS, body)
        lab.namespace(name)
        # The module would have refused what was written by hand here.
        assert blamed in lab.refused(namespace=name, ipv4_pools=[blamed])
        lab.api.patch(NAMESPACES, name, {"metadata": {"annotations": {POOLS_KEY: value}}})
        lab.deploy(name, "web", 1)
        event = lab.why_pending(name)
        answer = lab.info(namespace=name)
        assert answer["serve"] == []
        # Calico and the module give the same reason.
        (problem,) = answer["problems"]
        reason = event.partition("failed (add): ")[2].rstrip(".")
        assert reason.replace("failed to request IP addresses: ", "") in problem
        assert lab.pools(name) == {"none": 1}
        lab.bind(namespace=name, ipv4_pools=["internal-pool"])
        lab.twin.settle()
        assert lab.pools(name) == {"internal-pool": 1}


class TestByFilter:
    def test_the_extra_pool_takes_over_when_the_first_is_used_up(self, by_filter: Lab) -> None:
        lab = by_filter
        assert set(lab.pools("apps", "web")) <= {"default-ipv4-ippool", "extra-ippool"}
        assert [entry["pool"] for entry in lab.info(namespace="apps")["serve"]] == [
            "default-ipv4-ippool",
            "extra-ippool",
        ]
        lab.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 36}}, "apps")
        lab.twin.settle()
        pools = lab.pools("apps", "web")
        assert set(pools) == {"default-ipv4-ippool", "extra-ippool"}
        assert pools["extra-ippool"] > 4

    def test_pod_filter(self, by_filter: Lab) -> None:
        lab = by_filter
        assert lab.pools("apps", "special") == {"tenant-pool": 2}
        (pod, _other) = lab.pods("apps", "special")
        found = lab.info(namespace="apps", pod=pod["metadata"]["name"])
        assert [entry["pool"] for entry in found["serve"]] == ["tenant-pool"]
        assert found["addresses"] == [{"address": pod["status"]["podIP"], "pool": "tenant-pool"}]
        assert found["source"]["ipv4"] == f"annotation {POOLS_KEY} of the pod"
        assert [(pin["kind"], pin["name"]) for pin in lab.info(pool="tenant-pool")["pinned_by"]] == [
            ("Deployment", "special")
        ]
        back = lab.bind(workload={"kind": "Deployment", "namespace": "apps", "name": "special"}, state="absent")
        assert "replaces its 2 pods" in str(back["warnings"])
        lab.twin.settle()
        assert "tenant-pool" not in lab.pools("apps", "special")
        again = lab.bind(
            workload={"kind": "Deployment", "namespace": "apps", "name": "special"}, ipv4_pools=["tenant-pool"]
        )
        assert "its nodeSelector '!all()' does not count" in str(again["warnings"])
        lab.twin.settle()
        assert lab.pools("apps", "special") == {"tenant-pool": 2}

    def test_tenant_filter(self, by_filter: Lab) -> None:
        lab = by_filter
        whys = {entry["pool"]: entry["why"] for entry in lab.info(namespace="tenant")["others"]}
        assert whys["tenant-pool"] == "Pool 'tenant-pool' selects none of the 3 nodes: its nodeSelector is '!all()'."
        lab.bind(namespace="tenant", ipv4_pools=["tenant-pool"])
        lab.deploy("tenant", "web", 4)
        lab.twin.settle()
        assert lab.pools("tenant") == {"tenant-pool": 4}

    def test_node_filter(self, by_filter: Lab) -> None:
        lab = by_filter
        before = {entry["pool"] for entry in lab.info(node="node-1")["serve"]}
        assert before == {"default-ipv4-ippool", "extra-ippool"}
        bound = lab.bind(node="node-1", ipv4_pools=["dedicated-nodes"])
        assert bound["binding"]["labels"] == {"type": "test"}
        assert "'default-ipv4-ippool' no longer selects Node node-1" in str(bound["warnings"])
        assert not lab.bind(node="node-1", ipv4_pools=["dedicated-nodes"])["changed"]
        assert [entry["pool"] for entry in lab.info(node="node-1")["serve"]] == ["dedicated-nodes", "extra-ippool"]
        lab.namespace("spread")
        lab.deploy("spread", "web", 9)
        lab.twin.settle()
        nodes = {pod["spec"]["nodeName"] for pod in lab.pods("spread")}
        network = ipaddress.ip_network("192.168.16.0/24")
        inside = {
            pod["spec"]["nodeName"]
            for pod in lab.pods("spread")
            if ipaddress.ip_address(pod["status"]["podIP"]) in network
        }
        assert nodes == {"node-1", "node-2", "node-3"}
        assert inside <= {"node-1"}
        served = {entry["pool"] for entry in lab.info(node="node-1")["serve"]}
        assert set(lab.pools("spread")) <= served | {"default-ipv4-ippool"}
        lab.bind(node="node-1", ipv4_pools=["dedicated-nodes"], state="absent")
        assert {entry["pool"] for entry in lab.info(node="node-1")["serve"]} == before
