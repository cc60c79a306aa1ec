# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module on a twin; the tables of clusters are in ``test_installation.py`` and ``test_installation_survey.py``."""

from __future__ import annotations

import typing as t

import pytest
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CLUSTER_INFORMATIONS
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_installation_info

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", rbac=True) as handle:
        yield handle


def info(twin: TwinHandle, **options: t.Any) -> dict[str, t.Any]:
    return run_module(ippool_installation_info.main, kubeconfig=twin.kubeconfig, **options)


def test_a_cluster_with_the_v1_group(twin: TwinHandle) -> None:
    result = info(twin)
    assert (result["changed"], result["mode"], result["supported"], result["stop"]) == (False, "crd_v1", True, "")
    facts = result["facts"]
    assert facts["mode"] == {"value": "crd_v1", "source": "the API lists crd.projectcalico.org/v1"}
    assert facts["ipam"]["value"] == "calico-ipam"
    assert facts["version"]["value"].startswith("v3.")
    assert facts["windows_nodes"]["value"] == []
    assert all(set(fact) == {"value", "source"} and fact["source"] for fact in facts.values())


def test_a_locked_datastore_is_a_reason_to_stop(twin: TwinHandle) -> None:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    client.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": False}})
    try:
        result = info(twin)
    finally:
        client.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": True}})
        client.close()
    assert result["supported"] is False
    assert result["facts"]["locked"] == {"value": True, "source": "ClusterInformation default"}
    assert "datastoreReady: false" in result["stop"]


def test_a_user_without_rights_learns_the_mode_and_what_is_missing(twin: TwinHandle) -> None:
    result = info(twin, impersonate_user="somebody")
    facts = result["facts"]
    assert result["mode"] == "crd_v1"
    assert facts["locked"] == {"value": None, "source": "no right to read ClusterInformation default"}
    assert facts["windows_nodes"] == {"value": None, "source": "no right to list nodes"}
    assert "no right to list ippools" in facts["operator"]["source"]
    assert facts["pod_cidrs"]["value"] is None
    assert "no right to read ConfigMap kube-system/kubeadm-config" in facts["pod_cidrs"]["source"]


def test_no_cluster() -> None:
    assert "127.0.0.1:1" in failure(ippool_installation_info.main, host="https://127.0.0.1:1", api_key="x")
