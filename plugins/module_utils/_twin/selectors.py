# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Label selectors in both spellings (query parameter, ``LabelSelector`` object) and field selectors.

Not to be confused with Calico's own selector language (``_engine/selector.py``). A selector is a
tuple of requirements, all of which must hold; the empty selector matches everything.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault, bad_request

Labels = t.Mapping[str, str]

_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")
_TOKEN = re.compile(r"\s*(?:(?P<op>==|!=|=|!|,|\(|\)|>|<)|(?P<word>[^\s=!,()<>]+))")


@dataclass(frozen=True)
class Requirement:
    """``operator`` is ``in``, ``notin``, ``exists``, ``absent``, ``gt`` or ``lt``."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        if self.operator == "in":
            return self.key in labels and labels[self.key] in self.values
        if self.operator == "notin":
            return self.key not in labels or labels[self.key] not in self.values
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "absent":
            return self.key not in labels
        return self._compares(labels)

    def _compares(self, labels: Labels) -> bool:
        try:
            have, bound = int(labels.get(self.key, "")), int(next(iter(self.values)))
        except ValueError:
            return False
        return have > bound if self.operator == "gt" else have < bound


@dataclass(frozen=True)
class LabelSelector:
    """All requirements must hold."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return all(each.matches(labels) for each in self.requirements)

    @property
    def everything(self) -> bool:
        return not self.requirements


EVERYTHING = LabelSelector()


def _unparsable(why: str) -> Fault:
    return bad_request(f"unable to parse requirement: {why}")


def _checked_key(key: str) -> str:
    prefix, slash, name = key.rpartition("/")
    if not _NAME.fullmatch(name):
        raise _unparsable(
            f'<nil>: Invalid value: "{key}": name part must consist of alphanumeric characters, '
            "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  "
            "or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    if slash and not _PREFIX.fullmatch(prefix):
        raise _unparsable(
            f'<nil>: Invalid value: "{key}": prefix part a lowercase RFC 1123 subdomain must consist of lower case '
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        )
    return key


def _checked_value(key: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise _unparsable(
            f'values[0][{key}]: Invalid value: "{value}": a valid label must be an empty string or consist of '
            "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
            "'MyValue',  or 'my_value',  or '12345', regex used for validation is "
            "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    return value


class _Tokens:
    """The words and operators of a selector, one at a time."""

    def __init__(self, text: str) -> None:
        self._items: list[str] = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            found = _TOKEN.match(stripped, position)
            if found is None:
                raise _unparsable(f"found '{stripped[position:]}', expected: identifier")
            self._items.append(found.group("op") or found.group("word"))
            position = found.end()
        self._at = 0

    def peek(self) -> str:
        return self._items[self._at] if self._at < len(self._items) else ""

    def next(self) -> str:
        token = self.peek()
        self._at += 1
        return token


def _value_set(tokens: _Tokens, key: str) -> frozenset[str]:
    if tokens.next() != "(":
        raise _unparsable(f"found '{key}', expected: '('")
    values: set[str] = set()
    while True:
        token = tokens.next()
        if token == "":
            raise _unparsable("found '', expected: ',' or ')'")
        if token == ")":
            values.add("")
            break
        if token == ",":
            values.add("")
            continue
        values.add(_checked_value(key, token))
        token = tokens.next()
        if token == ")":
            break
        if token != ",":
            raise _unparsable(f"found '{token}', expected: ',' or ')'")
    return frozenset(values)


def _requirement(tokens: _Tokens) -> Requirement:
    token = tokens.next()
    if token == "!":
        return Requirement(_checked_key(tokens.next()), "absent")
    if not token or token in "=!,()<>==":
        raise _unparsable(f"found '{token}', expected: !, identifier, or 'end of string'")
    key = _checked_key(token)
    operator = tokens.peek()
    if operator in ("", ","):
        return Requirement(key, "exists")
    tokens.next()
    if operator in ("in", "notin"):
        return Requirement(key, operator, _value_set(tokens, key))
    if operator not in ("=", "==", "!=", ">", "<"):
        raise _unparsable(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
    value = "" if tokens.peek() in ("", ",") else tokens.next()
    if operator in (">", "<"):
        if not re.fullmatch(r"[-+]?\d+", value):
            raise _unparsable(
                f"values[0][{key}]: Invalid value: \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, "gt" if operator == ">" else "lt", frozenset({value}))
    return Requirement(key, "notin" if operator == "!=" else "in", frozenset({_checked_value(key, value)}))


def parse_label_selector(text: str | None) -> LabelSelector:
    """The ``labelSelector`` query parameter. Raises a 400 ``Fault`` (spec kubernetes-api-behaviour.md 12)."""
    if not text or not text.strip():
        return EVERYTHING
    tokens = _Tokens(text)
    requirements = [_requirement(tokens)]
    while tokens.peek():
        separator = tokens.next()
        if separator != ",":
            raise _unparsable(f"found '{separator}', expected: ',' or 'end of string'")
        requirements.append(_requirement(tokens))
    return LabelSelector(tuple(requirements))


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


def selector_of(selector: Object | None) -> LabelSelector | None:
    """A ``LabelSelector`` object (``matchLabels``, ``matchExpressions``) as a selector.

    None (a missing selector) stays None: it matches nothing, while ``{}`` matches everything.
    """
    if selector is None:
        return None
    requirements = [
        Requirement(key, "in", frozenset({value})) for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for each in selector.get("matchExpressions") or []:
        operator = _OPERATORS.get(each.get("operator", ""), "")
        if operator:
            requirements.append(Requirement(each["key"], operator, frozenset(each.get("values") or ())))
    return LabelSelector(tuple(requirements))


def selects(selector: Object | None, labels: Labels | None) -> bool:
    """Whether a ``LabelSelector`` object matches; a missing selector matches nothing."""
    parsed = selector_of(selector)
    return parsed is not None and parsed.matches(labels or {})


@dataclass(frozen=True)
class FieldTerm:
    path: tuple[str, ...]
    value: str
    equal: bool


@dataclass(frozen=True)
class FieldSelector:
    """All terms must hold; a missing field counts as the empty string."""

    terms: tuple[FieldTerm, ...] = ()

    def matches(self, obj: Object) -> bool:
        return all((_field(obj, term.path) == term.value) == term.equal for term in self.terms)

    @property
    def everything(self) -> bool:
        return not self.terms

    @property
    def name(self) -> str | None:
        """The one name this can match, when it says so."""
        for term in self.terms:
            if term.path == ("metadata", "name") and term.equal:
                return term.value
        return None


ANY_FIELDS = FieldSelector()

_ALWAYS = ("metadata.name", "metadata.namespace")
_EVENT_FIELDS = tuple(
    "involvedObject." + each
    for each in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
) + ("reason", "reportingComponent", "source", "type")
_FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("", "pods"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "events"): _EVENT_FIELDS,
    ("", "secrets"): ("type",),
    ("", "services"): ("spec.clusterIP", "spec.type"),
    ("", "replicationcontrollers"): ("status.replicas",),
    ("apps", "replicasets"): ("status.replicas",),
    ("batch", "jobs"): ("status.successful",),
}
_DEFAULTS: dict[tuple[str, ...], str] = {
    ("spec", "hostNetwork"): "false",
    ("spec", "unschedulable"): "false",
    ("status", "replicas"): "0",
}


def _field(obj: Object, path: tuple[str, ...]) -> str:
    if path == ("source",):
        source = obj.get("source") or {}
        return str(source.get("component") or obj.get("reportingComponent") or "")
    value: t.Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return _DEFAULTS.get(path, "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def parse_field_selector(text: str | None, resource: Resource) -> FieldSelector:
    """The ``fieldSelector`` query parameter. Raises a 400 ``Fault`` for labels the resource does not support."""
    if not text:
        return ANY_FIELDS
    terms: list[FieldTerm] = []
    for part in text.split(","):
        if not part:
            continue
        found = re.fullmatch(r"(.*?)(!=|==|=)(.*)", part)
        if found is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, operator, value = found.groups()
        if path not in _ALWAYS + _FIELDS.get((resource.group, resource.plural), ()):
            raise bad_request(_unsupported(path, resource))
        terms.append(FieldTerm(tuple(path.split(".")), value, operator != "!="))
    return FieldSelector(tuple(terms))


def _unsupported(path: str, resource: Resource) -> str:
    crd = "." in resource.group and not resource.group.endswith(".k8s.io")
    if crd or (resource.group, resource.plural) in _FIELDS:
        return f"field label not supported: {path}"
    return f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
