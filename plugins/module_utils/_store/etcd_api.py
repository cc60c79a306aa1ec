# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Calico's kinds out of its own etcd, through the interface of the Kubernetes API.

Whoever writes pools asks one interface, wherever they are kept. Nothing checks what is written
here, neither Calico nor a schema: that is the callers' part (spec ippool.md §1.1, §3.2). What etcd
itself gives is here: a name is taken once, a write may depend on the revision that was read, a
deletion is one step, and changes can be watched.
"""

from __future__ import annotations

import threading
import typing as t
import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import (
    Listing,
    Object,
    Resource,
    WatchEvent,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    NotFound,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_shapes import Shape, name_of, shape_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_watch import EtcdWatch

OnCorrupt = t.Callable[[CorruptRecord], object]

# Somebody who writes all the time must not keep a patch without a condition waiting for ever.
ATTEMPTS = 20


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass(frozen=True)
class _Page:
    items: t.List[Object]
    resource_version: str


class EtcdApi:
    """``KubeApi`` with ``pages`` for the kinds of Calico, which have no namespaces.

    The resourceVersion of an object is the revision of its key, that of a list the revision it shows.
    Objects are spelled as in the public API (``projectcalico.org/v3``), IPAM's own records as in the
    v1 group. A resource that cannot be read raises ``CorruptRecord`` from a list, unless
    ``on_corrupt`` takes it; damaged records of IPAM are listed without a ``spec``.

    Threads may share it: each has a connection of its own. ``now`` and ``new_uid`` go into new objects.
    Raises what ``EtcdClient`` raises.
    """

    def __init__(
        self,
        client: EtcdClient,
        *,
        on_corrupt: t.Optional[OnCorrupt] = None,
        now: t.Callable[[], datetime] = _now,
        new_uid: t.Callable[[], object] = uuid.uuid4,
    ) -> None:
        self.client = client
        self._on_corrupt = on_corrupt
        self._now = now
        self._new_uid = new_uid
        self._mine = threading.local()
        self._mine.client = client
        self._others: t.List[EtcdClient] = []

    def close(self) -> None:
        """Close every connection, the given one too."""
        for client in (self.client, *self._others):
            client.close()

    # Reading

    def get(self, resource: Resource, name: str, namespace: t.Optional[str] = None) -> Object:
        return self._found(resource, name)[1]

    def list(
        self,
        resource: Resource,
        namespace: t.Optional[str] = None,
        *,
        label_selector: t.Optional[str] = None,
        field_selector: t.Optional[str] = None,
    ) -> Listing:
        """Everything of a kind at one moment, in the byte order of the keys. BadRequest for a selector."""
        _refuse_selectors(resource, label_selector, field_selector)
        shape = shape_of(resource)
        rows: t.List[Row] = []
        revision = 0
        for prefix in shape.listed:
            more, revision = self._client.snapshot(prefix, revision)
            rows += more
        return Listing(list(self._objects(shape, rows)), str(revision))

    def pages(self, resource: Resource, namespace: t.Optional[str] = None, **options: t.Any) -> t.Iterator[_Page]:
        """The list in one page: etcd's own pages show one moment and are put together before."""
        options.pop("limit", None)
        found = self.list(resource, namespace, **options)
        yield _Page(found.items, found.resource_version)

    def watch(
        self,
        resource: Resource,
        namespace: t.Optional[str] = None,
        *,
        resource_version: str,
        label_selector: t.Optional[str] = None,
        field_selector: t.Optional[str] = None,
        timeout_seconds: t.Optional[int] = None,
    ) -> EtcdEvents:
        """Events after a revision; the stream has ``close`` and no end of its own, whatever the timeout.

        A resource that cannot be read counts as deleted: nobody sees it in a list either.
        """
        _refuse_selectors(resource, label_selector, field_selector)
        shape = shape_of(resource)
        return EtcdEvents(self._client.watch(shape.prefix, int(resource_version)), shape)

    # Writing

    def create(
        self, resource: Resource, body: Object, namespace: t.Optional[str] = None, *, dry_run: bool = False
    ) -> Object:
        shape = shape_of(resource)
        thing = self._begun(body) if shape.named_by_key else body
        key, what = shape.key_of(thing), f"{resource.kind} {name_of(thing)}"
        if not shape.is_key(key):
            raise BadRequest(f"{what} cannot be kept in etcd under this name.", 400, "BadRequest")
        data = etcd_wire.to_bytes(shape.to_members(thing, None))
        if dry_run:
            if self._client.get(key) is not None:
                raise _exists(what)
            return _shown(shape, Row(key, data, 0))
        outcome = self._client.create(key, data)
        if not outcome.done:
            raise _exists(what)
        return _shown(shape, Row(key, data, outcome.revision))

    def replace(
        self,
        resource: Resource,
        body: Object,
        namespace: t.Optional[str] = None,
        *,
        subresource: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        name = name_of(body)
        row, before = self._found(resource, name)
        _require(resource, name, row, before, body["metadata"])
        return self._written(resource, row, before, body, dry_run)

    def patch(
        self,
        resource: Resource,
        name: str,
        body: t.Any,
        namespace: t.Optional[str] = None,
        *,
        patch_type: str = "merge",
        subresource: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> Object:
        """A merge patch; ``metadata.resourceVersion`` and ``metadata.uid`` in it are conditions."""
        if patch_type != "merge" or not isinstance(body, dict):
            raise BadRequest(f"{resource.kind} {name} is in etcd and takes merge patches only.", 400, "BadRequest")
        condition = body.get("metadata") or {}
        for _attempt in range(ATTEMPTS):
            row, before = self._found(resource, name)
            _require(resource, name, row, before, condition)
            try:
                return self._written(resource, row, before, merged(before, body), dry_run)
            except Conflict:
                if condition.get("resourceVersion"):
                    raise
        raise Conflict(f"{resource.kind} {name} was changed by others {ATTEMPTS} times meanwhile.", 409, "Conflict")

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: t.Optional[str] = None,
        *,
        uid: t.Optional[str] = None,
        resource_version: t.Optional[str] = None,
        grace_seconds: t.Optional[int] = None,
        propagation: t.Optional[str] = None,
        dry_run: bool = False,
    ) -> None:
        for _attempt in range(ATTEMPTS):
            row, before = self._found(resource, name)
            _require(resource, name, row, before, {"uid": uid, "resourceVersion": resource_version})
            if dry_run:
                return
            outcome = self._client.delete(row.key, row.revision)
            if outcome.done:
                return
            if not outcome.exists:
                raise _missing(resource, name)
            if resource_version:
                break
        raise _changed(resource, name)

    def evict(self, name: str, namespace: str, *, uid: t.Optional[str] = None, dry_run: bool = False) -> None:
        raise BadRequest("There are no pods in Calico's etcd.", 400, "BadRequest")

    # Rows

    @property
    def _client(self) -> EtcdClient:
        mine: t.Optional[EtcdClient] = getattr(self._mine, "client", None)
        if mine is None:
            mine = self._mine.client = self.client.another()
            self._others.append(mine)
        return mine

    def _found(self, resource: Resource, name: str) -> t.Tuple[Row, Object]:
        shape = shape_of(resource)
        key = shape.key_named(name)
        rows: t.Iterable[t.Optional[Row]] = self._rows(shape) if key is None else [self._client.get(key)]
        for row in rows:
            thing = shape.to_object(row) if row is not None and shape.is_key(row.key) else None
            if row is not None and thing is not None and name_of(thing) == name:
                return row, thing
        raise _missing(resource, name)

    def _rows(self, shape: Shape) -> t.Iterator[Row]:
        for prefix in shape.listed:
            yield from self._client.rows(prefix)

    def _objects(self, shape: Shape, rows: t.Iterable[Row]) -> t.Iterator[Object]:
        for row in rows:
            if not shape.is_key(row.key):
                continue
            try:
                thing = shape.to_object(row)
            except CorruptRecord as error:
                if self._on_corrupt is None:
                    raise
                self._on_corrupt(error)
            else:
                if thing is not None:
                    yield thing

    def _begun(self, body: Object) -> Object:
        """A new object with what Calico's client gives it."""
        moment = self._now().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = {**body["metadata"], "uid": str(self._new_uid()), "creationTimestamp": moment}
        return {**body, "metadata": metadata}

    def _written(self, resource: Resource, row: Row, before: Object, thing: Object, dry_run: bool) -> Object:
        shape, name = shape_of(resource), name_of(before)
        if shape.named_by_key:
            # Who it is does not change with what it says.
            kept = {key: before["metadata"][key] for key in _IDENTITY if key in before["metadata"]}
            metadata = {key: value for key, value in thing["metadata"].items() if key not in _IDENTITY}
            thing = {**thing, "metadata": {**metadata, **kept}}
        if shape.key_of(thing) != row.key:
            raise BadRequest(f"{resource.kind} {name} cannot become another one by a change.", 400, "BadRequest")
        data = etcd_wire.to_bytes(shape.to_members(thing, before))
        if dry_run:
            return _shown(shape, Row(row.key, data, row.revision))
        if data == row.value:
            return before
        outcome = self._client.update(row.key, data, row.revision)
        if outcome.done:
            return _shown(shape, Row(row.key, data, outcome.revision))
        raise _changed(resource, name) if outcome.exists else _missing(resource, name)


_IDENTITY = ("name", "uid", "creationTimestamp")


class EtcdEvents:
    """A watch of one kind as a watch of the Kubernetes API shows it."""

    def __init__(self, watch: EtcdWatch, shape: Shape) -> None:
        self._watch = watch
        self._shape = shape

    def __iter__(self) -> t.Iterator[WatchEvent]:
        return self

    def __next__(self) -> WatchEvent:
        for event in self._watch:
            if not self._shape.is_key(event.row.key):
                continue
            before = None if event.before is None else _readable(self._shape, event.before)
            now = None if event.deleted else _readable(self._shape, event.row)
            if now is not None:
                return WatchEvent("ADDED" if before is None else "MODIFIED", now)
            if before is not None:
                revision = {"resourceVersion": str(event.row.revision)}
                return WatchEvent("DELETED", {**before, "metadata": {**before["metadata"], **revision}})
        raise StopIteration

    def close(self) -> None:
        """End the stream; may be called from another thread than the one that reads."""
        self._watch.close()


def merged(target: t.Any, patch: t.Any) -> t.Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _readable(shape: Shape, row: Row) -> t.Optional[Object]:
    try:
        return shape.to_object(row)
    except CorruptRecord:
        return None


def _shown(shape: Shape, row: Row) -> Object:
    thing = shape.to_object(row)
    if thing is None:
        raise ValueError(f"{row.key} is no key of its kind")
    return thing


def _require(resource: Resource, name: str, row: Row, before: Object, condition: t.Mapping[str, t.Any]) -> None:
    version, uid = condition.get("resourceVersion"), condition.get("uid")
    if (version and str(version) != str(row.revision)) or (uid and uid != before["metadata"].get("uid")):
        raise _changed(resource, name)


def _refuse_selectors(resource: Resource, *selectors: t.Optional[str]) -> None:
    if any(selectors):
        raise BadRequest(f"{resource.plural} are in etcd, which knows no selectors.", 400, "BadRequest")


def _missing(resource: Resource, name: str) -> NotFound:
    return NotFound(f"{resource.kind} {name} is not in Calico's etcd.", 404, "NotFound")


def _exists(what: str) -> AlreadyExists:
    return AlreadyExists(f"{what} exists already.", 409, "AlreadyExists")


def _changed(resource: Resource, name: str) -> Conflict:
    return Conflict(f"{resource.kind} {name} changed since it was read.", 409, "Conflict")
