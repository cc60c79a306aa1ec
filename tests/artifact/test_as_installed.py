# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is installed documents itself, passes the linters where it is, and tells ansible-builder what it needs."""

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from guide_reader import ROOT, Reader, blocks

if t.TYPE_CHECKING:
    from conftest import Installed

KINDS = ("module", "filter", "test", "lookup", "inventory", "role")


def names(kind: str, collection: Path) -> set[str]:
    """The plugins of a kind, from the files."""
    if kind == "role":
        return {path.name for path in (collection / "roles").iterdir()}
    directory = collection / "plugins" / ("modules" if kind == "module" else kind)
    sidecars = {path.stem for path in directory.glob("*.yml")}
    own = {path.stem for path in directory.glob("*.py")} if kind not in {"filter", "test"} else set()
    return sidecars | {name for name in own if not name.startswith("_")}


@pytest.fixture(scope="module")
def documented(installed: Installed) -> dict[str, t.Any]:
    """By kind and full name, all that ansible-doc knows; one call is cheaper than one for each."""
    return t.cast(
        "dict[str, t.Any]", json.loads(installed.run("ansible-doc", "--metadata-dump", "calico_ops.ipam"))["all"]
    )


@pytest.mark.parametrize("kind", KINDS)
def test_ansible_doc_knows_everything(installed: Installed, documented: dict[str, t.Any], kind: str) -> None:
    entries = documented[kind]
    assert set(entries) == {f"calico_ops.ipam.{name}" for name in names(kind, installed.collection)}
    for name, entry in entries.items():
        assert "error" not in entry, entry
        if kind == "role":
            assert all(point["short_description"] and point["description"] for point in entry["entry_points"].values())
            continue
        doc = entry["doc"]
        assert doc["short_description"] and doc["description"] and doc["author"] and doc["version_added"], name
        assert list(yaml.safe_load_all(entry["examples"])), name
        assert entry["return"] or kind == "inventory", name
        assert str(installed.home) in doc["filename"], "this is not the installed one"


def test_playbooks_say_what_they_are(installed: Installed) -> None:
    """ansible-doc has nothing for playbooks, so their first lines say what they do and how they are called."""
    for path in (installed.collection / "playbooks").glob("*.yml"):
        head = path.read_text(encoding="utf-8").split("\n- name: ")[0]
        assert f"calico_ops.ipam.{path.stem}" in head, f"{path.name} does not say how it is run"


def test_docs_lint(installed: Installed) -> None:
    refs = ("--validate-collection-refs=self", "--disallow-unknown-collection-refs")
    installed.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", *refs, str(installed.collection))


def test_an_execution_environment_can_be_made(installed: Installed, tmp_path: Path) -> None:
    """ansible-builder takes the definition of the guide, and finds what the collection needs by itself."""
    (commands,) = blocks("docs/guides/versions.md", installed.collection)
    # Checks the definition against the schema and writes the build's context; a container is not built.
    Reader(tmp_path, "", installed.environment).follow(commands)
    assert "calico_ops.ipam" in (tmp_path / "context/_build/requirements.yml").read_text(encoding="utf-8")

    needs = yaml.safe_load(installed.run("ansible-builder", "introspect", str(installed.home / ".ansible/collections")))
    wanted = (installed.collection / "meta/ee-requirements.txt").read_text(encoding="utf-8").split()
    found = [line.split("#")[0].strip() for line in needs["python"]]
    assert sorted(found) == sorted(wanted)
    assert not needs.get("system")


# What is simulated is no playbook, and changelogs are antsibull-changelog's.
NOT_LINTED = ["changelogs/", "plugins/module_utils/_twin/crds/", "plugins/module_utils/_twin/scenarios/"]


def test_the_linter_of_the_checkout_looks_at_all_that_is_installed(installed: Installed) -> None:
    """The files are the same (``test_contents.py``), so what ``make lint`` says of the checkout it says of these."""
    settings = yaml.safe_load((ROOT / ".ansible-lint").read_text(encoding="utf-8"))
    assert settings == {"profile": "production", "offline": True, "exclude_paths": settings["exclude_paths"]}
    assert [path for path in settings["exclude_paths"] if (installed.collection / path).exists()] == NOT_LINTED


@pytest.mark.skipif(not os.environ.get("CALICO_OPS_NIGHTLY"), reason="the files are those that `make lint` looks at")
def test_ansible_lint(installed: Installed, tmp_path: Path) -> None:
    """As installed, without the checkout's configuration, but for the simulated clusters, which are no playbooks."""
    settings = tmp_path / "lint.yml"
    settings.write_text(
        yaml.safe_dump(
            {
                "profile": "production",
                "offline": True,
                "exclude_paths": [str(installed.collection / part) for part in NOT_LINTED],
            }
        ),
        encoding="utf-8",
    )
    done = subprocess.run(
        ["ansible-lint", "--strict", "-c", str(settings), "."],
        cwd=installed.collection,
        env=installed.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
