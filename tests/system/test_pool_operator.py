# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pools of the Tigera operator in the states that an operator at rest never leaves behind (spec ippool.md §10).

The operator here does no more than make pools of entries, and only when it is told to.
"""

from __future__ import annotations

import typing as t

import pytest
from modes_lab import DEFAULT
from operator_lab import OWNED, Operated
from procedures import change_block_size, migrate_pool, mortal
from runbook import Runbook
from simulation import Write, simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    INSTALLATIONS,
    IP_POOLS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput, InvalidPool, Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import (
    entry_of,
)


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture
def lab() -> Operated:
    return Operated()


def test_only_the_one_entry_changes(lab: Operated) -> None:
    before = lab.entries()
    lab.present("teal", cidr="10.7.0.0/16", block_size=28)
    assert lab.entries()[:1] == before
    lab.present("teal", nat_outgoing=True)
    lab.present(DEFAULT, disable_bgp_export=True)
    assert lab.entries()[0] == {**before[0], "disableBGPExport": True}
    lab.absent("teal")
    assert [entry["name"] for entry in lab.entries()] == [DEFAULT]
    assert "patch IPPool teal" not in lab.writes() and "delete IPPool teal" not in lab.writes()


def test_what_is_edited_past_the_installation_is_put_back(lab: Operated) -> None:
    """Nothing has to be written for it, but it has to be waited for."""
    lab.edit(DEFAULT, natOutgoing=False)
    assert not lab.present(DEFAULT, nat_outgoing=True).plan.changed
    assert lab.stored(DEFAULT)["spec"]["natOutgoing"] is True
    assert not lab.simulated.writes


def test_an_entry_without_a_pool_is_waited_for(lab: Operated) -> None:
    lab.asleep = True
    with pytest.raises(Refused, match="the operator has not made the pool; TigeraStatus ippools has no complaint"):
        lab.present("teal", cidr="10.7.0.0/16")
    lab.says("no APIServer\nis there")
    with pytest.raises(Refused, match="TigeraStatus ippools is Degraded: no APIServer is there"):
        lab.present("teal", cidr="10.7.0.0/16")
    lab.says(None)
    lab.asleep = False
    assert not lab.present("teal", cidr="10.7.0.0/16").plan.changed
    assert lab.pool("teal") is not None


def test_an_entry_without_a_pool_can_be_taken_out(lab: Operated) -> None:
    lab.asleep = True
    with pytest.raises(Refused):
        lab.present("teal", cidr="10.7.0.0/16", timeout=2)
    assert lab.absent("teal").changed
    assert [entry["name"] for entry in lab.entries()] == [DEFAULT]


def test_labels_of_a_new_pool_follow_it(lab: Operated) -> None:
    write = lab.present("teal", cidr="10.7.0.0/16", labels={"team": "red"})
    assert [step.target for step in write.plan.steps] == [write.where, "IPPool teal"]
    assert t.cast("t.Any", lab.pool("teal")).labels == {"team": "red", **OWNED}
    assert not lab.present("teal", labels={"team": "red"}).plan.changed


def test_the_operators_label_is_never_written(lab: Operated) -> None:
    with pytest.raises(InvalidInput, match="it deletes a pool that has it without an entry"):
        lab.present("teal", cidr="10.7.0.0/16", labels=OWNED)
    definition = lab.stored(DEFAULT)
    write = lab.present("teal", check=True, definition=definition, cidr="10.7.0.0/16")
    assert OWNER_LABEL not in str(write.create)


@pytest.mark.parametrize(
    ("metadata", "spec", "words"),
    [
        (OWNED, {"cidr": "10.9.0.0/16", "blockSize": 26}, "the Tigera operator deletes such a pool"),
        ({}, {"cidr": "10.7.0.0/16", "blockSize": 26, "natOutgoing": True}, "its TigeraStatus ippools is Degraded"),
        ({}, {"cidr": "10.7.0.0/16"}, "never adopts a pool without encapsulation, blockSize or allowedUses"),
        ({}, {"cidr": "10.8.0.0/16", "blockSize": 26}, "cannot change the CIDR of a pool"),
    ],
)
def test_pools_that_two_lay_claim_to(lab: Operated, metadata: dict[str, str], spec: t.Any, words: str) -> None:
    lab.asleep = True
    lab.put("teal", labels=metadata, **spec)
    if spec["cidr"] != "10.9.0.0/16":
        lab.write(*lab.entries(), entry_of("teal", {"cidr": "10.7.0.0/16"}))
    for run in (lambda: lab.present("teal", disabled=True), lambda: lab.absent("teal")):
        with pytest.raises(Refused, match=words):
            run()
    assert not lab.simulated.writes


def test_a_pool_of_nobody_is_written_itself(lab: Operated) -> None:
    lab.put("mine", cidr="10.9.0.0/16", blockSize=26)
    write = lab.present("mine", disabled=True)
    assert write.where == "IPPool mine" and lab.writes() == ["patch IPPool mine"]
    assert lab.absent("mine").changed
    assert len(lab.entries()) == 1


def test_what_an_installation_cannot_say(lab: Operated) -> None:
    with pytest.raises(Refused, match="cannot have namespaceSelector"):
        lab.present("teal", cidr="10.7.0.0/16", allowed_uses=["Workload"], namespace_selector="has(x)")
    with pytest.raises(Refused, match="refuses for disabled pools, too"):
        lab.present("teal", cidr="10.7.0.0/28", disabled=True)
    for params in ({"cidr": "10.7.0.0/16"}, {"block_size": 28}):
        with pytest.raises(InvalidPool, match="which stays Degraded until the entry is put back"):
            lab.present(DEFAULT, **params)
    assert not lab.simulated.writes


def test_no_more_than_25_entries(lab: Operated) -> None:
    lab.asleep = True
    more = [entry_of(f"pool-{number}", {"cidr": f"10.{number}.0.0/16"}) for number in range(24)]
    lab.write(*lab.entries(), *more)
    with pytest.raises(Refused, match="25 are the most the operator takes"):
        lab.present("teal", cidr="10.77.0.0/16", check=True)


def test_an_operator_of_old() -> None:
    lab = Operated(old=True)
    lab.present("teal", cidr="10.7.0.0/16")
    with pytest.raises(Refused, match="came with operator v1.36 and Calico v3.29; set node_selector to '!all"):
        lab.present("teal", disabled=True, check=True)
    with pytest.raises(Refused, match="does not know assignmentMode"):
        lab.present("teal", assignment_mode="Manual")
    assert lab.present("teal", node_selector="!all()").plan.changed


def test_a_pool_the_operator_ignores(lab: Operated) -> None:
    annotations = {"unsupported.operator.tigera.io/ignore": "true"}
    lab.admin.patch(IP_POOLS, DEFAULT, {"metadata": {"annotations": annotations}})
    with pytest.raises(Refused, match="does not carry changes of its entry out"):
        lab.present(DEFAULT, nat_outgoing=False)
    # The annotation itself can be taken off, and put on again.
    for given in (dict.fromkeys(annotations), annotations):
        write = lab.present(DEFAULT, annotations=given)
        assert write.plan.changed and write.pool["annotations"] == {key: each for key, each in given.items() if each}
        assert not lab.present(DEFAULT, annotations=given).plan.changed
    lab.present("teal", cidr="10.7.0.0/16")
    lab.present("teal", annotations=annotations)
    with pytest.raises(Refused, match="does not carry changes of its entry out"):
        lab.absent("teal")


def test_a_change_of_labels_alone_is_shown_as_it_is_stored(lab: Operated) -> None:
    planned = lab.present(DEFAULT, check=True, labels={"team": "red"}, annotations={"note": "Gr\u00fc\u00dfe"})
    done = lab.present(DEFAULT, labels={"team": "red"}, annotations={"note": "Gr\u00fc\u00dfe"})
    assert done.pool == planned.pool == t.cast("t.Any", lab.pool(DEFAULT)).shown()
    assert done.pool["labels"] == {"team": "red", **OWNED}


@pytest.mark.parametrize("value", [None, "Helm"])
def test_the_operators_label_is_not_taken_away(lab: Operated, value: str | None) -> None:
    """Nor in silence, nor along with others."""
    for labels in ({OWNER_LABEL: value}, {OWNER_LABEL: value, "team": "red"}):
        with pytest.raises(Refused, match="puts that back; leave it out of labels"):
            lab.present(DEFAULT, labels=labels)
    assert not lab.simulated.writes
    lab.put("mine", cidr="10.9.0.0/16", blockSize=26)
    assert lab.present("mine", labels={OWNER_LABEL: value}).plan.changed == (value is not None)


def test_what_would_make_the_operator_stop(lab: Operated) -> None:
    """It carries out nothing of its list while one entry is wrong, or no pool is enabled."""
    lab.admin.patch(INSTALLATIONS, "default", {"spec": {"calicoNetwork": {"bgp": "Disabled"}}})
    with pytest.raises(Refused, match="has bgp Disabled, and then the Tigera operator takes no pool with IPIP"):
        lab.present("teal", cidr="10.7.0.0/16", ipip_mode="CrossSubnet")
    lab.present("teal", cidr="10.7.0.0/16", vxlan_mode="CrossSubnet")
    lab.present("teal", disabled=True)
    lab.edit(DEFAULT, disabled=True)
    lab.write(*({**entry, "disableNewAllocations": True} for entry in lab.entries()))
    lab.present("teal", disabled=False)
    with pytest.raises(Refused, match="is the last pool that is not disabled"):
        lab.present("teal", disabled=True)
    lab.put("mine", cidr="10.9.0.0/16", blockSize=26)
    assert lab.present("teal", disabled=True).plan.changed


def test_a_helm_release_is_named(lab: Operated) -> None:
    annotations = {"meta.helm.sh/release-name": "calico", "meta.helm.sh/release-namespace": "tigera-operator"}
    lab.admin.patch(INSTALLATIONS, "default", {"metadata": {"annotations": annotations}})
    warnings = lab.present(DEFAULT, check=True, nat_outgoing=False).plan.warnings
    assert any("Helm release tigera-operator/calico" in warning for warning in warnings)


def test_somebody_else_changes_the_list(lab: Operated) -> None:
    """Their entry survives ours, and ours theirs."""

    def meddle(write: Write) -> None:
        if write.resource == INSTALLATIONS and write.number == 1:
            other.write(*other.entries(), entry_of("theirs", {"cidr": "10.8.0.0/16"}))

    other = Operated(before=meddle)
    other.present("ours", cidr="10.7.0.0/16")
    assert [entry["name"] for entry in other.entries()] == [DEFAULT, "theirs", "ours"]


def test_an_emptied_list_is_not_begun_anew(lab: Operated) -> None:
    """The operator would delete what it made of the list of before."""
    lab.asleep = True
    lab.write()
    with pytest.raises(Refused, match=f"the list is empty, {DEFAULT} carry the label .* put their entries back first"):
        lab.present("teal", cidr="10.7.0.0/16")
    assert lab.entries() == []


@pytest.mark.parametrize("resize", [False, True])
def test_whole_procedures_with_an_operator_of_old(resize: bool) -> None:
    """Operators before v1.36 have no word for a disabled pool: a selector that matches nothing stops it instead."""
    lab = Operated(old=True)
    target = {"name": "new", "cidr": "10.0.0.0/16"}
    run = change_block_size(lab.api, DEFAULT, 28, target) if resize else migrate_pool(lab.api, DEFAULT, target)
    ways = [call.params["stop_way"] for call in run.calls if call.params.get("stop_way")]
    assert ways == ["node_selector"]
    (entry,) = lab.entries()
    assert (entry["name"], entry["nodeSelector"]) == (DEFAULT if resize else "new", "all()")
    assert "disableNewAllocations" not in entry


@pytest.mark.parametrize(("role", "old"), [("migrate_pool", False), ("change_block_size", True)])
def test_procedures_are_only_tried_out(role: str, old: bool) -> None:
    """The pool that is to take over is not there yet, and the last enabled one may not be disabled (§10.1)."""
    lab = Operated(old=old)
    asked: dict[str, t.Any] = {"migrate_pool_from": DEFAULT, "migrate_pool_to": {"name": "new", "cidr": "10.0.0.0/16"}}
    if role == "change_block_size":
        size, cidr = "change_block_size_block_size", "change_block_size_temporary_cidr"
        asked = {"change_block_size_pool": DEFAULT, size: 28, cidr: "10.0.0.0/16"}
    Runbook(lab.api, mortal(), asked, check_mode=True).play(role, "main")
    assert not lab.simulated.writes
