# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Plain data as YAML text, for diffs and for what we keep in ConfigMaps.

A writer of our own, because a diff must look the same on every machine: keys in the
order given, block style, one scalar a line. Everything it writes is YAML 1.2 and reads
back as the same data.
"""

from __future__ import annotations

import json
import re
import typing as t

# Text that needs no quotes: starts with a letter, and holds nothing YAML could read as something else.
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*\Z")
_NOT_BARE = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def yaml_text(value: t.Any) -> str:
    """``value`` (dicts, lists, scalars) as YAML text that ends with a newline; nothing at all for None."""
    if value is None:
        return ""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: t.Any) -> list[str]:
    if isinstance(value, t.Mapping) and value:
        lines: list[str] = []
        for key, item in value.items():
            lines += _entry(f"{_scalar(str(key))}:", item, "  ")
        return lines
    if isinstance(value, (list, tuple)) and value:
        lines = []
        for item in value:
            inner = _lines(item)
            lines.append(f"- {inner[0]}")
            lines += [f"  {line}" for line in inner[1:]]
        return lines
    return [_scalar(value)]


def _entry(head: str, item: t.Any, indent: str) -> list[str]:
    inner = _lines(item)
    if isinstance(item, t.Mapping) and item:
        return [head, *(indent + line for line in inner)]
    if isinstance(item, (list, tuple)) and item:
        return [head, *(indent + line for line in inner)]
    return [f"{head} {inner[0]}"]


def _scalar(value: t.Any) -> str:
    if isinstance(value, str) and _BARE.match(value) and value.lower() not in _NOT_BARE:
        return value
    if isinstance(value, t.Mapping):
        return "{}"
    if isinstance(value, (list, tuple)):
        return "[]"
    # JSON scalars are YAML scalars, but for characters that YAML takes in escaped form only.
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
