# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module that writes refuses with an etcd, too, where nothing may be written (spec ippool.md §7.1)."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/plugins/modules"))

from cluster_tables import MIGRATIONS, NODE, OPENSHIFT, TableApi, migration, node
from etcd_fixture import EtcdServer
from module_runner import failure
from writing_modules import WRITING, NoWrites, main_on

NODES: dict[str, t.Any] = {"nodes.": [{"metadata": {"name": "node-1"}}]}

# What the cluster serves, what Calico says of itself in etcd, and words of the refusal.
ROWS: dict[str, tuple[dict[str, t.Any], dict[str, t.Any] | None, str]] = {
    "locked": ({}, {"datastoreReady": False}, "datastoreReady: false"),
    "openshift": ({OPENSHIFT: []}, {}, "OpenShift"),
    "migrating": ({MIGRATIONS: migration("Migrating")}, {}, "phase Migrating"),
    "converged": ({MIGRATIONS: migration("Converged")}, {}, "wait until it is Complete"),
    "no Calico": ({}, None, "There is no ClusterInformation in etcd"),
    "not where Calico is": (
        {NODE: node(DATASTORE_TYPE="kubernetes")},
        {},
        "Calico keeps its data in the Kubernetes API",
    ),
}


class Cluster(NoWrites, TableApi):
    """The Kubernetes API beside the etcd."""


@pytest.mark.parametrize("row", ROWS)
def test_a_module_that_writes_stops(etcd: EtcdServer, row: str) -> None:
    served, information, words = ROWS[row]
    if information is not None:
        etcd.put_resource("clusterinformations", "ClusterInformation", "default", information)
    for name, (arguments, *_others) in WRITING.items():
        api = Cluster({**NODES, **served})
        message = failure(main_on(name, api), datastore="etcd", etcd_endpoints=[etcd.url], **arguments)
        assert words in message, f"{name}: {message}"
    assert etcd.client().snapshot("/calico/ipam/")[0] == []
