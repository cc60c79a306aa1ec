# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What an audit says: one finding a fault, each with a name that stays the same from one audit to the next."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, replace

ERROR = "error"
WARNING = "warning"
NOTE = "note"
#: From bad to harmless.
SEVERITIES = (ERROR, WARNING, NOTE)

#: Kinds of object that a finding rests on and that can be read once more, see ``Finding.rests_on``.
BLOCK = "IPAMBlock"
AFFINITY = "BlockAffinity"
HANDLE = "IPAMHandle"
POD = "Pod"
NODE = "Node"
SERVICE = "Service"

_PLURALS = {BLOCK: "ipamblocks", AFFINITY: "blockaffinities", HANDLE: "ipamhandles"}
_COMMAND = re.compile(r"kubectl delete [a-z]+\.crd\.projectcalico\.org \S+")

#: Every check with what it looks for. The order is that of a report.
CHECKS: t.Dict[str, str] = {
    "datastore-locked": "Calico's datastore is locked",
    "damaged-record": "records that cannot be understood",
    "invalid-block": "blocks whose parts contradict each other",
    "duplicate-block": "two blocks of the same CIDR",
    "overlapping-blocks": "blocks that cover each other",
    "allocated-twice": "addresses allocated in two blocks",
    "used-twice": "addresses that two pods or nodes use",
    "held-by-another": "addresses in use that are allocated to somebody else",
    "in-use-not-allocated": "addresses in use that are not allocated",
    "in-use-outside-pools": "addresses in use that no pool covers",
    "block-size": "blocks of another size than their pool says",
    "affinity-size": "block affinities of another size than their pool says",
    "stray-block": "blocks outside every pool",
    "allocated-in-disabled-pool": "addresses allocated in pools that are disabled or being deleted",
    "leaked-address": "addresses allocated to something that is gone",
    "unknown-holder": "addresses whose holder is not recorded",
    "overdue-cooling": "addresses still cooling after the cooldown",
    "ownerless-block": "empty blocks without an owner",
    "missing-node": "blocks and block affinities of nodes that do not exist",
    "block-without-affinity": "owned blocks whose owner has no affinity",
    "affinity-without-block": "block affinities without a block",
    "affinity-owner": "block affinities that contradict the block's owner",
    "affinity-twice": "blocks with two confirmed affinities",
    "affinity-state": "block affinities in the middle of a change",
    "affinity-untyped": "block affinities without a type",
    "affinity-unlabelled": "block affinities without their labels",
    "invalid-affinity": "block affinities that contradict themselves",
    "unfinished-delete": "records marked as deleted that are still there",
    "handle-without-address": "handles that hold no address",
    "missing-handle": "addresses whose handle has no record",
    "handle-count-low": "handles that count fewer addresses than they hold",
    "handle-count-high": "handles that count more addresses than they hold",
    "invalid-handle": "handles that contradict themselves",
    "settings": "IPAM settings that Calico's own tools would refuse",
    "reservation": "reservations with malformed entries",
}

#: Checks that ``calicoctl ipam check`` makes too, its way (spec ipam-engine.md §19).
CALICOCTL_CHECKS = frozenset(
    {
        "leaked-address",
        "in-use-not-allocated",
        "in-use-outside-pools",
        "used-twice",
        "handle-without-address",
        "missing-handle",
        "invalid-block",
    }
)


@dataclass(frozen=True)
class Finding:
    """One fault: ``check`` names the rule, ``subject`` what broke it; both together are its id.

    ``objects`` are names for people, ``data`` the figures behind the message, ``rests_on`` the
    objects (kind, name) that must be read once more before the finding is believed.
    """

    check: str
    subject: str
    severity: str
    message: str
    objects: t.Tuple[str, ...] = ()
    remedy: str = ""
    data: t.Mapping[str, t.Any] = field(default_factory=dict)
    rests_on: t.Tuple[t.Tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """Stable and short: ``leaked-address/10.0.0.5``."""
        return f"{self.check}/{self.subject}" if self.subject else self.check

    def shown(self) -> t.Dict[str, t.Any]:
        """As a module returns it."""
        return {
            "id": self.id,
            "check": self.check,
            "severity": self.severity,
            "message": self.message,
            "objects": list(self.objects),
            "remedy": self.remedy,
            "data": dict(self.data),
        }


def delete_command(kind: str, name: str) -> str:
    """The command that removes a record, in the Kubernetes datastore."""
    return f"kubectl delete {_PLURALS[kind]}.crd.projectcalico.org {name}"


def in_etcd(finding: Finding) -> Finding:
    """The same finding about records that kubectl does not reach."""
    return replace(
        finding, remedy=_COMMAND.sub("delete its key, comparing the revision that was read.", finding.remedy)
    )


def in_order(findings: t.Iterable[Finding]) -> t.List[Finding]:
    """Worst first, then by check in the order of ``CHECKS``, then as they came."""
    check_of = {check: position for position, check in enumerate(CHECKS)}
    return sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), check_of[each.check]))
