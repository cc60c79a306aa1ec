# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the manifests of a cluster with an etcd say otherwise than those of one without."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DAEMON_SETS

#: The ConfigMap that tells Calico's components where their etcd is, and the member that does.
CONFIG = "calico-config"
ENDPOINTS = "etcd_endpoints"

_KUBERNETES = '"datastore_type": "kubernetes"'
_ETCD = '"etcd_endpoints": "__ETCD_ENDPOINTS__"'


def in_etcd(item: Object) -> Object:
    """calico-node's environment and the CNI plugin's configuration; any other object as it is."""
    name = item["metadata"]["name"]
    if item["kind"] == DAEMON_SETS.kind and name == "calico-node":
        return _with_environment(item)
    if item["kind"] == "ConfigMap" and name == CONFIG:
        data = item.get("data") or {}
        text = str(data.get("cni_network_config") or "").replace(_KUBERNETES, _ETCD)
        return {**item, "data": {**data, "cni_network_config": text}}
    return item


def _with_environment(item: Object) -> Object:
    template = item["spec"]["template"]
    containers = [_told(each) for each in template["spec"].get("containers") or []]
    pod_spec = {**template["spec"], "containers": containers}
    return {**item, "spec": {**item["spec"], "template": {**template, "spec": pod_spec}}}


def _told(container: Object) -> Object:
    if container.get("name") != "calico-node":
        return container
    environment: list[t.Any] = [each for each in container.get("env") or [] if each.get("name") != "DATASTORE_TYPE"]
    source = {"configMapKeyRef": {"name": CONFIG, "key": ENDPOINTS}}
    return {**container, "env": [*environment, {"name": "ETCD_ENDPOINTS", "valueFrom": source}]}
