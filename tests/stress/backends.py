# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the writers write: the store in memory, the embedded cluster over HTTPS, a real etcd.

A backend is described by words that fit into an argument of a process: ``open_backend(backend.words)`` is
another connection to the same place.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace

from invariants import State, state_of_api, state_of_memory, state_of_raw

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.settings import Settings
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.memory import MemoryStore

#: Few blocks, so that writers meet: 8 of IPv4, 4 that come and go, 8 of IPv6, four addresses each.
POOLS = (("main", "10.77.0.0/27", 30), ("six", "fd00:77::/123", 126), ("spare", "10.78.0.0/28", 30))
NODES = ("node-1", "node-2", "node-3", "node-4")
Words = t.Mapping[str, t.Any]


class Backend(t.Protocol):
    """``store`` is for one thread. ``state`` is for the invariants, ``now`` the moment of the reading."""

    words: Words
    store: t.Any

    def begin(self) -> None:
        """Remove every record of IPAM and set the defaults."""

    def settings(self, settings: Settings) -> None: ...

    def disable(self, pool: str, disabled: bool) -> None: ...

    def state(self, now: t.Any) -> State: ...

    def another(self) -> Backend:
        """A connection of one's own, for another thread."""

    def close(self) -> None: ...


def open_backend(words: Words) -> Backend:
    """A connection to the place that ``words`` name, which begins as somebody else left it."""
    return EtcdBackend(words["url"]) if "url" in words else KubernetesBackend(words["kubeconfig"])


class MemoryBackend:
    words: Words = {}

    def __init__(self) -> None:
        self.store: t.Any = MemoryStore([_pool(*pool) for pool in POOLS], {node: {} for node in NODES})

    def begin(self) -> None:
        pass

    def settings(self, settings: Settings) -> None:
        self.store.set_settings(settings)

    def disable(self, pool: str, disabled: bool) -> None:
        known = next(known for known in self.store.pools() if known.name == pool)
        self.store.put_pool(replace(known, disabled=disabled))

    def state(self, now: t.Any) -> State:
        return state_of_memory(self.store, now=now, nodes=NODES)

    def another(self) -> Backend:
        return self

    def close(self) -> None:
        pass


class KubernetesBackend:
    def __init__(self, kubeconfig: str) -> None:
        self.words: Words = {"kubeconfig": kubeconfig}
        self.api = connect(ConnectionOptions(kubeconfig=kubeconfig))
        self.store: t.Any = KubernetesStore(self.api)

    def begin(self) -> None:
        for resource in (IPAM_BLOCKS, BLOCK_AFFINITIES, IPAM_HANDLES, IPAM_CONFIGS):
            for thing in self.api.list(resource).items:
                self.api.delete(resource, thing["metadata"]["name"])
        for name, _cidr, _size in POOLS:
            self.disable(name, False)

    def settings(self, settings: Settings) -> None:
        body = {
            "apiVersion": IPAM_CONFIGS.api_version,
            "kind": IPAM_CONFIGS.kind,
            "metadata": {"name": "default"},
            "spec": {
                "strictAffinity": settings.strict_affinity,
                "autoAllocateBlocks": settings.auto_allocate_blocks,
                "maxBlocksPerHost": settings.max_blocks_per_host,
                "ipCooldownSeconds": settings.cooldown_seconds,
            },
        }
        try:
            self.api.patch(IPAM_CONFIGS, "default", {"spec": body["spec"]})
        except NotFound:
            self.api.create(IPAM_CONFIGS, body)

    def disable(self, pool: str, disabled: bool) -> None:
        self.api.patch(IP_POOLS, pool, {"spec": {"disabled": disabled}})

    def state(self, now: t.Any) -> State:
        return state_of_api(self.api, now=now)

    def another(self) -> Backend:
        return KubernetesBackend(self.words["kubeconfig"])

    def close(self) -> None:
        self.api.close()


class EtcdBackend:
    def __init__(self, url: str) -> None:
        self.words: Words = {"url": url}
        self._client = EtcdClient(EtcdOptions((parse_endpoint(url),), timeout=10.0))
        self.store: t.Any = EtcdStore(self._client)

    def begin(self) -> None:
        """The server was wiped."""
        for name in NODES:
            self._put("nodes", "Node", name, {})
        for name, cidr, size in POOLS:
            self._put("ippools", "IPPool", name, {"cidr": cidr, "blockSize": size, "nodeSelector": "all()"})

    def settings(self, settings: Settings) -> None:
        members = {
            "strict_affinity": settings.strict_affinity,
            "auto_allocate_blocks": settings.auto_allocate_blocks,
            "ipCooldownSeconds": settings.cooldown_seconds,
        }
        self._write(etcd_keys.SETTINGS, {name: value for name, value in members.items() if value})

    def disable(self, pool: str, disabled: bool) -> None:
        row = self._client.get(etcd_keys.resource_key("ippools", pool))
        spec = json.loads(row.value)["spec"] if row else {}
        self._put("ippools", "IPPool", pool, {**spec, "disabled": disabled})

    def state(self, now: t.Any) -> State:
        # Names are Kubernetes' own; a handle's key keeps the case of its id.
        return state_of_raw(self.store, now=now, nodes=NODES, named=False)

    def another(self) -> Backend:
        return EtcdBackend(self.words["url"])

    def close(self) -> None:
        self._client.close()

    def _put(self, plural: str, kind: str, name: str, spec: Words) -> None:
        body = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": {"name": name}, "spec": dict(spec)}
        self._write(etcd_keys.resource_key(plural, name), body)

    def _write(self, key: str, body: Words) -> None:
        value = json.dumps(body).encode()
        row = self._client.get(key)
        done = self._client.update(key, value, row.revision) if row else self._client.create(key, value)
        assert done.done


def _pool(name: str, cidr: str, size: int) -> t.Any:
    return pool_from_spec(name, {"cidr": cidr, "blockSize": size})
