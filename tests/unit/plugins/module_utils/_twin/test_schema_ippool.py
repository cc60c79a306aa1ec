# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every rule of spec ippool.md §3.1 that Calico's definitions carry (who: K), accepted and refused, and §3.3."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.schema import SchemaRegistry
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault


def registry_of(version):
    registry = SchemaRegistry()
    kinds = {}
    for crd in calico_crds(version):
        for kind in registry.install(crd):
            kinds[kind.resource.kind] = kind
    return registry, kinds


REGISTRIES = {version: registry_of(version) for version in ("v1", "v3")}


@pytest.fixture(params=["v1", "v3"])
def served(request):
    return REGISTRIES[request.param]


def obj(kind, spec=None, **metadata):
    made = {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, "metadata": {"name": "p", **metadata}}
    if spec is not None:
        made["spec"] = spec
    return made


def admit(served, spec, old=None, kind="IPPool", **options):
    registry, kinds = served
    before = None if old is None else obj(kinds[kind], old)
    return registry.admit(kinds[kind], obj(kinds[kind], spec), before, **options)


def refusal(served, spec, old=None, kind="IPPool", **options):
    with pytest.raises(Fault) as caught:
        admit(served, spec, old, kind, **options)
    return caught.value


V4, V6 = "172.22.0.0/16", "fd77:5::/48"
LB = {"cidr": V4, "allowedUses": ["LoadBalancer"]}

ACCEPTED = {
    "V2 a network": {"cidr": V4},
    "V2 an IPv6 network": {"cidr": V6},
    "V2 upper case and uncompressed": {"cidr": "FD77:0:0:0::/64"},
    "V2 half of all addresses": {"cidr": "0.0.0.0/1"},
    "V3 as long as an address gets": {"cidr": "fd77:0555:0000:0000:0000:0000:0000:0000/64"},
    "V4 no host bits": {"cidr": "172.22.0.128/26"},
    "V5 beside the IPv4 link local range": {"cidr": "169.253.0.0/16"},
    "V6 beside the IPv6 link local range": {"cidr": "fd00::/10", "blockSize": 122},
    "V7 smallest IPv4 block size": {"cidr": V4, "blockSize": 20},
    "V7 largest IPv4 block size": {"cidr": V4, "blockSize": 32},
    "V7 zero means default": {"cidr": V4, "blockSize": 0},
    "V7 smallest IPv6 block size": {"cidr": V6, "blockSize": 116},
    "V7 largest IPv6 block size": {"cidr": V6, "blockSize": 128},
    "V8 exactly one block": {"cidr": "172.22.9.0/26"},
    "V8 exactly one block of its own size": {"cidr": "172.22.9.0/28", "blockSize": 28},
    "V8 too small but disabled": {"cidr": "172.22.9.0/28", "disabled": True},
    "V9 one encapsulation": {"cidr": V4, "ipipMode": "Always", "vxlanMode": "Never"},
    "V9 the other": {"cidr": V4, "vxlanMode": "CrossSubnet"},
    "V10 IPv6 without IPIP": {"cidr": V6, "ipipMode": "Never", "vxlanMode": "Always"},
    "V11 every mode": {"cidr": V4, "ipipMode": "CrossSubnet", "assignmentMode": "Manual"},
    "V12 both uses": {"cidr": V4, "allowedUses": ["Workload", "Tunnel"]},
    "V12 none": {"cidr": V4, "allowedUses": []},
    "V13 load balancers alone": LB,
    "V14 load balancers without encapsulation": {**LB, "ipipMode": "Never", "vxlanMode": "Never"},
    "V15 load balancers exported": {**LB, "disableBGPExport": False},
    "V15 others need not be": {"cidr": V4, "disableBGPExport": True},
    "V16 load balancers everywhere": {**LB, "nodeSelector": "all()"},
    "V17 a namespace selector for workloads": {"cidr": V4, "allowedUses": ["Workload"], "namespaceSelector": "has(t)"},
    "V17 and without uses, as stored": {"cidr": V4, "namespaceSelector": "has(t)"},
    "V17 tunnels with an empty one": {"cidr": V4, "allowedUses": ["Tunnel"], "namespaceSelector": ""},
    "V18 selectors are not parsed": {"cidr": V4, "nodeSelector": "((", "namespaceSelector": "x ==="},
    "V19 the word without a bracket": {"cidr": V4, "nodeSelector": "has(global)"},
    "V20 a long selector": {"cidr": V4, "nodeSelector": "a" * 1024},
}

REFUSED = {
    "V1 no cidr": ({}, "spec.cidr", "FieldValueRequired", "Required value"),
    "V2 empty": ({"cidr": ""}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 an address": ({"cidr": "172.22.0.1"}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 a zone": ({"cidr": "fe90::1%eth0/64"}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 spaces": ({"cidr": " 172.22.0.0/16"}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 IPv4 prefix": ({"cidr": "172.22.0.0/33"}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 IPv6 prefix": ({"cidr": "fd77::/129"}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 octet": ({"cidr": "172.256.0.0/16"}, "spec.cidr", "FieldValueTypeInvalid", "must be of type cidr"),
    "V2 leading zero in the prefix": ({"cidr": "172.16.0.0/012"}, "spec", "FieldValueInvalid", "bad bits after slash"),
    "V2 leading zero and host bits": ({"cidr": "172.22.0.0/07"}, "spec", "FieldValueInvalid", "bad bits after slash"),
    "V2 leading zero in an octet": ({"cidr": "172.022.0.0/16"}, "spec", "FieldValueInvalid", "ParsePrefix"),
    "V2 IPv4-mapped": ({"cidr": "::ffff:172.22.0.0/112"}, "spec", "FieldValueInvalid", "IPv4-mapped"),
    "V2 a number": ({"cidr": 17}, "spec.cidr", "FieldValueTypeInvalid", 'must be of type string: "integer"'),
    "V3 too long": (
        {"cidr": "fd77:0555:0000:0000:0000:0000:0000:0000:0000:0000/64"},
        "spec.cidr",
        "FieldValueTooLong",
        "Too long: may not be more than 48 bytes",
    ),
    "V4 host bits": ({"cidr": "172.22.0.9/16"}, "spec", "FieldValueInvalid", "strictly masked"),
    "V4 IPv6 host bits": ({"cidr": "fd77::1/64"}, "spec", "FieldValueInvalid", "strictly masked"),
    "V5 inside": ({"cidr": "169.254.4.0/24"}, "spec", "FieldValueInvalid", "IPv4 link local"),
    "V5 around": ({"cidr": "160.0.0.0/4"}, "spec", "FieldValueInvalid", "IPv4 link local"),
    "V6 inside": ({"cidr": "fe80:1::/64"}, "spec", "FieldValueInvalid", "IPv6 link local"),
    "V6 around": ({"cidr": "fe00::/8"}, "spec", "FieldValueInvalid", "IPv6 link local"),
    "V7 IPv4 below": ({"cidr": V4, "blockSize": 19}, "spec", "FieldValueInvalid", "blockSize must be between"),
    "V7 IPv4 above": ({"cidr": V4, "blockSize": 33}, "spec", "FieldValueInvalid", "blockSize must be between"),
    "V7 IPv6 below": ({"cidr": V6, "blockSize": 115}, "spec", "FieldValueInvalid", "blockSize must be between"),
    "V7 negative": ({"cidr": V4, "blockSize": -1}, "spec.blockSize", "FieldValueInvalid", "greater than or equal to 0"),
    "V7 over the bound": (
        {"cidr": V6, "blockSize": 129},
        "spec.blockSize",
        "FieldValueInvalid",
        "less than or equal to 128",
    ),
    "V7 disabled as well": (
        {"cidr": V4, "blockSize": 19, "disabled": True},
        "spec",
        "FieldValueInvalid",
        "must be between",
    ),
    "V8 smaller than a block": ({"cidr": "172.22.9.0/28"}, "spec", "FieldValueInvalid", "too small"),
    "V8 IPv6": ({"cidr": "fd77::/124"}, "spec", "FieldValueInvalid", "too small"),
    "V9 both": (
        {"cidr": V4, "ipipMode": "Always", "vxlanMode": "Always"},
        "spec",
        "FieldValueForbidden",
        "cannot both be enabled",
    ),
    "V10 IPIP on IPv6": ({"cidr": V6, "ipipMode": "Always"}, "spec", "FieldValueForbidden", "not supported on IPv6"),
    "V11 case": ({"cidr": V4, "ipipMode": "always"}, "spec.ipipMode", "FieldValueNotSupported", '"Never", "Always"'),
    "V11 empty": ({"cidr": V4, "vxlanMode": ""}, "spec.vxlanMode", "FieldValueNotSupported", 'Unsupported value: ""'),
    "V11 assignment": ({"cidr": V4, "assignmentMode": ""}, "spec.assignmentMode", "FieldValueNotSupported", "Manual"),
    "V12 unknown": ({"cidr": V4, "allowedUses": ["Pods"]}, "spec.allowedUses[0]", "FieldValueNotSupported", "Tunnel"),
    "V12 twice": (
        {"cidr": V4, "allowedUses": ["Tunnel", "Tunnel"]},
        "spec.allowedUses[1]",
        "FieldValueDuplicate",
        'Duplicate value: "Tunnel"',
    ),
    "V12 too many": (
        {"cidr": V4, "allowedUses": ["Tunnel"] * 11},
        "spec.allowedUses",
        "FieldValueTooMany",
        "at most 10",
    ),
    "V13 combined": (
        {"cidr": V4, "allowedUses": ["LoadBalancer", "Workload"]},
        "spec",
        "FieldValueForbidden",
        "cannot be combined with",
    ),
    "V14 encapsulated": ({**LB, "vxlanMode": "Always"}, "spec", "FieldValueForbidden", "cannot have IPIP or VXLAN"),
    "V15 not exported": ({**LB, "disableBGPExport": True}, "spec", "FieldValueForbidden", "cannot disable BGP export"),
    "V16 some nodes": ({**LB, "nodeSelector": "all( )"}, "spec", "FieldValueInvalid", "must have nodeSelector"),
    "V17 tunnels": (
        {"cidr": V4, "allowedUses": ["Workload", "Tunnel"], "namespaceSelector": "all()"},
        "spec",
        "FieldValueForbidden",
        "cannot have namespaceSelector",
    ),
    "V19 nodes": ({"cidr": V4, "nodeSelector": "a == 'global('"}, "spec", "FieldValueInvalid", "global() selector"),
    "V19 namespaces": ({"cidr": V4, "namespaceSelector": "global()"}, "spec", "FieldValueInvalid", "global() selector"),
    "V20 nodes": ({"cidr": V4, "nodeSelector": "a" * 1025}, "spec.nodeSelector", "FieldValueTooLong", "1024"),
    "V20 namespaces": (
        {"cidr": V4, "namespaceSelector": "a" * 1025},
        "spec.namespaceSelector",
        "FieldValueTooLong",
        "1024",
    ),
}


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted_on_create(served, spec):
    given = copy.deepcopy(spec)
    stored, warnings = admit(served, spec)
    assert warnings == []
    assert spec == given
    for key, value in spec.items():
        assert stored["spec"][key] == value


@pytest.mark.parametrize(("spec", "field", "reason", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_on_create(served, spec, field, reason, text):
    fault = refusal(served, spec)
    assert fault.code == 422
    causes = fault.body["details"]["causes"]
    assert (causes[0]["field"], causes[0]["reason"]) == (field, reason)
    assert any(text in cause["message"] for cause in causes)
    assert fault.body["details"]["kind"] == "IPPool"


def test_every_rule_of_the_manifest_is_in_the_tables(served):
    registry, kinds = served
    spec = registry.node(kinds["IPPool"]).properties["spec"]
    messages = {rule.message for rule in spec.rules}
    seen = set()
    for given, _field, _reason, _text in REFUSED.values():
        for cause in refusal(served, given).body["details"]["causes"]:
            seen.update(message for message in messages if cause["message"].endswith(": " + message))
    assert len(messages) == 14
    assert seen == messages


@pytest.mark.parametrize(
    ("spec", "blocked"),
    [
        ({"cidr": V4, "ipipMode": "x"}, True),
        ({}, True),
        ({"cidr": 5}, True),
        ({"cidr": V4, "nodeSelector": "a" * 1025}, True),
        ({"cidr": V4, "allowedUses": ["Tunnel"] * 11}, True),
        ({"cidr": V4, "blockSize": 200}, False),
        ({"cidr": V4, "allowedUses": ["Tunnel", "Tunnel"]}, False),
        ({"cidr": "10.0.0.1/8"}, False),
    ],
)
def test_schema_errors_suppress_the_rules_and_say_so(served, spec, blocked):
    causes = refusal(served, spec).body["details"]["causes"]
    last = causes[-1]
    assert (last["field"] == "<nil>") is blocked
    if blocked:
        assert last == {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: null: some validation rules were not checked because the object was invalid; "
            "correct the existing errors to complete validation",
            "field": "<nil>",
        }


def test_several_broken_rules_are_several_causes(served):
    fault = refusal(served, {"cidr": "172.22.9.1/28", "ipipMode": "Always", "vxlanMode": "Always"})
    assert len(fault.body["details"]["causes"]) == 3
    assert fault.message.count("spec: ") == 3


# ---- updates: V21, V22, and what a direct write gets past (§3.3)

POOL = {"cidr": V4, "blockSize": 26, "nodeSelector": "all()", "assignmentMode": "Automatic"}


def test_an_immutable_cidr(served):
    fault = refusal(served, {**POOL, "cidr": "172.23.0.0/16"}, POOL)
    assert fault.body["details"]["causes"] == [
        {
            "reason": "FieldValueInvalid",
            "message": 'Invalid value: "172.23.0.0/16": CIDR cannot be changed; follow IP pool migration guide to '
            "avoid corruption.",
            "field": "spec.cidr",
        }
    ]


def test_the_cidr_is_compared_as_text(served):
    fault = refusal(served, {"cidr": "fd77:5::/48", "blockSize": 122}, {"cidr": "FD77:5::/48", "blockSize": 122})
    assert "CIDR cannot be changed" in fault.message


@pytest.mark.parametrize(
    ("new", "old", "good"),
    [
        pytest.param({**POOL, "blockSize": 27}, POOL, False, id="another value"),
        pytest.param({**POOL, "blockSize": 0}, POOL, False, id="explicit zero is a change of text"),
        pytest.param({**POOL, "blockSize": None}, POOL, True, id="null removes it"),
        pytest.param({"cidr": V4}, POOL, True, id="left out of a PUT"),
        pytest.param({"cidr": V4, "blockSize": 28}, {"cidr": V4}, True, id="added later"),
        pytest.param({**POOL, "disabled": True}, POOL, True, id="unchanged"),
    ],
)
def test_the_block_size_only_counts_when_both_sides_have_it(served, new, old, good):
    if good:
        stored, _warnings = admit(served, new, old)
        assert stored["spec"].get("blockSize") == new.get("blockSize")
    else:
        assert "Block size cannot be changed" in refusal(served, new, old).message


def test_load_balancer_to_workload_is_ignored(served):
    admit(served, {**POOL, "allowedUses": ["Workload"]}, {**POOL, "allowedUses": ["LoadBalancer"]})


def test_enabling_a_pool_that_is_too_small(served):
    small = {"cidr": "172.22.9.0/28", "blockSize": 26}
    fault = refusal(served, {**small, "disabled": False}, {**small, "disabled": True})
    assert "too small" in fault.message


def test_a_pool_without_spec(served):
    registry, kinds = served
    kind = kinds["IPPool"]
    if kind.resource.version == "v1":
        registry.admit(kind, obj(kind), None)
        registry.admit(kind, obj(kind), obj(kind, POOL))
    else:
        with pytest.raises(Fault) as caught:
            registry.admit(kind, obj(kind), None)
        assert caught.value.body["details"]["causes"][0]["field"] == "spec"


# ---- objects stored before a rule existed

LEGACY = {
    "cidr": V4,
    "ipipMode": "Always",
    "vxlanMode": "Always",
    "nodeSelector": "all()",
    "assignmentMode": "Automatic",
}


def relabelled(served, spec):
    registry, kinds = served
    kind = kinds["IPPool"]
    return registry.admit(kind, obj(kind, spec, labels={"a": "b"}), obj(kind, spec))


def test_an_unchanged_violation_is_tolerated_when_only_metadata_changes(served):
    stored, _warnings = relabelled(served, LEGACY)
    assert stored["metadata"]["labels"] == {"a": "b"}


def test_but_any_change_in_the_spec_runs_every_rule_again(served):
    assert "cannot both be enabled" in refusal(served, {**LEGACY, "disabled": True}, LEGACY).message
    admit(served, {**LEGACY, "disabled": True, "ipipMode": "Never"}, LEGACY)


def test_an_unchanged_bad_enum_is_tolerated(served):
    old = {**POOL, "vxlanMode": "Sometimes"}
    admit(served, {**old, "disabled": True}, old)
    assert "vxlanMode" in refusal(served, {**old, "vxlanMode": "Never again"}, old).message


def test_host_bits_cannot_be_repaired(served):
    old = {"cidr": "172.22.0.9/16", "nodeSelector": "all()", "assignmentMode": "Automatic"}
    relabelled(served, old)
    assert "strictly masked" in refusal(served, {**old, "disabled": True}, old).message
    assert "CIDR cannot be changed" in refusal(served, {**old, "cidr": "172.22.0.0/16"}, old).message


def test_a_cidr_that_does_not_parse_blocks_even_label_changes(served):
    registry, kinds = served
    kind = kinds["IPPool"]
    old = {"cidr": "nonsense", "nodeSelector": "all()", "assignmentMode": "Automatic"}
    with pytest.raises(Fault) as caught:
        registry.admit(kind, obj(kind, old, labels={"a": "b"}), obj(kind, old))
    assert "evaluating rule" in caught.value.message


# ---- defaults, pruning


def test_defaults_on_write_and_on_read(served):
    registry, kinds = served
    stored, _warnings = admit(served, {"cidr": V4, "nodeSelector": None})
    assert stored["spec"] == {"cidr": V4, "nodeSelector": "all()", "assignmentMode": "Automatic"}
    assert admit(served, {"cidr": V4, "nodeSelector": ""})[0]["spec"]["nodeSelector"] == ""
    old = obj(kinds["IPPool"], {"cidr": V4, "ipip": {"enabled": True}, "nat-outgoing": True})
    read = registry.read(kinds["IPPool"], old)
    assert read["spec"] == {"cidr": V4, "nodeSelector": "all()", "assignmentMode": "Automatic"}
    assert "ipip" in old["spec"]
    assert registry.read(kinds["IPPool"], read) is read


def test_unknown_fields(served):
    spec = {"cidr": V4, "blocksize": 27}
    stored, warnings = admit(served, spec)
    assert "blocksize" not in stored["spec"]
    assert warnings == ['unknown field "spec.blocksize"']
    assert admit(served, spec, field_validation="Ignore")[1] == []
    fault = refusal(served, spec, field_validation="Strict")
    assert fault.code == 400
    assert fault.message.endswith('strict decoding error: unknown field "spec.blocksize"')


def test_status_is_checked_by_itself(served):
    registry, kinds = served
    kind = kinds["IPPool"]
    old = obj(kind, {"cidr": "nonsense"})
    condition = {"type": "Allocatable", "status": "True", "reason": "OK", "message": ""}
    good = {**old, "status": {"conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}
    assert registry.admit(kind, good, old, subresource="status")[0]["status"] == good["status"]
    bad = {**old, "status": {"conditions": [condition, {**condition, "status": "Maybe"}]}}
    with pytest.raises(Fault) as caught:
        registry.admit(kind, bad, old, subresource="status")
    fields = {cause["field"] for cause in caught.value.body["details"]["causes"]}
    assert "status.conditions[0].lastTransitionTime" in fields
    assert "status.conditions[1].status" in fields
    assert "status.conditions[1]" in fields


# ---- related kinds (§3.5)


@pytest.mark.parametrize(
    ("kind", "spec", "text"),
    [
        ("IPReservation", {"reservedCIDRs": ["10.0.0.0/24", "10.0.1.1/32"]}, None),
        ("IPReservation", {"reservedCIDRs": ["10.0.0.9/24"]}, None),
        ("IPReservation", {"reservedCIDRs": ["10.0.0.1"]}, "spec.reservedCIDRs[0] in body must be of type cidr"),
        ("IPReservation", {"reservedCIDRs": ["10.0.0.0/24", "10.0.0.0/24"]}, "Duplicate value"),
        ("IPAMBlock", {"cidr": "10.0.0.0/26"}, "spec.allocations: Required value"),
        (
            "IPAMBlock",
            {
                "cidr": "10.0.0.0/30",
                "allocations": [0, None, None, "x"],
                "attributes": [],
                "strictAffinity": False,
                "unallocated": [],
            },
            "spec.allocations[3]",
        ),
        (
            "IPAMBlock",
            {
                "cidr": "10.0.0.0/30",
                "allocations": [None],
                "attributes": [],
                "strictAffinity": False,
                "unallocated": [None],
            },
            "spec.unallocated[0]",
        ),
    ],
)
def test_related_kinds(served, kind, spec, text):
    if text is None:
        admit(served, spec, kind=kind)
    else:
        assert text in refusal(served, spec, kind=kind).message


def test_the_settings():
    served = REGISTRIES["v1"]
    good = {"strictAffinity": False, "autoAllocateBlocks": True}
    admit(served, good, kind="IPAMConfig")
    assert "maxBlocksPerHost" in refusal(served, {**good, "maxBlocksPerHost": -1}, kind="IPAMConfig").message
    assert "ipCooldownSeconds" in refusal(served, {**good, "ipCooldownSeconds": 1201}, kind="IPAMConfig").message
    assert "Enabled" in refusal(served, {**good, "kubeVirtVMAddressPersistence": "yes"}, kind="IPAMConfig").message


def test_a_block_has_its_sequence_number_and_keeps_its_nulls(served):
    spec = {
        "cidr": "10.0.0.0/30",
        "allocations": [0, None],
        "attributes": [{}],
        "strictAffinity": False,
        "unallocated": [1],
    }
    stored, _warnings = admit(served, spec, kind="IPAMBlock")
    assert stored["spec"]["sequenceNumber"] == 0
    assert stored["spec"]["allocations"] == [0, None]
