# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Addresses and ranges that stand in policies, lists and texts, held against a move of pods (hazards B26, B27).

An entry counts when it speaks of addresses the pods leave and does not treat those they get in the same
way: ``0.0.0.0/0`` or a range around both pools stays true whatever moves.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Address,
    Network,
    parse_address,
    parse_network,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

# Something that looks like an address or a range; what is none does not parse.
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\w/]|\.\d)")
_IPV6 = re.compile(r"(?<![\w.:])(?=[0-9A-Fa-f]*:[0-9A-Fa-f:.]*:)[0-9A-Fa-f:.]{2,45}(?:/\d{1,3})?(?![\w/:])")


@dataclass(frozen=True)
class Move:
    """The ranges that pods leave and those they get."""

    old: tuple[Network, ...]
    new: tuple[Network, ...]

    def upsets(self, entry: str) -> bool:
        """Whether an entry of a list means something else for the pods once they have moved."""
        network = _parsed(entry)
        if network is None:
            return False
        version = network.version
        if not any(network.overlaps(old) for old in self.old if old.version == version):
            return False
        new = [each for each in self.new if each.version == version]
        return not all(network.contains(each) for each in new) if new else network.prefix > 0

    def upset_among(self, entries: t.Iterable[t.Any]) -> list[str]:
        return [entry for entry in entries if isinstance(entry, str) and self.upsets(entry)]

    def upset_in(self, text: str) -> list[str]:
        """The same for addresses and ranges anywhere in a text, each once."""
        candidates = [*_IPV4.findall(text)]
        if text.count(":") > 1:
            candidates += _IPV6.findall(text)
        return [entry for entry in dict.fromkeys(candidates) if self.upsets(entry)]


def texts_in(value: t.Any, depth: int = 20) -> t.Iterator[str]:
    """Every text in a JSON value, keys of objects included, down to a depth."""
    if isinstance(value, str):
        yield value
    elif depth and isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from texts_in(each, depth - 1)
    elif depth and isinstance(value, list):
        for each in value:
            yield from texts_in(each, depth - 1)


def _parsed(text: str) -> Network | None:
    try:
        if "/" in text:
            return parse_network(text, strict=False)
        address: Address = parse_address(text)
        return parse_network(f"{address}/{32 if address.version == 4 else 128}")
    except InvalidInput:
        return None
