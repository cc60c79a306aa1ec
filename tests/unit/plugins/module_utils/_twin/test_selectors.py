# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Label and field selectors (spec kubernetes-api-behaviour.md 12)."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    EVENTS,
    IP_POOLS,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import (
    parse_field_selector,
    parse_label_selector,
    selector_of,
    selects,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

LABELS = {"app": "web", "tier": "1", "example.com/zone": "a", "empty": ""}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("app", True),
        ("!app", False),
        ("! none", True),
        ("app=web", True),
        ("app==web,tier=1", True),
        ("app=web,tier=2", False),
        ("app!=web", False),
        ("none!=web", True),
        ("app in (api, web)", True),
        ("app in (api)", False),
        ("app notin (api)", True),
        ("none notin (api)", True),
        ("example.com/zone in (a,b),app", True),
        ("empty=", True),
        ("empty", True),
        ("empty in (,x)", True),
        ("none in ()", False),
        ("tier>0,tier<2", True),
        ("tier>1", False),
        ("app>1", False),
    ],
)
def test_label_selectors(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text", ["=x", "a b", "a in b", "a in (b", "a=b=c", "a,,b", "a=b,", "(", "a/b/c=d", "a=b c", "a>x", "-a=b", "a=-b"]
)
def test_label_selectors_that_cannot_be_read(text: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_label_selector(text)
    assert caught.value.code == 400
    assert caught.value.message.startswith("unable to parse requirement: ")


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "api"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "none", "operator": "DoesNotExist"}]}, True),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "none", "operator": "Exists"}]}, False),
    ],
)
def test_selector_objects(selector: Object | None, matches: bool) -> None:
    assert selects(selector, LABELS) is matches


def test_a_missing_selector_stays_none() -> None:
    assert selector_of(None) is None


POD: Object = {
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {"nodeName": "n1", "restartPolicy": "Always"},
    "status": {"phase": "Running", "podIP": "192.0.2.1"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=p,metadata.namespace=shop", True),
        ("spec.nodeName!=n1", False),
        ("spec.nodeName==n1,status.phase!=Failed", True),
        ("spec.hostNetwork=false", True),
        ("status.nominatedNodeName=", True),
        ("status.podIP=192.0.2.2", False),
    ],
)
def test_field_selectors(text: str, matches: bool) -> None:
    assert parse_field_selector(text, PODS).matches(POD) is matches


def test_fields_of_events_and_nodes() -> None:
    event = {"involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet"}, "type": "Normal"}
    assert parse_field_selector("involvedObject.kind=Pod,source=kubelet,type=Normal", EVENTS).matches(event)
    assert parse_field_selector("spec.unschedulable=false", NODES).matches({"spec": {}})


@pytest.mark.parametrize(
    ("resource", "text", "message"),
    [
        (PODS, "spec.containers=x", "field label not supported: spec.containers"),
        (IP_POOLS, "spec.cidr=x", "field label not supported: spec.cidr"),
        (CONFIG_MAPS, "data=x", '"data" is not a known field selector: only "metadata.name", "metadata.namespace"'),
        (PODS, "nonsense", "invalid selector: 'nonsense'; can't understand 'nonsense'"),
    ],
)
def test_field_selectors_that_are_refused(resource: Resource, text: str, message: str) -> None:
    with pytest.raises(Fault) as caught:
        parse_field_selector(text, resource)
    assert (caught.value.code, caught.value.message) == (400, message)
