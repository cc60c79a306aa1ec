# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind, find_builtin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.patch import (
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    apply_patch,
    json_patch,
    merge_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

POD = find_builtin("", "v1", "pods")
POOL = Kind(Resource("crd.projectcalico.org", "v1", "ippools", "IPPool", False), "ippool", custom=True)


# The examples of RFC 7386, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target, patch, result):
    before = copy.deepcopy(target)
    assert merge_patch(target, patch) == result
    assert target == before


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "q"}], {"foo": "bar", "baz": "q"}),
        ({"foo": ["a", "b"]}, [{"op": "add", "path": "/foo/1", "value": "q"}], {"foo": ["a", "q", "b"]}),
        ({"foo": ["a"]}, [{"op": "add", "path": "/foo/-", "value": "q"}], {"foo": ["a", "q"]}),
        ({"foo": 1, "b": 2}, [{"op": "remove", "path": "/b"}], {"foo": 1}),
        ({"foo": [1, 2, 3]}, [{"op": "remove", "path": "/foo/1"}], {"foo": [1, 3]}),
        ({"foo": [1, 2, 3]}, [{"op": "remove", "path": "/foo/-1"}], {"foo": [1, 2]}),
        ({"foo": 1}, [{"op": "replace", "path": "/foo", "value": None}], {"foo": None}),
        ({"a": {"b": 1}, "c": {}}, [{"op": "move", "from": "/a/b", "path": "/c/d"}], {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2]}, [{"op": "copy", "from": "/a/0", "path": "/a/-"}], {"a": [1, 2, 1]}),
        (
            {"a/b": 1, "m~n": 2},
            [{"op": "test", "path": "/m~0n", "value": 2}, {"op": "remove", "path": "/a~1b"}],
            {"m~n": 2},
        ),
        ({"a": 1}, [{"op": "test", "path": "/missing", "value": None}], {"a": 1}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
        ({"a": {"b": [{"c": 1}]}}, [{"op": "replace", "path": "/a/b/0/c", "value": 2}], {"a": {"b": [{"c": 2}]}}),
        ({"a": {"b": 1}}, [], {"a": {"b": 1}}),
    ],
)
def test_json_patch(document, operations, result):
    before = copy.deepcopy(document)
    assert json_patch(document, operations) == result
    assert document == before


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/a", "value": 2}],
        [{"op": "test", "path": "/a", "value": True}],
        [{"op": "remove", "path": "/x"}],
        [{"op": "replace", "path": "/x", "value": 1}],
        [{"op": "add", "path": "/x/y", "value": 1}],
        [{"op": "add", "path": "/l/9", "value": 1}],
        [{"op": "add", "path": "/l/01", "value": 1}],
        [{"op": "add", "path": "/x"}],
        [{"op": "add", "path": "x", "value": 1}],
        [{"op": "move", "from": "/o", "path": "/o/p"}],
        [{"op": "frobnicate", "path": "/a"}],
        [{"path": "/a", "value": 1}],
    ],
)
def test_a_json_patch_that_cannot_be_carried_out_is_422_without_a_reason(operations):
    with pytest.raises(Fault) as caught:
        json_patch({"a": 1, "l": [1], "o": {}}, operations)
    assert caught.value.code == 422
    assert caught.value.body["details"] == {}
    assert caught.value.message == "the server rejected our request due to an error in our request"


@pytest.mark.parametrize(
    ("media_type", "patch"),
    [(MERGE_PATCH, []), (MERGE_PATCH, "x"), (JSON_PATCH, {}), (STRATEGIC_PATCH, None), (JSON_PATCH, [1])],
)
def test_a_patch_of_the_wrong_shape_is_400(media_type, patch):
    with pytest.raises(Fault) as caught:
        apply_patch(POD, {}, patch, media_type)
    assert caught.value.code == 400


def test_media_types_by_kind():
    with pytest.raises(Fault) as caught:
        apply_patch(POOL, {}, {}, STRATEGIC_PATCH)
    assert caught.value.code == 415
    assert "the body of the request was in an unknown format - accepted media types include" in caught.value.message
    with pytest.raises(Fault) as caught:
        apply_patch(POD, {}, {}, "application/json")
    assert caught.value.code == 415
    assert apply_patch(POOL, {"a": 1}, {"b": 2}, MERGE_PATCH) == {"a": 1, "b": 2}


def test_what_a_patch_leaves_alone_is_shared():
    stored = {"spec": {"cidr": "10.0.0.0/16"}, "metadata": {"name": "p"}}
    patched = merge_patch(stored, {"spec": {"disabled": True}})
    assert patched["metadata"] is stored["metadata"]
