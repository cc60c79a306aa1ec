# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples in the documentation of our plugins work on the tutorial cluster, as they stand."""

from __future__ import annotations

import importlib
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from playbook import BIN, Outcome, environment
from twin_fixture import TwinHandle, start_twin

ROOT = Path(__file__).parents[2]
# Modules that change what the examples of others find there come last: these two disable and empty the cluster's pool.
LAST = ["ippool_gate", "ippool_drain"]
LOOKUPS = sorted(path.stem for path in (ROOT / "plugins/lookup").glob("*.py"))
SIDECARS = sorted((ROOT / "plugins").glob("filter/*.yml")) + sorted((ROOT / "plugins").glob("test/*.yml"))
MODULES = sorted({path.stem for path in (ROOT / "plugins/modules").glob("*.py")} - set(LAST)) + LAST


def examples(name: str, kind: str = "modules") -> list[dict[str, t.Any]]:
    found = importlib.import_module(f"ansible_collections.calico_ops.ipam.plugins.{kind}.{name}")
    return t.cast("list[dict[str, t.Any]]", yaml.safe_load(found.EXAMPLES))


def examples_beside(sidecar: Path) -> list[dict[str, t.Any]]:
    documents = yaml.safe_load(sidecar.read_text(encoding="utf-8"))
    assert documents["DOCUMENTATION"]["name"] == sidecar.stem
    return t.cast("list[dict[str, t.Any]]", yaml.safe_load(documents["EXAMPLES"]))


@pytest.fixture
def twin(tmp_path: Path) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path, "tutorial", speed=40) as handle:
        yield handle


def nodes_own_configuration(tmp_path: Path) -> Path:
    """What a node has in /etc/cni/net.d, for the module that looks there."""
    directory = tmp_path / "net.d"
    directory.mkdir()
    text = '{"name": "k8s-pod-network", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}'
    (directory / "10-calico.conflist").write_text(text, encoding="utf-8")
    return directory


def test_the_examples_run(twin: TwinHandle, tmp_path: Path) -> None:
    tasks = {f"{path.parent.name} {path.stem}": examples_beside(path) for path in SIDECARS}
    tasks.update({f"lookup {name}": examples(name, "lookup") for name in LOOKUPS})
    tasks.update({module: examples(module) for module in MODULES})
    plays = [
        {
            "name": name,
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {"group/calico_ops.ipam.cluster": {"kubeconfig": twin.kubeconfig}},
            # Lookups have no defaults of their group; they read the variables of our playbooks.
            "vars": {"calico_ops_kubeconfig": twin.kubeconfig},
            "tasks": own,
        }
        for name, own in tasks.items()
    ]
    # What the examples write may be somebody's own.
    text = yaml.safe_dump(plays, sort_keys=False)
    for name in ("rehearsal", "ipam"):
        text = text.replace(f"/tmp/{name}", str(tmp_path / name))
    text = text.replace("/etc/cni/net.d", str(nodes_own_configuration(tmp_path)))
    (tmp_path / "examples.yml").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), str(tmp_path / "examples.yml")],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    outcome = Outcome(done.returncode, done.stdout)
    assert outcome.code == 0, outcome.output
    assert outcome.recap()["failed"] == 0
    for name in tasks:
        assert f"PLAY [{name}]" in outcome.output
