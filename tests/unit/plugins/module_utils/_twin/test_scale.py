# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Conflict, Invalid
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, STATEFUL_SETS
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scale import selector_text

NAMESPACE = "shop"


@pytest.mark.parametrize("resource", [DEPLOYMENTS, STATEFUL_SETS])
def test_read_and_patch(cluster, resource):
    cluster.workload(resource, "web", 2)
    cluster.until_ready(2, "web")
    cluster.clock.advance(1)
    scale = cluster.server.subresource(resource, "web", "scale", NAMESPACE)
    stored = cluster.get(resource, "web")
    assert scale == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": "web",
            "namespace": NAMESPACE,
            "uid": stored["metadata"]["uid"],
            "resourceVersion": stored["metadata"]["resourceVersion"],
            "creationTimestamp": stored["metadata"]["creationTimestamp"],
        },
        "spec": {"replicas": 2},
        "status": {"replicas": 2, "selector": "app=web"},
    }
    answer = cluster.api.patch(resource, "web", {"spec": {"replicas": 4}}, NAMESPACE, subresource="scale")
    assert (answer["kind"], answer["spec"]) == ("Scale", {"replicas": 4})
    cluster.until_ready(4, "web")


def test_compare_and_swap(cluster):
    cluster.deployment(replicas=2)
    stale = cluster.server.subresource(DEPLOYMENTS, "web", "scale", NAMESPACE)
    cluster.until(cluster.rolled_out)
    stale = {**stale, "spec": {"replicas": 3}}
    with pytest.raises(Conflict):
        cluster.api.replace(DEPLOYMENTS, stale, NAMESPACE, subresource="scale")
    with pytest.raises(Invalid):
        cluster.api.patch(DEPLOYMENTS, "web", {"spec": {"replicas": -1}}, NAMESPACE, subresource="scale")
    assert cluster.get(DEPLOYMENTS, "web")["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (None, ""),
        ({}, ""),
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"app": "rc"}, "app=rc"),
        (
            {
                "matchLabels": {"a": "1"},
                "matchExpressions": [
                    {"key": "tier", "operator": "In", "values": ["x", "w"]},
                    {"key": "old", "operator": "DoesNotExist"},
                    {"key": "new", "operator": "Exists"},
                    {"key": "zone", "operator": "NotIn", "values": ["a"]},
                ],
            },
            "a=1,tier in (w,x),!old,new,zone notin (a)",
        ),
    ],
)
def test_selector_text(selector, text):
    assert selector_text(selector) == text
