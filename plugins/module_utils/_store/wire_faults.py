# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Reading members of stored objects that may hold anything, and saying what is wrong with them.

Every fault becomes a ``CorruptRecord`` whose ``details`` are ``kind``, ``name`` and
``fault``; none repeats more than a few characters of what is stored.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

# The longest CIDR text there is has 43 characters, a name of an object 253 and that of a kind 63.
_LONGEST_CIDR = 64
_LONGEST_KIND = 63
_LONGEST_NAME = 253
_DELETED = {None: False, "": False, "false": False, "true": True, False: False, True: True}


def corrupt(thing: t.Any, fault: str) -> CorruptRecord:
    """The error for an object; ``fault`` is the end of the sentence "IPAMBlock x ..."."""
    kind = thing.get("kind") if isinstance(thing, dict) else None
    metadata = thing.get("metadata") if isinstance(thing, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = kind[:_LONGEST_KIND] if isinstance(kind, str) and kind else "record"
    name = name[:_LONGEST_NAME] if isinstance(name, str) and name else "?"
    message = f"{kind} {name} {fault}: repair it before anything is changed."
    return CorruptRecord(message, kind=kind, name=name, fault=fault)


def name_of(thing: t.Any) -> str:
    """The name of an object; CorruptRecord when its metadata have none."""
    if not isinstance(thing, dict):
        raise corrupt(thing, "is not an object")
    metadata = thing.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise corrupt(thing, "has no name in its metadata")
    return name


def spec_of(thing: t.Any) -> t.Dict[str, t.Any]:
    """The ``spec`` of an object; CorruptRecord when it is not a map."""
    spec = thing.get("spec") if isinstance(thing, dict) else None
    if not isinstance(spec, dict):
        raise corrupt(thing, "has no spec")
    return spec


def text_of(thing: Object, spec: t.Mapping[str, t.Any], member: str) -> str:
    """A member that is text; "" when it is missing or null."""
    value = spec.get(member)
    if value is None:
        return ""
    # Not printable covers control characters and halves of surrogate pairs, which no name can hold.
    if not isinstance(value, str) or not (value.isprintable() or value.replace("\r", "").isprintable()):
        raise corrupt(thing, f"has a {member} that is not text")
    return value


def flag_of(thing: Object, spec: t.Mapping[str, t.Any], member: str, missing: bool = False) -> bool:
    """A member that is true or false; ``missing`` when it is absent or null."""
    value = spec.get(member)
    if value is None:
        return missing
    if not isinstance(value, bool):
        raise corrupt(thing, f"has a {member} that is neither true nor false")
    return value


def count_of(thing: Object, spec: t.Mapping[str, t.Any], member: str) -> int:
    """A member that is a number from 0 on; 0 when it is missing or null."""
    value = spec.get(member)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise corrupt(thing, f"has a {member} that is not a whole number from 0 on")
    return value


def deleted_of(thing: Object, spec: t.Mapping[str, t.Any]) -> bool:
    """``deleted`` of an affinity row: text in group v1, where "" is false, a boolean in group v3 (§2.2)."""
    value = spec.get("deleted")
    if value is not None and type(value) not in (bool, str) or value not in _DELETED:
        raise corrupt(thing, "has a deleted that is neither true nor false")
    return _DELETED[value]


def cidr_of(thing: Object, text: t.Any) -> Network:
    """A CIDR as Calico spells it; CorruptRecord for any other value.

    Another spelling of the same network is refused too: handles and pools are compared by text.
    """
    if not isinstance(text, str):
        raise corrupt(thing, "has no CIDR")
    if len(text) > _LONGEST_CIDR:
        raise corrupt(thing, "has a CIDR that is far too long")
    try:
        cidr = parse_network(text)
    except InvalidInput as error:
        raise corrupt(thing, f"has a bad CIDR: {error.message.rstrip('.')}") from None
    if str(cidr) != text:
        raise corrupt(thing, f"spells its CIDR {text!r} where Calico writes {cidr}")
    return cidr
