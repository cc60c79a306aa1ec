# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""Calico's selector language, whole: text in, a fast matcher and the canonical text out.

Source: spec ippool.md §8. Parsing, matching and printing use explicit stacks only, so no
nesting, however deep, exhausts Python's own. A parsed selector is a flat decision table:
each row holds one test of one label and the row to go on with when it holds and when it
does not, so that ``!``, ``&&`` and ``||`` cost nothing when matching.
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import SelectorError

Labels = t.Mapping[str, str]
Test = t.Callable[[Labels], bool]

#: Rows beyond the table: the answer is known.
_YES, _NO = -1, -2
_LABEL_LIMIT = 512
#: Pools take selectors of at most this length (V20), so longer ones are not worth remembering.
_CACHED_LENGTH = 1024

_OPERATORS = "==, !=, contains, starts with, ends with, in or not in"
_TERMS = "a label name, has(label), all(), ! or ("

_SPACE = re.compile(r"[ \t]*")
_LABEL = re.compile(r"[A-Za-z0-9_./-]+")
_FUNCTION = re.compile(r"(?:has|all|global)\(")
# Only looked for right after a label; the next character must not belong to a label.
_WORD = re.compile(
    r"(?:(?P<contains>contains)|(?P<starts>starts[ \t]*with)|(?P<ends>ends[ \t]*with)"
    r"|(?P<not_in>not[ \t]*in)|(?P<in>in))(?![A-Za-z0-9_./-])"
)
_PRINTED = {"contains": "contains", "starts": "starts with", "ends": "ends with", "in": "in", "not_in": "not in"}

# A parsed term: ("test", Test, canonical text), ("not", node) or ("&&" or "||", list of nodes).
_Node = t.Tuple[t.Any, ...]
_Row = t.Tuple[Test, int, int]


@dataclass(frozen=True)
class Selector:
    """A parsed selector. Two are equal when they print the same canonical text.

    ``text`` is what was parsed.
    """

    _canonical: str
    text: str = field(compare=False)
    _table: t.Tuple[_Row, ...] = field(compare=False, repr=False)

    def matches(self, labels: Labels) -> bool:
        """Whether an object with these labels is selected (spec ippool.md §8.3)."""
        table = self._table
        row = len(table) - 1
        while row >= 0:
            test, if_true, if_false = table[row]
            row = if_true if test(labels) else if_false
        return row == _YES

    def canonical(self) -> str:
        """The text Calico prints for it (spec ippool.md §8.4)."""
        return self._canonical


def parse(text: t.Any) -> Selector:
    """The selector a text stands for; an empty one selects everything.

    SelectorError for anything that is not a selector, with the position (from 0) where it
    goes wrong, what was found there and what was expected.
    """
    if not isinstance(text, str):
        raise SelectorError(f"A selector must be text, not {text!r}.", text, 0)
    return _remembered(text) if len(text) <= _CACHED_LENGTH else _parse(text)


@dataclass
class _Group:
    """A parenthesis not closed yet: ``ors`` are finished &&-groups, ``ands`` the terms of the current one."""

    position: int
    negated: bool
    ors: t.List[_Node]
    ands: t.List[_Node]

    def close(self) -> _Node:
        self.end_and()
        node = self.ors[0] if len(self.ors) == 1 else ("||", self.ors)
        return _negate(node) if self.negated else node

    def end_and(self) -> None:
        self.ors.append(self.ands[0] if len(self.ands) == 1 else ("&&", self.ands))
        self.ands = []


def _parse(text: str) -> Selector:
    position = _skip(text, 0)
    if position == len(text):
        return Selector("all()", text, ((_always, _YES, _NO),))
    groups = [_Group(-1, False, [], [])]
    while True:
        # A term is due.
        negated = False
        while text.startswith("!", position) and not text.startswith("!=", position):
            negated = not negated
            position = _skip(text, position + 1)
        if text.startswith("(", position):
            groups.append(_Group(position, negated, [], []))
            position = _skip(text, position + 1)
            continue
        node, position = _term(text, position)
        groups[-1].ands.append(_negate(node) if negated else node)
        # An operator, a closing parenthesis or the end is due.
        position = _skip(text, position)
        while text.startswith(")", position) and len(groups) > 1:
            closed = groups.pop().close()
            groups[-1].ands.append(closed)
            position = _skip(text, position + 1)
        if position == len(text) and len(groups) == 1:
            root = groups[0].close()
            return Selector(_print(root), text, _tabulate(root))
        if text.startswith("||", position):
            groups[-1].end_and()
        elif not text.startswith("&&", position):
            if len(groups) == 1:
                raise _error(text, position, "&&, || or the end")
            raise _error(text, position, f"&&, || or the ) for the ( at position {groups[-1].position}")
        position = _skip(text, position + 2)


_remembered = functools.lru_cache(maxsize=512)(_parse)


def _term(text: str, position: int) -> t.Tuple[_Node, int]:
    """The label test or function at ``position``, and the position after it."""
    function = _FUNCTION.match(text, position)
    if function is not None:
        return _function(text, function)
    if not _LABEL.match(text, position):
        raise _error(text, position, _TERMS)
    label, position = _label(text, position)
    start = position
    position = _skip(text, position)
    for symbol, make in (("==", _equals), ("!=", _differs)):
        if text.startswith(symbol, position):
            value, position = _string(text, _skip(text, position + 2))
            return ("test", make(label, value), f"{label} {symbol} {_quote(value)}"), position
    word = _WORD.match(text, position)
    if word is None or word.lastgroup is None:
        raise _error(text, position, _OPERATORS + _hint(text, label, start, position))
    position = _skip(text, word.end())
    if word.lastgroup in ("in", "not_in"):
        values, position = _set(text, position)
        test = _one_of(label, values) if word.lastgroup == "in" else _none_of(label, values)
        printed = "{" + ", ".join(map(_quote, sorted(values))) + "}"
    else:
        value, position = _string(text, position)
        test = {"contains": _contains, "starts": _starts, "ends": _ends}[word.lastgroup](label, value)
        printed = _quote(value)
    return ("test", test, f"{label} {_PRINTED[word.lastgroup]} {printed}"), position


def _function(text: str, found: t.Match[str]) -> t.Tuple[_Node, int]:
    """``has(label)``, ``all()`` or ``global()``."""
    name = found.group()
    position = _skip(text, found.end())
    node: _Node = ("test", _always, f"{name})")
    if name == "has(":
        if not _LABEL.match(text, position):
            raise _error(text, position, "a label name")
        label, position = _label(text, position)
        position = _skip(text, position)
        node = ("test", _has(label), f"has({label})")
    if not text.startswith(")", position):
        raise _error(text, position, ")")
    return node, position + 1


def _label(text: str, position: int) -> t.Tuple[str, int]:
    found = t.cast("t.Match[str]", _LABEL.match(text, position))
    label = found.group()
    if len(label) > _LABEL_LIMIT:
        raise _error(text, position, f"a label name of at most {_LABEL_LIMIT} characters, not {len(label)}")
    return label, found.end()


def _string(text: str, position: int) -> t.Tuple[str, int]:
    """A quoted value. There are no escapes: it ends at the next quote of its own kind."""
    quote = text[position : position + 1]
    if quote not in ("'", '"'):
        raise _error(text, position, "a value in quotes")
    end = text.find(quote, position + 1)
    if end < 0:
        raise _error(text, len(text), f"the {quote} that ends the value begun at position {position}")
    return text[position + 1 : end], end + 1


def _set(text: str, position: int) -> t.Tuple[t.FrozenSet[str], int]:
    if not text.startswith("{", position):
        raise _error(text, position, "{")
    values: t.Set[str] = set()
    position = _skip(text, position + 1)
    while not text.startswith("}", position):
        if text[position : position + 1] not in ("'", '"'):
            raise _error(text, position, "a value in quotes or }")
        value, position = _string(text, position)
        values.add(value)
        position = _skip(text, position)
        if text.startswith(",", position):
            position = _skip(text, position + 1)
        elif not text.startswith("}", position):
            raise _error(text, position, ", or }")
    return frozenset(values), position + 1


def _skip(text: str, position: int) -> int:
    """The position after any spaces and tabs; no other white space counts as such."""
    return t.cast("t.Match[str]", _SPACE.match(text, position)).end()


def _error(text: str, position: int, expected: str) -> SelectorError:
    if position >= len(text):
        found = "the end"
    elif text[position] in "'\"":
        found = f"a {text[position]} quote"
    else:
        run = _LABEL.match(text, position)
        found = repr(run.group()[:40] if run else text[position : position + (2 if _symbol(text, position) else 1)])
    shown = text if len(text) <= 120 else f"{text[:117]}..."
    return SelectorError(
        f"Selector {shown!r} does not parse at position {position}: found {found}, expected {expected}.", text, position
    )


def _symbol(text: str, position: int) -> bool:
    return text[position : position + 2] in ("==", "!=", "&&", "||")


def _hint(text: str, label: str, start: int, position: int) -> str:
    """What may have been meant by a function name that was read as a label."""
    name = label.lower()
    if name not in ("has", "all", "global") or not text.startswith("(", position):
        return ""
    if label != name:
        return f" ({name}() is written in lower case)"
    return f" (no space may stand between {name} and its parenthesis)" if position > start else ""


def _quote(value: str) -> str:
    return f"'{value}'" if '"' in value else f'"{value}"'


def _negate(node: _Node) -> _Node:
    return t.cast(_Node, node[1]) if node[0] == "not" else ("not", node)


def _print(root: _Node) -> str:
    parts: t.List[str] = []
    stack: t.List[t.Union[str, _Node]] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            parts.append(item)
        elif item[0] == "test":
            parts.append(item[2])
        elif item[0] == "not":
            parts.append("!")
            stack.append(item[1])
        else:
            stack.append(")")
            for index, child in enumerate(reversed(item[1])):
                if index:
                    stack.append(f" {item[0]} ")
                stack.append(child)
            stack.append("(")
    return "".join(parts)


def _tabulate(root: _Node) -> t.Tuple[_Row, ...]:
    """The decision table of a parsed selector; the last row is where to begin.

    Worked from the last test to the first, so that every row knows the rows after it.
    """
    table: t.List[_Row] = []
    begin = _NO  # first row of what was tabulated last
    # (node, row if true, row if false, children of a group still to do)
    stack: t.List[t.Tuple[_Node, int, int, int]] = [(root, _YES, _NO, -1)]
    while stack:
        node, if_true, if_false, left = stack.pop()
        if node[0] == "test":
            table.append((node[1], if_true, if_false))
            begin = len(table) - 1
        elif node[0] == "not":
            stack.append((node[1], if_false, if_true, -1))
        else:
            children = node[1]
            if left < 0:  # nothing done yet: the last child leads straight to the group's answer
                stack.append((node, if_true, if_false, len(children) - 1))
                stack.append((children[-1], if_true, if_false, -1))
            elif left:
                stack.append((node, if_true, if_false, left - 1))
                if node[0] == "&&":
                    stack.append((children[left - 1], begin, if_false, -1))
                else:
                    stack.append((children[left - 1], if_true, begin, -1))
    return tuple(table)


def _always(labels: Labels) -> bool:
    return True


def _has(label: str) -> Test:
    return lambda labels: label in labels


def _equals(label: str, value: str) -> Test:
    return lambda labels: labels.get(label) == value


def _differs(label: str, value: str) -> Test:
    return lambda labels: labels.get(label) != value


def _one_of(label: str, values: t.FrozenSet[str]) -> Test:
    return lambda labels: labels.get(label) in values


def _none_of(label: str, values: t.FrozenSet[str]) -> Test:
    return lambda labels: labels.get(label) not in values


def _contains(label: str, value: str) -> Test:
    return lambda labels: value in labels[label] if label in labels else False


def _starts(label: str, value: str) -> Test:
    return lambda labels: labels[label].startswith(value) if label in labels else False


def _ends(label: str, value: str) -> Test:
    return lambda labels: labels[label].endswith(value) if label in labels else False
