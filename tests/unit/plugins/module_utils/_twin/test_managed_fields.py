# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who wrote which field: as a server notes it, and what the checks on owners and last writers make of it."""

from __future__ import annotations

import json
import typing as t

import pytest
from twin_fixture import local_twin
from virtual_server import ADMIN, VirtualServer

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import marks
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.last_write import last_write
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.exchange import Request
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.requestinfo import parse_request

POOLS = "/apis/crd.projectcalico.org/v1/ippools"
POOL: Object = {
    "apiVersion": "crd.projectcalico.org/v1",
    "kind": "IPPool",
    "metadata": {"name": "p", "labels": {"team": "net"}},
    "spec": {"cidr": "10.1.0.0/16", "blockSize": 26, "allowedUses": ["Workload"]},
}


class Cluster:
    def __init__(self) -> None:
        self.twin = local_twin("small")
        self.server = VirtualServer(self.twin)

    def send(self, agent: str, method: str, path: str, body: Object, **query: str) -> Object:
        content = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"user-agent": agent, "content-type": content, "accept": "application/json"}
        request = Request(method, parse_request(method, path, query), query, headers, json.dumps(body).encode(), ADMIN)
        reply = self.server.answer(ADMIN, request)
        assert reply.code < 300, reply.body
        return t.cast("Object", json.loads(reply.body))

    def patch(self, agent: str, body: Object, **query: str) -> Object:
        self.twin.clock.advance(60)
        return self.send(agent, "PATCH", f"{POOLS}/p", body, **query)


@pytest.fixture
def cluster() -> Cluster:
    found = Cluster()
    found.send("Helm/3.14.0", "POST", POOLS, POOL)
    return found


def owners(pool: Object) -> dict[str, t.Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in pool["metadata"].get("managedFields") or ()}


def test_whoever_creates_an_object_wrote_all_of_it(cluster: Cluster) -> None:
    pool = cluster.server.client().get(IP_POOLS, "p")
    (entry,) = pool["metadata"]["managedFields"]
    assert entry["manager"] == "Helm" and entry["operation"] == "Update" and entry["fieldsType"] == "FieldsV1"
    assert entry["apiVersion"] == "crd.projectcalico.org/v1" and entry["time"].startswith("2026-08-20T09:0")
    assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {"f:team": {}}}
    assert {"f:cidr", "f:blockSize", "f:allowedUses"} <= set(entry["fieldsV1"]["f:spec"])
    assert [mark.who for mark in marks(pool)] == ["Helm"]


def test_whoever_changes_a_field_has_it(cluster: Cluster) -> None:
    pool = cluster.patch("kubectl/v1.33.0 (linux/amd64)", {"spec": {"disabled": True}}, fieldManager="kubectl-edit")
    assert owners(pool)["kubectl-edit"] == {"f:spec": {"f:disabled": {}}}
    assert "f:disabled" not in owners(pool)["Helm"]["f:spec"]
    pool = cluster.patch("argocd-controller", {"spec": {"disabled": False}, "metadata": {"labels": {"team": None}}})
    # Nothing is left of one of them, and a label that is gone is nobody's.
    assert owners(pool)["argocd-controller"] == {"f:spec": {"f:disabled": {}}}
    assert "kubectl-edit" not in owners(pool) and "f:metadata" not in owners(pool)["Helm"]
    found = last_write(pool, ["disabled"])
    assert found is not None and found.manager == "argocd-controller"
    assert [mark.who for mark in marks(pool)] == ["Helm", "Argo CD"]


def test_a_write_that_changes_nothing_is_nobodys(cluster: Cluster) -> None:
    before = cluster.server.client().get(IP_POOLS, "p")
    assert cluster.patch("argocd-controller", {"spec": {"blockSize": 26}}) == before


def test_who_does_not_name_itself_is_unknown(cluster: Cluster) -> None:
    """So that nobody else seems to have written last what it wrote."""
    pool = cluster.patch("", {"spec": {"natOutgoing": True}})
    assert list(owners(pool)) == ["Helm", "unknown"]


def test_what_is_not_noted(cluster: Cluster) -> None:
    """Records of IPAM, and what clients say of it themselves."""
    pool = cluster.patch(
        "kubectl", {"metadata": {"managedFields": [{"manager": "nobody"}]}, "spec": {"disabled": True}}
    )
    assert list(owners(pool)) == ["Helm", "kubectl"]
    blocks = (
        cluster.server.client()
        .list(
            next(
                kind.resource
                for kind in cluster.twin.server.served.of_version("crd.projectcalico.org", "v1")
                if kind.resource.plural == "ipamblocks"
            )
        )
        .items
    )
    assert blocks and not [block for block in blocks if "managedFields" in block["metadata"]]
