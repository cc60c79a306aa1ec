# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles ``change_block_size`` and ``migrate_pool`` as sequences of operations: same order, same conditions.

That this is what the roles do is not checked here; the system tests run the roles themselves.
"""

from __future__ import annotations

import typing as t

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
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import (
    JournalRequest,
    close_journal,
    look,
    open_journal,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import (
    preflight,
    preflight_request,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import fetch_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import ProbeOptions, probe
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

TARGET = {"cidr": "10.0.0.0/16"}


class Procedure:
    """The modules of this collection, as functions of one client."""

    def __init__(self, api: SimulatedApi | CalicoApi) -> None:
        self.api = calico_api(api)
        self.clock = SimulatedClock(api)
        self.store = open_stores(self.api).records

    def preflight(self, **params: t.Any) -> None:
        given = {"pool": None, "target": None, "block_size": None, "pools": None, "waivers": [], **params}
        request = preflight_request(given)
        found = preflight(request, fetch_view(self.api, request.pool))
        blocking = [
            each["message"] for each in found["findings"] if each["severity"] == "blocker" and not each["waived"]
        ]
        if blocking:
            raise Refused(" ".join(blocking))

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

    def drain(self, pool: str) -> None:
        options = DrainOptions(pool=pool, max_parallel=5, namespaces=(), timeout=1800)
        result = drain_pool(self.api, options, self.clock, lambda event: None, lambda text: None, check_mode=False)
        result.require_complete(options)

    def probe(self, pool: str) -> None:
        probe(self.api, ProbeOptions(pool=pool), self.clock)

    def nobody_in(self, pool: str) -> None:
        store, pools = self.store, read_pools(self.api)
        params = dict.fromkeys(("node", "cidr", "address", "pod", "handle"))
        wanted = block_filter({"pool": pool, **params}, pools)
        query = Query("blocks[].addresses[?kind=='pod'][]")
        damaged: list[object] = []
        blocks, reservations = store.raw_blocks(), store.reservations()
        left = queried_blocks(pools, blocks, reservations, wanted, query, damaged.append, addresses=True)
        if left or damaged:
            raise Refused(f"Pods still hold addresses of pool {pool}: {left}, {damaged}")


def change_block_size(api: SimulatedApi | CalicoApi, pool: str, size: int, target: dict[str, t.Any]) -> None:
    do = Procedure(api)
    target = {"name": f"{pool}-temporary", "block_size": size, **target}
    temporary = str(target["name"])
    request = JournalRequest("change_block_size", pool, target, size)
    do.preflight(procedure="change_block_size", pool=pool, block_size=size, target=target)
    if look(do.api, request).phase == "done":
        return
    outcome = open_journal(do.api, request, do.clock, check_mode=False)
    journal = t.cast("t.Any", outcome.journal)
    if outcome.phase == "moving_out":
        do.present(
            temporary,
            definition={"spec": journal.definition["spec"]},
            cidr=target["cidr"],
            block_size=target["block_size"],
            disabled=False,
        )
        do.present(pool, disabled=True)
        do.drain(pool)
        do.probe(temporary)
        do.nobody_in(pool)
        journal = t.cast("t.Any", open_journal(do.api, request, do.clock, check_mode=False).journal)
    if outcome.phase != "moving_back":
        do.absent(pool, journal.definition["spec"]["cidr"])
    do.present(pool, definition=journal.definition, block_size=size, disabled=False)
    if find(read_pools(do.api), temporary) is not None:
        do.present(temporary, disabled=True)
        do.drain(temporary)
        do.probe(pool)
        do.nobody_in(temporary)
        do.absent(temporary)
    close_journal(do.api, JournalRequest("change_block_size", pool), check_mode=False)


def migrate_pool(api: SimulatedApi | CalicoApi, pool: str, target: dict[str, t.Any]) -> None:
    do = Procedure(api)
    request = JournalRequest("migrate_pool", pool, target)
    do.preflight(procedure="migrate_pool", pool=pool, target=target)
    if look(do.api, request).phase == "done":
        return
    outcome = open_journal(do.api, request, do.clock, check_mode=False)
    journal = t.cast("t.Any", outcome.journal)
    do.present(
        **{"definition": {"spec": journal.definition["spec"]}, "disabled": False, **target},
    )
    if outcome.phase != "recreate":
        do.present(pool, disabled=True)
        do.drain(pool)
        do.probe(target["name"])
        do.nobody_in(pool)
    do.absent(pool, journal.definition["spec"]["cidr"])
    close_journal(do.api, JournalRequest("migrate_pool", pool), check_mode=False)
