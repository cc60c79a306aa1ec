# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings Calico's client refuses to write (spec ipam-engine.md §14)."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import (
    Settings,
    check_settings,
    settings_problems,
)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (Settings(auto_allocate_blocks=False), "autoAllocateBlocks"),
        (Settings(max_blocks_per_host=4), "maxBlocksPerHost"),
        (Settings(strict_affinity=True, max_blocks_per_host=-1), "maxBlocksPerHost"),
        (Settings(strict_affinity=True, max_blocks_per_host=1 << 31), "maxBlocksPerHost"),
        (Settings(cooldown_seconds=-1), "ipCooldownSeconds"),
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


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(), []),
        (Settings(True, True, 4, "Disabled", 30), []),
        (Settings(False, False), ["both false"]),
        (Settings(False, False, unset=frozenset({"autoAllocateBlocks"})), ["without autoAllocateBlocks"]),
        (Settings(True, False, unset=frozenset({"autoAllocateBlocks"})), ["without autoAllocateBlocks"]),
        (Settings(True, False), ["autoAllocateBlocks is false"]),
        (Settings(max_blocks_per_host=4), ["does not borrow"]),
        (Settings(False, False, 4, cooldown_seconds=5000), ["both false", "does not borrow", "is 5000"]),
    ],
)
def test_problems_of_what_is_stored(settings: Settings, words: list[str]) -> None:
    problems = settings_problems(settings)
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems))


def test_what_is_not_stored_does_not_make_a_difference() -> None:
    assert Settings(unset=frozenset({"ipCooldownSeconds"})) == Settings()
