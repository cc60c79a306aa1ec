# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from datetime import datetime, timezone

import pytest
from cluster_tables import AGGREGATED, MANIFEST, MIGRATIONS, V3_CRDS, api_of, default, in_etcd, migration

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import NodeFacts, PodFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import load_balancer_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_facts import (
    NETWORK_STATUS,
    NO_IPAM,
    POD_IPS,
    node_facts,
    pod_facts,
    read_facts,
    seconds_of,
    service_facts,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import SINGLE, things_again


def key(text: str) -> tuple[int, int]:
    address = parse_address(text)
    return (address.version, address.value)


FOUR, SIX, SECOND = key("10.0.0.5"), key("fd00::5"), key("172.16.0.9")


def pod(status: dict[str, t.Any], annotations: dict[str, str] | None = None, **spec: t.Any) -> dict[str, t.Any]:
    return {
        "metadata": {"namespace": "shop", "name": "a", "annotations": annotations or {}},
        "spec": spec,
        "status": status,
    }


BOTH = {"podIP": "10.0.0.5", "podIPs": [{"ip": "10.0.0.5"}, {"ip": "fd00::5"}]}
NETWORKS = json.dumps([{"name": "k8s-pod-network", "ips": ["10.0.0.5"]}, {"name": "storage", "ips": ["172.16.0.9"]}])


@pytest.mark.parametrize(
    ("thing", "wanted"),
    [
        (pod({}), PodFacts()),
        (pod({"podIP": "10.0.0.5"}, nodeName="n"), PodFacts((FOUR,), (), "n")),
        (pod({**BOTH, "phase": "Running"}), PodFacts((FOUR, SIX), (), "", "Running")),
        (pod({"podIP": "nonsense"}), PodFacts()),
        # One family in the status, both noted by the CNI plugin.
        (pod({"podIP": "10.0.0.5"}, {POD_IPS: "10.0.0.5/32,fd00::5/128"}), PodFacts((FOUR,), (SIX,))),
        # Taken back by the CNI plugin; the status lags behind.
        (pod(BOTH, {POD_IPS: ""}), PodFacts()),
        (pod({"podIP": "10.0.0.5"}, {NETWORK_STATUS: NETWORKS}), PodFacts((FOUR,), (SECOND,))),
        (pod({"podIP": "10.0.0.5"}, {NETWORK_STATUS: "[{"}), PodFacts((FOUR,))),
        (pod({"podIP": "10.0.0.5"}, {NETWORK_STATUS: '[{"ips": "x"}, 5, {"ips": [7]}]'}), PodFacts((FOUR,))),
        (pod({"podIP": "10.0.0.5"}, {NETWORK_STATUS: "5"}), PodFacts((FOUR,))),
        (pod({"podIP": "10.0.0.5"}, {NO_IPAM: "[]"}, hostNetwork=True),
         PodFacts((FOUR,), (), host_network=True, without_ipam=True)),
        (pod({"phase": "Failed", "reason": "Evicted"}), PodFacts(phase="Failed", reason="Evicted")),
    ],
)  # fmt: skip
def test_pods(thing: dict[str, t.Any], wanted: PodFacts) -> None:
    assert pod_facts(thing) == wanted
    thing["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert pod_facts(thing) == wanted._replace(terminating=True)


def test_nodes() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    annotations = {
        "projectcalico.org/IPv4VXLANTunnelAddr": "10.0.0.5",
        "projectcalico.org/IPv6VXLANTunnelAddr": "fd00::5",
        "projectcalico.org/IPv4IPIPTunnelAddr": "",
        "projectcalico.org/IPv4WireguardInterfaceAddr": "x",
    }
    node = {"metadata": {"name": "n", "annotations": annotations}, "status": ready}
    assert node_facts(node) == NodeFacts({"vxlanTunnelAddress": FOUR, "vxlanV6TunnelAddress": SIX}, True)
    assert node_facts({"metadata": {"name": "n"}}) == NodeFacts({}, False)
    unknown = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    assert node_facts({"metadata": {"name": "n"}, "status": unknown}) == NodeFacts({}, False)


def test_services() -> None:
    service = {
        "metadata": {"namespace": "shop", "name": "web", "uid": "u"},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.5"}, {"hostname": "x"}]}},
    }
    facts = service_facts(service)
    assert facts is not None
    assert facts.handle == load_balancer_handle("web", "shop", "u")
    assert facts.addresses == (FOUR,)
    assert service_facts({**service, "spec": {"type": "ClusterIP"}}) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m0s", 900.0), ("1h30m", 5400.0), ("0s", 0.0), ("0", 0.0), ("500ms", 0.5), ("5", None), ("", None), (9, None)],
)
def test_durations(text: t.Any, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


class Pods:
    """Serves pods, and remembers what it was asked."""

    def __init__(self, *names: str) -> None:
        self._things = {f"ns/{name}": {"metadata": {"namespace": "ns", "name": name}} for name in names}
        self.gets: list[str] = []
        self.lists = 0

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> dict[str, t.Any]:
        self.gets.append(name)
        if f"{namespace}/{name}" not in self._things:
            raise NotFound("gone", 404, "NotFound", None, None)
        return self._things[f"{namespace}/{name}"]

    def list(self, resource: Resource, namespace: str | None = None, **_options: t.Any) -> Listing:
        self.lists += 1
        return Listing(list(self._things.values()), "1")


def test_a_few_are_asked_for_by_name() -> None:
    api = Pods("a", "b")
    found = dict(things_again(t.cast("t.Any", api), PODS, ["ns/a", "ns/c", "ns/../x", "ns/A%2f"]))
    assert found == {"ns/a": {"metadata": {"namespace": "ns", "name": "a"}}, "ns/c": None}
    assert (api.gets, api.lists) == (["a", "c"], 0)


def test_many_are_listed_once_more() -> None:
    api = Pods("a", "b")
    names = {"ns/a", *(f"ns/gone-{number}" for number in range(SINGLE))}
    found = dict(things_again(t.cast("t.Any", api), PODS, names))
    assert set(found) == names
    assert [name for name, thing in found.items() if thing is not None] == ["ns/a"]
    assert (api.gets, api.lists) == ([], 1)


V1_COLLECTOR = "kubecontrollersconfigurations.crd.projectcalico.org"
V3_COLLECTOR = "kubecontrollersconfigurations.projectcalico.org"
REST: dict[str, t.Any] = {"nodes.": [], "pods.": [], "services.": []}
MIGRATED = {**MANIFEST, **V3_CRDS, MIGRATIONS: migration("Complete")}


def collector(grace: str) -> list[dict[str, t.Any]]:
    return default(controllers={"node": {"leakGracePeriod": grace}})


@pytest.mark.parametrize(
    ("api", "grace"),
    [
        (lambda: calico_api(api_of({**REST, **MANIFEST, V1_COLLECTOR: collector("5m0s")})), 300.0),
        (lambda: calico_api(api_of({**REST, **V3_CRDS, V3_COLLECTOR: collector("7m0s")})), 420.0),
        # What an older installation left in the other group says nothing.
        (lambda: calico_api(api_of({**REST, **MIGRATED, V1_COLLECTOR: collector("5m0s")})), 900.0),
        (lambda: calico_api(api_of({**REST, **AGGREGATED, V1_COLLECTOR: collector("0s")})), 0.0),
        (lambda: in_etcd({**REST, V1_COLLECTOR: collector("1h0m0s")}, {V1_COLLECTOR: collector("30s")}), 30.0),
        (lambda: calico_api(api_of({**REST, **MANIFEST, V1_COLLECTOR: collector("soon")})), 900.0),
        (lambda: calico_api(api_of({**REST, **MANIFEST})), 900.0),
    ],
    ids=["crd_v1", "crd_v3", "crd_v3 and a leftover", "apiserver", "etcd", "not a duration", "not there"],
)
def test_the_grace_period_is_read_where_calico_keeps_it(api: t.Callable[[], t.Any], grace: float) -> None:
    """Spec ipam-engine.md §18."""
    assert read_facts(api(), (), 0, datetime.now(timezone.utc), machines=False).leak_grace == grace
