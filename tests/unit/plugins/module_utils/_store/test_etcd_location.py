# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an etcd is this cluster's, and what the cluster beside it says against a write."""

from __future__ import annotations

import types
import typing as t

import pytest
from cluster_tables import DENIED, DOWN, MIGRATIONS, NODE, OPENSHIFT, V3, TableApi, api_of, default, migration, node

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_location import locate_in_etcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import NodesWithEtcd

INFORMATION = "clusterinformations.crd.projectcalico.org"
CALICO_NODES = "nodes.projectcalico.org"
POOLS = "ippools.crd.projectcalico.org"


class TableEtcd(TableApi):
    client = types.SimpleNamespace(where="etcd at http://e:2379")


def told(name: str) -> dict[str, t.Any]:
    return {"metadata": {"name": name}, "spec": {"orchRefs": [{"orchestrator": "k8s", "nodeName": name}]}}


def cluster(served: dict[str, t.Any], kept: dict[str, t.Any]) -> CalicoApi:
    rest = {"nodes.": [{"metadata": {"name": name}} for name in ("a", "b")], **served}
    etcd: t.Any = TableEtcd({INFORMATION: default(datastoreReady=True), POOLS: [], CALICO_NODES: [], **kept})
    raw = NodesWithEtcd(api_of(rest), etcd)
    return CalicoApi(raw, lambda _raw: locate_in_etcd(raw, etcd), etcd)


@pytest.mark.parametrize(
    ("served", "kept"),
    [
        ({}, {}),
        ({NODE: node(ETCD_ENDPOINTS="http://e:2379")}, {CALICO_NODES: [told("a"), told("b"), told("gone")]}),
        ({"nodes.": DENIED}, {CALICO_NODES: [told("x")]}),
        ({MIGRATIONS: []}, {}),
        ({MIGRATIONS: migration("Complete")}, {}),
        # Nothing goes through Calico's API server.
        ({V3: DOWN}, {}),
    ],
)
def test_what_may_be_written(served: dict[str, t.Any], kept: dict[str, t.Any]) -> None:
    api = cluster(served, kept)
    require_writable(api)
    assert (api.location.mode.value, api.location.connected) == ("etcd", True)


@pytest.mark.parametrize(
    ("served", "kept", "words"),
    [
        ({}, {INFORMATION: []}, "There is no ClusterInformation in etcd at http://e:2379"),
        ({NODE: node(DATASTORE_TYPE="kubernetes")}, {}, "Calico keeps its data in the Kubernetes API (DATASTORE_TYPE="),
        ({}, {CALICO_NODES: [told("a"), told("x"), told("y")]}, "2 of the 3 Kubernetes nodes that Calico knows"),
        ({}, {INFORMATION: default(datastoreReady=False)}, "datastoreReady: false, so Calico's datastore is locked"),
        ({OPENSHIFT: []}, {}, "OpenShift"),
        ({MIGRATIONS: migration("Migrating")}, {}, "phase Migrating"),
        ({MIGRATIONS: migration("Converged")}, {}, "phase Converged"),
        ({MIGRATIONS: DENIED}, {}, 'cannot list resource "datastoremigrations"'),
    ],
)
def test_what_stops_a_write(served: dict[str, t.Any], kept: dict[str, t.Any], words: str) -> None:
    """The rows of spec ippool.md §7.1 hold whatever the datastore."""
    with pytest.raises(Refused) as caught:
        require_writable(cluster(served, kept))
    assert words in caught.value.message
    assert caught.value.message.endswith(".")
