# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS, NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.resources import SERVICE_ACCOUNTS

NAMESPACE = "shop"


def test_furnished(cluster):
    cluster.clock.advance(1)
    assert cluster.get(SERVICE_ACCOUNTS, "default") is not None


def test_an_empty_namespace_takes_five_seconds(cluster):
    cluster.clock.advance(1)
    cluster.api.delete(SERVICE_ACCOUNTS, "default", NAMESPACE)
    cluster.api.delete(NAMESPACES, NAMESPACE)
    assert cluster.get(NAMESPACES, NAMESPACE)["status"]["phase"] == "Terminating"
    began = cluster.clock.monotonic()
    cluster.until(lambda: cluster.get(NAMESPACES, NAMESPACE) is None)
    assert 4 < cluster.clock.monotonic() - began < 7


def test_content_goes_first_pods_with_their_grace(cluster):
    cluster.deployment(replicas=3)
    cluster.service()
    cluster.budget(minAvailable=3)
    cluster.until(cluster.rolled_out)
    cluster.api.create(CONFIG_MAPS, {"metadata": {"name": "settings"}}, NAMESPACE)
    cluster.api.delete(NAMESPACES, NAMESPACE)
    began = cluster.clock.monotonic()
    with pytest.raises(Forbidden):
        cluster.api.create(CONFIG_MAPS, {"metadata": {"name": "late"}}, NAMESPACE)
    cluster.until(lambda: cluster.get(NAMESPACES, NAMESPACE) is None)
    assert 5 < cluster.clock.monotonic() - began < 20
    assert cluster.pods() == []
    assert cluster.cni.held == {}
    left = [kind.resource.plural for kind in cluster.server.served.all() if cluster.objects.list(kind.resource, "shop")]
    assert left == []


def test_a_finalizer_keeps_the_namespace(cluster):
    body = {"metadata": {"name": "kept", "finalizers": ["example.org/mine"]}}
    cluster.api.create(CONFIG_MAPS, body, NAMESPACE)
    cluster.api.delete(NAMESPACES, NAMESPACE)
    cluster.clock.advance(60)
    assert cluster.get(NAMESPACES, NAMESPACE) is not None
    cluster.api.patch(CONFIG_MAPS, "kept", {"metadata": {"finalizers": None}}, NAMESPACE)
    cluster.until(lambda: cluster.get(NAMESPACES, NAMESPACE) is None, limit=30)
