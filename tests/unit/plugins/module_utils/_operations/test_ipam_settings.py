# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings through a ``ConfigurationStore``, whatever it keeps them in."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings_review import SettingsFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings import (
    SettingsWrite,
    ensure_settings,
    settings_info,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory_configuration import MemoryConfiguration

BROKEN = Settings(False, False, 4)


class Cluster:
    """A store with its settings; ``facts`` is what is said about the cluster, ``asked`` how often."""

    def __init__(self, settings: Settings | None = None, facts: SettingsFacts | None = None) -> None:
        self.store = MemoryStore(settings=settings)
        self.configuration = MemoryConfiguration(self.store)
        self.facts = facts or SettingsFacts()
        self.asked = 0

    def read(self, before: Settings, after: Settings) -> SettingsFacts:
        self.asked += 1
        return self.facts

    def ensure(self, check_mode: bool = False, waivers: t.Collection[str] = (), **wanted: t.Any) -> SettingsWrite:
        return ensure_settings(self.configuration, wanted, self.read, waivers=waivers, check_mode=check_mode)


def test_check_mode_plans_what_would_be_done() -> None:
    cluster = Cluster()
    planned = cluster.ensure(check_mode=True, strict_affinity=True)
    assert cluster.store.settings() == Settings()
    assert not settings_info(cluster.configuration)["exists"]
    assert cluster.ensure(strict_affinity=True) == planned
    assert cluster.store.settings() == Settings(strict_affinity=True)
    asked = cluster.asked
    assert not cluster.ensure(strict_affinity=True).plan.changed
    assert cluster.asked == asked, "nothing changes, so nothing need be known"


@pytest.mark.parametrize(
    ("stored", "wanted", "error", "words"),
    [
        (None, {"max_blocks_per_host": 2}, InvalidInput, "maxBlocksPerHost 2 needs strictAffinity true"),
        (Settings(True, True, 2), {"strict_affinity": False}, Refused, "give max_blocks_per_host as well"),
        (Settings(True, False), {"strict_affinity": False}, Refused, "give auto_allocate_blocks as well"),
        (BROKEN, {"cooldown_seconds": 3}, Refused, "give auto_allocate_blocks as well"),
        (BROKEN, {"auto_allocate_blocks": True}, Refused, "give max_blocks_per_host as well"),
    ],
)
def test_the_sum_must_obey_the_rules(stored: t.Any, wanted: t.Any, error: type[Exception], words: str) -> None:
    cluster = Cluster(stored)
    with pytest.raises(error, match=words):
        cluster.ensure(**wanted)
    assert cluster.store.settings() == (stored or Settings())


def test_broken_settings_are_mended_by_naming_them() -> None:
    cluster = Cluster(BROKEN)
    assert len(settings_info(cluster.configuration)["problems"]) == 2
    assert cluster.ensure(auto_allocate_blocks=True, max_blocks_per_host=0).plan.changed
    assert settings_info(cluster.configuration)["problems"] == []


def test_a_danger_is_refused_and_can_be_waived_by_name() -> None:
    cluster = Cluster(facts=SettingsFacts(borrowed=2, versions={"calico-node on a": (3, 32)}, keeps_released_at=True))
    for waivers in ((), ("windows",)):
        with pytest.raises(Refused, match=r"v3.32.*give waivers: \[cooldown_versions\]"):
            cluster.ensure(cooldown_seconds=30, waivers=waivers)
    assert cluster.store.settings() == Settings()
    waived = cluster.ensure(cooldown_seconds=30, strict_affinity=True, waivers=("cooldown_versions",))
    assert len(waived.plan.warnings) == 2
    assert cluster.store.settings() == Settings(strict_affinity=True, cooldown_seconds=30)


def test_what_breaks_every_cluster_cannot_be_waived() -> None:
    cluster = Cluster(facts=SettingsFacts(versions={"calico-node on a": (3, 33)}, keeps_released_at=False))
    with pytest.raises(Refused, match="has no releasedAt") as caught:
        cluster.ensure(cooldown_seconds=30, waivers=("cooldown_versions", "cooldown_load_balancer", "windows"))
    assert "waivers" not in caught.value.message


def test_a_change_by_somebody_else_in_between_is_seen() -> None:
    """The facts are read between reading and writing the settings: the right moment for another writer."""
    cluster = Cluster(Settings(strict_affinity=True))

    def meanwhile(before: Settings, after: Settings) -> SettingsFacts:
        if cluster.asked == 0:
            stored = cluster.configuration.get_settings()
            cluster.configuration.update_settings(stored, Settings(strict_affinity=True, max_blocks_per_host=9))
        return Cluster.read(cluster, before, after)

    write = ensure_settings(cluster.configuration, {"cooldown_seconds": 5}, meanwhile, waivers=ALL, check_mode=False)
    assert write.settings == Settings(True, True, 9, "Enabled", 5) == cluster.store.settings()
    assert cluster.asked == 2
    with pytest.raises(Refused, match="This maxBlocksPerHost is what is stored now"):
        cluster.ensure(strict_affinity=False)


ALL = ("cooldown_versions", "cooldown_load_balancer")


def test_who_never_stops_changing_them_is_named() -> None:
    cluster = Cluster(Settings(strict_affinity=True))

    def always(before: Settings, after: Settings) -> SettingsFacts:
        stored = cluster.configuration.get_settings()
        cluster.configuration.update_settings(stored, stored.value)
        return Cluster.read(cluster, before, after)

    with pytest.raises(Refused, match="changed by someone else 5 times"):
        ensure_settings(cluster.configuration, {"max_blocks_per_host": 5}, always, check_mode=False)
    assert cluster.asked == 5
