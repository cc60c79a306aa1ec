# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""Which labels a simple selector wants.

Only a conjunction of ``key == 'value'``, ``has(key)`` and ``all()`` tells by itself what to set; any other
selector can be satisfied in several ways, or by leaving a label out.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector import parse

#: One term of a canonical text (spec ippool.md §8.4).
_TERM = re.compile(
    r"(?P<key>[A-Za-z0-9_./-]+) == (?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')"
    r"|has\((?P<has>[A-Za-z0-9_./-]+)\)|all\(\)"
)
_AND = " && "


def labels_wanted(text: str) -> t.Optional[t.Dict[str, t.Optional[str]]]:
    """The labels a node needs to be selected; a value of None stands for any. None when the text does not say.

    SelectorError when the text is no selector.
    """
    canonical = parse(text).canonical()
    if canonical.startswith("("):
        canonical = canonical[1:-1]
    wanted: t.Dict[str, t.Optional[str]] = {}
    position = 0
    while True:
        term = _TERM.match(canonical, position)
        if term is None:
            return None
        key, value = term["key"] or term["has"], term["double"] if term["double"] is not None else term["single"]
        if key is not None:
            if None not in (wanted.get(key), value) and wanted[key] != value:
                return None  # It selects nothing.
            wanted[key] = value if value is not None else wanted.get(key)
        position = term.end()
        if position == len(canonical):
            return wanted
        if not canonical.startswith(_AND, position):
            return None
        position += len(_AND)
