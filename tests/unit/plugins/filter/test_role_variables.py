# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.calico_ops.ipam.plugins.filter.role_variables import FilterModule

ROLES = Path(__file__).parents[4] / "roles"
unknown = FilterModule().filters()["unknown_variables"]


def specs(role: str) -> t.Any:
    return yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], ""),
        # Options of both entry points: one file of variables serves the run and undoing it.
        (["migrate_pool_to", "migrate_pool_soak"], ""),
        (
            ["migrate_pool_from", "migrate_pool_delete_od"],
            "This role has no variable migrate_pool_delete_od (did you mean migrate_pool_delete_old?): "
            "correct the name, or leave it out.",
        ),
        (
            ["migrate_pool_xyz", "migrate_pool_concent"],
            "This role has no variable migrate_pool_concent (did you mean migrate_pool_consent?), migrate_pool_xyz: "
            "correct the name, or leave it out.",
        ),
    ],
)
def test_misspelt_names(names: list[str], sentence: str) -> None:
    assert unknown(names, specs("migrate_pool")) == sentence


def test_names_that_may_be_somebody_elses() -> None:
    names = ["report_title", "report_htm"]
    assert unknown(names, specs("report"), alike=True) == (
        "This role has no variable report_htm (did you mean report_html?): correct the name, or leave it out."
    )
    assert unknown(["report_title"], specs("report"), alike=True) == ""


def test_a_list_of_names() -> None:
    known = ["calico_ops_context", "calico_ops_hosts"]
    assert unknown(["calico_ops_contxt", "calico_ops_hosts"], known) == (
        "There is no variable calico_ops_contxt (did you mean calico_ops_context?): correct the name, or leave it out."
    )


@pytest.mark.parametrize("wrong", [None, {}, {"argument_specs": []}, {"argument_specs": {"main": {}}}])
def test_what_is_no_specification(wrong: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match=r"argument_specs\.yml"):
        unknown(["a"], wrong)
