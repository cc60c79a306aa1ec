# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import builtin_types
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import find_builtin_by_name
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.strategic import (
    MERGE_KEYS,
    MERGED_PRIMITIVES,
    REPLACED,
    strategic_merge,
)

POD = find_builtin_by_name("v1", "Pod")
NODE = find_builtin_by_name("v1", "Node")
DEPLOYMENT = find_builtin_by_name("apps/v1", "Deployment")
BUDGET = find_builtin_by_name("policy/v1", "PodDisruptionBudget")


def pod(**spec):
    return {"metadata": {"name": "p"}, "spec": spec}


def containers(*names):
    return [{"name": name, "image": name + ":1"} for name in names]


@pytest.mark.parametrize(
    ("kind", "original", "patch", "result"),
    [
        pytest.param(
            POD,
            pod(containers=containers("a", "b")),
            pod(containers=[{"name": "b", "image": "b:2"}]),
            pod(containers=[{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:2"}]),
            id="a keyed list merges by key",
        ),
        pytest.param(
            POD,
            pod(containers=containers("a", "b")),
            pod(containers=containers("c")),
            pod(containers=containers("c", "a", "b")),
            id="an item only the patch knows comes first",
        ),
        pytest.param(
            POD,
            pod(containers=containers("a", "b")),
            {
                "spec": {
                    "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
                    "containers": containers("c"),
                }
            },
            pod(containers=containers("a", "b", "c")),
            id="the order kubectl apply sends",
        ),
        pytest.param(
            POD,
            pod(containers=containers("a", "b", "c")),
            {"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}},
            pod(containers=containers("b", "c", "a")),
            id="an order alone, the unnamed item keeps its side",
        ),
        pytest.param(
            POD,
            pod(containers=containers("a", "b")),
            pod(containers=[{"name": "a", "$patch": "delete"}]),
            pod(containers=containers("b")),
            id="an item deleted",
        ),
        pytest.param(
            POD,
            pod(containers=containers("a", "b")),
            pod(containers=[{"$patch": "replace"}, {"name": "z"}]),
            pod(containers=[{"name": "z"}]),
            id="a list replaced",
        ),
        pytest.param(
            POD,
            pod(tolerations=[{"key": "a"}]),
            pod(tolerations=[{"key": "b"}]),
            pod(tolerations=[{"key": "b"}]),
            id="an unkeyed list is replaced",
        ),
        pytest.param(
            POD,
            pod(nodeSelector={"a": "1", "b": "2"}),
            {"spec": {"nodeSelector": {"$patch": "replace", "c": "3"}}},
            pod(nodeSelector={"c": "3"}),
            id="a map replaced",
        ),
        pytest.param(
            POD,
            {"metadata": {"labels": {"a": "1", "b": "2"}}},
            {"metadata": {"labels": {"a": None, "c": "3"}}},
            {"metadata": {"labels": {"b": "2", "c": "3"}}},
            id="null removes",
        ),
        pytest.param(
            POD,
            {"metadata": {}},
            {"metadata": {"labels": {"a": None, "c": "3"}}},
            {"metadata": {"labels": {"c": "3"}}},
            id="nulls are dropped where nothing was",
        ),
        pytest.param(
            NODE,
            {"metadata": {"finalizers": ["x", "y"]}},
            {"metadata": {"finalizers": ["z", "x"], "$deleteFromPrimitiveList/finalizers": ["y"]}},
            {"metadata": {"finalizers": ["z", "x"]}},
            id="a set of values",
        ),
        pytest.param(
            NODE,
            {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "r"}]}},
            {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
            {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "r"}]}},
            id="conditions by type",
        ),
        pytest.param(
            DEPLOYMENT,
            {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
            {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
            {"spec": {"strategy": {"type": "Recreate"}}},
            id="retained keys",
        ),
        pytest.param(
            DEPLOYMENT,
            {"spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "w"}}}}},
            {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}},
            {
                "spec": {
                    "replicas": 2,
                    "template": {
                        "metadata": {
                            "labels": {"app": "w"},
                            "annotations": {"kubectl.kubernetes.io/restartedAt": "now"},
                        }
                    },
                }
            },
            id="rollout restart",
        ),
        pytest.param(
            BUDGET,
            {"spec": {"selector": {"matchLabels": {"a": "1"}}, "minAvailable": 1}},
            {"spec": {"selector": {"matchLabels": {"b": "1"}}}},
            {"spec": {"selector": {"matchLabels": {"b": "1"}}, "minAvailable": 1}},
            id="a selector that is replaced",
        ),
        pytest.param(
            DEPLOYMENT,
            {"spec": {"template": {"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}]}}}},
            {"spec": {"template": {"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}]}]}}}},
            {"spec": {"template": {"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}]}]}}}},
            id="nested keyed lists",
        ),
    ],
)
def test_strategic_merge(kind, original, patch, result):
    before = copy.deepcopy(original)
    assert strategic_merge(kind, original, patch) == result
    assert original == before


def test_an_item_without_its_key_is_422():
    with pytest.raises(Fault) as caught:
        strategic_merge(POD, pod(containers=containers("a")), pod(containers=[{"image": "x"}]))
    assert caught.value.code == 422
    assert caught.value.message == "map: map[image:x] does not contain declared merge key: name"


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"$patch": "explode"}},
        {"spec": {"$retainKeys": "x"}},
        {"spec": {"$setElementOrder/tolerations": []}},
        {"spec": {"$retainKeys": ["a"], "nodeName": "n"}},
    ],
)
def test_directives_that_make_no_sense_are_400(patch):
    with pytest.raises(Fault) as caught:
        strategic_merge(POD, pod(nodeName="n"), patch)
    assert caught.value.code == 400


def test_every_type_and_field_in_the_tables_exists():
    for table in (MERGE_KEYS, MERGED_PRIMITIVES, REPLACED):
        for name, fields in table.items():
            assert set(fields) <= set(builtin_types.struct(name).fields), name
    for name, fields in MERGE_KEYS.items():
        for field, key in fields.items():
            shape = builtin_types.struct(name).fields[field]
            assert key in builtin_types.struct(shape.item.struct).fields
