# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin on a twin with several contexts, one of a cluster that is gone and one of a server that says nothing."""

from __future__ import annotations

import json
import socket
import sys
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.inventory import kubeconfig
from ansible_collections.calico_ops.ipam.plugins.inventory.kubeconfig import InventoryModule

NAME = InventoryModule.NAME
CLOUD = "arn:aws:eks:eu-west-1:1:cluster/prod"


def load() -> InventoryModule:
    """The plugin with the options of its documentation, as Ansible's loader makes it."""
    options = get_docstring(kubeconfig.__file__, fragment_loader, plugin_type="inventory")[0]["options"]
    constants.config.initialize_plugin_configuration_definitions("inventory", NAME, options)
    plugin = InventoryModule()
    plugin._load_name = NAME
    return plugin


class Fleet:
    """A directory with kubeconfig files of one twin."""

    def __init__(self, directory: Path, twin: TwinHandle) -> None:
        self.directory = directory
        self.config = yaml.safe_load(Path(twin.kubeconfig).read_text(encoding="utf-8"))

    def kubeconfig(self, path: str, **servers: str | None) -> None:
        """A file with a context for each server; None is the twin."""
        (context,), (cluster,) = self.config["contexts"], self.config["clusters"]
        clusters = [
            {"name": name, "cluster": {**cluster["cluster"], **({"server": url} if url else {})}}
            for name, url in servers.items()
        ]
        contexts = [{"name": name, "context": {**context["context"], "cluster": name}} for name in servers]
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(yaml.safe_dump({**self.config, "clusters": clusters, "contexts": contexts}), encoding="utf-8")

    def inventory(self, flush: bool = False, **options: t.Any) -> InventoryData:
        source = self.directory / "my-fleet.yml"
        source.write_text(yaml.safe_dump({"plugin": NAME, **options}), encoding="utf-8")
        plugin = load()
        assert plugin.verify_file(str(source))
        found = InventoryData()
        plugin.parse(found, DataLoader(), str(source), cache=not flush)
        if options.get("cache"):
            plugin.update_cache_if_changed()
        found.reconcile_inventory()
        return found


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50, operator=True) as handle:
        yield handle


@pytest.fixture
def fleet(twin: TwinHandle, tmp_path: Path) -> Fleet:
    return Fleet(tmp_path, twin)


@pytest.fixture
def silent() -> t.Iterator[str]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"https://127.0.0.1:{server.getsockname()[1]}"


def members(found: InventoryData, group: str) -> list[str]:
    return sorted(host.name for host in found.groups[group].get_hosts())


def test_a_host_for_each_context_in_groups_by_what_it_is(fleet: Fleet, silent: str) -> None:
    fleet.kubeconfig("config", **{"prod-a": None, CLOUD: None, "gone": "https://127.0.0.1:1", "silent": silent})
    began = time.monotonic()
    found = fleet.inventory(kubeconfig=["config"], timeout=3)
    assert time.monotonic() - began < 9
    up = ["arn-aws-eks-eu-west-1-1-cluster-prod", "prod-a"]
    assert members(found, "clusters") == sorted([*up, "gone", "silent"])
    for group in ("reachable_clusters", "calico_mode_crd_v1", "calico_operator"):
        assert members(found, group) == up
    assert [name for name in found.groups if name.startswith("calico_version_3_")]
    assert members(found, "unreachable_clusters") == ["gone", "silent"]
    variables = {name: host.get_vars() for name, host in found.hosts.items()}
    assert variables["gone"]["calico_ops_reason"].startswith("No Kubernetes API server answers at 127.0.0.1:1")
    assert variables["silent"]["calico_ops_reason"]
    cloud = variables[up[0]]
    assert cloud["calico_ops_context"] == CLOUD
    assert cloud["calico_ops_kubeconfig"] == str(fleet.directory / "config")
    # The Tigera operator without Calico's API server.
    assert (cloud["calico_ops_supported"], cloud["calico_ops_mode"]) == (False, "crd_v1")
    assert cloud["calico_ops_stop"].startswith("The Tigera operator manages the IP pools")
    assert (cloud["ansible_connection"], cloud["ansible_python_interpreter"]) == ("local", sys.executable)


def test_files_patterns_and_groups_of_the_users_own(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("paris", "oslo", "lab"):
        fleet.kubeconfig(f"{name}/admin.conf", **{"admin@local": None})
    (fleet.directory / "broken").mkdir()
    (fleet.directory / "broken/admin.conf").write_text("contexts: []", encoding="utf-8")
    found = fleet.inventory(
        kubeconfig=["*/admin.conf", "nowhere/*"],
        exclude=["la?"],
        keyed_groups=[{"key": "calico_ops_mode", "prefix": "mode"}],
        groups={"canary": "inventory_hostname == 'oslo'"},
        compose={"where": "calico_ops_mode ~ '/' ~ calico_ops_context"},
    )
    assert members(found, "clusters") == ["oslo", "paris"]
    assert members(found, "mode_crd_v1") == ["oslo", "paris"]
    assert members(found, "canary") == ["oslo"]
    assert found.hosts["paris"].get_vars()["where"] == "crd_v1/admin@local"
    warned = " ".join(capsys.readouterr().err.split())
    assert "No kubeconfig matches nowhere/*." in warned
    assert "broken/admin.conf is not a kubeconfig with contexts" in warned
    assert "The hosts oslo, paris are the same cluster" in warned


def test_without_asking(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.kubeconfig("config", gone="https://127.0.0.1:1")
    monkeypatch.setenv("KUBECONFIG", str(fleet.directory / "config"))
    found = fleet.inventory(discover=False)
    assert members(found, "clusters") == ["gone"]
    assert "unreachable_clusters" not in found.groups
    assert "calico_ops_reachable" not in found.hosts["gone"].get_vars()


def test_answers_are_kept_and_silence_is_not(fleet: Fleet) -> None:
    kept = {
        "cache": True,
        "cache_plugin": "jsonfile",
        "cache_connection": str(fleet.directory / "kept"),
        "kubeconfig": ["config"],
    }
    fleet.kubeconfig("config", prod=None, late="https://127.0.0.1:1")
    assert members(fleet.inventory(**kept), "reachable_clusters") == ["prod"]
    # Now the one is gone and the other is back.
    fleet.kubeconfig("config", prod="https://127.0.0.1:1", late=None)
    assert members(fleet.inventory(**kept), "reachable_clusters") == ["late", "prod"]
    # --flush-cache asks anew, and so does time.
    assert members(fleet.inventory(flush=True, **kept), "reachable_clusters") == ["late"]
    (file,) = (fleet.directory / "kept").iterdir()
    assert '"late"' not in file.read_text(encoding="utf-8").replace("config\\nlate", "")
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert str(stored).count("taken") == 1
    key = f"{fleet.directory}/config\nlate"
    for damaged in ({}, [], {"x": 7}, {key: {"taken": "soon", "facts": {}}}):
        file.write_text(json.dumps(damaged), encoding="utf-8")
        assert members(fleet.inventory(**kept), "reachable_clusters") == ["late"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kubeconfig": ["missing"]}, "does not exist"),
        ({"kubeconfig": ["twice"]}, "would both be the host"),
        ({"kubeconfig": ["config"], "timeout": 0}, "timeout must be a number of seconds above 0, not 0"),
        ({"kubeconfig": ["my-fleet.yml"]}, "is not a kubeconfig with contexts"),
    ],
)
def test_what_cannot_be_an_inventory_gets_one_sentence(fleet: Fleet, options: dict[str, t.Any], words: str) -> None:
    fleet.kubeconfig("twice", **{"a:b": None, "a/b": None})
    fleet.kubeconfig("config", prod=None)
    with pytest.raises(AnsibleParserError, match=words) as caught:
        fleet.inventory(**options)
    assert "my-fleet.yml: " in str(caught.value) and "\n" not in str(caught.value)


def test_other_files_are_left_to_other_plugins(fleet: Fleet) -> None:
    plugin = load()
    (fleet.directory / "hosts.yml").touch()
    assert not plugin.verify_file(str(fleet.directory / "hosts.yml"))
    assert not plugin.verify_file(str(fleet.directory / "missing-fleet.yml"))


def test_the_examples_have_options_that_exist() -> None:
    load()
    known = set(constants.config.get_configuration_definitions("inventory", NAME))
    examples = list(yaml.safe_load_all(kubeconfig.EXAMPLES))
    assert len(examples) == 2
    for example in examples:
        assert set(example) <= known and example["plugin"] == NAME
