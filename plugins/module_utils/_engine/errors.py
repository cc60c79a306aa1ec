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
      Refused               a legal request that must not be carried out here and now
      AllocationError       the allocator could not do what was asked (spec section 4)
"""

from __future__ import annotations

import typing as t


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
