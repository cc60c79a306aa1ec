# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Cells of the tables kubectl prints."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.columns import (
    builtin_columns,
    human_duration,
    pod_phase,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.table import lookup

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-1, "0s"),
        (-5, "<invalid>"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (599, "9m59s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11000, "3h3m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (180000, "2d2h"),
        (691200, "8d"),
        (63072000, "2y"),
        (70000000, "2y80d"),
        (260000000, "8y"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


def pod(*states: Object, phase: str = "Running", **metadata: str) -> Object:
    statuses = [{"state": state, "ready": "running" in state} for state in states]
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "containerStatuses": statuses}}


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (pod(phase="Pending"), "Pending"),
        (pod({"waiting": {"reason": "ContainerCreating"}}, phase="Pending"), "ContainerCreating"),
        (pod({"running": {}}), "Running"),
        (pod({"running": {}}, deletionTimestamp="2026-01-01T00:00:00Z"), "Terminating"),
        (pod({"terminated": {"reason": "Completed"}}, phase="Succeeded"), "Completed"),
        (pod({"terminated": {"exitCode": 3}}, phase="Failed"), "ExitCode:3"),
        (pod({"waiting": {"reason": "CrashLoopBackOff"}}), "CrashLoopBackOff"),
        (pod({"terminated": {"reason": "Completed"}}, {"running": {}}), "NotReady"),
    ],
)
def test_the_status_of_a_pod(obj: Object, text: str) -> None:
    assert pod_phase(obj, NOW) == text


def test_every_cell_copes_with_an_empty_object() -> None:
    places = [("", "pods"), ("", "nodes"), ("", "services"), ("", "events"), ("", "namespaces"), ("", "secrets")]
    places += [("apps", plural) for plural in ("deployments", "replicasets", "statefulsets", "daemonsets")]
    places += [("apiregistration.k8s.io", "apiservices")]
    places += [("batch", "jobs"), ("batch", "cronjobs"), ("policy", "poddisruptionbudgets")]
    for place in places:
        columns = builtin_columns(*place)
        assert columns is not None
        cells = [column.cell({"metadata": {"name": "x"}}, NOW) for column in columns]
        assert not [cell for cell in cells if cell is None]


def test_simple_json_paths() -> None:
    obj = {"spec": {"list": [{"a": 1}], "a-b": "c"}}
    assert lookup(obj, ".spec.list[0].a") == 1
    assert lookup(obj, ".spec['a-b']") == "c"
    assert lookup(obj, ".spec.list[4]") is None
    assert lookup(obj, ".none.a") is None


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_json_path_that_looks_for_a_condition(quote: str) -> None:
    conditions = [{"type": "Other", "status": "True"}, "odd", {"type": "Allocatable", "status": "False"}]
    obj = {"status": {"conditions": conditions}}
    path = ".status.conditions[?(@.type=={0}{1}{0})].status"
    assert lookup(obj, path.format(quote, "Allocatable")) == "False"
    assert lookup(obj, path.format(quote, "Other")) == "True"
    assert lookup(obj, path.format(quote, "None")) is None
    assert lookup({}, path.format(quote, "Other")) is None


@pytest.mark.parametrize(
    ("spec", "conditions", "cells"),
    [
        ({}, [{"type": "Available", "status": "True", "reason": "Local"}], ["Local", "True"]),
        (
            {"service": {"namespace": "calico-system", "name": "calico-api"}},
            [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}],
            ["calico-system/calico-api", "False (MissingEndpoints)"],
        ),
    ],
)
def test_where_a_group_is_served(spec: Object, conditions: list[Object], cells: list[str]) -> None:
    columns = builtin_columns("apiregistration.k8s.io", "apiservices")
    assert columns is not None
    obj = {"metadata": {"name": "v3.projectcalico.org"}, "spec": spec, "status": {"conditions": conditions}}
    assert [column.cell(obj, NOW) for column in columns][1:3] == cells
