# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the CNI plugin and calico-node are configured with, read from the cluster's own objects.

On a real node an init container copies ``calico-config`` to a file; the twin reads the ConfigMap
each time, so that a change is effective without a restart.
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import POD_NETWORK
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CalicoPlaces
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

# Bare tokens such as __CNI_MTU__ that calico-node replaces when it writes the file on the node.
_BARE_TOKEN = re.compile(r"(?<![\"\w])__[A-Z0-9_]+__(?![\"\w])")


@dataclass(frozen=True)
class NetworkConfig:
    """The calico entry of the CNI configuration (spec ippool.md 7.3)."""

    name: str = POD_NETWORK
    ipam_type: str = "calico-ipam"
    policy_type: str = "k8s"
    assign_ipv4: bool = True
    assign_ipv6: bool = False
    ipv4_pools: tuple[str, ...] = ()
    ipv6_pools: tuple[str, ...] = ()
    addresses_without_ipam: bool = False


def network_config(objects: ObjectStore) -> NetworkConfig:
    """The CNI configuration in force; Calico's defaults when there is no ``calico-config``.

    Raises ``InvalidInput`` when it is there but cannot be understood.
    """
    for name in ("calico-config", "canal-config"):
        config_map = objects.get(CONFIG_MAPS, "kube-system", name)
        text = ((config_map or {}).get("data") or {}).get("cni_network_config")
        if text:
            return parse_network_config(str(text))
    return NetworkConfig()


def parse_network_config(text: str) -> NetworkConfig:
    """Read ``cni_network_config``, a list or a single plugin, tokens included. Raises ``InvalidInput``."""
    try:
        document = json.loads(_BARE_TOKEN.sub("0", text))
    except ValueError as error:
        raise InvalidInput(
            f"ConfigMap kube-system/calico-config: cni_network_config is not JSON: {error}.", "cni_network_config"
        ) from None
    plugins = document.get("plugins") or [document]
    plugin: Object = next((each for each in plugins if each.get("type") == "calico"), {})
    ipam = plugin.get("ipam") or {}
    return NetworkConfig(
        name=str(document.get("name") or POD_NETWORK),
        ipam_type=str(ipam.get("type") or ""),
        policy_type=str((plugin.get("policy") or {}).get("type") or ""),
        assign_ipv4=_flag(ipam.get("assign_ipv4"), True),
        assign_ipv6=_flag(ipam.get("assign_ipv6"), False),
        ipv4_pools=tuple(ipam.get("ipv4_pools") or ()),
        ipv6_pools=tuple(ipam.get("ipv6_pools") or ()),
        addresses_without_ipam=_flag((plugin.get("feature_control") or {}).get("ip_addrs_no_ipam"), False),
    )


def _flag(value: t.Any, default: bool) -> bool:
    if value is None:
        return default
    return str(value).lower() == "true"


def calico_node_environment(objects: ObjectStore) -> dict[str, str]:
    """The environment of the calico-node container, as far as it is written out in the DaemonSet."""
    for namespace in ("kube-system", "calico-system"):
        daemon_set = objects.get(DAEMON_SETS, namespace, "calico-node")
        if daemon_set is None:
            continue
        for container in daemon_set["spec"]["template"]["spec"].get("containers") or []:
            if container.get("name") == "calico-node":
                return {each["name"]: str(each.get("value") or "") for each in container.get("env") or []}
    return {}


def kubeadm_pod_subnet(objects: ObjectStore, version: int) -> Network | None:
    """kubeadm's podSubnet of one family, found line by line as calico-node does."""
    config_map = objects.get(CONFIG_MAPS, "kube-system", "kubeadm-config") or {}
    text = str((config_map.get("data") or {}).get("ClusterConfiguration") or "")
    for line in text.splitlines():
        if "podSubnet: " not in line:
            continue
        for part in line.split("podSubnet: ", 1)[1].strip().split(","):
            try:
                network = parse_network(part.strip().strip("\"'"), strict=False)
            except InvalidInput:
                continue
            if network.version == version:
                return network
    return None


def datastore_ready(objects: ObjectStore, places: CalicoPlaces = CRD_V1) -> bool:
    """Whether the datastore is unlocked (spec ipam-engine.md 1)."""
    information = objects.get(places.cluster_information, None, "default") or {}
    return (information.get("spec") or {}).get("datastoreReady") is not False
