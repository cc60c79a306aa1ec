# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The whole twin with Calico's API server, in this process, its clock moved by hand."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from invariants import Holder, check, state_of_api
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ServerError, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    IP_POOLS,
    IPAM_BLOCKS,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import User
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_install import NAME, NAMESPACE
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.rbac import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    Authorizer,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import parse_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import API_SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load, names
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.settling import unsettled

POOL = "default-ipv4-ippool"
GROUP = "v3.projectcalico.org"


@pytest.fixture
def small() -> Twin:
    return local_twin("small", installation="apiserver")


def admin(twin: Twin) -> LocalApi:
    return LocalApi(twin.server, "system:admin")


def addresses(twin: Twin) -> dict[str, str]:
    pods = (pod for pod in twin.objects.list(PODS) if not pod["spec"].get("hostNetwork"))
    return {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in pods if (pod.get("status") or {}).get("podIP")}


def broken(twin: Twin) -> list[str]:
    """What is wrong with the IPAM records, see ``tests/invariants.py``."""
    holders = [Holder(each) for each in addresses(twin).values()]
    state = state_of_api(admin(twin), "crd.projectcalico.org", holders=holders, now=twin.clock.now())
    return [str(violation) for violation in check(state)]


def available(twin: Twin) -> tuple[str, str]:
    (condition,) = admin(twin).get(API_SERVICES, GROUP)["status"]["conditions"]
    return condition["status"], condition["reason"]


def take_down(twin: Twin) -> None:
    admin(twin).patch(DEPLOYMENTS, NAME, {"spec": {"replicas": 0}}, NAMESPACE)
    twin.clock.advance(60)


@pytest.mark.parametrize("scenario", names())
def test_a_scenario_comes_up_with_as_many_addresses(scenario: str) -> None:
    twin, plain = (local_twin(scenario, installation=each) for each in ("apiserver", "crd_v1"))
    assert unsettled(twin.objects) == []
    assert len(addresses(twin)) == len(addresses(plain)) > 3
    assert available(twin) == ("True", "Passed")
    seen = admin(twin).list(CRD_V3.pools).items
    stored = twin.objects.list(CRD_V1.pools)
    assert [pool["metadata"]["name"] for pool in seen] == [pool["metadata"]["name"] for pool in stored] != []
    assert len(admin(twin).list(CRD_V3.affinities).items) == len(twin.objects.list(CRD_V1.affinities)) > 0
    assert twin.recorder.record()["violations"] == []


def test_it_is_known_for_what_it_is(small: Twin) -> None:
    """The signals of spec ippool.md 7.1."""
    api = admin(small)
    resources = api.api_resources("projectcalico.org", "v3")
    assert "profiles" in resources and not resources & {"ipamblocks", "ipamhandles"}
    assert admin(small).get(API_SERVICES, GROUP)["spec"]["service"]["name"] == "calico-api"
    found = detect(api)
    assert (found.mode.value, found.api_server_down.value) == ("apiserver", False)
    assert {pool["apiVersion"] for pool in calico_api(api).list(IP_POOLS).items} == {"projectcalico.org/v3"}
    assert {block["apiVersion"] for block in calico_api(api).list(IPAM_BLOCKS).items} == {"crd.projectcalico.org/v1"}


def test_without_its_pods_the_group_answers_503(small: Twin) -> None:
    api = admin(small)
    take_down(small)
    assert available(small) == ("False", "MissingEndpoints")
    calls: list[t.Callable[[], t.Any]] = [
        lambda: api.list(CRD_V3.pools),
        lambda: api.get(CRD_V3.pools, POOL),
        lambda: api.patch(CRD_V3.pools, POOL, {"spec": {"disabled": True}}),
        lambda: api.delete(CRD_V3.pools, POOL),
        lambda: api.list(CRD_V3.blocks),
        lambda: api.api_resources("projectcalico.org", "v3"),
    ]
    for call in calls:
        with pytest.raises(ServerError) as caught:
            call()
        assert caught.value.status == 503
    assert "projectcalico.org/v3" in api.api_groups()
    assert api.get(CRD_V1.pools, POOL)["spec"]["cidr"]
    found = detect(api)
    assert (found.mode.value, found.api_server_down.value) == ("apiserver", True)
    api.patch(DEPLOYMENTS, NAME, {"spec": {"replicas": 1}}, NAMESPACE)
    assert small.settle(60) == []
    assert available(small) == ("True", "Passed")
    assert api.get(CRD_V3.pools, POOL)["spec"]["cidr"]
    with pytest.raises(UnknownResource):
        api.list(CRD_V3.blocks)


def test_moving_to_another_pool_and_deleting_the_old_one(small: Twin) -> None:
    api = admin(small)
    spec = {"cidr": "10.0.0.0/16", "blockSize": 28, "ipipMode": "Always", "natOutgoing": True}
    head = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "new"}}
    api.create(CRD_V3.pools, {**head, "spec": spec})
    api.patch(CRD_V3.pools, POOL, {"spec": {"disabled": True}})
    for pod in small.objects.list(PODS):
        if not pod["spec"].get("hostNetwork"):
            api.delete(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"])
    assert small.settle(300) == []
    assert all(address.startswith("10.0.") for address in addresses(small).values())
    api.delete(CRD_V3.pools, POOL)
    rows = [*small.objects.list(CRD_V1.blocks), *small.objects.list(CRD_V1.affinities)]
    assert {row["spec"]["cidr"].split(".")[0] for row in rows} == {"10"}
    assert broken(small) == []


def test_definitions_of_the_same_group_are_shadowed(small: Twin, tmp_path: Path) -> None:
    api = admin(small)
    for crd in calico_crds("v3"):
        api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
    small.clock.advance(10)
    assert "ipamblocks" not in api.api_resources("projectcalico.org", "v3")
    assert [pool["metadata"]["name"] for pool in api.list(CRD_V3.pools).items] == [POOL]
    assert "service" in api.get(API_SERVICES, GROUP)["spec"]
    for crd in calico_crds("v3"):
        api.delete(CUSTOM_RESOURCE_DEFINITIONS, crd["metadata"]["name"])
    assert api.patch(CRD_V3.pools, POOL, {"spec": {"natOutgoing": False}})["spec"]["cidr"]


def test_calico_node_makes_the_default_pool_as_a_client_of_calico_does(small: Twin) -> None:
    admin(small).delete(CRD_V3.pools, POOL)
    small.calico_nodes.restart(small.calico_nodes.nodes()[0])
    small.clock.advance(10)
    assert "projectcalico.org/metadata" in admin(small).get(CRD_V1.pools, POOL)["metadata"]["annotations"]
    seen = admin(small).get(CRD_V3.pools, POOL)["metadata"]
    assert "annotations" not in seen and seen["creationTimestamp"]


def test_rights_are_those_of_its_own_group(small: Twin) -> None:
    """A right to the pools of the one group is none to those of the other."""
    api = admin(small)
    rule = {"apiGroups": ["projectcalico.org"], "resources": ["ippools"], "verbs": ["get"]}
    group = CLUSTER_ROLES.group
    api.create(
        CLUSTER_ROLES, {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": [rule]}
    )
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "r"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "r"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
    }
    api.create(CLUSTER_ROLE_BINDINGS, binding)
    authorizer = Authorizer(small.objects, enabled=True)
    alice = User("alice", ("system:authenticated",))
    for path, verb, allowed in (
        ("/apis/projectcalico.org/v3/ippools/a", "GET", True),
        ("/apis/projectcalico.org/v3/ippools/a", "DELETE", False),
        ("/apis/projectcalico.org/v3/ippools/a/status", "GET", False),
        ("/apis/crd.projectcalico.org/v1/ippools/a", "GET", False),
    ):
        assert authorizer.allows(alice, parse_request(verb, path, {})) is allowed


def test_the_data_directory_remembers_how_calico_is_installed(tmp_path: Path) -> None:
    twin = local_twin("small", tmp_path=tmp_path, installation="apiserver")
    pools = admin(twin).list(CRD_V3.pools).items
    twin.close()
    again = local_twin("small", tmp_path=tmp_path)
    assert (again.installation, admin(again).list(CRD_V3.pools).items) == ("apiserver", pools)
    again.close()
    with pytest.raises(InvalidInput, match="holds installation apiserver, not crd_v1: take another data directory"):
        Twin(tmp_path, load("small"), speed=None, installation="crd_v1")


def test_a_scenario_may_bring_its_own_deployment() -> None:
    head = {
        "apiVersion": "ipam.calico-ops.io/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "own"},
        "spec": {"base": "small", "installation": "apiserver"},
    }
    labels = {"k8s-app": NAME}
    own = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    }
    twin = local_twin([head, own])
    assert twin.objects.get(DEPLOYMENTS, NAMESPACE, NAME)["status"]["readyReplicas"] == 2  # type: ignore[index]
    assert len([name for name in addresses(twin) if name.startswith(NAME)]) == 2
