# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A contract's tests are collected in whichever file takes them in with its own fixtures:
# pylint: disable=wildcard-import,unused-wildcard-import

"""The contract of configuration stores, on the one in memory and on custom resources of both groups."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[4]))

from configuration_contract import *  # noqa: F403

from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes_configuration import (
    KubernetesConfiguration,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory_configuration import MemoryConfiguration


@pytest.fixture
def configuration(store: t.Any) -> tuple[t.Any, t.Any]:
    if isinstance(store, MemoryStore):
        return MemoryConfiguration(store), store
    return KubernetesConfiguration(store._api, store.group), store
