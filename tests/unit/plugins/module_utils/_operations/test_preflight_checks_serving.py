# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B40, B41, D06: what the moving pods serve."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, WEB, asked, examine, pod, thing, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_serving import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    API_SERVICES,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
)

SERVICE = thing("Service", "hook", spec={"selector": {"app": "web"}})
ONE = (pod("web-1-a"),)
RECREATE = (workload("Deployment", "web", strategy={"type": "Recreate"}, replicas=1), WEB[1])
RULE = {"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods"]}


def webhook(rules: t.Any = (RULE,), kind: t.Any = VALIDATING_WEBHOOKS, service: str = "hook", **more: t.Any) -> t.Any:
    hook = {
        "name": "h.example.com",
        "clientConfig": {"service": {"namespace": "shop", "name": service}},
        "rules": list(rules),
        **more,
    }
    return {kind: [thing(kind.kind, "policy", None, webhooks=[hook])]}


def found(around: t.Any, **changes: t.Any) -> list[tuple[str, str]]:
    given = {"services": (SERVICE,), "pods": ONE, "workloads": RECREATE, **changes}
    return [(each.severity, each.message) for each in examine(CHECKS, "webhooks-stay-up", view(around, **given))]


@pytest.mark.parametrize(
    "rule",
    [
        RULE,
        {"apiGroups": ["*"], "operations": ["*"], "resources": ["*"]},
        {"apiGroups": [""], "operations": ["CREATE"], "resources": ["pods/*"]},
        {"apiGroups": [""], "operations": ["UPDATE", "CREATE"], "resources": ["pods/eviction"]},
        {"apiGroups": ["apps"], "operations": ["UPDATE"], "resources": ["deployments"]},
        {"apiGroups": ["*"], "operations": ["DELETE"], "resources": ["*/*"]},
    ],
)
@pytest.mark.parametrize("kind", [MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS])
def test_a_single_pod_that_must_agree(rule: t.Any, kind: t.Any) -> None:
    ((severity, message),) = found(webhook([rule], kind))
    assert severity == "blocker"
    assert message.startswith(f"{kind.kind} policy (h.example.com) must agree to every ")
    assert "Service shop/hook" in message


@pytest.mark.parametrize(
    ("around", "changes"),
    [
        (webhook(failurePolicy="Ignore"), {}),
        (webhook([{**RULE, "operations": ["CONNECT"]}]), {}),
        (webhook([{**RULE, "apiGroups": ["apps"]}]), {}),
        (webhook([{**RULE, "resources": ["pods/log", "*/scale"]}]), {}),
        (webhook([]), {}),
        (webhook(clientConfig={"url": "https://192.0.2.1/"}), {}),
        (webhook(service="elsewhere"), {}),
        (webhook(), {"services": (thing("Service", "hook", spec={}),)}),
        (webhook(), {"pods": (pod("web-1-a", "10.77.0.5"),)}),
        (webhook(), {"pods": (pod("web-1-a", spec={"hostNetwork": True}),)}),
    ],
)
def test_webhooks_that_do_not_matter(around: t.Any, changes: t.Any) -> None:
    assert found(around, **changes) == []


def test_enough_of_them_stay() -> None:
    assert [severity for severity, _words in found(webhook(), pods=(*ONE, pod("web-1-b")))] == ["note"]
    # One that is there before the old one goes does as well.
    adds = (workload("Deployment", "web", replicas=1), WEB[1])
    assert [severity for severity, _words in found(webhook(), workloads=adds)] == ["note"]


def test_nobody_answers_even_now() -> None:
    ((severity, message),) = found(webhook(), pods=(pod("web-1-a", ready=False),))
    assert (severity, "no pod behind Service shop/hook is ready" in message) == ("blocker", True)


def test_consent_to_a_single_pod() -> None:
    cluster = view(webhook(), services=(SERVICE,), pods=ONE, workloads=RECREATE)
    for consent, severity in (("single_replica_webhooks/shop", "warning"), ("single_replica_webhooks/x", "blocker")):
        problems = examine(CHECKS, "webhooks-stay-up", cluster, asked(consent=(consent,)))
        assert [each.severity for each in problems] == [severity]


def test_its_own_namespace_left_out() -> None:
    selector = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["shop"]}]}
    assert "but for those in its own namespace" in found(webhook(namespaceSelector=selector))[0][1]
    assert "those for its own pod too" in found(webhook())[0][1]


def api_service(status: str | None = None) -> t.Any:
    conditions = [] if status is None else [{"type": "Available", "status": status, "message": "no endpoints"}]
    spec = {"service": {"namespace": "shop", "name": "hook"}}
    local = thing("APIService", "v1.apps", None, spec={})
    return {API_SERVICES: [local, thing("APIService", "v1.m", None, spec=spec, status={"conditions": conditions})]}


@pytest.mark.parametrize(
    ("status", "changes", "words"),
    [
        ("True", {}, "a single pod that is to move"),
        (None, {}, "a single pod that is to move"),
        ("False", {}, "is not available (no endpoints)"),
        ("True", {"pods": (*ONE, pod("web-1-b"))}, ""),
        ("True", {"workloads": (workload("Deployment", "web", replicas=1), WEB[1])}, ""),
        ("True", {"pods": (pod("web-1-a", "10.77.0.5"),)}, ""),
    ],
)
def test_aggregated_apis(status: str | None, changes: t.Any, words: str) -> None:
    given = {"services": (SERVICE,), "pods": ONE, "workloads": RECREATE, **changes}
    problems = examine(CHECKS, "api-services-stay-up", view(api_service(status), **given))
    assert [words in problem.message for problem in problems] == ([True] if words else [])
    assert all(problem.severity == "warning" for problem in problems)


@pytest.mark.parametrize(
    ("pods", "workloads", "severities"),
    [
        ((pod("dns-a", namespace="kube-system"),), RECREATE, ["warning"]),
        ((pod("dns-a", namespace="kube-system", ready=False),), RECREATE, ["blocker"]),
        ((), (), ["blocker"]),
        ((pod("dns-a", namespace="kube-system"), pod("dns-b", namespace="kube-system")), RECREATE, []),
        ((pod("dns-a", "10.77.0.5", namespace="kube-system"),), RECREATE, []),
    ],
)
def test_dns(pods: t.Any, workloads: t.Any, severities: list[str]) -> None:
    service = thing("Service", "kube-dns", "kube-system", spec={"selector": {"app": "web"}})
    cluster = view(services=(service,), pods=pods, workloads=workloads)
    assert [each.severity for each in examine(CHECKS, "dns-stays-up", cluster)] == severities


@pytest.mark.parametrize(
    ("name", "labels", "found"),
    [
        ("coredns", {}, True),
        ("rke2-coredns-rke2-coredns", {}, True),
        ("cluster-dns", {"k8s-app": "kube-dns"}, True),
        ("metrics", {"k8s-app": "metrics-server"}, False),
    ],
)
def test_dns_by_the_names_that_installers_give_it(name: str, labels: t.Any, found: bool) -> None:
    """Kubespray calls its Service coredns, RKE2 after its chart."""
    one = pod("dns-a", namespace="kube-system")
    services = [
        thing("Service", each, "kube-system", labels, spec={"selector": {"app": "web"}})
        for each in (name, f"{name}-upstream")
    ]
    problems = examine(CHECKS, "dns-stays-up", view(services=services, pods=(one,), workloads=RECREATE))
    assert len(problems) == found


@pytest.mark.parametrize("identifier", [check.id for check in CHECKS])
def test_nothing_moves_when_pools_are_declared(identifier: str) -> None:
    cluster = view({**webhook(), **api_service("False")}, services=(SERVICE,), pods=ONE, workloads=RECREATE)
    assert examine(CHECKS, identifier, cluster, DECLARE) == []
