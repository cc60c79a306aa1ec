# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Move every pod out of a pool, without an outage and without breaking a disruption budget.

The pool has to be stopped first: disabled, or selecting no node. Tunnel addresses leave it by themselves
(hazards.md D01); a drain is about pods. It decides for each workload which way its pods go
(``drain_plan.py``) and in which order (``drain_order.py``), takes the steps when they are allowed
(``drain_agenda.py``, ``drain_steps.py``), and is driven by watches: nothing is polled and nothing is forced.
Whatever is still there at the end is listed with the reason.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import metadata_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    IP_POOLS,
    NAMESPACES,
    REPLICA_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.workloads import Owners
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_agenda import Agenda
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_bare_pods import read_saved
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_breaker import Breaker
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    BARE_PODS,
    anywhere,
    check_consent,
    consents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_events import (
    FINISHED,
    INCOMPLETE,
    STOPPED,
    PoolEvents,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_loop import Loop, Report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_order import read_serving
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_places import read_places
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_preview import (
    preview,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import (
    DrainOptions,
    DrainResult,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sources import scope
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_task import Run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_view import View, load_view
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe import clean_range
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped


def drain_pool(
    api: KubeApi,
    options: DrainOptions,
    clock: Clock,
    report: Report,
    warn: t.Callable[[str], None],
    *,
    check_mode: bool,
) -> DrainResult:
    """Drain a pool by its name; with ``check_mode`` only say how. See ``disabled_pool`` and ``drain``.

    Refused on an installation that must not be written to (spec ippool.md §7.1).
    """
    check_options(api, options)
    require_writable(api)  # With a locked datastore, restarted pods would get no address.
    network = disabled_pool(api, options.pool, check_mode)
    if network is None:
        warn(f"There is no IPPool {options.pool!r}, so there is nothing to drain.")
        return DrainResult(changed=False, moved=0, total=0)
    if check_mode:
        return plan_drain(api, network, options, clock)
    _refuse_nowhere_to_go(api, options.pool, network)
    with contextlib.suppress(Forbidden):
        clean_range(api, network, clock)
    events = PoolEvents(api, api.get(IP_POOLS, options.pool), clock)
    try:
        result = drain(api, network, options, clock, report, warn, events)
    except IpamError as error:
        events.say(STOPPED, error.message)
        raise
    if result.changed or result.left:
        events.say(INCOMPLETE if result.left else FINISHED, result.summary())
    return result


def check_options(api: KubeApi, options: DrainOptions) -> None:
    """Raises ``InvalidInput`` for numbers out of their range, unknown consents and missing namespaces."""
    numbers: dict[str, float | None] = {
        "max_parallel": options.max_parallel,
        "max_parallel_per_namespace": options.max_parallel_per_namespace,
        "max_parallel_per_node": options.max_parallel_per_node,
        "max_failures": options.max_failures,
        "timeout": options.timeout,
    }
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise InvalidInput(f"{name} is {number:g}, it must be at least 1.", name, number)
    if options.pause < 0:
        raise InvalidInput(f"pause is {options.pause:g}, it must not be negative.", "pause", options.pause)
    check_consent(options.consent)
    for namespace in options.namespaces:
        try:
            api.get(NAMESPACES, namespace)
        except NotFound:
            raise InvalidInput(f"namespaces: there is no namespace {namespace!r}.", "namespaces", namespace) from None


def disabled_pool(api: KubeApi, name: str, check_mode: bool) -> Network | None:
    """The CIDR of a pool that may be drained; ``None`` when there is no such pool any more.

    Raises ``Refused`` while the pool still gives out addresses: its pods would come back to it. In check
    mode that is let pass, since the step that disables it has not been carried out either.
    """
    try:
        pool = api.get(IP_POOLS, name)
    except NotFound:
        return None
    spec = pool.get("spec") or {}
    if not is_stopped(spec) and not metadata_of(pool).get("deletionTimestamp") and not check_mode:
        raise Refused(
            f"IPPool {name!r} is enabled, so restarted pods would get addresses of it again: disable it first "
            "(calico_ops.ipam.ippool with disabled: true), or let it select no node (node_selector: '!all()').",
            pool=name,
        )
    return parse_network(spec.get("cidr"), strict=False)


def _refuse_nowhere_to_go(api: KubeApi, name: str, network: Network) -> None:
    """A pod that is restarted while no pool gives out addresses gets none: that is an outage, not a drain."""
    if not giving_pools(api, name, network):
        raise Refused(
            f"IPPool {name!r} cannot be drained: no other enabled IPv{network.version} pool gives addresses to pods, "
            "so restarted ones would get none; create or enable one first.",
            pool=name,
        )


def giving_pools(api: KubeApi, name: str, network: Network) -> list[Pool]:
    """The other pools that give addresses of the family to pods, without being asked for by name."""
    return [
        pool
        for pool in engine_pools(read_pools(api))
        if pool.name != name and pool.enabled and pool.version == network.version and "Workload" in pool.allowed_uses
    ]


def plan_drain(api: KubeApi, network: Network, options: DrainOptions, clock: Clock) -> DrainResult:
    """What a drain would do and what it would have to leave; reads only."""
    started = clock.monotonic()
    run = _start(api, network, options, clock)
    load_view(api, run.view)
    agenda = Agenda(run, lambda task: None)
    agenda.begin()
    lack = agenda.shortage.look(agenda.tasks, clock.monotonic()) if run.view.places.pools else ""
    return preview(run, agenda.ordered(), clock.monotonic() - started, lack)


def drain(
    api: KubeApi,
    network: Network,
    options: DrainOptions,
    clock: Clock,
    report: Report,
    warn: t.Callable[[str], None] = lambda text: None,
    events: PoolEvents | None = None,
) -> DrainResult:
    """Move the pods out of ``network``; returns when all are moved, nothing more can be, or time is up.

    ``report`` takes a ``Progress`` for each event. Raises ``DrainStopped`` when a new pod gets an address
    of the pool or none at all, or too many workloads failed; ``ClusterError`` when the cluster refuses what
    the drain is made of.
    """
    return Loop(_start(api, network, options, clock), report, warn, events).run_to_end()


def _start(api: KubeApi, network: Network, options: DrainOptions, clock: Clock) -> Run:
    namespaces = frozenset(options.namespaces)
    owners = Owners(api)
    owners.learn(REPLICA_SETS, scope(namespaces, REPLICA_SETS))
    view = View(owners, options.pool, network, namespaces)
    view.bare_owned = lambda namespace: consents(options.consent, BARE_PODS, namespace)
    view.places = read_places(api, options.pool, network, giving_pools(api, options.pool, network))
    run = Run(api, view, options, clock, read_serving(api, namespaces), breaker=Breaker(options.max_failures))
    if anywhere(options.consent, BARE_PODS):
        run.saved = read_saved(api, namespaces)
    return run
