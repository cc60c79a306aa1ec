# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster import resources
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import (
    builtin_kinds,
    find_builtin,
    find_builtin_by_name,
)


def test_no_place_and_no_name_is_taken_twice():
    kinds = builtin_kinds()
    assert len({(k.resource.group, k.resource.version, k.resource.plural) for k in kinds}) == len(kinds)
    assert len({(k.resource.api_version, k.resource.kind) for k in kinds}) == len(kinds)


def test_every_builtin_resource_production_code_knows_is_served():
    ours = [each for each in vars(resources).values() if isinstance(each, Resource)]
    builtin = [each for each in ours if "." not in each.group or each.group.endswith(".k8s.io")]
    assert len(builtin) >= 15
    for each in builtin:
        found = find_builtin(each.group, each.version, each.plural)
        assert found is not None and found.resource == each


@pytest.mark.parametrize(
    ("api_version", "kind", "short", "subresources"),
    [
        ("v1", "Pod", ("po",), ["binding", "ephemeralcontainers", "eviction", "resize", "status"]),
        ("v1", "Namespace", ("ns",), ["finalize", "status"]),
        ("v1", "ConfigMap", ("cm",), []),
        ("apps/v1", "Deployment", ("deploy",), ["scale", "status"]),
        ("apps/v1", "DaemonSet", ("ds",), ["status"]),
        ("policy/v1", "PodDisruptionBudget", ("pdb",), ["status"]),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", ("crd", "crds"), ["status"]),
    ],
)
def test_what_discovery_will_say(api_version, kind, short, subresources):
    found = find_builtin_by_name(api_version, kind)
    assert found is not None
    assert found.short_names == short
    assert [each.name for each in found.subresources] == subresources
    assert found.list_kind == kind + "List"


def test_eviction_is_a_policy_kind_one_can_only_create():
    pod = find_builtin("", "v1", "pods")
    eviction = pod.subresource("eviction")
    assert (eviction.kind, eviction.group, eviction.version, eviction.verbs) == (
        "Eviction",
        "policy",
        "v1",
        ("create",),
    )
    assert pod.subresource("log") is None


def test_reviews_can_only_be_created_and_namespaces_not_deleted_as_a_collection():
    review = find_builtin("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
    assert review.verbs == ("create",)
    assert "deletecollection" not in find_builtin("", "v1", "namespaces").verbs
