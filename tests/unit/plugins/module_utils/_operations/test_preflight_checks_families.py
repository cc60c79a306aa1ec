# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B46, B47: the data plane, and both IP versions."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, WEB, asked, examine, pod, pool, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_families import CHECKS

CALICO = workload("DaemonSet", "calico-node", None, "kube-system")
PROXY = workload("DaemonSet", "kube-proxy", None, "kube-system")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ebpf": True, "workloads": (*WEB, CALICO, PROXY)}, "eBPF"),
        ({"workloads": (*WEB, CALICO)}, "There is no DaemonSet kube-proxy"),
        ({"workloads": (*WEB, CALICO, PROXY)}, ""),
        ({}, ""),
    ],
)
def test_who_leads_to_services(changes: t.Any, words: str) -> None:
    problems = examine(CHECKS, "service-data-plane", view(**changes))
    assert [words in each.message for each in problems] == ([True] if words else [])


BOTH = (pod("web-1-a", "192.168.1.5", "fd00::5"), pod("web-1-b", "192.168.1.6"))
V6 = pool("six", cidr="fd00::/64", blockSize=122, ipipMode="Never")


def cni(**ipam: t.Any) -> t.Any:
    asks = ", ".join(f'"{key}": "{value}"' for key, value in {"type": "calico-ipam", **ipam}.items())
    text = '{"plugins": [{"type": "calico", "ipam": {' + asks + "}}]}"
    return {("kube-system", "calico-config"): {"cni_network_config": text}}


@pytest.mark.parametrize(
    ("changes", "request_", "severities"),
    [
        ({}, {}, []),
        ({"pods": BOTH, "pools": (pool(), V6)}, {}, ["note"]),
        ({"pods": BOTH}, {}, ["blocker"]),
        ({"pods": BOTH, "pools": (pool(), pool("six", "fd00::/64", blockSize=122, disabled=True))}, {}, ["blocker"]),
        ({"pods": BOTH, "pools": (pool(), V6)}, {"nat_outgoing": False}, ["note", "warning"]),
        ({"pods": BOTH, "pools": (pool(natOutgoing=False), V6)}, {"nat_outgoing": True}, ["note"]),
        ({"config_maps": cni(assign_ipv6="true")}, {}, ["blocker"]),
        ({"config_maps": cni(assign_ipv6="true"), "pools": (pool(), V6)}, {}, []),
        ({"config_maps": cni(assign_ipv6="false")}, {}, []),
    ],
)
def test_both_ip_versions(changes: t.Any, request_: t.Any, severities: list[str]) -> None:
    request = asked(target={"name": "new", "cidr": "10.0.0.0/16", **request_})
    assert [each.severity for each in examine(CHECKS, "ip-families", view(**changes), request)] == severities
    assert examine(CHECKS, "ip-families", view(**changes), DECLARE) == []


def test_ipv6_is_moved_and_ipv4_stays() -> None:
    request = asked(target={"name": "new", "cidr": "fd00:0:0:1::/64"})
    six = pool(cidr="fd00::/64", blockSize=122, ipipMode="Never")
    (problem,) = examine(CHECKS, "ip-families", view(pods=BOTH, pools=(six, pool("four"))), request)
    assert "Only those of IPv6 change their pool" in problem.message
