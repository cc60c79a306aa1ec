# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether Calico's eBPF data plane is on, which does the work of kube-proxy (hazards B46)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import APISERVER, CRD_V3, NONE
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import readable_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3

FELIX_CONFIGURATIONS = Resource(CALICO_V1, "v1", "felixconfigurations", "FelixConfiguration", False)
V3_FELIX_CONFIGURATIONS = Resource(CALICO_V3, "v3", "felixconfigurations", "FelixConfiguration", False)


def ebpf(calico: CalicoApi, found: Installation) -> Fact[bool | None]:
    """By FelixConfiguration default. None when it cannot be read, and when there is none."""
    thing, source = felix_configuration(calico, found)
    if thing is None:
        return Fact(None, source)
    return Fact((thing.get("spec") or {}).get("bpfEnabled") is True, f"bpfEnabled of {source}")


def felix_configuration(calico: CalicoApi, found: Installation) -> tuple[Object | None, str]:
    """FelixConfiguration default and where it was read; None with the reason when there is none or no right to it."""
    if found.mode.value == NONE or not found.connected:
        return None, found.mode.source
    through_v3 = found.mode.value in (CRD_V3, APISERVER) and not found.api_server_down.value
    api: KubeApi = calico.raw if calico.elsewhere is None else calico.elsewhere
    return readable_object(api, V3_FELIX_CONFIGURATIONS if through_v3 else FELIX_CONFIGURATIONS, "default")
