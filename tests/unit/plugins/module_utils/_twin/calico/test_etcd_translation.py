# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import parse_network_config
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import ETCD
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.translation import translated
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load


@pytest.mark.parametrize("scenario", ["small", "tutorial"])
def test_the_manifests_name_etcd(scenario: str) -> None:
    items = {(item["kind"], item["metadata"]["name"]): item for item in load(scenario).objects}
    node = translated(items["DaemonSet", "calico-node"], ETCD)
    (container,) = [each for each in node["spec"]["template"]["spec"]["containers"] if each["name"] == "calico-node"]
    names = [each["name"] for each in container["env"]]
    assert "DATASTORE_TYPE" not in names and names.count("ETCD_ENDPOINTS") == 1
    config = translated(items["ConfigMap", "calico-config"], ETCD)
    text = config["data"]["cni_network_config"]
    assert '"etcd_endpoints": "__ETCD_ENDPOINTS__"' in text and "datastore_type" not in text
    assert parse_network_config(text).ipam_type == "calico-ipam"
    deployment = items["Deployment", "web"] if ("Deployment", "web") in items else items["DaemonSet", "calico-node"]
    assert translated(deployment, ETCD)["metadata"] == deployment["metadata"]


def test_pools_are_spelled_as_in_the_public_api() -> None:
    (pool,) = [item for item in load("small").objects if item["kind"] == "IPPool"]
    assert translated(pool, ETCD)["apiVersion"] == "projectcalico.org/v3"
    assert pool["apiVersion"] == "crd.projectcalico.org/v1"
