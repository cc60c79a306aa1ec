# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nasty cluster with neighbours: what goes by the old addresses, and what must not be moved like the rest."""

from __future__ import annotations

import typing as t

import pytest
from rights_lab import definition_of
from simulation import SimulatedApi, simulate
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    IP_POOLS,
    JOBS,
    NODES,
    SERVICES,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import preflight_surroundings as around
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import plan_drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_drain import planned_drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import preflight
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    PreflightRequest,
    situation,
)

POOL, RANGE = "default-ipv4-ippool", "192.168.0.0/16"
MOVE = PreflightRequest("migrate_pool", POOL, {"name": "new", "cidr": "10.0.0.0/16"})

# What is beside the pods: the resource, its name, its namespace, and the rest of it.
NEIGHBOURS: tuple[tuple[Resource, str, str | None, Object], ...] = (
    (
        around.NETWORK_POLICIES,
        "from-pods",
        "shop",
        {"spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": RANGE}}]}]}},
    ),
    (around.GLOBAL_NETWORK_SETS, "pods", None, {"spec": {"nets": [RANGE]}}),
    (around.CALICO_NETWORK_POLICIES, "default.db", "data", {"spec": {"ingress": [{"source": {"nets": [RANGE]}}]}}),
    (around.BGP_FILTERS, "racks", None, {"spec": {"exportV4": [{"action": "Accept", "cidr": RANGE}]}}),
    (around.SUBMARINER_CLUSTERS, "east", "kube-system", {"spec": {"cluster_cidr": [RANGE]}}),
    (
        around.INGRESSES,
        "web",
        "shop",
        {
            "metadata": {"annotations": {"nginx.ingress.kubernetes.io/whitelist-source-range": "192.168.3.0/24"}},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        },
    ),
    (
        SERVICES,
        "licences",
        "payments",
        {"spec": {"selector": {"app": "licences"}, "ports": [{"port": 443}]}},
    ),
    (
        around.API_SERVICES,
        "v1.licences.example.com",
        None,
        {
            "spec": {
                "group": "licences.example.com",
                "version": "v1",
                "groupPriorityMinimum": 1000,
                "versionPriority": 15,
                "service": {"name": "gateway", "namespace": "plant"},
            }
        },
    ),
    (SERVICES, "gateway", "plant", {"spec": {"selector": {"app": "gateway"}, "ports": [{"port": 443}]}}),
    (
        JOBS,
        "reindex",
        "shop",
        {
            "spec": {
                "template": {
                    "metadata": {"annotations": {"ipam.calico-ops.io/twin-run-seconds": "100000"}},
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "registry.example.com/c:1"}],
                    },
                }
            }
        },
    ),
)
DEFINED = (
    around.GLOBAL_NETWORK_SETS,
    around.CALICO_NETWORK_POLICIES,
    around.BGP_FILTERS,
    around.SUBMARINER_CLUSTERS,
)

# The check, how bad it is, and what it names.
NAMED = {
    ("pool-pinned", "blocker", "Namespace tied"),
    ("fixed-addresses", "blocker", "Deployment plant/gateway (192.168.200.10)"),
    ("policies-name-range", "blocker", f"NetworkPolicy shop/from-pods ({RANGE})"),
    ("policies-name-range", "blocker", f"GlobalNetworkSet pods ({RANGE})"),
    ("policies-name-range", "blocker", f"Calico NetworkPolicy data/default.db ({RANGE})"),
    ("bgp-filters", "blocker", f"BGPFilter racks ({RANGE})"),
    (
        "lists-name-range",
        "warning",
        "Ingress shop/web, annotation nginx.ingress.kubernetes.io/whitelist-source-range (192.168.3.0/24)",
    ),
    ("other-controllers", "warning", f"Cluster kube-system/east ({RANGE})"),
    ("webhooks-stay-up", "blocker", "ValidatingWebhookConfiguration pod-policy (pods.policy.example.com)"),
    ("budgets-allow", "blocker", "PodDisruptionBudget payments/ledger"),
    ("unmovable-pods", "blocker", "legacy/debug-shell"),
    ("unmovable-pods", "blocker", "kube-system/node-agent-worker-2"),
    ("unmovable-pods", "warning", "Deployment shop/newsletter"),
    ("unmovable-pods", "warning", "StatefulSet data/archive"),
    ("surge-room", "warning", "StatefulSet monitoring/prometheus"),
    ("running-jobs", "warning", "Job shop/reindex"),
    ("peers-by-address", "warning", "StatefulSet data/postgres"),
    ("nodes-ready", "note", "Node worker-3"),
    ("local-data", "warning", "StatefulSet data/redis"),
    ("local-data", "warning", "Deployment shop/web"),
}


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture(scope="module")
def api() -> t.Iterator[SimulatedApi]:
    twin = local_twin("nasty")
    api = SimulatedApi(twin)
    api.tick(60)
    for resource in DEFINED:
        definition = definition_of(resource.kind, resource.group, resource.version, resource.namespaced)
        api.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
    for resource, name, namespace, rest in NEIGHBOURS:
        metadata = {"name": name, **rest.get("metadata", {})}
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **rest, "metadata": metadata}
        # The webhook of this cluster wants to see every new pod, so they are made while it answers.
        api.create(resource, body, namespace)
    scratch = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
    for kind, name, namespace in ((STATEFUL_SETS, "redis", "data"), (DEPLOYMENTS, "web", "shop")):
        api.patch(kind, name, {"spec": {"template": {"spec": scratch}}}, namespace)
        api.tick(120)
    api.patch(NODES, "worker-3", {"spec": {"unschedulable": True}})
    api.tick(30)
    yield api
    twin.close()


def test_everything_is_named(api: SimulatedApi) -> None:
    result = preflight(MOVE, fetch_view(api, POOL))
    named = {(each["id"], each["severity"], thing) for each in result["findings"] for thing in each["objects"]}
    shortened = {(identifier, severity, thing.partition(" (since ")[0]) for identifier, severity, thing in named}
    assert NAMED - named - shortened == set()
    for each in result["findings"]:
        assert "\n" not in each["message"]
        assert each["message"].endswith(".")
        assert each["remedy"]


@pytest.mark.parametrize("consent", [(), ("bare_pods", "local_data/data", "single_replica_webhooks")])
def test_the_preflight_and_the_drain_have_one_plan(api: SimulatedApi, consent: tuple[str, ...]) -> None:
    """What the drain says of itself on the same cluster, once the new pool is there."""
    now = situation(PreflightRequest("migrate_pool", POOL, MOVE.target, consent=consent), fetch_view(api, POOL))
    mine = planned_drain(now)
    assert mine is not None
    assert now.source is not None
    assert now.source.pool is not None
    pools = now.view.pools
    body = {**pools[0].thing, "metadata": {"name": "new"}, "spec": dict(now.wanted[0].spec)}
    api.create(IP_POOLS, {"apiVersion": IP_POOLS.api_version, "kind": IP_POOLS.kind, **body})
    try:
        its = plan_drain(api, now.source.pool.cidr, DrainOptions(POOL, consent=consent), SystemClock())
    finally:
        api.delete(IP_POOLS, "new")
    assert mine.steps == its.steps
    assert mine.left == its.left
    assert mine.workloads == its.workloads


class Blind(SimulatedApi):
    """May not read what stands around the pods."""

    def list(self, resource: Resource, namespace: str | None = None, **selectors: t.Any) -> t.Any:
        if resource in (*around.COMMON, *around.CALICO, *around.OPTIONAL):
            raise Forbidden("no", 403, "Forbidden")
        return super().list(resource, namespace, **selectors)


def test_what_may_not_be_read_is_said_and_no_crash(api: SimulatedApi) -> None:
    view = fetch_view(Blind(api.twin), POOL)
    (finding,) = [each for each in preflight(MOVE, view)["findings"] if each["id"] == "rights-sufficient"]
    for name in ("networkpolicies", "networkpolicies.crd.projectcalico.org", "apiservices", "persistentvolumes"):
        assert name in finding["objects"]
