# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# A contract's tests are collected in whichever file takes them in with its own fixtures:
# pylint: disable=wildcard-import,unused-wildcard-import

"""The contracts of datastores and of configuration stores, on etcd."""

from __future__ import annotations

import typing as t

import pytest
from configuration_contract import *  # noqa: F403
from store_contract import *  # noqa: F403
from store_contract import CIDR, HANDLE

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import NotFoundInStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_configuration import EtcdConfiguration


@pytest.fixture
def store(client: EtcdClient) -> EtcdStore:
    return EtcdStore(client)


@pytest.fixture
def configuration(client: EtcdClient) -> tuple[t.Any, t.Any]:
    return EtcdConfiguration(client), EtcdStore(client)


def test_handles_that_differ_only_in_case_are_two(store: EtcdStore) -> None:
    store.create_handle(HANDLE)
    with pytest.raises(NotFoundInStore):
        store.get_handle("net.abc")
    store.create_handle(Handle("net.abc", {CIDR: 1}))
    assert len(store.list_handles()) == 2
