# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two guides that somebody new begins with, followed with nothing but the artifact and what it says itself."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from guide_reader import Block, Reader, blocks
from twin_fixture import start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

if t.TYPE_CHECKING:
    from conftest import Installed


@pytest.fixture
def newcomer(installed: Installed, tmp_path: Path) -> Reader:
    """In an empty directory, with a shell that knows only their home."""
    return Reader(tmp_path, str(tmp_path / "none"), installed.environment)


def test_ten_minutes(installed: Installed, newcomer: Reader) -> None:
    install, demo, look, yours, change, check = blocks("docs/guides/ten_minutes.md", installed.collection)
    newcomer.follow(install)
    # It takes as long as all the rest; `make old-core` runs it from this artifact as well.
    assert demo == Block("shell", "ansible-playbook calico_ops.ipam.demo\n")
    # A step of the guide on changing block sizes, which has a test of its own.
    assert {change.file, check.text.strip()} <= {
        word
        for block in blocks("docs/guides/change_block_size.md", installed.collection)
        for word in (block.file, *block.text.splitlines())
    }
    (newcomer.directory / ".twin").mkdir()
    with start_twin(newcomer.directory, "tutorial", speed=40) as twin:
        (newcomer.directory / ".twin/demo").symlink_to(twin.data_dir)
        output = newcomer.follow(look)
        assert "default-ipv4-ippool" in output
        assert '"mode": "crd_v1"' in output
        assert "FINDINGS    none" in output
    # On one's own cluster it is the same, of which nothing is left to follow.
    assert yours.text.splitlines()[1] in look.text


def test_upgrade(installed: Installed, newcomer: Reader) -> None:
    """With the artifact in the place of the release on Galaxy."""
    upgrade, requirements = [
        block for block in blocks("docs/guides/upgrade.md", installed.collection) if block.language != "text"
    ]
    install, look = upgrade.text.splitlines()
    assert install.startswith("ansible-galaxy collection install --upgrade ")
    output = installed.run("ansible-galaxy", "collection", "install", "--upgrade", "--offline", str(installed.archive))
    assert "was installed successfully" in output
    assert "calico_ops.ipam" in newcomer.follow(Block("shell", look))
    (wanted,) = yaml.safe_load(requirements.text)["collections"]
    assert str(wanted["version"]).startswith(">=")


@pytest.mark.timeout(600)
def test_test_your_pools(installed: Installed, newcomer: Reader) -> None:
    """The scenario runs as it is, finds what is wrong, and is led to another cluster by one variable."""
    copy, elsewhere, workflow = [
        block for block in blocks("docs/guides/test_your_pools.md", installed.collection) if block.language != "text"
    ]
    assert workflow.file == ".github/workflows/pools.yml"
    assert {line.strip() for line in workflow.text.splitlines()} >= {"molecule test"}
    ephemeral = newcomer.directory.parent / f"{newcomer.directory.name}-molecule"
    newcomer.environment["MOLECULE_EPHEMERAL_DIRECTORY"] = str(ephemeral)
    try:
        output = newcomer.follow(copy, timeout=500)
    finally:
        process.stop(ephemeral / "twin")
    assert "moved 6/6" in output
    assert "1 successful" in output

    (installed.home / ".kube").mkdir()
    with start_twin(ephemeral, "small", speed=40) as twin:
        (installed.home / ".kube" / "test-cluster").symlink_to(twin.kubeconfig)
        # Nobody has declared anything there, which is what its answer says.
        with pytest.raises(AssertionError, match="There are default-ipv4-ippool"):
            newcomer.follow(elsewhere)
