# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""What is wrong with a block as it is stored, told without trusting any of its members.

``form_of`` is about types: can the members be read at all? ``contradiction`` is about
content: do they agree with each other (spec ipam-engine.md §2.2, §21 invariants 2, 3, 5
and 9)? Both name the first fault as the end of a sentence "IPAMBlock x ...".

Every block of a cluster passes through here, so whole lists are looked at with one call
of a builtin each.
"""

from __future__ import annotations

import itertools
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import block_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import parse_time

Spec = t.Mapping[str, t.Any]

# The longest CIDR text there is has 43 characters.
_LONGEST_CIDR = 64

#: Sequence numbers are unsigned 64-bit integers (§0).
MOST_SEQUENCE = (1 << 64) - 1

_NULL = type(None)
_INTEGERS = frozenset({int})
_INTEGERS_AND_NULLS = frozenset({int, _NULL})
_TEXTS = frozenset({str})
_TEXTS_AND_NULLS = frozenset({str, _NULL})
_MAPS = frozenset({dict})
_MAPS_AND_NULLS = frozenset({dict, _NULL})
_FREE = frozenset({None})


class BlockFault(InvalidInput):
    """A stored block that cannot be read; ``fault`` is the end of the sentence "IPAMBlock x ..."."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"The block {fault}.", "spec")
        self.fault = fault


class Form(t.NamedTuple):
    """The attributes of a block as columns: ``handles`` and ``owners`` (secondary), null where there is none.

    ``plain``: no attribute has any other member, and none is null.
    """

    handles: t.List[t.Optional[str]]
    owners: t.List[t.Optional[t.Dict[str, str]]]
    plain: bool


def readable(spec: t.Any) -> t.Tuple[Network, Form]:
    """The CIDR, its host bits cleared, and the attributes of a block whose members can all be read.

    BlockFault otherwise.
    """
    if not isinstance(spec, dict):
        raise BlockFault("has no spec")
    text = spec.get("cidr")
    if not isinstance(text, str) or len(text) > _LONGEST_CIDR:
        raise BlockFault("has no CIDR")
    try:
        cidr = parse_network(text, strict=False)
    except InvalidInput as error:
        raise BlockFault(f"has a bad CIDR: {error.message.rstrip('.')}") from None
    return cidr, form_of(spec)


def first_fault(name: t.Any, spec: Spec, cidr: Network) -> t.Optional[str]:
    """What is wrong with a block that can be read, also where that harms nobody; else None."""
    if spec["cidr"] != str(cidr):
        return f"spells its CIDR {spec['cidr']!r} where Calico writes {cidr}"
    if name != block_name(cidr):
        return f"has the CIDR {cidr}, which has another name"
    fault = contradiction(spec, cidr.size)
    if fault is not None:
        return fault
    lost = spec["allocations"].count(None) - len(spec.get("unallocated") or ())
    return f"has {lost} addresses that are neither free nor allocated, so that nobody gets them" if lost else None


def form_of(spec: Spec) -> Form:
    """The form of a block whose members, its CIDR aside, are all of the types Calico writes; BlockFault otherwise."""
    get = spec.get
    allocations = get("allocations")
    if type(allocations) is not list or not _INTEGERS_AND_NULLS.issuperset(map(type, allocations)):
        raise BlockFault("has allocations that are not a list of whole numbers and nulls")
    unallocated = get("unallocated")
    if unallocated is not None and (type(unallocated) is not list or not _INTEGERS.issuperset(map(type, unallocated))):
        raise BlockFault("has an unallocated that is not a list of whole numbers")
    attributes = get("attributes")
    if attributes is None:
        attributes = []
    elif type(attributes) is not list or not _MAPS.issuperset(map(type, attributes)):
        raise BlockFault("has attributes that are not a list of objects")
    numbers = get("sequenceNumberForAllocation")
    if numbers is not None and (type(numbers) is not dict or not _INTEGERS.issuperset(map(type, numbers.values()))):
        raise BlockFault("has a sequenceNumberForAllocation that is not a map of whole numbers")
    sequence = get("sequenceNumber")
    if sequence is not None and type(sequence) is not int:
        raise BlockFault("has a sequenceNumber that is not a whole number")
    affinity = get("affinity")
    if affinity is not None and type(affinity) is not str:
        raise BlockFault("has an affinity that is not text")
    claimed = get("affinityClaimTime")
    if claimed is not None and claimed != "" and not _is_time(claimed):
        raise BlockFault("has an affinityClaimTime that is not a time")
    deleted = get("deleted")
    if deleted is not None and type(deleted) is not bool:
        raise BlockFault("has a deleted that is neither true nor false")
    return _form_of_attributes(attributes)


def _form_of_attributes(attributes: t.Sequence[t.Dict[str, t.Any]]) -> Form:
    handles = [entry.get("handle_id") for entry in attributes]
    if not _TEXTS_AND_NULLS.issuperset(map(type, handles)):
        raise BlockFault("has an attribute whose handle_id is not text")
    owners = [entry.get("secondary") for entry in attributes]
    _check_owners("secondary", owners)
    if sum(map(len, attributes)) == 2 * len(attributes) - handles.count(None) - owners.count(None):
        return Form(handles, owners, True)
    _check_owners("alternateOwnerAttrs", [entry.get("alternateOwnerAttrs") for entry in attributes])
    for entry in attributes:
        if entry.get("releasedAt") is not None and not _is_time(entry["releasedAt"]):
            raise BlockFault("has an attribute whose releasedAt is not a time")
    return Form(handles, owners, False)


def _check_owners(member: str, owners: t.Sequence[t.Any]) -> None:
    if not _MAPS_AND_NULLS.issuperset(map(type, owners)):
        raise BlockFault(f"has an attribute whose {member} is not a map")
    if not _TEXTS.issuperset(map(type, itertools.chain.from_iterable(map(dict.values, filter(None, owners))))):
        raise BlockFault(f"has an attribute whose {member} is not a map of texts")


def contradiction(spec: Spec, size: int) -> t.Optional[str]:
    """The first contradiction in a block of which ``form_of`` approves; ``size`` is the number of its addresses."""
    allocations: t.List[t.Optional[int]] = spec["allocations"]
    if len(allocations) != size:
        return f"has {len(allocations)} allocations where its CIDR has {size} addresses"
    used: t.Set[t.Any] = set(allocations)
    used.discard(None)
    count = len(spec.get("attributes") or ())
    if used and (min(used) < 0 or max(used) >= count):
        return f"has an address that points to an attribute outside its {count}"
    unallocated: t.List[int] = spec.get("unallocated") or []
    if unallocated:
        free = set(unallocated)
        if min(free) < 0 or max(free) >= size:
            return "lists a free ordinal outside its CIDR"
        if len(free) != len(unallocated):
            return "lists a free ordinal twice"
        if not _FREE.issuperset(map(allocations.__getitem__, unallocated)):
            return "lists an ordinal as free that is allocated"
    sequence: int = spec.get("sequenceNumber") or 0
    if not 0 <= sequence <= MOST_SEQUENCE:
        return "has a sequenceNumber that is not an unsigned 64-bit number"
    numbers = (spec.get("sequenceNumberForAllocation") or {}).values()
    if numbers and (min(numbers) < 0 or max(numbers) > MOST_SEQUENCE):
        return "has a sequence number of an address that is not an unsigned 64-bit number"
    return None


def _is_time(text: t.Any) -> bool:
    try:
        parse_time(text)
    except (TypeError, ValueError):
        return False
    return True
