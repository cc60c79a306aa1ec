# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What may be released is tested in _operations/test_release_addresses.py; here the module does it to a cluster."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))

from leaks import leak
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.modules import ipam_audit_info, ipam_release

from .module_runner import failure, run_module


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    # As slow as reality, or the twin's own collector would be faster than we are.
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        handle.settle()
        handle.ask("/twin/v1/clock", {"speed": 1})
        yield handle


def test_an_audit_is_released(twin: TwinHandle, tmp_path: Path) -> None:
    leak(twin, "192.168.200.1", "gone")
    leak(twin, "192.168.200.2", "other")
    audit = run_module(ipam_audit_info.main, kubeconfig=twin.kubeconfig)
    assert [row["certainty"] for row in audit["leaked"]] == ["certain", "certain"]
    lines = tmp_path / "lines"
    options = {"kubeconfig": twin.kubeconfig, "audit": audit, "interval": 1, "progress_file": str(lines)}
    would = run_module(ipam_release.main, check=True, **{**options, "interval": 1000})
    assert would["changed"] and 900 < would["confirm_in"] <= 1000
    assert len(run_module(ipam_audit_info.main, kubeconfig=twin.kubeconfig)["leaked"]) == 2
    did = run_module(ipam_release.main, **options)
    assert [row["address"] for row in did["released"]] == ["192.168.200.1", "192.168.200.2"]
    assert did["released"] == would["released"] and did["diff"] == would["diff"]
    assert "2 of 2 addresses released" in lines.read_text()
    assert "\nreleased 192.168.200.1, pod shop/gone on node-1: its pod is gone\n" in lines.read_text()
    again = run_module(ipam_release.main, **options)
    assert not again["changed"] and again["released"] == []
    assert {kept["reason"] for kept in again["kept"]} == {"it is not allocated"}
    assert run_module(ipam_audit_info.main, kubeconfig=twin.kubeconfig)["findings"] == []


def test_an_address_in_use_and_one_that_is_free(twin: TwinHandle) -> None:
    pod = twin.ask("/api/v1/namespaces/shop/pods")["items"][0]
    addresses = [{"address": pod["status"]["podIP"]}, {"address": "192.168.77.7", "kind": "unknown"}]
    result = run_module(ipam_release.main, kubeconfig=twin.kubeconfig, addresses=addresses, interval=0)
    assert not result["changed"]
    reasons = {kept["address"]: kept["reason"] for kept in result["kept"]}
    assert reasons[pod["status"]["podIP"]] == f"it is in use by pod shop/{pod['metadata']['name']}"
    assert reasons["192.168.77.7"] == "it is not allocated"
    (warning,) = result["warnings"]
    assert f"{pod['status']['podIP']} was not released: it is in use by pod shop/" in str(warning)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"audit": {"leaked": [], "taken": "2026-08-20T09:00:00Z", "cluster": "x"}}, "taken on another cluster"),
        ({"audit": {"findings": []}}, "no list named leaked"),
        ({"addresses": [{"address": "10.0.0"}]}, "10.0.0"),
        ({"handles": [""]}, "an empty text is no handle"),
        ({"handles": ["a"], "interval": -1}, "interval: -1 is negative"),
    ],
)
def test_wrong_input(twin: TwinHandle, options: dict[str, t.Any], words: str) -> None:
    assert words in failure(ipam_release.main, kubeconfig=twin.kubeconfig, **options)
