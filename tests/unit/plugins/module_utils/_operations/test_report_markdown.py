# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from report_sample import sample

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_markdown import (
    LISTED,
    markdown,
    plain,
)


def tables(text: str) -> list[list[str]]:
    """Runs of lines that are rows of a table."""
    return [found.strip().splitlines() for found in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def columns(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line))


def test_every_row_has_the_columns_of_its_header() -> None:
    before = {**sample(40, 6), "taken": "2026-08-20T08:00:00Z"}
    text = markdown(sample(400, 30, nodes=70), before)
    found = tables(text)
    assert len(found) >= 5
    for rows in found:
        assert {columns(row) for row in rows} == {columns(rows[0])}
        assert len({len(row) for row in rows}) == 1, rows[0]
    assert f"And {71 - LISTED:,} more." in text
    for title in ("Findings", "Pools", "Before and after", "Nodes", "Namespaces"):
        assert text.count(f"\n## {title}\n") == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("team-a", "team-a"),
        ("a|b", "a\\|b"),
        ("<b>x</b>", "\\<b\\>x\\</b\\>"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("two\nlines\x00", "two lines"),
        ("`code` *bold* _it_", "\\`code\\` \\*bold\\* \\_it\\_"),
        ("@all #1", "\\@all \\#1"),
        (None, ""),
    ],
)
def test_names_are_shown_as_they_are(name: str | None, shown: str) -> None:
    assert plain(name) == shown


def test_without_an_audit_and_without_anything() -> None:
    empty = {**sample(0, 0), "audit": None, "pools": [], "nodes": [], "notes": ["Something could not be read."]}
    text = markdown(empty)
    assert "The audit was not asked for." in text
    assert "Something could not be read." in text


def test_a_procedure_with_what_it_has_moved() -> None:
    procedure = {
        "pool": "old",
        "started": "2026-08-20T08:10:00Z",
        "sentence": "the move of IPPool 'old' to pool 'new' (10.64.0.0/16)",
        "over": True,
        "moved_pods": 4,
        "moved": [{"owner": "Deployment shop/cart", "way": "restart", "pods": 4}],
    }
    text = markdown({**sample(5, 5), "procedures": [procedure]})
    assert (
        "The move of IPPool 'old' to pool 'new' (10.64.0.0/16): over, begun 2026-08-20T08:10:00Z, 4 pods moved" in text
    )
    assert tables(text)[0][2] == "| Deployment shop/cart | out         | restart |    4 |"
    going = {**procedure, "over": False, "resume": "ansible-playbook x -e '{\"a\": 1}'", "undo": "too `late`"}
    text = markdown({**sample(5, 5), "procedures": [going]})
    assert "resume: `ansible-playbook x -e '{\"a\": 1}'`\n\nundo: `too  late `\n" in text
