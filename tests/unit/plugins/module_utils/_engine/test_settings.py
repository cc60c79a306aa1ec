# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings Calico's client refuses to write (spec ipam-engine.md §14)."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings, check_settings


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (Settings(auto_allocate_blocks=False), "autoAllocateBlocks"),
        (Settings(max_blocks_per_host=4), "maxBlocksPerHost"),
        (Settings(strict_affinity=True, max_blocks_per_host=-1), "maxBlocksPerHost"),
        (Settings(cooldown_seconds=1201), "ipCooldownSeconds"),
        (Settings(vm_address_persistence="Sometimes"), "kubeVirtVMAddressPersistence"),
    ],
)
def test_refused(settings: Settings, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_settings(settings)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(True, False, 4, "Disabled", 1200),
        Settings(strict_affinity=True, auto_allocate_blocks=False),
    ],
)
def test_accepted(settings: Settings) -> None:
    check_settings(settings)
