# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guide docs/guides/report.md, followed while pods move; and the files of the module, with what can be wrong."""

from __future__ import annotations

import json
import subprocess
import typing as t
from contextlib import closing
from pathlib import Path

import pytest
from guide_reader import Reader, blocks
from leaks import leak
from playbook import BIN, Outcome, environment
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import parse_report


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "tutorial", speed=40) as handle:
        # The twin's own collector would be faster than the reader.
        handle.ask("/twin/v1/clock", {"speed": 1})
        leak(handle, "192.168.200.1", "gone", "worker-1")
        yield handle


def test_the_guide(twin: TwinHandle, tmp_path: Path) -> None:
    reader = Reader(tmp_path, twin.kubeconfig)
    before, after, play, run = blocks("docs/guides/report.md")
    assert "BLOCKS of default-ipv4-ippool" in reader.follow(before)
    old = parse_report((tmp_path / "before.json").read_text(encoding="utf-8"), "before.json")
    assert [each["address"] for each in old["audit"]["leaked"]] == ["192.168.200.1"]
    twin.ask("/twin/v1/clock", {"speed": 100})
    with closing(connect(ConnectionOptions(kubeconfig=twin.kubeconfig))) as api:
        api.delete(PODS, "postgres-0", "data")
    twin.settle()
    twin.ask("/twin/v1/clock", {"speed": 1})
    reader.follow(after)
    text = (tmp_path / "after.md").read_text(encoding="utf-8")
    assert "## Before and after" in text
    page = (tmp_path / "after.html").read_text(encoding="utf-8")
    assert '"name":"postgres-0"' in page and "leaked-address/192.168.200.1" in page
    reader.follow(play)
    assert "failed=0" in reader.follow(run)
    one = parse_report((tmp_path / "pool.json").read_text(encoding="utf-8"), "pool.json")
    assert one["pool"] == "default-ipv4-ippool"
    members = {
        name for line in guide_rows() for name in line.split("|")[1].replace("`", "").replace(" ", "").split(",")
    }
    assert members == {*one, "change"}
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file() and path.name.startswith(".")) == []


def guide_rows() -> list[str]:
    text = (Path(__file__).parents[2] / "docs/guides/report.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_what_can_be_wrong_with_files(twin: TwinHandle, tmp_path: Path) -> None:
    """One play with every mistake: one sentence each, and no file."""
    (tmp_path / "not.json").write_text("<html>", encoding="utf-8")
    mistakes = {
        "html: the directory of": {"html": str(tmp_path / "missing/x.html")},
        "is a directory; name a file.": {"markdown": str(tmp_path)},
        "is the file of html already.": {"html": str(tmp_path / "x"), "json": str(tmp_path / "x")},
        "is not a report in JSON that this collection wrote.": {"before": str(tmp_path / "not.json")},
        "cannot be read: No such file or directory.": {"before": str(tmp_path / "none.json")},
        "There is no IPPool 'web'": {"pool": "web", "html": str(tmp_path / "y.html")},
    }
    tasks = [
        {"name": f"Mistake {at}", "calico_ops.ipam.ippool_report": options, "ignore_errors": True}
        for at, options in enumerate(mistakes.values())
    ]
    tasks.append(
        {"name": "Check", "calico_ops.ipam.ippool_report": {"html": str(tmp_path / "z.html")}, "check_mode": True}
    )
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {"group/calico_ops.ipam.cluster": {"kubeconfig": twin.kubeconfig}},
        "tasks": tasks,
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), str(tmp_path / "play.yml")],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    outcome = Outcome(done.returncode, done.stdout)
    flat = " ".join(outcome.output.split())
    for words in mistakes:
        assert words in flat, f"{words}\n{outcome.output}"
    assert "Traceback" not in flat
    recap = outcome.recap()
    assert (recap["ignored"], recap["changed"], recap["failed"]) == (len(mistakes), 1, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["not.json", "play.yml"]
