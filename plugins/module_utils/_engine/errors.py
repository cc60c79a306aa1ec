# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Every error a user can do something about, as one small tree.

Each message is one clear sentence: what, where, and what would be right. Only
``module_utils/_module.py`` turns these into ``fail_json``; rooms above the engine add
branches of their own (``_cluster/errors.py`` for what the API server answers,
``_store/errors.py`` for what the IPAM datastore answers).

    IpamError
      InvalidInput          an argument or a definition breaks a rule (field, value, expected)
        InvalidPool         an IPPool breaks one or more rules; ``errors`` lists each
        SelectorError       a selector does not parse; ``position`` says where
      Refused               a legal request that must not be carried out here and now
      AllocationError       the allocator could not do what was asked (spec ipam-engine.md §4)
        NoQualifiedPool     no pool fits the reserved size, allows the use, or is enabled
        NoConfiguredPools   pools exist, none selects the node and the namespace
        RequestedPool       a requested CIDR is not an enabled pool, or of the wrong family
        UseRequired         the intended use is empty
        UseNotAllowed       the pool of a given address does not allow the use
        BlockLimit          the host may not own more blocks
        StrictAffinityRequired  a Windows host while strict affinity is off
        AddressTaken        the address is allocated or cooling
        StaleAllocation     a stated sequence number, handle or owner is not the stored one
          BadSequenceNumber
          BadHandle
        AddressCooling      the attributes of a cooling address were asked for
        HandleLimit         more addresses per handle and family than allowed
        InvalidSize         a CIDR smaller than a block
        ClaimConflict       the block belongs to someone else
          StaleAffinity     the affinity row contradicts the block
        BlockNotEmpty       a release that needs an empty block met addresses in use
        NoFreeBlocks        no block is left to claim
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


class IpamError(Exception):
    """Base of every error this collection raises on purpose.

    ``message`` is the sentence for the user; ``details`` holds the objects concerned as
    plain data, for the result of a module.
    """

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, t.Any] = details


class InvalidInput(IpamError):
    """Input that breaks a rule, blamed on one field.

    ``field`` is Calico's spelling of the field (``spec.cidr`` without ``spec.``, so
    ``cidr``), ``rule`` the rule's id in the specification (``V4``) where there is one.
    """

    def __init__(self, message: str, field: str, value: t.Any = None, rule: str | None = None) -> None:
        super().__init__(message, field=field, value=value, rule=rule)
        self.field = field
        self.value = value
        self.rule = rule


class Refused(IpamError):
    """A legal request that must not be carried out in the cluster's present state."""


@dataclass(frozen=True)
class FieldError:
    """One broken rule: ``field`` in Calico's spelling, the offending ``value``, the sentence, the rule's id."""

    field: str
    value: t.Any
    message: str
    rule: str


class InvalidPool(InvalidInput):
    """An IPPool that breaks rules; blamed on the first one, ``errors`` holds them all."""

    def __init__(self, errors: t.Sequence[FieldError]) -> None:
        first = errors[0]
        super().__init__(" ".join(e.message for e in errors), first.field, first.value, first.rule)
        self.errors = tuple(errors)
        self.details["errors"] = [
            {"field": e.field, "value": e.value, "message": e.message, "rule": e.rule} for e in errors
        ]


class SelectorError(InvalidInput):
    """A selector that does not parse; ``position`` counts characters from 0."""

    def __init__(self, message: str, value: t.Any, position: int, field: str = "selector") -> None:
        super().__init__(message, field, value, "V18")
        self.position = position
        self.details["position"] = position


class AllocationError(IpamError):
    """The allocator could not do what was asked (spec ipam-engine.md §4)."""


class NoQualifiedPool(AllocationError):
    """No pool fits the reserved size, none allows the use, or none of the family is enabled."""


class NoConfiguredPools(AllocationError):
    """Pools exist, but none selects this node and namespace."""


class RequestedPool(AllocationError):
    """A requested CIDR is not an enabled pool, or is of the other family."""


class UseRequired(AllocationError):
    """The intended use is empty."""


class UseNotAllowed(AllocationError):
    """The pool of a given address does not allow the intended use."""


class BlockLimit(AllocationError):
    """The host may not own more blocks."""


class StrictAffinityRequired(AllocationError):
    """A Windows host asked while strict affinity is off."""


class AddressTaken(AllocationError):
    """The address is allocated already, or still cooling."""


class StaleAllocation(AllocationError):
    """What the caller says about an allocation is not what is stored."""


class BadSequenceNumber(StaleAllocation):
    """The stated sequence number is not the stored one: the address was handed out anew since."""


class BadHandle(StaleAllocation):
    """The stated handle is not the stored one."""


class AddressCooling(AllocationError):
    """The attributes of an address still cooling were asked for."""


class HandleLimit(AllocationError):
    """More addresses per handle and family than allowed."""


class InvalidSize(AllocationError):
    """A CIDR smaller than a block was to be claimed or released."""


class ClaimConflict(AllocationError):
    """The block belongs to someone else."""


class StaleAffinity(ClaimConflict):
    """The affinity row contradicts the block it names."""


class BlockNotEmpty(AllocationError):
    """A release that needs an empty block met addresses in use."""


class NoFreeBlocks(AllocationError):
    """No block is left to claim."""
