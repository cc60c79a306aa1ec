# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Why a pool that was stored before a rule existed cannot be changed, and what has to be done (spec ippool.md §3.3)."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import APISERVER
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    FieldError,
    InvalidInput,
    InvalidPool,
    Refused,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import validate_update
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import SPEC_FIELDS, StoredPool

_OPTIONS = {field: option for option, field in SPEC_FIELDS.items()}
#: Rules about what can never be changed in a pool.
FOR_GOOD = frozenset({"V1", "V2", "V3", "V4", "V5", "V6", "V7"})
_REPAIRS = {
    "V8": "set disabled to true",
    "V9": "set ipip_mode or vxlan_mode to Never",
    "V10": "set ipip_mode to Never",
    "V17": "set allowed_uses to [Workload], or namespace_selector to an empty text",
}


def explained(live: StoredPool, error: InvalidPool) -> InvalidPool:
    """The error, which a change of ``live`` met, with the way out for every rule that ``live`` broke before."""
    before = {(each.rule, each.field): each for each in _broken(live)}
    met = {(each.rule, each.field) for each in error.errors} & set(before)
    if not met and {rule for rule, _field in before} & FOR_GOOD:
        # The API server lists every rule that it could not so much as evaluate; what is wrong is known better here.
        return InvalidPool([_explained(each) for each in before.values()])
    return InvalidPool([_explained(each) if (each.rule, each.field) in met else each for each in error.errors])


def broken_before(live: StoredPool) -> set[tuple[str, str]]:
    """Rule and field of everything that is wrong with a pool as it is stored."""
    return {(each.rule, each.field) for each in _broken(live)}


def _broken(live: StoredPool) -> tuple[FieldError, ...]:
    try:
        validate_update(live.name, live.spec, live.spec)
    except InvalidPool as error:
        return error.errors
    return ()


def _explained(error: FieldError) -> FieldError:
    why = "The pool was stored before that was checked, and any change of its spec has all of it checked again"
    if error.rule in FOR_GOOD:
        out = f"{why}; its {error.field} can never be changed, so this pool can only be emptied and deleted."
    else:
        repair = _REPAIRS.get(error.rule) or f"put {_OPTIONS.get(error.field, error.field)} right"
        out = f"{why}: {repair} in the same call."
    return replace(error, message=f"{error.message} {out}")


def refuse_other_spelling(live: StoredPool, mode: str, *, operated: bool = False) -> None:
    """Nobody who sends whole pools can update one whose CIDR is stored in another spelling than Calico's own.

    Calico's API server and the Tigera operator (``operated``) send the canonical text, which the CRD takes for a
    change of the CIDR. The API server disables a pool before it deletes it, so that only a disabled one can go.
    """
    text = live.spec.get("cidr")
    if not (operated or mode == APISERVER) or not is_other_spelling(text):
        return
    past = "the operator" if operated else "the API server"
    who = "the Tigera operator" if operated else "Calico's API server"
    group = "crd.projectcalico.org" if mode == APISERVER else "projectcalico.org"
    also = " and disableNewAllocations: true in its entry of the Installation" if operated else ""
    raise Refused(
        f"IPPool {live.name!r} has its CIDR stored as {text!r}, which Calico writes "
        f"{str(parse_network(text))!r}: {who} sends that spelling with every update, and the CRD refuses "
        f"it as a change. Such a pool can only be deleted, and must be disabled for that past {past}: kubectl "
        f"patch ippools.{group} {live.name} --type merge -p "
        f"""'{{"spec":{{"disabled":true}}}}'{also}, then state: absent.""",
        pool=live.name,
        field="cidr",
        value=text,
    )


def refuse_undeletable(live: StoredPool, mode: str, *, operated: bool = False) -> None:
    """Calico's API server disables a pool before it deletes it, and one that breaks a rule for good it cannot.

    The Tigera operator deletes through that server, too, and would make an ``operated`` pool again.
    """
    broken = {rule for rule, _field in broken_before(live)} & FOR_GOOD
    if mode != APISERVER or live.spec.get("disabled") or not broken:
        return
    first = "take its entry out of the Installation and " if operated else ""
    raise Refused(
        f"IPPool {live.name!r} cannot be deleted through Calico's API server, which disables a pool first and refuses "
        f"to update one whose CIDR or blockSize breaks a rule ({', '.join(sorted(broken))}): when nothing uses it, "
        f"{first}delete it past the API server (kubectl delete ippools.crd.projectcalico.org {live.name}), then run "
        "this again with its cidr to clean the range.",
        pool=live.name,
    )


def is_other_spelling(cidr: t.Any) -> bool:
    """Whether this is a network, and not as Calico spells it."""
    try:
        return bool(str(parse_network(cidr)) != cidr)
    except InvalidInput:
        return False
