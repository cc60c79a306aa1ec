# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Amounts of CPU and memory, as Kubernetes writes them (spec kubernetes-api-behaviour.md, quantities)."""

from __future__ import annotations

import re
import typing as t

_SUFFIXES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}
_FORM = re.compile(r"([+-]?[0-9.]+)(?:([eE][+-]?[0-9]+)|([A-Za-z]*))")


def amount(text: t.Any) -> float:
    """The number a quantity stands for: cores, bytes or pieces; 0 for nothing and for what is no quantity."""
    found = _FORM.fullmatch(str(text).strip()) if text is not None else None
    if found is None or (found.group(3) or "") not in _SUFFIXES:
        return 0.0
    try:
        return float(found.group(1) + (found.group(2) or "")) * _SUFFIXES[found.group(3) or ""]
    except ValueError:
        return 0.0
