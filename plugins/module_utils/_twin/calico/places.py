# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where an installation of Calico keeps each of its kinds: the live group and the resources in it.

Source: spec ippool.md 1. Everything in the twin that reads or writes a kind of Calico asks here. These are the
places of the components themselves, which are not always those that a user of the API is served.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import in_v3
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CALICO_V3,
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput


@dataclass(frozen=True)
class CalicoPlaces:
    """The resource of each kind in the live group; ``definitions`` names the folder of its CRDs, if it has any."""

    group: str
    definitions: str
    pools: Resource
    blocks: Resource
    affinities: Resource
    handles: Resource
    config: Resource
    reservations: Resource
    cluster_information: Resource
    # Calico keeps its data in an etcd of its own; the resources name what its components remember of it.
    etcd: bool = False


CRD_V1 = CalicoPlaces(
    group=CALICO_V1,
    definitions="v1",
    pools=IP_POOLS,
    blocks=IPAM_BLOCKS,
    affinities=BLOCK_AFFINITIES,
    handles=IPAM_HANDLES,
    config=IPAM_CONFIGS,
    reservations=IP_RESERVATIONS,
    cluster_information=CLUSTER_INFORMATIONS,
)
CRD_V3 = CalicoPlaces(
    group=CALICO_V3,
    definitions="v3",
    pools=in_v3(IP_POOLS),
    blocks=in_v3(IPAM_BLOCKS),
    affinities=in_v3(BLOCK_AFFINITIES),
    handles=in_v3(IPAM_HANDLES),
    config=in_v3(IPAM_CONFIGS),
    reservations=in_v3(IP_RESERVATIONS),
    cluster_information=in_v3(CLUSTER_INFORMATIONS),
)

ETCD = replace(CRD_V3, definitions="", config=IPAM_CONFIGS, etcd=True)

# Behind Calico's API server are the v1 CRDs, and Calico's own parts use them directly.
_PLACES = {"crd_v1": CRD_V1, "apiserver": CRD_V1, "crd_v3": CRD_V3, "etcd": ETCD}
#: The ways of installing Calico that the twin can be.
INSTALLATIONS = tuple(_PLACES)


def check_installation(installation: str, operator: bool = False) -> None:
    """Raises ``InvalidInput`` for a way of installing Calico that the twin cannot be."""
    if installation not in _PLACES:
        raise InvalidInput(
            f"installation is {installation!r}, it must be one of {', '.join(INSTALLATIONS)}.",
            "installation",
            installation,
        )
    if operator and installation == "etcd":
        raise InvalidInput(
            "The Tigera operator keeps Calico's objects in the Kubernetes API, so there is none for installation etcd; "
            "leave operator away.",
            "operator",
            operator,
        )


def places_of(installation: str) -> CalicoPlaces:
    """Where the kinds live. Raises ``InvalidInput`` for an installation that the twin cannot be."""
    check_installation(installation)
    return _PLACES[installation]
