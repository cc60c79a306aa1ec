# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where Calico keeps its kinds: the decision table of spec ippool.md §7.1, from the API alone.

A cluster with the v1 CRDs alone costs one request; the others two, or some more where both
groups are served by custom resources.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import (
    APISERVER,
    CRD_V1,
    CRD_V3,
    ETCD,
    NONE,
    in_v3,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import (
    group_versions,
    is_served,
    readable,
    readable_object,
    resources_in,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ServerError, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Location
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CALICO_V3,
    CONFIG_MAPS,
    DAEMON_SETS,
    IP_POOLS,
    IPAM_BLOCKS,
)

V1_GROUP = f"{CALICO_V1}/v1"
V3_GROUP = f"{CALICO_V3}/v3"
MIGRATION_GROUP = "migration.projectcalico.org"
NAMESPACES = ("kube-system", "calico-system")
COMPLETE = "Complete"
# How ``readable_object`` begins the reason for what may not be read.
NO_RIGHT = "no right to read"

_NOTHING_KNOWN = "no right to read the API's list of groups"


def locate(api: KubeApi) -> Location:
    """Find out in which group, or in which datastore, Calico's data is. Raises what the API raises."""
    served = group_versions(api)
    v3 = _V3(api, served)
    migration = migration_of(api, served)

    def located(mode: str, source: str) -> Location:
        return Location(Fact(mode, source), v3.down, migration, served, connected=mode != ETCD)

    if v3.kind == APISERVER:
        if served is not None and V1_GROUP not in served:
            # Calico's API server works over an etcd as well, and serves none of IPAM's records there.
            etcd, source = etcd_signal(api)
            if etcd:
                return located(ETCD, source)
        return located(APISERVER, v3.source)
    v1, v1_source = _v1(api, served)
    if v3.kind == CRD_V3:
        if not v1:
            return located(CRD_V3, f"{v3.source}; {v1_source}")
        if migration.value == COMPLETE:
            return located(CRD_V3, f"{v3.source}; {migration.source}")
        group, source = _group_of_components(api)
        if group == V3_GROUP:
            return located(CRD_V3, f"{v3.source}; {source}")
        found = located(CRD_V1, f"{v1_source}; the other group is served too, and {source}")
        return replace(found, undecided=Fact(not group and NO_RIGHT in source, source))
    if v1:
        return located(CRD_V1, v1_source)
    etcd, source = etcd_signal(api)
    if etcd:
        return located(ETCD, source)
    return located(NONE, f"neither {V1_GROUP} nor {V3_GROUP} is served; {source}")


def calico_node_env(api: KubeApi) -> tuple[dict[str, str] | None, str]:
    """The environment of the container calico-node with its source; None and the reason without one."""
    reason = ""
    for namespace in NAMESPACES:
        thing, source = readable_object(api, DAEMON_SETS, "calico-node", namespace)
        if thing is not None:
            return _env(thing), f"the environment of {source}"
        reason = source if source.startswith(NO_RIGHT) else reason or source
    return None, reason


def etcd_signal(api: KubeApi) -> tuple[bool, str]:
    """Whether Calico's components are told to use an etcd, with the place that tells them."""
    env, source = calico_node_env(api)
    if env is not None:
        kind = env.get("DATASTORE_TYPE", "")
        if "ETCD_ENDPOINTS" in env and kind in ("", "etcdv3"):
            return True, f"ETCD_ENDPOINTS in {source}"
        if kind:
            return kind == "etcdv3", f"DATASTORE_TYPE={kind} in {source}"
    config, config_source = readable_object(api, CONFIG_MAPS, "calico-config", "kube-system")
    if config is not None and (config.get("data") or {}).get("etcd_endpoints"):
        return True, f"etcd_endpoints in {config_source}"
    if env is None:
        return False, f"{source}; {config_source}" if config is None else source
    return False, f"nothing about an etcd in {source}"


class _V3:
    """Who serves the group projectcalico.org: "" nobody, ``APISERVER``, or ``CRD_V3``."""

    def __init__(self, api: KubeApi, served: frozenset[str] | None) -> None:
        self.kind = ""
        self.source = f"the API does not list {V3_GROUP}"
        self.down: Fact[bool] = Fact(False, self.source)
        if served is not None and V3_GROUP not in served:
            return
        try:
            names = resources_in(api, CALICO_V3, "v3")
            if names is None:
                self.kind, self.source = _probed(api)
            else:
                self.kind, self.source = _discovered(names)
        except ServerError as error:
            if error.status != 503:
                raise
            self.kind = APISERVER
            self.source = f"{V3_GROUP} is registered and answers 503"
            self.down = Fact(True, self.source)
        else:
            self.down = Fact(False, self.source)


def _discovered(names: frozenset[str]) -> tuple[str, str]:
    if IPAM_BLOCKS.plural in names:
        return CRD_V3, f"{V3_GROUP} has ipamblocks, so custom resources serve it"
    if IP_POOLS.plural in names:
        return APISERVER, f"{V3_GROUP} has ippools and no ipamblocks, so Calico's API server serves it"
    return "", f"{V3_GROUP} has no ippools"


def _probed(api: KubeApi) -> tuple[str, str]:
    """The same by asking, where discovery cannot be read."""
    if not is_served(api, in_v3(IP_POOLS)):
        return "", f"the user cannot list ippools in {V3_GROUP}"
    if not is_served(api, in_v3(IPAM_BLOCKS)):
        return APISERVER, f"{V3_GROUP} answers for ippools and not for ipamblocks"
    return CRD_V3, f"{V3_GROUP} answers for ipamblocks"


def _v1(api: KubeApi, served: frozenset[str] | None) -> tuple[bool, str]:
    if served is not None:
        found = V1_GROUP in served
        return found, f"the API lists {V1_GROUP}" if found else f"the API does not list {V1_GROUP}"
    try:
        # Who may see neither discovery nor pools can do nothing here, and is told which right is missing.
        api.list(IP_POOLS)
    except UnknownResource:
        return False, f"{V1_GROUP} has no ippools"
    return True, f"{V1_GROUP} answers for ippools"


def migration_of(api: KubeApi, served: frozenset[str] | None) -> Fact[str | None]:
    """The phase of a DatastoreMigration, "" without one, None where it may not be read; for ``served`` see Location."""
    version = next((each.partition("/")[2] for each in sorted(served or ()) if each.startswith(MIGRATION_GROUP)), "")
    if not version:
        return Fact("", f"the API does not list {MIGRATION_GROUP}" if served is not None else _NOTHING_KNOWN)
    resource = Resource(MIGRATION_GROUP, version, "datastoremigrations", "DatastoreMigration", False)
    found = readable(api, resource)
    if found is None:
        return Fact(None, "no right to list DatastoreMigrations")
    for thing in found:
        phase = str((thing.get("status") or {}).get("phase") or "")
        return Fact(phase or "Pending", f"DatastoreMigration {thing['metadata']['name']}")
    return Fact("", "there is no DatastoreMigration")


def _group_of_components(api: KubeApi) -> tuple[str, str]:
    env, source = calico_node_env(api)
    group = (env or {}).get("CALICO_API_GROUP", "")
    if group:
        return group, f"CALICO_API_GROUP={group} in {source}"
    return "", f"no CALICO_API_GROUP ({source})"


def _env(daemon_set: Object) -> dict[str, str]:
    pod: t.Any = ((daemon_set.get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in pod.get("containers") or []:
        if container.get("name") == "calico-node":
            return {str(entry.get("name")): str(entry.get("value") or "") for entry in container.get("env") or []}
    return {}
