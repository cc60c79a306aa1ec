# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers and decoders raise what they document and nothing else, whatever they are given.

5,000 inputs each here, the same ones every time; 100,000 new ones with ``CALICO_OPS_NIGHTLY=1``. Hypothesis chooses
the base of an input and a seed; from each base 50 inputs are made by small changes (``mutation.py``).
"""

from __future__ import annotations

import os
import random
import sys
import typing as t
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import strategies_wire
from mutation import SCALARS, SHAPES, mutated, mutated_text

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import v1_metadata
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine import cidr, holder, selector, timestamps
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import CorruptRecord
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, SelectorError
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.reservation import parse_reservations
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import holders, measure
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.inspect import measure_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import wire

NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
INPUTS = 100_000 if NIGHTLY else 5_000
CHANGES = 50
RESERVED = parse_reservations(["10.0.0.0/30", "fd00::/64"])

Case = t.Tuple[t.Callable[[t.Any], t.Any], t.Tuple[t.Type[Exception], ...]]

fuzz = settings(
    max_examples=INPUTS // CHANGES,
    deadline=None,
    derandomize=not NIGHTLY,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)

SELECTORS = [
    "",
    "all()",
    "has(rack)",
    "rack == 'a'",
    'rack != "b" && !has(zone)',
    "(a in {'x', 'y'} || b not in {\"z\"}) && global()",
    "name contains 'x' && name starts with \"y\" || name ends with 'z'",
    "!(!all())",
    "projectcalico.org/namespace == 'n'",
]
NETWORKS = ["10.0.0.0/8", "192.168.1.64/26", "0.0.0.0/0", "255.255.255.255/32", "fd00::/122", "::/0", "2001:db8::1/128"]
ADDRESSES = ["10.0.0.1", "255.255.255.255", "::", "fd00::1", "2001:db8::a:b", "::ffff:1.2.3.4"]
TIMES = ["2026-08-20T09:14:05Z", "2026-08-20T09:14:05.204418+02:00", "2026-08-20 09:14:05Z", "0001-01-01T00:00:00Z"]
NOW = datetime(2026, 8, 20, tzinfo=timezone.utc)
POOL: dict[str, t.Any] = {
    "apiVersion": "crd.projectcalico.org/v1",
    "kind": "IPPool",
    "metadata": {
        "name": "p",
        "labels": {"a": "b"},
        "annotations": {"projectcalico.org/metadata": '{"labels":{"x":"y"},"annotations":{"c":"d"}}'},
    },
    "spec": {
        "cidr": "10.0.0.0/16",
        "blockSize": 26,
        "ipipMode": "Always",
        "vxlanMode": "Never",
        "natOutgoing": True,
        "disabled": False,
        "nodeSelector": "all()",
        "namespaceSelector": "has(x)",
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    },
    "status": {"conditions": [{"type": "Allocatable", "status": "False"}]},
}


def parsed_selector(text: t.Any) -> None:
    found = selector.parse(text)
    found.matches({})
    found.matches({"rack": "a", "name": "xyz"})


def parsed_time(text: t.Any) -> None:
    moment = timestamps.parse_time(text)
    bool(moment < NOW - timedelta(seconds=1200))
    timestamps.nanoseconds(moment)


def pool_metadata(thing: t.Any) -> None:
    v1_metadata.labels_of(thing)
    v1_metadata.annotations_of(thing)


def classified(attribute: t.Any) -> None:
    found = holder.classify(attribute)
    assert found.kind in holder.KINDS
    assert all(isinstance(member, str) for member in found)
    str(found)


def figures(block: t.Any) -> None:
    """A report reads whatever is there; what it cannot read it names."""
    faults: list[CorruptRecord] = []
    found = measure_block(block, RESERVED, faults.append)
    assert found is not None or faults
    assert found is None or found.in_use >= 0
    assert all(len(fault.message) < 1000 for fault in faults)


def decoded(decode: t.Callable[[t.Any], t.Any]) -> t.Callable[[t.Any], None]:
    def run(thing: t.Any) -> None:
        try:
            decode(thing)
        except CorruptRecord as error:
            assert {"kind", "name", "fault"} <= error.details.keys()
            assert len(error.message) < 1000
            error.message.encode("utf-8", "surrogatepass")

    return run


def run_texts(case: Case, base: str, seed: int) -> None:
    look, errors = case
    rng = random.Random(seed)
    for _number in range(CHANGES):
        thing: t.Any = mutated_text(rng, base) if rng.random() < 0.95 else rng.choice(SCALARS + SHAPES)
        check(look, errors, thing)


def run_things(case: Case, base: t.Any, seed: int) -> None:
    look, errors = case
    rng = random.Random(seed)
    for _number in range(CHANGES):
        check(look, errors, mutated(rng, base) if rng.random() < 0.98 else rng.choice(SCALARS + SHAPES))


def check(look: t.Callable[[t.Any], t.Any], errors: tuple[type[Exception], ...], thing: t.Any) -> None:
    try:
        look(thing)
    except errors:
        pass
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error!s:.200} from {ascii(thing)[:1000]}") from error


TEXT_CASES: dict[str, tuple[list[str], Case]] = {
    "selector": (SELECTORS, (parsed_selector, (SelectorError,))),
    "network": (NETWORKS, (cidr.parse_network, (InvalidInput,))),
    "network with host bits": (NETWORKS, (lambda text: cidr.parse_network(text, strict=False), (InvalidInput,))),
    "address": (ADDRESSES, (cidr.parse_address, (InvalidInput,))),
    "range": (NETWORKS + ADDRESSES, (cidr.parse_range, (InvalidInput,))),
    "reservations": (NETWORKS + ADDRESSES, (lambda text: parse_reservations([text, "10.0.0.0/8"]), ())),
}
THING_CASES: dict[str, tuple[st.SearchStrategy[t.Any], Case]] = {
    "block": (strategies_wire.blocks(), (decoded(wire.decode_block), ())),
    "block alone": (strategies_wire.blocks(), (decoded(wire.block_cidr), ())),
    "affinity": (strategies_wire.affinities(), (decoded(wire.decode_affinity), ())),
    "handle": (strategies_wire.handles(), (decoded(wire.decode_handle), ())),
    "settings v1": (strategies_wire.settings(), (decoded(lambda thing: wire.decode_settings(thing, CALICO_V1)), ())),
    "settings v3": (strategies_wire.settings(), (decoded(lambda thing: wire.decode_settings(thing, CALICO_V3)), ())),
    "deleted": (strategies_wire.affinities(), (wire.is_deleted, ())),
    "reserved": (st.just({"spec": {"reservedCIDRs": ["10.0.0.0/8"]}}), (wire.reserved_cidrs, ())),
    "pool": (st.just(POOL), (pool_from_object, (InvalidInput,))),
    "pool metadata": (st.just(POOL), (pool_metadata, ())),
    "pool shown": (st.just(POOL), (lambda thing: StoredPool("p", thing).shown(), ())),
    "holder": (strategies_wire.attributes(), (classified, ())),
    "figures": (strategies_wire.blocks().map(lambda block: block["spec"]), (measure, (InvalidInput,))),
    "holders": (
        strategies_wire.blocks().map(lambda block: block["spec"]),
        (lambda spec: [str(entry.holder) for entry in holders(spec)], (InvalidInput,)),
    ),
    "report": (strategies_wire.blocks(), (figures, ())),
}


@pytest.mark.parametrize("name", TEXT_CASES)
def test_texts(name: str) -> None:
    bases, case = TEXT_CASES[name]

    @fuzz
    @given(st.sampled_from(bases), st.integers(0, 1 << 32))
    def run(base: str, seed: int) -> None:
        run_texts(case, base, seed)

    run()


def test_times() -> None:
    @fuzz
    @given(st.sampled_from(TIMES), st.integers(0, 1 << 32))
    def run(base: str, seed: int) -> None:
        rng = random.Random(seed)
        for _number in range(CHANGES):
            check(parsed_time, (ValueError,), mutated_text(rng, base))

    run()


@pytest.mark.parametrize("name", THING_CASES)
def test_objects(name: str) -> None:
    records, case = THING_CASES[name]

    @fuzz
    @given(records, st.integers(0, 1 << 32))
    def run(base: t.Any, seed: int) -> None:
        run_things(case, base, seed)

    run()
