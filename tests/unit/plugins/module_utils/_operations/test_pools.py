# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision what to write for a pool; the writing itself is tested with the module, on the twin."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, InvalidPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_decision import decide
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_request import (
    PoolRequest,
    definition_parts,
    pool_request,
)


def stored(name="default-ipv4-ippool", *, labels=None, **spec):
    spec = {"cidr": "192.168.0.0/16", "blockSize": 26, "ipipMode": "Always", "natOutgoing": True, **spec}
    metadata = {"name": name, "uid": "u1", "resourceVersion": "7"}
    if labels:
        metadata["labels"] = labels
    return StoredPool(name, {"metadata": metadata, "spec": spec})


def no_blocks():
    return []


def decided(request, *pools, blocks=()):
    return decide(request, pools, lambda: [parse_network(block) for block in blocks])


# create


def test_a_new_pool_is_written_as_calico_would():
    write = decided(PoolRequest("new", {"cidr": "10.0.0.0/16", "natOutgoing": False}, labels={"a": "b"}))
    assert write.create == {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": "new", "labels": {"a": "b"}},
        "spec": {
            "cidr": "10.0.0.0/16",
            "blockSize": 26,
            "ipipMode": "Never",
            "vxlanMode": "Never",
            "nodeSelector": "all()",
            "allowedUses": ["Workload", "Tunnel"],
            "assignmentMode": "Automatic",
        },
    }
    assert write.pool["spec"]["natOutgoing"] is False
    assert [step.action for step in write.plan.steps] == ["create"]


def test_a_cidr_is_stored_in_its_canonical_form():
    assert decided(PoolRequest("new", {"cidr": "FD77:0:0:0::/64"})).create["spec"]["cidr"] == "fd77::/64"


def test_a_definition_gives_the_fields_and_the_options_win():
    definition = {
        "metadata": {"name": "default-ipv4-ippool", "labels": {"team": "red"}, "resourceVersion": "3", "uid": "x"},
        "spec": {"cidr": "192.168.0.0/16", "blockSize": 26, "ipipMode": "Always", "natOutgoing": True},
    }
    write = decided(PoolRequest("default-ipv4-ippool", {"blockSize": 28, "disabled": False}, definition=definition))
    assert write.create["metadata"] == {"name": "default-ipv4-ippool", "labels": {"team": "red"}}
    assert write.create["spec"]["blockSize"] == 28
    assert write.create["spec"]["ipipMode"] == "Always"
    assert "disabled" not in write.create["spec"]


def test_an_explicit_null_takes_a_label_of_the_definition_away():
    definition = {"spec": {"cidr": "10.0.0.0/16"}, "labels": {"a": "b", "c": "d"}}
    write = decided(PoolRequest("new", definition=definition, labels={"a": None}))
    assert write.create["metadata"]["labels"] == {"c": "d"}


@pytest.mark.parametrize(
    ("fields", "rule", "words"),
    [
        ({}, "V1", "must be given"),
        ({"cidr": "10.0.0.0/16", "blockSize": 19}, "V7", "20 to 32"),
        ({"cidr": "10.0.0.0/16", "blockSize": 33}, "V7", "20 to 32"),
        ({"cidr": "10.0.0.0/28", "blockSize": 26}, "V8", "smaller than one block"),
        ({"cidr": "192.168.4.0/22"}, "V24", "default-ipv4-ippool"),
        ({"cidr": "172.16.0.0/16", "blockSize": 27}, "V25", "172.16.4.64/26"),
        ({"cidr": "fd00::/64", "ipipMode": "Always"}, "V10", "IPv6"),
        ({"cidr": "10.0.0.0/16", "nodeSelector": 'rack = "7"'}, "V18", "position"),
        ({"cidr": "10.0.0.1/16"}, "V4", "host bits"),
        ({"cidr": "10.0.0.0"}, "V2", "10.0.0.0"),
    ],
)
def test_wrong_input_for_a_new_pool(fields, rule, words):
    with pytest.raises(InvalidInput) as caught:
        decided(PoolRequest("new", fields), stored(), blocks=["172.16.4.64/26"])
    assert caught.value.rule == rule
    assert words in caught.value.message
    assert "\n" not in caught.value.message


# update


def test_nothing_given_nothing_changed():
    write = decided(PoolRequest("default-ipv4-ippool"), stored())
    assert not write.plan.changed
    assert write.patch is None
    assert write.pool["spec"]["disabled"] is False


def test_defaults_of_old_objects_are_no_difference():
    old = StoredPool("p", {"metadata": {"name": "p", "resourceVersion": "1"}, "spec": {"cidr": "10.0.0.0/16"}})
    fields = {
        "cidr": "10.0.0.0/16",
        "blockSize": 26,
        "ipipMode": "Never",
        "disabled": False,
        "nodeSelector": "all()",
        "namespaceSelector": "",
        "allowedUses": ["Tunnel", "Workload"],
    }
    assert not decided(PoolRequest("p", fields), old).plan.changed


def test_only_what_changes_is_sent_with_the_version_that_was_read():
    write = decided(PoolRequest("default-ipv4-ippool", {"disabled": True, "natOutgoing": True}), stored())
    assert write.patch == {"metadata": {"resourceVersion": "7"}, "spec": {"disabled": True}}


def test_uses_in_another_order_are_shown_as_they_stay():
    live = stored(allowedUses=["Workload", "Tunnel"])
    write = decided(PoolRequest(live.name, {"allowedUses": ["Tunnel", "Workload"], "natOutgoing": False}), live)
    assert write.patch["spec"] == {"natOutgoing": False}
    assert write.pool["spec"]["allowedUses"] == ["Workload", "Tunnel"]
    assert write.plan.steps[0].after["spec"]["allowedUses"] == ["Workload", "Tunnel"]


def test_a_use_that_is_stored_twice_is_put_right():
    live = stored(allowedUses=["Workload", "Workload"])
    write = decided(PoolRequest(live.name, {"allowedUses": ["Workload"]}), live)
    assert write.patch["spec"] == {"allowedUses": ["Workload"]}


def test_leftovers_of_old_schemas_are_not_written():
    definition = {"spec": {"cidr": "10.0.0.0/16", "ipip": {"enabled": True}, "nat-outgoing": True}}
    write = decided(PoolRequest("new", definition=definition))
    assert not {"ipip", "nat-outgoing"} & set(write.create["spec"])
    live = stored("old", cidr="10.0.0.0/16", ipip={"enabled": True})
    write = decided(PoolRequest("old", definition={"spec": {**live.spec, "natOutgoing": False}}), live)
    assert write.patch["spec"] == {"natOutgoing": False}


def test_disabling_the_only_pool_warns():
    write = decided(PoolRequest("default-ipv4-ippool", {"disabled": True}), stored())
    assert len(write.plan.warnings) == 1
    assert "Workload" in write.plan.warnings[0]
    other = stored("other", cidr="10.0.0.0/16")
    assert decided(PoolRequest("default-ipv4-ippool", {"disabled": True}), stored(), other).plan.warnings == ()


def test_a_flag_goes_back_to_false():
    write = decided(PoolRequest("default-ipv4-ippool", {"disabled": False}), stored(disabled=True))
    assert write.patch["spec"] == {"disabled": False}


def test_an_empty_namespace_selector_removes_the_field():
    live = stored(namespaceSelector="has(tenant)", allowedUses=["Workload"])
    write = decided(PoolRequest("default-ipv4-ippool", {"namespaceSelector": ""}), live)
    assert write.patch["spec"] == {"namespaceSelector": None}


def test_a_definition_brings_back_what_it_leaves_out():
    definition = {"spec": {"cidr": "192.168.0.0/16", "blockSize": 26}}
    write = decided(PoolRequest("default-ipv4-ippool", definition=definition), stored(disabled=True))
    assert write.patch["spec"] == {"ipipMode": "Never", "natOutgoing": False, "disabled": False}


def test_a_label_alone_needs_no_valid_spec():
    live = stored(vxlanMode="Always")  # both encapsulations: a legacy pool that breaks V9
    write = decided(PoolRequest("default-ipv4-ippool", labels={"a": "b"}), live)
    assert write.patch == {"metadata": {"labels": {"a": "b"}, "resourceVersion": "7"}}


@pytest.mark.parametrize(
    ("fields", "rule", "words"),
    [
        ({"cidr": "192.168.0.0/17"}, "V21", "migrate_pool"),
        ({"blockSize": 28}, "V22", "change_block_size"),
        ({"vxlanMode": "Always"}, "V9", "ipipMode"),
        ({"nodeSelector": "has("}, "V18", "position"),
    ],
)
def test_wrong_input_for_an_existing_pool(fields, rule, words):
    with pytest.raises(InvalidPool) as caught:
        decided(PoolRequest("default-ipv4-ippool", fields), stored())
    assert caught.value.rule == rule
    assert words in caught.value.message
    assert "\n" not in caught.value.message


def test_a_bad_label_is_refused_before_the_write():
    with pytest.raises(InvalidPool) as caught:
        decided(PoolRequest("default-ipv4-ippool", labels={"bad key": "x"}), stored())
    assert caught.value.rule == "V27"


# definitions and requests


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"cidr": "10.0.0.0/16"}, "no spec"),
        ({"kind": "IPAMBlock", "spec": {}}, "an IPPool is needed"),
        ({"spec": {}, "labels": ["a"]}, "a dictionary is needed"),
        ({"spec": {}, "annotations": {"a": {}}}, "text is needed"),
    ],
)
def test_definitions_that_are_none(definition, words):
    with pytest.raises(InvalidInput, match=words):
        definition_parts(definition)


def test_an_unknown_field_of_a_definition_is_named_with_the_right_one():
    request = PoolRequest("new", definition={"spec": {"cidr": "10.0.0.0/16", "blocksize": 28}})
    with pytest.raises(InvalidPool, match="blockSize"):
        decided(request)


def test_a_request_holds_only_what_was_given():
    params = {"name": "p", "cidr": None, "block_size": 28, "disabled": False, "labels": {"a": True, "b": 1, "c": None}}
    assert pool_request(params) == PoolRequest(
        "p", {"blockSize": 28, "disabled": False}, labels={"a": "true", "b": "1", "c": None}
    )


@pytest.mark.parametrize("key", ["projectcalico.org/metadata", "kubectl.kubernetes.io/last-applied-configuration"])
@pytest.mark.parametrize("value", ["{}", None])
def test_what_others_keep_in_annotations_is_not_written(key, value):
    with pytest.raises(InvalidInput, match="kept by .* itself"):
        pool_request({"name": "p", "annotations": {key: value}})
    definition = {"spec": {"cidr": "10.0.0.0/16"}, "annotations": {key: "{}", "mine": "1"}}
    assert definition_parts(definition)[2] == {"mine": "1"}


def test_labels_in_the_metadata_of_a_definition_become_text():
    metadata = {"labels": {"a": 1, "b": True}, "annotations": None}
    assert definition_parts({"spec": {}, "metadata": metadata})[1:] == ({"a": "1", "b": "true"}, {})
    with pytest.raises(InvalidInput, match=r"definition\.metadata\.labels: a dictionary is needed"):
        definition_parts({"spec": {}, "metadata": {"labels": ["a"]}})
