# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a view of the cluster says that may not be read."""

from __future__ import annotations

import typing as t

import pytest
from cluster_tables import AGGREGATED, CONFIG_MAPS, DENIED, MANIFEST, V3_CRDS, api_of

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_fetch import fetch_view

V1_SETTINGS = "ipamconfigs.crd.projectcalico.org"
V3_SETTINGS = "ipamconfigurations.projectcalico.org"


@pytest.mark.parametrize(
    ("served", "name"),
    [
        ({**MANIFEST, V1_SETTINGS: DENIED}, "ipamconfigs"),
        ({**AGGREGATED, V1_SETTINGS: DENIED}, "ipamconfigs"),
        ({**V3_CRDS, V3_SETTINGS: DENIED}, "ipamconfigurations"),
    ],
    ids=["crd_v1", "apiserver", "crd_v3"],
)
def test_what_may_not_be_read_has_the_name_it_has_here(served: dict[str, t.Any], name: str) -> None:
    """It is the name that a right to read it must have."""
    assert fetch_view(calico_api(api_of({CONFIG_MAPS: [], **served})), None).unreadable == (name,)
