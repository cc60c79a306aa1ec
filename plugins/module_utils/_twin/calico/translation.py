# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Scenarios are written for the v1 CRDs; this is how another installation has the same objects.

Source: spec ippool.md 1, 1.1 and 7.1.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V3,
    DAEMON_SETS,
    IP_POOLS,
    IPAM_CONFIGS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import annotations_of, labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.etcd_translation import in_etcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CalicoPlaces

API_GROUP = "projectcalico.org/v3"
# Where calico-node's manifest names the plugin; the text around it may hold tokens that are not JSON.
_PLUGIN = re.compile(r'"type"\s*:\s*"calico"\s*,')


def translated(item: Object, places: CalicoPlaces) -> Object:
    """The object as the installation has it; the object itself where nothing differs."""
    if places.group != CALICO_V3:
        return item
    if item["apiVersion"] == IP_POOLS.api_version:
        return _in_v3(item, places)
    if places.etcd:
        return in_etcd(item)
    name = item["metadata"]["name"]
    if item["kind"] == DAEMON_SETS.kind and name == "calico-node":
        return _with_environment(item)
    if item["kind"] == "ConfigMap" and name in ("calico-config", "canal-config"):
        return _with_api_group(item)
    return item


def _in_v3(item: Object, places: CalicoPlaces) -> Object:
    """Another group, a Boolean for a string, and metadata that is not packed away (spec ippool.md 1.1)."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("labels", "annotations")}
    for part, shown in (("labels", labels_of(item)), ("annotations", annotations_of(item))):
        if shown:
            metadata[part] = shown
    kind = places.config.kind if item["kind"] == IPAM_CONFIGS.kind else item["kind"]
    moved = {**item, "apiVersion": API_GROUP, "kind": kind, "metadata": metadata}
    spec = moved.get("spec")
    if kind == places.affinities.kind and isinstance(spec, dict) and isinstance(spec.get("deleted"), str):
        moved["spec"] = {**spec, "deleted": spec["deleted"] == "true"}
    return moved


def _with_environment(item: Object) -> Object:
    """calico-node told which group is live, as the manifests for the v3 CRDs do."""
    template = item["spec"]["template"]
    containers = [_told(each) for each in template["spec"].get("containers") or []]
    pod_spec = {**template["spec"], "containers": containers}
    return {**item, "spec": {**item["spec"], "template": {**template, "spec": pod_spec}}}


def _told(container: Object) -> Object:
    environment: list[t.Any] = container.get("env") or []
    if container.get("name") != "calico-node" or any(each.get("name") == "CALICO_API_GROUP" for each in environment):
        return container
    return {**container, "env": [*environment, {"name": "CALICO_API_GROUP", "value": API_GROUP}]}


def _with_api_group(item: Object) -> Object:
    data = item.get("data") or {}
    text = str(data.get("cni_network_config") or "")
    if not text or "calico_api_group" in text:
        return item
    entry = f'"calico_api_group": {json.dumps(API_GROUP)},'
    changed = _PLUGIN.sub(lambda found: f"{found.group(0)} {entry}", text, count=1)
    return {**item, "data": {**data, "cni_network_config": changed}}
