# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.nodes import CALICO_LABELS, calico_labels


@pytest.mark.parametrize(
    ("metadata", "labels"),
    [
        ({}, {}),
        ({"labels": {"rack": "a"}}, {"rack": "a"}),
        ({"annotations": {CALICO_LABELS: '{"rack": "b"}'}}, {"rack": "b"}),
        (
            {"labels": {"rack": "a"}, "annotations": {CALICO_LABELS: '{"rack": "b", "row": "1"}'}},
            {"rack": "a", "row": "1"},
        ),
        ({"labels": {"rack": "a"}, "annotations": {CALICO_LABELS: "nonsense"}}, {"rack": "a"}),
        ({"annotations": {CALICO_LABELS: "[1]"}}, {}),
    ],
)
def test_kubernetes_labels_win(metadata: dict[str, t.Any], labels: dict[str, str]) -> None:
    assert calico_labels({"metadata": metadata}) == labels
