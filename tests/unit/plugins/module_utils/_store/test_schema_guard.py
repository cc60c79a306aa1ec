# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What older CRDs do not know: left out where that is harmless, refused where it is not (spec ipam-engine.md §22)."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V1,
    CUSTOM_RESOURCE_DEFINITIONS,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block import Attribute, Block, new_block
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.block_assign import assign
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.api import ApiServer
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.clock import VirtualClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import ObjectStore

CIDR = parse_network("10.77.4.8/30")
NOW = datetime(2026, 8, 20, 9, 14, 5, tzinfo=timezone.utc)
BLOCK = new_block(CIDR, 1787217245204418101, "host:worker-7", "2026-08-20T09:14:05Z")
USED = assign(BLOCK, 1, "h", {"pod": "p"})[0]
COOLING = replace(USED, attributes=(Attribute(released_at="2026-08-20T09:14:05Z"),))
MIGRATING = replace(USED, attributes=(Attribute("h", {"pod": "p"}, {"pod": "q"}),))


def cluster(*missing: str) -> LocalApi:
    """An API server whose v1 CRDs lack these members of blocks, of their attributes and of affinity rows."""
    api = LocalApi(ApiServer(ObjectStore(), VirtualClock()))
    for crd in calico_crds("v1"):
        crd = copy.deepcopy(crd)
        properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        inside = properties.get("attributes", {}).get("items", {}).get("properties", {})
        for member in missing:
            properties.pop(member, None)
            inside.pop(member, None)
        api.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
    return api


class Closed:
    """An API whose CRDs may not be read; ``document`` is its OpenAPI document, if it has one."""

    def __init__(self, api: LocalApi) -> None:
        self._api = api
        self.asked = 0

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if resource == CUSTOM_RESOURCE_DEFINITIONS:
            self.asked += 1
            raise Forbidden("no", 403, "Forbidden")
        return self._api.get(resource, name, namespace)

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._api, name)


class Documented(Closed):
    def openapi(self, group: str, version: str) -> Object:
        if group != CALICO_V1:
            raise NotFound("no", 404, "NotFound")
        schemas = {}
        for crd in self._api.list(CUSTOM_RESOURCE_DEFINITIONS).items:
            kind = crd["spec"]["names"]["kind"]
            schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            told = [{"group": group, "version": version, "kind": kind}]
            schemas[f"org.projectcalico.crd.v1.{kind}"] = {**schema, "x-kubernetes-group-version-kind": told}
        return {"components": {"schemas": schemas}}


def settings_of(api: LocalApi, seconds: int) -> None:
    spec = {"strictAffinity": False, "autoAllocateBlocks": True, "ipCooldownSeconds": seconds}
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMConfig", "metadata": {"name": "default"}}
    api.create(IPAM_CONFIGS, {**body, "spec": spec})


def test_members_an_older_release_does_without_are_left_out() -> None:
    store = KubernetesStore(cluster("affinityClaimTime", "sequenceNumber", "sequenceNumberForAllocation", "type"))
    stored = store.create_block(USED)
    assert stored.value == replace(USED, claim_time=None, sequence=0, sequences={}), (
        "what is stored, not what was asked"
    )
    assert store.update_block(stored, replace(stored.value, sequence=1)).value.sequence == 0
    row = store.create_affinity(Affinity("worker-7", "host", CIDR, "pending"))
    assert "type" not in row.origin["spec"]
    assert store.update_affinity(row, replace(row.value, state="confirmed")).value.type == "host"
    with pytest.raises(Refused, match=r"is not known to keep type, which comes with Calico v3\.30"):
        store.create_affinity(Affinity("load-balancer", "virtual", CIDR, "pending"))


@pytest.mark.parametrize(
    ("missing", "block", "release"),
    [("releasedAt", COOLING, "v3.33"), ("alternateOwnerAttrs", MIGRATING, "v3.32")],
)
def test_who_holds_an_address_is_never_lost(missing: str, block: Block, release: str) -> None:
    store = KubernetesStore(cluster(missing))
    with pytest.raises(Refused, match=f"is not known to keep {missing}, which comes with Calico {release}") as caught:
        store.create_block(block)
    assert caught.value.details["name"] == "10-77-4-8-30"
    stored = store.create_block(USED)
    with pytest.raises(Refused, match=missing):
        store.update_block(stored, block)
    assert store.get_block(CIDR).value == USED


@pytest.mark.parametrize(("missing", "free"), [((), 3), (("releasedAt",), 4)])
def test_without_a_place_for_it_there_is_no_cooldown(missing: tuple[str, ...], free: int) -> None:
    """A release that stored an attribute without a member would leave an allocation that nobody ever finds."""
    api = cluster(*missing)
    settings_of(api, 600)
    store = KubernetesStore(api)
    assert store.settings().cooldown_seconds == (0 if missing else 600)
    store.create_block(USED)
    store.create_handle(Handle("h", {CIDR: 1}))
    assert release_by_handle(store, "h", now=lambda: NOW) == 1
    entries = api.get(IPAM_BLOCKS, "10-77-4-8-30")["spec"]
    assert len(entries["unallocated"]) == free
    assert all(entries["attributes"])


def test_a_definition_that_may_not_be_read_is_looked_up_in_the_document() -> None:
    api = cluster("affinityClaimTime")
    settings_of(api, 30)
    closed = Documented(api)
    store = KubernetesStore(closed)
    assert store.settings().cooldown_seconds == 30
    assert store.create_block(COOLING).value == replace(COOLING, claim_time=None)
    store.settings()
    assert closed.asked == 1, "asked once"


def test_where_nothing_can_be_read_only_the_cooldown_is_in_doubt() -> None:
    api = cluster()
    settings_of(api, 30)
    store = KubernetesStore(Closed(api))
    assert store.settings().cooldown_seconds == 0
    assert store.create_block(MIGRATING).value == MIGRATING
    with pytest.raises(Refused, match="releasedAt"):
        store.update_block(store.get_block(CIDR), COOLING)
    # Somebody else, who knows better, has written one: then it is kept.
    other = KubernetesStore(api)
    other.update_block(other.get_block(CIDR), COOLING)
    mine = store.get_block(CIDR)
    assert (
        store.update_block(mine, replace(COOLING, sequence=COOLING.sequence + 1)).value.attributes == COOLING.attributes
    )


def test_nothing_is_asked_that_need_not_be_known() -> None:
    api = cluster()
    settings_of(api, 0)
    closed = Closed(api)
    store = KubernetesStore(closed)
    store.settings()
    store.list_blocks()
    store.list_affinities("worker-7")
    assert closed.asked == 0
    assert store.affinities == BLOCK_AFFINITIES
