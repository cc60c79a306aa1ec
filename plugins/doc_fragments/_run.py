# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This fragment is private to the collection calico_ops.ipam.

"""The run of a procedure for which a module writes, mirror of ``_argspec.run_argspec``."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  run:
    description:
      - The run of a procedure that this task belongs to, as RV(calico_ops.ipam.ippool_journal#module:run).
      - Before every write the module makes sure that the run still has the lock of the cluster, which it renews while
        it works. When another run has taken it over, the module fails and writes nothing any more.
      - Without it, and in check mode, no lock is looked at.
    type: str
    version_added: 0.2.0
"""
