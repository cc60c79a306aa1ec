# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The gates of a procedure: each proves one thing about the cluster before the next step may be taken.

They read and wait and never write, so a gate can be passed again at any time, by the role that is run again or
by a person who wants to know.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.timestamps import format_time, parse_time
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gate_after_disable import after_disable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gate_before_delete import before_delete
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gate_before_disable import before_disable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gate_closed import closed
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gate_create import after_create, before_create
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.last_write import last_writer_clause
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import tunnels_from
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import find, read_pools, require
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import Report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import Stores

BEFORE_DISABLE = "before_disable"
AFTER_DISABLE = "after_disable"
BEFORE_DELETE = "before_delete"
BEFORE_CREATE = "before_create"
AFTER_CREATE = "after_create"
CLOSED = "closed"
GATES = (BEFORE_DISABLE, AFTER_DISABLE, BEFORE_DELETE, BEFORE_CREATE, AFTER_CREATE, CLOSED)


@dataclass(frozen=True)
class GateRequest:
    """Which gate, and what it needs to know; see the module ``ippool_gate`` for each member. Times are seconds."""

    gate: str
    pool: str
    target: str | None = None
    cidr: str | None = None
    tunnels: t.Sequence[t.Mapping[str, t.Any]] | None = None
    since: str | None = None
    managers: t.Sequence[str] = ()
    waivers: t.Sequence[str] = ()
    timeout: float = 120
    soak: float = 30
    strict: bool = False


def pass_gate(api: PagedApi, stores: Stores, wanted: GateRequest, *, clock: Clock, report: Report) -> dict[str, t.Any]:
    """What the gate saw. Refused, in one sentence with the names, when it must not be passed."""
    records, name = stores.records, wanted.pool
    waiting: dict[str, t.Any] = {"timeout": wanted.timeout, "clock": clock, "report": report}
    if wanted.gate == BEFORE_DISABLE:
        return before_disable(api, records, name, target=wanted.target, waivers=wanted.waivers, **waiting)
    if wanted.gate == AFTER_DISABLE:
        before = None if wanted.tunnels is None else tunnels_from(wanted.tunnels)
        return after_disable(api, name, tunnels=before, since=_moment(wanted.since), **waiting)
    if wanted.gate == BEFORE_DELETE:
        network = _range_to_delete(api, wanted)
        if network is None:
            return {"holders": [], "blocks": 0, "soak": 0}
        return before_delete(
            api, records, f"IPPool {name!r}", network, watched=stores.watched, soak=wanted.soak, **waiting
        )
    if wanted.gate == BEFORE_CREATE:
        return before_create(api, records, _range_to_create(api, wanted), clock=clock)
    if wanted.gate == AFTER_CREATE:
        return after_create(api, records, name, **waiting)
    return closed(api, name, target=wanted.target, managers=wanted.managers, strict=wanted.strict)


def _range_to_delete(api: PagedApi, wanted: GateRequest) -> Network | None:
    """The range of the pool, or of one that is gone already; None when nothing of it is known any more."""
    live = find(read_pools(api), wanted.pool)
    given = None if wanted.cidr is None else parse_network(wanted.cidr)
    if live is None:
        return given
    network = live.pool_cidr
    if network is None:
        raise Refused(f"IPPool {wanted.pool!r} cannot be checked: its CIDR {live.spec.get('cidr')!r} does not parse.")
    if given is not None and given != network:
        raise Refused(f"IPPool {wanted.pool!r} has the CIDR {network}, not {given}, so it is not the pool meant.")
    if not live.terminating and not is_stopped(live.spec):
        raise Refused(
            f"IPPool {wanted.pool!r} gives out addresses, so that nobody uses it proves nothing: disable it first; "
            f"{last_writer_clause(live.thing, ('disabled', 'nodeSelector'))}.",
            pool=wanted.pool,
        )
    return network


def _range_to_create(api: PagedApi, wanted: GateRequest) -> Network:
    if wanted.cidr is not None:
        return parse_network(wanted.cidr)
    network = require(read_pools(api), wanted.pool).pool_cidr
    if network is None:
        raise InvalidInput("cidr: it is needed, since the CIDR of the pool does not parse.", field="cidr")
    return network


def _moment(text: str | None) -> str | None:
    """A time as Kubernetes writes it, so that it can be compared with others."""
    if text is None:
        return None
    try:
        return format_time(parse_time(text))
    except ValueError:
        raise InvalidInput(
            f"since: {text!r} is no time; write it like 2026-08-20T09:14:05Z.", field="since", value=text
        ) from None
