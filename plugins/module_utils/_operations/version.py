# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The version of this collection, as ``galaxy.yml`` has it (a test compares them)."""

from __future__ import annotations

VERSION = "0.2.0"
