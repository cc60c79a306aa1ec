# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Numbers that may be percentages (``maxSurge: 25%``), and resource quantities (``500m``, ``2Gi``)."""

from __future__ import annotations

import functools
import math
import typing as t
from fractions import Fraction

_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
    "Pi": Fraction(2**50),
    "Ei": Fraction(2**60),
}


def is_percentage(value: t.Any) -> bool:
    return isinstance(value, str) and value.endswith("%")


def scaled(value: t.Any, total: int, *, up: bool) -> int:
    """An IntOrString of ``total``, percentages rounded up or down; None counts as 0."""
    if value is None:
        return 0
    if is_percentage(value):
        share = Fraction(int(value[:-1]) * total, 100)
        return math.ceil(share) if up else math.floor(share)
    return int(value)


@functools.lru_cache(maxsize=4096)
def quantity(text: str) -> Fraction:
    """A resource quantity as a number; ``0`` when it cannot be read."""
    text = text.strip()
    for length in (2, 1, 0):
        suffix = text[len(text) - length :] if length else ""
        if suffix in _SUFFIXES and len(text) > length:
            try:
                return Fraction(text[: len(text) - length] if length else text) * _SUFFIXES[suffix]
            except ValueError:
                continue
    return Fraction(0)
