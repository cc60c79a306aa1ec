# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import ROLLBACK, Journal
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_lines import final_table, ways_on
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool

OLD = {"spec": {"cidr": "192.168.0.0/16", "blockSize": 26}}
MOVE = Journal(
    procedure="migrate_pool",
    pool="old",
    target={"name": "new", "cidr": "10.0.0.0/16"},
    block_size=None,
    definition=OLD,
    started="2026-08-22T09:30:00Z",
    version="0.2.0",
    runs=({"run": "a"}, {"run": "b"}),
    moved=(
        {"owner": "Deployment shop/web", "way": "restart", "pods": 6},
        {"owner": "Deployment shop/cart", "way": "restart", "pods": 4},
        {"owner": "StatefulSet data/redis", "way": "evict", "pods": 3},
    ),
)
NEW = StoredPool("new", {"metadata": {"name": "new"}, "spec": {"cidr": "10.0.0.0/16"}})
NOW = datetime(2026, 8, 22, 9, 32, 10, tzinfo=timezone.utc)


def test_the_table_at_the_end() -> None:
    assert list(final_table(MOVE, [NEW], NOW)) == [
        "done: the move of IPPool 'old' to pool 'new' (10.0.0.0/16)",
        "pool  before                        after",
        "old   192.168.0.0/16, blockSize 26  -",
        "new   -                             10.0.0.0/16, blockSize 26",
        "moved out by  workloads  pods",
        "evict                 1     3",
        "restart               2    10",
        "took 3 min since 2026-08-22T09:30:00Z, in 2 runs",
    ]


def test_what_was_undone_says_so_and_a_disabled_pool_too() -> None:
    old = StoredPool("old", {"metadata": {"name": "old"}, "spec": {**OLD["spec"], "disabled": True}})
    lines = list(final_table(replace(MOVE, direction=ROLLBACK, moved=(), started="once"), [old], NOW))
    assert lines[0].startswith("undone: ")
    assert lines[2].endswith("192.168.0.0/16, blockSize 26, disabled")
    assert len(lines) == 4


def test_the_commands_stand_alone_on_their_lines() -> None:
    assert list(ways_on({"resume": "forward", "undo": "back"}, "ConfigMap x")) == [
        "the journal is ConfigMap x; after an interruption:",
        "  resume: forward",
        "  undo:   back",
    ]
    late = list(ways_on({"resume": "forward", "undo": "", "back": "opposite"}, "ConfigMap x"))
    assert late[2:] == [
        "  it is too late to undo it; once it is finished, this leads back:",
        "  back:   opposite",
    ]
    assert len(list(ways_on({"resume": "back", "undo": "back"}, "ConfigMap x"))) == 2
    assert not list(ways_on({"resume": "", "undo": ""}, "ConfigMap x"))
