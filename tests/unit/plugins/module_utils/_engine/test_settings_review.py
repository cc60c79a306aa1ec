# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of the settings does to a cluster in use (spec ipam-engine.md §9, §14, §17.3, §21.21, §22)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings_review import (
    WAIVERS,
    SettingsFacts,
    review_settings,
)

STRICT = Settings(strict_affinity=True)
FOUR = Settings(strict_affinity=True, max_blocks_per_host=4)
COOLING = Settings(cooldown_seconds=30)
NEW = {"calico-node on a": (3, 33), "calico-kube-controllers on b": (3, 34)}
READY = SettingsFacts(versions=NEW, keeps_released_at=True)


@pytest.mark.parametrize(
    ("before", "after", "facts", "words"),
    [
        (Settings(), STRICT, SettingsFacts(borrowed=3), "3 addresses borrowed from blocks of other nodes stay"),
        (
            Settings(),
            STRICT,
            SettingsFacts(nodes={"a": 110, "b": 110, "c": 110}, blocks_of={"a": 1}, free_blocks=1),
            "2 nodes without a block of their own (b, c) but room for only 1 more block",
        ),
        (STRICT, Settings(True, False), SettingsFacts(), "no node gets a new block"),
        (
            STRICT,
            Settings(True, False),
            SettingsFacts(nodes={"a": 1, "b": 1}, blocks_of={"b": 1}),
            "full; without any block are 1 node (a)",
        ),
        (
            STRICT,
            FOUR,
            SettingsFacts(blocks_of={"a": 4, "b": 5, "c": 9}),
            "2 hosts above the limit of 4 blocks (b, c; c has 9)",
        ),
        (
            Settings(True, True, 40),
            STRICT,
            SettingsFacts(blocks_of={"a": 21}),
            "1 host above the limit of 20 blocks",
        ),
        (
            STRICT,
            FOUR,
            SettingsFacts(nodes={"a": 110, "b": 16}, blocks_of={"a": 1, "b": 1}, addresses_per_block=4),
            "4 blocks of 4 addresses are fewer addresses than 1 node may run pods (a; a 110)",
        ),
        (
            Settings(),
            Settings(vm_address_persistence="Disabled"),
            SettingsFacts(vm_addresses=1),
            "1 address held by virtual machines",
        ),
    ],
)
def test_warnings(before: Settings, after: Settings, facts: SettingsFacts, words: str) -> None:
    (concern,) = review_settings(before, after, facts)
    assert words in concern.message
    assert (concern.refused, concern.waiver) == (False, "")


@pytest.mark.parametrize(
    ("before", "after", "facts", "words", "waiver"),
    [
        (STRICT, Settings(), SettingsFacts(windows_nodes=("w",)), "Windows nodes (w)", "windows"),
        (
            Settings(),
            COOLING,
            SettingsFacts(versions={**NEW, "install-cni on a": (3, 32)}, keeps_released_at=True),
            "v3.33 or later: install-cni on a, down to v3.32, would take",
            "cooldown_versions",
        ),
        (
            Settings(),
            COOLING,
            SettingsFacts(keeps_released_at=True),
            "which versions of Calico run",
            "cooldown_versions",
        ),
        (Settings(), COOLING, SettingsFacts(versions=NEW), "has releasedAt could not be told", "cooldown_versions"),
        (
            Settings(),
            COOLING,
            SettingsFacts(versions=NEW, keeps_released_at=True, load_balancer=("pool services",)),
            "Service addresses from Calico (pool services)",
            "cooldown_load_balancer",
        ),
        (Settings(), COOLING, SettingsFacts(versions=NEW, keeps_released_at=False), "has no releasedAt", ""),
        (
            Settings(),
            COOLING,
            replace(READY, unserved=("ipCooldownSeconds",)),
            "has no ipCooldownSeconds, which comes with Calico v3.33",
            "",
        ),
    ],
)
def test_refusals(before: Settings, after: Settings, facts: SettingsFacts, words: str, waiver: str) -> None:
    (concern,) = review_settings(before, after, facts)
    assert words in concern.message
    assert (concern.refused, concern.waiver) == (True, waiver)
    assert waiver == "" or waiver in WAIVERS


@pytest.mark.parametrize(
    ("before", "after", "facts"),
    [
        (Settings(), COOLING, READY),
        (COOLING, Settings(cooldown_seconds=60), SettingsFacts(versions={"x": (3, 20)}, keeps_released_at=False)),
        (COOLING, Settings(), SettingsFacts()),
        (STRICT, STRICT, SettingsFacts(borrowed=7, windows_nodes=("w",))),
        (Settings(), STRICT, SettingsFacts(nodes={"a": 1}, free_blocks=1)),
        (Settings(), STRICT, SettingsFacts(nodes={"a": 1}, free_blocks=None)),
        (FOUR, STRICT, SettingsFacts(blocks_of={"a": 20})),
    ],
)
def test_nothing_to_say(before: Settings, after: Settings, facts: SettingsFacts) -> None:
    assert review_settings(before, after, facts) == ()


def test_refusals_come_first() -> None:
    facts = SettingsFacts(borrowed=1, load_balancer=("x",), versions=NEW, keeps_released_at=True)
    assert [
        concern.refused for concern in review_settings(Settings(), Settings(True, True, 0, "Enabled", 9), facts)
    ] == [
        True,
        False,
    ]
