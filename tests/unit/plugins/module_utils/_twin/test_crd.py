# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import resources
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import (
    calico_crds,
    kind_from_crd,
    kinds_from_crd,
)


def test_calicos_kinds_are_the_resources_production_code_uses():
    kinds = {kind.resource.kind: kind for crd in calico_crds("v1") for kind in kind_from_crd(crd)}
    for resource in (
        resources.IP_POOLS,
        resources.IPAM_BLOCKS,
        resources.BLOCK_AFFINITIES,
        resources.IPAM_HANDLES,
        resources.IPAM_CONFIGS,
        resources.IP_RESERVATIONS,
        resources.CLUSTER_INFORMATIONS,
    ):
        assert kinds[resource.kind].resource == resource
        assert kinds[resource.kind].custom
    assert kinds["IPPool"].has_status
    assert not kinds["IPAMBlock"].has_status


def test_the_v3_kinds():
    kinds = {kind.resource.kind: kind for crd in calico_crds("v3") for kind in kind_from_crd(crd)}
    assert kinds["IPPool"].resource.api_version == "projectcalico.org/v3"
    assert "IPAMConfiguration" in kinds
    (pool,) = (each for crd in calico_crds("v3") for each in kinds_from_crd(crd) if each.kind.resource.kind == "IPPool")
    assert [column["name"] for column in pool.columns] == ["CIDR", "VXLAN", "IPIP", "NAT", "Allocatable", "Age"]


@pytest.mark.parametrize("served", [["v1", "v2"], ["v2"], []])
def test_served_versions_the_stored_one_first(served):
    versions = [
        {"name": name, "served": name in served, "storage": name == "v2", "subresources": {"status": {}, "scale": {}}}
        for name in ("v1", "v2")
    ]
    crd = {"spec": {"group": "g", "scope": "Namespaced", "names": {"plural": "ts", "kind": "T"}, "versions": versions}}
    kinds = kind_from_crd(crd)
    assert [kind.resource.version for kind in kinds] == sorted(served, reverse=True)
    for kind in kinds:
        assert (kind.singular, kind.list_kind, kind.resource.namespaced) == ("t", "TList", True)
        assert [each.name for each in kind.subresources] == ["scale", "status"]
