# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What Calico's own configuration and its operator say, and its handles, read once for the preflight."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import APISERVER, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR_GROUP
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CALICO_V3,
    IPAM_HANDLES,
    KUBE_CONTROLLERS_CONFIGURATIONS,
    TIGERA_STATUSES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ebpf import felix_configuration

BGP_CONFIGURATIONS = Resource(CALICO_V1, "v1", "bgpconfigurations", "BGPConfiguration", False)
V3_BGP_CONFIGURATIONS = Resource(CALICO_V3, "v3", "bgpconfigurations", "BGPConfiguration", False)
API_SERVERS = Resource("operator.tigera.io", "v1", "apiservers", "APIServer", False)


@dataclass(frozen=True)
class HandleFact:
    """One IPAM handle: how many addresses it says it has, by the CIDR of the block as text."""

    handle: str
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class CalicoFacts:
    """``felix`` and ``bgp`` are the specs of the configurations called default, empty without one.

    ``collector`` is the spec of KubeControllersConfiguration default, None without one. ``statuses`` are
    the TigeraStatus objects, ``api_server`` the operator's APIServer. ``unreadable`` names what may not be read.
    """

    felix: t.Mapping[str, t.Any] = field(default_factory=dict)
    bgp: t.Mapping[str, t.Any] = field(default_factory=dict)
    collector: t.Mapping[str, t.Any] | None = None
    statuses: t.Sequence[Object] = ()
    api_server: Object | None = None
    handles: t.Sequence[HandleFact] = ()
    unreadable: t.Sequence[str] = ()


def fetch_calico_facts(calico: CalicoApi, found: Installation) -> CalicoFacts:
    """Read them. Raises what the API raises, but for missing rights."""
    unreadable: list[str] = []

    def listed(resource: Resource, api: t.Any = calico) -> list[Object]:
        try:
            return list(api.list(resource).items)
        except (NotFound, UnknownResource):
            return []
        except Forbidden:
            unreadable.append(resource.plural)
            return []

    through_v3 = found.mode.value in (CRD_V3, APISERVER) and not found.api_server_down.value
    home = calico.raw if calico.elsewhere is None else calico.elsewhere
    collector = _default(listed(KUBE_CONTROLLERS_CONFIGURATIONS))
    served = calico.location.served
    operated = served is None or OPERATOR_GROUP in served
    felix, source = felix_configuration(calico, found)
    if source.startswith("no right"):
        unreadable.append("felixconfigurations")
    return CalicoFacts(
        felix=_spec(felix),
        bgp=_spec(_default(listed(V3_BGP_CONFIGURATIONS if through_v3 else BGP_CONFIGURATIONS, home))),
        collector=None if collector is None else _spec(collector),
        statuses=tuple(listed(TIGERA_STATUSES, calico.raw)) if operated else (),
        # The resource is called default, or tigera-secure in clusters that are older.
        api_server=next(iter(listed(API_SERVERS, calico.raw)), None) if operated else None,
        handles=tuple(_handles(calico, unreadable)),
        unreadable=tuple(unreadable),
    )


def _default(things: t.Iterable[Object]) -> Object | None:
    return next((thing for thing in things if thing["metadata"]["name"] == "default"), None)


def _spec(thing: Object | None) -> t.Mapping[str, t.Any]:
    spec = (thing or {}).get("spec")
    return spec if isinstance(spec, dict) else {}


def _handles(calico: CalicoApi, unreadable: list[str]) -> t.Iterator[HandleFact]:
    try:
        for page in calico.pages(IPAM_HANDLES):
            for thing in page.items:
                spec = _spec(thing)
                counts = spec.get("block")
                if str(spec.get("deleted")).lower() == "true" or not isinstance(counts, dict):
                    continue
                amounts = sorted((str(key), value) for key, value in counts.items() if isinstance(value, int))
                yield HandleFact(str(spec.get("handleID") or thing["metadata"]["name"]), tuple(amounts))
    except (NotFound, UnknownResource):
        return
    except Forbidden:
        unreadable.append(IPAM_HANDLES.plural)
