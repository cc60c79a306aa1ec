# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where the embedded cluster keeps its objects: SQLite beneath, an ordered index in memory above.

The part of etcd: one revision counter for everything, compare-free writes (the API server
compares), a history per resource from which watches and consistent pages are answered, and
compaction of that history. A write is in SQLite's write-ahead log before it is acknowledged or
seen by anybody, so it survives ``kill -9``.

Objects are immutable by convention: what goes in and what comes out is shared, never changed.
Everything happens in one thread.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import sqlite3
import typing as t
from collections import deque

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import qualified

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"

_TABLES = """
CREATE TABLE IF NOT EXISTS objects (
  resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, rv INTEGER NOT NULL, json BLOB NOT NULL,
  PRIMARY KEY (resource, namespace, name)
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class HistoryGone(Exception):
    """The revision asked for is older than the history kept; ``oldest`` is the oldest still there."""

    def __init__(self, wanted: int, oldest: int) -> None:
        super().__init__(f"revision {wanted} is compacted, the oldest is {oldest}")
        self.wanted = wanted
        self.oldest = oldest


def encode(document: t.Any) -> bytes:
    """Compact JSON in UTF-8, keys in the order they have."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class Entry:
    """One state of one object. ``encoded`` is its JSON, made when first needed and kept."""

    __slots__ = ("_encoded", "key", "object", "revision")

    def __init__(self, key: str, obj: Object, revision: int, encoded: bytes | None = None) -> None:
        self.key = key
        self.object = obj
        self.revision = revision
        self._encoded = encoded

    @property
    def encoded(self) -> bytes:
        if self._encoded is None:
            self._encoded = encode(self.object)
        return self._encoded


class Event(t.NamedTuple):
    """A committed change. For DELETED, ``entry`` is the last state under the deletion's revision."""

    type: str
    resource: Resource
    entry: Entry
    old: t.Optional[Entry]

    @property
    def object(self) -> Object:
        return self.entry.object

    @property
    def previous(self) -> Object | None:
        return self.old.object if self.old is not None else None

    @property
    def revision(self) -> int:
        return self.entry.revision


Callback = t.Callable[[Event], None]


class _Shelf:
    """All objects of one resource, in etcd's order of ``namespace/name``, and their recent history."""

    __slots__ = ("compacted", "entries", "history", "order")

    def __init__(self, compacted: int) -> None:
        self.entries: dict[str, Entry] = {}
        self.order: list[str] = []
        self.history: deque[Event] = deque()
        self.compacted = compacted


def object_key(namespace: str | None, name: str) -> str:
    """The key that objects of one resource are ordered by."""
    return f"{namespace}/{name}" if namespace else name


def _stamped(obj: Object, revision: int) -> Object:
    metadata = dict(obj.get("metadata") or {})
    metadata["resourceVersion"] = str(revision)
    stamped = dict(obj)
    stamped["metadata"] = metadata
    return stamped


class ObjectStore:
    """The objects of the cluster.

    ``path`` is the SQLite file (created when missing, loaded when present); None keeps everything
    in memory only. ``history`` is how many events of each resource are remembered.
    """

    def __init__(self, path: str | None = None, *, history: int = 4096) -> None:
        self._limit = history
        self._shelves: dict[str, _Shelf] = {}
        self._subscribers: dict[int, tuple[Callback, str | None]] = {}
        self._next_subscriber = 0
        self._pending: deque[Event] = deque()
        self._delivering = False
        self._bulk_depth = 0
        self._db: sqlite3.Connection | None = None
        self.revision = 1
        self._forgotten = 1
        if path is not None:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            # The log is written, not synced, at each commit: it outlives the process, not the machine.
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
            self._load(self._db)

    def _load(self, db: sqlite3.Connection) -> None:
        row = db.execute("SELECT value FROM meta WHERE key = 'revision'").fetchone()
        if row is not None:
            self.revision = self._forgotten = int(row[0])
        for resource, namespace, name, rv, encoded in db.execute(
            "SELECT resource, namespace, name, rv, json FROM objects"
        ):
            shelf = self._shelf(resource)
            key = object_key(namespace, name)
            shelf.entries[key] = Entry(key, json.loads(encoded), rv, bytes(encoded))
        for shelf in self._shelves.values():
            shelf.order = sorted(shelf.entries)

    def close(self) -> None:
        """Fold the log into the file and let go of it."""
        if self._db is not None:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.close()
            self._db = None

    def _shelf(self, name: str) -> _Shelf:
        shelf = self._shelves.get(name)
        if shelf is None:
            shelf = self._shelves[name] = _Shelf(self._forgotten)
        return shelf

    def _of(self, resource: Resource) -> _Shelf:
        return self._shelf(qualified(resource.plural, resource.group))

    # ---- reading

    def entry(self, resource: Resource, namespace: str | None, name: str) -> Entry | None:
        """The present state with its encoded form, or None."""
        return self._of(resource).entries.get(object_key(namespace, name))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        """The object, or None."""
        found = self.entry(resource, namespace, name)
        return found.object if found is not None else None

    def list(self, resource: Resource, namespace: str | None = None) -> t.List[Object]:
        """All objects of a resource, of one namespace when given, in order of ``namespace/name``."""
        return [entry.object for entry in self.entries(resource, namespace)]

    def entries(self, resource: Resource, namespace: str | None = None, *, at: int | None = None) -> t.List[Entry]:
        """Like ``list`` with encoded forms; ``at`` gives the state as of that revision.

        Raises ``HistoryGone`` when ``at`` is older than the history.
        """
        shelf = self._of(resource)
        order: t.Sequence[str] = shelf.order
        lookup: t.Mapping[str, Entry] = shelf.entries
        if at is not None and at < self.revision:
            then = self._rolled_back(shelf, at)
            if then:
                lookup = {key: value for key, value in then.items() if value is not None}
                order = sorted([key for key in shelf.order if key not in then] + list(lookup))
                present = shelf.entries
                return [lookup[key] if key in lookup else present[key] for key in _within(order, namespace)]
        return [lookup[key] for key in _within(order, namespace)]

    @staticmethod
    def _rolled_back(shelf: _Shelf, at: int) -> dict[str, Entry | None]:
        """What the objects changed after ``at`` were then; None for those that did not exist."""
        if at < shelf.compacted:
            raise HistoryGone(at, shelf.compacted)
        then: dict[str, Entry | None] = {}
        for event in reversed(shelf.history):
            if event.entry.revision <= at:
                break
            then[event.entry.key] = event.old
        return then

    def count(self, resource: Resource) -> int:
        return len(self._of(resource).entries)

    def since(self, resource: Resource, revision: int) -> t.List[Event]:
        """The events after ``revision``, oldest first. Raises ``HistoryGone``."""
        shelf = self._of(resource)
        if revision < shelf.compacted:
            raise HistoryGone(revision, shelf.compacted)
        found: t.List[Event] = []
        for event in reversed(shelf.history):
            if event.entry.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    # ---- writing

    def create(self, resource: Resource, obj: Object) -> Entry:
        """Store a new object under the next revision. Raises ``ValueError`` when it is there already."""
        return self._write(resource, obj, ADDED)

    def update(self, resource: Resource, obj: Object) -> Entry:
        """Store the next state of an object. Raises ``ValueError`` when there is none."""
        return self._write(resource, obj, MODIFIED)

    def _write(self, resource: Resource, obj: Object, change: str) -> Entry:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") if resource.namespaced else None
        key = object_key(namespace, metadata["name"])
        shelf = self._of(resource)
        old = shelf.entries.get(key)
        if (old is None) != (change == ADDED):
            raise ValueError(f"{resource.plural} {key}: {change} does not fit what is stored")
        revision = self.revision + 1
        entry = Entry(key, _stamped(obj, revision), revision)
        if self._db is not None:
            with self._transaction() as db:
                db.execute(
                    "INSERT INTO objects VALUES (?, ?, ?, ?, ?) ON CONFLICT (resource, namespace, name) "
                    "DO UPDATE SET rv = excluded.rv, json = excluded.json",
                    (
                        qualified(resource.plural, resource.group),
                        namespace or "",
                        metadata["name"],
                        revision,
                        entry.encoded,
                    ),
                )
                self._save_revision(db, revision)
        self.revision = revision
        shelf.entries[key] = entry
        if old is None:
            bisect.insort(shelf.order, key)
        self._publish(shelf, Event(change, resource, entry, old))
        return entry

    def delete(self, resource: Resource, namespace: str | None, name: str) -> Entry:
        """Remove an object; the answer is its last state under the revision of the deletion."""
        key = object_key(namespace, name)
        shelf = self._of(resource)
        old = shelf.entries.get(key)
        if old is None:
            raise ValueError(f"{resource.plural} {key}: nothing to delete")
        revision = self.revision + 1
        if self._db is not None:
            with self._transaction() as db:
                db.execute(
                    "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?",
                    (qualified(resource.plural, resource.group), namespace or "", name),
                )
                self._save_revision(db, revision)
        self.revision = revision
        del shelf.entries[key]
        del shelf.order[bisect.bisect_left(shelf.order, key)]
        entry = Entry(key, _stamped(old.object, revision), revision)
        self._publish(shelf, Event(DELETED, resource, entry, old))
        return entry

    @staticmethod
    def _save_revision(db: sqlite3.Connection, revision: int) -> None:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('revision', ?)", (str(revision),))

    @contextlib.contextmanager
    def _transaction(self) -> t.Iterator[sqlite3.Connection]:
        db = t.cast(sqlite3.Connection, self._db)
        if self._bulk_depth:
            yield db
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    @contextlib.contextmanager
    def bulk(self) -> t.Iterator[None]:
        """Many writes in one commit, for loading. What is written inside is safe when the block ends."""
        outermost = self._bulk_depth == 0 and self._db is not None
        if outermost and self._db is not None:
            self._db.execute("BEGIN IMMEDIATE")
        self._bulk_depth += 1
        try:
            yield
        finally:
            self._bulk_depth -= 1
            # Memory already holds the writes, so they are committed even when the block fails half way.
            if outermost and self._db is not None:
                self._db.execute("COMMIT")

    # ---- meta

    def meta(self, key: str) -> str | None:
        """A value kept beside the objects, such as the token of the administrator."""
        if self._db is None:
            return None
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", ("user:" + key,)).fetchone()
        return str(row[0]) if row is not None else None

    def set_meta(self, key: str, value: str) -> None:
        if self._db is not None:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", ("user:" + key, value))

    # ---- events

    def subscribe(self, callback: Callback, resource: Resource | None = None) -> t.Callable[[], None]:
        """Call ``callback`` after each commit (of one resource when given); the answer unsubscribes.

        Every subscriber sees all events in order of revision, also those that another subscriber's
        own writes cause.
        """
        number = self._next_subscriber
        self._next_subscriber += 1
        wanted = qualified(resource.plural, resource.group) if resource is not None else None
        self._subscribers[number] = (callback, wanted)

        def unsubscribe() -> None:
            self._subscribers.pop(number, None)

        return unsubscribe

    def _publish(self, shelf: _Shelf, event: Event) -> None:
        shelf.history.append(event)
        if len(shelf.history) > self._limit:
            shelf.compacted = shelf.history.popleft().entry.revision
        self._pending.append(event)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._pending:
                current = self._pending.popleft()
                name = qualified(current.resource.plural, current.resource.group)
                for callback, wanted in list(self._subscribers.values()):
                    if wanted is None or wanted == name:
                        callback(current)
        finally:
            self._delivering = False

    def compact(self, revision: int | None = None) -> None:
        """Forget the history up to ``revision`` (default: all of it), as etcd does every five minutes."""
        upto = self.revision if revision is None else revision
        self._forgotten = max(self._forgotten, upto)
        for shelf in self._shelves.values():
            while shelf.history and shelf.history[0].entry.revision <= upto:
                shelf.history.popleft()
            shelf.compacted = max(shelf.compacted, upto)


def _within(order: t.Sequence[str], namespace: str | None) -> t.Sequence[str]:
    if not namespace:
        return order
    # "0" is the character after "/".
    return order[bisect.bisect_left(order, namespace + "/") : bisect.bisect_left(order, namespace + "0")]
