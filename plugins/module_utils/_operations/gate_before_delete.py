# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Before a pool is deleted: nobody may use an address of it, by IPAM's records and by the live objects, seen twice.

Deleting a pool drops encapsulation and masquerade for whoever still has an address of it, and cannot be taken
back (hazards A01, A02, A05). Tunnel addresses, virtual machines and Services count like pods, and so does
a holder that cannot be told (spec ipam-engine.md §17.4). Empty blocks do not matter here.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    IPAM_BLOCKS,
    NODES,
    PODS,
    SERVICES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.watch import Notice, Watches
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Block, clean_up
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import Datastore
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.holdings import (
    LEAKED,
    STAYS,
    Holding,
    holdings_among,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.node_tunnels import (
    shown_with_tunnels,
    tunnel_source,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_use import (
    Use,
    by_kind,
    merged,
    recorded,
    used_by_node,
    used_by_pod,
    used_by_service,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.range_wait import (
    Report,
    held_now,
    seconds_until_rested,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire import block_cidr, decode_block

NAMED = 5
# Holders in the details of a failure.
MOST = 1000


@dataclass
class _Range:
    """A range as the watches tell of it."""

    network: Network
    cooldown: int
    clock: Clock
    waiting: set[str]
    blocks: dict[str, Block] = field(default_factory=dict)
    pods: dict[tuple[str, str], Object] = field(default_factory=dict)
    live: dict[tuple[str, str, str], list[Use]] = field(default_factory=dict)
    holders: set[tuple[str, str]] = field(default_factory=set)
    held: list[Holding] = field(default_factory=list)

    def take(self, notice: Notice) -> bool:
        """Whether the notice may have changed who uses the range."""
        source, change = notice.source, notice.change
        if change.type == "SYNCED":
            self.waiting.discard(source)
            return True
        metadata, gone = change.object["metadata"], change.type == "DELETED"
        if source == "blocks":
            if gone:
                return self.blocks.pop(metadata["name"], None) is not None
            if not self.network.overlaps(block_cidr(change.object)):
                return False
            self.blocks[metadata["name"]] = decode_block(change.object)
            return True
        key = (source, str(metadata.get("namespace") or ""), str(metadata["name"]))
        found = [] if gone else _USES[source](change.object, self.network)
        before = self.live.pop(key, [])
        if found:
            self.live[key] = found
        if source != "pods":
            return found != before
        if gone:
            self.pods.pop(key[1:], None)
        else:
            self.pods[key[1:]] = _slim(change.object)
        return found != before or key[1:] in self.holders

    def uses(self) -> list[Use]:
        """Who uses an address of the range now."""
        now = self.clock.now()
        tidy = [clean_up(block, now, self.cooldown) for block in self.blocks.values()]
        self.held = holdings_among(tidy, self.network, lambda: self.pods)
        self.holders = {(each.holder.namespace, each.holder.pod) for each in self.held}
        return merged([*recorded(self.held), *(use for uses in self.live.values() for use in uses)])


def before_delete(
    api: KubeApi,
    store: Datastore,
    what: str,
    network: Network,
    *,
    watched: Resource | None = IPAM_BLOCKS,
    timeout: float,
    soak: float,
    clock: Clock,
    report: Report,
) -> dict[str, t.Any]:
    """Prove that nobody uses an address of the range, twice and ``soak`` seconds apart.

    ``what`` names the range in sentences, such as ``IPPool 'web'``. Those who let go by themselves are waited for
    up to ``timeout`` seconds; whoever stays, or comes while the soak lasts, is refused by name.
    """
    seen = _Range(network, store.settings().cooldown_seconds, clock, {"blocks", "pods", "nodes", "services"})
    begun = clock.monotonic()
    empty_since: float | None = None
    uses: list[Use] = []
    with Watches(api) as watches:
        watches.follow("blocks", watched or IPAM_BLOCKS)
        watches.follow("pods", PODS)
        watches.follow("nodes", tunnel_source(api))
        watches.follow("services", SERVICES)
        while True:
            left = begun + timeout - clock.monotonic()
            rest = None
            if empty_since is not None:
                left = empty_since + soak - clock.monotonic()
            elif seen.held:
                rest = seconds_until_rested(seen.held, seen.cooldown, clock)
            notice = watches.next(max(0.0, left if rest is None else min(left, rest)))
            if notice is None and empty_since is not None:
                break
            if notice is None and (rest is None or rest >= left):
                raise _timed_out(what, uses, clock.monotonic() - begun)
            if (notice is not None and not seen.take(notice)) or seen.waiting:
                continue
            before, uses = uses, seen.uses()
            refuse_staying(what, uses, soaking=empty_since is not None)
            if uses:
                if empty_since is not None:
                    # Whoever came and will leave is waited for like the first ones.
                    empty_since, begun = None, clock.monotonic()
                if uses != before:
                    report(f"{what}: waiting for {by_kind(uses, NAMED)}")
            elif empty_since is None:
                empty_since = clock.monotonic()
                report(f"{what}: nobody uses an address of it; looking again in {soak:g} s")
    # The second look asks anew: a watch that went silent must not be taken for an empty range.
    again = read_uses(api, store, network, clock)
    if again:
        refuse_staying(what, again, soaking=True)
        raise _timed_out(what, again, clock.monotonic() - begun)
    return {"holders": [], "blocks": len(seen.blocks), "soak": soak}


def read_uses(api: KubeApi, store: Datastore, network: Network, clock: Clock) -> list[Use]:
    """Who uses an address of the range, read once."""
    return merged(
        [
            *recorded(held_now(api, store, network, clock)),
            *(use for pod in api.list(PODS).items for use in used_by_pod(pod, network)),
            *(use for node in api.list(NODES).items for use in used_by_node(node, network)),
            *(use for service in api.list(SERVICES).items for use in used_by_service(service, network)),
        ]
    )


def refuse_staying(what: str, uses: t.Sequence[Use], *, soaking: bool) -> None:
    """Refused when somebody uses an address who will not let go by themselves."""
    staying = [use for use in uses if use.state == STAYS]
    if staying:
        appeared = "got users again while it was watched" if soaking else "is still in use"
        raise Refused(
            f"{what} {appeared} and must not be deleted: {by_kind(staying, NAMED)}; move them first.",
            holders=[use.as_result() for use in uses[:MOST]],
        )


def _timed_out(what: str, uses: t.Sequence[Use], waited: float) -> Refused:
    leaked = any(use.state == LEAKED for use in uses)
    hint = (
        "pods that are gone still have addresses on record, which Calico's garbage collection gives back after its "
        "grace period, 15 minutes unless configured; run this again then"
        if leaked
        else "see whether calico-node and kube-controllers run, then run this again"
    )
    return Refused(
        f"{what} must not be deleted: after {waited:.0f} seconds {by_kind(uses, NAMED) or 'its users are not known'} "
        f"still use addresses of it; {hint}.",
        holders=[use.as_result() for use in uses[:MOST]],
    )


def _slim(pod: Object) -> Object:
    """As much of a pod as tells whether it still has its address."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    return {
        "metadata": {"deletionTimestamp": metadata.get("deletionTimestamp")},
        "spec": {"hostNetwork": (pod.get("spec") or {}).get("hostNetwork")},
        "status": {key: status.get(key) for key in ("phase", "podIP", "podIPs")},
    }


def _node(thing: Object, network: Network) -> list[Use]:
    return used_by_node(shown_with_tunnels(thing), network)


_USES: t.Mapping[str, t.Callable[[Object, Network], list[Use]]] = {
    "pods": used_by_pod,
    "nodes": _node,
    "services": used_by_service,
}
