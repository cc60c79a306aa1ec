# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many writers at once; the servers they write to."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from backends import NODES, POOLS, Backend, EtcdBackend, KubernetesBackend, MemoryBackend  # noqa: E402
from etcd_fixture import start_etcd  # noqa: E402
from twin_fixture import start_twin  # noqa: E402

CLUSTER: list[dict[str, t.Any]] = [
    {
        "apiVersion": "ipam.calico-ops.io/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": "stress"},
        "spec": {"nodes": [{"name": name} for name in NODES]},
    },
    {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "ClusterInformation",
        "metadata": {"name": "default"},
        "spec": {"clusterGUID": "0b9e7a64b5a0418ea4c1f2a87a3a1d11", "calicoVersion": "v3.33.0", "datastoreReady": True},
    },
    *(
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": name},
            "spec": {
                "cidr": cidr,
                "blockSize": size,
                "ipipMode": "Never",
                "vxlanMode": "Never",
                "nodeSelector": "all()",
            },
        }
        for name, cidr, size in POOLS
    ),
]


@pytest.fixture(scope="session")
def twin_url(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    """The kubeconfig of a cluster in which nobody but the writers asks for addresses."""
    with start_twin(tmp_path_factory.mktemp("twin"), CLUSTER, speed=1.0) as twin:
        yield twin.kubeconfig


@pytest.fixture(scope="session")
def running_etcd(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Any]:
    with start_etcd(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def make_backend(request: pytest.FixtureRequest) -> t.Callable[[str], Backend]:
    """A backend without IPAM records, by name."""

    def make(name: str) -> Backend:
        if name == "memory":
            return MemoryBackend()
        if name == "etcd":
            server = request.getfixturevalue("running_etcd")
            server.wipe()
            backend: Backend = EtcdBackend(server.url)
        else:
            backend = KubernetesBackend(request.getfixturevalue("twin_url"))
        backend.begin()
        return backend

    return make
