# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the guide promises about the report in JSON."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import jsonschema
import pytest
from leaks import leave_behind
from report_sample import journal, pool, sample
from simulation import SimulatedApi, SimulatedClock
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CONFIG_MAPS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_records import KubernetesRecords
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import NAMESPACE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import compare
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import FORMAT, report
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import open_store

GUIDES = Path(__file__).parents[5] / "docs/guides"
SCHEMA = json.loads((GUIDES / "report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def faults(found: t.Any) -> list[str]:
    """What is wrong with a report as it is written to a file."""
    plain = json.loads(json.dumps(found))
    return [f"{list(error.path)}: {error.message[:200]}" for error in VALIDATOR.iter_errors(plain)]


def test_a_report_is_as_described() -> None:
    """Of a cluster in which addresses leaked and a procedure is under way."""
    api = SimulatedApi(local_twin("small"))
    leave_behind(api)
    api.create(CONFIG_MAPS, journal(), NAMESPACE)
    records, pools = KubernetesRecords(api), read_pools(api)
    found = report(api, records, pools, open_store(api).reservations(), SimulatedClock(api))
    assert found["audit"]["findings"] and found["procedures"] and found["timeline"]
    assert faults(found) == []
    assert faults({**found, "audit": None, "calico": None, "cluster": None}) == []
    # Every member is described.
    assert set(found) == set(SCHEMA["required"])


def test_what_has_changed_is_as_described() -> None:
    before = sample(30, 5)
    after = sample(30, 5, pools=[pool("new", "10.64.0.0/16", 28), pool("six", "fd00:10::/64", 122)], seed=2)
    assert faults({**after, "change": compare(before, after)}) == []


@pytest.mark.parametrize(
    "change",
    [
        {"format": FORMAT + 1},
        {"pools": {}},
        {"blocks": {"columns": ["cidr"], "rows": []}},
        {"taken": None},
        {"addresses": None},
    ],
)
def test_the_schema_is_not_content_with_anything(change: dict[str, t.Any]) -> None:
    found = sample(5, 2)
    assert faults(found) == []
    assert faults({**found, **change}) != []


def test_the_guide_names_every_member() -> None:
    rows = [line for line in (GUIDES / "report.md").read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {name for line in rows for name in line.split("|")[1].replace("`", "").replace(" ", "").split(",")}
    assert named == set(SCHEMA["properties"])
    assert SCHEMA["properties"]["format"]["const"] == FORMAT
