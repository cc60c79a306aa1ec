# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A twin where RBAC decides, a service account for each shipped role, and the modules each role is for.

The twin counts which rights requests have needed, so what a role must grant is measured.
"""

from __future__ import annotations

import importlib
import json
import sys
import typing as t
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from leaks import leak, leave_behind
from modes_lab import Mode, empty_etcd
from twin_fixture import local_twin
from virtual_server import ADMIN, VirtualServer

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_POOLS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import close_etcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.auth import User, user_with
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import DIRECTORY as SCENARIOS

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/unit/plugins/modules"))

import module_runner  # noqa: E402

failure, run_module = module_runner.failure, module_runner.run_module

RBAC = "rbac.authorization.k8s.io"
KINDS = {
    "ClusterRole": Resource(RBAC, "v1", "clusterroles", "ClusterRole", False),
    "Role": Resource(RBAC, "v1", "roles", "Role", True),
}
BINDINGS = {
    "ClusterRole": Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", False),
    "Role": Resource(RBAC, "v1", "rolebindings", "RoleBinding", True),
}
HOME = "kube-system"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


class Right(t.NamedTuple):
    """One cell of a role: ``namespace`` is "" in a ClusterRole; ``names`` as in resourceNames."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    names: t.Tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """How the API server speaks of it."""
        return f'cannot {self.verb} resource "{self.resource}" in API group "{self.group}"'


@dataclass(frozen=True)
class Manifest:
    """The documents of one file of docs/rbac."""

    name: str
    documents: t.Tuple[Object, ...]

    @property
    def rights(self) -> list[Right]:
        return [right for document in self.documents for right in _rights(document)]

    def without(self, right: Right) -> list[Object]:
        """The documents, less one right."""
        return [
            {**document, "rules": [_rule(each) for each in _rights(document) if each != right]}
            for document in self.documents
        ]


def manifests() -> dict[str, Manifest]:
    found = {}
    for path in sorted((ROOT / "docs/rbac").glob("*.yml")):
        documents = tuple(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        found[path.stem] = Manifest(path.stem, documents)
    return found


def _rights(document: Object) -> list[Right]:
    namespace = document["metadata"].get("namespace", "")
    return [
        Right(verb, group, resource, namespace, tuple(rule.get("resourceNames", ())))
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def _rule(right: Right) -> Object:
    rule: Object = {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
    return {**rule, "resourceNames": list(right.names)} if right.names else rule


@dataclass(frozen=True)
class Job:
    """One run of a module; ``prepare`` makes the cluster ready for it, as administrator.

    ``refused``: it ends in a refusal, for the rights that only a refusal needs.
    """

    module: str
    options: t.Mapping[str, t.Any]
    prepare: t.Callable[[Lab], t.Any] = lambda lab: None
    refused: str = ""

    def __str__(self) -> str:
        return f"{self.module} {json.dumps(self.options)}"


class Asked(t.NamedTuple):
    """A right that a request needed, and whether it was there."""

    verb: str
    group: str
    resource: str
    namespace: str
    allowed: bool


def covers(right: Right, asked: Asked) -> bool:
    """Names of objects are not looked at: requests are counted without them."""
    return right[:3] == asked[:3] and right.namespace in ("", asked.namespace)


@dataclass(frozen=True)
class Run:
    """What came of a job: the sentence it failed with, if it did, and the rights its requests needed."""

    said: str
    asked: t.FrozenSet[Asked]
    result: t.Mapping[str, t.Any]

    @property
    def wrote(self) -> list[str]:
        """The writes that were let through. What a user may do is asked by POST, and is none."""
        asked = [each for each in self.asked if each.group != "authorization.k8s.io"]
        return sorted(f"{each.verb} {each.resource}" for each in asked if each.allowed and each.verb in WRITES)


def grant(api: KubeApi, document: Object) -> None:
    """Make a role what its document says."""
    resource, metadata = KINDS[document["kind"]], document["metadata"]
    try:
        api.create(resource, document, metadata.get("namespace"))
    except AlreadyExists:
        api.patch(resource, metadata["name"], {"rules": document["rules"]}, metadata.get("namespace"))


def bind(api: KubeApi, account: str, document: Object) -> None:
    """Give a role to a service account in ``HOME``."""
    grant(api, document)
    metadata, kind = document["metadata"], document["kind"]
    body = {
        "apiVersion": f"{RBAC}/v1",
        "kind": BINDINGS[kind].kind,
        "metadata": {"name": metadata["name"]},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "namespace": HOME, "name": account}],
    }
    api.create(BINDINGS[kind], body, metadata.get("namespace"))


class Lab:
    """A cluster in this process with a user for each role, and nobody, who has none."""

    def __init__(self, mode: Mode, scenario: str | None = None) -> None:
        self.mode = mode
        self.installation = mode.installation
        self.twin: Twin = local_twin(
            scenario or _scenario(),
            installation=mode.installation,
            operator=mode.operator,
            etcd_endpoints=empty_etcd(mode),
        )
        self.server = VirtualServer(self.twin)
        self.api: CalicoApi = self.server.calico()
        self.manifests = manifests()
        self.turn = ""
        self._undo: list[t.Callable[[], None]] = []
        for definition in SOME_CLUSTERS:
            if definition["spec"]["group"] in set(GROUPS.values()) - {GROUPS.get(mode.installation)}:
                continue
            # Where there is an operator, there is its definition.
            with suppress(AlreadyExists):
                self.api.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
        for manifest in self.manifests.values():
            for document in manifest.documents:
                bind(self.api, manifest.name, document)

    def close(self) -> None:
        close_etcd(self.api)
        self.twin.close()

    # ---- users

    def bind_beside(self, role: str, user: str) -> None:
        """Give a role to the user of another one, who keeps that."""
        for document in self.manifests[role].documents:
            metadata, kind = document["metadata"], document["kind"]
            subjects = [{"kind": "ServiceAccount", "namespace": HOME, "name": name} for name in (role, user)]
            self.api.patch(BINDINGS[kind], metadata["name"], {"subjects": subjects}, metadata.get("namespace"))

    def grant(self, documents: t.Iterable[Object]) -> None:
        """Make the roles what these documents say."""
        for document in documents:
            grant(self.api, document)

    @contextmanager
    def without(self, role: str, right: Right) -> t.Iterator[None]:
        """One right less for a while."""
        self.grant(self.manifests[role].without(right))
        try:
            yield
        finally:
            self.grant(self.manifests[role].documents)

    @staticmethod
    def user(name: str) -> User:
        """Of that role; "admin" may do everything."""
        return ADMIN if name == "admin" else user_with(f"system:serviceaccount:{HOME}:{name}")

    # ---- runs

    def run(self, user: str, job: Job) -> Run:
        """Run the module as that user."""
        options = {**job.options, **(job.prepare(self) or {})}
        main = importlib.import_module(f"ansible_collections.calico_ops.ipam.plugins.modules.{job.module}").main
        self.server.authorizer.forget()
        result: dict[str, t.Any] = {}
        try:
            with self.server.modules(self.user(user)):
                result = run_module(main, **options)
        except module_runner.ModuleFailed as error:
            said = str(error.result["msg"])
            assert "\n" not in said
            assert "Traceback" not in said
        else:
            said = ""
        self.twin.faults.clear()
        while self._undo:
            self._undo.pop()()
        return Run(said, self.asked(user), result)

    def asked(self, user: str) -> frozenset[Asked]:
        """The rights that this user's requests have needed since the last run began."""
        return frozenset(
            Asked(each["verb"], each["group"], each["resource"], each["namespace"], each["allowed"])
            for each in self.server.authorizer.asked()
            if each["user"] == self.user(user).name
        )

    def finish(self, job: Job) -> None:
        """The same as administrator, who is hindered by nothing."""
        said = self.run("admin", job).said
        assert said == "", said

    # ---- the cluster as a job wants it

    def conflict(self, verb: str, *resources: str) -> None:
        """The next write of each of these meets somebody else's."""
        self.inject(*({"verb": verb, "resource": each, "count": 1, "code": 409} for each in resources))

    def inject(self, *rules: dict[str, t.Any]) -> None:
        """Until the end of this run."""
        self.twin.faults.add(list(rules))

    def create(self, resource: Resource, body: Object, namespace: str | None = None) -> None:
        self.api.create(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **body}, namespace)

    def pool(self, name: str, cidr: str, **spec: t.Any) -> None:
        """The pool is there, and so."""
        wanted = {"cidr": cidr, "nodeSelector": "all()", "disabled": False, "natOutgoing": False, **spec}
        try:
            self.api.patch(IP_POOLS, name, {"spec": wanted})
        except NotFound:
            self.create(IP_POOLS, {"metadata": {"name": name}, "spec": wanted})

    def gone(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """Deleted, and whoever has a finalizer on it has had a moment."""
        with suppress(NotFound):
            self.api.delete(resource, name, namespace)
            for _moment in range(100):
                self.api.get(resource, name, namespace)
                self.twin.clock.advance(0.5)

    def only(self, pool: str) -> None:
        """New addresses come out of this pool and no other."""
        for thing in self.api.list(IP_POOLS).items:
            name = thing["metadata"]["name"]
            if (thing["spec"].get("disabled") is True) == (name == pool):
                self.api.patch(IP_POOLS, name, {"spec": {"disabled": name != pool}})
        # For their conditions to follow.
        self.twin.clock.advance(2)

    def toggle(self, field: str, pool: str) -> None:
        """A true of the pool becomes false, or the other way round."""
        now = self.api.get(IP_POOLS, pool)["spec"].get(field)
        self.api.patch(IP_POOLS, pool, {"spec": {field: not now}})

    def openshift(self) -> None:
        """Until the end of this run."""
        self._define(OPENSHIFT)

    def both_groups(self) -> None:
        """Pools and blocks in the other group, too, until the end of this run: calico-node knows which one is used."""
        if self.installation in ("crd_v1", "crd_v3"):
            group, version = OTHER_GROUP[self.installation]
            kinds = ("IPPool", "IPAMBlock")
            self._define([definition_of(kind, group, version, False) for kind in kinds])

    def _define(self, definitions: t.Iterable[Object]) -> None:
        for definition in definitions:
            self.api.create(CUSTOM_RESOURCE_DEFINITIONS, definition)
            name = definition["metadata"]["name"]
            self._undo.append(lambda name=name: self.gone(CUSTOM_RESOURCE_DEFINITIONS, name))

    def leave_behind(self) -> None:
        with suppress(Exception):
            leave_behind(self.api)

    def leak(self, address: str, pod: str, **more: t.Any) -> None:
        with suppress(Exception):
            leak(self.api, address, pod, **more)


def _scenario() -> list[Object]:
    """The small one, with what is not restarted but evicted, and what gets a pod more before it is restarted."""
    small = list(yaml.safe_load_all((SCENARIOS / "small.yml").read_text(encoding="utf-8")))
    # The twin's own collector must not be faster than a job, however busy the machine is.
    small[0]["spec"]["timings"]["leakGrace"] = 1_000_000
    return [
        *small,
        _workload("apps/v1", "DaemonSet", "agent"),
        _workload("apps/v1", "ReplicaSet", "bare", 1),
        _workload("v1", "ReplicationController", "old", 1),
        _workload("apps/v1", "Deployment", "disk", 1, volumes=[_CLAIM], affinity=_APART),
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "disk", "namespace": "shop"},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly", "namespace": "shop"},
            "spec": {
                "schedule": "0 3 1 1 *",
                "suspend": True,
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {
                                "restartPolicy": "Never",
                                "containers": [{"name": "nightly", "image": "registry.example.com/shop/nightly:1.0.0"}],
                            }
                        }
                    }
                },
            },
        },
        *[_budget(name) for name in ("bare", "old", "disk")],
    ]


_CLAIM = {"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}
_APART = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "disk"}}}
        ]
    }
}


def _workload(version: str, kind: str, name: str, replicas: int | None = None, **pod: t.Any) -> Object:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": name, "image": f"registry.example.com/shop/{name}:1.0.0"}], **pod},
    }
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": selector, "template": template, **({"replicas": replicas} if replicas else {})},
    }


def definition_of(kind: str, group: str, version: str, namespaced: bool) -> Object:
    """The CustomResourceDefinition of something that only some clusters have; it takes any object."""
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s"
    anything = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [{"name": version, "served": True, "storage": True, "schema": anything}],
        },
    }


def _budget(name: str) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": name}}},
    }


#: Where there are custom resources of Calico.
GROUPS = {"crd_v1": "crd.projectcalico.org", "apiserver": "crd.projectcalico.org", "crd_v3": "projectcalico.org"}
OTHER_GROUP = {"crd_v1": ("projectcalico.org", "v3"), "crd_v3": ("crd.projectcalico.org", "v1")}
#: What detection, the audit and the preflight look at where it is served.
SOME_CLUSTERS = (
    definition_of("Installation", "operator.tigera.io", "v1", False),
    definition_of("DatastoreMigration", "migration.projectcalico.org", "v1beta1", False),
    definition_of("VirtualMachine", "kubevirt.io", "v1", True),
    definition_of("VirtualMachineInstance", "kubevirt.io", "v1", True),
    *(
        definition_of(kind, group, version, kind in ("NetworkPolicy", "NetworkSet"))
        for group, version in (("crd.projectcalico.org", "v1"), ("projectcalico.org", "v3"))
        for kind in (
            *("NetworkPolicy", "GlobalNetworkPolicy", "NetworkSet", "GlobalNetworkSet"),
            *("BGPPeer", "BGPFilter", "BGPConfiguration"),
        )
    ),
    definition_of("AdminNetworkPolicy", "policy.networking.k8s.io", "v1alpha1", False),
    definition_of("BaselineAdminNetworkPolicy", "policy.networking.k8s.io", "v1alpha1", False),
    definition_of("Cluster", "submariner.io", "v1", True),
    definition_of("Endpoint", "submariner.io", "v1", True),
    definition_of("SpiderCoordinator", "spiderpool.spidernet.io", "v2beta1", False),
    definition_of("EgressClusterInfo", "egressgateway.spidernet.io", "v1beta1", False),
)
OPENSHIFT = (
    definition_of("ClusterVersion", "config.openshift.io", "v1", False),
    definition_of("Network", "config.openshift.io", "v1", False),
)
