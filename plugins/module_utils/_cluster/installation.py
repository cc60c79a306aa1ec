# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How Calico is installed, found out through the API alone (spec ippool.md §7.1).

``calico_api`` makes the interface to Calico's kinds, ``detect`` tells what every module that
changes pools must know, and ``writable`` says why nothing may be written. Rights that are
missing make a fact unknown, and its source says so.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import (
    CRD_V1,
    CRD_V3,
    ETCD,
    NONE,
    in_v3,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import (
    is_served,
    readable_object,
    resources_in,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import (
    Fact,
    Installation,
    Location,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_location import (
    NO_RIGHT,
    V1_GROUP,
    V3_GROUP,
    etcd_signal,
    locate,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_stop import without_writer, writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    INSTALLATIONS,
    IP_POOLS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import labels_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused

__all__ = [
    "Examined",
    "Fact",
    "Installation",
    "Location",
    "calico_api",
    "detect",
    "examine",
    "require_supported",
    "require_writable",
    "unsupported_reason",
    "writable",
]

OWNER_LABEL = "app.kubernetes.io/managed-by"
OPERATOR = "tigera-operator"
OPERATOR_GROUP = INSTALLATIONS.api_version
CLUSTER_VERSIONS = Resource("config.openshift.io", "v1", "clusterversions", "ClusterVersion", False)
OPENSHIFT_GROUP = CLUSTER_VERSIONS.api_version
# The first Calico whose operator follows changes of its list of pools.
_FIRST_TO_FOLLOW = (3, 28)


def calico_api(api: KubeApi) -> CalicoApi:
    """The interface to Calico's kinds behind the Kubernetes API; nothing is asked before the first request.

    An API that is one already is returned as it is. ``_store/open.py`` makes the one that leads to an etcd.
    """
    return api if isinstance(api, CalicoApi) else CalicoApi(api, locate)


class Examined(t.NamedTuple):
    """What ``detect`` found and what it has read on its way, so that nobody lists it a second time.

    ``pools`` are None without the right to list them, ``operator`` is Installation default.
    """

    installation: Installation
    pools: list[Object] | None
    operator: Fact[Object | None]


def detect(api: KubeApi) -> Installation:
    """Ask the cluster how Calico is installed. Where its kinds are is asked once for a ``CalicoApi``."""
    return examine(api).installation


def examine(api: KubeApi) -> Examined:
    """``detect``, with the pools and the operator's Installation."""
    calico = calico_api(api)
    location = calico.location
    informations = _cluster_informations(calico)
    operator = _installation_default(calico)
    entries = _operator_entries(operator)
    mode, pools = _pools(calico)
    connected = location.connected
    if pools == [] and mode.value in (CRD_V1, CRD_V3) and all(thing is None for thing, _source in informations):
        # Definitions that nobody ever used may be left over, or came ahead, while Calico is in an etcd.
        in_etcd, source = etcd_signal(calico.raw)
        if in_etcd:
            mode, connected = Fact(ETCD, source), False
    version = _version(informations, operator)
    if entries.value and _only_seeded(calico, version, operator, pools):
        entries = Fact(None, f"the operator of Calico {version.value} made pools of {entries.source} once and for all")
    owned = _operator_pools(pools, entries)
    found = Installation(
        mode=mode,
        connected=connected,
        api_server_down=location.api_server_down,
        migration=location.migration,
        undecided=location.undecided,
        operator=Fact(bool(owned.value), owned.source),
        operator_pools=owned,
        operator_entries=entries,
        operator_cni=_operator_cni(operator),
        version=version,
        cluster_type=_cluster_type(informations),
        openshift=_openshift(calico),
        locked=_locked(informations),
    )
    return Examined(found, pools, operator)


def unsupported_reason(found: Installation) -> str | None:
    """Why this installation must not be written to, as one sentence; None when it may be."""
    return writable(found) or without_writer(found)


def require_supported(api: KubeApi) -> Installation:
    """``detect``, raising ``Refused`` when the installation must not be written to."""
    found = detect(api)
    reason = unsupported_reason(found)
    if reason is not None:
        raise Refused(reason, installation=found.mode.value)
    return found


def require_writable(api: KubeApi) -> None:
    """Raise ``Refused`` at the stop rows, for those who change no pool but need Calico to give out addresses."""
    found = detect(api)
    reason = writable(found)
    if reason is not None:
        raise Refused(reason, installation=found.mode.value)


def _pools(calico: CalicoApi) -> tuple[Fact[str], list[Object] | None]:
    """The pools, None without the right to list them, with the mode: a group without pools is no Calico."""
    mode = calico.location.mode
    if mode.value == NONE or (mode.value == ETCD and calico.elsewhere is None):
        return mode, []
    down = calico.location.api_server_down.value
    try:
        return mode, calico.raw.list(IP_POOLS).items if down else calico.list(IP_POOLS).items
    except Forbidden:
        return mode, None
    except UnknownResource as error:
        return mode if down else Fact(NONE, error.message.rstrip(".")), []


def _cluster_informations(calico: CalicoApi) -> list[tuple[Object | None, str]]:
    """ClusterInformation default where it is live first, then where else it is served: a lock in either counts."""
    if calico.elsewhere is not None:
        return [readable_object(calico, CLUSTER_INFORMATIONS, "default")]
    location = calico.location
    kinds = [CLUSTER_INFORMATIONS if location.api_server_down.value else calico.place(CLUSTER_INFORMATIONS)]
    # Through the aggregated API it is the very object of the v1 group.
    if location.mode.value in (CRD_V1, CRD_V3):
        both = ((CLUSTER_INFORMATIONS, V1_GROUP), (in_v3(CLUSTER_INFORMATIONS), V3_GROUP))
        kinds += [kind for kind, group in both if kind not in kinds and group in (location.served or ())]
    return [readable_object(calico.raw, kind, "default") for kind in kinds]


def _locked(informations: t.Sequence[tuple[Object | None, str]]) -> Fact[bool | None]:
    for thing, source in informations:
        if thing is not None and (thing.get("spec") or {}).get("datastoreReady") is False:
            return Fact(True, source)
    thing, source = informations[0]
    return Fact(None if thing is None else False, source)


def _version(informations: t.Sequence[tuple[Object | None, str]], operator: Fact[Object | None]) -> Fact[str | None]:
    """§7.2, the first two sources."""
    thing, source = informations[0]
    version = ((thing or {}).get("spec") or {}).get("calicoVersion")
    if version:
        return Fact(str(version), f"calicoVersion of {source}")
    version = ((operator.value or {}).get("status") or {}).get("calicoVersion")
    if version:
        return Fact(str(version), f"calicoVersion in the status of {operator.source}")
    return Fact(None, source if thing is None else f"{source} has no calicoVersion")


def _cluster_type(informations: t.Sequence[tuple[Object | None, str]]) -> Fact[tuple[str, ...] | None]:
    thing, source = informations[0]
    text = ((thing or {}).get("spec") or {}).get("clusterType")
    if not text:
        return Fact(None, source if thing is None else f"{source} has no clusterType")
    return Fact(tuple(word.strip() for word in str(text).split(",")), f"clusterType of {source}")


def _installation_default(calico: CalicoApi) -> Fact[Object | None]:
    served = calico.location.served
    if served is not None and OPERATOR_GROUP not in served:
        return Fact(None, f"the API does not list {OPERATOR_GROUP}")
    return Fact(*readable_object(calico.raw, INSTALLATIONS, "default"))


def _operator_entries(operator: Fact[Object | None]) -> Fact[tuple[Object, ...] | None]:
    network = ((operator.value or {}).get("spec") or {}).get("calicoNetwork") or {}
    listed = network.get("ipPools")
    if listed is None:
        return Fact(None, operator.source if operator.value is None else f"{operator.source} has no list of pools")
    return Fact(tuple(dict(entry) for entry in listed), f"spec.calicoNetwork.ipPools of {operator.source}")


def _only_seeded(
    calico: CalicoApi, version: Fact[str | None], operator: Fact[Object | None], pools: list[Object] | None
) -> bool:
    """Whether the operator made pools of its list once and has not looked at it since (§10): before v1.34.

    Whoever looks writes a TigeraStatus of its own for pools. Asked only where Calico is old enough, and not of
    Calico Enterprise, which counts its versions otherwise.
    """
    parts = re.match(r"v?(\d+)\.(\d+)", version.value or "")
    if operator.value is None or pools is None or parts is None or (int(parts[1]), int(parts[2])) >= _FIRST_TO_FOLLOW:
        return False
    if (operator.value.get("spec") or {}).get("variant", "Calico") != "Calico" or _labelled(pools):
        return False
    status, source = readable_object(calico.raw, TIGERA_STATUSES, "ippools")
    return status is None and not source.startswith(NO_RIGHT)


def _labelled(pools: list[Object] | None) -> list[str]:
    return [pool["metadata"]["name"] for pool in pools or () if labels_of(pool).get(OWNER_LABEL) == OPERATOR]


def _operator_cni(operator: Fact[Object | None]) -> Fact[Object | None]:
    """What is asked for, else what the operator worked out."""
    if operator.value is None:
        return operator
    computed = (operator.value.get("status") or {}).get("computed") or {}
    return Fact((operator.value.get("spec") or {}).get("cni") or computed.get("cni") or {}, operator.source)


def _operator_pools(pools: list[Object] | None, entries: Fact[tuple[Object, ...] | None]) -> Fact[tuple[str, ...]]:
    """By label and by list (§10.2)."""
    labelled = _labelled(pools)
    listed = [str(entry.get("name") or entry.get("cidr")) for entry in entries.value or ()]
    sources = [f"label {OWNER_LABEL}={OPERATOR}"] if labelled else []
    if listed:
        sources.append(entries.source)
    if not sources:
        sources = ["no right to list ippools" if pools is None else "no pool has the operator's label", entries.source]
    return Fact(tuple(dict.fromkeys([*labelled, *listed])), "; ".join(sources))


def _openshift(calico: CalicoApi) -> Fact[bool]:
    served = calico.location.served
    if served is not None and OPENSHIFT_GROUP not in served:
        return Fact(False, f"the API does not list {OPENSHIFT_GROUP}")
    names = resources_in(calico.raw, CLUSTER_VERSIONS.group, CLUSTER_VERSIONS.version)
    found = bool(is_served(calico.raw, CLUSTER_VERSIONS)) if names is None else CLUSTER_VERSIONS.plural in names
    return Fact(found, f"{OPENSHIFT_GROUP} {'has' if found else 'does not have'} clusterversions")
