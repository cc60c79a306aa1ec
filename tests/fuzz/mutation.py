# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changing real inputs a little, very often: most of what is interesting lies close to what is right.

Everything follows from the ``random.Random`` that is passed in.
"""

from __future__ import annotations

import copy
import random
import typing as t

TEXTS = [
    "",
    "x",
    "0",
    "07",
    "-1",
    "10.0.0.1/24",
    "10.0.0.0/99",
    "10.0.0.0/26",
    "::ffff:10.0.0.0/120",
    "FD00::/122",
    "fe80::1%eth0/64",
    "host:",
    ":",
    "\ud800",
    "\x00",
    "\r",
    "true",
    "2026-13-40T99:99:99Z",
    "2026-W34-4T09:14:05Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "٣" * 4 + "-01-01T00:00:00Z",
    "a" * 5000,
    "{",
    "[" * 2000,
]
SCALARS: list[t.Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    7,
    1 << 53,
    1 << 64,
    -(1 << 70),
    10**400,
    1.0,
    1.5,
    1.787e18,
    float("nan"),
    float("inf"),
    -0.0,
    *TEXTS,
]
SHAPES: list[t.Any] = [
    [],
    [None],
    [0],
    [[]],
    [True],
    [1.0],
    ["0"],
    [0] * 65,
    {},
    {"a": 1},
    {"a": None},
    {"": ""},
    [{}],
    [{"handle_id": 1}],
    [{"secondary": {"pod": 1}}],
    [{"secondary": []}],
    [{"releasedAt": 5}],
    [{"type": "Allocatable"}],
    {"node": ["n"]},
]
# Pieces of the small languages that our parsers read.
PIECES = [
    *"()!&|{}'\",./:-+%*\\ \t\n",
    "&&",
    "||",
    "==",
    "!=",
    " in ",
    " not in ",
    "has(",
    "all()",
    "global()",
    "contains ",
    "starts with ",
    "ends with ",
    "0",
    "9",
    "255",
    "256",
    "32",
    "128",
    "::",
    "ffff:",
    "T",
    "Z",
    "é",
    "\ud800",
    "\x00",
    "٣",
]


def deep(levels: int) -> t.Any:
    thing: t.Any = []
    for level in range(levels):
        thing = {"a": thing} if level % 2 else [thing]
    return thing


def mutated_text(rng: random.Random, text: str) -> str:
    """``text`` after a few insertions, removals, swaps and repetitions."""
    for _change in range(rng.randint(1, 4)):
        place, end = sorted(rng.choices(range(len(text) + 1), k=2))
        change = rng.randrange(6)
        if change < 2:
            text = text[:place] + rng.choice(PIECES) + text[place:]
        elif change == 2:
            text = text[:place] + text[min(end, place + 3) :]
        elif change == 3:
            text = text[:place] + text[place:end] * rng.choice((2, 2, 50)) + text[end:]
        elif change == 4:
            text = text[:place] + chr(rng.randrange(0x110000 if rng.random() < 0.2 else 128)) + text[place + 1 :]
        else:
            text = text[end:] + text[place:end] + text[:place]
    return text[:20_000]


def mutated(rng: random.Random, thing: t.Any) -> t.Any:
    """A copy of a JSON value with up to three of its members replaced, removed, doubled, renamed or spelled wrong."""
    thing = copy.deepcopy(thing)
    for _change in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(thing))
        if not places:
            return rng.choice(SCALARS + SHAPES)
        inside, key = rng.choice(places)
        value, change = inside[key], rng.randrange(8)
        if change < 2:
            inside[key] = rng.choice(SCALARS)
        elif change == 2:
            inside[key] = copy.deepcopy(rng.choice(SHAPES)) if rng.random() < 0.97 else deep(300)
        elif change == 3:
            del inside[key]
        elif change == 4 and isinstance(inside, list):
            inside.insert(rng.randrange(len(inside) + 1), copy.deepcopy(value))
        elif change == 5 and isinstance(inside, dict):
            inside[mutated_text(rng, key) if rng.random() < 0.5 else rng.choice(TEXTS)] = inside.pop(key)
        elif isinstance(value, str):
            inside[key] = mutated_text(rng, value)
        elif isinstance(value, int):
            as_float = float(value) if abs(value) < 1 << 70 else 0.5
            inside[key] = rng.choice((value + 1, -value, value << 40, as_float, bool(value), str(value)[:30]))
    return thing


def _places(thing: t.Any) -> t.Iterator[tuple[t.Any, t.Any]]:
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield thing, key
            yield from _places(value)
    elif isinstance(thing, list):
        for position, value in enumerate(thing):
            yield thing, position
            yield from _places(value)
