# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Calico is installed, found out over HTTPS on twins; the one with the v1 group has a test of the module."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from twin_fixture import start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, detect, writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS, IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_report import installation_info
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import INSTALLATIONS

IN_THE_API = sorted(set(INSTALLATIONS) & {"crd_v3", "apiserver"})


class Counting(HttpApi):
    """Knows how many requests it has sent."""

    requests = 0

    def _ask(self, request: t.Any, doing: str = "") -> t.Any:
        self.requests += 1
        return super()._ask(request, doing)


@pytest.mark.parametrize("installation", IN_THE_API)
def test_a_twin_is_recognised(installation: str, tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", installation=installation) as twin:
        client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
        raw = Counting(client._transport)
        api = calico_api(raw)
        assert api.location.mode.value == installation
        assert raw.requests <= 2
        assert writable(detect(api)) is None
        assert raw.requests <= 6
        (pool,) = api.list(IP_POOLS).items
        assert pool["apiVersion"] == api.place(IP_POOLS).api_version
        (stored,) = open_stores(api).records.pools()
        assert stored.name == pool["metadata"]["name"]
        assert len(api.list(IPAM_BLOCKS).items) == len(open_stores(api).records.list_blocks()) > 0
        info = installation_info(api)
        assert info["mode"] == installation
        assert info["facts"]["ipam"]["value"] == "calico-ipam"
        assert info["facts"]["operator"]["value"] is False
        assert all(fact["source"] for fact in info["facts"].values())
        client.close()


def test_the_operator_of_a_twin_is_recognised(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", installation="apiserver", operator=True) as twin:
        client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
        api = calico_api(client)
        found = detect(api)
        assert writable(found) is None
        assert (found.mode.value, found.operator.value) == ("apiserver", True)
        assert found.operator_pools.value == ("default-ipv4-ippool",)
        assert [entry["name"] for entry in found.operator_entries.value or ()] == ["default-ipv4-ippool"]
        # What an operator on the wire does: the edit is gone again.
        version = api.get(IP_POOLS, "default-ipv4-ippool")["metadata"]["resourceVersion"]
        api.patch(IP_POOLS, "default-ipv4-ippool", {"spec": {"natOutgoing": False}})
        seen = api.watch(IP_POOLS, resource_version=version, timeout_seconds=20)
        assert [event.object["spec"].get("natOutgoing", False) for _turn, event in zip(range(2), seen)] == [False, True]
        client.close()
