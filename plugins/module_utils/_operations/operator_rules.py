# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What the Tigera operator takes of pools, said before it is asked (spec ippool.md §10.1, §10.3)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import INSTALLATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import ITEMS, keeps, served_schema
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_claims import IGNORE, WHERE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import Entry
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import Shown

LIST = ("spec", "calicoNetwork", "ipPools")
#: What an entry says of a pool that is disabled.
DISABLES = "disableNewAllocations"

# Member of an entry -> the first operator and the first Calico that have it.
_SINCE = {
    DISABLES: ("v1.36", "v3.29"),
    "assignmentMode": ("v1.37", "v3.30"),
    "allowedUses": ("v1.34", "v3.28"),
}


def refuse_to_begin_a_list(name: str, entries: t.Sequence[Entry], pools: t.Sequence[StoredPool]) -> None:
    """§10.2: with the first entry of an emptied list the operator deletes all other pools of its own."""
    mine = [] if entries else [pool for pool in pools if pool.labels.get(OWNER_LABEL) == OPERATOR]
    lost = ", ".join(pool.name for pool in mine if pool.name != name and not pool.terminating)
    if lost:
        raise Refused(
            f"IPPool {name!r} cannot be the only entry of {WHERE}: the list is empty, {lost} carry the label "
            f"{OWNER_LABEL}={OPERATOR}, and the Tigera operator would delete them since they are not in it; put "
            "their entries back first.",
            pool=name,
        )


def refuse_ipip_without_bgp(name: str, installation: Object) -> None:
    """§10.1: encapsulation is checked against the Installation's BGP settings."""
    if ((installation.get("spec") or {}).get("calicoNetwork") or {}).get("bgp") == "Disabled":
        raise Refused(
            f"IPPool {name!r} cannot have ipipMode: Installation default has bgp Disabled, and then the Tigera "
            "operator takes no pool with IPIP, nor any other change of the list; use vxlan_mode.",
            pool=name,
            field="ipipMode",
        )


def refuse_none_enabled(name: str, pools: t.Iterable[StoredPool]) -> None:
    """§10.1: of whatever kind, listed or not."""
    others = (pool for pool in pools if pool.name != name)
    if all(pool.terminating or pool.spec.get("disabled") for pool in others):
        raise Refused(
            f"IPPool {name!r} is the last pool that is not disabled, and the Tigera operator is Degraded until "
            "there is one; create or enable another pool first.",
            pool=name,
        )


def unknown_members(api: KubeApi, members: t.Iterable[str], entries: t.Sequence[Entry]) -> list[str]:
    """Those of an entry's younger members that the operator of this cluster does not know; one in use is known."""
    new = [member for member in members if member in _SINCE and not any(member in old for old in entries)]
    schema = served_schema(api, INSTALLATIONS) if new else None
    return [] if schema is None else [member for member in new if not keeps(schema, (*LIST, ITEMS, member))]


def refuse_unknown_members(api: KubeApi, name: str, entry: Entry, entries: t.Sequence[Entry]) -> None:
    """§10.1: an API server that does not know a member drops it, and the operator never hears of it."""
    for member in unknown_members(api, entry, entries):
        raise _too_old(name, member)


def refuse_to_give_away(name: str, before: Shown | None, after: Shown | None) -> None:
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


def refuse_what_it_does_not_take(name: str, spec: Shown) -> None:
    """The operator wants a pool to hold a block also while it is disabled (§10.1)."""
    pool = StoredPool(name, {"metadata": {"name": name}, "spec": dict(spec)}).pool()
    if pool is not None and pool.cidr.prefix > pool.block_size:
        raise Refused(
            f"IPPool {name!r}: {pool.cidr} is smaller than one block of /{pool.block_size}, which the Tigera operator "
            "refuses for disabled pools, too; give a larger CIDR or a longer blockSize.",
            pool=name,
        )


def refused(name: str, error: ApiError) -> Refused:
    """What to say when the API server takes no such Installation."""
    for member in _SINCE:
        if f"{member}" in error.message and "unknown field" in error.message:
            return _too_old(name, member)
    answer = " ".join(error.message.split()).rstrip(".") + "."
    return Refused(f"IPPool {name!r}: {WHERE} was not changed, because the API server refused it: {answer}", pool=name)


def _too_old(name: str, member: str) -> Refused:
    operator, calico = _SINCE[member]
    instead = (
        "; set node_selector to '!all()' instead, which keeps pods that do not ask for the pool out of it"
        if member == DISABLES
        else ""
    )
    return Refused(
        f"IPPool {name!r}: the Tigera operator of this cluster does not know {member} in its Installation, which came "
        f"with operator {operator} and Calico {calico}{instead}.",
        pool=name,
        member=member,
    )
