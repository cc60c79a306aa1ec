# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Spec ippool.md §3.1, rule by rule in its order: what is refused with which field blamed, and what next to it is not.

Where we differ from Calico's client:

* V2: an IPv4-mapped IPv6 range is refused, where the client makes an IPv4 pool of it (§3.4 says to avoid it).
* V9 is blamed on vxlanMode alone, V14 on the mode that is set.
* V12: a use named twice is refused on every way of writing, since the API server does not take it.
* V29 is told with the rules on fields in mind: it is said when no other rule is broken.
* Every broken rule is reported at once; Calico stops after the first group.
"""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import pool_from_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import (
    validate_create,
    validate_schema_rules,
    validate_update,
)

Spec = t.Dict[str, t.Any]
V4, V6 = "172.22.0.0/16", "fd77::/64"
LONG = "has(" + "a" * 508 + ") && has(" + "b" * 502 + ")"
STORED = {"resourceVersion": "5", "uid": "b1c5", "creationTimestamp": "2026-08-20T09:14:05Z"}
OTHERS = [
    pool_from_spec("off", {"cidr": "10.1.0.0/16", "disabled": True}),
    pool_from_spec("bits", {"cidr": "10.2.0.9/16"}),
    pool_from_spec("six", {"cidr": "fd88::/48"}),
]
BLOCKS = [parse_network("172.22.4.64/26")]


def v4(**fields: t.Any) -> Spec:
    return {"cidr": V4, **fields}


def v6(**fields: t.Any) -> Spec:
    return {"cidr": V6, **fields}


def lb(**fields: t.Any) -> Spec:
    return v4(allowedUses=["LoadBalancer"], **fields)


def alone(**fields: t.Any) -> Spec:
    """For pods only."""
    return v4(allowedUses=["Workload"], **fields)


# Rule, op as in §3.1 (c create, u update), blamed field, words, refused, accepted.
ON_FIELDS: list[tuple[str, str, str, str, Spec, Spec]] = [
    ("V1", "cu", "cidr", "is missing", {}, v4()),
    ("V1", "cu", "cidr", "is missing", {"cidr": ""}, v4()),
    ("V1", "cu", "cidr", "is missing", {"cidr": None}, v4()),
    ("V2", "cu", "cidr", "has no prefix length", {"cidr": "172.22.0.0"}, v4()),
    ("V2", "cu", "cidr", "", {"cidr": "fe80::1%eth0/64"}, v6()),
    ("V2", "cu", "cidr", "", {"cidr": "172.022.0.0/16"}, v4()),
    ("V2", "cu", "cidr", "", {"cidr": " 172.22.0.0/16"}, v4()),
    ("V2", "cu", "cidr", "", {"cidr": "172.22.0.0/33"}, {"cidr": "172.22.0.0/32", "blockSize": 32}),
    ("V2", "cu", "cidr", "", {"cidr": "fd77::/129"}, {"cidr": "fd77::/128", "blockSize": 128}),
    ("V2", "cu", "cidr", "IPv4-mapped", {"cidr": "::ffff:172.22.0.0/112"}, v4()),
    ("V3", "cu", "cidr", "at most 48", {"cidr": "f" * 49}, {"cidr": "fd77:0000:0000:0000:0000:0000:0000:0000/64"}),
    ("V4", "cu", "cidr", "172.22.0.0/16", {"cidr": "172.22.0.9/16"}, v4()),
    ("V4", "cu", "cidr", "fd77::/64", {"cidr": "fd77::1/64"}, v6()),
    ("V5", "cu", "cidr", "link-local", {"cidr": "169.254.7.0/24"}, {"cidr": "169.253.0.0/16"}),
    ("V5", "cu", "cidr", "link-local", {"cidr": "169.0.0.0/8"}, {"cidr": "170.0.0.0/8"}),
    ("V6", "cu", "cidr", "link-local", {"cidr": "fe80::/64"}, {"cidr": "fec0::/64"}),
    ("V6", "cu", "cidr", "link-local", {"cidr": "fe00::/8"}, {"cidr": "fc00::/8"}),
    ("V7", "cu", "blockSize", "20 to 32", v4(blockSize=19), v4(blockSize=20)),
    ("V7", "cu", "blockSize", "20 to 32", v4(blockSize=33), v4(blockSize=32)),
    ("V7", "cu", "blockSize", "116 to 128", v6(blockSize=115), v6(blockSize=116)),
    ("V7", "cu", "blockSize", "116 to 128", v6(blockSize=129), v6(blockSize=128)),
    ("V7", "cu", "blockSize", "20 to 32", v4(blockSize=19, disabled=True), v4(blockSize=0, disabled=True)),
    ("V8", "cu", "cidr", "smaller than one block", {"cidr": "10.0.0.0/28"}, {"cidr": "10.0.0.0/28", "blockSize": 28}),
    ("V8", "cu", "cidr", "smaller than one block", {"cidr": "fd77::/124"}, {"cidr": "fd77::/124", "disabled": True}),
    ("V9", "cu", "vxlanMode", "ipipMode", v4(ipipMode="Always", vxlanMode="Always"), v4(ipipMode="Always")),
    ("V10", "cu", "ipipMode", "IPv6", v6(ipipMode="Always"), v6(vxlanMode="Always", ipipMode="Never")),
    ("V11", "cu", "ipipMode", "Never, Always or CrossSubnet", v4(ipipMode="always"), v4(ipipMode="")),
    (
        "V11",
        "cu",
        "vxlanMode",
        "Never, Always or CrossSubnet",
        v4(vxlanMode="crosssubnet"),
        v4(vxlanMode="CrossSubnet"),
    ),
    ("V11", "cu", "assignmentMode", "Automatic or Manual", v4(assignmentMode="manual"), v4(assignmentMode="Manual")),
    ("V11", "cu", "assignmentMode", "Automatic or Manual", v4(assignmentMode=""), v4(assignmentMode=None)),
    ("V12", "cu", "allowedUses", "unknown use 'Pods'", v4(allowedUses=["Pods"]), v4(allowedUses=["Tunnel"])),
    ("V12", "cu", "allowedUses", "twice", v4(allowedUses=["Tunnel"] * 2), v4(allowedUses=["Tunnel", "Workload"])),
    ("V12", "cu", "allowedUses", "at most 10", v4(allowedUses=["Tunnel"] * 11), v4(allowedUses=[])),
    ("V13", "cu", "allowedUses", "stands alone", v4(allowedUses=["LoadBalancer", "Workload"]), lb()),
    ("V13", "cu", "allowedUses", "stands alone", v4(allowedUses=["Tunnel", "LoadBalancer"]), lb()),
    ("V14", "cu", "ipipMode", "LoadBalancer", lb(ipipMode="Always"), lb(ipipMode="Never")),
    ("V14", "cu", "vxlanMode", "LoadBalancer", lb(vxlanMode="CrossSubnet"), lb(vxlanMode="")),
    ("V15", "cu", "disableBGPExport", "false", lb(disableBGPExport=True), lb(disableBGPExport=False)),
    ("V16", "cu", "nodeSelector", "exactly 'all()'", lb(nodeSelector="all( )"), lb(nodeSelector="")),
    ("V16", "cu", "nodeSelector", "exactly 'all()'", lb(nodeSelector="has(a)"), lb(nodeSelector="all()")),
    ("V17", "cu", "namespaceSelector", "Tunnel", v4(namespaceSelector="has(a)"), alone(namespaceSelector="has(a)")),
    ("V17", "cu", "namespaceSelector", "Tunnel", v4(namespaceSelector="all()"), v4(namespaceSelector="")),
    ("V18", "cu", "nodeSelector", "position 2", v4(nodeSelector="a = 'b'"), v4(nodeSelector="a == 'b'")),
    ("V18", "cu", "namespaceSelector", "position", alone(namespaceSelector="a"), alone(namespaceSelector="has(a)")),
    ("V19", "cu", "nodeSelector", "global(", v4(nodeSelector="global()"), v4(nodeSelector="has(global)")),
    ("V19", "cu", "nodeSelector", "global(", v4(nodeSelector="a == 'global('"), v4(nodeSelector="a == 'global ('")),
    (
        "V19",
        "cu",
        "namespaceSelector",
        "global(",
        alone(namespaceSelector="global()"),
        alone(namespaceSelector="all()"),
    ),
    ("V20", "cu", "nodeSelector", "at most 1024", v4(nodeSelector=LONG + " "), v4(nodeSelector=LONG)),
    ("V20", "cu", "namespaceSelector", "1024", alone(namespaceSelector=LONG + " "), alone(namespaceSelector=LONG)),
]

# Rule, blamed field, words, what is stored, refused, accepted.
ON_UPDATE: list[tuple[str, str, str, Spec, Spec, Spec]] = [
    ("V21", "cidr", "migrate_pool", v4(), {"cidr": "172.22.0.0/17"}, v4(natOutgoing=True)),
    ("V21", "cidr", "migrate_pool", {"cidr": "FD77:0::/64"}, {"cidr": "fd78::/64"}, v6()),
    ("V22", "blockSize", "change_block_size", v4(blockSize=28), v4(), v4(blockSize=28)),
    ("V22", "blockSize", "change_block_size", v4(), v4(blockSize=27), v4(blockSize=26)),
    ("V22", "blockSize", "change_block_size", v4(blockSize=26), v4(blockSize=28), v4(blockSize=0)),
    ("V22", "blockSize", "change_block_size", v6(blockSize=124), v6(blockSize=122), v6(blockSize=124)),
    ("V23", "allowedUses", "LoadBalancer", lb(), v4(), lb(natOutgoing=True)),
    ("V23", "allowedUses", "LoadBalancer", lb(), v4(allowedUses=[]), lb()),
    ("V23", "allowedUses", "LoadBalancer", lb(), alone(), lb(disabled=True)),
    ("V14", "ipipMode", "LoadBalancer", v4(ipipMode="Always"), lb(ipipMode="Always"), lb()),
]

Create = t.Tuple[str, Spec, t.Dict[str, t.Any]]


def new(cidr: str, name: str = "web", metadata: Spec | None = None, **spec: t.Any) -> Create:
    return name, {"cidr": cidr, **spec}, {} if metadata is None else {"metadata": metadata}


# Rule, blamed field, words, refused and accepted, both beside OTHERS and BLOCKS.
ON_CREATE: list[tuple[str, str, str, Create, Create]] = [
    ("V24", "cidr", "disabled pool 'off'", new("10.1.7.0/24"), new("10.3.0.0/16")),
    ("V24", "cidr", "disabled pool 'off'", new("10.0.0.0/15"), new("11.0.0.0/15")),
    ("V24", "cidr", "pool 'bits'", new("10.2.0.0/16", disabled=True), new("10.4.0.0/16", disabled=True)),
    ("V24", "cidr", "fd88::/48", new("fd88:0:0:1::/64"), new("fd88:0:1::/64")),
    ("V25", "blockSize", "172.22.4.64/26", new(V4, blockSize=27), new(V4)),
    ("V25", "blockSize", "172.22.4.64/26", new(V4, blockSize=27, disabled=True), new(V4, disabled=True)),
    ("V25", "blockSize", "use blockSize 26", new("172.22.4.64/28", blockSize=28), new("172.22.4.128/28", blockSize=28)),
    ("V26", "metadata.name", "lower-case", new(V4, "Web"), new(V4, "web")),
    ("V26", "metadata.name", "lower-case", new(V4, "web.-b"), new(V4, "w-e.b")),
    ("V26", "metadata.name", "at most 253", new(V4, "a" * 254), new(V4, "a" * 253)),
    (
        "V27",
        "metadata.labels",
        "",
        new(V4, metadata={"labels": {"A.b/c": "x"}}),
        new(V4, metadata={"labels": {"a.b/C": "x"}}),
    ),
    (
        "V27",
        "metadata.labels",
        "63",
        new(V4, metadata={"labels": {"a": "x" * 64}}),
        new(V4, metadata={"labels": {"a": "x" * 63}}),
    ),
    (
        "V27",
        "metadata.annotations",
        "",
        new(V4, metadata={"annotations": {"a b": ""}}),
        new(V4, metadata={"annotations": {"A.b/C": "any text"}}),
    ),
    (
        "V27",
        "metadata.annotations",
        str(256 * 1024),
        new(V4, metadata={"annotations": {"a": "x" * 256 * 1024}}),
        new(V4, metadata={"annotations": {"a": "x" * (256 * 1024 - 1)}}),
    ),
    ("V28", "metadata.resourceVersion", "new pool", new(V4, metadata={"resourceVersion": "1"}), new(V4, metadata={})),
    ("V28", "metadata.name", "needs a name", new(V4, ""), new(V4, "w")),
    ("V29", "metadata.name", "exists already", new("11.0.0.0/16", "off"), new("11.0.0.0/16", "on")),
]
# A name that is not given is told by the rule on names.
SAID_AS = {("V28", "metadata.name"): "V26"}


def blamed(check: t.Callable[[], object], rule: str, field: str) -> str:
    with pytest.raises(InvalidPool) as caught:
        check()
    found = [error.message for error in caught.value.errors if (error.rule, error.field) == (rule, field)]
    assert found, [(error.rule, error.field) for error in caught.value.errors]
    return " ".join(found)


def test_no_rule_is_missing() -> None:
    here = {row[0] for table in (ON_FIELDS, ON_UPDATE, ON_CREATE) for row in table}
    assert here == {f"V{number}" for number in range(1, 30)}


@pytest.mark.parametrize(("rule", "ops", "field", "words", "refused", "accepted"), ON_FIELDS)
def test_rules_on_fields(rule: str, ops: str, field: str, words: str, refused: Spec, accepted: Spec) -> None:
    assert ops == "cu"
    for check in (lambda: validate_create("web", refused), lambda: validate_update("web", accepted, refused)):
        assert words in blamed(check, rule, field)
    validate_create("web", accepted)
    validate_update("web", accepted, accepted, metadata=STORED)


@pytest.mark.parametrize(("rule", "field", "words", "stored", "refused", "accepted"), ON_UPDATE)
def test_rules_on_updates(rule: str, field: str, words: str, stored: Spec, refused: Spec, accepted: Spec) -> None:
    assert words in blamed(lambda: validate_update("web", stored, refused), rule, field)
    validate_update("web", stored, accepted)


@pytest.mark.parametrize(("rule", "field", "words", "refused", "accepted"), ON_CREATE)
def test_rules_on_creation(rule: str, field: str, words: str, refused: Create, accepted: Create) -> None:
    name, spec, more = refused
    said = blamed(lambda: validate_create(name, spec, OTHERS, BLOCKS, **more), SAID_AS.get((rule, field), rule), field)
    assert words in said
    name, spec, more = accepted
    validate_create(name, spec, OTHERS, BLOCKS, **more)


@pytest.mark.parametrize("field", sorted(STORED))
def test_v28_on_updates(field: str) -> None:
    without = {key: value for key, value in STORED.items() if key != field}
    assert "must be set" in blamed(
        lambda: validate_update("web", v4(), v4(), metadata=without), "V28", f"metadata.{field}"
    )


def test_v24_and_v25_are_not_repeated_on_updates() -> None:
    validate_update("web", {"cidr": "10.1.7.0/24"}, {"cidr": "10.1.7.0/24", "natOutgoing": True})


# The API server's own check of immutable fields compares texts, and only when both objects have them (§3.3).
@pytest.mark.parametrize(
    ("rule", "stored", "sent"),
    [
        ("V21", {"cidr": "FD77::/64"}, v6()),
        ("V22", v4(blockSize=26), v4(blockSize=0)),
        ("V22", v4(blockSize=26), v4(blockSize=28)),
        ("", v4(blockSize=26), v4()),
        ("", v4(), v4(blockSize=28)),
        ("", lb(), v4()),
    ],
)
def test_what_the_api_server_compares(rule: str, stored: Spec, sent: Spec) -> None:
    assert [error.rule for error in validate_schema_rules(sent, stored)] == ([rule] if rule else [])
