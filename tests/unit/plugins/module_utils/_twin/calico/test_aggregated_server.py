# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calico's API server: who checks what, defaults, full replacement, and DELETE (spec ippool.md 3, 4 and 5.1)."""

from __future__ import annotations

import json
import typing as t

import pytest
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    NotFound,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_kinds import PROFILES
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.local import LocalApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import Fault

Object = t.Dict[str, t.Any]
POOLS, STORED = CRD_V3.pools, CRD_V1.pools
WRITTEN = {
    "blockSize": 26,
    "ipipMode": "Never",
    "vxlanMode": "Never",
    "nodeSelector": "all()",
    "allowedUses": ["Workload", "Tunnel"],
    "assignmentMode": "Automatic",
}
# Disabled, so that nothing in the cluster reacts to them.
SMALL_BLOCKS = {"cidr": "198.18.0.0/16", "blockSize": 28, "disabled": True}
BALANCER = {"cidr": "198.19.0.0/16", "allowedUses": ["LoadBalancer"]}


@pytest.fixture(scope="module")
def shared() -> Twin:
    return local_twin("small", installation="apiserver")


@pytest.fixture
def twin(shared: Twin) -> t.Iterator[Twin]:
    """The cluster without the pools that the test makes."""
    present = {pool["metadata"]["name"] for pool in shared.objects.list(STORED)}
    yield shared
    for pool in shared.objects.list(STORED):
        if pool["metadata"]["name"] not in present:
            LocalApi(shared.server).delete(STORED, pool["metadata"]["name"])


@pytest.fixture
def api(twin: Twin) -> LocalApi:
    return LocalApi(twin.server, "alice")


def body(called: str, spec: Object, **metadata: t.Any) -> Object:
    return {**head(POOLS), "metadata": {"name": called, **metadata}, "spec": spec}


def directly(api: LocalApi, name: str, spec: Object) -> Object:
    """A pool that no client of Calico has seen."""
    return api.create(STORED, {**body(name, spec), **head(STORED)})


def head(resource: t.Any) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def refused(call: t.Callable[[], t.Any]) -> tuple[int, str]:
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value.status, str(caught.value)


# ---- create


@pytest.mark.parametrize(
    ("spec", "stored"),
    [
        ({"cidr": "172.22.0.0/16"}, {**WRITTEN, "cidr": "172.22.0.0/16"}),
        (
            {"cidr": "FD77:5:0::/48", "vxlanMode": "Always", "disabled": False},
            {**WRITTEN, "cidr": "fd77:5::/48", "blockSize": 122, "vxlanMode": "Always"},
        ),
        ({"cidr": "172.16.0.0/012", "ipipMode": ""}, {**WRITTEN, "cidr": "172.16.0.0/12"}),
        ({"cidr": "172.22.9.0/28", "blockSize": 28}, {**WRITTEN, "cidr": "172.22.9.0/28", "blockSize": 28}),
        ({"cidr": "172.22.9.0/28", "disabled": True}, {**WRITTEN, "cidr": "172.22.9.0/28", "disabled": True}),
        (
            {"cidr": "172.22.0.0/16", "namespaceSelector": "has(a)", "allowedUses": ["Workload"]},
            {**WRITTEN, "cidr": "172.22.0.0/16", "namespaceSelector": "has(a)", "allowedUses": ["Workload"]},
        ),
    ],
)
def test_what_a_create_stores(api: LocalApi, spec: Object, stored: Object) -> None:
    made = api.create(POOLS, body("new", spec, labels={"team": "net"}))
    assert made["spec"] == stored
    below = api.get(STORED, "new")
    assert below["spec"] == stored
    packed = json.loads(below["metadata"]["annotations"]["projectcalico.org/metadata"])
    assert packed == {"creationTimestamp": made["metadata"]["creationTimestamp"], "labels": {"team": "net"}}
    assert made["metadata"]["resourceVersion"] == below["metadata"]["resourceVersion"]
    assert made["metadata"]["uid"] != below["metadata"]["uid"]
    assert "labels" not in below["metadata"] and "generation" not in made["metadata"]


@pytest.mark.parametrize(
    ("spec", "code", "words"),
    [
        ({}, 422, "IPPool.Spec.CIDR: .*must be specified"),
        ({"cidr": "172.22.0.0"}, 422, "IPPool.Spec.CIDR: .*must be a valid subnet"),
        ({"cidr": "172.22.0.9/16"}, 422, "IPPool.Spec.CIDR: .*not strictly masked"),
        ({"cidr": "192.168.0.0/24"}, 422, "IPPool.Spec.CIDR: .*CIDR overlaps with .*default-ipv4-ippool"),
        ({"cidr": "172.22.0.0/16", "nodeSelector": "has("}, 422, "NodeSelector: .*because of Tag: selector"),
        ({"cidr": "172.22.0.0/16", "allowedUses": ["Everything"]}, 422, " AllowedUses: .*unknown use"),
        ({"cidr": "169.254.1.0/24"}, 500, "link local"),
        ({"cidr": "172.22.0.0/16", "blockSize": 19}, 500, "must be between"),
        ({"cidr": "172.22.9.0/28"}, 500, "too small"),
        ({"cidr": "172.22.0.0/16", "ipipMode": "Always", "vxlanMode": "Always"}, 500, "cannot both be enabled"),
        ({"cidr": "fd77:5::/48", "ipipMode": "Always"}, 500, "not supported on"),
        ({"cidr": "172.22.0.0/16", "ipipMode": "always"}, 500, "Unsupported value"),
        ({"cidr": "172.22.0.0/16", "allowedUses": ["Workload", "Workload"]}, 500, "Duplicate value"),
        ({"cidr": "172.22.0.0/16", "allowedUses": ["Workload", "LoadBalancer"]}, 500, "combined with"),
        ({**BALANCER, "vxlanMode": "Always"}, 500, "cannot have IPIP or VXLAN"),
        ({**BALANCER, "disableBGPExport": True}, 500, "cannot disable BGP export"),
        ({**BALANCER, "nodeSelector": "all( )"}, 500, "must have nodeSelector"),
        ({"cidr": "172.22.0.0/16", "namespaceSelector": "has(a)"}, 500, "cannot have namespaceSelector"),
        ({"cidr": "172.22.0.0/16", "nodeSelector": "global()"}, 500, "global\\(\\) selector is not valid"),
    ],
)
def test_who_refuses_a_create(api: LocalApi, spec: Object, code: int, words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        api.create(POOLS, body("new", spec))
    assert caught.value.status == code
    group = "projectcalico.org" if code == 422 else "crd.projectcalico.org"
    assert str(caught.value).startswith(f'IPPool.{group} "new" is invalid: ')
    causes = (caught.value.body.get("details") or {}).get("causes") or []
    assert bool(causes) is (code == 422)
    with pytest.raises(NotFound):
        api.get(STORED, "new")


def test_a_block_of_another_size_is_in_the_way(api: LocalApi) -> None:
    # The cluster's blocks are of size 26; only a pool that no other one overlaps comes so far.
    for pool in api.list(STORED).items:
        api.delete(STORED, pool["metadata"]["name"])
    try:
        code, text = refused(lambda: api.create(POOLS, body("new", {"cidr": "192.168.0.0/16", "blockSize": 27})))
        assert (code, "conflicts with existing allocations" in text) == (422, True)
        assert api.create(POOLS, body("new", {"cidr": "192.168.0.0/16", "disabled": True}))
    finally:
        api.delete(STORED, "new")
        directly(api, "default-ipv4-ippool", {"cidr": "192.168.0.0/16", "ipipMode": "Always", "natOutgoing": True})


def test_rules_come_before_the_name(api: LocalApi) -> None:
    """V29 is looked at last; a dry run looks at nothing else."""
    api.create(POOLS, body("new", {"cidr": "172.22.0.0/16"}))
    assert refused(lambda: api.create(POOLS, body("new", {"cidr": "172.22.0.0/16", "nodeSelector": "("})))[0] == 422
    with pytest.raises(AlreadyExists):
        api.create(POOLS, body("new", {"cidr": "172.22.0.0/16"}))
    bad = {"cidr": "169.254.1.1/16", "ipipMode": "?", "vxlanMode": "Always"}
    with pytest.raises(AlreadyExists):
        api.create(POOLS, body("new", bad), dry_run=True)
    dry = api.create(POOLS, body("other", bad), dry_run=True)
    assert dry["spec"] == bad
    assert dry["metadata"].keys() == {"name", "uid", "creationTimestamp"}
    assert api.patch(POOLS, "new", {"spec": {"cidr": "?"}}, dry_run=True)["spec"]["cidr"] == "?"
    assert api.get(POOLS, "new")["spec"]["cidr"] == "172.22.0.0/16"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"cidr": "172.22.0.0/16", "blocksize": 28}, 'unknown field "spec.blocksize"'),
        ({"cidr": "172.22.0.0/16", "blockSize": "28"}, "cannot be handled as a IPPool"),
    ],
)
def test_what_does_not_decode(api: LocalApi, spec: Object, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        api.create(POOLS, body("new", spec))


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"name": "", "generateName": "new-"}, 422),
        ({"resourceVersion": "1"}, 422),
        ({"name": "New"}, 422),
        ({"labels": {"a": "b c"}}, 422),
    ],
)
def test_metadata_that_is_refused(api: LocalApi, metadata: Object, code: int) -> None:
    assert refused(lambda: api.create(POOLS, body("new", {"cidr": "172.22.0.0/16"}, **metadata)))[0] == code


# ---- update


@pytest.mark.parametrize(
    ("stored", "spec", "outcome"),
    [
        (
            SMALL_BLOCKS,
            {"cidr": "198.18.0.0/16", "disabled": True},
            (422, "IPPool.Spec.BlockSize: .*cannot be modified"),
        ),
        (SMALL_BLOCKS, {**SMALL_BLOCKS, "cidr": "198.19.0.0/16"}, (422, "IPPool.Spec.CIDR: .*cannot be modified")),
        (SMALL_BLOCKS, {**SMALL_BLOCKS, "natOutgoing": True}, None),
        (BALANCER, {**BALANCER, "allowedUses": []}, (422, "IPPool.Spec.AllowedUses: .*cannot be changed from")),
        ({"cidr": "198.18.0.0/16"}, {"cidr": "198.18.0.0/16", "allowedUses": ["LoadBalancer"]}, None),
        ({"cidr": "198.18.0.0/16"}, {"cidr": "198.18.0.0/16", "blockSize": 0}, None),
        (
            {"cidr": "198.18.0.0/28", "disabled": True},
            {"cidr": "198.18.0.0/28"},
            (500, "too small"),
        ),
    ],
)
def test_an_update_replaces_everything(api: LocalApi, stored: Object, spec: Object, outcome: t.Any) -> None:
    made = api.create(POOLS, body("new", stored))
    changed = {**made, "spec": spec}
    if outcome is None:
        full = {**WRITTEN, **spec}
        if not full["blockSize"]:
            full["blockSize"] = 26
        assert api.replace(POOLS, changed)["spec"] == full
        assert api.get(STORED, "new")["spec"] == full
        return
    with pytest.raises(ApiError, match=outcome[1]) as caught:
        api.replace(POOLS, changed)
    assert caught.value.status == outcome[0]
    assert api.get(STORED, "new")["spec"] == made["spec"]


@pytest.mark.parametrize(
    ("patch", "kind"),
    [
        ({"spec": {"disabled": None, "natOutgoing": True}}, "merge"),
        ({"spec": {"disabled": None, "natOutgoing": True}}, "strategic"),
        (
            [{"op": "remove", "path": "/spec/disabled"}, {"op": "add", "path": "/spec/natOutgoing", "value": True}],
            "json",
        ),
    ],
)
def test_every_kind_of_patch(api: LocalApi, patch: t.Any, kind: str) -> None:
    api.create(POOLS, body("new", SMALL_BLOCKS))
    changed = api.patch(POOLS, "new", patch, patch_type=kind)["spec"]
    assert changed == {**WRITTEN, "cidr": "198.18.0.0/16", "blockSize": 28, "natOutgoing": True}


def test_versions_and_uids_are_looked_at(api: LocalApi) -> None:
    made = api.create(POOLS, body("new", SMALL_BLOCKS))
    api.patch(POOLS, "new", {"spec": {"natOutgoing": True}})
    with pytest.raises(Conflict):
        api.replace(POOLS, made)
    with pytest.raises(Conflict):
        api.patch(POOLS, "new", {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}})
    del made["metadata"]["resourceVersion"]
    assert refused(lambda: api.replace(POOLS, made)) == (
        422,
        'ippools.projectcalico.org "new" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
        "for an update",
    )
    below = api.get(STORED, "new")["metadata"]["uid"]
    with pytest.raises(Conflict, match="UID in the precondition"):
        api.delete(POOLS, "new", uid=below)
    api.delete(POOLS, "new", uid=made["metadata"]["uid"])


def test_an_update_drops_what_stands_on_the_resource_alone(api: LocalApi) -> None:
    directly(api, "new", {"cidr": "198.18.0.0/16"})
    api.patch(STORED, "new", {"metadata": {"finalizers": ["example.com/f"], "labels": {"a": "b"}}})
    assert api.get(POOLS, "new")["metadata"]["finalizers"] == ["example.com/f"]
    api.patch(POOLS, "new", {"metadata": {"finalizers": None}, "spec": {"natOutgoing": True}})
    below = api.get(STORED, "new")["metadata"]
    assert "finalizers" not in below and "labels" not in below
    assert api.get(POOLS, "new")["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("spec", "change", "outcome"),
    [
        ({"cidr": "FD00:1::/64", "blockSize": 122}, {"natOutgoing": True}, (500, "spec.cidr: .*cannot be changed")),
        ({"cidr": "198.18.0.0/16", "namespaceSelector": "has(a)"}, {"natOutgoing": True}, (500, "namespaceSelector")),
        ({"cidr": "198.18.0.0/16", "nodeSelector": "has("}, {"natOutgoing": True}, (422, " NodeSelector: ")),
        ({"cidr": "198.18.0.0/16", "nodeSelector": "has("}, {"nodeSelector": "all()"}, None),
        (
            {"cidr": "198.18.0.0/16", "allowedUses": ["LoadBalancer"]},
            {"allowedUses": ["Workload"]},
            (422, "AllowedUses"),
        ),
    ],
)
def test_pools_written_past_the_rules(api: LocalApi, spec: Object, change: Object, outcome: t.Any) -> None:
    directly(api, "new", spec)
    if outcome is None:
        assert api.patch(POOLS, "new", {"spec": change})["spec"].items() >= change.items()
        return
    with pytest.raises(ApiError, match=outcome[1]) as caught:
        api.patch(POOLS, "new", {"spec": change})
    assert caught.value.status == outcome[0]


def test_overlap_is_not_looked_at_again(api: LocalApi) -> None:
    api.create(POOLS, body("new", {"cidr": "172.22.0.0/16"}))
    directly(api, "other", {"cidr": "172.22.4.0/22"})
    assert api.patch(POOLS, "other", {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"] == {"a": "b"}


def test_the_status_has_a_path_of_its_own(api: LocalApi) -> None:
    made = api.create(POOLS, body("new", SMALL_BLOCKS))
    conditions = [
        {"type": "X", "status": "True", "reason": "Y", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ]
    assert "status" not in api.patch(POOLS, "new", {"status": {"conditions": conditions}})
    told = api.replace(POOLS, {**made, "spec": {}, "status": {"conditions": conditions}}, subresource="status")
    assert told["status"] == {"conditions": conditions}
    assert told["spec"] == made["spec"]
    assert api.get(STORED, "new")["status"] == {"conditions": conditions}


# ---- reading


def test_reads_default_and_watches_do_not(api: LocalApi) -> None:
    start = api.list(POOLS).resource_version
    directly(api, "new", {"cidr": "198.18.0.0/16"})
    full = {**WRITTEN, "cidr": "198.18.0.0/16"}
    assert api.get(POOLS, "new")["spec"] == full
    assert [pool["spec"] for pool in api.list(POOLS, field_selector="metadata.name=new").items] == [full]
    seen: list[Object] = []
    end = api.subscribe(POOLS, lambda event: seen.append(event.object))
    api.patch(STORED, "new", {"spec": {"natOutgoing": True}})
    end()
    watched = [event.object for event in api.watch(POOLS, resource_version=start)]
    bare = {"cidr": "198.18.0.0/16", "nodeSelector": "all()", "assignmentMode": "Automatic"}
    assert [each["spec"] for each in watched] == [bare, {**bare, "natOutgoing": True}]
    assert seen == watched[1:]
    assert {each["apiVersion"] for each in watched} == {"projectcalico.org/v3"}


def test_selectors_see_the_labels_that_are_shown(api: LocalApi) -> None:
    start = api.list(POOLS).resource_version
    api.create(POOLS, body("new", SMALL_BLOCKS, labels={"team": "net"}))
    assert [each["metadata"]["name"] for each in api.list(POOLS, label_selector="team=net").items] == ["new"]
    assert api.list(STORED, label_selector="team=net").items == []
    api.patch(POOLS, "new", {"metadata": {"labels": {"team": None}}})
    events = [event.type for event in api.watch(POOLS, resource_version=start, label_selector="team=net")]
    assert events == ["ADDED", "DELETED"]


# ---- delete


def affinities(api: LocalApi) -> list[str]:
    return [each["metadata"]["name"] for each in api.list(CRD_V1.affinities).items]


def test_a_delete_goes_step_by_step() -> None:
    twin = local_twin("small", installation="apiserver")
    api = LocalApi(twin.server, "alice")
    assert affinities(api)
    blocks = len(api.list(CRD_V1.blocks).items)
    steps = twin.server.deleting(POOLS, "default-ipv4-ippool")
    assert next(steps) == 0.5
    assert api.get(POOLS, "default-ipv4-ippool")["spec"]["disabled"] is True
    assert affinities(api)
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value.object["status"] == "Success"
    assert api.list(POOLS).items == [] and affinities(api) == []
    assert len(api.list(CRD_V1.blocks).items) == blocks
    assert not any("affinity" in block["spec"] for block in api.list(CRD_V1.blocks).items)


def test_a_pool_that_goes_while_it_is_deleted(twin: Twin, api: LocalApi) -> None:
    api.create(POOLS, body("new", SMALL_BLOCKS))
    steps = twin.server.deleting(POOLS, "new")
    next(steps)
    api.delete(POOLS, "new")
    with pytest.raises(Fault) as caught:
        next(steps)
    assert (caught.value.code, caught.value.message) == (404, 'ippools.projectcalico.org "new" not found')


def test_the_version_guards_the_disabling_only(twin: Twin, api: LocalApi) -> None:
    made = api.create(POOLS, body("new", {"cidr": "198.18.0.0/16"}))
    steps = twin.server.deleting(POOLS, "new")
    next(steps)
    with pytest.raises(Conflict):
        api.delete(POOLS, "new", resource_version=made["metadata"]["resourceVersion"])
    api.delete(POOLS, "new", resource_version=api.get(POOLS, "new")["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"cidr": "FD00:1::/64", "blockSize": 122}, "cannot be changed"),
        ({"cidr": "198.18.0.0/16", "namespaceSelector": "has(a)"}, "cannot have namespaceSelector"),
        ({"cidr": "198.18.0.0/16", "nodeSelector": "has("}, "because of Tag: selector"),
    ],
)
def test_a_delete_that_cannot_disable(api: LocalApi, spec: Object, words: str) -> None:
    """Any refusal is a 500 then; switched off by a direct write, the pool can be deleted (spec ippool.md 3.3)."""
    directly(api, "new", spec)
    code, text = refused(lambda: api.delete(POOLS, "new"))
    assert (code, words in text) == (500, True)
    assert "disabled" not in api.get(STORED, "new")["spec"]
    api.patch(STORED, "new", {"spec": {"disabled": True}})
    api.delete(POOLS, "new")
    with pytest.raises(NotFound):
        api.get(STORED, "new")


def test_a_dry_run_of_a_delete(api: LocalApi) -> None:
    api.create(POOLS, body("new", {"cidr": "198.18.0.0/16"}))
    api.delete(POOLS, "new", dry_run=True)
    assert "disabled" not in api.get(POOLS, "new")["spec"]


# ---- the other kinds


def test_the_settings(api: LocalApi) -> None:
    spec = {"strictAffinity": True, "autoAllocateBlocks": True, "maxBlocksPerHost": 4}
    made = api.create(CRD_V3.config, {**head(CRD_V3.config), "metadata": {"name": "default"}, "spec": spec})
    try:
        assert (made["kind"], made["spec"]) == ("IPAMConfiguration", spec)
        assert api.get(CRD_V1.config, "default")["spec"].items() >= spec.items()
    finally:
        api.delete(CRD_V3.config, "default")
    other = {**head(CRD_V3.config), "metadata": {"name": "other"}, "spec": spec}
    assert refused(lambda: api.create(CRD_V3.config, other)) == (500, "IPAM config resource name has to be default")
    assert api.list(CRD_V1.config).items == []


@pytest.mark.parametrize(
    ("cidrs", "code"),
    [
        (["192.168.0.0/28"], 0),
        (["192.168.0.4"], 500),
        (["192.168.0.0/28", "192.168.0.0/28"], 500),
        (["nothing"], 422),
    ],
)
def test_reservations(api: LocalApi, cidrs: list[str], code: int) -> None:
    made = {**head(CRD_V3.reservations), "metadata": {"name": "r"}, "spec": {"reservedCIDRs": cidrs}}
    if code:
        assert refused(lambda: api.create(CRD_V3.reservations, made))[0] == code
        return
    api.create(CRD_V3.reservations, made)
    assert api.get(CRD_V1.reservations, "r")["spec"] == {"reservedCIDRs": cidrs}
    api.delete(CRD_V3.reservations, "r")
    assert api.list(CRD_V1.reservations).items == []


def test_affinities_and_the_cluster_record(api: LocalApi) -> None:
    found = api.list(CRD_V3.affinities).items
    assert len(found) == len(affinities(api)) > 0
    assert {each["spec"]["deleted"] for each in found} == {False}
    name, change = found[0]["metadata"]["name"], {"spec": {"state": "pending"}}
    for call in (
        lambda: api.create(CRD_V3.affinities, {**found[0], "metadata": {"name": "new"}}),
        lambda: api.patch(CRD_V3.affinities, name, change),
        lambda: api.delete(CRD_V3.affinities, name),
    ):
        code, text = refused(call)
        assert (code, "read-only" in text) == (500, True)
    assert api.patch(CRD_V3.affinities, name, change, dry_run=True)["spec"]["state"] == "pending"
    assert api.list(CRD_V3.affinities).items == found
    record = api.get(CRD_V3.cluster_information, "default")
    assert record["spec"]["calicoVersion"] == "v3.33.0"
    assert refused(lambda: api.create(CRD_V3.cluster_information, record))[0] == 405
    assert api.list(PROFILES).items == []
