# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stores on real servers. Each test begins with an empty etcd."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from etcd_fixture import EtcdServer, start_etcd  # noqa: E402 - found by way of the line above

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient


@pytest.fixture(scope="session")
def running_etcd(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[EtcdServer]:
    with start_etcd(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture
def etcd(running_etcd: EtcdServer) -> EtcdServer:
    """An etcd without keys, TLS or users."""
    running_etcd.wipe()
    return running_etcd


@pytest.fixture
def client(etcd: EtcdServer) -> t.Iterator[EtcdClient]:
    found = etcd.client()
    yield found
    found.close()
