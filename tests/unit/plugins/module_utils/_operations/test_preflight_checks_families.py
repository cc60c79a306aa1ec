# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B46, B47: the data plane, and both IP versions."""

from __future__ import annotations

import dataclasses
import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, MOVE, WEB, Object, asked, examine, node, pod, pool, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_calico import CalicoFacts
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_families import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import PreflightRequest

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


def addressed(name: str, *addresses: str) -> Object:
    found = node(name)
    found["status"]["addresses"] = [{"type": "InternalIP", "address": address} for address in addresses]
    return found


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


TO_V6 = asked(target={"name": "new", "cidr": "fd00:0:0:1::/64"})
NO_V6_NODES = tuple(addressed(f"node-{number}", f"172.18.0.{number}") for number in (1, 2))
V6_NODES = tuple(addressed(f"node-{number}", f"172.18.0.{number}", f"fd01::{number}") for number in (1, 2))


@pytest.mark.parametrize(
    ("changes", "request_", "severity", "words"),
    [
        ({"config_maps": cni(assign_ipv6="false")}, TO_V6, "blocker", "does not ask for one"),
        ({"config_maps": cni()}, TO_V6, "blocker", "cni_network_config of ConfigMap kube-system/calico-config"),
        ({"nodes": NO_V6_NODES}, TO_V6, "blocker", "no node has an IPv6 address"),
        ({"calico": CalicoFacts(felix={"ipv6Support": False})}, TO_V6, "blocker", "Felix does not handle IPv6"),
        ({"calico_node_env": {"FELIX_IPV6SUPPORT": "false"}}, TO_V6, "blocker", "FELIX_IPV6SUPPORT of DaemonSet"),
        ({"config_maps": cni(assign_ipv4="false", assign_ipv6="true")}, MOVE, "warning", "2 pods have IPv4 addresses"),
        ({"config_maps": cni(assign_ipv6="false"), "pods": BOTH}, TO_V6, "warning", "unless their annotations ask"),
        (
            {"config_maps": cni()},
            dataclasses.replace(DECLARE, pools=({"name": "new", "cidr": "fd00:0:0:1::/64"},)),
            "warning",
            "no pod would get an address of it",
        ),
    ],
)
def test_a_pool_of_an_ip_version_that_pods_do_not_get(
    changes: t.Any, request_: PreflightRequest, severity: str, words: str
) -> None:
    (problem,) = examine(CHECKS, "ip-version-in-use", view(**changes), request_)
    assert problem.severity == severity
    assert words in problem.message


@pytest.mark.parametrize(
    ("changes", "request_"),
    [
        ({"config_maps": cni(assign_ipv6="true"), "nodes": V6_NODES}, TO_V6),
        ({"config_maps": cni(assign_ipv6="true"), "nodes": V6_NODES, "pods": BOTH}, TO_V6),
        ({"config_maps": cni(assign_ipv6="true"), "nodes": V6_NODES, "pods": BOTH}, MOVE),
        ({"config_maps": cni(), "nodes": NO_V6_NODES}, MOVE),
        # Kubelets may report one version only.
        ({"config_maps": cni(assign_ipv6="true"), "nodes": NO_V6_NODES, "pods": BOTH}, TO_V6),
        # Nobody says anything: neither does the check.
        ({}, TO_V6),
    ],
)
def test_a_pool_of_an_ip_version_that_pods_get(changes: t.Any, request_: PreflightRequest) -> None:
    assert examine(CHECKS, "ip-version-in-use", view(**changes), request_) == []


def test_ipv6_is_moved_and_ipv4_stays() -> None:
    request = asked(target={"name": "new", "cidr": "fd00:0:0:1::/64"})
    six = pool(cidr="fd00::/64", blockSize=122, ipipMode="Never")
    (problem,) = examine(CHECKS, "ip-families", view(pods=BOTH, pools=(six, pool("four"))), request)
    assert "Only those of IPv6 change their pool" in problem.message
