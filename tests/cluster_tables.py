# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters that exist as a table only: what they serve, object by object, for tests of how Calico is installed."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    Forbidden,
    NotFound,
    ServerError,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Location

V1 = "ippools.crd.projectcalico.org"
V3 = "ippools.projectcalico.org"
V3_BLOCKS = "ipamblocks.projectcalico.org"
PROFILES = "profiles.projectcalico.org"
INSTALLATIONS = "installations.operator.tigera.io"
INFORMATION = "clusterinformations.crd.projectcalico.org"
V3_INFORMATION = "clusterinformations.projectcalico.org"
OPENSHIFT = "clusterversions.config.openshift.io"
MIGRATIONS = "datastoremigrations.migration.projectcalico.org"
NODE = "daemonsets.apps"
CONFIG_MAPS = "configmaps."

VERSIONS = {"projectcalico.org": "v3", "migration.projectcalico.org": "v1beta1"}
DENIED = Forbidden("no", 403)
DOWN = ServerError("down", 503)


class TableApi:
    """Serves the objects of a table of ``plural.group``; an error there is raised. Counts what it is asked."""

    def __init__(self, served: dict[str, t.Any], discovery: t.Any = None) -> None:
        self._served = served
        self._discovery = discovery
        self.requests: list[str] = []

    def api_groups(self) -> frozenset[str]:
        self.requests.append("/apis")
        if self._discovery is not None:
            raise self._discovery
        groups = {key.partition(".")[2] for key in self._served} - {""}
        return frozenset(f"{group}/{VERSIONS.get(group, 'v1')}" for group in groups)

    def api_resources(self, group: str, version: str) -> frozenset[str]:
        self.requests.append(f"/apis/{group}/{version}")
        if self._discovery is not None:
            raise self._discovery
        if any(value is DOWN for key, value in self._served.items() if key.partition(".")[2] == group):
            raise DOWN
        return frozenset(key.partition(".")[0] for key in self._served if key.partition(".")[2] == group)

    def list(self, resource: Resource, namespace: str | None = None, **_options: t.Any) -> Listing:
        return Listing(self._answer("list", resource), "1")

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        for thing in self._answer(f"get {name} of", resource):
            if thing["metadata"]["name"] == name and thing["metadata"].get("namespace") == namespace:
                return thing
        raise NotFound(f"{resource.kind} {name} not found", 404)

    def _answer(self, verb: str, resource: Resource) -> t.Any:
        key = f"{resource.plural}.{resource.group}"
        self.requests.append(f"{verb} {key}")
        answer = self._served.get(key, UnknownResource(f"The server has no {key}.", 404))
        if isinstance(answer, ApiError):
            raise answer
        return answer


def api_of(served: dict[str, t.Any], discovery: t.Any = None) -> t.Any:
    return TableApi(served, discovery)


def in_etcd(rest: dict[str, t.Any], kinds: dict[str, t.Any]) -> CalicoApi:
    """A cluster that serves the ``rest``, and whose Calico has an etcd with ``kinds``."""
    return CalicoApi(api_of(rest), lambda _raw: Location(Fact("etcd", "the option datastore")), api_of(kinds))


def default(status: t.Any = None, **spec: t.Any) -> list[dict[str, t.Any]]:
    return [{"metadata": {"name": "default"}, "spec": spec, **({"status": status} if status else {})}]


def pool(**metadata: t.Any) -> list[dict[str, t.Any]]:
    return [{"metadata": {"name": "p", **metadata}, "spec": {"cidr": "10.0.0.0/16"}}]


def node(namespace: str = "kube-system", **env: str) -> list[dict[str, t.Any]]:
    container = {"name": "calico-node", "env": [{"name": name, "value": value} for name, value in env.items()]}
    pod = {"spec": {"containers": [{"name": "other"}, container]}}
    return [{"metadata": {"name": "calico-node", "namespace": namespace}, "spec": {"template": pod}}]


def migration(phase: str) -> list[dict[str, t.Any]]:
    return [{"metadata": {"name": "v1-to-v3"}, "status": {"phase": phase}}]


OWNED = {"app.kubernetes.io/managed-by": "tigera-operator"}
PACKED = {"projectcalico.org/metadata": '{"labels": {"app.kubernetes.io/managed-by": "tigera-operator"}}'}
ENTRIES = {"calicoNetwork": {"ipPools": [{"cidr": "10.0.0.0/16"}]}}
V3_CRDS: dict[str, t.Any] = {V3: pool(), V3_BLOCKS: []}
AGGREGATED: dict[str, t.Any] = {V1: pool(), V3: pool(), PROFILES: []}
MANIFEST: dict[str, t.Any] = {V1: pool(), INFORMATION: default(datastoreReady=True)}

# The decision table of spec ippool.md §7.1, row by row: what is served, the mode, and words of the reason to stop.
ROWS: dict[str, tuple[dict[str, t.Any], str, str | None]] = {
    "1 pending": ({**MANIFEST, MIGRATIONS: migration("Pending")}, "crd_v1", "phase Pending"),
    "1 migrating": ({**MANIFEST, **V3_CRDS, MIGRATIONS: migration("Migrating")}, "crd_v1", "phase Migrating"),
    "1 waiting": (
        {**MANIFEST, MIGRATIONS: migration("WaitingForConflictResolution")},
        "crd_v1",
        "WaitingForConflictResolution",
    ),
    "1 begun": ({**MANIFEST, MIGRATIONS: [{"metadata": {"name": "m"}}]}, "crd_v1", "phase Pending"),
    "1 locked": ({V1: pool(), INFORMATION: default(datastoreReady=False)}, "crd_v1", "datastoreReady: false"),
    "1 locked in v3": ({**V3_CRDS, V3_INFORMATION: default(datastoreReady=False)}, "crd_v3", "datastoreReady"),
    "1 locked in the group that is not live": (
        {**MANIFEST, **V3_CRDS, V3_INFORMATION: default(datastoreReady=False)},
        "crd_v1",
        "datastoreReady",
    ),
    "2": ({**MANIFEST, **V3_CRDS, MIGRATIONS: migration("Converged")}, "crd_v1", "wait until it is Complete"),
    "4": (AGGREGATED, "apiserver", None),
    "5": ({V1: pool(), V3: DOWN}, "apiserver", "answers 503"),
    "6 alone": (V3_CRDS, "crd_v3", None),
    "6 complete": ({**MANIFEST, **V3_CRDS, MIGRATIONS: migration("Complete")}, "crd_v3", None),
    "6 hint": ({**MANIFEST, **V3_CRDS, NODE: node(CALICO_API_GROUP="projectcalico.org/v3")}, "crd_v3", None),
    "6 hint, operator's namespace": (
        {**MANIFEST, **V3_CRDS, NODE: node("calico-system", CALICO_API_GROUP="projectcalico.org/v3")},
        "crd_v3",
        None,
    ),
    "7": (MANIFEST, "crd_v1", None),
    "7 no hint": ({**MANIFEST, **V3_CRDS, NODE: node()}, "crd_v1", None),
    "7 other hint": (
        {**MANIFEST, **V3_CRDS, NODE: node(CALICO_API_GROUP="crd.projectcalico.org/v1")},
        "crd_v1",
        None,
    ),
    "7 no rights": (
        {**MANIFEST, **V3_CRDS, NODE: DENIED},
        "crd_v1",
        "whether Calico uses crd.projectcalico.org or projectcalico.org, which are both served",
    ),
    "7 no rights, and nothing to decide": ({**MANIFEST, NODE: DENIED}, "crd_v1", None),
    "7 other things in v3": ({**MANIFEST, PROFILES: []}, "crd_v1", None),
    "8": ({NODE: node(ETCD_ENDPOINTS="https://10.0.0.1:2379")}, "etcd", "etcd of its own"),
    "8 said": ({NODE: node(DATASTORE_TYPE="etcdv3", ETCD_ENDPOINTS="https://e")}, "etcd", "etcd of its own"),
    "8 behind Calico's API server": (
        {V3: pool(), PROFILES: [], NODE: node(ETCD_ENDPOINTS="https://10.0.0.1:2379")},
        "etcd",
        "etcd of its own",
    ),
    "8 config map": (
        {
            CONFIG_MAPS: [
                {
                    "metadata": {"name": "calico-config", "namespace": "kube-system"},
                    "data": {"etcd_endpoints": "https://10.0.0.1:2379"},
                }
            ]
        },
        "etcd",
        "etcd of its own",
    ),
    "8 with definitions that nobody uses": (
        {V1: [], INFORMATION: [], NODE: node(ETCD_ENDPOINTS="https://10.0.0.1:2379")},
        "etcd",
        "etcd of its own",
    ),
    "7 young": ({V1: [], INFORMATION: [], NODE: node(DATASTORE_TYPE="kubernetes")}, "crd_v1", None),
    "7 used, whatever the environment says": ({**MANIFEST, NODE: node(ETCD_ENDPOINTS="https://e")}, "crd_v1", None),
    "9": ({}, "none", "does not serve ippools.crd.projectcalico.org"),
    "9 calico-node without its CRDs": ({NODE: node(DATASTORE_TYPE="kubernetes")}, "none", "does not serve ippools"),
    "9 other CRDs of the group": ({"felixconfigurations.crd.projectcalico.org": []}, "none", "does not serve"),
    "openshift": ({**MANIFEST, OPENSHIFT: []}, "crd_v1", "OpenShift"),
    "config.openshift.io of somebody else": ({**MANIFEST, "proxies.config.openshift.io": []}, "crd_v1", None),
}
STOP_ROWS = {row: (served, words) for row, (served, _mode, words) in ROWS.items() if words is not None}
