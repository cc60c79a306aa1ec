# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is taken from the command line of ``ansible-playbook``, as Ansible itself reads it."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible.cli.playbook import PlaybookCLI
from ansible.parsing.dataloader import DataLoader

from ansible_collections.calico_ops.ipam.plugins.plugin_utils._called import PLAYBOOKS, called


def call(*words: str) -> dict[str, t.Any]:
    cli = PlaybookCLI(["ansible-playbook", *words])
    cli.init_parser()
    arguments = vars(cli.post_process_args(cli.parser.parse_args(list(words))))
    loader = DataLoader()
    return called(arguments, "east", loader.load_from_file, loader.load)


def test_one_of_our_playbooks(tmp_path: Path) -> None:
    ours, more = tmp_path / "ours.yml", tmp_path / "more.yml"
    ours.write_text("migrate_pool_from: a\ncalico_ops_context: east\nreport_dir: reports\n", encoding="utf-8")
    more.write_text("migrate_pool_from: a\nsite: b\n", encoding="utf-8")
    given = ["-e", f"@{ours}", "-e", f"@{more}", "-e", "migrate_pool_soak=1 db_password=s3cret site=b"]
    given += ["-e", '{"ansible_python_interpreter": "python3", "calico_ops_etcd_password": "s3cret"}']
    found = call("-i", "fleet.yml", "-l", "east", "--vault-id", "a@prompt", *given, "calico_ops.ipam.migrate_pool")
    assert found == {
        "playbooks": ["calico_ops.ipam.migrate_pool"],
        "inventory": [str(Path("fleet.yml").absolute())],
        "limit": "east",
        "host": "east",
        "files": [str(more)],
        "variables": {"report_dir": "reports", "ansible_python_interpreter": "python3"},
        "hidden": ["db_password", "site", "calico_ops_etcd_password"],
        "vault": ["--vault-id", "a@prompt"],
    }


def test_a_playbook_that_is_called_again_as_it_was(tmp_path: Path) -> None:
    site = tmp_path / "site.yml"
    site.write_text("[]", encoding="utf-8")
    words = ["-b", "-K", "-u", "admin", "-t", "a,b", "-e", "migrate_pool_soak=1 token=s3cret", "-e", "@gone.yml"]
    found = call(*words, str(site))
    assert found == {
        "playbooks": [str(site)],
        "host": "east",
        "files": [str(Path("gone.yml").absolute())],
        "variables": {"migrate_pool_soak": "1"},
        "hidden": ["token"],
        "options": ["-u", "admin", "--tags", "a,b", "-b", "-K"],
    }


@pytest.mark.parametrize("name", ["calico_ops.ipam.kubespray", str(PLAYBOOKS / "kubespray.yml")])
def test_our_playbooks_by_name_and_by_path(name: str) -> None:
    found = call("-e", "kubespray_mode=migrate", name)
    assert (found["playbooks"], found["variables"]) == (["calico_ops.ipam.kubespray"], {"kubespray_mode": "migrate"})


def test_what_is_no_playbook() -> None:
    assert called({"args": "localhost", "module_name": "ping"}, "east", str, str) == {}
