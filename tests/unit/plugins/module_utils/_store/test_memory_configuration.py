# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What only the configuration in memory does."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory_configuration import MemoryConfiguration


def test_settings_a_store_was_made_with_count_as_stored() -> None:
    settings = Settings(strict_affinity=True)
    assert MemoryConfiguration(MemoryStore(settings=settings)).get_settings().value == settings
