# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import resources
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import (
    CRD_V1,
    CRD_V3,
    CalicoPlaces,
    check_installation,
    places_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds, kind_from_crd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

RESOURCES = [
    each.name for each in dataclasses.fields(CalicoPlaces) if each.name not in ("group", "definitions", "etcd")
]


@pytest.mark.parametrize("places", [CRD_V1, CRD_V3], ids=["v1", "v3"])
def test_the_places_are_what_the_definitions_define(places: CalicoPlaces) -> None:
    defined = {kind.resource for crd in calico_crds(places.definitions) for kind in kind_from_crd(crd)}
    assert {getattr(places, name) for name in RESOURCES} == defined
    assert {resource.group for resource in defined} == {places.group}


@pytest.mark.parametrize("places", [CRD_V1, CRD_V3], ids=["v1", "v3"])
def test_the_store_looks_in_the_same_places(places: CalicoPlaces) -> None:
    api = LocalApi(ApiServer(ObjectStore(), VirtualClock()))
    store = KubernetesStore(api, places.group)
    assert (store.blocks, store.affinities, store.handles) == (places.blocks, places.affinities, places.handles)
    assert (store.ip_pools, store.ip_reservations, store.config) == (places.pools, places.reservations, places.config)


def test_the_v1_places_are_those_production_code_names() -> None:
    assert places_of("crd_v1").pools == resources.IP_POOLS
    assert places_of("crd_v3").config.plural == "ipamconfigurations"


def test_what_the_twin_cannot_be_is_one_sentence() -> None:
    with pytest.raises(InvalidInput, match=r"^installation is 'kubeadm', it must be one of crd_v1, .*\.$"):
        check_installation("kubeadm")


def test_an_operator_is_refused_where_there_is_none() -> None:
    with pytest.raises(InvalidInput, match=r"^The Tigera operator .* none for installation etcd; .*\.$"):
        check_installation("etcd", operator=True)
    for installation in ("crd_v1", "apiserver", "crd_v3"):
        check_installation(installation, operator=True)
