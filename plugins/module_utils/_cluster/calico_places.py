# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""In which group an installation keeps each of Calico's kinds (spec ippool.md §1).

The constants of ``resources.py`` name the kinds, spelled in the v1 group; here stands what
they are called where they are.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V3,
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
    KUBE_CONTROLLERS_CONFIGURATIONS,
)

#: Calico's API is served by the custom resources of the group crd.projectcalico.org alone.
CRD_V1 = "crd_v1"
#: Calico's data is in custom resources of the group projectcalico.org.
CRD_V3 = "crd_v3"
#: Calico's aggregated API server serves projectcalico.org over the custom resources of the v1 group.
APISERVER = "apiserver"
#: Calico's data is in an etcd of its own.
ETCD = "etcd"
#: There is no Calico.
NONE = "none"

KINDS = (
    IP_POOLS,
    IPAM_BLOCKS,
    BLOCK_AFFINITIES,
    IPAM_HANDLES,
    IPAM_CONFIGS,
    IP_RESERVATIONS,
    CLUSTER_INFORMATIONS,
    KUBE_CONTROLLERS_CONFIGURATIONS,
)

Places = t.Mapping[Resource, Resource]


def in_v3(kind: Resource) -> Resource:
    """What a kind is called in the group projectcalico.org; any other resource is returned as it is."""
    if kind == IPAM_CONFIGS:
        return Resource(CALICO_V3, "v3", "ipamconfigurations", "IPAMConfiguration", False)
    return replace(kind, group=CALICO_V3, version="v3") if kind in KINDS else kind


_HERE: Places = {kind: kind for kind in KINDS}
_PLACES: t.Mapping[str, Places] = {
    CRD_V3: {kind: in_v3(kind) for kind in KINDS},
    # The aggregated API has no blocks and no handles, so all of IPAM is read where it is kept.
    APISERVER: {**_HERE, **{kind: in_v3(kind) for kind in (IP_POOLS, IP_RESERVATIONS, CLUSTER_INFORMATIONS)}},
}


def places_of(mode: str) -> Places:
    """Where every kind is in an installation of this mode; the v1 group where nothing else is known."""
    return _PLACES.get(mode, _HERE)
