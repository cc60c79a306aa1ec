# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How Calico is installed, found out through the API alone, and whether that is supported.

The rules are those of spec ippool.md §7.1. This release writes to pools that live in the
v1 CRDs of a cluster whose pools nobody else manages; every other installation is named
and refused before anything is written.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    ServerError,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V3,
    CLUSTER_INFORMATIONS,
    INSTALLATIONS,
    IP_POOLS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused

OWNER_LABEL = "app.kubernetes.io/managed-by"
OPERATOR = "tigera-operator"

V3_IP_POOLS = Resource(CALICO_V3, "v3", "ippools", "IPPool", False)
V3_IPAM_BLOCKS = Resource(CALICO_V3, "v3", "ipamblocks", "IPAMBlock", False)
CLUSTER_VERSIONS = Resource("config.openshift.io", "v1", "clusterversions", "ClusterVersion", False)


@dataclass(frozen=True)
class InstallationMode:
    """What was found.

    ``mode`` is ``crd_v1``, ``crd_v3``, ``apiserver`` or ``none`` (no Calico resource is
    served: no Calico, or its datastore is etcd). ``operator_pools`` are the names or CIDRs
    of pools that the Tigera operator manages. ``datastore_ready`` is False while
    ClusterInformation says so. ``api_server_down`` means that the aggregated API is
    registered and does not answer.
    """

    mode: str
    operator_pools: tuple[str, ...] = ()
    openshift: bool = False
    datastore_ready: bool = True
    api_server_down: bool = False
    calico_version: str = ""


def detect(api: KubeApi) -> InstallationMode:
    """Ask the cluster how Calico is installed.

    Rights that are missing are read as "not there", except for the pools of the v1 CRDs: a
    user who may see those only can still use them.
    """
    v1_pools = _served(api, IP_POOLS)
    down = False
    try:
        v3_served = _list(api, V3_IP_POOLS) is not None
    except ServerError as error:
        if error.status != 503:
            raise
        v3_served = down = True
    if v3_served:
        mode = "crd_v3" if not down and _list(api, V3_IPAM_BLOCKS) is not None else "apiserver"
    else:
        mode = "none" if v1_pools is None else "crd_v1"
    information = _default(_list(api, CLUSTER_INFORMATIONS))
    return InstallationMode(
        mode=mode,
        operator_pools=_operator_pools(v1_pools or [], _default(_list(api, INSTALLATIONS))),
        openshift=bool(_list(api, CLUSTER_VERSIONS)),
        datastore_ready=information.get("datastoreReady") is not False,
        api_server_down=down,
        calico_version=str(information.get("calicoVersion") or ""),
    )


def unsupported_reason(found: InstallationMode) -> str | None:
    """Why this installation must not be written to, as one sentence; None when it may be."""
    if found.mode == "none":
        return (
            "The cluster does not serve ippools.crd.projectcalico.org: either Calico is not installed, or it keeps "
            "its pools in etcd, which this release does not support."
        )
    if not found.datastore_ready:
        return (
            "ClusterInformation default says datastoreReady: false, so Calico's datastore is locked for a migration; "
            "nothing may be changed until it is true again."
        )
    if found.api_server_down:
        return (
            "The API projectcalico.org/v3 is registered but answers 503, so Calico's API server is down; installations "
            "with that API server are not supported by this release."
        )
    if found.mode == "apiserver":
        return (
            "The cluster serves projectcalico.org/v3 through Calico's aggregated API server; this release supports "
            "pools in the crd.projectcalico.org CRDs without it only."
        )
    if found.mode == "crd_v3":
        return (
            "The cluster serves projectcalico.org/v3 through CRDs; this release supports pools in the "
            "crd.projectcalico.org CRDs only."
        )
    if found.openshift:
        return "The cluster is OpenShift, whose pod range cannot be changed after its installation."
    if found.operator_pools:
        return (
            f"The Tigera operator manages the IP pools of this cluster ({', '.join(found.operator_pools)}) and would "
            "undo the change; this release supports pools that no operator manages only."
        )
    return None


def require_supported(api: KubeApi) -> InstallationMode:
    """``detect``, raising ``Refused`` when the installation must not be written to."""
    found = detect(api)
    reason = unsupported_reason(found)
    if reason is not None:
        raise Refused(reason, installation=found.mode)
    return found


def _served(api: KubeApi, resource: Resource) -> list[Object] | None:
    try:
        return api.list(resource).items
    except UnknownResource:
        return None


def _list(api: KubeApi, resource: Resource) -> list[Object] | None:
    try:
        return _served(api, resource)
    except Forbidden:
        return None


def _default(items: list[Object] | None) -> dict[str, t.Any]:
    for item in items or []:
        if item["metadata"]["name"] == "default":
            return dict(item.get("spec") or {})
    return {}


def _operator_pools(pools: list[Object], installation: dict[str, t.Any]) -> tuple[str, ...]:
    names = [pool["metadata"]["name"] for pool in pools if labels_of(pool).get(OWNER_LABEL) == OPERATOR]
    listed = (installation.get("calicoNetwork") or {}).get("ipPools") or []
    names += [str(entry.get("name") or entry.get("cidr")) for entry in listed]
    return tuple(dict.fromkeys(names))
