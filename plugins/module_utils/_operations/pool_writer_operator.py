# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Pools on a cluster whose pools the Tigera operator manages (spec ippool.md §10).

A pool of the operator's is changed in the list ipPools of Installation ``default``, which is
read, changed in one place and sent back whole; the operator does the rest and is waited for. Its
labels and annotations are kept by the operator and are changed on the pool itself. Pools that
the operator does not know are written as on any other cluster.
"""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import APISERVER
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    BadRequest,
    Conflict,
    Invalid,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import INSTALLATIONS, IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import metadata_patch
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import validate_update
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_claims import (
    WHERE,
    is_operators,
    place_in,
    refuse_ignored,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    MOST_ENTRIES,
    Entry,
    edited,
    entry_of,
    index_of,
    network_of,
    same_pool,
    spec_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_rules import (
    DISABLES,
    refuse_ipip_without_bgp,
    refuse_none_enabled,
    refuse_to_begin_a_list,
    refuse_to_give_away,
    refuse_unknown_members,
    refuse_what_it_does_not_take,
    refused,
    unknown_members,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_wait import wait_until_made
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_legacy import FOR_GOOD
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool, find
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import Part, Report, Shown
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_custom_resource import (
    CustomResourceWriter,
    wait_for_end,
)

ATTEMPTS = 5


_DEGRADED = (
    "Edited in the Installation, it would be refused to the operator, which stays Degraded until the entry is put back."
)


class OperatorWriter:
    """``PoolWriter`` for this Installation and the pools of now; ``below`` writes what is not the operator's.

    ``declared_by`` are the tools that write the Installation, in words, ``heirs`` pools that are taken to be there.
    """

    def __init__(
        self,
        below: CustomResourceWriter,
        installation: Object,
        declared_by: t.Sequence[str] = (),
        heirs: t.Sequence[StoredPool] = (),
    ) -> None:
        self._below = below
        self._api = below.api
        self._installation = installation
        self._entries = entries_of(installation)
        self._declared_by = declared_by
        self._heirs = heirs
        self._live = below.pools()
        self._untouched = True

    def where(self, name: str) -> str:
        return WHERE if self._is_operators(name) else self._below.where(name)

    def can_disable(self, name: str) -> bool:
        return not self._is_operators(name) or not unknown_members(self._api, (DISABLES,), self._entries)

    def pools(self) -> list[StoredPool]:
        """As declared: the pools of the operator with the spec that their entry gives them, made yet or not."""
        found = [self._declared(live) for live in self._live]
        names = {live.name for live in self._live}
        taken = {live.pool_cidr for live in self._live}
        for entry in self._entries:
            name = entry.get("name")
            if isinstance(name, str) and name not in names and network_of(entry) not in taken:
                metadata = {"name": name, "labels": {OWNER_LABEL: OPERATOR}}
                found.append(StoredPool(name, {"metadata": metadata, "spec": spec_of(entry, {})}))
        return sorted(found, key=lambda pool: pool.name)

    def parts(self, name: str, before: Shown | None, after: Shown | None) -> list[Part]:
        if not self._is_operators(name):
            return self._below.parts(name, before, after)
        refuse_to_give_away(name, before, after)
        new = self._changed(name, before, after)
        parts = []
        if new != self._entries:
            refuse_ignored(name, self._live)
            parts.append(Part(WHERE, self._entries, new))
        old_metadata, new_metadata = _metadata(before), _metadata(after)
        if after is not None and old_metadata != new_metadata:
            parts.append(Part(self._below.where(name), old_metadata, new_metadata))
        return parts

    def warnings(self, name: str) -> list[str]:
        if not self._declared_by or not self._is_operators(name):
            return []
        return [
            f"Installation default bears the mark of {' and '.join(self._declared_by)}: make the same change of pool "
            f"{name!r} there (with Helm, installation.calicoNetwork.ipPools), or it is taken back one day."
        ]

    def reworded(self, name: str, error: InvalidPool) -> InvalidPool:
        if not self._is_operators(name):
            return error
        return InvalidPool(
            [
                replace(each, message=f"{each.message} {_DEGRADED}") if each.rule in ("V21", "V22") else each
                for each in error.errors
            ]
        )

    # Writes

    def create(self, body: Object) -> StoredPool:
        name = body["metadata"]["name"]
        entries = [*self._entries, entry_of(name, body["spec"])]
        self._write(name, entries)
        metadata = {key: body["metadata"].get(key) or {} for key in ("labels", "annotations")}
        return StoredPool(name, {"metadata": {"name": name, **metadata}, "spec": body["spec"]})

    def patch(self, name: str, patch: Object, live: StoredPool) -> StoredPool:
        if not self._is_operators(name):
            return self._below.patch(name, patch, live)
        changed = patch.get("spec") or {}
        if changed:
            spec = {**live.spec, **changed}
            self._refuse_what_is_refused_to_the_operator(live, spec)
            self._write(name, self._with(name, changed, spec))
        metadata = {key: value for key, value in patch["metadata"].items() if key != "resourceVersion"}
        if "uid" not in live.thing["metadata"]:
            # An earlier run put it on the list: settle() writes labels and annotations when the operator has made it.
            wanted = {key: {**getattr(live, key), **(metadata.get(key) or {})} for key in ("labels", "annotations")}
            kept = {
                key: {word: text for word, text in each.items() if text is not None} for key, each in wanted.items()
            }
            return StoredPool(name, {"metadata": {"name": name, **kept}, "spec": {**live.spec, **changed}})
        labelled = self._label(live, metadata) if metadata else None
        if labelled is not None and not changed:
            return self._declared(labelled)
        # Without labels, for settle() to leave those alone that are there by now.
        return StoredPool(name, {"metadata": {"name": name}, "spec": {**live.spec, **changed}})

    def delete(self, live: StoredPool, *, clock: Clock, timeout: float, report: Report) -> None:
        if not self._is_operators(live.name):
            self._below.delete(live, clock=clock, timeout=timeout, report=report)
            return
        index = self._index(live.name)
        if index is not None:
            self._write(live.name, [*self._entries[:index], *self._entries[index + 1 :]])
        if "uid" in live.thing["metadata"]:
            wait_for_end(self._api, live, clock=clock, timeout=timeout, report=report)

    def settle(self, pool: StoredPool, *, clock: Clock, timeout: float, report: Report) -> StoredPool:
        begun = clock.monotonic()
        if self._is_operators(pool.name) and not (self._untouched and self._is_made(pool.name)):
            entries = entries_of(self._api.get(INSTALLATIONS, "default"))
            index = index_of(entries, pool.name, pool.pool_cidr)
            if index is None:
                raise Refused(
                    f"IPPool {pool.name!r} was taken out of {WHERE} again by someone else; find out who changes that "
                    "list, then run this again.",
                    pool=pool.name,
                )
            refuse_ignored(pool.name, self._live)
            made = wait_until_made(self._api, pool.name, entries[index], clock=clock, timeout=timeout, report=report)
            # The operator gives a new pool no labels but its own.
            metadata = metadata_patch(made.thing, pool.labels, pool.annotations)
            pool = self._label(made, metadata) if metadata else made
        left = max(0.0, timeout - (clock.monotonic() - begun))
        return self._below.settle(pool, clock=clock, timeout=left, report=report)

    def _is_made(self, name: str) -> bool:
        live, index = find(self._live, name), self._index(name)
        return (
            live is not None
            and index is not None
            and live.labels.get(OWNER_LABEL) == OPERATOR
            and same_pool(self._entries[index], live.spec)
        )

    def _label(self, live: StoredPool, metadata: Object) -> StoredPool:
        """Change labels and annotations of a pool of the operator's, who keeps on writing the rest of it."""
        for _attempt in range(ATTEMPTS):
            now = StoredPool(live.name, self._api.get(IP_POOLS, live.name))
            patch = {"metadata": {**metadata, "resourceVersion": now.resource_version}}
            try:
                return StoredPool(live.name, self._api.patch(IP_POOLS, live.name, patch))
            except Conflict:
                continue
        raise Refused(
            f"IPPool {live.name!r} was changed by someone else {ATTEMPTS} times while its labels were being written; "
            "find out who changes it, then run this again.",
            pool=live.name,
        )

    def _refuse_what_is_refused_to_the_operator(self, live: StoredPool, spec: Shown) -> None:
        """It would be Degraded for it: Calico's API server checks all it sends, and no CRD lets it repair a CIDR."""
        try:
            validate_update(live.name, live.spec, spec)
        except InvalidPool as error:
            if self._below.mode == APISERVER or {each.rule for each in error.errors} & FOR_GOOD:
                raise

    def _write(self, name: str, entries: t.Sequence[Entry]) -> None:
        version = self._installation["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": {"calicoNetwork": {"ipPools": list(entries)}}}
        try:
            self._installation = self._api.patch(INSTALLATIONS, "default", body)
        except (BadRequest, Invalid) as error:
            raise refused(name, error) from None
        self._entries = entries_of(self._installation)
        self._untouched = False

    # Whose pool it is

    def _index(self, name: str) -> int | None:
        return place_in(self._entries, name, self._live)

    def _is_operators(self, name: str) -> bool:
        return is_operators(name, self._entries, self._live)

    def _declared(self, live: StoredPool) -> StoredPool:
        index = index_of(self._entries, live.name, live.pool_cidr)
        if index is None or live.labels.get(OWNER_LABEL) != OPERATOR:
            return live
        # Of the two CIDRs the pool's counts: where they differ, _owned says so.
        spec = {**spec_of(self._entries[index], live.spec), "cidr": live.spec.get("cidr")}
        return StoredPool(live.name, {**live.thing, "spec": spec})

    # The list as it is to be

    def _with(self, name: str, changed: Shown, spec: Shown) -> list[Entry]:
        index = self._index(name)
        if index is None:
            return [*self._entries, entry_of(name, spec)]
        new = edited(self._entries[index], name, changed, spec)
        return [*self._entries[:index], new, *self._entries[index + 1 :]]

    def _changed(self, name: str, before: Shown | None, after: Shown | None) -> list[Entry]:
        index = self._index(name)
        if after is None:
            return [entry for place, entry in enumerate(self._entries) if place != index]
        old = default_spec(before["spec"]) if before is not None else {}
        new = default_spec(after["spec"])
        changed = {key: new.get(key) for key in {**old, **new} if old.get(key) != new.get(key)}
        entries = self._with(name, changed, new)
        if len(entries) > MOST_ENTRIES:
            raise Refused(
                f"IPPool {name!r} cannot be added: {WHERE} has {len(self._entries)} entries, and {MOST_ENTRIES} are "
                "the most the operator takes; remove one first.",
                pool=name,
            )
        refuse_to_begin_a_list(name, self._entries, self._live)
        refuse_unknown_members(self._api, name, entries[self._place(name)], self._entries)
        refuse_what_it_does_not_take(name, new)
        if "ipipMode" in changed and new["ipipMode"] != "Never":
            refuse_ipip_without_bgp(name, self._installation)
        if new.get("disabled") and not old.get("disabled"):
            refuse_none_enabled(name, [*self.pools(), *self._heirs])
        return entries

    def _place(self, name: str) -> int:
        index = self._index(name)
        return len(self._entries) if index is None else index


def entries_of(installation: Object) -> list[Entry]:
    """The list of pools of an Installation; empty when it has none."""
    network = (installation.get("spec") or {}).get("calicoNetwork") or {}
    return [dict(entry) for entry in network.get("ipPools") or ()]


def _metadata(pool: Shown | None) -> dict[str, t.Any] | None:
    if pool is None:
        return None
    part = {key: dict(sorted(pool[key].items())) for key in ("labels", "annotations")}
    part["labels"].pop(OWNER_LABEL, None)
    return {key: value for key, value in part.items() if value} or None
