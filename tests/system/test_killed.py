# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kill the run in the middle of every numbered step, one after the other, and run it again.

Each run goes on where the one before was killed, which is harder than one kill in a run: nothing but
the cluster's own state carries over.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cluster_state import (
    block_size_was_changed,
    everybody_has_an_address_in,
    ipam_is_clean,
    nobody_noticed,
    nothing_of_ours_is_left,
    objects,
)
from playbook import (
    command,
    descendants,
    environment,
    run,
    run_and_kill,
    wait_gone,
)
from twin_fixture import start_twin

# Seconds into the task: while the module starts, while it talks to the cluster, while it waits.
CHANGE_STEPS = [
    ("Keep the pool's definition", 0.5),
    ("Step 1 |", 0.6),
    ("Step 2 |", 0.6),
    ("Step 3 |", 1.5),
    ("Step 3 |", 3.0),
    ("Step 4 | Prove", 0.8),
    ("Step 5 |", 0.7),
    ("Step 6 |", 0.5),
    ("Step 7 |", 0.6),
    ("Step 8 | Move", 1.5),
    ("Step 8 | Prove", 0.8),
    ("Step 9 |", 0.7),
    ("Close the journal", 0.4),
]
MIGRATE_STEPS = [
    ("Keep the old pool's definition", 0.5),
    ("Step 1 |", 0.6),
    ("Step 2 |", 0.6),
    ("Step 3 |", 1.5),
    ("Step 4 | Prove", 0.8),
    ("Step 5 |", 0.7),
    ("Close the journal", 0.4),
]
# By day a real process is killed by the guide on the change of the block size (test_guides.py), and both roles at their
# writes, in virtual time, in test_killed_everywhere.py.
pytestmark = pytest.mark.skipif(not os.environ.get("CALICO_OPS_NIGHTLY"), reason="CALICO_OPS_NIGHTLY is not set")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_change_block_size_survives_a_kill_in_every_step(tmp_path: Path) -> None:
    variables: dict[str, object] = {
        "change_block_size_pool": "default-ipv4-ippool",
        "change_block_size_block_size": 28,
        "change_block_size_temporary_cidr": "10.0.0.0/16",
    }
    with start_twin(tmp_path, "tutorial", speed=40) as twin:
        before = objects(twin, "ippools")["default-ipv4-ippool"]["spec"]
        kubeconfig = Path(twin.kubeconfig)
        killed = [
            run_and_kill("change_block_size", kubeconfig, variables, task, after).code for task, after in CHANGE_STEPS
        ]
        assert killed.count(-9) >= len(CHANGE_STEPS) - 3, f"too few runs were killed: {killed}"
        last = run("change_block_size", kubeconfig, variables)
        assert last.code == 0, last.output
        block_size_was_changed(twin, before, 28)
        nobody_noticed(twin)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_module_ends_with_its_playbook(tmp_path: Path) -> None:
    """The playbook alone is killed while its drain works: the drain ends, too, and the next run takes over at once."""
    variables: dict[str, object] = {
        "change_block_size_pool": "default-ipv4-ippool",
        "change_block_size_block_size": 28,
        "change_block_size_temporary_cidr": "10.0.0.0/16",
    }
    with start_twin(tmp_path, "tutorial", speed=5) as twin:
        kubeconfig = Path(twin.kubeconfig)
        process = subprocess.Popen(
            command("change_block_size", kubeconfig, variables),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if process.stdout is None:
            raise AssertionError("no output")
        for line in process.stdout:
            if "moved 0/" in line:
                break
        modules = [pid for pid in descendants(process.pid) if "AnsiballZ" in arguments(pid)]
        assert modules
        process.kill()
        wait_gone(modules, 10)
        assert not any("AnsiballZ" in arguments(pid) for pid in modules)
        process.communicate()
        again = run("change_block_size_rollback", kubeconfig, {"change_block_size_pool": "default-ipv4-ippool"})
        assert again.code == 0, again.output
        assert "is gone, so this run takes over" in " ".join(again.output.split())
        nobody_noticed(twin)


def arguments(pid: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_migrate_pool_survives_a_kill_in_every_step(tmp_path: Path) -> None:
    variables: dict[str, object] = {
        "migrate_pool_from": "default-ipv4-ippool",
        "migrate_pool_to": {"name": "new-pool", "cidr": "10.0.0.0/16"},
    }
    with start_twin(tmp_path, "tutorial", speed=40) as twin:
        kubeconfig = Path(twin.kubeconfig)
        killed = [
            run_and_kill("migrate_pool", kubeconfig, variables, task, after).code for task, after in MIGRATE_STEPS
        ]
        assert killed.count(-9) >= len(MIGRATE_STEPS) - 2, f"too few runs were killed: {killed}"
        last = run("migrate_pool", kubeconfig, variables)
        assert last.code == 0, last.output
        assert list(objects(twin, "ippools")) == ["new-pool"]
        everybody_has_an_address_in(twin, "10.0.0.0/16")
        ipam_is_clean(twin, "10.0.0.0/16", 26)
        nothing_of_ours_is_left(twin)
        nobody_noticed(twin)
