# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Prove where a new pod's address comes from, with pods that exist for nothing else.

This is how Calico's guide verifies a change of pools: a throw-away namespace, a pod in it, a look at its
address. The pods are not pinned to the pool, since what is to be proven is where ordinary pods end up.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ClusterError,
    Conflict,
    Forbidden,
    NotFound,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    addresses,
    annotations_of,
    metadata_of,
    trouble,
    uid_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import timestamp
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    read_pools,
    require,
)

LABEL = "ipam.calico-ops.io/probe"
POOL_NOTE = "ipam.calico-ops.io/probe-pool"
EXPIRES_NOTE = "ipam.calico-ops.io/probe-expires"
# A probe of another pool is somebody else's, unless it has outlived its own time limit by this much.
EXPIRY_GRACE = timedelta(minutes=5)
CLEANUP_SECONDS = 60.0


@dataclass(frozen=True)
class ProbeOptions:
    """``nodes`` are to run one pod each; none means one pod wherever it is scheduled. ``timeout`` in seconds."""

    pool: str
    nodes: t.Sequence[str] = ()
    image: str = "registry.k8s.io/pause:3.10"
    timeout: float = 120.0
    namespace_prefix: str = "calico-ops-probe"


@dataclass(frozen=True)
class ProbedAddress:
    node: str
    address: str
    pool: str

    def as_dict(self) -> dict[str, str]:
        return {"node": self.node, "address": self.address, "pool": self.pool}


def plan_probe(api: KubeApi, options: ProbeOptions) -> list[str]:
    """What a probe would do, as sentences; raises ``InvalidInput`` for an unknown pool or node."""
    _check(api, options)
    where = f"on each of the nodes {', '.join(options.nodes)}" if options.nodes else "wherever it is scheduled"
    return [
        f"create a namespace {options.namespace_prefix}-xxxxx with one pod of image {options.image} {where}",
        f"wait until each has an address and check that it lies in IPPool {options.pool}",
        "delete the namespace",
    ]


def probe(api: KubeApi, options: ProbeOptions, clock: Clock) -> list[ProbedAddress]:
    """Run the probe; whatever comes of it, its namespace is deleted again.

    Raises ``Refused`` when a pod gets an address elsewhere or none in time, ``InvalidInput`` for an
    unknown pool or node, ``Forbidden`` when a right is missing, also that to delete the namespace.
    """
    pools = _check(api, options)
    network = _network(require(pools, options.pool))
    _clean_up(api, options, clock)
    try:
        namespace = _create_namespace(api, options, clock)
        names = _create_pods(api, namespace, options, clock)
        found = _wait_for_addresses(api, namespace, names, options, clock)
    except BaseException:
        # A leftover is found by its label next time; why the probe failed matters more than a failing clean-up.
        with contextlib.suppress(ClusterError):
            _clean_up(api, options, clock)
        raise
    try:
        _clean_up(api, options, clock)
    except Forbidden:
        # It would be left behind by every probe.
        raise
    except ClusterError:
        pass
    for pod in found:
        node = str((pod.get("spec") or {}).get("nodeName") or "")
        if not any(network.contains(parse_address(address)) for address in addresses(pod)):
            address = ", ".join(addresses(pod))
            raise Refused(
                f"The probe on node {node} got {address}, which is {_whose(addresses(pod)[0], pools)}, and not of "
                f"IPPool {options.pool!r}: check that the pool is enabled, selects the node and the namespace, and "
                "that no other pool is chosen before it.",
                node=node,
                address=address,
            )
    return sorted((_probed(pod, network, options.pool) for pod in found), key=lambda entry: (entry.node, entry.address))


def _check(api: KubeApi, options: ProbeOptions) -> list[StoredPool]:
    pools = read_pools(api)
    _network(require(pools, options.pool))
    if options.nodes:
        known = {str(metadata_of(node)["name"]) for node in api.list(NODES).items}
        unknown = [name for name in options.nodes if name not in known]
        if unknown:
            raise InvalidInput(
                f"nodes: the cluster has no node {unknown[0]!r}; it has {', '.join(sorted(known))}.",
                "nodes",
                unknown[0],
            )
    return pools


def _network(pool: StoredPool) -> Network:
    return parse_network(pool.spec.get("cidr"), strict=False)


def _whose(address: str, pools: t.Sequence[StoredPool]) -> str:
    parsed = parse_address(address)
    for pool in pools:
        with contextlib.suppress(InvalidInput):
            if _network(pool).contains(parsed):
                return f"of IPPool {pool.name!r}"
    return "of no IPPool"


def _probed(pod: Object, network: Network, pool: str) -> ProbedAddress:
    address = next(each for each in addresses(pod) if network.contains(parse_address(each)))
    return ProbedAddress(str((pod.get("spec") or {}).get("nodeName") or ""), address, pool)


def _create_namespace(api: KubeApi, options: ProbeOptions, clock: Clock) -> str:
    expires = clock.now() + timedelta(seconds=options.timeout + CLEANUP_SECONDS)
    body = {
        "apiVersion": NAMESPACES.api_version,
        "kind": NAMESPACES.kind,
        "metadata": {
            "generateName": f"{options.namespace_prefix}-",
            "labels": {LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"},
            "annotations": {POOL_NOTE: options.pool, EXPIRES_NOTE: timestamp(expires)},
        },
    }
    return str(metadata_of(api.create(NAMESPACES, body))["name"])


def _create_pods(api: KubeApi, namespace: str, options: ProbeOptions, clock: Clock) -> list[str]:
    names = []
    for index, node in enumerate(options.nodes or [None]):
        body = _pod(f"probe-{index}", options.image, node)
        try:
            api.create(PODS, body, namespace)
        except Forbidden as error:
            # Admission wants the namespace's default service account, which a controller makes a moment later.
            # A user without the right may be a service account itself, so its name says nothing.
            if " cannot " in error.message or "serviceaccount" not in error.message.lower():
                raise
            _wait_for_service_account(api, namespace, options.timeout, clock)
            api.create(PODS, body, namespace)
        names.append(f"probe-{index}")
    return names


def _pod(name: str, image: str, node: str | None) -> Object:
    """A pod that the restricted Pod Security Standard admits and that asks for next to nothing."""
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "probe",
                "image": image,
                "resources": {
                    "requests": {"cpu": "1m", "memory": "8Mi"},
                    "limits": {"cpu": "50m", "memory": "32Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
    if node is not None:
        # Past the scheduler: cordoned and tainted nodes are to be proven as well.
        spec["nodeName"] = node
        spec["tolerations"] = [{"operator": "Exists"}]
    labels = {LABEL: "true"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


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


def _wait_for_addresses(
    api: KubeApi, namespace: str, names: t.Sequence[str], options: ProbeOptions, clock: Clock
) -> list[Object]:
    deadline = clock.monotonic() + options.timeout
    pods: dict[str, Object] = {}
    words: dict[str, str] = {}
    with Watches(api) as watches:
        watches.follow("pods", PODS, namespace)
        watches.follow("events", EVENTS, namespace, optional=True)
        while not all(name in pods and addresses(pods[name]) for name in names):
            notice = watches.next(max(0.0, deadline - clock.monotonic()))
            if notice is None:
                raise Refused(_no_address([name for name in names if name not in pods], pods, words, options))
            thing = notice.change.object
            if notice.change.type not in ("ADDED", "MODIFIED"):
                continue
            if notice.source == "pods":
                pods[str(metadata_of(thing)["name"])] = thing
            elif thing.get("type") == "Warning":
                involved = str((thing.get("involvedObject") or {}).get("uid") or "")
                words[involved] = " ".join(str(thing.get("message") or "").split())
    return [pods[name] for name in names]


def _no_address(
    missing: t.Sequence[str], pods: t.Mapping[str, Object], words: t.Mapping[str, str], options: ProbeOptions
) -> str:
    waiting = [pod for pod in pods.values() if not addresses(pod)]
    reasons = []
    for pod in waiting:
        node = (pod.get("spec") or {}).get("nodeName") or "no node"
        reasons.append(f"{node}: {words.get(uid_of(pod)) or trouble(pod) or 'no event says why'}")
    text = ("; ".join(reasons) or f"{', '.join(missing)} did not appear").rstrip(".")
    return f"A new pod got no address within {options.timeout:g} s, so IPPool {options.pool!r} is not proven: {text}."


def _clean_up(api: KubeApi, options: ProbeOptions, clock: Clock) -> None:
    """Delete the namespaces of this pool's probes, earlier ones that were killed included, and see them gone."""
    now = clock.now()
    listing = api.list(NAMESPACES, label_selector=f"{LABEL}=true")
    waiting = {uid_of(item) for item in listing.items if _is_ours(item, options.pool, now)}
    for item in listing.items:
        if uid_of(item) in waiting and not metadata_of(item).get("deletionTimestamp"):
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
    notes = annotations_of(namespace)
    if notes.get(POOL_NOTE) == pool:
        return True
    expires = notes.get(EXPIRES_NOTE, "")
    return expires != "" and expires < timestamp(now - EXPIRY_GRACE)
