# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Kubernetes API just large enough for a store: names, resourceVersions, uids, label selectors."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import AlreadyExists, Conflict, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CALICO_V3,
    CUSTOM_RESOURCE_DEFINITIONS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore


class FakeApi:
    """``before`` is called before every write, so that a test can act in between."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Object]] = {}
        self.requests: list[str] = []
        self.before: t.Callable[[str, str], None] | None = None
        self._version = 100

    def _of(self, resource: Resource) -> dict[str, Object]:
        return self.objects.setdefault((resource.group, resource.plural), {})

    def _one(self, resource: Resource, name: str) -> Object:
        try:
            return self._of(resource)[name]
        except KeyError:
            raise NotFound(f"{resource.plural} {name!r} not found", 404, "NotFound") from None

    def _write(self, verb: str, resource: Resource, name: str) -> None:
        self.requests.append(f"{verb} {resource.plural}")
        if self.before is not None:
            hook, self.before = self.before, None
            hook(verb, name)

    def _stamp(self, thing: Object) -> None:
        self._version += 1
        thing["metadata"]["resourceVersion"] = str(self._version)

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return copy.deepcopy(self._one(resource, name))

    def list(self, resource: Resource, namespace: str | None = None, *, label_selector: str | None = None,
             field_selector: str | None = None) -> Listing:  # fmt: skip
        wanted = dict(term.split("=") for term in label_selector.split(",")) if label_selector else {}
        found = [
            copy.deepcopy(thing)
            for _name, thing in sorted(self._of(resource).items())
            if wanted.items() <= (thing["metadata"].get("labels") or {}).items()
        ]
        return Listing(found, str(self._version))

    def create(
        self, resource: Resource, body: Object, namespace: str | None = None, *, dry_run: bool = False
    ) -> Object:
        name = body["metadata"]["name"]
        self._write("create", resource, name)
        if name in self._of(resource):
            raise AlreadyExists(f"{resource.plural} {name!r} already exists", 409, "AlreadyExists")
        thing = copy.deepcopy(body)
        self._stamp(thing)
        thing["metadata"]["uid"] = f"uid-{self._version}"
        self._of(resource)[name] = thing
        return copy.deepcopy(thing)

    def replace(self, resource: Resource, body: Object, namespace: str | None = None, *,
                subresource: str | None = None, dry_run: bool = False) -> Object:  # fmt: skip
        name = body["metadata"]["name"]
        self._write("replace", resource, name)
        if self._one(resource, name)["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", 409, "Conflict")
        thing = copy.deepcopy(body)
        self._stamp(thing)
        self._of(resource)[name] = thing
        return copy.deepcopy(thing)

    def delete(self, resource: Resource, name: str, namespace: str | None = None, *, uid: str | None = None,
               resource_version: str | None = None, grace_seconds: int | None = None,
               propagation: str | None = None, dry_run: bool = False) -> None:  # fmt: skip
        self._write("delete", resource, name)
        if uid is not None and self._one(resource, name)["metadata"]["uid"] != uid:
            raise Conflict("the UID in the precondition does not match", 409, "Conflict")
        if resource_version not in (None, self._one(resource, name)["metadata"]["resourceVersion"]):
            raise Conflict("the ResourceVersion in the precondition does not match", 409, "Conflict")
        self._one(resource, name)
        del self._of(resource)[name]

    def patch(self, *arguments: t.Any, **options: t.Any) -> Object:
        raise NotImplementedError

    def evict(self, *arguments: t.Any, **options: t.Any) -> None:
        raise NotImplementedError

    def watch(self, *arguments: t.Any, **options: t.Any) -> t.Iterator[t.Any]:
        raise NotImplementedError


@pytest.fixture
def api() -> FakeApi:
    """It has Calico's definitions, so that a store can look up what is kept, and prunes nothing itself."""
    fake = FakeApi()
    of_definitions = fake.objects.setdefault(
        (CUSTOM_RESOURCE_DEFINITIONS.group, CUSTOM_RESOURCE_DEFINITIONS.plural), {}
    )
    for crd in (*calico_crds("v1"), *calico_crds("v3")):
        of_definitions[crd["metadata"]["name"]] = crd
    return fake


def twin_store(installation: str, group: str) -> KubernetesStore:
    """A store on the embedded cluster's API server, with Calico's CRDs and strict validation."""
    api = LocalApi(ApiServer(ObjectStore(), VirtualClock()))
    for crd in calico_crds(installation):
        api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
    return KubernetesStore(api, group)


@pytest.fixture(params=["memory", "fake-v1", "fake-v3", "twin-v1", "twin-v3"])
def store(request: pytest.FixtureRequest, api: FakeApi) -> t.Any:
    """Every store that implements ``Datastore``: one contract, one set of tests."""
    where, _dash, version = request.param.partition("-")
    group = CALICO_V1 if version == "v1" else CALICO_V3
    if where == "memory":
        return MemoryStore()
    return KubernetesStore(api, group) if where == "fake" else twin_store(version, group)
