# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reading is tested in _operations/test_cni_files.py and test_host_routes.py; here what the module makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.modules import cni_config_info

from .module_runner import failure, run_module

PINNED = {"plugins": [{"type": "calico", "ipam": {"type": "calico-ipam", "ipv4_pools": ["192.168.0.0/16"]}}]}


@pytest.fixture
def net_d(tmp_path: Path) -> str:
    (tmp_path / "10-calico.conflist").write_text(json.dumps(PINNED), encoding="utf-8")
    return str(tmp_path)


def test_what_the_node_has(net_d: str) -> None:
    result = run_module(cni_config_info.main, path=net_d)
    assert (result["changed"], result["calico"], result["ipam_type"]) == (False, True, "calico-ipam")
    assert (result["file"], result["ipv4_pools"]) == (f"{net_d}/10-calico.conflist", ["192.168.0.0/16"])
    assert (result["findings"], result["routes"], len(result["files"])) == ([], [], 1)


@pytest.mark.parametrize("pool", ["192.168.0.0/16", "192.168.0.0/15"])
def test_what_speaks_against_draining_a_pool(net_d: str, pool: str) -> None:
    (finding,) = run_module(cni_config_info.main, path=net_d, pools=["default-ipv4-ippool", pool])["findings"]
    assert (finding["id"], finding["severity"], finding["hazards"]) == ("cni-config-pins-pool", "blocker", ["B16"])


def test_without_any_file(tmp_path: Path) -> None:
    result = run_module(cni_config_info.main, path=str(tmp_path))
    assert (result["file"], result["calico"], result["ipam_type"]) == ("", False, "")
    assert [finding["id"] for finding in result["findings"]] == ["calico-ipam-in-use"]


def test_routes_of_pools_that_are_gone(net_d: str) -> None:
    # Nobody routes the range for documentation.
    result = run_module(cni_config_info.main, path=net_d, gone=["203.0.113.0/24"])
    assert (result["routes"], result["findings"]) == ([], [])


def test_bad_input_is_one_sentence(net_d: str) -> None:
    assert "cannot be read" in failure(cni_config_info.main, path="/nowhere")
    assert failure(cni_config_info.main, path=net_d, gone=["10.0.0.1/16"]).startswith("gone: ")
    (Path(net_d) / "00-broken.conf").write_text("{", encoding="utf-8")
    assert "00-broken.conf' is no CNI configuration" in failure(cni_config_info.main, path=net_d)
