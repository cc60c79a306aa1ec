# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.plan import Plan, Step


def test_a_plan_without_steps_changes_nothing():
    assert Plan().as_result() == {"changed": False, "diff": {"before": "", "after": ""}, "steps": []}


def test_the_diff_shows_every_object_before_and_after():
    plan = Plan(
        (
            Step("create", "IPPool new", "it does not exist", after={"spec": {"blockSize": 28}}, undo="delete it"),
            Step("delete", "IPPool old", "it is not wanted", before={"spec": {"blockSize": 26}}),
        )
    )
    assert plan.diff() == {
        "before": "IPPool old:\n  spec:\n    blockSize: 26\n",
        "after": "IPPool new:\n  spec:\n    blockSize: 28\n",
    }
    assert plan.as_result()["changed"] is True
    assert plan.as_result()["steps"][0] == {
        "action": "create",
        "target": "IPPool new",
        "reason": "it does not exist",
        "undo": "delete it",
    }
