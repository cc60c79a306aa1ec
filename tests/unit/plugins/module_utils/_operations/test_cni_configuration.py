# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CNI configuration that nodes are given: where it is taken from, and what it says."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import (
    USUAL_PLACES,
    CniPlace,
    cni_configs_in,
    cni_places,
    unintelligible,
)

CALICO = '{"plugins": [{"type": "calico", "mtu": __CNI_MTU__, "ipam": {"type": "calico-ipam"}}]}'
PINNED = '{"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam", "ipv4_pools": ["10.0.0.0/16"]}}]}'


def maps(text: str, name: str = "calico-config", namespace: str = "kube-system") -> dict[t.Any, t.Any]:
    return {(namespace, name): {"cni_network_config": text}}


def daemon_set(name: str, part: str = "initContainers", **entry: t.Any) -> dict[str, t.Any]:
    container = {"name": "install-cni", "env": [{"name": "CNI_CONF_NAME"}, {"name": "CNI_NETWORK_CONFIG", **entry}]}
    spec = {"template": {"spec": {part: [container], "nodeSelector": {"kubernetes.io/os": "linux"}}}}
    return {"metadata": {"name": name, "namespace": "kube-system"}, "spec": spec}


def reference(name: str, key: str = "cni_network_config") -> dict[str, t.Any]:
    return {"valueFrom": {"configMapKeyRef": {"name": name, "key": key}}}


@pytest.mark.parametrize(
    ("text", "ipam"),
    [
        (CALICO, "calico-ipam"),
        ('{"plugins": [{"type": "calico", "nodename": "__NODE__", "ipam": {"type": "host-local"}}]}', "host-local"),
        ('{"type": "calico", "ipam": {"type": "calico-ipam"}}', "calico-ipam"),
        ('{"plugins": [{"type": "flannel"}]}', None),
    ],
)
def test_what_it_says(text: str, ipam: str | None) -> None:
    (config,) = cni_configs_in(maps(text))
    assert config.ipam.get("type") == ipam
    assert (config.calico is None) == (ipam is None)
    assert unintelligible(maps(text)) == []


@pytest.mark.parametrize("text", ["{", "[]", '"text"', "{% template %}", '{"plugins": ["calico"]}', '{"plugins": 7}'])
def test_what_nobody_understands_is_named(text: str) -> None:
    assert list(cni_configs_in(maps(text))) == []
    assert unintelligible(maps(text)) == ["cni_network_config of ConfigMap kube-system/calico-config"]


def test_what_is_not_there_is_not_unintelligible() -> None:
    assert unintelligible({}) == []
    assert unintelligible({("kube-system", "calico-config"): {"calico_backend": "bird"}}) == []


@pytest.mark.parametrize("part", ["initContainers", "containers"])
def test_it_is_looked_for_where_nodes_get_it(part: str) -> None:
    """RKE2's canal keeps it under a name of its own; the usual ConfigMap may be left over from another installation."""
    places = cni_places([daemon_set("rke2-canal", part, **reference("rke2-canal-config"))])
    assert places == (CniPlace("kube-system", "rke2-canal-config", "cni_network_config"),)
    known = {**maps(CALICO), **maps(PINNED, "rke2-canal-config")}
    assert [config.ipv4_pools for config in cni_configs_in(known, places)] == [("10.0.0.0/16",)]
    assert [config.ipv4_pools for config in cni_configs_in(known)] == [()]


def test_a_daemon_set_may_have_it_in_itself() -> None:
    places = cni_places([daemon_set("calico-node", value=PINNED)])
    (config,) = cni_configs_in({}, places)
    assert config.ipv4_pools == ("10.0.0.0/16",)
    assert config.source == "CNI_NETWORK_CONFIG of DaemonSet kube-system/calico-node"


def test_windows_and_strangers_do_not_count() -> None:
    windows = daemon_set("calico-node-windows", **reference("cni-config-windows"))
    windows["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/os": "windows"}
    stranger = {"metadata": {"name": "logs", "namespace": "kube-system"}, "spec": {"template": {"spec": {}}}}
    assert cni_places([windows, stranger, {"metadata": {"name": "bare"}}]) == ()


def test_the_usual_places_are_those_of_the_installers() -> None:
    assert [str(place) for place in USUAL_PLACES] == [
        "config of ConfigMap calico-system/cni-config",
        "cni_network_config of ConfigMap kube-system/calico-config",
        "cni_network_config of ConfigMap kube-system/canal-config",
    ]
