# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the data plane and of both IP versions (hazards B46, B47)."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import Check

CHECKS: tuple[Check, ...] = ()
