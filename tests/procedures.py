# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles ``change_block_size`` and ``migrate_pool`` as sequences of operations: same order, same conditions.

That this is what the roles do is not checked here; the system tests run the roles themselves.
"""

from __future__ import annotations

import contextlib
import itertools
import typing as t
from dataclasses import replace

from simulation import SimulatedApi, SimulatedClock, simulated, with_fence

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import (
    Query,
    block_filter,
    queried_blocks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gates import GateRequest, pass_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import JournalRequest, look
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_run import JournalRun
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import Lock, LockLost, attach
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import Process, this_process
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_delete import delete_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import pool_request
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pools import ensure_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_report import (
    preflight,
    preflight_request,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_view import fetch_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import ProbeOptions, clean_up, probe
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

TARGET = {"cidr": "10.0.0.0/16"}
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
    """The modules of this collection, as functions of one client; ``owner`` is the playbook that runs them."""

    def __init__(self, api: SimulatedApi | CalicoApi, owner: Process | None = None, *, take_over: bool = False) -> None:
        self.api = calico_api(api)
        self.clock = SimulatedClock(api)
        self.store = open_stores(self.api).records
        self.owner = owner or mortal()
        self.take_over = take_over
        self.warnings: list[str] = []
        self.run: str | None = None
        self._lock: Lock | None = None

    def journal(self, state: str, procedure: str, pool: str, **given: t.Any) -> dict[str, t.Any]:
        """The module ``ippool_journal``; afterwards everything is written under the lock that it took."""
        defaults: dict[str, t.Any] = {
            "target": None,
            "block_size": None,
            "namespace": "kube-system",
            "direction": "forward",
            "waivers": [],
            "keep_pool": False,
            "stop_way": None,
            "moved": [],
        }
        params = {
            **defaults,
            "procedure": procedure,
            "pool": pool,
            "run": self.run,
            "run_by": self.owner.as_dict(),
            "take_over": self.take_over,
            **given,
        }
        raw = simulated(self.api)
        module = JournalRun(
            self.api,
            raw,
            self.clock,
            params,
            warn=self.warnings.append,
            report=lambda event: None,
            check_mode=False,
            worker=self.owner,
        )
        result: dict[str, t.Any] = getattr(module, state)()
        if self.run is None and result["run"] is not None:
            self.run = result["run"]
            self._lock = lock = attach(raw, str(self.run), self.clock, self.owner)
            raw.ticks.append(self._renew)
            self.api = with_fence(self.api, lock.require)
            self.store = open_stores(self.api).records
        return result

    def _renew(self) -> None:
        """What the thread of a module does: a failure shows with the next write."""
        if self._lock is not None:
            with contextlib.suppress(LockLost):
                self._lock.require()

    @contextlib.contextmanager
    def rescued(self, procedure: str, pool: str) -> t.Iterator[None]:
        """The rescue block of the roles: whatever stops a run, the lock is given back."""
        try:
            yield
        except IpamError:
            self.journal("paused", procedure, pool)
            raise

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

    def drain(self, pool: str) -> list[t.Any]:
        options = DrainOptions(pool=pool, max_parallel=5, namespaces=(), timeout=1800)
        result = drain_pool(self.api, options, self.clock, lambda event: None, lambda text: None, check_mode=False)
        result.require_complete(options)
        return list(result.as_module_result()["workloads"])

    def probe(self, pool: str) -> None:
        probe(self.api, ProbeOptions(pool=pool), self.clock)

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

    def stop(
        self,
        pool: str,
        target: str,
        noted: t.Callable[[str], dict[str, t.Any]],
        again: dict[str, t.Any],
        *,
        canary: bool = False,
    ) -> None:
        """Stop a pool between its two gates; when the second one fails it is made as it was, by ``again``.

        ``noted`` writes the way down before it is taken, and returns what the journal says.
        """
        before = self.gate("before_disable", pool, target=target)
        if canary and not before["stopped"]:
            probe(self.api, ProbeOptions(pool=target, every_node=True, pinned=True), self.clock)
        journal = noted("" if before["stopped"] else before["stop_way"])
        way = {"node_selector": "!all()"} if journal["stop_way"] == "node_selector" else {"disabled": True}
        try:
            self.present(pool, **way)
            self.gate("after_disable", pool, tunnels=before["tunnels"])
        except IpamError:
            self.present(pool, **again)
            raise


def enabled(spec: dict[str, t.Any]) -> dict[str, t.Any]:
    """What makes a pool give out addresses as it did."""
    return {"disabled": spec.get("disabled", False), "node_selector": spec.get("nodeSelector", "all()")}


def change_block_size(
    api: SimulatedApi | CalicoApi, pool: str, size: int, target: dict[str, t.Any], **options: t.Any
) -> Procedure:
    do = Procedure(api, **options)
    target = {"name": f"{pool}-temporary", "block_size": size, **target}
    with do.rescued(RESIZE, pool):
        _change_block_size(do, pool, size, target)
    return do


def _change_block_size(do: Procedure, pool: str, size: int, target: dict[str, t.Any]) -> None:
    temporary = str(target["name"])
    wanted: dict[str, t.Any] = {"block_size": size, "target": target}
    before = look(do.api, JournalRequest(RESIZE, pool, target, size))
    do.preflight(procedure=RESIZE, pool=pool, block_size=size, target=target)
    if before.phase != "done":
        kept = do.journal("present", RESIZE, pool, **wanted)
        if kept["phase"] == "done":
            return
        definition, phase = kept["journal"]["definition"], kept["phase"]
        if phase == "moving_out":
            do.present(
                temporary,
                definition={"spec": definition["spec"]},
                cidr=target["cidr"],
                block_size=target["block_size"],
                disabled=False,
            )

            def noted(way: str) -> dict[str, t.Any]:
                found = do.journal("present", RESIZE, pool, stop_way=way or None, **wanted)
                return t.cast("dict[str, t.Any]", found["journal"])

            do.stop(pool, temporary, noted, enabled(definition["spec"]), canary=True)
            moved = do.drain(pool)
            do.probe(temporary)
            do.gate("before_delete", pool)
            kept = do.journal("present", RESIZE, pool, moved=moved, **wanted)
            definition, phase = kept["journal"]["definition"], kept["phase"]
        cidr = definition["spec"]["cidr"]
        if phase != "moving_back":
            do.absent(pool, cidr)
            do.gate("before_create", pool, cidr=cidr)
        do.present(pool, definition=definition, block_size=size, disabled=False)
        do.gate("after_create", pool)
        kept = do.journal("present", RESIZE, pool, **wanted)
        if find(read_pools(do.api), temporary) is not None:
            do.stop(temporary, pool, lambda way: kept["journal"], {**enabled(definition["spec"]), "disabled": False})
            do.drain(temporary)
            do.probe(pool)
            do.gate("before_delete", temporary)
            do.absent(temporary)
        do.gate("closed", pool)
    do.journal("absent", RESIZE, pool)


def migrate_pool(api: SimulatedApi | CalicoApi, pool: str, target: dict[str, t.Any], **options: t.Any) -> Procedure:
    do = Procedure(api, **options)
    with do.rescued(MIGRATE, pool):
        _migrate_pool(do, pool, target)
    return do


def _migrate_pool(do: Procedure, pool: str, target: dict[str, t.Any]) -> None:
    before = look(do.api, JournalRequest(MIGRATE, pool, target))
    do.preflight(procedure=MIGRATE, pool=pool, target=target)
    if before.phase != "done":
        kept = do.journal("present", MIGRATE, pool, target=target)
        if kept["phase"] == "done":
            return
        definition = kept["journal"]["definition"]
        do.present(**{"definition": {"spec": definition["spec"]}, "disabled": False, **target})
        if kept["phase"] != "recreate":

            def noted(way: str) -> dict[str, t.Any]:
                found = do.journal("present", MIGRATE, pool, target=target, stop_way=way or None)
                return t.cast("dict[str, t.Any]", found["journal"])

            do.stop(pool, target["name"], noted, enabled(definition["spec"]), canary=True)
            moved = do.drain(pool)
            do.probe(target["name"])
            do.gate("before_delete", pool)
            do.journal("present", MIGRATE, pool, target=target, moved=moved)
        do.absent(pool, definition["spec"]["cidr"])
        do.gate("closed", pool, target=target["name"])
    do.journal("absent", MIGRATE, pool)


def rollback(api: SimulatedApi | CalicoApi, procedure: str, pool: str, **options: t.Any) -> Procedure:
    do = Procedure(api, **options)
    with do.rescued(procedure, pool):
        _rollback(do, procedure, pool)
    return do


def _rollback(do: Procedure, procedure: str, pool: str) -> None:
    before = look(do.api, JournalRequest(procedure, pool))
    if before.journal is not None:
        kept = do.journal("present", procedure, pool, direction="rollback")
        if kept["journal"] is None:
            return
        journal = kept["journal"]
        target, definition = journal["target"], journal["definition"]
        if procedure == RESIZE and kept["phase"] == "recreate":
            do.absent(pool, definition["spec"]["cidr"])
        do.present(pool, definition=definition, disabled=False)
        there = find(read_pools(do.api), target["name"]) is not None
        if journal["target_definition"]:
            do.present(target["name"], definition=journal["target_definition"])
        else:
            if there:
                clean_up(do.api, ProbeOptions(pool=target["name"]), do.clock)
                do.stop(target["name"], pool, lambda way: journal, {})
                do.drain(target["name"])
                do.probe(pool)
                do.gate("before_delete", target["name"])
            do.absent(target["name"], target["cidr"])
        if definition["spec"].get("disabled"):
            do.present(pool, disabled=True)
    do.journal("absent", procedure, pool)
