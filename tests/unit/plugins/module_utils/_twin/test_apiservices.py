# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""APIServices: spec ippool.md 7.1, the lower table."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CUSTOM_RESOURCE_DEFINITIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.apiservices import AUTOMANAGED, ApiServices
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import API_SERVICES


class Served:
    """An API server with some definitions."""

    def __init__(self, *versions: str) -> None:
        self.objects, self.clock = ObjectStore(), VirtualClock()
        self.api = LocalApi(ApiServer(self.objects, self.clock))
        for version in versions:
            self.define(version)

    def define(self, version: str) -> None:
        for crd in calico_crds(version):
            self.api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)

    def start(self) -> Served:
        ApiServices(self.api, self.objects, self.clock).start()
        return self

    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self.api.list(API_SERVICES).items]


@pytest.mark.parametrize("version", ["v1", "v3"])
def test_a_group_of_definitions_has_one_without_a_service(version: str) -> None:
    group = {"v1": "crd.projectcalico.org", "v3": "projectcalico.org"}[version]
    (found,) = Served(version).start().api.list(API_SERVICES).items
    assert found["metadata"]["name"] == f"{version}.{group}"
    assert AUTOMANAGED in found["metadata"]["labels"]
    assert (found["spec"]["group"], found["spec"]["version"]) == (group, version)
    assert "service" not in found["spec"]
    assert [(each["type"], each["status"]) for each in found["status"]["conditions"]] == [("Available", "True")]


def test_they_follow_the_definitions() -> None:
    served = Served("v1").start()
    served.define("v3")
    served.clock.advance(1)
    assert served.names() == ["v1.crd.projectcalico.org", "v3.projectcalico.org"]
    first, *rest = calico_crds("v1")
    served.api.delete(CUSTOM_RESOURCE_DEFINITIONS, first["metadata"]["name"])
    served.clock.advance(1)
    assert "v1.crd.projectcalico.org" in served.names()
    for crd in rest:
        served.api.delete(CUSTOM_RESOURCE_DEFINITIONS, crd["metadata"]["name"])
    served.clock.advance(1)
    assert served.names() == ["v3.projectcalico.org"]


def test_one_of_somebody_else_is_left_alone() -> None:
    served = Served()
    spec = {
        "group": "projectcalico.org",
        "version": "v3",
        "groupPriorityMinimum": 1500,
        "versionPriority": 200,
        "service": {"name": "calico-api", "namespace": "calico-system"},
    }
    body: dict[str, t.Any] = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "spec": spec}
    served.api.create(API_SERVICES, {**body, "metadata": {"name": "v3.projectcalico.org"}})
    served.define("v3")
    served.start()
    for crd in calico_crds("v3"):
        served.api.delete(CUSTOM_RESOURCE_DEFINITIONS, crd["metadata"]["name"])
    served.clock.advance(1)
    (found,) = served.api.list(API_SERVICES).items
    assert found["spec"]["service"]["name"] == "calico-api"
