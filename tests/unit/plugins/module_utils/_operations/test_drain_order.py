# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owner
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import (
    APIS,
    NAME_SERVERS,
    ORDINARY,
    STORAGE,
    VALIDATING,
    WEBHOOKS,
    place,
    read_serving,
)

from .drain_objects import WEB, Shelf, pod, ref, replica_set, view_of, workload


def service(name: str) -> dict[str, object]:
    metadata = {"namespace": "shop", "name": name}
    return {"kind": "Service", "metadata": metadata, "spec": {"selector": {"app": name}}}


def hook(name: str, **more: object) -> dict[str, object]:
    rule = {"apiGroups": [""], "resources": ["pods"], "operations": ["CREATE"]}
    client = {"service": {"namespace": "shop", "name": name}}
    webhook = {"name": f"{name}.example.com", "clientConfig": client, "rules": [rule], **more}
    return {"kind": VALIDATING.kind, "metadata": {"name": name}, "webhooks": [webhook]}


def stage(*things: dict[str, object], owner: Owner = WEB) -> int:
    view = view_of(*(each for each in things if each["kind"] not in ("Service", VALIDATING.kind, "CSIDriver")))
    serving = read_serving(Shelf(*things), ())  # type: ignore[arg-type]
    return serving.stage_of(view, owner, view.pods_of(owner))


WEB_THINGS = (pod("web-1"), replica_set("web"), workload("Deployment", "web", 1))


def test_what_comes_when() -> None:
    assert stage(*WEB_THINGS) == ORDINARY
    assert stage(*WEB_THINGS, service("web")) == ORDINARY
    assert stage(*WEB_THINGS, service("web"), hook("web")) == WEBHOOKS
    assert stage(*WEB_THINGS, service("web"), hook("web", failurePolicy="Ignore")) == ORDINARY
    assert stage(*WEB_THINGS, service("other"), hook("other")) == ORDINARY


def test_name_servers_by_their_label() -> None:
    server = pod("dns-1", owner=ref("ReplicaSet", "dns"))
    server["metadata"].update(namespace="kube-system", labels={"k8s-app": "kube-dns"})
    assert stage(server, owner=Owner("kube-system", "dns", "ReplicaSet")) == NAME_SERVERS


def test_aggregated_apis_by_their_service() -> None:
    api = {
        "kind": "APIService",
        "metadata": {"name": "v1.shop.example.com"},
        "spec": {"service": {"namespace": "shop", "name": "web"}},
        "status": {"conditions": [{"type": "Available", "status": "True"}]},
    }
    view = view_of(*WEB_THINGS)
    view.apply("apiservices", "ADDED", api)
    serving = read_serving(Shelf(service("web")), ())  # type: ignore[arg-type]
    assert serving.stage_of(view, WEB, view.pods_of(WEB)) == APIS
    assert view.api_services["v1.shop.example.com"].available


def test_storage_by_sidecar_driver_and_namespace() -> None:
    def with_container(**container: object) -> tuple[dict[str, object], ...]:
        spec = {"template": {"spec": {"containers": [{"name": "c", **container}]}}}
        return (pod("web-1"), replica_set("web"), workload("Deployment", "web", 1, spec))

    driver = {"kind": "CSIDriver", "metadata": {"name": "disk.csi.example.com"}}
    assert stage(*with_container(image="registry.k8s.io/sig-storage/csi-attacher:v4.6.1")) == STORAGE
    assert stage(*with_container(image="registry.k8s.io/sig-storage/csi-attacherino:v4")) == ORDINARY
    assert stage(*with_container(args=["--drivername=disk.csi.example.com"]), driver) == STORAGE
    assert stage(*with_container(args=["--drivername=disk.csi.example.com"])) == ORDINARY
    manager = pod("manager-1", owner=ref("DaemonSet", "manager"))
    manager["metadata"]["namespace"] = "longhorn-system"
    assert stage(manager, owner=Owner("longhorn-system", "manager", "DaemonSet")) == STORAGE


def test_the_longest_first_within_a_stage() -> None:
    first, second = Owner("a", "a", "Deployment"), Owner("b", "b", "Deployment")
    places = [place(ORDINARY, 10, first), place(ORDINARY, 60, second), place(STORAGE, 90, first), place(1, 5, second)]
    assert sorted(places) == [places[3], places[1], places[0], places[2]]
    assert sorted([place(ORDINARY, 0, None), places[2]])[0] == places[2]
