# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_sandbox import (
    FOR_GOOD,
    FOR_NOW,
    Patience,
)

from .drain_objects import pod, view_of

LASTING = [
    "plugin type calico failed (add): no configured Calico pools for node n1",
    "failed to request IPv4 addresses: Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks",
]


@pytest.mark.parametrize(
    ("text", "limit"),
    [*((text, FOR_GOOD) for text in LASTING), ("context deadline exceeded", FOR_NOW), ("connection refused", FOR_NOW)],
)
def test_patience_goes_by_what_is_wrong(text: str, limit: float) -> None:
    (facts,) = view_of(pod("web-1", address="")).pods.values()
    patience = Patience()
    assert patience.lost([(facts, text)], 100.0) is None
    assert patience.lost([(facts, text)], 100.0 + limit - 1) is None
    assert patience.lost([(facts, text)], 100.0 + limit) == (facts, text)
    assert patience.moments(100.0 + FOR_NOW) == []


def test_a_pod_that_got_its_address_starts_anew() -> None:
    (facts,) = view_of(pod("web-1", address="")).pods.values()
    patience = Patience()
    patience.lost([(facts, LASTING[0])], 0.0)
    patience.lost([], 10.0)
    assert patience.lost([(facts, LASTING[0])], 20.0) is None
    assert patience.moments(20.0) == [20.0 + FOR_GOOD, 20.0 + FOR_NOW]
