# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The API server without HTTP: every verb with its rules, synchronous, on the object store.

``http.py`` puts it on the network, ``local.py`` gives it to the controllers. Each method raises a
``Fault`` that carries the server's answer. What comes back is shared with the store and must not
be changed. The rules are those of spec kubernetes-api-behaviour.md; section numbers stand at each.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    NAMESPACES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import deletion
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.admission import (
    Admission,
    DeleteAdmission,
    NoSchemas,
    Schemas,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.builtin import decode
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.definitions import (
    Definitions,
    accepted,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.listing import (
    Page,
    check_reached,
    list_page,
    wanted_version,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.managed_fields import carried, noted
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.metadata import (
    SERVERS_OWN,
    arranged,
    check_labels,
    check_name,
    check_shape,
    check_type,
    generated_name,
    metadata_of,
    new_uid,
    parse_version,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Entry, ObjectStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import (
    Answer,
    DeleteOptions,
    ListOptions,
    SubresourceCall,
    SubresourceHandler,
    WriteOptions,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.patch import apply_patch
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.served import ServedKinds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    method_not_allowed,
    not_found,
    success,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.storage import (
    AggregatedApi,
    Readable,
    Steps,
    Storage,
    at_once,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.subresources import Subresources
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.webhooks import Webhooks
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.writes import (
    counts,
    new_finalizers,
    status_only,
    version_on_create,
    with_status_of,
)

_GENERATE_ATTEMPTS = 8
_PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public")
# Types that keep the status a client sends on create.
_STATUS_ON_CREATE = frozenset({("", "nodes")})


class ApiServer:
    """The verbs. Resources are named by ``Resource``; ``namespace`` is None for cluster-scoped ones."""

    def __init__(
        self,
        objects: ObjectStore,
        clock: VirtualClock,
        *,
        schemas: Schemas | None = None,
        served: ServedKinds | None = None,
    ) -> None:
        self.objects = objects
        self.clock = clock
        self.schemas: Schemas = schemas or NoSchemas()
        self.served = served or ServedKinds()
        self.definitions = Definitions(objects, self.served, self.schemas)
        self.admissions: list[Admission] = []
        self.delete_admissions: list[DeleteAdmission] = []
        self.webhooks = Webhooks(objects)
        self.subresources = Subresources(self.served)
        self._creators: dict[tuple[str, str], SubresourceHandler] = {}
        self._aggregated: dict[tuple[str, str], AggregatedApi] = {}

    # ---- extension points

    def register_subresource(
        self, plural: str, subresource: str, handler: SubresourceHandler, *, group: str = ""
    ) -> None:
        """Let ``handler`` answer every request to a subresource, such as pods/eviction."""
        self.subresources.register(group, plural, subresource, handler)

    def register_create(self, group: str, plural: str, handler: SubresourceHandler) -> None:
        """Let ``handler`` answer POST for a type that is never stored (reviews)."""
        self._creators[(group, plural)] = handler

    def before_write(self, admission: Admission) -> None:
        """Add an admission step for creates, replaces and patches."""
        self.admissions.append(admission)

    def aggregate(self, api: AggregatedApi) -> None:
        """Let a server of its own answer for a group version, as an APIService does; it is down at first."""
        self._aggregated[api.group_version] = api
        self.definitions.aggregate(api.group_version, api.kinds, api.definitions)

    def storage(self, resource: Resource) -> Storage:
        """Where a resource is kept."""
        return self._aggregated_api(resource) or self.objects

    def watched(self, resource: Resource) -> Readable:
        """What a watch of a resource reads."""
        found = self._aggregated_api(resource)
        return self.objects if found is None else found.watched

    def _aggregated_api(self, resource: Resource) -> AggregatedApi | None:
        return self._aggregated.get((resource.group, resource.version))

    # ---- reading

    def entry(self, resource: Resource, name: str, namespace: str | None = None) -> Entry:
        """The stored object with its encoded form. Raises 404."""
        kind = self.served.kind_of(resource)
        _check_scope(kind, namespace)
        found = self.storage(resource).entry(resource, namespace, name)
        if found is None:
            raise not_found(resource, name)
        return found

    def get(self, resource: Resource, name: str, namespace: str | None = None, *, version: str = "") -> Object:
        """GET; ``version`` is the query's resourceVersion. Raises 404, 504."""
        check_reached(self.objects, wanted_version(version))
        return self.entry(resource, name, namespace).object

    def list(self, resource: Resource, namespace: str | None = None, options: ListOptions | None = None) -> Page:
        """One page; a namespace that does not exist has an empty list (2, 12)."""
        kind, options = self.served.kind_of(resource), options or ListOptions()
        if kind.aggregated:
            # Calico's API server has no pages: it sends everything, whatever the limit.
            options = replace(options, limit=0, continue_token="")
        return list_page(self.storage(resource), kind, namespace, options)

    # ---- create (3)

    def create(
        self,
        resource: Resource,
        body: t.Any,
        namespace: str | None = None,
        options: WriteOptions | None = None,
    ) -> Answer:
        """POST to a collection: 201 with the stored object."""
        kind, options = self.served.kind_of(resource), options or WriteOptions()
        if resource.namespaced and not namespace:
            raise method_not_allowed()
        creator = self._creators.get((resource.group, resource.plural))
        if creator is not None:
            review, _unknown = decode(kind, check_type(kind, body), None)
            return creator(SubresourceCall("create", kind, "", "", namespace, review, options))
        if "create" not in kind.verbs:
            raise method_not_allowed()
        obj = check_type(kind, body)
        metadata = metadata_of(obj)
        check_shape(kind, metadata)
        self._fit_namespace(kind, metadata, namespace)
        if metadata.get("resourceVersion"):
            raise version_on_create(kind, metadata, options)
        self._check_home(kind, str(metadata.get("name") or ""), namespace)
        for key in (*SERVERS_OWN, "resourceVersion"):
            metadata.pop(key, None)
        metadata["name"] = self._new_name(kind, metadata, namespace)
        causes = check_name(kind, metadata["name"]) + check_labels(metadata)
        obj = dict(obj)
        if kind.has_status and (resource.group, resource.plural) not in _STATUS_ON_CREATE:
            obj.pop("status", None)
        metadata["uid"] = new_uid(self.clock.random(f"uid/{self.objects.revision}"))
        metadata["creationTimestamp"] = self.clock.timestamp()
        if kind.generation:
            metadata["generation"] = 1
        if causes:
            raise invalid(resource.kind, resource.group, metadata["name"], causes)
        obj, warnings = self._admit(kind, arranged(kind, obj, metadata), None, options, None)
        if resource == CUSTOM_RESOURCE_DEFINITIONS:
            obj = accepted(obj, self.clock.timestamp())
        aggregated, storage = self._aggregated_api(resource), self.storage(resource)
        if aggregated is not None and not options.dry_run:
            obj = aggregated.prepared(resource, obj, None)
        existing = storage.entry(resource, namespace, metadata["name"])
        if existing is not None:
            terminating = "deletionTimestamp" in existing.object["metadata"]
            raise already_exists(resource, metadata["name"], terminating=terminating)
        if aggregated is None:
            obj = noted(kind, None, obj, options.manager, None, self.clock.timestamp())
        if options.dry_run:
            return Answer(201, obj, warnings)
        return Answer(201, storage.create(resource, obj).object, warnings)

    def _fit_namespace(self, kind: Kind, metadata: Object, namespace: str | None) -> None:
        given = metadata.get("namespace") or ""
        if not kind.resource.namespaced:
            if given:
                raise bad_request("namespace may not be set on a cluster-scoped object")
            metadata.pop("namespace", None)
            return
        if given and given != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = namespace

    def _check_home(self, kind: Kind, name: str, namespace: str | None) -> None:
        """The namespace must exist (404 about it) and not be on its way out (403)."""
        if not kind.resource.namespaced or not namespace:
            return
        home = self.objects.get(NAMESPACES, None, namespace)
        if home is None:
            raise not_found(NAMESPACES, namespace)
        if "deletionTimestamp" in home["metadata"]:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
            raise forbidden(kind.resource, name, why, [cause])

    def _new_name(self, kind: Kind, metadata: Object, namespace: str | None) -> str:
        name, prefix = str(metadata.get("name") or ""), str(metadata.get("generateName") or "")
        if name:
            return name
        if not prefix:
            cause = Cause("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")
            raise invalid(kind.resource.kind, kind.resource.group, "", [cause])
        for attempt in range(_GENERATE_ATTEMPTS):
            chance = self.clock.random(f"name/{prefix}/{self.objects.revision}/{attempt}")
            name = generated_name(prefix, chance)
            if self.storage(kind.resource).entry(kind.resource, namespace, name) is None:
                break
        return name

    def _admit(
        self,
        kind: Kind,
        obj: Object,
        old: Object | None,
        options: WriteOptions,
        subresource: str | None,
        patch: t.Any = None,
    ) -> tuple[Object, tuple[str, ...]]:
        for admission in self.admissions:
            obj = admission(kind, obj, old, options)
        obj, warnings = self.schemas.admit(
            kind, obj, old, field_validation=options.field_validation, subresource=subresource, patch=patch
        )
        operation = "CREATE" if old is None else "UPDATE"
        self.webhooks.check(operation, kind, obj, old, subresource, dry_run=options.dry_run)
        return obj, tuple(warnings)

    # ---- replace (4)

    def replace(
        self,
        resource: Resource,
        name: str,
        body: t.Any,
        namespace: str | None = None,
        options: WriteOptions | None = None,
        *,
        subresource: str | None = None,
    ) -> Answer:
        """PUT to an object or its status."""
        kind, options = self.served.kind_of(resource), options or WriteOptions()
        _check_scope(kind, namespace)
        handled = self.subresources.answer("update", kind, subresource, name, namespace, body, options)
        if handled is not None:
            return handled
        self.subresources.check(kind, subresource, name, "update")
        obj = check_type(kind, body)
        metadata = metadata_of(obj)
        check_shape(kind, metadata)
        given = metadata.get("name") or ""
        if given != name:
            if not given:
                raise bad_request("name must be provided")
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        self._fit_namespace(kind, metadata, namespace)
        version = parse_version(metadata.get("resourceVersion"))
        old = self.storage(resource).entry(resource, namespace, name)
        if old is None:
            raise not_found(resource, name)
        if version is None and kind.custom:
            cause = Cause(
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
                "metadata.resourceVersion",
            )
            # The real server names the resource here, not the Kind.
            raise invalid(resource.plural, resource.group, name, [cause])
        found, wanted = old.object["metadata"].get("uid"), metadata.get("uid")
        if wanted and wanted != found:
            raise conflict(
                resource, name, f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
            )
        if version is not None and version != old.revision:
            raise conflict(resource, name)
        return self._update(kind, old, {**obj, "metadata": metadata}, options, subresource)

    # ---- patch (5)

    def patch(
        self,
        resource: Resource,
        name: str,
        body: t.Any,
        media_type: str,
        namespace: str | None = None,
        options: WriteOptions | None = None,
        *,
        subresource: str | None = None,
    ) -> Answer:
        """PATCH with a JSON, merge or strategic patch; ``body`` is the decoded patch."""
        kind, options = self.served.kind_of(resource), options or WriteOptions()
        _check_scope(kind, namespace)
        handled = self.subresources.patch(kind, subresource, name, namespace, body, media_type, options)
        if handled is not None:
            return handled
        self.subresources.check(kind, subresource, name, "patch")
        old = self.storage(resource).entry(resource, namespace, name)
        if old is None:
            raise not_found(resource, name)
        patched = apply_patch(kind, old.object, body, media_type)
        obj = check_type(kind, patched)
        metadata = metadata_of(obj)
        check_shape(kind, metadata)
        given = metadata.get("name") or ""
        if given != name:
            raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
        self._fit_namespace(kind, metadata, namespace)
        version = parse_version(metadata.get("resourceVersion"))
        if version is not None and version != old.revision:
            raise conflict(resource, name)
        uid = metadata.get("uid")
        if uid and uid != old.object["metadata"].get("uid"):
            cause = Cause("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")
            raise invalid(resource.kind, resource.group, name, [cause])
        return self._update(kind, old, {**obj, "metadata": metadata}, options, subresource, body)

    # ---- what replace and patch share

    def _update(
        self,
        kind: Kind,
        entry: Entry,
        obj: Object,
        options: WriteOptions,
        subresource: str | None,
        patch: t.Any = None,
    ) -> Answer:
        resource, old = kind.resource, entry.object
        metadata, before = dict(obj["metadata"]), old["metadata"]
        name, namespace = before["name"], before.get("namespace")
        for key in (*SERVERS_OWN, "resourceVersion", "generateName"):
            if key in before:
                metadata[key] = before[key]
            elif key != "generateName":
                metadata.pop(key, None)
        if subresource == "status":
            metadata, obj = status_only(kind, old, obj, metadata)
        elif subresource != "finalize" and kind.has_status:
            obj = with_status_of(old, obj)
        if subresource == "finalize":
            decoded, _unknown = decode(kind, obj, old)
            finalizers = (decoded.get("spec") or {}).get("finalizers") or []
            obj = {**old, "spec": {**(old.get("spec") or {}), "finalizers": finalizers}}
            metadata = dict(before)
        causes = check_labels(metadata) + new_finalizers(before, metadata)
        if causes:
            raise invalid(resource.kind, resource.group, name, causes)
        obj, warnings = self._admit(kind, arranged(kind, obj, metadata), old, options, subresource, patch)
        if resource == CUSTOM_RESOURCE_DEFINITIONS:
            obj = accepted(obj, self.clock.timestamp())
        if subresource != "status" and counts(kind, old, obj):
            metadata = dict(obj["metadata"])
            metadata["generation"] = (before.get("generation") or 0) + 1
            obj = arranged(kind, obj, metadata)
        obj = carried(old, obj)
        if obj == old:
            return Answer(200, old, warnings)
        if self._aggregated_api(resource) is None:
            obj = noted(kind, old, obj, options.manager, subresource, self.clock.timestamp())
        if options.dry_run:
            return Answer(200, obj, warnings)
        if deletion.is_finished(kind, obj):
            self._remove(kind, namespace, name)
            return Answer(200, obj, warnings)
        aggregated = self._aggregated_api(resource)
        if aggregated is not None:
            obj = aggregated.prepared(resource, obj, old)
        return Answer(200, self.storage(resource).update(resource, obj).object, warnings)

    # ---- subresources

    def subresource(self, resource: Resource, name: str, subresource: str, namespace: str | None = None) -> Object:
        """GET of a subresource: the object itself for status, what the handler says for others."""
        kind = self.served.kind_of(resource)
        _check_scope(kind, namespace)
        handled = self.subresources.answer("get", kind, subresource, name, namespace, {}, WriteOptions())
        if handled is not None:
            return handled.object
        self.subresources.check(kind, subresource, name)
        return self.get(resource, name, namespace)

    def create_subresource(
        self,
        resource: Resource,
        name: str,
        subresource: str,
        body: t.Any,
        namespace: str | None = None,
        options: WriteOptions | None = None,
    ) -> Answer:
        """POST to a subresource, such as pods/eviction or pods/binding."""
        kind = self.served.kind_of(resource)
        _check_scope(kind, namespace)
        handled = self.subresources.answer(
            "create", kind, subresource, name, namespace, body, options or WriteOptions()
        )
        if handled is None:
            self.subresources.check(kind, subresource, name)
            raise method_not_allowed()
        return handled

    # ---- delete (9, 10)

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        options: DeleteOptions | None = None,
    ) -> Answer:
        """DELETE: Status Success when the object is gone, the object while it is not."""
        return at_once(self.deleting(resource, name, namespace, options))

    def deleting(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        options: DeleteOptions | None = None,
    ) -> Steps[Answer]:
        """DELETE as it goes on in time: an aggregated API may take a while for it."""
        kind, options = self.served.kind_of(resource), options or DeleteOptions()
        _check_scope(kind, namespace)
        entry = self.entry(resource, name, namespace)
        if resource == NAMESPACES and name in _PROTECTED_NAMESPACES:
            raise forbidden(resource, name, "this namespace may not be deleted")
        failed = deletion.check_preconditions(kind, entry.object, options)
        if failed is not None:
            raise failed
        for admission in self.delete_admissions:
            admission(kind, entry.object, options)
        self.webhooks.check("DELETE", kind, entry.object, None, None, dry_run=options.dry_run)
        if resource == CUSTOM_RESOURCE_DEFINITIONS and not options.dry_run:
            self._empty(entry.object)
        verdict = deletion.judge(kind, entry.object, options, self.clock.now())
        marked = entry.object if verdict.marked is None else verdict.marked
        last = carried(entry.object, arranged(kind, marked, marked["metadata"]))
        if not options.dry_run:
            if verdict.marked is not None and last != entry.object:
                last = self.storage(resource).update(resource, last).object
            aggregated = self._aggregated_api(resource)
            if verdict.remove and aggregated is not None:
                yield from aggregated.deleting(resource, name, options.resource_version)
            elif verdict.remove:
                self._remove(kind, namespace, name)
        if verdict.remove and (resource.group, resource.plural) not in deletion.RETURNS_OBJECT:
            return Answer(200, success(_deleted_details(resource, entry.object)))
        waits = not verdict.remove and options.deprecated_background
        return Answer(202 if waits else 200, last)

    def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        chosen: ListOptions | None = None,
        options: DeleteOptions | None = None,
    ) -> t.List[Entry]:
        """DELETE of a collection: what it deleted, in order."""
        kind = self.served.kind_of(resource)
        if "deletecollection" not in kind.verbs or (resource.namespaced and not namespace):
            raise method_not_allowed()
        page = self.list(resource, namespace, chosen)
        for entry in page.entries:
            metadata = entry.object["metadata"]
            self.delete(resource, metadata["name"], metadata.get("namespace"), options)
        return page.entries

    def _empty(self, crd: Object) -> None:
        """The objects of a definition go with it."""
        spec = crd["spec"]
        for kind in self.served.of_version(spec["group"], spec["versions"][0]["name"]):
            if kind.resource.plural == spec["names"]["plural"]:
                for obj in self.objects.list(kind.resource):
                    self._remove(kind, obj["metadata"].get("namespace"), obj["metadata"]["name"])

    def _remove(self, kind: Kind, namespace: str | None, name: str) -> None:
        self.storage(kind.resource).delete(kind.resource, namespace, name)


def _check_scope(kind: Kind, namespace: str | None) -> None:
    if kind.resource.namespaced and not namespace:
        raise bad_request("an empty namespace may not be set when a resource name is provided")


def _deleted_details(resource: Resource, obj: Object) -> Object:
    details: Object = {"name": obj["metadata"]["name"]}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details["uid"] = obj["metadata"].get("uid", "")
    return details
