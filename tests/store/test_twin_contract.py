# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A contract's tests are collected in whichever file takes them in with its own fixtures:
# pylint: disable=wildcard-import,unused-wildcard-import

"""The contracts of datastores and of configuration stores, in custom resources of both groups, over HTTPS."""

from __future__ import annotations

import typing as t

import pytest
from configuration_contract import *  # noqa: F403
from store_contract import *  # noqa: F403
from twin_fixture import start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CALICO_V3,
    CUSTOM_RESOURCE_DEFINITIONS,
    IPAM_BLOCKS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import served_schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes_configuration import (
    KubernetesConfiguration,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds

# Without nodes nothing of Calico runs, so that nobody else writes to the records.
QUIET: list[Object] = [
    {
        "apiVersion": "ipam.calico-ops.io/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "quiet"},
        "spec": {"description": "An API server alone.", "seed": 1},
    }
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[HttpApi]:
    with start_twin(tmp_path_factory.mktemp("twin"), QUIET) as twin:
        client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
        for crd in calico_crds("v3"):
            client.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
        yield client
        client.close()


@pytest.fixture(params=[CALICO_V1, CALICO_V3])
def store(request: pytest.FixtureRequest, api: HttpApi) -> KubernetesStore:
    found = KubernetesStore(api, request.param)
    for resource in (found.blocks, found.affinities, found.handles, found.config, found.ip_reservations):
        for thing in api.list(resource).items:
            api.delete(resource, thing["metadata"]["name"])
    return found


@pytest.fixture
def configuration(api: HttpApi, store: KubernetesStore) -> tuple[t.Any, t.Any]:
    return KubernetesConfiguration(api, store.group), store


def test_the_openapi_document_tells_what_the_definition_tells(api: HttpApi) -> None:
    class WithoutDefinitions:
        def __getattr__(self, name: str) -> t.Any:
            return getattr(api, name)

        def get(self, resource: t.Any, name: str) -> Object:
            return api.get(resource, f"no-{name}")

    def members(schema: t.Any) -> set[str]:
        return set(schema["properties"]["spec"]["properties"])

    documented = served_schema(t.cast("t.Any", WithoutDefinitions()), IPAM_BLOCKS)
    assert members(documented) == members(served_schema(api, IPAM_BLOCKS)) >= {"allocations", "affinityClaimTime"}
