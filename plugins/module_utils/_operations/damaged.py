# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Records that something has damaged: named in every report, which goes on without them.

Nothing here repairs anything. A block whose members can be read has figures, however it
contradicts itself; one that cannot be read has none.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord

# How many records a warning names before it counts the others.
NAMED = 5
PARTS = ("kind", "name", "fault")

OnCorrupt = t.Callable[[CorruptRecord], object]


def shown_damaged(found: t.Iterable[CorruptRecord]) -> list[dict[str, t.Any]]:
    """Damaged records as a module returns them, by kind and name; one that was met in several lists is told once."""
    shown = {tuple(error.details.get(part, "") for part in PARTS) for error in found}
    return [dict(zip(PARTS, each)) for each in sorted(shown)]


def damage_lines(damaged: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """One line for each damaged record."""
    return [f"{each['kind']} {each['name']} {each['fault']}" for each in damaged]


def warn_of(damaged: t.Sequence[t.Mapping[str, t.Any]], warn: t.Callable[[str], object]) -> None:
    """Warn, once, of the damaged records of a report."""
    if not damaged:
        return
    more = f"; and {len(damaged) - NAMED} more" if len(damaged) > NAMED else ""
    warn(f"Damaged IPAM records: {'; '.join(damage_lines(damaged[:NAMED]))}{more}.")
