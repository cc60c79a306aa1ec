# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection holds itself to docs/architecture.md: who may import whom, and what every file carries."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
UTILS = ROOT / "plugins" / "module_utils"
PREFIX = "ansible_collections.calico_ops.ipam.plugins.module_utils."

# What each room may import from, besides itself.
ALLOWED = {
    "_engine": set(),
    "_cluster": {"_engine"},
    "_store": {"_engine", "_cluster"},
    "_operations": {"_engine", "_cluster", "_store"},
    "_twin": {"_engine", "_cluster", "_store"},
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def room_files() -> list[Path]:
    return sorted(path for room in ALLOWED for path in (UTILS / room).rglob("*.py"))


@pytest.mark.parametrize("path", room_files(), ids=lambda path: str(path.relative_to(UTILS)))
def test_a_room_imports_only_from_below(path: Path) -> None:
    room = path.relative_to(UTILS).parts[0]
    for name in imports(path):
        if name.startswith(PREFIX):
            other = name[len(PREFIX) :].split(".")[0]
            assert other == room or other in ALLOWED[room], f"{room} imports {other}"
        assert not name.startswith("ansible.") and name != "ansible", f"{path.name} knows Ansible"
        assert name and not name.startswith("."), "imports are absolute"


def test_the_engine_is_pure() -> None:
    for path in (UTILS / "_engine").rglob("*.py"):
        outside = {
            name.split(".")[0]
            for name in imports(path)
            if not name.startswith(PREFIX) and name.split(".")[0] not in sys.stdlib_module_names
        }
        assert not outside, f"{path.name} imports {outside}"
        assert not imports(path) & {"time", "random", "os", "socket", "subprocess", "threading"}, path.name


def test_nothing_but_its_plugin_imports_the_twin() -> None:
    for path in (ROOT / "plugins").rglob("*.py"):
        inside = path.is_relative_to(UTILS / "_twin") or path == ROOT / "plugins" / "action" / "twin.py"
        assert inside or not any(name.startswith(f"{PREFIX}_twin") for name in imports(path)), path


@pytest.mark.parametrize("suffix", [".py", ".yml", ".toml"])
def test_every_file_carries_its_licence(suffix: str) -> None:
    skip = {".venv", ".work", ".ansible", ".twin", "crds", "changelogs", ".mypy_cache", ".git", "REUSE.toml"}
    for path in ROOT.rglob(f"*{suffix}"):
        if not skip & set(path.relative_to(ROOT).parts) and path.name != "__init__.py":
            assert "SPDX-License-Identifier: " in path.read_text(encoding="utf-8")[:600], path


def test_every_module_is_in_the_action_group_documented_and_tested() -> None:
    # One makes a cluster, one runs on nodes and asks none, and one puts together what others were answered.
    alone = {"twin", "cni_config_info", "ipam_fleet_info"}
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")} - alone
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert set(runtime["action_groups"]["cluster"]) == modules
    for name in modules:
        text = (ROOT / "plugins" / "modules" / f"{name}.py").read_text(encoding="utf-8")
        for part in (
            "DOCUMENTATION",
            "EXAMPLES",
            "RETURN",
            "calico_ops.ipam._connection",
            "calico_ops.ipam._attributes",
        ):
            assert part in text, f"{name} lacks {part}"
        assert (ROOT / "tests" / "unit" / "plugins" / "modules" / f"test_{name}.py").exists(), name


def test_role_defaults_equal_their_argument_specs() -> None:
    for role in sorted((ROOT / "roles").iterdir()):
        specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        options = specs["argument_specs"]["main"]["options"]
        defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8")) or {}
        main = {k: v["default"] for k, v in options.items() if "default" in v}
        assert {k: defaults.get(k) for k in main} == main, role.name
        # Other entry points have their own.
        others = [entry["options"] for entry in specs["argument_specs"].values()]
        for name in defaults.keys() - main.keys():
            assert defaults[name] in [each[name].get("default") for each in others if name in each], (role.name, name)
        assert all(re.match(rf"{role.name}_", name) for name in options), role.name


def test_the_versions_agree() -> None:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    assert runtime["requires_ansible"] in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / "plugins/module_utils/_operations/version.py").read_text(encoding="utf-8").count(
        f'"{galaxy["version"]}"'
    ) == 1
    wanted = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").split()
    installed = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert set(wanted) <= set(installed)
