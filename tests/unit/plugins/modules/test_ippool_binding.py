# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    IP_POOLS,
    NAMESPACES,
    NODES,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_binding

from .module_runner import ModuleFailed, failure, run_module

DEFAULT = "default-ipv4-ippool"
V4, V6 = "cni.projectcalico.org/ipv4pools", "cni.projectcalico.org/ipv6pools"
POOLS: dict[str, dict[str, t.Any]] = {
    "blue": {"cidr": "10.1.0.0/16"},
    "closed": {"cidr": "10.2.0.0/16", "disabled": True},
    "services": {"cidr": "10.3.0.0/16", "allowedUses": ["LoadBalancer"]},
    "by-hand": {"cidr": "10.4.0.0/16", "assignmentMode": "Manual", "nodeSelector": "has(gpu)"},
    "racks": {"cidr": "10.5.0.0/16", "nodeSelector": "rack == 'a' && has(gpu)"},
    "either": {"cidr": "10.6.0.0/16", "nodeSelector": "rack == 'a' || rack == 'b'"},
    "host": {"cidr": "10.7.0.0/16", "nodeSelector": "kubernetes.io/hostname == 'elsewhere'"},
    "rack-b": {"cidr": "10.8.0.0/16", "nodeSelector": "rack == 'b'"},
    "six": {"cidr": "fd00::/64"},
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        client = connect(ConnectionOptions(kubeconfig=handle.kubeconfig))
        for name, spec in POOLS.items():
            body = {"apiVersion": IP_POOLS.api_version, "kind": "IPPool", "metadata": {"name": name}, "spec": spec}
            client.create(IP_POOLS, body)
        job = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x:1"}]}}}
        spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": job}}
        client.create(
            CRON_JOBS,
            {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "report"}, "spec": spec},
            "shop",
        )
        client.close()
        handle.settle()
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    yield client
    client.patch(NAMESPACES, "shop", {"metadata": {"annotations": {V4: None, V6: None, "mine": None}}})
    client.patch(NODES, "node-1", {"metadata": {"labels": {"rack": None, "gpu": None}}})
    client.close()


def bind(twin: TwinHandle, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ippool_binding.main, check=check, kubeconfig=twin.kubeconfig, **options)


def refusal(twin: TwinHandle, **options: t.Any) -> str:
    """The same in check mode and outside it."""
    said = {failure(ippool_binding.main, check=check, kubeconfig=twin.kubeconfig, **options) for check in (True, False)}
    assert len(said) == 1
    return said.pop()


def annotations(api: HttpApi, name: str = "shop") -> dict[str, str]:
    return dict(api.get(NAMESPACES, name)["metadata"].get("annotations") or {})


def warnings(result: dict[str, t.Any]) -> str:
    return " ".join(str(warning) for warning in result.get("warnings", []))


class TestNamespace:
    def test_the_life_of_a_binding(self, twin: TwinHandle, api: HttpApi) -> None:
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {"mine": "kept"}}})
        planned = bind(twin, check=True, namespace="shop", ipv4_pools=["blue", DEFAULT])
        assert V4 not in annotations(api)
        made = bind(twin, namespace="shop", ipv4_pools=["blue", DEFAULT])
        assert made == planned
        assert made["changed"]
        assert annotations(api) == {"mine": "kept", V4: '["10.1.0.0/16", "192.168.0.0/16"]'}
        assert made["binding"]["ipv4_pools"] == ["blue", DEFAULT]
        assert "10.1.0.0/16" in made["diff"]["after"]
        assert "mine" not in made["diff"]["after"]
        assert not bind(twin, namespace="shop", ipv4_pools=["10.1.0.0/16", DEFAULT])["changed"]
        # The order of the pools is the order in which they are used.
        assert bind(twin, check=True, namespace="shop", ipv4_pools=[DEFAULT, "blue"])["changed"]
        gone = bind(twin, namespace="shop", state="absent")
        assert gone["changed"]
        assert annotations(api) == {"mine": "kept"}
        assert not bind(twin, namespace="shop", state="absent")["changed"]

    @pytest.mark.parametrize("value", ['["blue"]', '["10.1.0.0/16"]', '["10.1.7.7/16"]', ' [ "blue" ] '])
    def test_another_spelling_is_left_alone(self, twin: TwinHandle, api: HttpApi, value: str) -> None:
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {V4: value}}})
        assert not bind(twin, namespace="shop", ipv4_pools=["blue"])["changed"]
        assert annotations(api)[V4] == value

    @pytest.mark.parametrize("value", ["blue", "[]", '["gone"]', '["blue", "gone"]', '["six"]'])
    def test_what_does_not_mean_it_is_written_over(self, twin: TwinHandle, api: HttpApi, value: str) -> None:
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {V4: value}}})
        assert bind(twin, namespace="shop", ipv4_pools=["blue"])["changed"]
        assert annotations(api)[V4] == '["10.1.0.0/16"]'

    def test_an_empty_list_takes_the_annotation_away(self, twin: TwinHandle, api: HttpApi) -> None:
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {V4: '["blue"]', V6: '["six"]'}}})
        assert bind(twin, namespace="shop", ipv4_pools=[])["binding"]["ipv6_pools"] == ["six"]
        assert V4 not in annotations(api)
        assert V6 in annotations(api)

    def test_the_same_pool_twice_is_one(self, twin: TwinHandle, api: HttpApi) -> None:
        made = bind(twin, check=True, namespace="shop", ipv4_pools=["blue", "10.1.0.0/16"])
        assert made["binding"]["ipv4_pools"] == ["blue"]

    @pytest.mark.parametrize(
        ("pools", "words"),
        [
            (
                {"ipv4_pools": ["gone"]},
                "ipv4_pools[0]: there is no IPPool 'gone'; the IPv4 pools of this cluster",
            ),
            ({"ipv4_pools": ["blue", "10.99.0.0/16"]}, "ipv4_pools[1]: there is no IPPool '10.99.0.0/16'"),
            ({"ipv4_pools": ["10.1.0.0/24"]}, "there is no IPPool '10.1.0.0/24'"),
            ({"ipv4_pools": ["closed"]}, "Pool 'closed' is disabled"),
            ({"ipv4_pools": ["services"]}, "does not allow the use Workload: its allowedUses are LoadBalancer"),
            ({"ipv4_pools": ["six"]}, "is an IPv6 pool; name it in ipv6_pools"),
            ({"ipv6_pools": ["blue"]}, "is an IPv4 pool; name it in ipv4_pools"),
            ({"ipv6_pools": ["six"]}, "get no IPv6 address"),
            ({}, "ipv4_pools or ipv6_pools must be given"),
            ({"state": "absent", "ipv4_pools": ["blue"]}, "must not be given with state=absent"),
        ],
    )
    def test_what_cannot_work_is_refused(
        self, twin: TwinHandle, api: HttpApi, pools: dict[str, t.Any], words: str
    ) -> None:
        assert words in refusal(twin, namespace="shop", **pools)
        assert annotations(api) == {}

    def test_ipv6_by_annotation(self, twin: TwinHandle, api: HttpApi) -> None:
        key = "cni.projectcalico.org/ipFamilies"
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {key: '["IPv4", "IPv6"]'}}})
        assert bind(twin, check=True, namespace="shop", ipv6_pools=["six"])["changed"]
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {key: "both"}}})
        assert "it must be a JSON array" in refusal(twin, namespace="shop", ipv6_pools=["six"])
        api.patch(NAMESPACES, "shop", {"metadata": {"annotations": {key: None}}})

    def test_what_is_passed_over_is_a_warning(self, twin: TwinHandle, api: HttpApi) -> None:
        said = warnings(bind(twin, check=True, namespace="shop", ipv4_pools=["by-hand"]))
        assert "'by-hand' is asked for by annotation" in said
        assert "so its assignmentMode Manual and nodeSelector 'has(gpu)' does not count" in said
        assert "5 running pods of Namespace shop have addresses of other pools" in said
        assert warnings(bind(twin, check=True, namespace="shop", ipv4_pools=[DEFAULT])) == ""

    def test_nobody_there(self, twin: TwinHandle) -> None:
        assert "There is no Namespace nowhere" in refusal(twin, namespace="nowhere", ipv4_pools=["blue"])
        gone = bind(twin, namespace="nowhere", state="absent")
        assert (gone["changed"], gone["binding"]) == (False, None)

    def test_one_target(self, twin: TwinHandle) -> None:
        for options in ({}, {"namespace": "shop", "node": "node-1"}):
            with pytest.raises(ModuleFailed, match="namespace"):
                bind(twin, ipv4_pools=["blue"], **options)

    def test_a_write_that_lost_the_race_is_decided_again(self, twin: TwinHandle, api: HttpApi) -> None:
        twin.inject({"verb": "patch", "resource": "namespaces", "code": 409, "count": 2})
        assert bind(twin, namespace="shop", ipv4_pools=["blue"])["changed"]
        twin.inject({"verb": "patch", "resource": "namespaces", "code": 409, "count": 5})
        message = failure(ippool_binding.main, kubeconfig=twin.kubeconfig, namespace="shop", ipv4_pools=[DEFAULT])
        assert "Namespace shop was changed by someone else 5 times" in message
        twin.inject({"verb": "patch", "resource": "namespaces", "drop": "after", "count": 1})
        assert bind(twin, namespace="shop", ipv4_pools=[DEFAULT])["changed"]
        assert annotations(api)[V4] == '["192.168.0.0/16"]'


class TestConfiguration:
    @pytest.fixture
    def configure(self, api: HttpApi) -> t.Iterator[t.Callable[[str, str], None]]:
        live = api.get(CONFIG_MAPS, "calico-config", "kube-system")["data"]["cni_network_config"]

        def change(old: str, new: str) -> None:
            assert old in live
            write(live.replace(old, new))

        def write(text: str | None) -> None:
            api.patch(CONFIG_MAPS, "calico-config", {"data": {"cni_network_config": text}}, "kube-system")

        yield change
        write(live)

    @pytest.mark.parametrize(
        ("old", "new"),
        [("calico-ipam", "host-local"), ('"policy": {"type": "k8s"},', ""), ('"type": "calico"', '"type": "x"')],
    )
    def test_annotations_that_nobody_reads(
        self, twin: TwinHandle, configure: t.Callable[[str, str], None], old: str, new: str
    ) -> None:
        configure(old, new)
        assert "Calico would not look at the annotation" in refusal(twin, namespace="shop", ipv4_pools=["blue"])

    def test_families_that_are_off(self, twin: TwinHandle, configure: t.Callable[[str, str], None]) -> None:
        configure('"calico-ipam"', '"calico-ipam", "assign_ipv4": "false", "assign_ipv6": "true"')
        assert "get no IPv4 address" in refusal(twin, namespace="shop", ipv4_pools=["blue"])
        assert bind(twin, check=True, namespace="shop", ipv6_pools=["six"])["changed"]

    def test_a_configuration_that_nobody_can_see(
        self, twin: TwinHandle, api: HttpApi, configure: t.Callable[[str, str], None]
    ) -> None:
        configure("{", "")
        result = bind(twin, check=True, namespace="shop", ipv4_pools=["blue"])
        assert "No ConfigMap shows the CNI configuration" in warnings(result)


class TestWorkload:
    @pytest.mark.parametrize(
        ("kind", "name", "resource", "path", "words"),
        [
            ("Deployment", "web", DEPLOYMENTS, "template", "replaces its 3 pods (RollingUpdate)"),
            ("StatefulSet", "db", STATEFUL_SETS, "template", "replaces its 2 pods (RollingUpdate)"),
            ("CronJob", "report", CRON_JOBS, "jobTemplate", "follow the changed template from their next run on"),
        ],
    )
    def test_templates(
        self, twin: TwinHandle, api: HttpApi, kind: str, name: str, resource: t.Any, path: str, words: str
    ) -> None:
        target = {"kind": kind, "namespace": "shop", "name": name}
        planned = bind(twin, check=True, workload=target, ipv4_pools=[DEFAULT])
        made = bind(twin, workload=target, ipv4_pools=[DEFAULT])
        assert made["diff"] == planned["diff"]
        assert words in warnings(made)
        assert words in made["diff"]["after"]
        assert made["steps"][0]["target"] == f"{kind} shop/{name}, pod template"
        stored = json.dumps(api.get(resource, name, "shop")["spec"][path])
        assert "192.168.0.0/16" in stored
        again = bind(twin, workload=target, ipv4_pools=[DEFAULT])
        assert (again["changed"], warnings(again)) == (False, "")
        assert bind(twin, workload=target, state="absent")["changed"]
        assert "cni.projectcalico.org" not in json.dumps(api.get(resource, name, "shop")["spec"][path])

    def test_rollouts_that_wait(self, twin: TwinHandle, api: HttpApi) -> None:
        web, db = (
            {"kind": k, "namespace": "shop", "name": n} for k, n in (("Deployment", "web"), ("StatefulSet", "db"))
        )
        api.patch(DEPLOYMENTS, "web", {"spec": {"paused": True}}, "shop")
        assert "is paused" in warnings(bind(twin, check=True, workload=web, ipv4_pools=[DEFAULT]))
        api.patch(DEPLOYMENTS, "web", {"spec": {"paused": False}}, "shop")
        update = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
        api.patch(STATEFUL_SETS, "db", update, "shop")
        assert "OnDelete" in warnings(bind(twin, check=True, workload=db, ipv4_pools=[DEFAULT]))

    @pytest.mark.parametrize(
        ("kind", "namespace", "name", "words"),
        [
            ("Job", "shop", "x", "the pod template of a Job cannot be changed"),
            ("Pod", "shop", "x", "a change of its annotations does nothing"),
            ("ReplicaSet", "shop", "x", "bind its Deployment"),
            ("deployment", "shop", "web", "workload.kind: 'deployment' is not one of Deployment, StatefulSet"),
            ("Deployment", "shop", "gone", "There is no Deployment shop/gone"),
            ("DaemonSet", "kube-system", "calico-node", "use the network of their node"),
        ],
    )
    def test_what_cannot_be_bound(self, twin: TwinHandle, kind: str, namespace: str, name: str, words: str) -> None:
        target = {"kind": kind, "namespace": namespace, "name": name}
        assert words in refusal(twin, workload=target, ipv4_pools=[DEFAULT])

    def test_a_template_of_somebody_else(self, twin: TwinHandle, api: HttpApi) -> None:
        owner = {"apiVersion": "x.example.com/v1", "kind": "Site", "name": "s", "uid": "1", "controller": True}
        labels = {"app": "owned"}
        body = {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": "owned", "ownerReferences": [owner]},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x:1"}]}},
            },
        }
        api.create(DAEMON_SETS, body, "shop")
        target = {"kind": "DaemonSet", "namespace": "shop", "name": "owned"}
        assert "belongs to Site s" in refusal(twin, workload=target, ipv4_pools=[DEFAULT])
        api.delete(DAEMON_SETS, "owned", "shop")


class TestNode:
    def labels(self, api: HttpApi) -> dict[str, str]:
        found = api.get(NODES, "node-1")["metadata"]["labels"]
        return {key: value for key, value in found.items() if "kubernetes.io" not in key}

    def test_the_labels_a_selector_wants(self, twin: TwinHandle, api: HttpApi) -> None:
        planned = bind(twin, check=True, node="node-1", ipv4_pools=["racks"])
        assert self.labels(api) == {}
        made = bind(twin, node="node-1", ipv4_pools=["racks"])
        assert made["diff"] == planned["diff"]
        assert self.labels(api) == {"rack": "a", "gpu": ""} == made["binding"]["labels"]
        # The one that is Manual selects the node, too, and serves nobody unasked.
        assert made["binding"]["ipv4_pools"] == ["blue", DEFAULT, "either", "racks"]
        assert "Pool 'either' selects Node node-1 now, too" in warnings(made)
        assert "is selected by" in warnings(made)
        assert not bind(twin, node="node-1", ipv4_pools=["racks"])["changed"]
        gone = bind(twin, node="node-1", ipv4_pools=["racks"], state="absent")
        assert self.labels(api) == {}
        assert "'racks' no longer selects Node node-1" in warnings(gone)
        assert not bind(twin, node="node-1", ipv4_pools=["racks"], state="absent")["changed"]

    def test_what_is_there_already(self, twin: TwinHandle, api: HttpApi) -> None:
        api.patch(NODES, "node-1", {"metadata": {"labels": {"rack": "b", "gpu": "a100"}}})
        # Selected, whatever the selector looks like.
        assert not bind(twin, node="node-1", ipv4_pools=["either", DEFAULT])["changed"]
        moved = bind(twin, node="node-1", ipv4_pools=["racks"])
        assert self.labels(api) == {"rack": "a", "gpu": "a100"}
        assert "Label 'rack' of Node node-1 was 'b' and is 'a' now" in warnings(moved)
        assert "'rack-b' no longer selects" in warnings(moved)

    def test_pools_that_give_nothing(self, twin: TwinHandle, api: HttpApi) -> None:
        """To select a node by a Manual pool is of little use; a disabled pool can let go of a node."""
        made = bind(twin, node="node-1", ipv4_pools=["by-hand"])
        assert made["changed"] and "'by-hand' is Manual: whatever a node's labels" in warnings(made)
        again = bind(twin, node="node-1", ipv4_pools=["by-hand"])
        assert not again["changed"] and "'by-hand' is Manual" in warnings(again)
        api.patch(IP_POOLS, "by-hand", {"spec": {"disabled": True}})
        assert bind(twin, node="node-1", ipv4_pools=["by-hand"], state="absent")["changed"]
        assert self.labels(api) == {}
        api.patch(IP_POOLS, "by-hand", {"spec": {"disabled": False}})

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"ipv4_pools": ["either"]}, "does not say which label to set"),
            ({"ipv4_pools": ["racks", "rack-b"]}, "want different values of label 'rack'"),
            ({"ipv4_pools": ["host"]}, "belongs to Kubernetes"),
            ({"ipv4_pools": ["gone"]}, "there is no IPPool 'gone'"),
            ({"ipv4_pools": ["closed"]}, "is disabled"),
            ({"ipv4_pools": [DEFAULT], "state": "absent"}, "selects every node"),
            ({"state": "absent"}, "ipv4_pools or ipv6_pools must be given"),
            ({"node": "nowhere", "ipv4_pools": ["racks"]}, "There is no Node nowhere"),
        ],
    )
    def test_what_labels_cannot_do(self, twin: TwinHandle, api: HttpApi, options: dict[str, t.Any], words: str) -> None:
        assert words in refusal(twin, **{"node": "node-1", **options})
        assert self.labels(api) == {}

    def test_labels_of_calicoctl_count(self, twin: TwinHandle, api: HttpApi) -> None:
        key = "projectcalico.org/labels"
        api.patch(NODES, "node-1", {"metadata": {"annotations": {key: '{"rack": "b"}'}}})
        assert not bind(twin, node="node-1", ipv4_pools=["rack-b"])["changed"]
        assert "would still select" in refusal(twin, node="node-1", ipv4_pools=["rack-b"], state="absent")
        api.patch(NODES, "node-1", {"metadata": {"annotations": {key: None}}})
