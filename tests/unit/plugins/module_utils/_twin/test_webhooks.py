# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Webhooks whose servers answer, and those whose servers are gone."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ApiError, BadRequest, ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    SERVICES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.webhooks import MUTATING, VALIDATING

WORDS = (
    'Internal error occurred: failed calling webhook "guard.example.com": failed to call webhook: Post '
    '"https://guard.default.svc:443/validate?timeout=10s": '
)


@pytest.fixture
def twin() -> Twin:
    twin = Twin(None, load("small"), speed=None)
    twin.boot()
    return twin


@pytest.fixture
def api(twin: Twin) -> LocalApi:
    return LocalApi(twin.server, "admin")


def hook(api: LocalApi, resource: Resource = VALIDATING, **changes: t.Any) -> None:
    webhook = {
        "name": "guard.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"service": {"name": "guard", "namespace": "default", "path": "/validate"}},
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
        **changes,
    }
    body: Object = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "guard"},
        "webhooks": [webhook],
    }
    api.create(resource, body)


def service(api: LocalApi, **spec: t.Any) -> None:
    given = {"selector": {"app": "guard"}, "ports": [{"port": 443}], **spec}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "guard"}, "spec": given}
    api.create(SERVICES, body, "default")


def pod(name: str = "new", **metadata: t.Any) -> Object:
    spec = {"containers": [{"name": "main", "image": "registry.example.com/main:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def refusal(api: LocalApi, body: Object | None = None, **options: t.Any) -> str:
    try:
        api.create(PODS, body or pod(), "default", **options)
    except ApiError as error:
        return error.message
    return ""


@pytest.mark.parametrize("resource", [MUTATING, VALIDATING])
def test_a_webhook_without_endpoints_refuses_in_the_servers_words(api: LocalApi, resource: Resource) -> None:
    hook(api, resource)
    assert refusal(api) == WORDS + 'service "guard" not found'
    service(api)
    with pytest.raises(ServerError) as caught:
        api.create(PODS, pod(), "default")
    assert caught.value.message == WORDS + 'no endpoints available for service "guard"'
    assert (caught.value.status, caught.value.reason) == (500, "InternalError")


def test_its_pod_must_be_there_before_it_can_be_replaced(twin: Twin, api: LocalApi) -> None:
    """The trap of hazards.md B40: the last pod behind a webhook goes, and nothing can be created any more."""
    service(api)
    template = {"metadata": {"labels": {"app": "guard"}}, "spec": pod()["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "guard"}}, "template": template}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "guard"}, "spec": spec}
    api.create(DEPLOYMENTS, body, "default")
    assert twin.settle() == []
    hook(api)
    assert refusal(api) == ""
    (guard,) = [each for each in api.list(PODS, "default").items if each["metadata"]["name"].startswith("guard")]
    api.delete(PODS, guard["metadata"]["name"], "default")
    twin.clock.advance(120)
    assert [each["metadata"]["name"] for each in api.list(PODS, "default").items] == ["new"]
    told = [each["message"] for each in api.list(EVENTS, "default").items if each["reason"] == "FailedCreate"]
    assert any("failed calling webhook" in each for each in told)
    # The way out of it: take the webhook away.
    api.delete(VALIDATING, "guard")
    twin.clock.advance(120)
    assert len(api.list(PODS, "default").items) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"failurePolicy": "Ignore"},
        {"clientConfig": {"url": "https://guard.example.com/"}},
        {"objectSelector": {"matchLabels": {"guarded": "yes"}}},
        {"namespaceSelector": {"matchLabels": {"guarded": "yes"}}},
        {"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["pods"]}]},
        {"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}]},
        {"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods/*"]}]},
        {
            "rules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["*"],
                    "resources": ["*"],
                    "scope": "Cluster",
                }
            ]
        },
    ],
)
def test_what_a_webhook_does_not_hold_up(api: LocalApi, changes: dict[str, t.Any]) -> None:
    hook(api, **changes)
    assert refusal(api) == ""


@pytest.mark.parametrize(
    "rule",
    [
        {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]},
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["*/*"]},
    ],
)
def test_rules_with_stars(api: LocalApi, rule: dict[str, t.Any]) -> None:
    hook(api, rules=[rule])
    assert "failed calling webhook" in refusal(api)


def test_labels_of_pod_and_namespace_decide(api: LocalApi) -> None:
    hook(
        api,
        objectSelector={"matchLabels": {"guarded": "yes"}},
        namespaceSelector={"matchLabels": {"guarded": "yes"}},
    )
    labelled = pod("labelled", labels={"guarded": "yes"})
    assert refusal(api, labelled, dry_run=True) == ""
    api.patch(NAMESPACES, "default", {"metadata": {"labels": {"guarded": "yes"}}})
    assert "failed calling webhook" in refusal(api, labelled)
    assert refusal(api) == ""


def test_updates_and_deletions(api: LocalApi) -> None:
    api.create(CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}, "default")
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    hook(api, rules=[{**rule, "operations": ["UPDATE", "DELETE"]}])
    with pytest.raises(ServerError, match="failed calling webhook"):
        api.patch(CONFIG_MAPS, "c", {"data": {"a": "b"}}, "default")
    with pytest.raises(ServerError, match="failed calling webhook"):
        api.delete(CONFIG_MAPS, "c", "default")
    # Webhook configurations are never shown to webhooks, or there would be no way out.
    api.delete(VALIDATING, "guard")
    api.delete(CONFIG_MAPS, "c", "default")


def test_a_dry_run_needs_a_webhook_without_side_effects(api: LocalApi) -> None:
    hook(api, sideEffects="Some", clientConfig={"url": "https://guard.example.com/"})
    with pytest.raises(BadRequest, match="does not support dry run"):
        api.create(PODS, pod(), "default", dry_run=True)
    assert refusal(api) == ""


def test_a_service_that_is_a_name_elsewhere_answers(api: LocalApi) -> None:
    hook(api)
    service(api, type="ExternalName", externalName="guard.example.com", selector=None)
    assert refusal(api) == ""
