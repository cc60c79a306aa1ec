# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import parse_network_config
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.translation import translated
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load, names

Object = t.Dict[str, t.Any]


def v1(kind: str, spec: Object | None = None, **metadata: t.Any) -> Object:
    thing = {"apiVersion": "crd.projectcalico.org/v1", "kind": kind, "metadata": {"name": "x", **metadata}}
    return thing if spec is None else {**thing, "spec": spec}


def v3(kind: str, spec: Object | None = None, **metadata: t.Any) -> Object:
    return {**v1(kind, spec, **metadata), "apiVersion": "projectcalico.org/v3"}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (
            v1("IPPool", {"cidr": "10.0.0.0/8"}, labels={"a": "b"}),
            v3("IPPool", {"cidr": "10.0.0.0/8"}, labels={"a": "b"}),
        ),
        (v1("IPAMConfig", {"strictAffinity": True}), v3("IPAMConfiguration", {"strictAffinity": True})),
        (v1("BlockAffinity", {"deleted": "true"}), v3("BlockAffinity", {"deleted": True})),
        (v1("BlockAffinity", {"deleted": "false"}), v3("BlockAffinity", {"deleted": False})),
        (v1("BlockAffinity", {"deleted": ""}), v3("BlockAffinity", {"deleted": False})),
        (v1("BlockAffinity", {"state": "confirmed"}), v3("BlockAffinity", {"state": "confirmed"})),
        (v1("ClusterInformation"), v3("ClusterInformation")),
        (
            v1(
                "IPPool",
                labels={"out": "1"},
                annotations={"projectcalico.org/metadata": json.dumps({"labels": {"in": "2"}, "uid": "ignored"})},
            ),
            v3("IPPool", labels={"out": "1", "in": "2"}),
        ),
        (v3("IPPool"), v3("IPPool")),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}, None),
        ({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "other"}}, None),
    ],
)
def test_objects_of_calico_change_their_group(written: Object, stored: Object | None) -> None:
    before = json.dumps(written)
    assert translated(written, CRD_V3) == (written if stored is None else stored)
    assert json.dumps(written) == before
    assert translated(written, CRD_V1) is written


def the(scenario: str, kind: str, name: str) -> Object:
    return next(item for item in load(scenario).objects if (item["kind"], item["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize("scenario", names())
def test_calico_node_is_told_which_group_is_live(scenario: str) -> None:
    changed = translated(the(scenario, "DaemonSet", "calico-node"), CRD_V3)
    (container,) = (each for each in changed["spec"]["template"]["spec"]["containers"] if each["name"] == "calico-node")
    assert {"name": "CALICO_API_GROUP", "value": "projectcalico.org/v3"} in container["env"]
    assert translated(changed, CRD_V3) == changed


@pytest.mark.parametrize("scenario", names())
def test_so_is_the_cni_plugin(scenario: str) -> None:
    written = the(scenario, "ConfigMap", "calico-config")
    changed = translated(written, CRD_V3)
    text = changed["data"]["cni_network_config"]
    document = json.loads(text.replace("__CNI_MTU__", "0"))
    (plugin,) = (each for each in document["plugins"] if each["type"] == "calico")
    assert plugin["calico_api_group"] == "projectcalico.org/v3"
    assert parse_network_config(text) == parse_network_config(written["data"]["cni_network_config"])
    assert translated(changed, CRD_V3) == changed
