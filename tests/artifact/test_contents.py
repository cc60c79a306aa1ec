# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact holds what users run, read or copy, byte for byte what Git has, and nothing else."""

from __future__ import annotations

import json
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml

if t.TYPE_CHECKING:
    from conftest import Installed

ROOT = Path(__file__).parents[2]
MADE_BY_GALAXY = {"MANIFEST.json", "FILES.json"}
# Every name at the top, and why it is there. Whatever is new has to be decided on: here, or galaxy.yml's build_ignore.
TOP = MADE_BY_GALAXY | {
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "COPYING",
    "LICENSES",
    "README.md",
    "REUSE.toml",
    "SECURITY.md",
    "changelogs",  # what ansible's own changelogs are put together from
    "docs",  # guides, roles for RBAC, examples to copy
    "meta",
    "playbooks",
    "plugins",  # the embedded cluster among them: users rehearse and test on it
    "requirements-etcd.txt",
    "requirements-twin.txt",
    "requirements.txt",
    "roles",
}
WANTED = {
    "docs/examples/test_your_pools/molecule/default/molecule.yml",
    "docs/guides/ten_minutes.md",
    "docs/rbac/migrator.yml",
    "meta/ee-requirements.txt",
    "meta/execution-environment.yml",
    "meta/runtime.yml",
    "playbooks/demo.yml",
    "plugins/action/twin.py",
    "plugins/module_utils/_twin/crds/NOTICE.md",
    "plugins/module_utils/_twin/crds/v1/crd.projectcalico.org_ippools.yaml",
    "plugins/module_utils/_twin/scenarios/tutorial.yml",
    "plugins/modules/ippool.py",
    "roles/change_block_size/meta/argument_specs.yml",
}
LIMIT = 3_000_000


@pytest.fixture(scope="module")
def files(installed: Installed) -> dict[str, bytes]:
    with tarfile.open(installed.archive) as archive:
        members = archive.getmembers()
        assert all(member.isfile() or member.isdir() for member in members), "links do not survive every unpacking"
        return {
            member.name: stream.read()
            for member in members
            if member.isfile() and (stream := archive.extractfile(member)) is not None
        }


def test_nothing_is_missing_and_nothing_is_foreign(files: dict[str, bytes]) -> None:
    assert {name.split("/")[0] for name in files} == TOP
    assert set(files) >= WANTED


def test_every_file_is_the_one_git_has(files: dict[str, bytes]) -> None:
    """So what linters and ansible-test say of the checkout is said of the artifact; caches and leftovers are caught."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    known = set(listing.stdout.split("\0"))
    assert set(files) - known == MADE_BY_GALAXY
    assert not [name for name in set(files) & known if (ROOT / name).read_bytes() != files[name]]


def test_it_is_small(installed: Installed) -> None:
    assert installed.archive.stat().st_size < LIMIT


def test_what_galaxy_shows(files: dict[str, bytes]) -> None:
    shown = json.loads(files["MANIFEST.json"])["collection_info"]
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    assert shown["dependencies"] == {}
    assert shown["tags"] == sorted(galaxy["tags"])
    assert all(shown[link].startswith("https://") for link in ("repository", "documentation", "homepage", "issues"))
