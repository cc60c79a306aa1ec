# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What is to be released, as a module is asked for it: addresses one by one, handles, or an audit's result.

Sequence numbers are around 1.8 * 10^18. They come as text or as integers; a number with a
decimal point has passed through a double on its way and is refused.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_addresses import (
    CERTAIN,
    CERTAINTIES,
    IPV6_TUNNEL,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_facts import Key
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_finding import HANDLE
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.holder import (
    LOAD_BALANCER,
    POD,
    TUNNEL,
    UNKNOWN,
    VM,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import parse_time

#: Kinds that can be released at all; all but the first only address by address.
KINDS = (POD, TUNNEL, IPV6_TUNNEL, LOAD_BALANCER, VM, UNKNOWN)
#: Checks of an audit whose findings are handles to be deleted.
EMPTY, UNFINISHED = "handle-without-address", "unfinished-delete"


class Mark(t.NamedTuple):
    """What must be the same in both observations of an address."""

    handle: str
    sequence: int


@dataclass(frozen=True)
class AuditSeen:
    """The observation that an audit's result is. ``handles``: those without an address, with their counts."""

    taken: datetime
    cluster: str
    leaked: t.Mapping[Key, Mark]
    certainty: t.Mapping[Key, str]
    handles: t.Mapping[str, t.Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """``named``: kind by address. ``interval``: seconds between the two observations."""

    named: t.Mapping[Key, str] = field(default_factory=dict)
    handles: tuple[str, ...] = ()
    audit: AuditSeen | None = None
    certainty: str = CERTAIN
    interval: float = 300.0

    def sure_enough(self, certainty: str, *, named: bool) -> bool:
        """Whether an address of that certainty may go; what is only possible never does without being named."""
        limit = CERTAINTIES.index(self.certainty)
        return certainty in CERTAINTIES[: limit + 1 if named else min(limit + 1, 2)]


def wanted_of(params: t.Mapping[str, t.Any]) -> Wanted:
    """The request among a module's parameters. InvalidInput for what does not parse."""
    named: dict[Key, str] = {}
    for entry in params["addresses"] or ():
        address = parse_address(entry["address"])
        named[address.version, address.value] = entry["kind"]
    for handle in params["handles"] or ():
        if not handle:
            raise InvalidInput("handles: an empty text is no handle.", "handles", handle)
    if params["interval"] < 0:
        raise InvalidInput(
            f"interval: {params['interval']} is negative; it is a number of seconds.", "interval", params["interval"]
        )
    return Wanted(
        named,
        tuple(dict.fromkeys(params["handles"] or ())),
        None if params["audit"] is None else audit_seen(params["audit"]),
        params["certainty"],
        float(params["interval"]),
    )


def audit_seen(audit: t.Mapping[str, t.Any]) -> AuditSeen:
    """The observation that a result of ``ipam_audit_info`` is; InvalidInput naming the member that is wrong."""
    leaked, findings = audit.get("leaked"), audit.get("findings", [])
    if not isinstance(leaked, list) or not isinstance(findings, list):
        raise InvalidInput(
            "audit: it has no list named leaked; give the whole result of calico_ops.ipam.ipam_audit_info.", "audit"
        )
    try:
        taken = parse_time(str(audit.get("taken")))
    except ValueError as error:
        raise InvalidInput(f"audit.taken: {error}.", "audit.taken", audit.get("taken")) from None
    marks: dict[Key, Mark] = {}
    certainty: dict[Key, str] = {}
    for number, row in enumerate(leaked):
        where = f"audit.leaked[{number}]"
        if not isinstance(row, dict):
            raise InvalidInput(f"{where}: it is no mapping but {row!r}.", where, row)
        address = parse_address(row.get("address"))
        key = (address.version, address.value)
        marks[key] = Mark(str(row.get("handle") or ""), whole_number(row.get("sequence"), f"{where}.sequence"))
        certainty[key] = str(row.get("certainty"))
    return AuditSeen(taken, str(audit.get("cluster") or ""), marks, certainty, _handles(findings))


def whole_number(value: t.Any, where: str) -> int:
    """A sequence number; InvalidInput for anything but decimal digits or an integer."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    raise InvalidInput(
        f"{where}: {value!r} is no whole number in decimal digits; something on its way here has rounded or lost it, "
        "so pass the audit's result on as it is.",
        where,
        value,
    )


def _handles(findings: t.Iterable[t.Any]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for number, finding in enumerate(findings):
        if not isinstance(finding, dict) or finding.get("check") not in (EMPTY, UNFINISHED):
            continue
        data = finding.get("data") or {}
        blocks = data.get("blocks")
        if finding["check"] == UNFINISHED and data.get("kind") == HANDLE and isinstance(data.get("name"), str):
            found[data["name"]] = {}
        elif isinstance(data.get("handle"), str) and isinstance(blocks, dict):
            where = f"audit.findings[{number}].data.blocks"
            found[data["handle"]] = {str(cidr): whole_number(count, where) for cidr, count in blocks.items()}
    return found
