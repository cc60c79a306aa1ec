# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What an operation is going to do, as values: computed first, shown or carried out afterwards.

Check mode and diff mode render the plan; outside check mode the same plan is applied.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.yaml_text import yaml_text


@dataclass(frozen=True)
class Step:
    """One change of one object.

    ``action`` is a verb (create, update, delete, release, wait), ``target`` names the object
    with its kind, ``before`` and ``after`` are the parts of it that concern the change, as
    plain data (None: it does not exist). ``undo`` says how to take the step back; None
    means that nothing can.
    """

    action: str
    target: str
    reason: str
    before: t.Any = None
    after: t.Any = None
    undo: str | None = None

    def __str__(self) -> str:
        return f"{self.action} {self.target}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they are carried out."""

    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    def diff(self) -> dict[str, str]:
        """Ansible's diff of all steps: every object with its part before and after, as YAML text."""
        return {
            "before": _objects((step.target, step.before) for step in self.steps),
            "after": _objects((step.target, step.after) for step in self.steps),
        }

    def as_result(self) -> dict[str, t.Any]:
        """The part of a module's result that every plan fills: changed, diff and steps."""
        return {
            "changed": self.changed,
            "diff": self.diff(),
            "steps": [
                {"action": step.action, "target": step.target, "reason": step.reason, "undo": step.undo}
                for step in self.steps
            ],
        }


def _objects(parts: t.Iterable[tuple[str, t.Any]]) -> str:
    return yaml_text({target: part for target, part in parts if part is not None} or None)
