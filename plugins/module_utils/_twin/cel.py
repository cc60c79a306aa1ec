# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The rules under ``x-kubernetes-validations``, compiled once and evaluated in Common Expression Language.

The engine is the library common-expression-language (module ``cel``), imported when the
first schema with rules is compiled. See docs/decisions/0002-cel.md for why that one.
"""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cel_network import FUNCTIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    duplicate,
    forbidden_field,
    invalid_object,
    invalid_value,
    required,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Cause

# How the engine wraps what one of our functions raised.
_WRAPPED = re.compile(
    r"^Function '\w+' error: Python function call failed: \w+: (.*)\. Check function arguments and their types\.$", re.S
)
_OLD = re.compile(r"\boldSelf\b")


@dataclass(frozen=True)
class Rule:
    """One entry of ``x-kubernetes-validations``.

    ``uses_old`` makes it a transition rule: it only runs when the value existed before,
    unless ``optional_old``.
    """

    source: str
    program: t.Any
    message: str = ""
    message_program: t.Any = None
    reason: str = ""
    field_path: str = ""
    uses_old: bool = False
    optional_old: bool = False

    @property
    def label(self) -> str:
        return self.message or self.source


class MissingEngine(IpamError):
    """The CEL library is not installed."""


@functools.cache
def _engine() -> t.Any:
    try:
        import cel
    except ImportError as error:
        raise MissingEngine(
            "The embedded cluster cannot check the rules of custom resources: the Python library "
            "common-expression-language is not installed; install the packages in requirements-twin.txt."
        ) from error
    return cel


class BadRule(IpamError):
    """A rule that is no valid CEL expression."""


def compile_rules(schema: t.Mapping[str, t.Any]) -> tuple[Rule, ...]:
    """The rules of one schema node. Raises ``BadRule``, ``MissingEngine``."""
    return tuple(_compile(entry) for entry in schema.get("x-kubernetes-validations") or ())


def _compile(entry: t.Mapping[str, t.Any]) -> Rule:
    source = str(entry.get("rule") or "").strip()
    expression = str(entry.get("messageExpression") or "")
    return Rule(
        source=source,
        program=_program(source),
        message=str(entry.get("message") or "").strip(),
        message_program=_program(expression) if expression else None,
        reason=str(entry.get("reason") or ""),
        field_path=str(entry.get("fieldPath") or ""),
        uses_old=_OLD.search(source) is not None,
        optional_old=bool(entry.get("optionalOldSelf")),
    )


def _program(source: str) -> t.Any:
    engine = _engine()
    try:
        return engine.compile(source)
    except ValueError as error:
        raise BadRule(f"The CEL rule {source!r} does not compile: {str(error).splitlines()[0]}", rule=source) from None


def evaluate(
    rules: tuple[Rule, ...], value: t.Any, old: t.Any, path: str, *, has_old: bool, unchanged: bool, causes: list[Cause]
) -> None:
    """Add the errors of the rules of one node to ``causes``.

    ``unchanged`` forgives a broken rule, but neither a transition rule nor a rule that
    cannot be evaluated (spec ippool.md §3.3).
    """
    plain: t.Any = None
    optional: t.Any = None
    for rule in rules:
        if rule.optional_old:
            if optional is None:
                wrapper = _engine().OptionalValue
                optional = _context(value, wrapper.of(old) if has_old else wrapper.none(), True)
            context = optional
        else:
            if rule.uses_old and not has_old:
                continue
            if plain is None:
                plain = _context(value, old, has_old)
            context = plain
        try:
            verdict = rule.program.execute(context)
        except (RuntimeError, ValueError, TypeError, KeyError, ArithmeticError, IndexError) as error:
            causes.append(invalid_object(path, f"{_reason_of(error)} evaluating rule: {rule.label}"))
            continue
        if verdict is not True and (rule.uses_old or not unchanged):
            causes.append(_broken(rule, value, path, context))


def _context(value: t.Any, old: t.Any, has_old: bool) -> t.Any:
    variables = {"self": value}
    if has_old:
        variables["oldSelf"] = old
    context = _engine().Context(variables)
    for name, function in FUNCTIONS.items():
        context.add_function(name, function)
    return context


def _reason_of(error: Exception) -> str:
    text = str(error)
    wrapped = _WRAPPED.match(text)
    if wrapped:
        return f"network address parse error during conversion from string: {wrapped.group(1)}"
    if isinstance(error, KeyError):
        return f"no such key: {error.args[0]}"
    return "no such overload" if isinstance(error, TypeError) else text


def _broken(rule: Rule, value: t.Any, path: str, context: t.Any) -> Cause:
    path += rule.field_path
    detail = _message(rule, context)
    if rule.reason == "FieldValueForbidden":
        return forbidden_field(path, detail)
    if rule.reason == "FieldValueRequired":
        return required(path, detail)
    if rule.reason == "FieldValueDuplicate":
        return duplicate(path, value)
    if rule.message_program is not None or isinstance(value, (dict, list)):
        return invalid_object(path, detail)
    return invalid_value(path, value, detail)


def _message(rule: Rule, context: t.Any) -> str:
    if rule.message_program is not None:
        try:
            text = rule.message_program.execute(context)
        except (RuntimeError, ValueError, TypeError, KeyError, ArithmeticError, IndexError):
            text = None
        if isinstance(text, str) and text.strip() and "\n" not in text.strip():
            return text.strip()
    return rule.message or f"failed rule: {rule.source}"
