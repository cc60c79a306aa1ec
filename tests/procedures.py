# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles ``change_block_size`` and ``migrate_pool`` in virtual time, and single steps of them."""

from __future__ import annotations

import itertools
import typing as t
from dataclasses import replace

from runbook import Runbook
from simulation import SimulatedApi, SimulatedClock

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import (
    Query,
    block_filter,
    queried_blocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gates import GateRequest, pass_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import Process, this_process
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

MIGRATE, RESIZE = "migrate_pool", "change_block_size"
# No process has such an id, so whoever looks for it finds that it is gone.
_GONE = itertools.count(500_000_000)


def mortal() -> Process:
    """A playbook on this machine of which the next run finds that it is gone, as after a kill."""
    return replace(this_process(), pid=next(_GONE), user="sim")


def alive(name: str) -> Process:
    """A playbook on this machine that is still there."""
    return replace(this_process(), user=name, inventory_host=name)


class Procedure:
    """Single steps, without a run around them."""

    def __init__(self, api: SimulatedApi | CalicoApi) -> None:
        self.api = calico_api(api)
        self.clock = SimulatedClock(api)
        self.store = open_stores(self.api).records

    def present(self, name: str, **params: t.Any) -> None:
        ensure_pool(self.api, pool_request({"name": name, **params}), check_mode=False, clock=self.clock)

    def absent(self, name: str, cidr: str | None = None) -> None:
        delete_pool(
            self.api,
            self.store,
            name,
            network=None if cidr is None else parse_network(cidr),
            timeout=300,
            clock=self.clock,
            report=lambda event: None,
            check_mode=False,
        )

    def drain(self, pool: str) -> list[t.Any]:
        options = DrainOptions(pool=pool, max_parallel=5, namespaces=(), timeout=1800)
        result = drain_pool(self.api, options, self.clock, lambda event: None, lambda text: None, check_mode=False)
        result.require_complete(options)
        return list(result.as_module_result()["workloads"])

    def nobody_in(self, pool: str) -> None:
        """Refused when a pod has an address of the pool; unlike the gate, others may have some."""
        store, pools = self.store, read_pools(self.api)
        params = dict.fromkeys(("node", "cidr", "address", "pod", "handle"))
        wanted = block_filter({"pool": pool, **params}, pools)
        query = Query("blocks[].addresses[?kind=='pod'][]")
        damaged: list[object] = []
        blocks, reservations = store.raw_blocks(), store.reservations()
        left = queried_blocks(pools, blocks, reservations, wanted, query, damaged.append, addresses=True)
        if left or damaged:
            raise Refused(f"Pods still hold addresses of pool {pool}: {left}, {damaged}")

    def gate(self, name: str, pool: str, **options: t.Any) -> dict[str, t.Any]:
        request = GateRequest(gate=name, pool=pool, soak=5, **options)
        return pass_gate(self.api, open_stores(self.api), request, clock=self.clock, report=lambda event: None)


def change_block_size(
    api: SimulatedApi | CalicoApi,
    pool: str,
    size: int,
    target: dict[str, t.Any],
    *,
    owner: Process | None = None,
    **options: t.Any,
) -> Runbook:
    """The role with its options by their names without its prefix; ``target`` may name the temporary pool."""
    given: dict[str, t.Any] = {"pool": pool, "block_size": size, "temporary_cidr": target["cidr"], **options}
    if "name" in target:
        given["temporary_name"] = target["name"]
    return _play(api, RESIZE, "main", owner, given)


def migrate_pool(
    api: SimulatedApi | CalicoApi,
    pool: str,
    target: dict[str, t.Any],
    *,
    owner: Process | None = None,
    **options: t.Any,
) -> Runbook:
    return _play(api, MIGRATE, "main", owner, {"from": pool, "to": target, **options})


def rollback(
    api: SimulatedApi | CalicoApi,
    procedure: str,
    pool: str,
    *,
    owner: Process | None = None,
    **options: t.Any,
) -> Runbook:
    return _play(api, procedure, "rollback", owner, {"from" if procedure == MIGRATE else "pool": pool, **options})


def _play(
    api: SimulatedApi | CalicoApi, role: str, entry: str, owner: Process | None, given: dict[str, t.Any]
) -> Runbook:
    # A short soak is as good as a long one: nothing in these clusters is on its way for longer than that.
    variables = {f"{role}_{name}": value for name, value in {"soak": 5, **given}.items()}
    runbook = Runbook(api, owner or mortal(), variables)
    runbook.play(role, entry)
    return runbook
