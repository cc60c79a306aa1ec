# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Settings and reservations that only a write past Calico's own tools can have made (spec ipam-engine.md §14, §22)."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import (
    ERROR,
    NOTE,
    WARNING,
    Finding,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_record import name_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

MAX_COOLDOWN = 1200
_COOLDOWN_SINCE = (3, 33)
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


def settings_findings(thing: t.Any, calico_version: str = "", requires_flags: bool = True) -> t.Iterator[Finding]:
    """``thing``: the settings, None without any. ``requires_flags``: a missing flag reads as false (group v1)."""
    if thing is None:
        return
    name = f"{thing.get('kind') or 'IPAMConfig'} {name_of(thing)}" if isinstance(thing, dict) else "IPAMConfig"
    spec = thing.get("spec") if isinstance(thing, dict) else None

    def finding(subject: str, severity: str, message: str, remedy: str) -> Finding:
        return Finding("settings", subject, severity, message, (name,), remedy)

    if spec is None and requires_flags:
        yield finding(
            "spec",
            ERROR,
            f"{name} has no spec, which reads as autoAllocateBlocks false: no node gets a new block.",
            "Set spec.strictAffinity: false and spec.autoAllocateBlocks: true.",
        )
        return
    if spec is not None and not isinstance(spec, dict):
        yield finding("spec", ERROR, f"{name} has a spec that is no object.", "Write the settings anew.")
        return
    spec = spec or {}
    for member, wanted in (
        ("strictAffinity", bool),
        ("autoAllocateBlocks", bool),
        ("maxBlocksPerHost", int),
        ("ipCooldownSeconds", int),
    ):
        value = spec.get(member)
        if value is not None and type(value) is not wanted:
            kind = "boolean" if wanted is bool else "integer"
            yield finding(member, ERROR, f"{member} {value!r} of {name} is no {kind}.", f"Write a {kind}.")
            return
    strict = spec.get("strictAffinity") or False
    auto = spec.get("autoAllocateBlocks")
    if auto is None:
        auto = not requires_flags
    limit, cooldown = spec.get("maxBlocksPerHost") or 0, spec.get("ipCooldownSeconds") or 0
    if not auto and not strict:
        yield finding(
            "autoAllocateBlocks",
            ERROR,
            "Both autoAllocateBlocks and strictAffinity are false: nodes get no blocks and can only borrow addresses.",
            "Set autoAllocateBlocks: true.",
        )
    if limit < 0:
        yield finding("maxBlocksPerHost", ERROR, f"maxBlocksPerHost {limit} is negative.", "Set it to 0 or more.")
    elif limit and not strict:
        yield finding(
            "maxBlocksPerHost",
            WARNING,
            f"maxBlocksPerHost is {limit} without strictAffinity: a node at its limit gets an error and never borrows.",
            "Set strictAffinity: true as well, or maxBlocksPerHost: 0.",
        )
    if not 0 <= cooldown <= MAX_COOLDOWN:
        yield finding(
            "ipCooldownSeconds",
            ERROR,
            f"ipCooldownSeconds {cooldown} is out of range: 0 to {MAX_COOLDOWN}.",
            "Set it to a number in that range.",
        )
    elif cooldown and _older(calico_version):
        yield finding(
            "ipCooldownSeconds",
            ERROR,
            f"ipCooldownSeconds is {cooldown}, and Calico {calico_version} cannot store release times: each released "
            "address stays allocated to nobody.",
            "Set ipCooldownSeconds: 0 until every component is at v3.33 or newer.",
        )
    persistence = spec.get("kubeVirtVMAddressPersistence")
    if persistence not in (None, "", "Enabled", "Disabled"):
        yield finding(
            "kubeVirtVMAddressPersistence",
            ERROR,
            f"kubeVirtVMAddressPersistence {persistence!r} is neither Enabled nor Disabled.",
            "Set it to one of the two.",
        )


def reservation_findings(things: t.Iterable[t.Any]) -> t.Iterator[Finding]:
    """Entries that Calico skips without a word."""
    for thing in things:
        name = name_of(thing)
        spec = thing.get("spec") if isinstance(thing, dict) else None
        entries = spec.get("reservedCIDRs") if isinstance(spec, dict) else None
        if not isinstance(entries, list) or not entries:
            yield Finding(
                "reservation",
                name,
                NOTE if entries in (None, []) else WARNING,
                f"IPReservation {name} reserves nothing.",
                (f"IPReservation {name}",),
                "List CIDRs or addresses in spec.reservedCIDRs, or remove it.",
            )
            continue
        wrong = [entry for entry in entries if not _parses(entry)]
        if wrong:
            yield Finding(
                "reservation",
                name,
                WARNING,
                f"IPReservation {name} has {len(wrong)} entries that Calico skips, first {str(wrong[0])[:60]!r}: they "
                "reserve nothing.",
                (f"IPReservation {name}",),
                "Write each as a CIDR or an address.",
                {"entries": [str(entry)[:60] for entry in wrong]},
            )


def _parses(entry: t.Any) -> bool:
    try:
        parse_range(entry.strip() if isinstance(entry, str) else entry)
    except InvalidInput:
        return False
    return True


def _older(version: str) -> bool:
    match = _VERSION.match(version)
    return match is not None and (int(match.group(1)), int(match.group(2))) < _COOLDOWN_SINCE
