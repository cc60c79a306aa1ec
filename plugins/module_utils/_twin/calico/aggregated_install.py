# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What an installation with Calico's API server has besides the scenario: its pods, its Service, its APIService."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V3

NAMESPACE = "calico-apiserver"
NAME = "calico-apiserver"
SERVICE = "calico-api"
_APP = {"k8s-app": NAME}


def apiserver_objects(calico_version: str) -> list[Object]:
    """The objects to create, in order.

    The pods are on the network of their nodes, so that a scenario has the same addresses in use in every
    installation.
    """
    pod_spec = {
        "hostNetwork": True,
        "serviceAccountName": NAME,
        "tolerations": [{"operator": "Exists"}],
        "containers": [
            {
                "name": NAME,
                "image": f"quay.io/calico/apiserver:{calico_version}",
                "args": ["--secure-port=5443"],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 5443, "scheme": "HTTPS"}},
            }
        ],
    }
    deployment = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": _APP},
        "template": {"metadata": {"labels": _APP}, "spec": pod_spec},
    }
    group, version = CRD_V3.pools.group, CRD_V3.pools.version
    api_service = {
        "group": group,
        "version": version,
        "groupPriorityMinimum": 1500,
        "versionPriority": 200,
        "service": {"namespace": NAMESPACE, "name": SERVICE, "port": 443},
    }
    ports = [{"name": "apiserver", "port": 443, "protocol": "TCP", "targetPort": 5443}]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": _APP},
            "spec": deployment,
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"selector": _APP, "ports": ports},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{group}"},
            "spec": api_service,
        },
    ]
