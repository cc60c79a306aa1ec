# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The CNI configuration that the cluster keeps for its nodes: where it is, and what it says (spec ippool.md §7.3).

A DaemonSet of Calico writes it on every node, out of what its environment variable CNI_NETWORK_CONFIG refers to,
so that is where it is looked for. Where no such DaemonSet can be seen, the ConfigMaps that installers usually make
are taken; one that nothing refers to any more may be left over from an earlier installation (hazards B16, B19).
"""

from __future__ import annotations

import json
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

ConfigMaps = t.Mapping[t.Tuple[str, str], t.Mapping[str, str]]

# Manifests hold tokens such as __CNI_MTU__ where JSON wants a value.
_BARE_TOKEN = re.compile(r"(:\s*)__[A-Za-z0-9_]+__")
_VARIABLE = "CNI_NETWORK_CONFIG"
_OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")


class CniPlace(t.NamedTuple):
    """A key of a ConfigMap that has the configuration, or its ``text`` where a DaemonSet has it in itself.

    ``namespace`` and ``name`` are those of the ConfigMap, or of that DaemonSet.
    """

    namespace: str
    name: str
    key: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.key} of {'DaemonSet' if self.text else 'ConfigMap'} {self.namespace}/{self.name}"


#: Where installers keep it; the operator's first, since it makes away with the others' DaemonSet.
USUAL_PLACES = (
    CniPlace("calico-system", "cni-config", "config"),
    CniPlace("kube-system", "calico-config", "cni_network_config"),
    CniPlace("kube-system", "canal-config", "cni_network_config"),
)


@dataclass(frozen=True)
class CniConfig:
    """One CNI configuration found in the cluster. ``calico`` is its calico plugin, None without one.

    Its properties are what decides a pod's addresses (``_engine/pod_request.py``).
    """

    source: str
    calico: t.Mapping[str, t.Any] | None
    namespace: str = ""
    name: str = ""

    @property
    def ipam(self) -> t.Mapping[str, t.Any]:
        return self._part("ipam")

    @property
    def ipam_type(self) -> str:
        return str(self.ipam.get("type") or "")

    @property
    def policy_type(self) -> str:
        return str(self._part("policy").get("type") or "")

    @property
    def assign_ipv4(self) -> bool:
        return _flag_of(self.ipam.get("assign_ipv4"), True)

    @property
    def assign_ipv6(self) -> bool:
        return _flag_of(self.ipam.get("assign_ipv6"), False)

    @property
    def ipv4_pools(self) -> tuple[str, ...]:
        return tuple(str(entry) for entry in self.ipam.get("ipv4_pools") or ())

    @property
    def ipv6_pools(self) -> tuple[str, ...]:
        return tuple(str(entry) for entry in self.ipam.get("ipv6_pools") or ())

    @property
    def addresses_without_ipam(self) -> bool:
        return _flag_of(self._part("feature_control").get("ip_addrs_no_ipam"), False)

    def _part(self, key: str) -> t.Mapping[str, t.Any]:
        part = (self.calico or {}).get(key)
        return part if isinstance(part, dict) else {}


def cni_places(daemon_sets: t.Iterable[Object]) -> tuple[CniPlace, ...]:
    """Where the DaemonSets that write the configuration on Linux nodes take it from, each place once."""
    found: dict[CniPlace, None] = {}
    for daemon_set in daemon_sets:
        pod: t.Any = ((daemon_set.get("spec") or {}).get("template") or {}).get("spec") or {}
        if any((pod.get("nodeSelector") or {}).get(label) == "windows" for label in _OS_LABELS):
            continue
        metadata = daemon_set["metadata"]
        namespace = str(metadata.get("namespace") or "")
        for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
            for entry in container.get("env") or ():
                if entry.get("name") != _VARIABLE:
                    continue
                wanted = (entry.get("valueFrom") or {}).get("configMapKeyRef") or {}
                if wanted.get("name"):
                    found[CniPlace(namespace, str(wanted["name"]), str(wanted.get("key") or ""))] = None
                elif entry.get("value"):
                    found[CniPlace(namespace, str(metadata["name"]), _VARIABLE, str(entry["value"]))] = None
    return tuple(found)


def cni_configs_in(config_maps: ConfigMaps, places: t.Sequence[CniPlace] = ()) -> t.Iterator[CniConfig]:
    """The configurations at ``places``, by default the usual ones, out of ConfigMaps' data by namespace and name.

    Those that are missing or do not parse are left out; ``unintelligible`` names the latter.
    """
    for place, text in _texts(config_maps, places):
        plugins = _plugins(text)
        if plugins is not None:
            calico = next((plugin for plugin in plugins if plugin.get("type") == "calico"), None)
            yield CniConfig(str(place), calico, place.namespace, place.name)


def unintelligible(config_maps: ConfigMaps, places: t.Sequence[CniPlace] = ()) -> list[str]:
    """The places whose text is no CNI configuration, so that nobody knows what nodes are told."""
    return [str(place) for place, text in _texts(config_maps, places) if _plugins(text) is None]


def _texts(config_maps: ConfigMaps, places: t.Sequence[CniPlace]) -> t.Iterator[tuple[CniPlace, str]]:
    for place in places or USUAL_PLACES:
        text = place.text or config_maps.get((place.namespace, place.name), {}).get(place.key)
        if text:
            yield place, text


def _plugins(text: str) -> list[dict[str, t.Any]] | None:
    """The plugins that a configuration names, in order; None for what is none."""
    try:
        config = json.loads(_BARE_TOKEN.sub(r"\g<1>0", text))
    except (ValueError, RecursionError):
        return None
    if not isinstance(config, dict):
        return None
    plugins = config.get("plugins") or [config]
    if not isinstance(plugins, list) or not all(isinstance(plugin, dict) for plugin in plugins):
        return None
    return plugins


def _flag_of(value: t.Any, default: bool) -> bool:
    """The CNI configuration writes its flags as text."""
    return default if value is None else str(value).lower() == "true"
