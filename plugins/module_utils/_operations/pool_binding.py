# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Bind a namespace or a workload to pools: the annotations ``ipv4pools`` and ``ipv6pools`` (spec ippool.md §9.2).

They are written as CIDRs, in the order asked for. A CIDR is what every release of Calico reads; names came
later, have to be looked up for each pod, and mean another range when a pool is created anew.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import annotations_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES, PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, IpamError, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pod_request import families_of, reads_annotations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import (
    POOL_ANNOTATIONS,
    requested_networks,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_answer import read_cni
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_pools import resolve_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.binding_target import (
    Target,
    require_own_template,
    rollout_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import ADDRESSES
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools

ATTEMPTS = 5

Asked = t.Mapping[int, t.Optional[t.Sequence[str]]]


@dataclass(frozen=True)
class BindingWrite:
    """A plan with the one request that carries it out; ``binding`` is what there is after it."""

    plan: Plan
    binding: dict[str, t.Any] | None
    patch: Object = field(default_factory=dict)


def ensure_binding(api: PagedApi, target: Target, asked: Asked, *, check_mode: bool) -> BindingWrite:
    """Let the target ask for these pools, by IP version: None leaves that version alone, ``[]`` asks for none.

    InvalidInput and Refused before anything is written: for pools that cannot serve, for a target that is not
    there or whose annotations would do nothing.
    """

    def attempt() -> BindingWrite:
        live = target.read(api)
        if live is None:
            raise InvalidInput(f"There is no {target}.", field=target.resource.kind.lower(), value=target.name)
        return _decide(api, target, live, asked)

    return carry_out(api, target, attempt, check_mode)


def remove_binding(api: PagedApi, target: Target, *, check_mode: bool) -> BindingWrite:
    """Let the target ask for no pool; its pods come from the pools that select them, or what its namespace says."""

    def attempt() -> BindingWrite:
        live = target.read(api)
        if live is None:
            return BindingWrite(Plan(), None)
        return _edit(api, target, live, {4: (), 6: ()}, engine_pools(read_pools(api)), ())

    return carry_out(api, target, attempt, check_mode)


def carry_out(api: KubeApi, target: Target, attempt: t.Callable[[], BindingWrite], check_mode: bool) -> BindingWrite:
    """Plan and write; when somebody else wrote in between, plan anew, a bounded number of times."""
    sent: Plan | None = None
    for _attempt in range(ATTEMPTS):
        write = attempt()
        if not write.plan.changed or check_mode:
            return write if sent is None else BindingWrite(sent, write.binding)
        try:
            api.patch(target.resource, target.name, write.patch, target.namespace)
        except (Conflict, NotFound):
            continue
        except Unreachable as error:
            if not error.maybe_done:
                raise
            sent = write.plan
            continue
        return write
    raise Refused(
        f"{target} was changed by someone else {ATTEMPTS} times while it was being written; find out who changes it, "
        "then run this again."
    )


def _decide(api: PagedApi, target: Target, live: Object, asked: Asked) -> BindingWrite:
    require_own_template(target, live)
    pools = engine_pools(read_pools(api))
    wanted = {
        version: tuple(resolve_pools(entries, pools, version, f"ipv{version}_pools"))
        for version, entries in asked.items()
        if entries is not None
    }
    warnings = _check_cni(api, target, live, [version for version, chosen in wanted.items() if chosen])
    warnings += [_passed_over(pool) for chosen in wanted.values() for pool in chosen]
    fixed = [key for key in ADDRESSES if key in target.annotations(live)]
    if fixed and any(wanted.values()):
        warnings.append(f"{target} asks for given addresses by {fixed[0]}, so its pods do not ask for pools.")
    return _edit(api, target, live, wanted, pools, [warning for warning in warnings if warning])


def _edit(
    api: PagedApi,
    target: Target,
    live: Object,
    wanted: t.Mapping[int, t.Sequence[Pool]],
    pools: t.Sequence[Pool],
    warnings: t.Sequence[str],
) -> BindingWrite:
    """Only our own two annotations, and those only where they mean something else."""
    before = target.annotations(live)
    edits: dict[str, str | None] = {}
    for version, chosen in wanted.items():
        key = POOL_ANNOTATIONS[version]
        if not chosen:
            if key in before:
                edits[key] = None
        elif _meant(before.get(key), pools, version) != [pool.cidr for pool in chosen]:
            edits[key] = json.dumps([str(pool.cidr) for pool in chosen])
    after = {key: value for key, value in {**before, **edits}.items() if value is not None}
    binding = _shown(target, after, pools)
    if not edits:
        return BindingWrite(Plan((), tuple(warnings)), binding)
    rollout = rollout_of(target, live)
    part_before, part_after = _ours(before), _ours(after)
    if rollout:
        part_after["pods"] = rollout
    said = "; ".join(
        f"IPv{version} addresses shall come from {' and '.join(pool.name for pool in chosen)}"
        if chosen
        else f"nothing shall ask for IPv{version} pools"
        for version, chosen in wanted.items()
        if POOL_ANNOTATIONS[version] in edits
    )
    step = Step(
        "update",
        target.place,
        said,
        before=part_before,
        after=part_after,
        undo="set the annotations back" + (", which replaces the pods again" if rollout else ""),
    )
    left = [rollout] if rollout else _pods_left(api, target, wanted)
    return BindingWrite(Plan((step,), (*warnings, *left)), binding, target.patch(live, edits))


def _meant(text: str | None, pools: t.Sequence[Pool], version: int) -> list[Network]:
    """The pools an annotation means already, whatever its spelling; none for one that fails pods."""
    try:
        return list(requested_networks(text, pools, version, source="")) if text else []
    except IpamError:
        return []


def _check_cni(api: PagedApi, target: Target, live: Object, versions: t.Sequence[int]) -> list[str]:
    """Refused when Calico would not look at the annotation; a warning when nobody can tell."""
    if not versions:
        return []
    config, _unreadable = read_cni(api)
    if config is None:
        return [
            "No ConfigMap shows the CNI configuration: Calico reads these annotations with calico-ipam and policy type "
            "k8s only, and gives IPv6 addresses only where assign_ipv6 or ipFamilies ask for them."
        ]
    if not reads_annotations(config):
        raise Refused(
            f"Calico would not look at the annotation: {config.source} has IPAM type {config.ipam_type or 'none'!r} "
            f"and policy type {config.policy_type or 'none'!r}; annotations of pools take calico-ipam and k8s."
        )
    own = target.annotations(live)
    try:
        families = families_of(own, _namespace_annotations(api, target, own), config)
    except InvalidInput as error:
        raise Refused(f"New pods of {target} get no address: {error.message}.") from None
    for version in versions:
        if version not in families:
            raise Refused(
                f"Pods of {target} get no IPv{version} address: {config.source} does not set assign_ipv{version}, and "
                "no annotation cni.projectcalico.org/ipFamilies asks for one."
            )
    return []


def _namespace_annotations(api: KubeApi, target: Target, own: dict[str, str]) -> dict[str, str]:
    if not target.path:
        return own
    try:
        return annotations_of(api.get(NAMESPACES, target.home))
    except ApiError:
        return {}


def _passed_over(pool: Pool) -> str:
    """What an annotation makes Calico not look at (spec ipam-engine.md §9.2)."""
    rules = []
    if pool.assignment_mode != "Automatic":
        rules.append(f"assignmentMode {pool.assignment_mode}")
    if pool.node_selector != "all()":
        rules.append(f"nodeSelector {pool.node_selector!r}")
    if pool.namespace_selector:
        rules.append(f"namespaceSelector {pool.namespace_selector!r}")
    if not rules:
        return ""
    return f"Pool {pool.name!r} is asked for by annotation, so its {' and '.join(rules)} does not count for these pods."


def _pods_left(api: KubeApi, target: Target, wanted: t.Mapping[int, t.Sequence[Pool]]) -> list[str]:
    """Running pods keep what they have (spec ippool.md §9.2): say how many that concerns."""
    networks = {version: [pool.cidr for pool in chosen] for version, chosen in wanted.items() if chosen}
    try:
        pods = api.list(PODS, target.home).items
    except Forbidden:
        return [f"Pods that run in {target} keep their addresses until they are created anew."] if networks else []
    elsewhere = [
        pod["metadata"]["name"]
        for pod in pods
        if any(
            address.version in networks and not any(network.contains(address) for network in networks[address.version])
            for address in pod_addresses(pod)
        )
    ]
    if not elsewhere:
        return []
    return [
        f"{len(elsewhere)} running pods of {target} have addresses of other pools and keep them until they are created "
        f"anew, first {min(elsewhere)}."
    ]


def _ours(annotations: t.Mapping[str, str]) -> dict[str, t.Any]:
    ours = {key: annotations[key] for key in POOL_ANNOTATIONS.values() if key in annotations}
    return {"annotations": ours}


def _shown(target: Target, annotations: t.Mapping[str, str], pools: t.Sequence[Pool]) -> dict[str, t.Any]:
    names = {pool.cidr: pool.name for pool in pools}
    shown: dict[str, t.Any] = {
        "kind": target.resource.kind,
        "namespace": target.namespace,
        "name": target.name,
        "annotations": _ours(annotations)["annotations"],
        "labels": {},
    }
    for version, key in POOL_ANNOTATIONS.items():
        meant = _meant(annotations.get(key), pools, version)
        shown[f"ipv{version}_pools"] = [names.get(network, str(network)) for network in meant]
    return shown
