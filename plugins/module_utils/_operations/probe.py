# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Prove where a new pod's address comes from, with pods that exist for nothing else.

This is how Calico's guide verifies a change of pools: a throw-away namespace, a pod in it, a look at its
address. Ordinary pods are not pinned to the pool, since what is to be proven is where they end up. Pinned ones prove
the pool itself, before the pool that serves now is stopped (hazards D04, B27; minimum gate 2).
"""

from __future__ import annotations

import contextlib
import re
import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    annotations_of,
    condition,
    metadata_of,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import selects_node
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_virtual, is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    read_pools,
    require,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe_pods import (
    LABEL,
    PAUSE,
    POOL_NOTE,
    NamespaceClass,
    PodWish,
    class_of,
    is_expired,
    namespace_body,
    pod_body,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.probe_wait import Found, Wanted, wait_for_pods
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.stop_way import is_stopped

__all__ = ["LABEL", "POOL_NOTE", "ProbeOptions", "ProbedAddress", "clean_range", "clean_up", "plan_probe", "probe"]

# A probe of another pool is somebody else's, unless it has outlived its own time limit by this much.
EXPIRY_GRACE = timedelta(minutes=5)
CLEANUP_SECONDS = 60.0
# A host name, an IPv4 address or an IPv6 address in brackets, and a port.
_TARGET = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")


@dataclass(frozen=True)
class ProbeOptions:
    """``nodes`` are to run one pod each; none means one pod wherever it is scheduled. ``timeout`` in seconds.

    ``every_node``: one pod on each ready node that the pool selects. ``namespaces``: in a namespace like each of
    these. ``pinned``: the pods ask for the pool. ``targets`` (host:port) and ``checks`` (dns, api) are tried by the
    image's sh, nc and nslookup, or ``command`` is run instead; the pods must end well then. ``instead_of`` is the pool
    whose place this one takes: any other that gives out addresses may serve a pod, too, as where several do.
    """

    pool: str
    nodes: t.Sequence[str] = ()
    image: str = PAUSE
    timeout: float = 120.0
    namespace_prefix: str = "calico-ops-probe"
    every_node: bool = False
    namespaces: t.Sequence[str] = ()
    pinned: bool = False
    targets: t.Sequence[str] = ()
    checks: t.Sequence[str] = ()
    command: t.Sequence[str] = ()
    annotations: t.Mapping[str, str] = field(default_factory=dict)
    instead_of: str = ""


@dataclass(frozen=True)
class ProbedAddress:
    """What a pod proved: ``namespace`` is the one that it stood for, ``reached`` whether its checks ended well."""

    node: str
    address: str
    pool: str
    namespace: str = ""
    reached: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, t.Any]:
        return {
            "node": self.node,
            "address": self.address,
            "pool": self.pool,
            "namespace": self.namespace,
            "reached": list(self.reached),
        }


@dataclass(frozen=True)
class _Plan:
    """The options held against the cluster: where pods are to run, and what they are like."""

    pools: t.Sequence[StoredPool]
    network: Network
    nodes: t.Sequence[str | None]
    classes: t.Sequence[NamespaceClass]
    wish: PodWish


def plan_probe(api: KubeApi, options: ProbeOptions) -> list[str]:
    """What a probe would do, as sentences; raises ``InvalidInput`` for an unknown pool, node or namespace."""
    plan = _check(api, options)
    named = [node for node in plan.nodes if node is not None]
    where = f"on each of the nodes {', '.join(named)}" if named else "wherever it is scheduled"
    likes = [each.name for each in plan.classes if each.name]
    like = f" like {' and '.join(likes)} each" if likes else ""
    what = f"wait until each has an address and check that it lies in IPPool {options.pool}"
    ends = ", and that its command ends well" if plan.wish.ends else ""
    return [
        f"create a namespace {options.namespace_prefix}-xxxxx{like} with one pod of image {options.image} {where}",
        f"{what}{ends}",
        "delete the namespace",
    ]


def probe(api: KubeApi, options: ProbeOptions, clock: Clock) -> list[ProbedAddress]:
    """Run the probe; whatever comes of it, its namespaces are deleted again.

    Raises ``Refused`` when a pod gets an address elsewhere or none in time, or its command fails, ``InvalidInput``
    for an unknown pool, node or namespace, ``Forbidden`` when a right is missing, also that to delete a namespace.
    """
    plan = _check(api, options)
    clean_up(api, options, clock)
    try:
        wanted = [each for like in plan.classes for each in _create(api, like, plan, options, clock)]
        found = wait_for_pods(api, wanted, ends=plan.wish.ends, pool=options.pool, timeout=options.timeout, clock=clock)
    except BaseException:
        # A leftover is found by its label next time; why the probe failed matters more than a failing clean-up.
        with contextlib.suppress(ClusterError):
            clean_up(api, options, clock)
        raise
    try:
        clean_up(api, options, clock)
    except Forbidden:
        # It would be left behind by every probe.
        raise
    except ClusterError:
        pass
    proven = [_probed(each, plan, options) for each in found]
    _refuse_unreached(found, options)
    return sorted(proven, key=lambda entry: (entry.node, entry.namespace, entry.address))


def _probed(each: Found, plan: _Plan, options: ProbeOptions) -> ProbedAddress:
    """What the pod proves; raises ``Refused`` when its address is of a pool that it must not come from."""
    for address in each.addresses:
        pool = _pool_of(address, plan)
        if pool is not None and _may_serve(pool, options):
            reached = (*plan.wish.targets, *plan.wish.checks)
            return ProbedAddress(each.node, address, pool.name, each.wanted.like, reached)
    raise _elsewhere(each, plan, options)


def _pool_of(address: str, plan: _Plan) -> StoredPool | None:
    """The pool that an address of the IP version in question belongs to."""
    parsed = parse_address(address)
    if parsed.version != plan.network.version:
        return None
    for pool in plan.pools:
        with contextlib.suppress(InvalidInput):
            if _network(pool).contains(parsed):
                return pool
    return None


def _may_serve(pool: StoredPool, options: ProbeOptions) -> bool:
    if pool.name == options.pool or not options.instead_of:
        return pool.name == options.pool
    return pool.name != options.instead_of and not is_stopped(pool.spec)


def _elsewhere(each: Found, plan: _Plan, options: ProbeOptions) -> Refused:
    addresses, version = ", ".join(each.addresses), plan.network.version
    if not any(parse_address(one).version == version for one in each.addresses):
        return Refused(
            f"The probe on node {each.node} got {addresses} and no IPv{version} address, so no pod there gets "
            f"one of IPPool {options.pool!r}: the CNI configuration must ask for it (assign_ipv{version}), and "
            f"calico-node must know an IPv{version} address of the node.",
            node=each.node,
            address=addresses,
        )
    pools = [pool.name for pool in (_pool_of(address, plan) for address in each.addresses) if pool is not None]
    whose = f"of IPPool {pools[0]!r}" if pools else "of no IPPool"
    wanted = f"{options.pool!r} or another than {options.instead_of!r}" if options.instead_of else repr(options.pool)
    return Refused(
        f"The probe on node {each.node} got {addresses}, which is {whose}, and "
        f"not of IPPool {wanted}: check that the pool is enabled, selects the node and the namespace, "
        "and that no other pool is chosen before it.",
        node=each.node,
        address=addresses,
    )


def _refuse_unreached(found: t.Sequence[Found], options: ProbeOptions) -> None:
    failed = [each for each in found if each.failed]
    if failed:
        named = "; ".join(
            f"{each.node}{f', as in namespace {each.wanted.like}' if each.wanted.like else ''}: {each.failed}"
            for each in failed[:5]
        )
        more = f"; and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise Refused(
            f"New pods get addresses of IPPool {options.pool!r} and do not reach everything from there: {named}{more}.",
            nodes=[{"node": each.node, "namespace": each.wanted.like, "why": each.failed} for each in failed],
        )


def _check(api: KubeApi, options: ProbeOptions) -> _Plan:
    pools = read_pools(api)
    live = require(pools, options.pool)
    network = _network(live)
    wish = PodWish(
        pool=options.pool,
        image=options.image,
        pinned=network.version if options.pinned else None,
        command=tuple(options.command),
        targets=tuple(options.targets),
        checks=tuple(options.checks),
        annotations=options.annotations,
    )
    for target in wish.targets:
        port = _TARGET.fullmatch(target)
        if port is None or not 0 < int(port.group(1)) < 65536:
            raise InvalidInput(
                f"targets: {target!r} is not host:port, such as 198.51.100.7:443 or [2001:db8::7]:443.",
                "targets",
                target,
            )
    if wish.ends and not wish.command and options.image == PAUSE:
        raise InvalidInput(
            f"image: {PAUSE} has no shell to try targets and checks with; name one that has sh, nc and nslookup, such "
            "as busybox.",
            "image",
            options.image,
        )
    return _Plan(pools, network, _nodes(api, live, options), _classes(api, options), wish)


def _nodes(api: KubeApi, live: StoredPool, options: ProbeOptions) -> list[str | None]:
    """The nodes to run a pod on; one None for wherever the scheduler puts it."""
    if not options.nodes and not options.every_node:
        return [None]
    things = {str(metadata_of(node)["name"]): node for node in api.list(NODES).items}
    unknown = [name for name in options.nodes if name not in things]
    if unknown:
        raise InvalidInput(
            f"nodes: the cluster has no node {unknown[0]!r}; it has {', '.join(sorted(things))}.", "nodes", unknown[0]
        )
    if options.nodes:
        return list(options.nodes)
    pool = live.pool()
    chosen = [name for name, node in sorted(things.items()) if _takes_part(node, pool)]
    if not chosen:
        raise Refused(f"IPPool {options.pool!r} selects no node that is ready, so nothing can be proven of it.")
    return list(chosen)


def _takes_part(node: Object, pool: t.Any) -> bool:
    ready = condition(node, "Ready").get("status") == "True"
    return (
        ready
        and not is_windows(node)
        and not is_virtual(node)
        and pool is not None
        and selects_node(pool, calico_labels(node))
    )


def _classes(api: KubeApi, options: ProbeOptions) -> list[NamespaceClass]:
    """One namespace for all that Calico cannot tell apart."""
    if not options.namespaces:
        return [NamespaceClass()]
    things = {str(metadata_of(item)["name"]): item for item in api.list(NAMESPACES).items}
    found: dict[t.Any, NamespaceClass] = {}
    for name in options.namespaces:
        if name not in things:
            raise InvalidInput(f"namespaces: there is no namespace {name!r}.", "namespaces", name)
        like = class_of(things[name])
        found.setdefault((frozenset(like.labels.items()), frozenset(like.annotations.items())), like)
    return list(found.values())


def _network(pool: StoredPool) -> Network:
    return parse_network(pool.spec.get("cidr"), strict=False)


def _create(api: KubeApi, like: NamespaceClass, plan: _Plan, options: ProbeOptions, clock: Clock) -> t.Iterator[Wanted]:
    expires = clock.now() + timedelta(seconds=options.timeout + CLEANUP_SECONDS)
    body = namespace_body(options.namespace_prefix, options.pool, like, expires)
    try:
        made = api.create(NAMESPACES, body)
    except Unreachable as error:
        if not error.maybe_done:
            raise
        # Each has a name of its own, and all of them are cleaned up.
        made = api.create(NAMESPACES, body)
    namespace = str(metadata_of(made)["name"])
    for index, node in enumerate(plan.nodes):
        wanted = Wanted(namespace, f"probe-{index}", node, like.name)
        pod = pod_body(wanted.name, node, plan.wish)
        try:
            api.create(PODS, pod, namespace)
        except Forbidden as error:
            # Admission wants the namespace's default service account, which a controller makes a moment later.
            # A user without the right may be a service account itself, so its name says nothing.
            if " cannot " in error.message or "serviceaccount" not in error.message.lower():
                raise
            _wait_for_service_account(api, namespace, options.timeout, clock)
            api.create(PODS, pod, namespace)
        except Unreachable as error:
            if not error.maybe_done:
                raise
            # Nobody else creates pods in this namespace.
            with contextlib.suppress(AlreadyExists):
                api.create(PODS, pod, namespace)
        yield wanted


def _wait_for_service_account(api: KubeApi, namespace: str, timeout: float, clock: Clock) -> None:
    deadline = clock.monotonic() + timeout
    with Watches(api) as watches:
        watches.follow("accounts", SERVICE_ACCOUNTS, namespace)
        while True:
            notice = watches.next(max(0.0, deadline - clock.monotonic()))
            if notice is None:
                raise Refused(
                    f"Namespace {namespace} got no default service account within {timeout:g} s: "
                    "check the cluster's controller manager."
                )
            if notice.change.type == "ADDED" and metadata_of(notice.change.object).get("name") == "default":
                return


def clean_up(api: KubeApi, options: ProbeOptions, clock: Clock) -> None:
    """Delete the namespaces of this pool's probes, earlier ones that were killed included, and see them gone."""
    now = clock.now()
    listing = api.list(NAMESPACES, label_selector=f"{LABEL}=true")
    _delete(api, [item for item in listing.items if _is_ours(item, options.pool, now)], clock)


def clean_range(api: KubeApi, network: Network, clock: Clock) -> None:
    """Delete the namespaces of probes of whichever pool that have a pod in this range, and see them gone.

    A pod of a probe has no controller, so nobody but this collection would ever move it.
    """
    pods = api.list(PODS, label_selector=f"{LABEL}=true")
    inside = {
        str(metadata_of(pod).get("namespace") or "")
        for pod in pods.items
        if any(network.contains(address) for address in pod_addresses(pod))
    }
    if inside:
        listing = api.list(NAMESPACES, label_selector=f"{LABEL}=true")
        _delete(api, [item for item in listing.items if str(metadata_of(item)["name"]) in inside], clock)


def _delete(api: KubeApi, namespaces: t.Sequence[Object], clock: Clock) -> None:
    waiting = {uid_of(item) for item in namespaces}
    for item in namespaces:
        if not metadata_of(item).get("deletionTimestamp"):
            with contextlib.suppress(NotFound, Conflict):
                api.delete(NAMESPACES, str(metadata_of(item)["name"]), uid=uid_of(item))
    if not waiting:
        return
    deadline = clock.monotonic() + CLEANUP_SECONDS
    with Watches(api) as watches:
        watches.follow("namespaces", NAMESPACES, label_selector=f"{LABEL}=true")
        present: set[str] = set()
        while waiting:
            notice = watches.next(max(0.0, deadline - clock.monotonic()))
            if notice is None:
                return
            uid = uid_of(notice.change.object) if notice.change.object else ""
            if notice.change.type == "SYNCED":
                waiting &= present
            elif notice.change.type == "DELETED":
                waiting.discard(uid)
            elif notice.change.type in ("ADDED", "MODIFIED"):
                present.add(uid)


def _is_ours(namespace: Object, pool: str, now: datetime) -> bool:
    return annotations_of(namespace).get(POOL_NOTE) == pool or is_expired(namespace, now, EXPIRY_GRACE)
