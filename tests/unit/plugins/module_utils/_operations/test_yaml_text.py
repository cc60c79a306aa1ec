# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.yaml_text import yaml_text

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=12), st.sampled_from(["yes", "No", "1e3"])
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)


@given(DATA.filter(lambda data: data is not None))
def test_reads_back_as_the_same_data(data):
    assert yaml.safe_load(yaml_text(data)) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, ""),
        ({}, "{}\n"),
        (
            {"spec": {"cidr": "192.0.2.0/24", "uses": ["Workload", "Tunnel"], "nat": True}},
            'spec:\n  cidr: "192.0.2.0/24"\n  uses:\n    - Workload\n    - Tunnel\n  nat: true\n',
        ),
        ({"IPPool a": {"nodeSelector": "all()"}}, 'IPPool a:\n  nodeSelector: "all()"\n'),
        ([{"a": 1, "b": []}, "x"], "- a: 1\n  b: []\n- x\n"),
    ],
)
def test_worked_examples(data, text):
    assert yaml_text(data) == text
