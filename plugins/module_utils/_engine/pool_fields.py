# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""The rules on the fields and the metadata of one IPPool, one small function a rule or a few.

Ids, fields and meaning follow spec ippool.md §3.1; the sentences are our own and say what
is wrong, where, and what would be right. ``pool_rules.py`` puts them together with the
rules that look at more than one object.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import selector
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    FieldError,
    InvalidInput,
    SelectorError,
)

Spec = t.Mapping[str, t.Any]

MODES = ("Never", "Always", "CrossSubnet")
USES = ("Workload", "Tunnel", "LoadBalancer")
ASSIGNMENT_MODES = ("Automatic", "Manual")
#: Smallest and largest block prefix length by IP version.
BLOCK_SIZES: t.Dict[int, t.Tuple[int, int]] = {4: (20, 32), 6: (116, 128)}

FIELD_TYPES: t.Dict[str, type] = {
    "cidr": str,
    "blockSize": int,
    "ipipMode": str,
    "vxlanMode": str,
    "natOutgoing": bool,
    "disabled": bool,
    "disableBGPExport": bool,
    "nodeSelector": str,
    "namespaceSelector": str,
    "allowedUses": list,
    "assignmentMode": str,
}
#: Leftovers of old schemas that may still be stored; current ones prune them.
LEGACY_FIELDS = ("ipip", "nat-outgoing")

_TYPE_WORDS = {str: "text", int: "a whole number", bool: "true or false", list: "a list of text"}
_LINK_LOCAL = {4: parse_network("169.254.0.0/16"), 6: parse_network("fe80::/10")}
_CIDR_LIMIT = 48
_SELECTOR_LIMIT = 1024
_USES_LIMIT = 10
_NAME_LIMIT = 253
_LABEL_LIMIT = 63
_ANNOTATIONS_LIMIT = 256 * 1024

_NAME_PART = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


class Subject:
    """One specification under examination: its pool's name, its fields, its network if it has one."""

    def __init__(self, name: str, spec: Spec) -> None:
        self.name = name
        self.spec = spec
        self.errors: t.List[FieldError] = []
        self.cidr: t.Optional[Network] = None
        with contextlib.suppress(InvalidInput):  # V1 and V2 say so
            self.cidr = parse_network(spec.get("cidr"), strict=False)

    def text(self, field: str) -> str:
        """The field when it is text, else the empty text (a wrong type is blamed elsewhere)."""
        value = self.spec.get(field)
        return value if isinstance(value, str) else ""

    @property
    def uses(self) -> t.List[t.Any]:
        value = self.spec.get("allowedUses")
        return value if isinstance(value, list) else []

    @property
    def block_size(self) -> t.Optional[int]:
        value = self.spec.get("blockSize")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def blame(self, rule: str, field: str, problem: str) -> None:
        """Note a broken rule: ``spec.<field> <value> of pool <name> <problem>.``"""
        value = self.spec.get(field)
        self.errors.append(FieldError(field, value, f"{_where(field, value, self.name)} {problem}.", rule))


def _where(field: str, value: t.Any, name: str) -> str:
    of_pool = f" of pool {name!r}" if name else ""
    return f"spec.{field}{'' if value is None else ' ' + _plain(value)}{of_pool}"


def _plain(value: t.Any) -> str:
    """A value as an operator wrote it, in YAML's words, not too long."""
    if isinstance(value, str):
        return repr(value if len(value) <= 120 else f"{value[:117]}...")
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def check_types(subject: Subject) -> None:
    """Every field is known and of its type; what strict field validation would refuse."""
    for field, value in subject.spec.items():
        kind = FIELD_TYPES.get(field)
        if kind is None:
            if field not in LEGACY_FIELDS:
                near = difflib.get_close_matches(field.lower().replace("_", ""), _FOLDED, n=1, cutoff=0.75)
                hint = f"did you mean {_FOLDED[near[0]]}?" if near else f"an IPPool has {', '.join(FIELD_TYPES)}"
                message = f"spec.{field} of pool {subject.name!r} is not a field of an IPPool: {hint.rstrip('?')}"
                subject.errors.append(FieldError(field, value, message + ("?" if near else "."), "unknown"))
        elif kind is int and isinstance(value, bool):
            subject.blame("type", field, f"must be {_TYPE_WORDS[int]}")
        elif value is not None and not isinstance(value, kind):
            subject.blame("type", field, f"must be {_TYPE_WORDS[kind]}")
        elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
            subject.blame("type", field, f"must be {_TYPE_WORDS[list]}")


_FOLDED = {name.lower(): name for name in FIELD_TYPES}


def check_cidr(subject: Subject) -> None:
    """V1 to V6."""
    cidr, text = subject.cidr, subject.spec.get("cidr")
    if text is None or text == "":
        subject.blame("V1", "cidr", "is missing: a pool needs a CIDR such as 192.0.2.0/24 or 2001:db8::/64")
        return
    if isinstance(text, str) and len(text) > _CIDR_LIMIT:
        subject.blame("V3", "cidr", f"is {len(text)} characters long: at most {_CIDR_LIMIT} are allowed")
    if cidr is None:
        if isinstance(text, str):
            subject.blame("V2", "cidr", _parse_problem(text))
        return
    try:
        parse_network(text)
    except InvalidInput:
        subject.blame("V4", "cidr", f"has host bits set: the network that holds this address is {cidr}")
    local = _LINK_LOCAL[cidr.version]
    if cidr.overlaps(local):
        rule = "V5" if cidr.version == 4 else "V6"
        subject.blame(
            rule, "cidr", f"overlaps the IPv{cidr.version} link-local range {local}: choose a range outside it"
        )


def _parse_problem(text: str) -> str:
    try:
        parse_network(text)
    except InvalidInput as error:
        return error.message.replace(f"cidr {text!r} ", "", 1).rstrip(".")
    return "does not parse"


def check_block_size(subject: Subject) -> None:
    """V7 and V8."""
    cidr, size = subject.cidr, subject.block_size
    if size is None:
        return
    if cidr is None:
        if not 0 <= size <= 128:
            subject.blame("V7", "blockSize", "is out of range: IPv4 pools take 20 to 32, IPv6 pools 116 to 128")
        return
    low, high = BLOCK_SIZES[cidr.version]
    if not low <= size <= high:
        subject.blame("V7", "blockSize", f"is out of range: an IPv{cidr.version} pool takes {low} to {high}")
    elif cidr.prefix > size and subject.spec.get("disabled") is not True:
        fits = f"a blockSize of {max(cidr.prefix, low)} to {high}"
        subject.blame(
            "V8", "cidr", f"is smaller than one block of /{size}: give a larger CIDR, or {fits}, or create it disabled"
        )


def check_encapsulation(subject: Subject) -> None:
    """V9 to V11 (the modes)."""
    ipip, vxlan = subject.text("ipipMode"), subject.text("vxlanMode")
    for field, value in (("ipipMode", ipip), ("vxlanMode", vxlan)):
        if value and value not in MODES:
            subject.blame("V11", field, f"is unknown: it takes {_or(MODES)}")
    if ipip in MODES[1:] and vxlan in MODES[1:]:
        subject.blame("V9", "vxlanMode", f"cannot go with ipipMode {ipip!r}: set one of the two to 'Never'")
    if subject.cidr is not None and subject.cidr.version == 6 and ipip in MODES[1:]:
        subject.blame("V10", "ipipMode", "is not possible on an IPv6 pool: use 'Never', or vxlanMode")


def check_assignment_mode(subject: Subject) -> None:
    """V11 (assignmentMode)."""
    value = subject.spec.get("assignmentMode")
    if isinstance(value, str) and value not in ASSIGNMENT_MODES:
        subject.blame("V11", "assignmentMode", f"is unknown: it takes {_or(ASSIGNMENT_MODES)}")


def check_uses(subject: Subject) -> None:
    """V12 and V13."""
    uses = [use for use in subject.uses if isinstance(use, str)]
    unknown = [use for use in uses if use not in USES]
    if unknown:
        subject.blame("V12", "allowedUses", f"holds the unknown use {unknown[0]!r}: it takes {_or(USES)}")
    if len(set(uses)) != len(uses):
        subject.blame("V12", "allowedUses", "names a use twice: name each once")
    if len(uses) > _USES_LIMIT:
        subject.blame("V12", "allowedUses", f"has {len(uses)} items: at most {_USES_LIMIT} are allowed")
    if "LoadBalancer" in uses and ("Workload" in uses or "Tunnel" in uses):
        subject.blame("V13", "allowedUses", "mixes LoadBalancer with others: LoadBalancer stands alone")


def check_load_balancer(subject: Subject) -> None:
    """V14 to V16."""
    if "LoadBalancer" not in subject.uses:
        return
    for field in ("ipipMode", "vxlanMode"):
        if subject.text(field) in MODES[1:]:
            subject.blame("V14", field, "cannot go with the use LoadBalancer: set it to 'Never'")
    if subject.spec.get("disableBGPExport") is True:
        subject.blame("V15", "disableBGPExport", "cannot go with the use LoadBalancer: set it to false")
    if subject.spec.get("nodeSelector") != "all()":
        subject.blame("V16", "nodeSelector", "cannot go with the use LoadBalancer: it must be exactly 'all()'")


def check_namespace_selector(subject: Subject) -> None:
    """V17."""
    if "Tunnel" in subject.uses and subject.text("namespaceSelector"):
        subject.blame(
            "V17", "namespaceSelector", "cannot go with the use Tunnel: set allowedUses to [Workload], or leave it out"
        )


def check_selectors(subject: Subject, *, parsed: bool = True) -> None:
    """V18 (unless not ``parsed``), V19 and V20."""
    for field in ("nodeSelector", "namespaceSelector"):
        text = subject.text(field)
        if len(text) > _SELECTOR_LIMIT:
            subject.blame("V20", field, f"is {len(text)} characters long: at most {_SELECTOR_LIMIT} are allowed")
        if "global(" in text:
            subject.blame("V19", field, "contains 'global(', which pools cannot use: write all()")
        if parsed:
            try:
                selector.parse(text)
            except SelectorError as error:
                detail = error.message.partition(" does not parse ")[2].rstrip(".")
                subject.blame("V18", field, f"does not parse {detail}")


def name_errors(name: t.Any) -> t.List[FieldError]:
    """V26."""
    if not isinstance(name, str) or not name:
        return [FieldError("metadata.name", name, "A pool needs a name.", "V26")]
    errors = []
    if len(name) > _NAME_LIMIT:
        message = (
            f"The name of pool {name[:40]!r}... is {len(name)} characters long: at most {_NAME_LIMIT} are allowed."
        )
        errors.append(FieldError("metadata.name", name, message, "V26"))
    if not all(_NAME_PART.fullmatch(part) for part in name.split(".")):
        message = (
            f"metadata.name {name!r} is not a pool name: it takes lower-case letters, digits, '-' and '.', "
            "and every part between dots begins and ends with a letter or digit."
        )
        errors.append(FieldError("metadata.name", name, message, "V26"))
    return errors


def metadata_errors(name: str, metadata: t.Mapping[str, t.Any]) -> t.List[FieldError]:
    """V27, on ``labels`` and ``annotations`` of the metadata."""
    errors: t.List[FieldError] = []

    def blame(field: str, value: t.Any, problem: str) -> None:
        errors.append(FieldError(f"metadata.{field}", value, f"metadata.{field} of pool {name!r}: {problem}.", "V27"))

    for key, value in (metadata.get("labels") or {}).items():
        problem = _key_problem(key)
        if problem:
            blame("labels", key, f"the key {key!r} {problem}")
        if not isinstance(value, str):
            blame("labels", value, f"the value of {key!r} must be text")
        elif len(value) > _LABEL_LIMIT or (value and not _QUALIFIED.fullmatch(value)):
            blame(
                "labels",
                value,
                f"the value {value[:80]!r} of {key!r} takes up to {_LABEL_LIMIT} letters, digits, '-', '_' and '.', "
                "beginning and ending with a letter or digit",
            )
    size = 0
    for key, value in (metadata.get("annotations") or {}).items():
        problem = _key_problem(key.lower() if isinstance(key, str) else key)
        if problem:
            blame("annotations", key, f"the key {key!r} {problem}")
        if not isinstance(value, str):
            blame("annotations", value, f"the value of {key!r} must be text")
        else:
            size += len(str(key).encode("utf-8", "replace")) + len(value.encode("utf-8", "replace"))
    if size > _ANNOTATIONS_LIMIT:
        blame("annotations", None, f"{size} bytes are too many: at most {_ANNOTATIONS_LIMIT} in total are allowed")
    return errors


def _key_problem(key: t.Any) -> str:
    if not isinstance(key, str):
        return "must be text"
    prefix, slash, name = key.rpartition("/")
    if slash and not (len(prefix) <= _NAME_LIMIT and _SUBDOMAIN.fullmatch(prefix)):
        return "must have a lower-case DNS name before the '/'"
    if len(name) > _LABEL_LIMIT or not _QUALIFIED.fullmatch(name):
        return (
            f"must be 1 to {_LABEL_LIMIT} letters, digits, '-', '_' and '.', "
            "beginning and ending with a letter or digit"
        )
    return ""


def _or(words: t.Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


#: The rules on one specification, in the order they are reported.
ON_SPEC: t.Tuple[t.Callable[[Subject], None], ...] = (
    check_types,
    check_cidr,
    check_block_size,
    check_encapsulation,
    check_assignment_mode,
    check_uses,
    check_load_balancer,
    check_namespace_selector,
    check_selectors,
)
