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
import yaml
from guide_reader import Reader, blocks
from leaks import leak
from playbook import BIN, Outcome, environment
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import parse_report

ROOT = Path(__file__).parents[2]
POOL = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "tutorial", speed=40) as handle:
        # The twin's own collector would be faster than the reader.
        handle.ask("/twin/v1/clock", {"speed": 1})
        leak(handle, "192.168.200.1", "gone", "worker-1")
        yield handle


def test_the_guide(twin: TwinHandle, tmp_path: Path) -> None:
    reader = Reader(tmp_path, twin.kubeconfig)
    before, _of_a_procedure, after, play, run = blocks("docs/guides/report.md")
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
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file() and path.name.startswith(".")) == []


def played(twin: TwinHandle, directory: Path, tasks: list[dict[str, t.Any]]) -> Outcome:
    """A play of these tasks, run in the directory."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "module_defaults": {"group/calico_ops.ipam.cluster": {"kubeconfig": twin.kubeconfig}},
        "tasks": tasks,
    }
    (directory / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), str(directory / "play.yml")],
        env=environment(),
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=200,
        check=False,
    )
    return Outcome(done.returncode, done.stdout)


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
    outcome = played(twin, tmp_path, tasks)
    flat = " ".join(outcome.output.split())
    for words in mistakes:
        assert words in flat, f"{words}\n{outcome.output}"
    assert "Traceback" not in flat
    recap = outcome.recap()
    assert (recap["ignored"], recap["changed"], recap["failed"]) == (len(mistakes), 1, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["not.json", "play.yml"]


@pytest.mark.parametrize("way", ["", "_rollback"])
@pytest.mark.parametrize("procedure", ["migrate_pool", "change_block_size"])
def test_every_procedure_can_be_reported(procedure: str, way: str) -> None:
    """Its playbook begins with the report before and ends, in any case, with the one after; a guide runs one."""
    (play,) = yaml.safe_load((ROOT / f"playbooks/{procedure}{way}.yml").read_text(encoding="utf-8"))
    before, work = play["tasks"]
    (after,) = work["always"]
    assert [each["include_role"]["tasks_from"] for each in map(short, (before, after))] == ["before", "after"]
    assert before["when"] == after["when"] == ["report_dir | default('') | length > 0", after["when"][1]]
    assert {each["vars"]["report_procedure"] for each in (before, after)} == {procedure}
    # What the role says of its journal at the end.
    tasks = f"roles/{procedure}/tasks/{'rollback' if way else 'main'}.yml"
    assert f"__{procedure}_over" in after["vars"]["report_journal"]
    closing = [
        task
        for entry in yaml.safe_load((ROOT / tasks).read_text(encoding="utf-8"))
        for task in entry.get("block", [])
        if task["name"] == "Close the journal"
    ]
    assert [task["register"] for task in closing] == [f"__{procedure}_over"]


def short(task: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name.rpartition(".")[2]: value for name, value in task.items()}


def test_before_and_after_of_a_procedure(twin: TwinHandle, tmp_path: Path) -> None:
    """Run, resumed and closed: the beginning is kept; without it the end is said and no failure."""
    common = {"report_dir": "reports", "report_procedure": "migrate_pool", "report_procedure_pool": POOL}
    journal = {"procedure": "migrate_pool", "pool": POOL}

    def role(entry: str, **more: t.Any) -> dict[str, t.Any]:
        included = {"name": "calico_ops.ipam.report", "tasks_from": entry}
        return {"include_role": included, "vars": {**common, "report_audit": False, **more}}

    target = {"name": "new", "cidr": "10.9.0.0/16"}
    tasks = [
        role("before", report_target=target),
        {"calico_ops.ipam.ippool_journal": {**journal, "target": target}, "register": "begun"},
        {"stat": {"path": str(tmp_path / f"reports/{POOL}-before.json")}, "register": "first"},
        role("before", report_target=target),
        {"stat": {"path": str(tmp_path / f"reports/{POOL}-before.json")}, "register": "second"},
        {"assert": {"that": "first.stat.checksum == second.stat.checksum"}},
        {
            "calico_ops.ipam.ippool_journal": {**journal, "state": "absent", "run": "{{ begun.run }}"},
            "register": "over",
        },
        role("after", report_journal="{{ over.closed }}"),
        {"file": {"path": str(tmp_path / f"reports/{POOL}-before.json"), "state": "absent"}},
        role("after", report_journal="{{ over.closed }}"),
    ]
    outcome = played(twin, tmp_path, tasks)
    assert outcome.code == 0, outcome.output
    flat = " ".join(outcome.output.split())
    assert f"Before, after and what moved: {tmp_path}/reports/{POOL}.html" in flat
    assert "The report could not be written: before:" in flat
    found = json.loads((tmp_path / f"reports/{POOL}.json").read_text(encoding="utf-8"))
    assert [(each["pool"], each["over"]) for each in found["procedures"]] == [(POOL, True)]
    assert found["change"]["addresses"]["new"] == 0
