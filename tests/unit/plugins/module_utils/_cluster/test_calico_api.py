# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One interface to Calico's kinds: where each request goes, with which names, and that nothing else is touched."""

from __future__ import annotations

import typing as t

import pytest
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import KINDS, places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Location
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    NODES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    KUBE_CONTROLLERS_CONFIGURATIONS as GRACE,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi


class NotingApi:
    """Answers every call with itself written down: the method, the resource, and what was sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[t.Any, ...]] = []

    def __getattr__(self, method: str) -> t.Any:
        if method in ("pages", "openapi"):
            raise AttributeError(method)

        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            self.calls.append((method, arguments, options))
            return Listing([], "7") if method == "list" else {}

        return call


def api_of(mode: str, elsewhere: t.Any = None) -> tuple[CalicoApi, NotingApi, list[t.Any]]:
    raw, asked = NotingApi(), []

    def find(api: t.Any) -> Location:
        asked.append(api)
        return Location(Fact(mode, "the test"))

    return CalicoApi(t.cast("t.Any", raw), find, elsewhere), raw, asked


@pytest.mark.parametrize(
    ("mode", "kind", "place"),
    [
        ("crd_v1", IP_POOLS, "ippools crd.projectcalico.org/v1 IPPool"),
        ("crd_v1", IPAM_CONFIGS, "ipamconfigs crd.projectcalico.org/v1 IPAMConfig"),
        ("none", IP_POOLS, "ippools crd.projectcalico.org/v1 IPPool"),
        ("crd_v3", IP_POOLS, "ippools projectcalico.org/v3 IPPool"),
        ("crd_v3", IPAM_BLOCKS, "ipamblocks projectcalico.org/v3 IPAMBlock"),
        ("crd_v3", IPAM_CONFIGS, "ipamconfigurations projectcalico.org/v3 IPAMConfiguration"),
        ("crd_v3", CLUSTER_INFORMATIONS, "clusterinformations projectcalico.org/v3 ClusterInformation"),
        ("apiserver", IP_POOLS, "ippools projectcalico.org/v3 IPPool"),
        ("apiserver", IP_RESERVATIONS, "ipreservations projectcalico.org/v3 IPReservation"),
        ("apiserver", CLUSTER_INFORMATIONS, "clusterinformations projectcalico.org/v3 ClusterInformation"),
        ("apiserver", IPAM_BLOCKS, "ipamblocks crd.projectcalico.org/v1 IPAMBlock"),
        ("apiserver", IPAM_HANDLES, "ipamhandles crd.projectcalico.org/v1 IPAMHandle"),
        ("apiserver", BLOCK_AFFINITIES, "blockaffinities crd.projectcalico.org/v1 BlockAffinity"),
        ("apiserver", IPAM_CONFIGS, "ipamconfigs crd.projectcalico.org/v1 IPAMConfig"),
        ("crd_v1", GRACE, "kubecontrollersconfigurations crd.projectcalico.org/v1 KubeControllersConfiguration"),
        ("apiserver", GRACE, "kubecontrollersconfigurations crd.projectcalico.org/v1 KubeControllersConfiguration"),
        ("crd_v3", GRACE, "kubecontrollersconfigurations projectcalico.org/v3 KubeControllersConfiguration"),
        ("crd_v3", NODES, "nodes v1 Node"),
    ],
)
def test_every_request_goes_to_the_place_of_its_kind(mode: str, kind: Resource, place: str) -> None:
    api, raw, _asked = api_of(mode)
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "n"}, "spec": {"x": 1}}
    before = dict(body)
    api.get(kind, "n")
    api.list(kind, label_selector="a=b")
    api.create(kind, body, dry_run=True)
    api.replace(kind, body, subresource="status")
    api.patch(kind, "n", body)
    api.patch(kind, "n", {"spec": {}})
    api.patch(kind, "n", [{"op": "add"}], patch_type="json")
    api.delete(kind, "n", uid="u", resource_version="3")
    api.watch(kind, resource_version="7")
    list(api.pages(kind, limit=5))
    assert [call[0] for call in raw.calls] == [
        *("get", "list", "create", "replace", "patch", "patch", "patch", "delete", "watch", "list")
    ]
    for _method, arguments, _options in raw.calls:
        used = arguments[0]
        assert f"{used.plural} {used.api_version} {used.kind}" == place
    for _method, arguments, _options in (raw.calls[2], raw.calls[3]):
        sent = arguments[1]
        assert f"{arguments[0].plural} {sent['apiVersion']} {sent['kind']}" == place
        assert sent["spec"] == {"x": 1}
    assert raw.calls[4][1][2]["kind"] == place.split()[2]
    assert raw.calls[5][1][2] == {"spec": {}}, "a patch without names gets none"
    assert raw.calls[6][1][2] == [{"op": "add"}]
    assert raw.calls[2][2] == {"dry_run": True}
    assert raw.calls[7][2]["resource_version"] == "3"
    assert body == before, "what the caller has is never changed"


def test_the_cluster_is_asked_once_and_not_before_it_matters() -> None:
    api, raw, asked = api_of("crd_v3")
    api.list(NODES)
    api.evict("pod", "default", uid="u")
    assert asked == []
    api.list(IP_POOLS)
    api.get(IPAM_BLOCKS, "b")
    assert asked == [raw]
    assert raw.calls[1] == ("evict", ("pod", "default"), {"uid": "u", "dry_run": False})


def test_an_etcd_serves_the_kinds_and_nothing_else() -> None:
    etcd = NotingApi()
    api, raw, asked = api_of("crd_v3", etcd)
    for kind in KINDS:
        api.list(kind)
    api.list(NODES)
    assert [call[1][0] for call in etcd.calls] == list(KINDS)
    assert [call[1][0] for call in raw.calls] == [NODES]
    assert asked == []


def test_no_two_kinds_share_a_place() -> None:
    for mode in ("crd_v1", "crd_v3", "apiserver", "etcd", "none"):
        places = places_of(mode)
        assert set(places) == set(KINDS)
        assert len(set(places.values())) == len(KINDS)


def test_a_server_without_documents_has_none() -> None:
    api, _raw, _asked = api_of("crd_v1")
    with pytest.raises(UnknownResource, match="projectcalico.org/v3"):
        api.openapi("projectcalico.org", "v3")


@pytest.mark.parametrize("installation", ["crd_v1", "crd_v3"])
def test_on_a_twin(installation: str) -> None:
    """The same calls find the same things, in whichever group the twin keeps them."""
    twin = local_twin("small", installation=installation)
    raw = LocalApi(twin.server)
    api = calico_api(raw)
    assert calico_api(api) is api
    assert api.location.mode.value == installation
    (pool,) = api.list(IP_POOLS).items
    name = pool["metadata"]["name"]
    assert pool["apiVersion"] == api.place(IP_POOLS).api_version
    assert [block["kind"] for page in api.pages(IPAM_BLOCKS) for block in page.items][0] == "IPAMBlock"
    version = api.list(IP_POOLS).resource_version
    changed = api.patch(IP_POOLS, name, {"spec": {"disabled": True}})
    assert changed["spec"]["disabled"] is True
    body = {
        "apiVersion": IP_POOLS.api_version,
        "kind": "IPPool",
        "metadata": {"name": "second"},
        "spec": {"cidr": "10.77.0.0/16"},
    }
    made = api.create(IP_POOLS, body)
    api.delete(IP_POOLS, "second", uid=made["metadata"]["uid"])
    seen = [(event.type, event.object["metadata"]["name"]) for event in api.watch(IP_POOLS, resource_version=version)]
    assert seen[0] == ("MODIFIED", name)
    assert ("ADDED", "second") in seen
