# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Audit, release and cleaning of a range, on a cluster whose Calico has an etcd of its own."""

from __future__ import annotations

import sys
import typing as t
from datetime import datetime, timezone
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/plugins/modules"))

from etcd_fixture import EtcdServer, small_with_etcd
from module_runner import failure, run_module
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    IPAM_BLOCKS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores
from ansible_collections.calico_ops.ipam.plugins.modules import (
    ipam_audit_info,
    ipam_range,
    ipam_range_info,
    ipam_release,
    ippool,
)


def now() -> datetime:
    return datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), small_with_etcd(), speed=50) as handle:
        handle.settle()
        yield handle


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[t.Any]:
    found = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    yield found
    found.close()


@pytest.fixture
def store(etcd: EtcdServer, client: EtcdClient, api: t.Any) -> EtcdStore:
    """The twin's IPAM records as Calico would have them in etcd, tunnel addresses of the nodes included."""
    etcd.put_resource(
        "clusterinformations", "ClusterInformation", "default", {"clusterGUID": "abc", "datastoreReady": True}
    )
    theirs = KubernetesStore(api)
    for pool in theirs.pools():
        spec = {"cidr": str(pool.cidr), "blockSize": pool.block_size, "vxlanMode": pool.vxlan_mode}
        etcd.put_resource("ippools", "IPPool", pool.name, {**spec, "ipipMode": pool.ipip_mode})
    for node in api.list(NODES).items:
        name, noted = node["metadata"]["name"], node["metadata"].get("annotations") or {}
        spec = {
            "orchRefs": [{"nodeName": name, "orchestrator": "k8s"}],
            "ipv4VXLANTunnelAddr": noted.get("projectcalico.org/IPv4VXLANTunnelAddr"),
            "bgp": {"ipv4IPIPTunnelAddr": noted.get("projectcalico.org/IPv4IPIPTunnelAddr")},
        }
        etcd.put_resource("nodes", "Node", name, spec)
    found = EtcdStore(client)
    for block in theirs.list_blocks():
        found.create_block(block.value)
    for row in theirs.list_affinities():
        found.create_affinity(row.value)
    for handle in theirs.list_handles():
        found.create_handle(handle.value)
    return found


@pytest.fixture
def where(twin: TwinHandle, etcd: EtcdServer) -> dict[str, t.Any]:
    return {"kubeconfig": twin.kubeconfig, "datastore": "etcd", "etcd_endpoints": [etcd.url]}


def leak(store: EtcdStore, etcd: EtcdServer, api: t.Any) -> tuple[str, str]:
    """Assign an address to a pod that does not exist; the address and its node."""
    node = api.list(NODES).items[-1]["metadata"]["name"]
    pool = store.pools()[0]
    address = str(parse_address(str(pool.cidr.address(pool.cidr.size - 7))))
    owner = {"pod": "gone", "namespace": "shop", "node": node}
    assign_ip(store, parse_address(address), node, now=now, handle_id="k8s-pod-network.GONE", attributes=owner)
    return address, node


def test_tunnels_and_pods_are_in_use_and_a_leak_is_found_and_released(
    store: EtcdStore, etcd: EtcdServer, api: t.Any, where: dict[str, t.Any]
) -> None:
    clean = run_module(ipam_audit_info.main, **where)
    assert clean["leaked"] == []
    assert [finding for finding in clean["findings"] if finding["severity"] == "error"] == []
    assert (clean["cluster"], clean["datastore_locked"]) == ("abc", False)
    tunnels = [entry for entry in store.list_handles() if "tunnel" in entry.value.id]
    assert tunnels, "the twin's nodes have tunnel addresses, so that this test says something"

    address, _node = leak(store, etcd, api)
    audit = run_module(ipam_audit_info.main, **where)
    assert [entry["address"] for entry in audit["leaked"]] == [address]
    before = run_module(ipam_range_info.main, **where, cidr=f"{address}/32")
    assert not before["range"]["clean"] if "range" in before else True
    released = run_module(
        ipam_release.main, **where, addresses=[{"address": address}], interval=0, certainty="possible"
    )
    assert released["changed"]
    assert run_module(ipam_audit_info.main, **where)["leaked"] == []
    assert [entry.value.id for entry in store.list_handles() if "GONE" in entry.value.id] == []


def test_damaged_records_are_findings(etcd: EtcdServer, store: EtcdStore, where: dict[str, t.Any]) -> None:
    etcd.put("/calico/ipam/v2/assignment/ipv4/block/10.99.0.0-30", b"{")
    findings = run_module(ipam_audit_info.main, **where)["findings"]
    assert any("10-99-0-0-30" in str(finding["objects"]) for finding in findings)


def test_a_locked_datastore_is_not_written(etcd: EtcdServer, store: EtcdStore, where: dict[str, t.Any]) -> None:
    etcd.put_resource("clusterinformations", "ClusterInformation", "default", {"datastoreReady": False})
    assert run_module(ipam_audit_info.main, **where)["datastore_locked"]
    message = failure(ipam_range.main, **where, cidr="10.99.0.0/24")
    assert "locked for a migration" in message


def test_what_belongs_to_another_cluster_is_left_alone(
    etcd: EtcdServer, store: EtcdStore, api: t.Any, where: dict[str, t.Any]
) -> None:
    """Where two share an etcd, the pods of the other one would all look leaked."""
    address, _node = leak(store, etcd, api)
    for number in range(2):
        reference = {"orchestrator": "k8s", "nodeName": f"other-{number}"}
        etcd.put_resource("nodes", "Node", f"other-{number}", {"orchRefs": [reference]})
    asked = {"addresses": [{"address": address}], "interval": 0, "certainty": "possible"}
    assert "2 of the 4 Kubernetes nodes that Calico knows" in failure(ipam_release.main, **where, **asked)
    assert "2 of the 4 Kubernetes nodes" in failure(ippool.main, **where, name="new", cidr="10.7.0.0/16")


def test_the_api_with_calicos_data_from_etcd(etcd: EtcdServer, store: EtcdStore, api: t.Any) -> None:
    backed = t.cast("t.Any", open_stores(api, etcd.options).api)
    name = api.list(NODES).items[0]["metadata"]["name"]
    tunnel = "projectcalico.org/IPv4VXLANTunnelAddr"
    etcd.put_resource("nodes", "Node", name, {"ipv4VXLANTunnelAddr": "10.0.0.9"})
    etcd.put_resource("nodes", "Node", "outside", {"ipv4VXLANTunnelAddr": "10.0.0.8"}, labels={"rack": "b"})
    etcd.put_resource("nodes", "Node", "deleted", {"orchRefs": [{"orchestrator": "k8s", "nodeName": "deleted"}]})
    nodes = {node["metadata"]["name"]: node for node in backed.list(NODES).items}
    assert nodes[name]["metadata"]["annotations"][tunnel] == "10.0.0.9"
    assert backed.get(NODES, name)["metadata"]["annotations"][tunnel] == "10.0.0.9"
    assert nodes["outside"]["metadata"]["annotations"] == {tunnel: "10.0.0.8"}
    assert backed.get(NODES, "outside")["metadata"]["labels"] == {"rack": "b"}
    assert "deleted" not in nodes
    for missing in ("deleted", "nobody"):
        with pytest.raises(NotFound):
            backed.get(NODES, missing)
    assert backed.get(CLUSTER_INFORMATIONS, "default")["spec"]["clusterGUID"] == "abc"
    block = backed.list(IPAM_BLOCKS).items[0]
    assert backed.get(IPAM_BLOCKS, block["metadata"]["name"]) == block
    with pytest.raises(NotFound):
        backed.get(IPAM_BLOCKS, "none")
    assert len([pod for page in backed.pages(PODS) for pod in page.items]) == len(api.list(PODS).items)

    etcd.put_resource("nodes", "Node", "short", {"orchRefs": [{"orchestrator": "k8s", "nodeName": "short.example"}]})
    with pytest.raises(Refused, match="Calico calls node short what Kubernetes calls short.example"):
        backed.list(NODES)
