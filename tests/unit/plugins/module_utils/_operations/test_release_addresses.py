# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaked addresses released on a cluster in this process, with whatever may happen between the looks and the writes."""

from __future__ import annotations

import json
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[5]))

from simulation import Killed, SimulatedApi, SimulatedClock, Write
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
    NODES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.access import access_to
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.assign_ip import assign_ip
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.handle import Handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.release import ips_by_handle, release_by_handle
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit import audit
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import KubernetesRecords
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_addresses import (
    Released,
    release_leaked,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.release_request import wanted_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

LONG_AGO = "2026-08-19 09:00:00.000000001 +0000 UTC"
GONE = {"namespace": "shop", "pod": "gone", "node": "node-1", "timestamp": LONG_AGO}
FIRST, SECOND = "192.168.200.1", "192.168.200.2"
HANDLE = "k8s-pod-network.gone"


class AskedApi(SimulatedApi):
    """Something may happen when a pod is asked for by name."""

    asked: t.Callable[[], None] | None = None

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if resource == PODS and self.asked is not None:
            happen, self.asked = self.asked, None
            happen()
        return super().get(resource, name, namespace)


class WaitingClock(SimulatedClock):
    """Something may happen between the two observations."""

    def __init__(self, api: SimulatedApi) -> None:
        super().__init__(api)
        self.slept: list[float] = []
        self.during: t.Callable[[], object] | None = None

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds))
        super().sleep(seconds / 2)
        if self.during is not None:
            self.during()
        super().sleep(seconds / 2)


class Lab:
    """The small cluster, and leaks in a block of its own."""

    def __init__(self) -> None:
        self.twin = local_twin("small")
        self.admin = SimulatedApi(self.twin)
        self.store = KubernetesStore(self.admin)
        self.lines: list[str] = []
        self.api = AskedApi(self.twin)
        self.clock = WaitingClock(self.api)

    def take(self, address: str, handle: str | None = HANDLE, **attributes: str) -> None:
        """As the CNI plugin would."""
        assign_ip(
            self.store,
            parse_address(address),
            host="node-1",
            handle_id=handle,
            attributes=attributes or GONE,
            now=self.twin.clock.now,
        )

    def again(self, address: str = FIRST, handle: str = HANDLE) -> None:
        """The address is given back and handed out to the same handle once more."""
        release_by_handle(self.store, handle, now=self.twin.clock.now)
        self.take(address, handle)

    def free(self, address: str) -> bool:
        key = parse_address(address)
        block = self.store.get_block(key.network(26)).value
        return block.attribute_at(block.cidr.ordinal(key)) is None

    def handles(self) -> list[str]:
        return [item["spec"]["handleID"] for item in self.admin.list(IPAM_HANDLES).items]

    def audit(self) -> dict[str, t.Any]:
        result = audit(self.admin, KubernetesRecords(self.admin), self.store.pools(), self.clock)
        # As it comes out of one task and goes into another.
        return t.cast("dict[str, t.Any]", json.loads(json.dumps(result)))

    def release(self, *, check_mode: bool = False, api: SimulatedApi | None = None, **options: t.Any) -> Released:
        params = {"addresses": None, "handles": None, "audit": None, "certainty": "certain", "interval": 300}
        wanted = wanted_of({**params, **options})
        used = api or self.api
        return release_leaked(
            used,
            KubernetesStore(used),
            wanted,
            clock=self.clock,
            report=lambda event: self.lines.append(str(event)),
            check_mode=check_mode,
        )

    def pod(self, address: str, name: str = "gone", node: str = "node-1") -> None:
        """A pod that has the address, whatever IPAM says."""
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"nodeName": node, "containers": [{"name": "a", "image": "a"}]},
        }
        made = self.admin.create(PODS, body, "shop")
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        self.admin.replace(PODS, {**made, "status": status}, "shop", subresource="status")


@pytest.fixture
def lab() -> t.Iterator[Lab]:
    made = Lab()
    yield made
    made.twin.close()


def named(*addresses: str, kind: str = "pod") -> list[dict[str, str]]:
    return [{"address": address, "kind": kind} for address in addresses]


def reasons(released: Released) -> dict[str, str]:
    return {kept.what: kept.reason for kept in released.kept}


def freed(released: Released) -> list[str]:
    return [str(seen.address) for seen in released.addresses]


WAYS: dict[str, t.Callable[[Lab], dict[str, t.Any]]] = {
    "audit": lambda lab: {"audit": lab.audit()},
    "addresses": lambda lab: {"addresses": named(FIRST)},
    "handles": lambda lab: {"handles": [HANDLE]},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_leaked_address_goes_after_two_looks(lab: Lab, way: str) -> None:
    lab.take(FIRST)
    options = WAYS[way](lab)
    would = lab.release(check_mode=True, **options)
    assert (freed(would), would.confirm_in) == ([FIRST], 300)
    assert lab.api.writes == [] and lab.clock.slept == []
    did = lab.release(**options)
    assert lab.clock.slept == [300]
    assert freed(did) == [FIRST] and lab.free(FIRST)
    assert HANDLE not in lab.handles()
    shown, wanted = did.as_result(), would.as_result()
    assert {**shown, "confirm_in": 0} == {**wanted, "confirm_in": 0}
    (row,) = shown["released"]
    assert (row["kind"], row["handle"], row["node"], row["reason"]) == ("pod", HANDLE, "node-1", "its pod is gone")
    assert int(row["sequence"]) > 2**53 and isinstance(row["sequence"], str)
    assert f"address {FIRST}" in shown["diff"]["before"]
    assert "calico-kube-controllers is ready" in shown["notes"][0]
    again = lab.release(**options)
    assert not again.as_result()["changed"] and lab.clock.slept == [300]
    if way == "addresses":
        assert reasons(again) == {FIRST: "it is not allocated"}


def test_only_the_rest_of_the_interval_is_waited(lab: Lab) -> None:
    lab.take(FIRST)
    result = lab.audit()
    lab.twin.clock.advance(200)
    assert freed(lab.release(audit=result)) == [FIRST]
    assert lab.clock.slept == [100]


def test_an_old_audit_is_confirmed_at_once(lab: Lab) -> None:
    lab.take(FIRST)
    result = lab.audit()
    lab.twin.clock.advance(400)
    assert freed(lab.release(audit=result)) == [FIRST]
    assert lab.clock.slept == []


@pytest.mark.parametrize("options", [{"addresses": named(FIRST), "certainty": "possible"}, {"handles": [HANDLE]}])
def test_an_address_in_use_is_kept(lab: Lab, options: dict[str, t.Any]) -> None:
    lab.take(FIRST)
    lab.pod(FIRST)
    result = lab.release(**options)
    assert reasons(result) == {FIRST: "it is in use by pod shop/gone"}
    # Also when IPAM knows it under another name.
    lab.admin.delete(PODS, "gone", "shop", grace_seconds=0)
    lab.pod(FIRST, "other")
    assert reasons(lab.release(**options)) == {FIRST: "it is in use by pod shop/other"}
    assert not lab.free(FIRST) and lab.api.writes == []


@pytest.mark.parametrize("way", WAYS)
def test_a_pod_that_comes_back_between_the_look_and_the_write(lab: Lab, way: str) -> None:
    lab.take(FIRST)
    options = WAYS[way](lab)
    lab.api.asked = lambda: lab.pod(FIRST)
    result = lab.release(**options)
    assert freed(result) == [] and not lab.free(FIRST)
    assert reasons(result) == {FIRST: "by now it is in use by pod shop/gone"}
    assert lab.api.writes == []


@pytest.mark.parametrize("way", WAYS)
def test_an_address_handed_out_anew_between_the_observations(lab: Lab, way: str) -> None:
    lab.take(FIRST)
    options = WAYS[way](lab)
    lab.clock.during = lab.again
    result = lab.release(**options)
    assert reasons(result) == {FIRST: "it was handed out anew between the two observations"}
    assert not lab.free(FIRST)


@pytest.mark.parametrize("way", WAYS)
def test_an_address_handed_out_anew_right_before_the_write(lab: Lab, way: str) -> None:
    lab.take(FIRST)
    lab.take("192.168.200.9", "k8s-pod-network.other", **{**GONE, "pod": "other"})
    options = WAYS[way](lab)
    lab.api.asked = lab.again
    result = lab.release(**options)
    assert "was handed out anew: its sequence number is" in reasons(result)[FIRST]
    assert not lab.free(FIRST) and HANDLE in lab.handles()
    # One that changed does not keep the others of its block.
    assert freed(result) == (["192.168.200.9"] if way == "audit" else [])


def test_a_handle_that_grows_is_kept_as_a_whole(lab: Lab) -> None:
    lab.take(FIRST)
    lab.clock.during = lambda: lab.take(SECOND)
    result = lab.release(addresses=named(FIRST))
    assert "its handle also holds 192.168.200.2, and it was not leaked" in reasons(result)[FIRST]
    lab.clock.during = None
    assert freed(lab.release(handles=[HANDLE])) == [FIRST, SECOND]


def test_a_handle_with_an_address_in_use_is_kept_as_a_whole(lab: Lab) -> None:
    lab.take(FIRST)
    lab.take(SECOND)
    lab.pod(SECOND, "somebody")
    result = lab.release(audit=lab.audit())
    assert set(reasons(result)) == {FIRST, SECOND}
    assert reasons(result)[FIRST] == "its handle also holds 192.168.200.2, and it is in use by pod shop/somebody"


def test_every_write_may_lose_to_another(lab: Lab) -> None:
    touched: set[str] = set()

    def touch(write: Write) -> None:
        if write.verb == "replace" and write.name not in touched:
            touched.add(write.name)
            lab.admin.patch(write.resource, write.name, {"metadata": {"annotations": {"touched": "yes"}}})

    lab.take(FIRST)
    lab.take(SECOND)
    api = AskedApi(lab.twin, before=touch)
    assert freed(lab.release(api=api, handles=[HANDLE])) == [FIRST, SECOND]
    assert len(touched) == 2 and HANDLE not in lab.handles()


def test_a_kill_after_each_write_is_made_good_by_the_next_run() -> None:
    for number in range(1, 20):
        lab = Lab()
        for address, handle in ((FIRST, HANDLE), (SECOND, HANDLE), ("192.168.201.1", "k8s-pod-network.b")):
            lab.take(address, handle)
        lab.store.create_handle(Handle("k8s-pod-network.empty", {parse_network("192.168.200.0/26"): 2}))
        result = lab.audit()

        def die(write: Write, number: int = number) -> None:
            if write.number == number:
                raise Killed

        killed = False
        try:
            lab.release(api=AskedApi(lab.twin, after=die), audit=result)
        except Killed:
            killed = True
        lab.clock.during = None
        lab.release(audit=result)
        # What a crash leaves of a handle is a finding of the next audit.
        lab.release(audit=lab.audit())
        assert all(lab.free(address) for address in (FIRST, SECOND, "192.168.201.1")), number
        assert not {HANDLE, "k8s-pod-network.b", "k8s-pod-network.empty"} & set(lab.handles()), number
        assert [f for f in lab.audit()["findings"] if f["severity"] == "error"] == []
        lab.twin.close()
        if not killed:
            assert number > 5
            return
    raise AssertionError("the release has more writes than this test allows for")


def tunnel(lab: Lab, node: str) -> str:
    lab.take(FIRST, f"vxlan-tunnel-addr-{node}", node=node, type="vxlanTunnelAddress")
    return FIRST


def test_a_tunnel_of_a_node_that_is_gone_must_be_named(lab: Lab) -> None:
    tunnel(lab, "node-9")
    result = lab.audit()
    assert [row["kind"] for row in result["leaked"]] == ["tunnel"]
    assert "released only when it is named" in reasons(lab.release(audit=result))[FIRST]
    assert "released only when it is named" in reasons(lab.release(handles=["vxlan-tunnel-addr-node-9"]))[FIRST]
    assert "of kind tunnel, not pod" in reasons(lab.release(addresses=named(FIRST)))[FIRST]
    assert "of kind tunnel, not vm" in reasons(lab.release(addresses=named(FIRST, kind="vm")))[FIRST]
    assert freed(lab.release(addresses=named(FIRST, kind="tunnel"))) == [FIRST]
    assert lab.free(FIRST)


def test_a_tunnel_in_use_is_never_released(lab: Lab) -> None:
    for item in lab.admin.list(NODES).items:
        address = item["metadata"]["annotations"]["projectcalico.org/IPv4IPIPTunnelAddr"]
        result = lab.release(addresses=named(address, kind="tunnel"), certainty="possible", interval=0)
        assert reasons(result) == {address: f"it is in use by the ipipTunnelAddress of node {item['metadata']['name']}"}
    assert lab.api.writes == []


def test_a_tunnel_that_a_node_has_no_device_for_needs_two_words(lab: Lab) -> None:
    tunnel(lab, "node-1")
    assert "only possible leaked" in reasons(lab.release(addresses=named(FIRST, kind="tunnel")))[FIRST]
    assert "named in addresses" in reasons(lab.release(audit=lab.audit(), certainty="possible"))[FIRST]
    assert freed(lab.release(addresses=named(FIRST, kind="tunnel"), certainty="possible")) == [FIRST]


def test_a_holder_nobody_knows(lab: Lab) -> None:
    lab.take(FIRST, "somebody", note="by hand")
    assert "of kind unknown, not pod" in reasons(lab.release(addresses=named(FIRST), certainty="possible"))[FIRST]
    lab.pod(FIRST, "host-local")
    assert "in use by pod" in reasons(lab.release(addresses=named(FIRST, kind="unknown")))[FIRST]
    lab.admin.delete(PODS, "host-local", "shop", grace_seconds=0)
    assert freed(lab.release(addresses=named(FIRST, kind="unknown"))) == [FIRST]


def test_what_is_cooling_or_kept_by_windows(lab: Lab) -> None:
    lab.take(FIRST, "windows-reserved-ipam-handle", note="windows host rsvd")
    (block,) = [item for item in lab.admin.list(IPAM_BLOCKS).items if item["spec"]["cidr"] == "192.168.200.0/26"]
    attributes = [*block["spec"]["attributes"], {"releasedAt": "2026-08-20T09:00:00Z"}]
    allocations = [*block["spec"]["allocations"]]
    allocations[2] = 1
    free = [ordinal for ordinal in block["spec"]["unallocated"] if ordinal != 2]
    spec = {**block["spec"], "attributes": attributes, "allocations": allocations, "unallocated": free}
    lab.admin.replace(IPAM_BLOCKS, {**block, "spec": spec})
    for kind in ("pod", "unknown"):
        kept = reasons(lab.release(addresses=named(FIRST, SECOND, kind=kind), certainty="possible"))
        assert "a Windows node keeps it" in kept[FIRST]
        assert kept[SECOND] == "it was released already and cools down"


def empty_handle(lab: Lab, count: int = 2) -> Handle:
    handle = Handle(HANDLE, {parse_network("192.168.200.0/26"): count})
    lab.store.create_handle(handle)
    return handle


@pytest.mark.parametrize("way", ["audit", "handles"])
def test_a_handle_without_an_address_is_deleted(lab: Lab, way: str) -> None:
    empty_handle(lab)
    options = WAYS[way](lab)
    would = lab.release(check_mode=True, **options)
    assert would.as_result()["handles_deleted"] == [HANDLE] and HANDLE in lab.handles()
    did = lab.release(**options)
    assert did.as_result()["handles_deleted"] == [HANDLE] and did.as_result()["changed"]
    assert HANDLE not in lab.handles()
    again = lab.release(**options)
    assert not again.as_result()["changed"]
    assert reasons(again) == {HANDLE: "there is no such handle"}


@pytest.mark.parametrize("way", ["audit", "handles"])
def test_a_handle_that_changes_between_the_observations_is_kept(lab: Lab, way: str) -> None:
    handle = empty_handle(lab)
    options = WAYS[way](lab)

    def grow() -> None:
        stored = lab.store.get_handle(HANDLE)
        lab.store.update_handle(stored, Handle(HANDLE, {next(iter(handle.blocks)): 3}))

    lab.clock.during = grow
    assert reasons(lab.release(**options)) == {HANDLE: "it changed between the two observations"}
    assert HANDLE in lab.handles()


@pytest.mark.parametrize("way", ["audit", "handles"])
def test_a_handle_that_gets_an_address_between_the_observations_is_kept(lab: Lab, way: str) -> None:
    empty_handle(lab)
    options = WAYS[way](lab)
    lab.clock.during = lambda: lab.take(FIRST)
    result = lab.release(**options)
    assert HANDLE in lab.handles() and not lab.free(FIRST)
    assert result.as_result()["handles_deleted"] == []


def test_a_handle_raised_right_before_its_deletion_is_kept(lab: Lab) -> None:
    empty_handle(lab)

    def raise_it(write: Write) -> None:
        if write.number == 1:
            stored = lab.store.get_handle(HANDLE)
            lab.store.update_handle(stored, Handle(HANDLE, {parse_network("192.168.200.0/26"): 3}))

    result = lab.release(api=AskedApi(lab.twin, before=raise_it), handles=[HANDLE])
    assert reasons(result) == {HANDLE: "it changed at the last moment"}
    assert HANDLE in lab.handles()


def test_a_count_that_was_too_high_goes_with_the_last_address(lab: Lab) -> None:
    empty_handle(lab)
    lab.take(FIRST)
    assert ips_by_handle(lab.store, HANDLE, now=lab.twin.clock.now) == [parse_address(FIRST)]
    result = lab.release(addresses=named(FIRST))
    assert (freed(result), result.as_result()["handles_deleted"]) == ([FIRST], [HANDLE])
    assert HANDLE not in lab.handles()


def test_a_cooldown_keeps_what_was_released(lab: Lab) -> None:
    lab.take(FIRST)
    config = {"strictAffinity": False, "autoAllocateBlocks": True, "ipCooldownSeconds": 600}
    lab.admin.create(lab.store.config, {**_object(lab), "spec": config})
    assert access_to(lab.store, lab.twin.clock.now).settings.cooldown_seconds == 600
    assert freed(lab.release(addresses=named(FIRST))) == [FIRST]
    again = lab.release(addresses=named(FIRST))
    assert reasons(again) == {FIRST: "it was released already and cools down"}


def _object(lab: Lab) -> dict[str, t.Any]:
    config = lab.store.config
    return {"apiVersion": config.api_version, "kind": config.kind, "metadata": {"name": "default"}}


def test_a_pod_on_a_node_that_is_not_ready_is_only_possible(lab: Lab) -> None:
    lab.take(FIRST, **{**GONE, "node": "node-2"})
    node = lab.admin.get(NODES, "node-2")
    conditions = [
        {**each, "status": "Unknown"} if each["type"] == "Ready" else each for each in node["status"]["conditions"]
    ]
    lab.admin.replace(NODES, {**node, "status": {**node["status"], "conditions": conditions}}, subresource="status")
    result = lab.release(addresses=named(FIRST), certainty="likely", interval=0)
    assert "it is only possible leaked: its pod is gone, but node node-2 is not ready" in reasons(result)[FIRST]
    # Without its name no word is enough.
    for options in ({"audit": lab.audit()}, {"handles": [HANDLE]}):
        result = lab.release(certainty="possible", interval=0, **options)
        assert "it is only possible leaked" in reasons(result)[FIRST]
    assert freed(lab.release(addresses=named(FIRST), certainty="possible", interval=0)) == [FIRST]


def test_a_locked_datastore_and_another_cluster(lab: Lab) -> None:
    lab.take(FIRST)
    result = lab.audit()
    with pytest.raises(Refused, match="taken on another cluster: it names other"):
        lab.release(audit={**result, "cluster": "other"})
    lab.admin.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": False}})
    with pytest.raises(Refused, match="datastore is locked"):
        lab.release(audit=result)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"leaked": None}, "no list named leaked"),
        ({"taken": "yesterday"}, "audit.taken"),
        ({"taken": "2126-01-01T00:00:00Z"}, "in the future"),
        ({"leaked": ["10.0.0.1"]}, r"audit.leaked\[0\]: it is no mapping"),
        ({"leaked": [{"address": "nonsense", "sequence": "1"}]}, "nonsense"),
        ({"leaked": [{"address": FIRST, "sequence": 1.787217245204418e18}]}, "no whole number in decimal digits"),
        ({"leaked": [{"address": FIRST, "sequence": "1.78e18"}]}, "no whole number in decimal digits"),
        ({"leaked": [{"address": FIRST, "sequence": True}]}, "no whole number in decimal digits"),
        ({"leaked": [{"address": FIRST}]}, r"audit.leaked\[0\].sequence: None"),
    ],
)
def test_an_audit_that_was_tampered_with(lab: Lab, change: dict[str, t.Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        lab.release(audit={**lab.audit(), **change})


def test_sequence_numbers_may_come_as_integers(lab: Lab) -> None:
    lab.take(FIRST)
    result = lab.audit()
    for row in result["leaked"]:
        row["sequence"] = int(row["sequence"])
    assert freed(lab.release(audit=result, interval=0)) == [FIRST]


def test_a_connection_that_breaks_tells_how_far_it_came(lab: Lab) -> None:
    lab.take(FIRST)
    lab.take("192.168.201.1", "k8s-pod-network.b", **{**GONE, "pod": "b"})

    def fail(write: Write) -> None:
        if write.resource == IPAM_BLOCKS and write.name == "192-168-201-0-26":
            raise ServerError("etcdserver: request timed out", 500, "InternalError", {})

    with pytest.raises(ServerError) as caught:
        lab.release(api=AskedApi(lab.twin, before=fail), audit=lab.audit(), interval=0)
    assert caught.value.details["released"] == [FIRST]
    assert lab.free(FIRST) and not lab.free("192.168.201.1")
