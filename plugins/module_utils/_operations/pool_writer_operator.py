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
    ApiError,
    BadRequest,
    Conflict,
    Invalid,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import INSTALLATIONS, IP_POOLS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import ITEMS, keeps, served_schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import metadata_patch
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import validate_update
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    MOST_ENTRIES,
    Entry,
    adopts,
    edited,
    entry_of,
    index_of,
    network_of,
    same_pool,
    spec_of,
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
WHERE = "Installation default spec.calicoNetwork.ipPools"
IGNORE = "unsupported.operator.tigera.io/ignore"
LIST = ("spec", "calicoNetwork", "ipPools")

# Member of an entry -> the first operator and the first Calico that have it.
_SINCE = {
    "disableNewAllocations": ("v1.36", "v3.29"),
    "assignmentMode": ("v1.37", "v3.30"),
    "allowedUses": ("v1.34", "v3.28"),
}


_DEGRADED = (
    "Edited in the Installation, it would be refused to the operator, which stays Degraded until the entry is put back."
)


class OperatorWriter:
    """``PoolWriter`` for this Installation and the pools of now; ``below`` writes what is not the operator's.

    ``declared_by`` are the tools that write the Installation, in words.
    """

    def __init__(self, below: CustomResourceWriter, installation: Object, declared_by: t.Sequence[str] = ()) -> None:
        self._below = below
        self._api = below.api
        self._installation = installation
        self._entries = entries_of(installation)
        self._declared_by = declared_by
        self._live = below.pools()
        self._untouched = True

    def where(self, name: str) -> str:
        return WHERE if self._owned(name) else self._below.where(name)

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
        if not self._owned(name):
            return self._below.parts(name, before, after)
        _refuse_to_give_away(name, before, after)
        new = self._changed(name, before, after)
        parts = []
        if new != self._entries:
            self._refuse_ignored(name)
            parts.append(Part(WHERE, self._entries, new))
        old_metadata, new_metadata = _metadata(before), _metadata(after)
        if after is not None and old_metadata != new_metadata:
            parts.append(Part(self._below.where(name), old_metadata, new_metadata))
        return parts

    def warnings(self, name: str) -> list[str]:
        if not self._declared_by or not self._owned(name):
            return []
        return [
            f"Installation default bears the mark of {' and '.join(self._declared_by)}: make the same change of pool "
            f"{name!r} there (with Helm, installation.calicoNetwork.ipPools), or it is taken back one day."
        ]

    def reworded(self, name: str, error: InvalidPool) -> InvalidPool:
        if not self._owned(name):
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
        if not self._owned(name):
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
        if not self._owned(live.name):
            self._below.delete(live, clock=clock, timeout=timeout, report=report)
            return
        index = self._index(live.name)
        if index is not None:
            self._write(live.name, [*self._entries[:index], *self._entries[index + 1 :]])
        if "uid" in live.thing["metadata"]:
            wait_for_end(self._api, live, clock=clock, timeout=timeout, report=report)

    def settle(self, pool: StoredPool, *, clock: Clock, timeout: float, report: Report) -> StoredPool:
        begun = clock.monotonic()
        if self._owned(pool.name) and not (self._untouched and self._is_made(pool.name)):
            entries = entries_of(self._api.get(INSTALLATIONS, "default"))
            index = index_of(entries, pool.name, pool.pool_cidr)
            if index is None:
                raise Refused(
                    f"IPPool {pool.name!r} was taken out of {WHERE} again by someone else; find out who changes that "
                    "list, then run this again.",
                    pool=pool.name,
                )
            self._refuse_ignored(pool.name)
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
            raise _refused(name, error) from None
        self._entries = entries_of(self._installation)
        self._untouched = False

    # Whose pool it is

    def _index(self, name: str) -> int | None:
        live = find(self._live, name)
        return index_of(self._entries, name, None if live is None else live.pool_cidr)

    def _owned(self, name: str) -> bool:
        """§10.2. Refused for pools that the operator and somebody else both lay claim to."""
        live, index = find(self._live, name), self._index(name)
        if live is None:
            return True
        labelled = live.labels.get(OWNER_LABEL) == OPERATOR
        if labelled and index is None:
            raise Refused(
                f"IPPool {name!r} carries the label {OWNER_LABEL}={OPERATOR} and is not in {WHERE}: the Tigera "
                "operator deletes such a pool; add its entry there, or take the label off, then run this again.",
                pool=name,
            )
        if index is not None:
            entry = self._entries[index]
            self._refuse_another_range(name, live.pool_cidr, entry)
            if labelled or adopts(entry, live.spec):
                return True
            if same_pool(entry, live.spec):
                raise Refused(
                    f"IPPool {name!r} is as its entry in {WHERE} says and does not carry the operator's label: the "
                    "Tigera operator never adopts a pool without encapsulation, blockSize or allowedUses by itself "
                    f"and stays Degraded; label it (kubectl label ippools.projectcalico.org {name} "
                    f"{OWNER_LABEL}={OPERATOR}), then run this again.",
                    pool=name,
                    entry=entry,
                )
        for entry in self._entries if not labelled else ():
            if network_of(entry) is not None and network_of(entry) == live.pool_cidr:
                raise Refused(
                    f"IPPool {name!r} ({live.pool_cidr}) does not carry the operator's label, and the entry "
                    f"{entry.get('name') or entry.get('cidr')!r} of {WHERE} has its range but other settings: the "
                    "operator makes no pool of that entry and its TigeraStatus ippools is Degraded. Make the entry "
                    "like the pool, or take one of the two away, then run this again.",
                    pool=name,
                    entry=entry,
                )
        return labelled

    def _refuse_ignored(self, name: str) -> None:
        """§10.3: the operator would not carry a change of the entry out."""
        live = find(self._live, name)
        if live is not None and live.annotations.get(IGNORE) == "true":
            raise Refused(
                f"IPPool {name!r} has the annotation {IGNORE}, so the Tigera operator does not carry changes of its "
                "entry out; take the annotation off, then run this again.",
                pool=name,
            )

    def _refuse_another_range(self, name: str, cidr: Network | None, entry: Entry) -> None:
        wanted = network_of(entry)
        if wanted is not None and cidr is not None and wanted != cidr:
            raise Refused(
                f"The entry {name!r} of {WHERE} has the CIDR {wanted} and IPPool {name!r} has {cidr}: the operator "
                "cannot change the CIDR of a pool and is Degraded until they are the same; put the entry back.",
                pool=name,
                entry=entry,
            )

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
        self._refuse_to_begin_a_list(name)
        self._refuse_unknown_members(name, entries[self._place(name)])
        _refuse_what_the_operator_does_not_take(name, new)
        if "ipipMode" in changed and new["ipipMode"] != "Never":
            self._refuse_ipip_without_bgp(name)
        if new.get("disabled") and not old.get("disabled"):
            self._refuse_none_enabled(name)
        return entries

    def _refuse_to_begin_a_list(self, name: str) -> None:
        """§10.2: with the first entry of an emptied list the operator deletes all other pools of its own."""
        mine = [] if self._entries else [pool for pool in self._live if pool.labels.get(OWNER_LABEL) == OPERATOR]
        lost = ", ".join(pool.name for pool in mine if pool.name != name and not pool.terminating)
        if lost:
            raise Refused(
                f"IPPool {name!r} cannot be the only entry of {WHERE}: the list is empty, {lost} carry the label "
                f"{OWNER_LABEL}={OPERATOR}, and the Tigera operator would delete them since they are not in it; put "
                "their entries back first.",
                pool=name,
            )

    def _refuse_ipip_without_bgp(self, name: str) -> None:
        if ((self._installation.get("spec") or {}).get("calicoNetwork") or {}).get("bgp") == "Disabled":
            raise Refused(
                f"IPPool {name!r} cannot have ipipMode: Installation default has bgp Disabled, and then the Tigera "
                "operator takes no pool with IPIP, nor any other change of the list; use vxlan_mode.",
                pool=name,
                field="ipipMode",
            )

    def _refuse_none_enabled(self, name: str) -> None:
        """§10.1: of whatever kind, listed or not."""
        others = (pool for pool in self.pools() if pool.name != name)
        if all(pool.terminating or pool.spec.get("disabled") for pool in others):
            raise Refused(
                f"IPPool {name!r} is the last pool that is not disabled, and the Tigera operator is Degraded until "
                "there is one; create or enable another pool first.",
                pool=name,
            )

    def _place(self, name: str) -> int:
        index = self._index(name)
        return len(self._entries) if index is None else index

    def _refuse_unknown_members(self, name: str, entry: Entry) -> None:
        new = [member for member in _SINCE if member in entry and not any(member in old for old in self._entries)]
        schema = served_schema(self._api, INSTALLATIONS) if new else None
        for member in new if schema is not None else ():
            if not keeps(schema or {}, (*LIST, ITEMS, member)):
                raise _too_old(name, member)


def entries_of(installation: Object) -> list[Entry]:
    """The list of pools of an Installation; empty when it has none."""
    network = (installation.get("spec") or {}).get("calicoNetwork") or {}
    return [dict(entry) for entry in network.get("ipPools") or ()]


def _refuse_to_give_away(name: str, before: Shown | None, after: Shown | None) -> None:
    """§10.3: the label comes back while an equal entry exists, and otherwise the operator is Degraded."""
    if before is None or after is None or before["labels"].get(OWNER_LABEL) != OPERATOR:
        return
    if after["labels"].get(OWNER_LABEL) != OPERATOR:
        raise Refused(
            f"IPPool {name!r} is the Tigera operator's, which knows it by the label {OWNER_LABEL}={OPERATOR} and puts "
            f"that back; leave it out of labels. To take the pool from the operator, set its annotation {IGNORE} to "
            "'true', remove the label with kubectl, and take its entry out of the Installation, in this order.",
            pool=name,
            field=f"labels.{OWNER_LABEL}",
        )


def _metadata(pool: Shown | None) -> dict[str, t.Any] | None:
    if pool is None:
        return None
    part = {key: dict(sorted(pool[key].items())) for key in ("labels", "annotations")}
    part["labels"].pop(OWNER_LABEL, None)
    return {key: value for key, value in part.items() if value} or None


def _refuse_what_the_operator_does_not_take(name: str, spec: Shown) -> None:
    """The operator wants a pool to hold a block also while it is disabled (§10.1)."""
    pool = StoredPool(name, {"metadata": {"name": name}, "spec": dict(spec)}).pool()
    if pool is not None and pool.cidr.prefix > pool.block_size:
        raise Refused(
            f"IPPool {name!r}: {pool.cidr} is smaller than one block of /{pool.block_size}, which the Tigera operator "
            "refuses for disabled pools, too; give a larger CIDR or a longer blockSize.",
            pool=name,
        )


def _refused(name: str, error: ApiError) -> Refused:
    for member in _SINCE:
        if f"{member}" in error.message and "unknown field" in error.message:
            return _too_old(name, member)
    answer = " ".join(error.message.split()).rstrip(".") + "."
    return Refused(f"IPPool {name!r}: {WHERE} was not changed, because the API server refused it: {answer}", pool=name)


def _too_old(name: str, member: str) -> Refused:
    operator, calico = _SINCE[member]
    instead = (
        "; set node_selector to '!all()' instead, which keeps pods that do not ask for the pool out of it"
        if member == "disableNewAllocations"
        else ""
    )
    return Refused(
        f"IPPool {name!r}: the Tigera operator of this cluster does not know {member} in its Installation, which came "
        f"with operator {operator} and Calico {calico}{instead}.",
        pool=name,
        member=member,
    )
