# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection calico_ops.ipam.

"""The attributes that every module documents: each module adds its own ``support``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tells what would change without changing anything.
  diff_mode:
    description: Returns what has changed, or would change in check mode, when run with diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second run says that nothing changed.
      - This assumes that nobody else changes the cluster in between.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module only reads.
  diff_mode:
    support: N/A
    details:
      - This module only reads.
  idempotent:
    support: full
    details:
      - This module only reads.
"""

    ACTIONGROUP_CLUSTER = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/calico_ops.ipam.cluster) in C(module_defaults) to set the connection options once.
    support: full
    membership:
      - calico_ops.ipam.cluster
"""
