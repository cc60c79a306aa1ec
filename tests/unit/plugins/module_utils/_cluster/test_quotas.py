# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.quotas import parse_quota

POD: Object = {
    "containers": [
        {"resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi"}}},
        {"resources": {"requests": {"cpu": "250m"}}},
    ]
}


def quota(hard: Object, used: Object, **spec: object) -> Object:
    return {
        "metadata": {"namespace": "shop", "name": "team"},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used},
    }


@pytest.mark.parametrize(
    ("hard", "used", "lacks"),
    [
        ({"pods": "10"}, {"pods": "9"}, ""),
        ({"pods": "10"}, {"pods": "10"}, "pods"),
        ({"count/pods": "3"}, {"count/pods": "3"}, "count/pods"),
        ({"cpu": "4"}, {"cpu": "3250m"}, ""),
        ({"requests.cpu": "4"}, {"requests.cpu": "3300m"}, "requests.cpu"),
        ({"limits.cpu": "4"}, {"limits.cpu": "3"}, ""),
        ({"limits.cpu": "4"}, {"limits.cpu": "3500m"}, "limits.cpu"),
        ({"limits.memory": "4Gi", "pods": "5"}, {"limits.memory": "3500Mi", "pods": "1"}, "limits.memory"),
        # A limit is a request where there is none, and nobody has counted this one.
        ({"requests.memory": "512Mi"}, {"requests.memory": "0"}, "requests.memory"),
        ({"pods": "0"}, {}, ""),
        ({"configmaps": "1"}, {"configmaps": "1"}, ""),
    ],
)
def test_one_more_pod(hard: Object, used: Object, lacks: str) -> None:
    found = parse_quota(quota(hard, used))
    assert found is not None
    assert found.why_not(POD) == (f"ResourceQuota shop/team has no room for one more ({lacks})" if lacks else None)


@pytest.mark.parametrize("spec", [{"scopes": ["BestEffort"]}, {"scopeSelector": {"matchExpressions": [{}]}}])
def test_scopes_are_left_out(spec: Object) -> None:
    assert parse_quota(quota({"pods": "0"}, {"pods": "0"}, **spec)) is None
