# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which pools can serve a node, a namespace or a pod, and why not the others (spec ippool.md §9)."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field, replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import calico_labels
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import on_host_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES, NODES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
    IpamError,
    SelectorError,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import (
    PodRequest,
    pod_request,
    reads_annotations,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import choose_pools, why_not
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selector import parse
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cluster_settings import pod_annotations
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import (
    USUAL_PLACES,
    CniConfig,
    cni_configs_in,
    unintelligible,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.demand import is_windows
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    read_pools,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_config_maps

USE = "Workload"
SELECTORS = "the selectors of the pools"
#: What Calico's manifests write, for clusters that do not show theirs.
USUAL = CniConfig("", {"ipam": {"type": "calico-ipam"}, "policy": {"type": "k8s"}})
#: Of a block on a Windows node four addresses are the node's own (spec ipam-engine.md §8.4).
_WINDOWS_LIMIT = {4: 29, 6: 125}


@dataclass(frozen=True)
class Place:
    """Where a pod would run: ``nodes`` it may come to, its namespace and itself where they are known."""

    nodes: t.Sequence[Object]
    one_node: bool = False
    namespace: Object | None = None
    pod: Object | None = None


@dataclass
class Answer:
    """What is found out: pools that serve and the others, in sentences."""

    serve: list[dict[str, t.Any]] = field(default_factory=list)
    others: list[dict[str, t.Any]] = field(default_factory=list)
    source: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, t.Any]:
        return {"serve": self.serve, "others": self.others, "source": self.source, "problems": self.problems}

    def add_problem(self, sentence: str) -> None:
        if sentence not in self.problems:
            self.problems.append(sentence)


def read_cni(api: PagedApi) -> tuple[CniConfig | None, tuple[str, ...]]:
    """The CNI configuration kept in the cluster, and where it could not be read."""
    maps, places, unreadable = fetch_config_maps(api)
    wanted = {f"ConfigMap {place.namespace}/{place.name}" for place in places or USUAL_PLACES}
    unknown = [name for name in unreadable if name in wanted]
    return next(cni_configs_in(maps, places), None), (*unknown, *unintelligible(maps, places))


def read_place(api: PagedApi, node: str | None, namespace: str | None, pod: str | None) -> Place:
    """The objects named; ``InvalidInput`` for one that does not exist."""
    found_pod = None
    if pod is not None:
        if namespace is None:
            raise InvalidInput("namespace: it is needed with pod.", field="namespace")
        found_pod = _get(api, PODS, pod, namespace)
        node = node or (found_pod.get("spec") or {}).get("nodeName")
    found_namespace = None if namespace is None else _get(api, NAMESPACES, namespace)
    nodes = api.list(NODES).items if node is None else [_get(api, NODES, node)]
    return Place(nodes, node is not None, found_namespace, found_pod)


def answer_for(api: PagedApi, place: Place) -> Answer:
    """Ask the cluster for its pools and its CNI configuration, and decide."""
    config, unreadable = read_cni(api)
    answer = decide(place, read_pools(api), config or USUAL)
    if config is None:
        blamed = f" ({', '.join(unreadable)} may not be read)" if unreadable else ""
        answer.add_problem(
            f"No ConfigMap shows the CNI configuration{blamed}; the usual one is assumed: calico-ipam, policy type "
            "k8s, IPv4 only, no pools of its own."
        )
    return answer


def decide(place: Place, stored: t.Sequence[StoredPool], config: CniConfig) -> Answer:
    """The answer for a place, given what is stored."""
    answer = Answer()
    pools = engine_pools(stored)
    known = {pool.name for pool in pools}
    for broken in stored:
        if broken.name not in known:
            cidr = str(broken.spec.get("cidr"))
            why = f"Pool {broken.name!r} cannot be understood, so Calico ignores it: its CIDR is {cidr!r}."
            answer.others.append({"pool": broken.name, "cidr": cidr, "ip_version": None, "why": why})
    request = _request(place, pools, config, answer)
    for version in (4, 6):
        _decide_family(place, [pool for pool in pools if pool.version == version], version, request, answer)
    return answer


def shown_addresses(pod: Object, pools: t.Iterable[Pool]) -> list[dict[str, t.Any]]:
    """The addresses a pod has, each with the pool it lies in."""
    pools = sorted(pools, key=lambda pool: pool.name)
    return [{"address": str(address), "pool": _pool_of(address, pools)} for address in pod_addresses(pod)]


def _request(place: Place, pools: t.Sequence[Pool], config: CniConfig, answer: Answer) -> PodRequest | None:
    """What a pod there asks for; None, with the problem noted, when it gets no address at all."""
    if place.pod is not None and on_host_network(place.pod):
        answer.add_problem("The pod uses the network of its node, so it takes no address of any pool.")
        return None
    if config.ipam_type != "calico-ipam":
        answer.add_problem(
            f"{config.source or 'The CNI configuration'} has IPAM type {config.ipam_type or 'none'!r}: pods take their "
            "addresses from calico-ipam's pools only with calico-ipam."
        )
        return None
    own = {} if place.pod is None else pod_annotations(place.pod)
    shared = {} if place.namespace is None else pod_annotations(place.namespace)
    if not reads_annotations(config) and any("cni.projectcalico.org/" in key for key in (*own, *shared)):
        answer.add_problem(
            f"{config.source} has policy type {config.policy_type!r}: Calico reads annotations with k8s only."
        )
    try:
        return pod_request(own, shared, config, pools)
    except IpamError as error:
        answer.add_problem(f"New pods get no address: {error.message.rstrip('.')}.")
    return None


def _decide_family(
    place: Place, pools: t.Sequence[Pool], version: int, request: PodRequest | None, answer: Answer
) -> None:
    key = f"ipv{version}"
    if request is None:
        answer.source[key] = "nothing"
        reason = answer.problems[0] if answer.problems else ""
        answer.others += [_entry(pool, why=reason) for pool in pools]
    elif version not in request.families and not any(each.version == version for each in request.addresses):
        answer.source[key] = "nothing"
        why = f"IPv{version} is off here: neither assign_ipv{version} nor the annotation ipFamilies asks for it."
        answer.others += [_entry(pool, why=why) for pool in pools]
    elif request.addresses:
        _decide_fixed(pools, version, request, answer)
    else:
        answer.source[key] = request.sources.get(version, SELECTORS)
        _decide_choice(place, pools, version, request, answer)


def _decide_fixed(pools: t.Sequence[Pool], version: int, request: PodRequest, answer: Answer) -> None:
    name = "ipAddrsNoIpam" if request.outside_ipam else "ipAddrs"
    answer.source[f"ipv{version}"] = f"annotation cni.projectcalico.org/{name} of the pod"
    given = [address for address in request.addresses if address.version == version]
    for pool in pools:
        inside = [address for address in given if pool.cidr.contains(address)]
        # Selectors and assignmentMode do not count for an address that is named (spec ippool.md §9.2).
        why = why_not(pool, version, {}, None, USE, [pool.cidr])
        if request.outside_ipam:
            answer.others.append(_entry(pool, why=f"The addresses {_list(given)} are used without asking IPAM."))
        elif not inside:
            asked = _list(given) or f"no IPv{version} address"
            answer.others.append(_entry(pool, why=f"The pod asks for {asked}, so for nothing in {pool.cidr}."))
        elif why is not None:
            answer.others.append(_entry(pool, why=why))
            answer.add_problem(f"The pod asks for {_list(inside)}. {why}")
        else:
            answer.serve.append(_entry(pool, reason=f"The pod asks for its address {_list(inside)}."))
    for address in given:
        if not request.outside_ipam and not any(pool.cidr.contains(address) for pool in pools):
            answer.add_problem(f"The pod asks for {address}, which lies in no pool.")


def _decide_choice(place: Place, pools: t.Sequence[Pool], version: int, request: PodRequest, answer: Answer) -> None:
    requested = request.pools.get(version)
    labels = None if place.namespace is None else (place.namespace["metadata"].get("labels") or {})
    # Without a namespace nobody knows; its selector is told as a condition then.
    asked = pools if place.namespace is not None else [_for_any_namespace(pool) for pool in pools]
    order: dict[str, list[str]] = {}
    failed: dict[str, list[str]] = {}
    for node in place.nodes:
        name = node["metadata"]["name"]
        limit = _WINDOWS_LIMIT[version] if is_windows(node) else None
        try:
            for pool in choose_pools(asked, version, calico_labels(node), labels, USE, requested, limit):
                order.setdefault(pool.name, []).append(name)
        except IpamError as error:
            failed.setdefault(error.message, []).append(name)
    for message, names in failed.items():
        where = "" if place.one_node else f"On {_some(names)}: "
        answer.add_problem(f"{where}New pods get no IPv{version} address: {message}")
    by_name = {pool.name: pool for pool in pools}
    # Asked for: in that order. Otherwise by name, whichever node came first.
    for position, name in enumerate(order if requested else sorted(order), 1):
        if requested:
            number = f", number {position} of {len(order)}" if len(order) > 1 else ""
            reason = f"Asked for by {request.sources[version]}{number}; its selectors and assignmentMode do not count."
        else:
            reason = _why_chosen(by_name[name], order[name], place)
        answer.serve.append(_entry(by_name[name], reason=reason))
    for pool in asked:
        if pool.name not in order:
            why = _why_left(pool, version, place, labels, requested) or next(iter(failed), "There is no node.")
            answer.others.append(_entry(pool, why=why))


def _for_any_namespace(pool: Pool) -> Pool:
    try:
        parse(pool.namespace_selector)
    except SelectorError:
        return pool  # It fails every pod there is.
    return replace(pool, namespace_selector="")


def _why_chosen(pool: Pool, nodes: t.Sequence[str], place: Place) -> str:
    where = f"node {nodes[0]}" if place.one_node else f"{len(nodes)} of {len(place.nodes)} nodes"
    text = f"It is Automatic and its nodeSelector {pool.node_selector!r} selects {where}"
    if not place.one_node and len(nodes) < len(place.nodes):
        text += f", {_some(nodes)}"
    if not pool.namespace_selector:
        return f"{text}."
    if place.namespace is None:
        return f"{text}; only for namespaces that match {pool.namespace_selector!r}."
    return f"{text}; its namespaceSelector {pool.namespace_selector!r} selects the namespace."


def _why_left(
    pool: Pool, version: int, place: Place, labels: t.Mapping[str, str] | None, requested: t.Sequence[Network] | None
) -> str | None:
    if place.one_node:
        node = place.nodes[0]
        limit = _WINDOWS_LIMIT[version] if is_windows(node) else None
        return why_not(pool, version, calico_labels(node), labels, USE, requested, limit)
    why = why_not(replace(pool, node_selector=""), version, {}, labels, USE, requested)
    if why is None and not requested:
        whys = [why_not(pool, version, calico_labels(node), labels, USE) for node in place.nodes]
        if whys and None not in whys:
            return (
                f"Pool {pool.name!r} selects none of the {len(whys)} nodes: its nodeSelector is {pool.node_selector!r}."
            )
    return why


def _get(api: PagedApi, resource: Resource, name: str, namespace: str | None = None) -> Object:
    try:
        return api.get(resource, name, namespace)
    except NotFound:
        shown = name if namespace is None else f"{namespace}/{name}"
        raise InvalidInput(f"There is no {resource.kind} {shown}.", resource.kind.lower(), name) from None


def _entry(pool: Pool, **said: str) -> dict[str, t.Any]:
    return {"pool": pool.name, "cidr": str(pool.cidr), "ip_version": pool.version, **said}


def _pool_of(address: Address, pools: t.Iterable[Pool]) -> str | None:
    return next((pool.name for pool in pools if pool.cidr.contains(address)), None)


def _list(addresses: t.Iterable[Address]) -> str:
    return ", ".join(str(address) for address in addresses)


def _some(names: t.Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
