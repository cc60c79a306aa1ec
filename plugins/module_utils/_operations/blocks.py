# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Blocks, the nodes that own them, and who holds each address.

Made for clusters with ten thousand blocks: stored blocks are taken one by one, what is
kept of a block is small, and a query keeps the answer small.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Address,
    Network,
    parse_address,
    parse_network,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import Reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import (
    AddressHolder,
    BlockFigures,
    holders,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.damaged import OnCorrupt
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import (
    measure_block,
    pool_of,
    shown_figures,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.libraries import load_jmespath
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    engine_pools,
    require,
)

# Blocks that a query looks at together when it may be asked part by part.
PART = 500


@dataclass(frozen=True)
class BlockFilter:
    """Which blocks are wanted; every condition that is given must hold.

    ``pool``: the block starts in this network. ``node``: the node owns the block or has an
    address in it. ``address``, ``pod`` (namespace and name) and ``handle`` choose addresses, and
    the blocks that have one of them.
    """

    pool: Network | None = None
    node: str | None = None
    cidr: Network | None = None
    address: Address | None = None
    pod: tuple[str, str] | None = None
    handle: str | None = None

    @property
    def chosen(self) -> bool:
        """Whether there is any condition."""
        return self != BlockFilter()

    @property
    def by_address(self) -> bool:
        """Whether single addresses are chosen, not whole blocks."""
        return self.address is not None or self.pod is not None or self.handle is not None

    def takes_range(self, block: Network) -> bool:
        if self.pool is not None and not self.pool.overlaps(block):
            return False
        if self.cidr is not None and not self.cidr.overlaps(block):
            return False
        return self.address is None or block.contains(self.address)

    def takes_node(self, figures: BlockFigures, spec: t.Mapping[str, t.Any]) -> bool:
        if self.node is None or figures.node == self.node:
            return True
        return any(
            (attribute.get("secondary") or {}).get("node") == self.node for attribute in spec.get("attributes") or ()
        )

    def may_hold(self, spec: t.Mapping[str, t.Any]) -> bool:
        """Whether the block can have a chosen address; a cheap look before each holder is told apart."""
        if self.handle is not None:
            # Windows once stored handles with a carriage return at their end.
            return any(
                (attribute.get("handle_id") or "").partition("\r")[0] == self.handle
                for attribute in spec.get("attributes") or ()
            )
        if self.pod is None:
            return True
        return any(
            (attribute.get(part) or {}).get("pod") == self.pod[1]
            for attribute in spec.get("attributes") or ()
            for part in ("secondary", "alternateOwnerAttrs")
        )

    def takes(self, entry: AddressHolder) -> bool:
        if self.address is not None and entry.address != self.address:
            return False
        if self.handle is not None and entry.holder.handle != self.handle:
            return False
        return self.pod is None or (entry.holder.namespace, entry.holder.pod) == self.pod


def block_filter(params: t.Mapping[str, t.Any], pools: t.Sequence[StoredPool]) -> BlockFilter:
    """The filter among a module's parameters. InvalidInput for what does not parse and for an unknown pool."""
    network: Network | None = None
    if params["pool"] is not None:
        pool = require(pools, params["pool"]).pool()
        if pool is None:
            raise InvalidInput(
                f"pool: the CIDR of IPPool {params['pool']!r} does not parse, so nothing can be in it.",
                field="pool",
                value=params["pool"],
            )
        network = pool.cidr
    pod: tuple[str, str] | None = None
    if params["pod"] is not None:
        namespace, slash, name = params["pod"].partition("/")
        if not (namespace and slash and name):
            raise InvalidInput(
                f"pod: {params['pod']!r} does not name a pod; write namespace/name.", field="pod", value=params["pod"]
            )
        pod = (namespace, name)
    return BlockFilter(
        pool=network,
        node=params["node"],
        cidr=None if params["cidr"] is None else parse_network(params["cidr"]),
        address=None if params["address"] is None else parse_address(params["address"]),
        pod=pod,
        handle=params["handle"],
    )


def blocks_with_holders(
    pools: t.Sequence[StoredPool],
    blocks: t.Iterable[Object],
    reservations: Reservations,
    wanted: BlockFilter,
    on_corrupt: OnCorrupt,
    *,
    addresses: bool = True,
) -> dict[str, t.Any]:
    """``blocks`` in order of address and the ``nodes`` that own them, as ``ipam_block_info`` returns them.

    Blocks with a fault are reported to ``on_corrupt``, those that cannot be read left out.
    With ``addresses`` each block lists who holds its addresses; only those chosen when the
    filter chooses addresses.
    """
    named = sorted(engine_pools(pools), key=lambda pool: pool.name)
    found: list[tuple[Network, dict[str, t.Any]]] = []
    nodes: dict[str, dict[str, t.Any]] = {}
    for block in blocks:
        figures = measure_block(block, reservations, on_corrupt)
        if figures is None:
            continue
        spec = block["spec"]
        if not (wanted.takes_range(figures.cidr) and wanted.takes_node(figures, spec) and wanted.may_hold(spec)):
            continue
        shown = shown_figures(figures, pool_of(figures.cidr, named))
        if addresses or wanted.by_address:
            entries = [shown_holder(entry) for entry in holders(spec, figures.cidr) if wanted.takes(entry)]
            if wanted.by_address and not entries:
                continue
            if addresses:
                shown["addresses"] = entries
        found.append((figures.cidr, shown))
        _count(nodes, figures)
    found.sort(key=_first)
    return {"blocks": [shown for _cidr, shown in found], "nodes": [nodes[name] for name in sorted(nodes)]}


def queried_blocks(
    pools: t.Sequence[StoredPool],
    blocks: t.Iterable[Object],
    reservations: Reservations,
    wanted: BlockFilter,
    query: Query,
    on_corrupt: OnCorrupt,
    *,
    addresses: bool,
) -> t.Any:
    """What a query selects from the result of ``blocks_with_holders``; part by part where the query allows it."""
    if not query.streams:
        return query.search(blocks_with_holders(pools, blocks, reservations, wanted, on_corrupt, addresses=addresses))
    selected: list[t.Any] = []
    rest = iter(blocks)
    while True:
        part = list(itertools.islice(rest, PART))
        if not part:
            return selected
        found = blocks_with_holders(pools, part, reservations, wanted, on_corrupt, addresses=addresses)
        selected += query.search(found)


def shown_holder(entry: AddressHolder) -> dict[str, t.Any]:
    """One address with its holder, as modules return it; what is not recorded is null."""
    holder = entry.holder
    return {
        "address": str(entry.address),
        "kind": holder.kind,
        "namespace": holder.namespace or None,
        "name": holder.name or None,
        "pod": holder.pod or None,
        "node": holder.node or None,
        "handle": holder.handle or None,
        "borrowed": entry.borrowed,
    }


@contextlib.contextmanager
def no_cycle_search() -> t.Iterator[None]:
    """Hold Python's search for reference cycles while a large tree is built: there are none, and it costs a third."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Query:
    """A JMESPath expression, checked before anything is read."""

    def __init__(self, text: str) -> None:
        self._jmespath = load_jmespath()
        self._text = text
        try:
            self._compiled = self._jmespath.compile(text)
        except self._jmespath.exceptions.JMESPathError as error:
            raise self._invalid(error) from None

    def search(self, data: t.Any) -> t.Any:
        """What the expression selects. InvalidInput when the data does not fit it."""
        try:
            return self._compiled.search(data)
        except self._jmespath.exceptions.JMESPathError as error:
            raise self._invalid(error) from None

    def mentions(self, field: str) -> bool:
        """Whether the expression names a field, anywhere."""
        waiting = [self._compiled.parsed]
        while waiting:
            node = waiting.pop()
            if node["type"] in ("field", "key_val_pair") and node.get("value") == field:
                return True
            waiting.extend(child for child in node["children"] if isinstance(child, dict))
        return False

    @property
    def streams(self) -> bool:
        """Whether it may be asked part by part: a projection over ``blocks``, whose results are put end to end."""
        node = self._compiled.parsed
        while node["type"] in ("projection", "filter_projection", "flatten"):
            node = node["children"][0]
        projected = node is not self._compiled.parsed
        return bool(projected and node["type"] == "field" and node["value"] == "blocks")

    def _invalid(self, error: Exception) -> InvalidInput:
        position = getattr(error, "lex_position", getattr(error, "lexer_position", None))
        if position is None:
            # The library's own text repeats the expression on further lines.
            problem = str(error).split("\n", 1)[0].rstrip(". ")
            message = f"query: {self._text!r} cannot be evaluated: {problem}."
        else:
            rest = self._text[position:]
            here = f"at {rest[:20]!r}" if rest else "at its end"
            message = f"query: {self._text!r} is not a JMESPath expression: position {position}, {here}, is wrong."
        return InvalidInput(message, field="query", value=self._text)


def _first(entry: tuple[Network, t.Any]) -> tuple[int, int, int]:
    network = entry[0]
    return (network.version, network.value, network.prefix)


def _count(nodes: dict[str, dict[str, t.Any]], figures: BlockFigures) -> None:
    node = nodes.setdefault(
        figures.node,
        {"node": figures.node or None, "blocks": 0, "addresses": 0, "in_use": 0, "free": 0, "borrowed": 0},
    )
    node["blocks"] += 1
    node["addresses"] += figures.size
    node["in_use"] += figures.in_use
    node["free"] += figures.free
    node["borrowed"] += figures.borrowed
