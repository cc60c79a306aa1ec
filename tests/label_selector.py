# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico's selectors, evaluated a second time and on their own, for those who judge or rival the engine.

Grammar: spec ipam-engine.md §8.2. ValueError for text that is no selector.
"""

from __future__ import annotations

import re
import typing as t

Labels = t.Mapping[str, str]

_TOKEN = re.compile(
    r"""\s*(?:(?P<call>(?:all|global)\s*\(\s*\))|has\s*\(\s*(?P<has>[\w./-]+)\s*\)|(?P<text>"[^"]*"|'[^']*')"""
    r"""|(?P<op>==|!=|&&|\|\||[!(){},])|(?P<word>[\w./-]+))"""
)


def selects(selector: str | None, labels: Labels) -> bool:
    """Whether a selector matches labels; an empty one matches everything."""
    if not (selector or "").strip():
        return True
    tokens: list[tuple[str, str]] = []
    text = (selector or "").rstrip()
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"{selector!r} is no selector (at {position})")
        kind = found.lastgroup or ""
        tokens.append((kind, found.group(kind)))
        position = found.end()
    value, rest = _either(tokens, labels)
    if rest:
        raise ValueError(f"{selector!r} goes on after its end: {rest[0][1]!r}")
    return value


Tokens = t.List[t.Tuple[str, str]]


def _either(tokens: Tokens, labels: Labels) -> tuple[bool, Tokens]:
    value, tokens = _both(tokens, labels)
    while tokens and tokens[0][1] == "||":
        other, tokens = _both(tokens[1:], labels)
        value = value or other
    return value, tokens


def _both(tokens: Tokens, labels: Labels) -> tuple[bool, Tokens]:
    value, tokens = _term(tokens, labels)
    while tokens and tokens[0][1] == "&&":
        other, tokens = _term(tokens[1:], labels)
        value = value and other
    return value, tokens


def _term(tokens: Tokens, labels: Labels) -> tuple[bool, Tokens]:
    if not tokens:
        raise ValueError("the selector ends where a term was expected")
    (kind, text), rest = tokens[0], tokens[1:]
    if text == "!":
        value, rest = _term(rest, labels)
        return not value, rest
    if text == "(":
        value, rest = _either(rest, labels)
        return value, _after(rest, ")")
    if kind == "call":
        return True, rest
    if kind == "has":
        return text in labels, rest
    if kind != "word" or not rest:
        raise ValueError(f"{text!r} is no term")
    return _compared(text, rest, labels)


def _compared(label: str, tokens: Tokens, labels: Labels) -> tuple[bool, Tokens]:
    value = labels.get(label)
    operator, rest = tokens[0][1], tokens[1:]
    if operator in ("==", "!="):
        return (value == _literal(rest)) == (operator == "=="), rest[1:]
    if operator == "contains":
        return value is not None and _literal(rest) in value, rest[1:]
    if operator in ("starts", "ends"):
        rest = _after(rest, "with")
        test = str.startswith if operator == "starts" else str.endswith
        return value is not None and test(value, _literal(rest)), rest[1:]
    negative = operator == "not"
    if negative:
        operator, rest = (rest[0][1], rest[1:]) if rest else ("", rest)
    if operator != "in":
        raise ValueError(f"{operator!r} is no operator")
    rest = _after(rest, "{")
    members: set[str] = set()
    while rest and rest[0][1] != "}":
        members.add(_literal(rest))
        rest = rest[1:]
        if rest and rest[0][1] == ",":
            rest = rest[1:]
    return (value in members) != negative, _after(rest, "}")


def _literal(tokens: Tokens) -> str:
    if not tokens or tokens[0][0] != "text":
        raise ValueError("a quoted text was expected")
    return tokens[0][1][1:-1]


def _after(tokens: Tokens, text: str) -> Tokens:
    if not tokens or tokens[0][1] != text:
        raise ValueError(f"{text!r} was expected")
    return tokens[1:]
