# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Numbers with the word that fits: one pod moves, two pods move."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """``number`` and its word; ``many`` is ``one`` with an s where it is not given."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
