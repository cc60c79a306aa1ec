# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ``ippool`` and both procedures do in every way of installing Calico: one suite, in virtual time."""

from __future__ import annotations

import copy
import typing as t

import pytest
from modes_lab import DEFAULT, Lab, Mode
from procedures import change_block_size, migrate_pool
from simulation import Write, simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ServerError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    CUSTOM_RESOURCE_DEFINITIONS,
    IP_POOLS,
    NAMESPACES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_address, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_info

MODES = [
    Mode("crd_v1"),
    Mode("crd_v3"),
    Mode("apiserver"),
    Mode("etcd"),
    Mode("apiserver", operator=True),
    Mode("crd_v3", operator=True),
]
UNMANAGED = [mode for mode in MODES if not mode.operator]
AGGREGATED = [mode for mode in UNMANAGED if mode.installation == "apiserver"]
V3 = [mode for mode in UNMANAGED if mode.installation == "crd_v3"]
# Where nothing but the API server itself stands between a writer and the pools.
DIRECT = [mode for mode in UNMANAGED if mode.installation in ("crd_v1", "crd_v3")]

FIELDS: tuple[tuple[dict[str, t.Any], dict[str, t.Any]], ...] = (
    ({"nat_outgoing": True}, {"natOutgoing": True}),
    ({"nat_outgoing": False}, {"natOutgoing": False}),
    ({"ipip_mode": "Always"}, {"ipipMode": "Always"}),
    ({"ipip_mode": "CrossSubnet"}, {"ipipMode": "CrossSubnet"}),
    ({"ipip_mode": "Never", "vxlan_mode": "Always"}, {"ipipMode": "Never", "vxlanMode": "Always"}),
    ({"vxlan_mode": "CrossSubnet"}, {"vxlanMode": "CrossSubnet"}),
    ({"vxlan_mode": "Never"}, {"vxlanMode": "Never"}),
    ({"disable_bgp_export": True}, {"disableBGPExport": True}),
    ({"disable_bgp_export": False}, {"disableBGPExport": False}),
    ({"node_selector": 'zone == "a"'}, {"nodeSelector": 'zone == "a"'}),
    ({"assignment_mode": "Manual"}, {"assignmentMode": "Manual"}),
    ({"assignment_mode": "Automatic"}, {"assignmentMode": "Automatic"}),
    ({"allowed_uses": ["Workload"]}, {"allowedUses": ["Workload"]}),
    ({"disabled": True}, {"disabled": True}),
    ({"disabled": False}, {"disabled": False}),
)
# An Installation has no word for it.
NAMESPACES_OF = (
    ({"namespace_selector": 'team == "red"'}, 'team == "red"'),
    ({"namespace_selector": "all()"}, "all()"),
    ({"namespace_selector": ""}, ""),
)


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture(params=MODES, ids=str)
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(request.param) as here:
        yield here


@pytest.fixture(params=UNMANAGED, ids=str)
def unmanaged(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(request.param) as here:
        yield here


@pytest.fixture(params=DIRECT, ids=str)
def direct(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(request.param) as here:
        yield here


@pytest.fixture(params=AGGREGATED, ids=str)
def aggregated(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(request.param) as here:
        yield here


@pytest.fixture(params=[mode for mode in MODES if mode.operator], ids=str)
def operated(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(request.param) as here:
        yield here


@pytest.fixture(params=V3, ids=str)
def v3(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(request.param) as here:
        yield here


# The life of a pool


def test_create_change_every_field_and_delete(lab: Lab) -> None:
    wanted = {"cidr": "10.7.0.0/16", "block_size": 28, "labels": {"team": "red"}, "annotations": {"note": "x"}}
    planned = lab.present("life", check=True, **wanted)
    assert lab.pool("life") is None
    made = lab.present("life", **wanted)
    assert made.plan == planned.plan and made.pool["spec"] == planned.pool["spec"]
    shown = t.cast("t.Any", lab.pool("life")).shown()
    assert shown["spec"]["blockSize"] == 28
    assert shown["labels"].items() >= {"team": "red"}.items()
    assert shown["annotations"].items() >= {"note": "x"}.items()
    for given, stored in FIELDS:
        planned = lab.present("life", check=True, **given)
        changed = lab.present("life", **given)
        assert changed.plan == planned.plan and changed.plan.changed, given
        spec = t.cast("t.Any", lab.pool("life")).shown()["spec"]
        assert {key: spec[key] for key in stored} == stored
        count = len(lab.simulated.writes)
        assert not lab.present("life", **given).plan.changed, given
        assert len(lab.simulated.writes) == count
    for given, stored in NAMESPACES_OF:
        if lab.mode.operator:
            if stored:
                with pytest.raises(Refused, match="its Installation has no such member"):
                    lab.present("life", **given)
            continue
        planned = lab.present("life", check=True, **given)
        changed = lab.present("life", **given)
        assert changed.plan == planned.plan and changed.plan.changed, given
        assert (lab.stored("life")["spec"].get("namespaceSelector") or "") == stored
        assert not lab.present("life", **given).plan.changed, given
    relabelled = lab.present("life", labels={"team": "blue", "note": "n"})
    assert relabelled.plan.changed
    assert t.cast("t.Any", lab.pool("life")).labels.items() >= {"team": "blue", "note": "n"}.items()
    assert lab.absent("life", check=True).changed
    assert lab.pool("life") is not None
    assert lab.absent("life").changed
    assert lab.pool("life") is None
    assert not lab.absent("life").changed


def test_the_plan_says_where_and_what(lab: Lab) -> None:
    write = lab.present("teal", check=True, cidr="10.7.0.0/16", nat_outgoing=True)
    assert [step.target for step in write.plan.steps] == [write.where]
    assert "10.7.0.0/16" in write.plan.diff()["after"]
    lab.present("teal", cidr="10.7.0.0/16", nat_outgoing=True)
    diff = lab.present("teal", check=True, disabled=True).plan.diff()
    assert diff["before"] != diff["after"]
    if lab.mode.operator:
        assert write.where == "Installation default spec.calicoNetwork.ipPools"
        assert "disableNewAllocations: true" in diff["after"]
    elif lab.mode.installation == "etcd":
        assert write.where == "etcd key /calico/resources/v3/projectcalico.org/ippools/teal"
    else:
        assert write.where == "IPPool teal"
        assert "disabled: true" in diff["after"]


def test_what_is_shown_of_pools(lab: Lab) -> None:
    """``ippool_info``: read defaults, conditions, owner, place and use, wherever the pools are."""
    lab.present("teal", cidr="10.7.0.0/24", disabled=True, labels={"team": "red"})
    lab.advance(5)
    context = Context({"name": None, "cidr": None}, False, lab.api, lambda event: None, lambda text: None, lab.api)
    found = ippool_info.operate(context)
    assert (found["mode"], found["strays"], found["damaged"]) == (lab.mode.installation, [], [])
    default, teal = found["pools"]
    assert (default["name"], teal["name"]) == (DEFAULT, "teal")
    defaults = {"blockSize": 26, "nodeSelector": "all()", "allowedUses": ["Workload", "Tunnel"]}
    assert teal["spec"].items() >= {**defaults, "disabled": True, "natOutgoing": False}.items()
    assert teal["labels"].items() >= {"team": "red"}.items()
    assert teal["owner"] == default["owner"] == (OPERATOR if lab.mode.operator else None)
    assert teal["where"] == lab.present("teal", disabled=True).where
    assert not teal["terminating"]
    told = [each["type"] for each in teal["conditions"]]
    assert told == (["Allocatable"] if lab.mode.installation == "crd_v3" else [])
    assert teal["utilization"]["addresses"] == {"capacity": 256, "in_use": 0, "reserved": 0, "free": 256}
    use = default["utilization"]
    held = lab.blocks_in("192.168.0.0/16")
    assert use["blocks"]["allocated"] == len(held) == sum(node["blocks"] for node in use["nodes"]) > 0
    assert use["addresses"]["in_use"] >= len(lab.pod_addresses()) > 0


def test_what_asks_for_a_pool_is_told_before_it_is_disabled(lab: Lab) -> None:
    lab.present("teal", cidr="10.7.0.0/16")
    annotations = {"cni.projectcalico.org/ipv4pools": '["teal"]'}
    lab.admin.patch(NAMESPACES, "default", {"metadata": {"annotations": annotations}})
    for warnings in (lab.present("teal", check=True, disabled=True).plan.warnings, lab.absent("teal").warnings):
        assert any("Namespace default: annotation cni.projectcalico.org/ipv4pools" in each for each in warnings)


def test_a_pool_in_use_is_not_deleted(lab: Lab) -> None:
    lab.present("other", cidr="10.7.0.0/16")
    before = lab.stored(DEFAULT)["spec"]
    count = len(lab.simulated.writes)
    with pytest.raises(Refused, match="addresses in use, so it cannot be deleted"):
        lab.absent(DEFAULT)
    assert len(lab.simulated.writes) == count
    assert lab.stored(DEFAULT)["spec"] == before


def test_the_last_pool_is_not_deleted(lab: Lab) -> None:
    with pytest.raises(Refused, match="no other enabled IPv4 pool is left"):
        lab.absent(DEFAULT)
    assert not lab.simulated.writes


# What is refused before anything is written


WRONG: tuple[tuple[dict[str, t.Any], str], ...] = (
    ({"cidr": "192.168.4.0/22"}, "V24"),
    ({"cidr": "10.7.0.0/16", "block_size": 33}, "V7"),
    ({"cidr": "10.7.0.0/28"}, "V8"),
    ({"cidr": "10.7.0.0/16", "ipip_mode": "Always", "vxlan_mode": "Always"}, "V9"),
    ({"cidr": "10.7.0.0/16", "node_selector": "has("}, "V18"),
    ({"cidr": "10.7.0.1/16"}, "V4"),
    ({"cidr": "169.254.0.0/20"}, "V5"),
)


def test_rules_are_checked_by_ourselves(lab: Lab) -> None:
    for params, rule in WRONG:
        for check in (True, False):
            with pytest.raises(InvalidPool) as caught:
                lab.present("wrong", check=check, **params)
            assert caught.value.rule == rule
    assert not lab.simulated.writes
    assert lab.pool("wrong") is None


def test_what_cannot_be_changed_in_place(lab: Lab) -> None:
    for params, rule in (({"cidr": "192.168.0.0/17"}, "V21"), ({"block_size": 28}, "V22")):
        with pytest.raises(InvalidPool) as caught:
            lab.present(DEFAULT, **params)
        assert caught.value.rule == rule
    assert not lab.simulated.writes


def test_blocks_that_were_left_behind(lab: Lab) -> None:
    """A pool is deleted past us, and its blocks stay: their ground is for pools of their size only."""
    lab.present("other", cidr="10.7.0.0/16")
    if lab.mode.installation == "crd_v3":
        lab.declare(DEFAULT, disabled=True)  # for its finalizer to go
        lab.advance(5)
    lab.undeclare(DEFAULT)
    lab.advance(5)
    assert lab.pool(DEFAULT) is None and lab.blocks_in("192.168.0.0/16")
    count = len(lab.simulated.writes)
    for check in (True, False):
        with pytest.raises(InvalidPool) as caught:
            lab.present("again", check=check, cidr="192.168.0.0/16", block_size=28)
        assert caught.value.rule == "V25"
    assert len(lab.simulated.writes) == count
    assert lab.present("again", cidr="192.168.0.0/16", block_size=26).plan.changed


def test_nothing_is_done_while_the_datastore_is_locked(lab: Lab) -> None:
    """Pods that a drain restarts would get no address, so it stops as well."""
    lab.present("other", cidr="10.7.0.0/16")
    count = len(lab.simulated.writes)
    # Calico's API server serves it to readers only.
    api = lab.admin.raw if lab.mode.installation == "apiserver" else lab.admin
    api.patch(CLUSTER_INFORMATIONS, "default", {"spec": {"datastoreReady": False}})
    runs: tuple[t.Callable[[], t.Any], ...] = (
        lambda: lab.present("teal", cidr="10.8.0.0/16"),
        lambda: lab.present("other", check=True, disabled=True),
        lambda: lab.absent("other"),
        lambda: lab.procedure().drain(DEFAULT),
    )
    for run in runs:
        with pytest.raises(Refused, match="datastoreReady: false, so Calico's datastore is locked"):
            run()
    assert len(lab.simulated.writes) == count


# Others write at the same time


LIFE: tuple[tuple[str, t.Callable[[Lab], t.Any]], ...] = (
    ("create", lambda lab: lab.present("life", cidr="10.7.0.0/16", labels={"made": "here"})),
    ("change", lambda lab: lab.present("life", nat_outgoing=True, labels={"a": "b"})),
    ("disable", lambda lab: lab.present("life", disabled=True)),
    ("enable", lambda lab: lab.present("life", disabled=False)),
    ("delete", lambda lab: lab.absent("life")),
)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_conflict_at_each_write(mode: Mode) -> None:
    """Somebody else changes what is about to be written, each write in its turn: it is refused, and decided anew."""
    meddler = Meddler()
    with Lab(mode, before=meddler, after=meddler.done) as here:
        meddler.lab = here
        writes = meddler.life(0)
        assert {run for run, _write in writes} == {run for run, _do in LIFE}
        if mode.operator:
            # Labels are written to the pool, everything else to the list.
            kinds = {"create": ["Installation", "IPPool"], "change": ["Installation", "IPPool"]}
            kinds.update(disable=["Installation"], enable=["Installation"], delete=["Installation", "Installation"])
            for run, expected in kinds.items():
                assert [write.resource.kind for name, write in writes if name == run] == expected
        for number, (run, write) in enumerate(writes, 1):
            met = meddler.life(number)
            assert meddler.refused == [write.verb], f"{run}: {write}"
            # Nothing but the refused write was sent once more; what somebody has created meanwhile is changed.
            told = [(name, each.verb, each.resource.kind) for name, each in met]
            again = [(name, each.verb, each.resource.kind) for name, each in writes]
            again.insert(number, (run, "patch" if write.verb == "create" else write.verb, write.resource.kind))
            assert told == again, f"{run}: {write}"


@pytest.mark.parametrize("mode", [Mode("crd_v1"), Mode("etcd")], ids=str)
def test_two_overlapping_pools_at_the_same_time(mode: Mode) -> None:
    """Where nobody else compares them, the later one comes to nothing."""

    def before(write: Write) -> None:
        if (write.verb, write.name) == ("create", "small"):
            here.put("large", cidr="10.7.0.0/16", blockSize=28)

    with Lab(mode, before=before) as here:
        with pytest.raises(Refused, match="created at the same time as 'large' .10.7.0.0/16., and the two overlap"):
            here.present("small", cidr="10.7.4.0/24")
        assert here.stored("small")["spec"]["disabled"] is True
        assert "disabled" not in here.stored("large")["spec"]
        assert here.absent("small").changed


def test_a_calico_that_knows_fewer_fields() -> None:
    with Lab(Mode("crd_v1")) as here:
        crd = copy.deepcopy(here.admin.raw.get(CUSTOM_RESOURCE_DEFINITIONS, "ippools.crd.projectcalico.org"))
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
        del spec["x-kubernetes-validations"], spec["properties"]["assignmentMode"]
        del spec["properties"]["namespaceSelector"]
        here.admin.raw.replace(CUSTOM_RESOURCE_DEFINITIONS, crd)
        here.advance(3)
        made = here.present("old", cidr="10.7.0.0/16")
        assert "assignmentMode" not in here.stored("old")["spec"]
        assert made.pool["spec"]["assignmentMode"] == "Automatic"
        assert not here.present("old", assignment_mode="Automatic", namespace_selector="").plan.changed
        young: tuple[tuple[dict[str, t.Any], str], ...] = (
            ({"assignment_mode": "Manual"}, "assignmentMode Manual: that came with Calico v3.30"),
            ({"allowed_uses": ["LoadBalancer"]}, "the use LoadBalancer: that came with Calico v3.30"),
            ({"allowed_uses": ["Workload"], "namespace_selector": "has(x)"}, "namespaceSelector: that .* v3.31"),
        )
        for params, words in young:
            for check in (True, False):
                with pytest.raises(Refused, match=words):
                    here.present("old", check=check, **params)
        assert here.absent("old").changed


class Meddler:
    """Changes the object of one write just before that write is sent, and sees what comes of it."""

    def __init__(self) -> None:
        self.number = 0
        self.run = ""
        self.sent: list[tuple[str, Write]] = []
        self.refused: list[str] = []
        self.lab: Lab | None = None

    def life(self, number: int) -> list[tuple[str, Write]]:
        """The writes of a pool's whole life, of which that one is meddled with; each run ends as it should."""
        lab = t.cast("Lab", self.lab)
        self.number, self.sent, self.refused = number, [], []
        for self.run, do in LIFE:
            do(lab)
            pool = lab.pool("life")
            assert (pool is None) == (self.run == "delete")
            if pool is not None:
                assert bool(pool.spec.get("natOutgoing")) == (self.run != "create"), self.run
                assert bool(pool.spec.get("disabled")) == (self.run == "disable"), self.run
                assert pool.annotations.get("other") in (None, str(number))
        return self.sent

    def __call__(self, write: Write) -> None:
        if self.lab is None or write.resource.kind not in ("IPPool", "Installation"):
            return
        self.sent.append((self.run, write))
        if len(self.sent) != self.number:
            return
        self.refused.append(write.verb)
        if write.verb == "create":
            self.lab.put(write.name, cidr="10.7.0.0/16", blockSize=26)
        else:
            annotations = {"other": str(self.number)}
            self.lab.admin.patch(write.resource, write.name, {"metadata": {"annotations": annotations}})

    def done(self, write: Write) -> None:
        """Called for writes that were not refused."""
        if self.sent and self.sent[-1][1] is write and len(self.sent) == self.number:
            self.refused.remove(write.verb)


# Pools that were stored before a rule existed


def test_a_cidr_in_another_spelling(lab: Lab) -> None:
    """Whoever sends whole pools cannot update this one: what they send is another text."""
    lab.present("six", cidr="fd77::/64")
    lab.store("six", cidr="FD77:0:0:0::/64")
    lab.advance(2)
    count = len(lab.simulated.writes)
    assert not lab.present("six", cidr="fd77::/64").plan.changed
    if lab.mode.operator or lab.mode.installation == "apiserver":
        group = "crd.projectcalico.org" if lab.mode.installation == "apiserver" else "projectcalico.org"
        way_out = f"kubectl patch ippools.{group} six" + ".* in its entry" * lab.mode.operator
        for run in (lambda: lab.present("six", disabled=True), lambda: lab.absent("six")):
            with pytest.raises(Refused, match=way_out):
                run()
        assert len(lab.simulated.writes) == count
        if lab.mode.operator:
            lab.declare("six", disabled=True)
        lab.store("six", disabled=True)
        lab.advance(2)
    else:
        assert lab.present("six", disabled=True).plan.changed
        assert lab.stored("six")["spec"]["cidr"] == "FD77:0:0:0::/64"
    assert lab.absent("six").changed
    assert lab.pool("six") is None


def test_a_selector_that_does_not_parse(lab: Lab) -> None:
    """Where the server would refuse it today, an older Calico has stored it."""
    lab.present("broken", cidr="10.7.0.0/16", allowed_uses=["Workload"])
    lab.seed("broken", nodeSelector='zone = "a"')
    with pytest.raises(InvalidPool, match="put node_selector right in the same call") as caught:
        lab.present("broken", nat_outgoing=True)
    assert caught.value.rule == "V18"
    assert lab.present("broken", nat_outgoing=True, node_selector='zone == "a"').plan.changed
    assert lab.stored("broken")["spec"]["nodeSelector"] == 'zone == "a"'
    lab.seed("broken", nodeSelector="has(")
    if lab.mode.installation == "apiserver":
        # Which disables a pool before it deletes it.
        count = len(lab.simulated.writes)
        with pytest.raises(InvalidPool, match="put node_selector right in the same call") as caught:
            lab.absent("broken")
        assert caught.value.rule == "V18"
        assert [write for write in lab.simulated.writes[count:] if write.resource.kind == "Installation"] == []
        lab.present("broken", node_selector="all()")
    assert lab.absent("broken").changed
    assert lab.pool("broken") is None


def test_both_encapsulations(unmanaged: Lab) -> None:
    """The rule is younger than the pool: every change of the spec meets it, so the repair goes into the same call."""
    unmanaged.present("old", cidr="10.7.0.0/16", ipip_mode="Always")
    unmanaged.store("old", vxlanMode="Always")
    with pytest.raises(InvalidPool, match="set ipip_mode or vxlan_mode to Never in the same call") as caught:
        unmanaged.present("old", disabled=True)
    assert caught.value.rule == "V9"
    if unmanaged.mode.installation != "etcd":  # where nobody checks what is written
        with pytest.raises(InvalidPool, match="set ipip_mode or vxlan_mode to Never in the same call"):
            unmanaged.absent("old")
    assert unmanaged.present("old", disabled=True, vxlan_mode="Never").plan.changed
    assert unmanaged.absent("old").changed


def test_host_bits(lab: Lab) -> None:
    """They cannot be repaired, so nothing of such a pool can change and only an empty one can go."""
    lab.present("old", cidr="10.7.0.0/16")
    lab.store("old", cidr="10.7.0.1/16")
    with pytest.raises(InvalidPool, match="this pool can only be emptied and deleted") as caught:
        lab.present("old", disabled=True)
    assert caught.value.rule == "V4"
    if lab.mode.installation == "apiserver":
        count = len(lab.simulated.writes)
        entry = "take its entry out of the Installation and " if lab.mode.operator else ""
        with pytest.raises(Refused, match=f"{entry}delete it .*kubectl delete ippools.crd.projectcalico.org old"):
            lab.absent("old")
        assert len(lab.simulated.writes) == count
        if lab.mode.operator:
            lab.undeclare("old")
        lab.destroy("old")
        lab.advance(2)
        assert lab.pool("old") is None
        return
    assert lab.absent("old").changed
    assert lab.pool("old") is None


def test_a_cidr_that_is_none() -> None:
    """Only the v1 CRDs of old let that in."""
    lab = Lab(Mode("crd_v1"))
    lab.present("old", cidr="10.7.0.0/16")
    lab.store("old", cidr="somewhere")
    with pytest.raises(InvalidPool, match="this pool can only be emptied and deleted"):
        lab.present("old", disabled=True)
    with pytest.raises(InvalidPool, match="this pool can only be emptied and deleted"):
        lab.present("old", labels={"a": "b"})
    assert lab.absent("old").changed
    assert lab.pool("old") is None


# Calico's API server


def test_the_api_server_goes_down_before_a_write() -> None:
    def down(write: Write) -> None:
        raise ServerError("the server is currently unable to handle the request", 503, "ServiceUnavailable")

    with Lab(Mode("apiserver"), down) as lab, pytest.raises(Refused, match="is down .503.; run this again"):
        lab.present("teal", cidr="10.7.0.0/16")


# The procedures


def test_change_block_size(lab: Lab) -> None:
    change_block_size(lab.api, DEFAULT, 28, {"cidr": "10.0.0.0/16"})
    lab.advance(60)
    assert {parse_network(text).prefix for text in lab.blocks_in("192.168.0.0/16")} == {28}
    assert not lab.blocks_in("10.0.0.0/16") and not lab.affinities_in("10.0.0.0/16")
    healthy(lab, "192.168.0.0/16")
    again = Lab.writes(lab)
    change_block_size(lab.api, DEFAULT, 28, {"cidr": "10.0.0.0/16"})
    assert Lab.writes(lab) == again


def test_migrate_pool(lab: Lab) -> None:
    migrate_pool(lab.api, DEFAULT, {"name": "new", "cidr": "10.0.0.0/16"})
    lab.advance(60)
    assert lab.pool(DEFAULT) is None
    assert not lab.blocks_in("192.168.0.0/16") and not lab.affinities_in("192.168.0.0/16")
    healthy(lab, "10.0.0.0/16")


def healthy(lab: Lab, cidr: str) -> None:
    network = parse_network(cidr)
    addresses = lab.pod_addresses()
    assert addresses and all(network.contains(parse_address(text)) for text in addresses)
    record = lab.twin.recorder.record()
    assert (record["outages"], record["budget_violations"], record["addresses_outside_pools"]) == ([], [], [])


# The Tigera operator


def test_what_is_done_past_the_installation_is_undone(operated: Lab) -> None:
    operated.present("teal", cidr="10.7.0.0/16")
    operated.edit("teal", natOutgoing=True)
    count = len(operated.simulated.writes)
    assert not operated.present("teal", nat_outgoing=False).plan.changed
    assert not operated.stored("teal")["spec"].get("natOutgoing")
    operated.admin.delete(IP_POOLS, "teal")
    assert not operated.present("teal", nat_outgoing=False).plan.changed
    assert operated.pool("teal") is not None
    assert len(operated.simulated.writes) == count


def test_the_operator_deletes_what_is_not_in_its_list(operated: Lab) -> None:
    """So no pool is copied with the operator's label, nor left with it when its entry has gone."""
    definition = operated.stored(DEFAULT)
    operated.present("copy", definition=definition, cidr="10.7.0.0/16")
    operated.advance(60)
    assert operated.pool("copy") is not None
    operated.put("stray", labels={OWNER_LABEL: OPERATOR}, cidr="10.8.0.0/16", blockSize=26)
    with pytest.raises(Refused, match="the Tigera operator deletes such a pool"):
        operated.present("stray", disabled=True)
    operated.advance(60)
    assert operated.pool("stray") is None


# v3 CRDs: conditions and the finalizer


def test_a_new_pool_is_waited_for(v3: Lab) -> None:
    made = v3.present("new", cidr="10.7.0.0/16")
    assert made.plan.changed
    condition = v3.stored("new")["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("Allocatable", "True")


def test_an_overlapped_pool_is_told(v3: Lab) -> None:
    """Somebody's pool holds the ground by the time that ours is enabled again, which no rule forbids."""
    v3.present("mine", cidr="10.7.0.0/16", disabled=True)
    v3.put("theirs", cidr="10.7.4.0/22", blockSize=26)
    v3.advance(3)
    with pytest.raises(Refused, match="CIDROverlap, because IPPool 'theirs'"):
        v3.present("mine", disabled=False)
    v3.admin.patch(IP_POOLS, "theirs", {"spec": {"disabled": True}})
    assert not v3.present("mine", disabled=False).plan.changed


def test_a_terminating_pool_is_waited_for(v3: Lab) -> None:
    v3.present("new", cidr="10.7.0.0/16")
    v3.admin.delete(IP_POOLS, "new")
    assert v3.pool("new") is not None
    planned = v3.present("new", check=True, cidr="10.7.0.0/16", block_size=28)
    assert [step.action for step in planned.plan.steps] == ["wait", "create"]
    made = v3.present("new", cidr="10.7.0.0/16", block_size=28)
    assert made.plan.changed and made.pool["spec"]["blockSize"] == 28


def test_a_deletion_that_somebody_began_is_finished(v3: Lab) -> None:
    v3.present("new", cidr="10.7.0.0/16")
    v3.admin.delete(IP_POOLS, "new")
    assert v3.absent("new").changed
    assert v3.pool("new") is None


def test_a_terminating_pool_with_pods_is_not_pushed(v3: Lab) -> None:
    v3.present("other", cidr="10.7.0.0/16")
    v3.admin.delete(IP_POOLS, DEFAULT)
    v3.advance(3)
    with pytest.raises(Refused, match="addresses in use"):
        v3.absent(DEFAULT)
    assert v3.pool(DEFAULT) is not None
