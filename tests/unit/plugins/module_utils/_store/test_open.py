# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which stores are live, and when they may be written; etcd itself is in tests/store."""

from __future__ import annotations

import sys
import typing as t
from contextlib import closing

import pytest
from cluster_tables import ENTRIES, INSTALLATIONS, MANIFEST, OWNED, V1, api_of, default, pool

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, require_supported
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import etcd_options, open_stores

ETCD = EtcdOptions((parse_endpoint("http://127.0.0.1:1"), parse_endpoint("http://127.0.0.1:2")))


class Served:
    """An API that serves some kinds, all of them empty."""

    def __init__(self, *resources: Resource, **objects: t.Any) -> None:
        self._resources = resources
        self._objects = objects

    def list(self, resource: Resource, *_arguments: t.Any, **_options: t.Any) -> Listing:
        if resource not in self._resources:
            raise UnknownResource("404 page not found", 404)
        return Listing(self._objects.get(resource.plural, []), "1")

    def get(self, resource: Resource, name: str, *_arguments: t.Any) -> t.NoReturn:
        raise UnknownResource("404 page not found", 404)


def test_the_kubernetes_api_unless_etcd_is_asked_for() -> None:
    assert etcd_options({"etcd_endpoints": ["http://10.0.0.1"]}) is None
    assert etcd_options({"datastore": "kubernetes", "etcd_endpoints": ["http://10.0.0.1"]}) is None
    assert etcd_options({"datastore": "etcd", "etcd_endpoints": ["http://10.0.0.1"]}) is not None
    with pytest.raises(InvalidInput):
        etcd_options({"datastore": "etcd"})


def test_stores_behind_the_kubernetes_api() -> None:
    api: t.Any = Served(IP_POOLS)
    with closing(open_stores(api)) as stores:
        assert isinstance(stores.records, KubernetesStore)
        assert (stores.kind, stores.where, stores.watched) == ("kubernetes", "the Kubernetes API", IPAM_BLOCKS)
        assert calico_api(stores.api).raw is api
        assert stores.cluster_information() == {}
        stores.require_readable()
        stores.require_writable()


def test_ipam_is_written_where_nobody_can_change_pools() -> None:
    """The operator changes pools through projectcalico.org/v3 alone; it has no part in addresses and reservations."""
    api = api_of({**MANIFEST, V1: pool(labels=OWNED), INSTALLATIONS: default(**ENTRIES)})
    open_stores(api).require_writable()
    with pytest.raises(Refused, match="create an APIServer resource"):
        require_supported(api)


def test_a_cluster_without_calico_is_told_of_etcd() -> None:
    stores = open_stores(t.cast("t.Any", Served()))
    for require in (stores.require_readable, stores.require_writable):
        with pytest.raises(Refused, match="etcd of its own, which datastore: etcd and etcd_endpoints lead to"):
            require()


def test_stores_in_etcd_are_not_asked_before_their_use() -> None:
    pytest.importorskip("etcd3gw")
    with closing(open_stores(t.cast("t.Any", Served()), ETCD)) as stores:
        assert isinstance(stores.records, EtcdStore)
        assert (stores.kind, stores.watched) == ("etcd", IPAM_BLOCKS)
        assert stores.where == "etcd at http://127.0.0.1:1, http://127.0.0.1:2"


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "etcd3gw", None)
    with pytest.raises(MissingLibrary, match="The Python package etcd3gw >= 2.4 is needed to read Calico's etcd"):
        open_stores(t.cast("t.Any", Served()), ETCD)
