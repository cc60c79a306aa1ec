# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API contract: spec kubernetes-api-behaviour.md, one test for each behaviour.

Runs on any cluster that has Calico's ``crd.projectcalico.org/v1`` definitions, and the part about Calico's own
kinds also on one with those of ``projectcalico.org/v3``::

    CALICO_OPS_KUBECONFIG=~/.kube/config pytest tests/contract

and on twins of its own without that variable. The user must be an administrator. Everything is
done in namespaces ``contract-...`` and with disabled pools of documentation addresses.
"""

from __future__ import annotations

import contextlib
import os
import sys
import typing as t
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from wire import POOLS, POOLS_V3, Cluster, Pools, unique  # noqa: E402 - found by way of the line above

_VARIABLE = "CALICO_OPS_KUBECONFIG"


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    """The kubeconfig of the cluster under test."""
    given = os.environ.get(_VARIABLE)
    if given:
        yield given
        return
    from twin_fixture import start_twin

    with start_twin(tmp_path_factory.mktemp("contract"), "small", speed=20.0, rbac=True) as twin:
        yield twin.kubeconfig


@pytest.fixture(scope="session")
def cluster(kubeconfig: str) -> t.Iterator[Cluster]:
    """The cluster as its administrator sees it."""
    found = Cluster(kubeconfig)
    yield found
    found.close()


@pytest.fixture(scope="session")
def cluster_v3(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Cluster]:
    """A cluster where Calico's kinds are v3 CRDs; skips when the one under test is another."""
    from twin_fixture import start_twin

    with contextlib.ExitStack() as stack:
        given = os.environ.get(_VARIABLE)
        if not given:
            folder = tmp_path_factory.mktemp("contract-v3")
            given = stack.enter_context(start_twin(folder, "small", speed=20.0, installation="crd_v3")).kubeconfig
        found = Cluster(given)
        stack.callback(found.close)
        if found.get("/apis/projectcalico.org/v3/ipamblocks").status != 200:
            pytest.skip("the cluster has no v3 CRDs")
        yield found


@pytest.fixture(scope="module", params=[POOLS, POOLS_V3], ids=["v1", "v3"])
def pools(request: pytest.FixtureRequest) -> Pools:
    """The pools of either group, on a cluster that has them."""
    path = str(request.param)
    return Pools(request.getfixturevalue("cluster" if path == POOLS else "cluster_v3"), path)


@pytest.fixture(scope="session")
def on_twin(cluster: Cluster) -> bool:
    """Whether the cluster is a twin, whose faults can be injected."""
    return cluster.get("/twin/v1/clock").status == 200


@pytest.fixture
def twin(cluster: Cluster, on_twin: bool) -> Cluster:
    """The cluster, when it is a twin; its fault rules are forgotten afterwards."""
    if not on_twin:
        pytest.skip("only a twin does this on demand")
    return cluster


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> t.Iterator[str]:
    """A namespace for one module of tests."""
    name = unique("contract")
    cluster.post("/api/v1/namespaces", {"metadata": {"name": name}}).made()
    account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
    cluster.wait(account, lambda found: found is not None)
    yield name
    cluster.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def maps(namespace: str) -> str:
    """The path of the namespace's ConfigMaps."""
    return f"/api/v1/namespaces/{namespace}/configmaps"


@pytest.fixture
def pods(namespace: str) -> str:
    """The path of the namespace's pods."""
    return f"/api/v1/namespaces/{namespace}/pods"
