# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_table import fleet_lines


def summary(**different: t.Any) -> dict[str, t.Any]:
    return {
        "mode": "crd_v1",
        "version": "v3.31.2",
        "supported": True,
        "owners": [],
        "pools": ["default-ipv4-ippool"],
        "addresses": {"in_use": 1204, "capacity": 65536, "leaked": {"certain": 0, "likely": 0}},
        "blocks": {"total": 41},
        "findings": {"error": 0, "warning": 0, "note": 0},
        **different,
    }


def test_a_row_for_each_cluster_and_the_reasons_below() -> None:
    assert fleet_lines(
        {
            "paris": summary(),
            "oslo-large": summary(
                mode="apiserver",
                supported=False,
                owners=["the Tigera operator", "Helm"],
                pools=["a", "b"],
                version=None,
                addresses={"in_use": 7, "capacity": 2**64 + 256, "leaked": {"certain": 1, "likely": 1}},
                findings={"error": 1, "warning": 2, "note": 0},
            ),
            "rome": {"failed": True, "msg": "No Kubernetes API\nserver answers at 192.0.2.1:6443."},
            "bonn": {},
        }
    ) == [
        "CLUSTER     INSTALLATION         VERSION  POOLS OWNED BY             POOLS  IN USE  ADDRESSES  BLOCKS  "
        "FINDINGS",
        "paris       crd_v1               v3.31.2  nobody                         1   1,204     65,536      41  none",
        "oslo-large  apiserver (stopped)  unknown  the Tigera operator, Helm      2       7       2^64      41  "
        "1 error, 2 warnings, 2 leaked",
        "rome        no figures           -        -                              -       -          -       -  -",
        "bonn        no figures           -        -                              -       -          -       -  -",
        "",
        "4 clusters, 2 of them with figures; 1,211 addresses in use",
        "",
        "NO FIGURES  WHY",
        "rome        No Kubernetes API server answers at 192.0.2.1:6443.",
        "bonn        no result",
    ]


def test_one_and_none() -> None:
    assert fleet_lines({"paris": summary()})[-1] == "1 cluster; 1,204 addresses in use"
    assert fleet_lines({}) == ["There are no clusters in this fleet."]
