# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of the pools themselves: do they exist, would Calico take them, what does the new one give."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import APISERVER
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import (
    InvalidInput,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.counted import counted
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal import DONE, RESIZE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pod_addresses import pod_addresses
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_condition import allocatable
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    engine_pools,
    shown_spec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import (
    LEFTOVER_RULE,
    OVERLAP_RULE,
    SIZE_RULES,
    rule_errors,
    to_write,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    DECLARE,
    Situation,
    Wanted,
    full_name,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.temporary_cidr import propose_temporary_cidr


def pool_exists(now: Situation) -> t.Iterator[Problem]:
    request = now.request
    if request.procedure == DECLARE:
        return
    names = ", ".join(pool.name for pool in now.view.pools) or "none"
    if now.phase == DONE:
        yield Problem(NOTE, f"Nothing is left to do: the cluster is as {request.procedure} would leave it.")
    elif now.source is None:
        yield Problem(
            BLOCKER,
            f"There is no IPPool {request.pool!r}; the pools of this cluster are: {names}.",
            "Name one of them.",
        )
    elif now.resumed:
        yield Problem(NOTE, f"An earlier run began {_began(now)} and came to the phase {now.phase}; it is continued.")
    if now.phase != DONE and not now.request.target.get("name"):
        yield Problem(BLOCKER, "The name of the pool that the pods move to is missing.", "Give target.name.")
    if now.source is not None and request.pool == request.target.get("name"):
        yield Problem(
            BLOCKER,
            f"The pods of pool {request.pool!r} cannot move to the same pool.",
            "Give the target another name.",
            (f"IPPool {request.pool}",),
        )
    if request.procedure == RESIZE and now.source is not None and not now.resumed and now.phase != DONE:
        size = now.source.spec.get("blockSize")
        if request.block_size is None:
            yield Problem(BLOCKER, f"The new block size of pool {request.pool!r} is missing.", "Give block_size.")
        elif size == request.block_size:
            yield Problem(NOTE, f"Pool {request.pool!r} has blockSize {size} already.")


def _began(now: Situation) -> str:
    return now.view.journal.started if now.view.journal is not None else "earlier"


def pool_in_use(now: Situation) -> t.Iterator[Problem]:
    """A01: a pool is not deleted under the pods that have its addresses."""
    for pool in now.wanted:
        if not pool.deleted or pool.live is None or pool.pool is None:
            continue
        network = pool.pool.cidr
        held = [pod for pod in now.view.pods if any(network.contains(address) for address in pod_addresses(pod))]
        if held:
            names = sorted(full_name(pod) for pod in held)
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} is to be deleted and {counted(len(held), 'pod has', 'pods have')} addresses of "
                f"it, first {names[0]}.",
                "Move them with the migrate_pool role, which deletes the pool in the end.",
                tuple(f"Pod {name}" for name in names),
            )


def pool_definition(now: Situation) -> t.Iterator[Problem]:
    """Every rule of Calico's client but those that have a check of their own."""
    for pool in to_write(now):
        if now.target is pool and not pool.spec.get("cidr"):
            yield _missing_cidr(now, pool)
            continue
        for error in rule_errors(now, pool):
            if error.rule not in SIZE_RULES and error.rule not in (OVERLAP_RULE, LEFTOVER_RULE):
                yield Problem(
                    BLOCKER,
                    error.message,
                    f"Correct {error.field} of the pool that is asked for.",
                    (f"IPPool {pool.name}",),
                )


def _missing_cidr(now: Situation, pool: Wanted) -> Problem:
    proposal = propose_temporary_cidr(now)
    if proposal is None:
        return Problem(
            BLOCKER,
            f"The CIDR of {pool.role} is missing, and no range of the cluster is free that could hold it.",
            "Give target.cidr, a range that overlaps nothing.",
        )
    consequences = "".join(f" {sentence}" for sentence in proposal.consequences)
    return Problem(
        BLOCKER,
        f"The CIDR of {pool.role} is missing; {proposal.cidr} is free ({proposal.reason}).{consequences}",
        f"Give target.cidr, for example {proposal.cidr}.",
    )


def block_size_legal(now: Situation) -> t.Iterator[Problem]:
    """V7, V8, and B11 for blocks of a single address."""
    for pool in to_write(now):
        for error in rule_errors(now, pool):
            if error.rule in SIZE_RULES:
                yield Problem(BLOCKER, error.message, "Choose another block size.", (f"IPPool {pool.name}",), False)
        if pool.pool is not None and pool.is_new and pool.pool.block_size == pool.pool.cidr.bits:
            yield Problem(
                BLOCKER,
                f"Blocks of a single address (blockSize {pool.pool.block_size} for pool {pool.name!r}) keep pods from "
                "starting on some versions of Calico.",
                "Choose a larger block, or try it with one pod and waive this check.",
                (f"IPPool {pool.name}",),
            )


def non_canonical_cidr(now: Situation) -> t.Iterator[Problem]:
    """B10: a stored CIDR that no update gets past."""
    for pool in now.leaving():
        if pool.live is None:
            continue
        text = pool.live.spec.get("cidr")
        try:
            canonical = str(parse_network(text))
        except InvalidInput as error:
            yield Problem(
                BLOCKER,
                f"IPPool {pool.name!r} is stored with a CIDR that Calico refuses, so it cannot even be disabled: "
                f"{error.message}",
                "Drain it by hand and delete it; the stored CIDR cannot be changed.",
                (f"IPPool {pool.name}",),
            )
            continue
        if canonical != text and now.view.installation.mode.value == APISERVER:
            yield Problem(
                BLOCKER,
                f"IPPool {pool.name!r} is stored as {text!r} instead of {canonical!r}: Calico's API server refuses "
                "every "
                "update of it, disabling too.",
                "Set disabled: true with kubectl on ippools.crd.projectcalico.org, which leaves the CIDR alone, then "
                "waive "
                "this check.",
                (f"IPPool {pool.name}",),
            )
        elif canonical != text:
            yield Problem(
                WARNING,
                f"IPPool {pool.name!r} is stored as {text!r} instead of {canonical!r}: calicoctl cannot update it, and "
                "this collection only because it leaves the CIDR alone.",
                "Nothing to do for this procedure.",
                (f"IPPool {pool.name}",),
            )


def load_balancer_pool(now: Situation) -> t.Iterator[Problem]:
    """B30."""
    if now.request.procedure == DECLARE:
        return
    for pool in (now.source, now.target):
        if pool is not None and "LoadBalancer" in (pool.spec.get("allowedUses") or []):
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} is for LoadBalancer Services, whose addresses cannot be moved like those of pods.",
                "Choose a pool for workloads.",
                (f"IPPool {pool.name}",),
            )


def pool_field_diff(now: Situation) -> t.Iterator[Problem]:
    """B12: what the old pool gives and the new one does not."""
    if now.request.procedure == DECLARE or now.source is None or now.target is None:
        return
    old, new = shown_spec(now.source.spec), shown_spec(now.target.spec)
    if (
        now.source.pool is not None
        and now.target.pool is not None
        and now.source.pool.version != now.target.pool.version
    ):
        yield Problem(
            BLOCKER,
            f"Pool {now.source.name!r} is IPv{now.source.pool.version} and pool {now.target.name!r} is "
            f"IPv{now.target.pool.version}: pods would lose the address they have.",
            "Choose a range of the same IP version.",
        )
    if _is_tunnelled(old) and "Tunnel" in old["allowedUses"] and "Tunnel" not in new["allowedUses"]:
        yield Problem(
            BLOCKER,
            f"Pool {now.target.name!r} does not allow the use Tunnel, so nodes lose the tunnel address they have in "
            f"pool {now.source.name!r}.",
            "Add Tunnel to the target's allowed_uses.",
        )
    for field in ("natOutgoing", "disableBGPExport", "nodeSelector", "namespaceSelector", "assignmentMode"):
        if old.get(field) != new.get(field):
            yield Problem(
                BLOCKER,
                f"{field} is {_said(old.get(field))} in pool {now.source.name!r} and {_said(new.get(field))} in pool "
                f"{now.target.name!r}.",
                "Leave the field out to have it as in the old pool; if the difference is meant, waive this check.",
                (f"IPPool {now.source.name}", f"IPPool {now.target.name}"),
            )


def encapsulation_change(now: Situation) -> t.Iterator[Problem]:
    """B13."""
    if now.request.procedure == DECLARE or now.source is None or now.target is None:
        return
    old, new = shown_spec(now.source.spec), shown_spec(now.target.spec)
    changed = [field for field in ("ipipMode", "vxlanMode") if old.get(field) != new.get(field)]
    if changed:
        what = " and ".join(f"{field} from {old.get(field)} to {new.get(field)}" for field in changed)
        yield Problem(
            BLOCKER,
            f"The move to pool {now.target.name!r} changes {what}; encapsulation is best changed on its own, because "
            "the dataplane of every node must follow.",
            "Leave the encapsulation as it is in the old pool and change it in a separate step.",
        )


def last_pool(now: Situation) -> t.Iterator[Problem]:
    """A03: a family without an enabled pool."""
    if now.request.procedure != DECLARE:
        return
    leaving = {pool.name for pool in now.leaving()}
    staying = [pool for pool in engine_pools(now.view.pools) if pool.name not in leaving and pool.enabled]
    staying += [pool.pool for pool in now.wanted if pool.pool is not None and not pool.leaves]
    for pool in now.leaving():
        if pool.pool is None or pool.live is None or "Workload" not in pool.pool.allowed_uses:
            continue
        if not any(other.version == pool.pool.version and "Workload" in other.allowed_uses for other in staying):
            made = (
                ""
                if now.view.calico_node_env.get("NO_DEFAULT_POOLS", "").lower() == "true"
                else " When no pool is left, calico-node makes a default pool of its own at its next start."
            )
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} is the last IPv{pool.pool.version} pool that gives addresses to pods.{made}",
                "Declare another pool first.",
                (f"IPPool {pool.name}",),
            )


def pool_allocatable(now: Situation) -> t.Iterator[Problem]:
    """B08 and A02: a pool that exists and gives out no address, whatever its spec says."""
    for pool in now.wanted:
        if pool.live is None or pool.leaves or pool.deleted:
            continue
        condition = allocatable(pool.live.thing)
        if pool.live.terminating:
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} is being deleted, which cannot be taken back: it gives out no address, and its "
                "range is not free before it is gone.",
                "Wait until it is gone, or use another name and range.",
                (f"IPPool {pool.name}",),
            )
        elif condition is not None and condition.get("status") == "False" and not pool.live.spec.get("disabled"):
            words = condition.get("message") or "no message"
            yield Problem(
                BLOCKER,
                f"Pool {pool.name!r} is not allocatable: kube-controllers says {condition.get('reason')} "
                f"({str(words).rstrip('.')}).",
                "Remove the reason first; an overlap ends when one of the two pools is disabled or deleted.",
                (f"IPPool {pool.name}",),
            )


def _is_tunnelled(spec: t.Mapping[str, t.Any]) -> bool:
    return spec.get("ipipMode") != "Never" or spec.get("vxlanMode") != "Never"


def _said(value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if value else "empty"


POOL_EXISTS = Check("pool-exists", "the pools that are named exist", (), pool_exists, False, True, decisive=True)

CHECKS = (
    POOL_EXISTS,
    Check("pool-in-use", "nobody uses a pool that is to be deleted", ("A01",), pool_in_use, False),
    Check("pool-definition", "Calico would take the pools", ("B10",), pool_definition, False),
    Check("block-size-legal", "the block size is possible", ("B11",), block_size_legal, True),
    Check("non-canonical-cidr", "the old pool can be updated", ("B10",), non_canonical_cidr),
    Check("load-balancer-pool", "no pool is for Services", ("B30",), load_balancer_pool, False),
    Check("pool-field-diff", "the new pool gives what the old one gave", ("B12",), pool_field_diff),
    Check("encapsulation-change", "the encapsulation stays", ("B13",), encapsulation_change),
    Check("last-pool", "a pool is left for every IP version", ("A03",), last_pool),
    Check("pool-allocatable", "pods can get addresses of the pools", ("B08", "A02"), pool_allocatable, False, True),
)
