# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, PODS, SERVICES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import ENDPOINT_SLICES, ENDPOINTS

NAMESPACE = "shop"


def addresses(cluster, which="addresses"):
    subsets = cluster.get(ENDPOINTS, "web").get("subsets") or ()
    return {each["ip"] for subset in subsets for each in subset.get(which) or ()}


def slices(cluster):
    return cluster.objects.list(ENDPOINT_SLICES, NAMESPACE)


def conditions(cluster):
    return {each["addresses"][0]: each["conditions"] for one in slices(cluster) for each in one["endpoints"]}


def test_ready_pods_are_in(cluster, make_template):
    cluster.service()
    cluster.clock.advance(1)
    assert "subsets" not in cluster.get(ENDPOINTS, "web")
    probed = make_template("web", container={"readinessProbe": {"httpGet": {"port": 80}, "initialDelaySeconds": 10}})
    cluster.deployment(replicas=2, template=probed)
    cluster.clock.advance(8)
    assert addresses(cluster) == set()
    assert len(addresses(cluster, "notReadyAddresses")) == 2
    cluster.until_ready(2, "web")
    cluster.clock.advance(0.2)
    assert addresses(cluster) == {pod["status"]["podIP"] for pod in cluster.pods("web")}
    (one,) = slices(cluster)
    assert one["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    assert one["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert all(each == {"ready": True, "serving": True, "terminating": False} for each in conditions(cluster).values())


def test_a_pod_leaves_when_its_deletion_begins(cluster, make_template):
    slow = make_template("web", annotations={"ipam.calico-ops.io/twin-stop-seconds": "20"})
    cluster.deployment(replicas=2, template=slow)
    cluster.service()
    cluster.until(cluster.rolled_out)
    cluster.clock.advance(1)
    victim = cluster.pods("web")[0]
    address = victim["status"]["podIP"]
    assert address in addresses(cluster)
    cluster.api.delete(PODS, victim["metadata"]["name"], NAMESPACE)
    cluster.clock.advance(0.1)
    assert address not in addresses(cluster)
    assert conditions(cluster)[address] == {"ready": False, "serving": True, "terminating": True}
    cluster.clock.advance(25)
    assert address not in conditions(cluster)


def test_many_endpoints_take_several_slices(new_cluster):
    cluster = new_cluster(nodes=3)
    cluster.service()
    cluster.deployment(replicas=130)
    cluster.until_ready(130, "web")
    cluster.clock.advance(1)
    assert sorted(len(one["endpoints"]) for one in slices(cluster)) == [30, 100]
    cluster.scale(DEPLOYMENTS, "web", 20)
    cluster.until_ready(20, "web")
    cluster.clock.advance(1)
    assert [len(one["endpoints"]) for one in slices(cluster)] == [20]


def test_named_ports_and_unready_publishing(cluster, make_template):
    cluster.service(ports=[{"port": 80, "targetPort": "http", "name": "http"}], publishNotReadyAddresses=True)
    named = {"ports": [{"name": "http", "containerPort": 8443}], "readinessProbe": {"initialDelaySeconds": 1000}}
    cluster.deployment(replicas=1, template=make_template("web", container={**named}))
    cluster.clock.advance(10)
    (one,) = slices(cluster)
    assert one["ports"] == [{"name": "http", "port": 8443, "protocol": "TCP"}]
    assert len(addresses(cluster)) == 1


def test_deleting_the_service_takes_both_along(cluster):
    cluster.service()
    cluster.clock.advance(1)
    cluster.api.delete(SERVICES, "web", NAMESPACE)
    cluster.clock.advance(2)
    assert cluster.get(ENDPOINTS, "web") is None
    assert slices(cluster) == []
