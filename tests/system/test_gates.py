# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gates of a procedure on a cluster in this process, in virtual time and in every installation."""

from __future__ import annotations

import typing as t

import pytest
from modes_lab import DEFAULT, Lab, Mode
from simulation import simulate

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.gates import GateRequest, pass_gate
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_stores

INSTALLATIONS = ("crd_v1", "crd_v3", "apiserver", "etcd")


@pytest.fixture(autouse=True)
def _virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)


@pytest.fixture(params=INSTALLATIONS)
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    with Lab(Mode(request.param)) as found:
        yield found


@pytest.fixture
def usual() -> t.Iterator[Lab]:
    with Lab(Mode("crd_v1")) as found:
        yield found


def gate(lab: Lab, name: str, pool: str = DEFAULT, **options: t.Any) -> dict[str, t.Any]:
    stores = open_stores(lab.api)
    report: t.Callable[[object], object] = lambda event: lab.events.append(str(event))  # noqa: E731
    return pass_gate(lab.api, stores, GateRequest(name, pool, **options), clock=lab.clock, report=report)


def test_the_way_of_a_pool_that_is_replaced(lab: Lab) -> None:
    with pytest.raises(Refused, match="all 2 nodes: no other enabled IPv4 pool is left"):
        gate(lab, "before_disable")
    lab.present("new", cidr="10.0.0.0/16", ipip_mode="Always")
    before = gate(lab, "before_disable", target="new")
    assert before["stop_way"] == "disabled"
    assert [each["type"] for each in before["tunnels"]] == ["ipipTunnelAddress"] * 2
    with pytest.raises(Refused, match="gives out addresses"):
        gate(lab, "after_disable")
    lab.declare(DEFAULT, disabled=True)
    after = gate(lab, "after_disable", tunnels=before["tunnels"])
    assert len(after["tunnels"]) == 2 and after["not_ready"] == []
    assert any("tunnel addresses are out of it" in line for line in lab.events)
    with pytest.raises(Refused, match=r"is still in use and must not be deleted: \d pod\(s\) \("):
        gate(lab, "before_delete")
