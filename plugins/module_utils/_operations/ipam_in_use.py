# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who gives pods their addresses, asked before a pool is written (spec ippool.md §7.3).

The sources are those of ``installation_survey``, one after the other and no further than the
first that answers: the Installation, which is known by now, else one ConfigMap as a rule.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_location import calico_node_env
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_stop import without_calico_ipam
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import ipam_sources
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniPlace, ConfigMaps

# By whether there is an Installation: the operator's ConfigMap, or those of the manifests.
_CONFIG_MAPS = {
    True: (("calico-system", "cni-config"),),
    False: (("kube-system", "calico-config"), ("kube-system", "canal-config")),
}


@dataclass(frozen=True)
class _Told:
    """What one source has told; ``Sources`` of ``cluster_settings``."""

    config_maps: ConfigMaps
    operator_spec: t.Mapping[str, t.Any]
    calico_node_env: t.Mapping[str, str]
    pods: t.Sequence[Object] = ()
    service_cidrs: t.Sequence[str] = ()
    openshift_cidrs: t.Sequence[str] = ()
    cni_places: t.Sequence[CniPlace] = ()


_NOTHING = _Told({}, {}, {})


def require_calico_ipam(api: KubeApi, installation: Installation) -> None:
    """Raise ``Refused`` when pods get their addresses from another IPAM; what may not be read refuses nothing."""
    found = replace(installation, ipam=ipam_in_use(api, installation))
    reason = without_calico_ipam(found)
    if reason is not None:
        raise Refused(reason, ipam=found.ipam.value, source=found.ipam.source)


def ipam_in_use(api: KubeApi, installation: Installation) -> Fact[str | None]:
    """The IPAM that gives pods their addresses, with the place that says so; None when none of them does.

    Zero to four requests, one where Calico was installed by its manifests.
    """
    for told in _asked(api, installation):
        for source, name in ipam_sources(told):
            if name:
                return Fact(name, source)
    return Fact(None, "no configuration that may be read says so")


def _asked(api: KubeApi, installation: Installation) -> t.Iterator[_Told]:
    cni = installation.operator_cni.value
    if cni:
        yield replace(_NOTHING, operator_spec={"cni": cni})
    for namespace, name in _CONFIG_MAPS[cni is not None]:
        thing, _source = readable_object(api, CONFIG_MAPS, name, namespace)
        if thing is not None:
            yield replace(_NOTHING, config_maps={(namespace, name): thing.get("data") or {}})
    env, _source = calico_node_env(api)
    yield replace(_NOTHING, calico_node_env=env or {})
