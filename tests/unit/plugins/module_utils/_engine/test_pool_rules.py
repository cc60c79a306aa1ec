# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import default_spec, pool_from_spec
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import (
    validate_create,
    validate_schema_rules,
    validate_update,
)

CIDR = "172.22.0.0/16"
LONG = "has(" + "a" * 508 + ") && has(" + "b" * 502 + ")"


def broken(spec, name="web", **more):
    """(rule, field) of every error a new pool meets."""
    try:
        validate_create(name, spec, **more)
    except InvalidPool as error:
        assert error.details["errors"]
        for one in error.errors:
            assert one.message.endswith((".", "?"))
            assert one.message in error.message
        return [(one.rule, one.field) for one in error.errors]
    return []


def spec(**fields):
    return {"cidr": CIDR, **fields}


def lb(**fields):
    return spec(allowedUses=["LoadBalancer"], **fields)


# Rule, blamed field, a specification that breaks it, one close to it that does not.
ON_ONE_SPEC = [
    ("V1", "cidr", {}, spec()),
    ("V1", "cidr", {"cidr": ""}, spec()),
    ("V2", "cidr", {"cidr": "172.22.0.0"}, {"cidr": "172.22.0.0/32", "blockSize": 32}),
    ("V2", "cidr", {"cidr": "172.022.0.0/16"}, {"cidr": "172.22.0.0/016"}),
    ("V2", "cidr", {"cidr": "172.22.0.0/33"}, {"cidr": "172.22.0.0/26"}),
    ("V2", "cidr", {"cidr": "::ffff:172.22.0.0/112"}, {"cidr": "::fffe:0:0/112"}),
    ("V2", "cidr", {"cidr": "fd77::%eth0/64"}, {"cidr": "FD77::/64"}),
    ("V4", "cidr", {"cidr": "172.22.0.9/16"}, spec()),
    ("V4", "cidr", {"cidr": "172.22.0.0/07"}, {"cidr": "172.0.0.0/6", "blockSize": 26}),
    ("V5", "cidr", {"cidr": "169.254.7.0/24"}, {"cidr": "169.253.0.0/16"}),
    ("V5", "cidr", {"cidr": "169.0.0.0/8"}, {"cidr": "170.0.0.0/8"}),
    ("V6", "cidr", {"cidr": "fe80::/64"}, {"cidr": "fec0::/64"}),
    ("V6", "cidr", {"cidr": "fe00::/8"}, {"cidr": "fc00::/8"}),
    ("V7", "blockSize", spec(blockSize=19), spec(blockSize=20)),
    ("V7", "blockSize", spec(blockSize=33), spec(blockSize=32)),
    ("V7", "blockSize", spec(blockSize=19, disabled=True), spec(blockSize=0, disabled=True)),
    ("V7", "blockSize", {"cidr": "fd77::/64", "blockSize": 115}, {"cidr": "fd77::/64", "blockSize": 116}),
    ("V7", "blockSize", {"cidr": "fd77::/64", "blockSize": 129}, {"cidr": "fd77::/64", "blockSize": 128}),
    ("V7", "blockSize", spec(blockSize=-1), spec()),
    ("V8", "cidr", {"cidr": "172.22.9.0/28"}, {"cidr": "172.22.9.0/28", "blockSize": 28}),
    ("V8", "cidr", {"cidr": "172.22.9.0/28"}, {"cidr": "172.22.9.0/28", "disabled": True}),
    ("V8", "cidr", {"cidr": "fd77::/124"}, {"cidr": "fd77::/122"}),
    ("V9", "vxlanMode", spec(ipipMode="Always", vxlanMode="CrossSubnet"), spec(ipipMode="Always", vxlanMode="Never")),
    ("V10", "ipipMode", {"cidr": "fd77::/64", "ipipMode": "Always"}, {"cidr": "fd77::/64", "vxlanMode": "Always"}),
    ("V11", "ipipMode", spec(ipipMode="always"), spec(ipipMode="CrossSubnet")),
    ("V11", "vxlanMode", spec(vxlanMode="On"), spec(vxlanMode="")),
    ("V11", "assignmentMode", spec(assignmentMode="Auto"), spec(assignmentMode="Manual")),
    ("V11", "assignmentMode", spec(assignmentMode=""), spec(assignmentMode=None)),
    ("V12", "allowedUses", spec(allowedUses=["workload"]), spec(allowedUses=["Workload"])),
    ("V12", "allowedUses", spec(allowedUses=["Tunnel", "Tunnel"]), spec(allowedUses=["Tunnel"])),
    ("V13", "allowedUses", spec(allowedUses=["LoadBalancer", "Tunnel"]), lb()),
    ("V14", "ipipMode", lb(ipipMode="Always"), lb(ipipMode="Never")),
    ("V14", "vxlanMode", lb(vxlanMode="CrossSubnet"), lb()),
    ("V15", "disableBGPExport", lb(disableBGPExport=True), spec(disableBGPExport=True)),
    ("V16", "nodeSelector", lb(nodeSelector="all( )"), lb(nodeSelector="all()")),
    ("V16", "nodeSelector", lb(nodeSelector="has(a)"), spec(nodeSelector="has(a)")),
    (
        "V17",
        "namespaceSelector",
        spec(namespaceSelector="has(tenant)"),
        spec(namespaceSelector="has(tenant)", allowedUses=["Workload"]),
    ),
    ("V17", "namespaceSelector", spec(namespaceSelector="all()"), spec(namespaceSelector="")),
    ("V18", "nodeSelector", spec(nodeSelector="tier = 'gold'"), spec(nodeSelector="tier == 'gold'")),
    (
        "V18",
        "namespaceSelector",
        spec(namespaceSelector="has (a)", allowedUses=["Workload"]),
        spec(namespaceSelector="has( a )", allowedUses=["Workload"]),
    ),
    ("V19", "nodeSelector", spec(nodeSelector="global()"), spec(nodeSelector="has(global)")),
    ("V19", "nodeSelector", spec(nodeSelector="a == 'global('"), spec(nodeSelector="a == 'global ('")),
    ("V20", "nodeSelector", spec(nodeSelector=LONG.replace(")", "b)")), spec(nodeSelector=LONG)),
    ("type", "blockSize", spec(blockSize="26"), spec(blockSize=26)),
    ("type", "blockSize", spec(blockSize=True), spec(blockSize=26)),
    ("type", "disabled", spec(disabled="yes"), spec(disabled=True)),
    ("type", "allowedUses", spec(allowedUses="Workload"), spec(allowedUses=["Workload"])),
    ("type", "allowedUses", spec(allowedUses=[1]), spec(allowedUses=["Tunnel"])),
    ("type", "nodeSelector", spec(nodeSelector=["all()"]), spec(nodeSelector="all()")),
    ("unknown", "blocksize", spec(blocksize=26), spec(ipip={"enabled": True})),
]


@pytest.mark.parametrize(("rule", "field", "refused", "accepted"), ON_ONE_SPEC)
def test_rules_on_one_specification(rule, field, refused, accepted):
    assert (rule, field) in broken(refused)
    assert broken(accepted) == []


@pytest.mark.parametrize(("rule", "field", "refused", "accepted"), ON_ONE_SPEC)
def test_an_update_is_held_to_the_same_rules(rule, field, refused, accepted):
    with pytest.raises(InvalidPool) as caught:
        validate_update("web", accepted, refused)
    assert (rule, field) in [(error.rule, error.field) for error in caught.value.errors]
    validate_update("web", accepted, accepted)


def test_v3_cidr_length_as_stored():
    text = "2001:0db8:0000:0000:0000:0000:0000:0000/000000064"
    assert len(text) == 49
    assert [error.rule for error in validate_schema_rules({"cidr": text})] == ["V3"]
    assert validate_schema_rules({"cidr": text.replace("/0", "/")}) == ()
    assert broken({"cidr": text}) == []  # the client stores the canonical, shorter text
    assert broken({"cidr": "x" * 49}) == [("V3", "cidr"), ("V2", "cidr")]


def test_number_of_uses():
    assert ("V12", "allowedUses") in broken(spec(allowedUses=[f"Use{index}" for index in range(11)]))


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("web", True),
        ("default-ipv4-ippool", True),
        ("10.0.0.0-16", True),
        ("a" * 253, True),
        ("a" * 254, False),
        ("Web", False),
        ("web_1", False),
        ("-web", False),
        ("web.", False),
        ("web..b", False),
        ("web.-b", False),
        ("web\n", False),
        ("", False),
        (None, False),
    ],
)
def test_v26_names(name, good):
    assert broken(spec(), name=name) == ([] if good else [("V26", "metadata.name")])


@pytest.mark.parametrize(
    ("metadata", "blamed"),
    [
        ({"labels": {"team": "core", "example.com/team": "", "a.b": "x_y.z-1"}}, None),
        ({"labels": {"Example.com/team": "core"}}, "metadata.labels"),
        ({"labels": {"/team": "core"}}, "metadata.labels"),
        ({"labels": {"-team": "core"}}, "metadata.labels"),
        ({"labels": {"t" * 64: "core"}}, "metadata.labels"),
        ({"labels": {"team": "c" * 64}}, "metadata.labels"),
        ({"labels": {"team": "core team"}}, "metadata.labels"),
        ({"labels": {"team": 1}}, "metadata.labels"),
        ({"annotations": {"Example.com/Note": "any text at all\n"}}, None),
        ({"annotations": {"no te": "x"}}, "metadata.annotations"),
        ({"annotations": {"note": 5}}, "metadata.annotations"),
        ({"annotations": {"note": "x" * (256 * 1024 - 4)}}, None),
        ({"annotations": {"note": "x" * (256 * 1024)}}, "metadata.annotations"),
    ],
)
def test_v27_labels_and_annotations(metadata, blamed):
    assert broken(spec(), metadata=metadata) == ([] if blamed is None else [("V27", blamed)])


def test_v28_bookkeeping():
    assert broken(spec(), metadata={"resourceVersion": "5"}) == [("V28", "metadata.resourceVersion")]
    whole = {"resourceVersion": "5", "uid": "b1c5", "creationTimestamp": "2026-08-20T09:14:05Z"}
    validate_update("web", spec(), spec(), metadata=whole)
    for field in whole:
        with pytest.raises(InvalidPool) as caught:
            validate_update("web", spec(), spec(), metadata={**whole, field: None})
        assert [(error.rule, error.field) for error in caught.value.errors] == [("V28", f"metadata.{field}")]


def test_v24_overlap_with_other_pools():
    others = [
        pool_from_spec("p", {"cidr": "172.22.0.0/16", "disabled": True}),
        pool_from_spec("six", {"cidr": "fd77::/48"}),
    ]
    for cidr in ("172.22.4.0/22", "172.22.0.0/16", "172.16.0.0/12", "fd77:0:0:5::/64"):
        assert broken({"cidr": cidr}, name="q", other_pools=others) == [("V24", "cidr")]
        assert broken({"cidr": cidr, "disabled": True}, name="q", other_pools=others) == [("V24", "cidr")]
    assert broken({"cidr": "172.23.0.0/16"}, name="q", other_pools=others) == []
    with pytest.raises(InvalidPool, match=r"172\.22\.0\.0/16 of the disabled pool 'p'"):
        validate_create("q", {"cidr": "172.22.4.0/22"}, others)


def test_v24_stored_host_bits_are_masked():
    others = [pool_from_spec("p", {"cidr": "172.22.0.9/16"})]
    assert broken({"cidr": "172.22.200.0/24"}, name="q", other_pools=others) == [("V24", "cidr")]


def test_v25_blocks_of_another_size():
    blocks = [parse_network("172.22.4.64/26")]
    for size in (24, 27):
        assert broken(spec(blockSize=size), blocks=blocks) == [("V25", "blockSize")]
        assert broken(spec(blockSize=size, disabled=True), blocks=blocks) == [("V25", "blockSize")]
    assert broken(spec(blockSize=26), blocks=blocks) == []
    assert broken(spec(), blocks=blocks) == []
    assert broken({"cidr": "172.23.0.0/16", "blockSize": 27}, blocks=blocks) == []
    # A block that covers the whole new pool clashes too.
    assert broken({"cidr": "172.22.4.64/28", "blockSize": 28}, blocks=blocks) == [("V25", "blockSize")]


def test_v29_the_name_is_taken_said_only_when_all_else_is_right():
    others = [pool_from_spec("web", {"cidr": "10.0.0.0/16"})]
    assert broken(spec(), other_pools=others) == [("V29", "metadata.name")]
    assert broken(spec(blockSize=19), other_pools=others) == [("V7", "blockSize")]


# What is stored, what is sent, the rules it breaks: spec ippool.md §3.1 and §4.4.
UPDATES = [
    (spec(), {"cidr": "172.23.0.0/16"}, ["V21"]),
    (spec(), {"cidr": "172.22.0.0/17"}, ["V21"]),
    ({"cidr": "FD77:0:0:0::/64"}, {"cidr": "fd77::/64"}, []),
    ({"cidr": "172.22.0.9/16"}, {"cidr": "172.22.0.0/16"}, []),
    ({"cidr": "no cidr"}, spec(), ["V21"]),
    (spec(blockSize=28), spec(disabled=True), ["V22"]),
    (spec(blockSize=28), spec(blockSize=28, disabled=True), []),
    (spec(blockSize=28), spec(blockSize=27), ["V22"]),
    (spec(blockSize=26), spec(), []),
    (spec(), spec(blockSize=26), []),
    (spec(), spec(blockSize=0), []),
    ({"cidr": "fd77::/64"}, {"cidr": "fd77::/64", "blockSize": 122}, []),
    ({"cidr": "fd77::/64"}, {"cidr": "fd77::/64", "blockSize": 124}, ["V22"]),
    (spec(blockSize=28), spec(blockSize=33), ["V7", "V22"]),
    (lb(), spec(allowedUses=[]), ["V23"]),
    (lb(), spec(), ["V23"]),
    (lb(), spec(allowedUses=["Workload"]), ["V23"]),
    (lb(), lb(natOutgoing=True), []),
    (spec(), lb(), []),
    (spec(ipipMode="Always"), lb(ipipMode="Always"), ["V14"]),
    ({"cidr": "172.22.9.0/28", "blockSize": 26, "disabled": True}, {"cidr": "172.22.9.0/28", "blockSize": 26}, ["V8"]),
    (spec(), spec(natOutgoing=True, vxlanMode="Always", nodeSelector="has(a)", assignmentMode="Manual"), []),
]


@pytest.mark.parametrize(("stored", "sent", "rules"), UPDATES)
def test_updates(stored, sent, rules):
    if not rules:
        validate_update("web", stored, sent)
        return
    with pytest.raises(InvalidPool) as caught:
        validate_update("web", stored, sent)
    assert [error.rule for error in caught.value.errors] == rules


def test_immutable_fields_say_which_role_does_it():
    with pytest.raises(InvalidPool) as caught:
        validate_update("web", spec(blockSize=26), spec(blockSize=28))
    assert caught.value.message == (
        "spec.blockSize 28 of pool 'web' cannot be changed from 26 in place: "
        "the role calico_ops.ipam.change_block_size does it instead."
    )
    with pytest.raises(InvalidPool) as caught:
        validate_update("web", spec(), {"cidr": "10.0.0.0/16"})
    assert caught.value.message == (
        "spec.cidr '10.0.0.0/16' of pool 'web' cannot be changed from 172.22.0.0/16 in place: "
        "the role calico_ops.ipam.migrate_pool moves everything into a new pool instead."
    )


# The sentences themselves: what, where, what would be right.
SENTENCES = [
    (spec(blockSize=19), "spec.blockSize 19 of pool 'web' is out of range: an IPv4 pool takes 20 to 32."),
    (
        {"cidr": "172.22.9.0/28"},
        "spec.cidr '172.22.9.0/28' of pool 'web' is smaller than one block of /26: "
        "give a larger CIDR, or a blockSize of 28 to 32, or create it disabled.",
    ),
    (
        {"cidr": "fd77::/64", "ipipMode": "Always"},
        "spec.ipipMode 'Always' of pool 'web' is not possible on an IPv6 pool: use 'Never', or vxlanMode.",
    ),
    (
        spec(nodeSelector='tier = "gold"'),
        "spec.nodeSelector 'tier = \"gold\"' of pool 'web' does not parse at position 5: found '=', "
        "expected ==, !=, contains, starts with, ends with, in or not in.",
    ),
    ({}, "spec.cidr of pool 'web' is missing: a pool needs a CIDR such as 192.0.2.0/24 or 2001:db8::/64."),
    (
        {"cidr": "172.22.0.9/16"},
        "spec.cidr '172.22.0.9/16' of pool 'web' has host bits set: "
        "the network that holds this address is 172.22.0.0/16.",
    ),
    (
        {"cidr": "172.22.0.0"},
        "spec.cidr '172.22.0.0' of pool 'web' has no prefix length: give a CIDR such as 192.0.2.0/24 or 2001:db8::/64.",
    ),
    (spec(block_size=26), "spec.block_size of pool 'web' is not a field of an IPPool: did you mean blockSize?"),
    (spec(natOutgoing="yes"), "spec.natOutgoing 'yes' of pool 'web' must be true or false."),
]


@pytest.mark.parametrize(("refused", "sentence"), SENTENCES)
def test_sentences(refused, sentence):
    with pytest.raises(InvalidPool) as caught:
        validate_create("web", refused)
    assert caught.value.message == sentence
    assert caught.value.field == caught.value.errors[0].field


def test_all_errors_at_once():
    assert broken(spec(blockSize=19, ipipMode="always", nodeSelector="tier")) == [
        ("V7", "blockSize"),
        ("V11", "ipipMode"),
        ("V18", "nodeSelector"),
    ]


# The rules the API server checks by itself (marked K), with the CRDs of v3.33: spec ippool.md §3.1 and §3.3.
SCHEMA = [
    ({}, None, ["V1"]),
    ({"cidr": "172.22.0.9/16"}, None, ["V4"]),
    (spec(nodeSelector="no selector"), None, []),
    (spec(nodeSelector="global()"), None, ["V19"]),
    (spec(namespaceSelector="has(tenant)"), None, []),
    (spec(namespaceSelector="has(tenant)", allowedUses=["Tunnel"]), None, ["V17"]),
    (spec(ipipMode=""), None, ["V11"]),
    (spec(ipipMode="Always", vxlanMode="Always"), None, ["V9"]),
    (spec(blockSize=19), None, ["V7"]),
    (spec(blockSize=0), None, []),
    ({"cidr": "172.22.9.0/28"}, None, ["V8"]),
    ({"cidr": "172.22.9.0/28", "disabled": True}, None, []),
    (lb(), spec(), []),
    (spec(allowedUses=["Workload"]), lb(), []),
    (lb(nodeSelector="has(a)", disableBGPExport=True, vxlanMode="Always"), None, ["V14", "V15", "V16"]),
    ({"cidr": "fd77::/64"}, {"cidr": "FD77::/64"}, ["V21"]),
    (spec(blockSize=26), spec(blockSize=28), ["V22"]),
    (spec(), spec(blockSize=28), []),
    (spec(blockSize=0), spec(blockSize=26), ["V22"]),
    ({"cidr": "169.254.0.0/16"}, None, ["V5"]),
]


@pytest.mark.parametrize(("sent", "stored", "rules"), SCHEMA)
def test_schema_rules(sent, stored, rules):
    assert [error.rule for error in validate_schema_rules(sent, stored)] == rules
    assert all(error.message.endswith(".") for error in validate_schema_rules(sent, stored, name="web"))


# spec ippool.md §4.4, the rows that create; those that update are in UPDATES.
def test_worked_examples_of_creating():
    validate_create("p", {"cidr": "172.22.0.0/16"})
    validate_create("p", {"cidr": "fd77:5::/48", "vxlanMode": "Always"})
    assert broken({"cidr": "172.22.9.0/28"}) == [("V8", "cidr")]
    assert broken({"cidr": CIDR, "namespaceSelector": "has(tenant)"}) == [("V17", "namespaceSelector")]
    p = pool_from_spec("p", {"cidr": CIDR, "disabled": True})
    assert broken({"cidr": "172.22.4.0/22"}, name="q", other_pools=[p]) == [("V24", "cidr")]
    # calicoctl apply creates first, so an edit of one of two overlapping pools fails; an update does not.
    q = pool_from_spec("q", {"cidr": "172.22.4.0/22"})
    assert broken({"cidr": CIDR}, name="p", other_pools=[p, q]) == [("V24", "cidr")]
    validate_update("p", {"cidr": CIDR}, {"cidr": CIDR}, metadata=None)


@pytest.mark.parametrize("thing", [None, 5, True, [], {}, "", "x", -1, 10**30, ["x"], {"a": 1}])
@pytest.mark.parametrize("field", [*default_spec({"cidr": CIDR}), "namespaceSelector", "disabled", "natOutgoing"])
def test_any_value_in_any_field_is_taken_or_refused_in_words(field, thing):
    broken(spec(**{field: thing}))
    validate_schema_rules(spec(**{field: thing}), spec())
    try:
        validate_update("web", spec(), spec(**{field: thing}))
        validate_update("web", spec(**{field: thing}), spec())
    except InvalidPool as error:
        assert error.message.endswith(".")
