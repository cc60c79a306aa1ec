# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Kubespray's default values are found: the collection first, then checkouts."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from ansible import constants as C
from ansible.errors import AnsibleError

from ansible_collections.calico_ops.ipam.plugins.lookup.kubespray_roles import LookupModule


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(C, "DEFAULT_ROLES_PATH", [])
    monkeypatch.setenv("PWD", str(tmp_path / "elsewhere"))


def make(roles: Path, *names: str) -> list[str]:
    for name in names or ("kubespray_defaults", "network_plugin/calico_defaults"):
        (roles / name / "defaults").mkdir(parents=True)
    return [str(roles / name) for name in names or ("kubespray_defaults", "network_plugin/calico_defaults")]


def look(*terms: str, inventory: Path | None = None) -> list[str]:
    variables = {} if inventory is None else {"inventory_dir": str(inventory)}
    return LookupModule().run(list(terms), variables)


def test_nowhere() -> None:
    assert look() == []
    assert look("") == []


def test_around_the_inventory(tmp_path: Path) -> None:
    wanted = make(tmp_path / "roles")
    assert look(inventory=tmp_path / "inventory/mycluster") == wanted


def test_where_ansible_was_started(tmp_path: Path) -> None:
    assert look() == []
    assert look() == [] and make(tmp_path / "elsewhere/roles") == look()


def test_the_roles_path_comes_before_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "elsewhere/roles")
    make(tmp_path / "roles")
    wanted = make(tmp_path / "mine")
    monkeypatch.setattr(C, "DEFAULT_ROLES_PATH", [str(tmp_path / "nothing"), str(tmp_path / "mine")])
    assert look(inventory=tmp_path / "inventory/mycluster") == wanted


def test_a_checkout_that_is_named_comes_first(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere/roles")
    wanted = make(tmp_path / "kubespray/roles")
    assert look(str(tmp_path / "kubespray")) == wanted
    with pytest.raises(AnsibleError, match="no roles of Kubespray in .*/nothing/roles"):
        look(str(tmp_path / "nothing"))


def test_releases_with_a_dash_and_with_one_role(tmp_path: Path) -> None:
    wanted = make(tmp_path / "old/roles", "kubespray-defaults", "network_plugin/calico_defaults")
    assert look(str(tmp_path / "old")) == wanted
    wanted = make(tmp_path / "older/roles", "kubespray-defaults", "network_plugin/calico")
    assert look(str(tmp_path / "older")) == wanted[:1]


def test_the_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "elsewhere/roles")
    make(tmp_path / "collection/roles")
    for name in ("ansible_collections.kubernetes_sigs", "ansible_collections.kubernetes_sigs.kubespray"):
        package = types.ModuleType(name)
        package.__path__ = [str(tmp_path / "collection")]
        monkeypatch.setitem(sys.modules, name, package)
    assert look() == [
        "kubernetes_sigs.kubespray.kubespray_defaults",
        "kubernetes_sigs.kubespray.network_plugin.calico_defaults",
    ]


def test_a_collection_of_releases_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a role has no name in a collection, but a path."""
    first, _second = make(tmp_path / "collection/roles", "kubespray-defaults", "network_plugin/calico_defaults")
    for name in ("ansible_collections.kubernetes_sigs", "ansible_collections.kubernetes_sigs.kubespray"):
        package = types.ModuleType(name)
        package.__path__ = [str(tmp_path / "collection")]
        monkeypatch.setitem(sys.modules, name, package)
    assert look() == [first, "kubernetes_sigs.kubespray.network_plugin.calico_defaults"]
