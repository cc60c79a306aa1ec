# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What must be true of a cluster after a procedure, read from its API by itself."""

from __future__ import annotations

import ipaddress
import typing as t

from twin_fixture import TwinHandle

CALICO = "/apis/crd.projectcalico.org/v1/"


def objects(twin: TwinHandle, plural: str, path: str = CALICO) -> dict[str, dict[str, t.Any]]:
    """The objects of a type, by name (namespace/name where they have one)."""
    found = {}
    for item in twin.ask(path + plural)["items"]:
        metadata = item["metadata"]
        name = metadata["name"]
        found[f"{metadata['namespace']}/{name}" if "namespace" in metadata else name] = item
    return found


def nobody_noticed(twin: TwinHandle) -> None:
    record = twin.record()
    assert record["outages"] == []
    assert record["budget_violations"] == []
    assert record["addresses_outside_pools"] == []
    # The record itself must have seen something, or it proves nothing.
    assert len(record["workloads"]) > 5
    assert len(record["budgets"]) > 2


def everybody_has_an_address_in(twin: TwinHandle, cidr: str) -> None:
    pods = objects(twin, "pods", "/api/v1/")
    on_pod_network = [
        pod
        for pod in pods.values()
        if not pod["spec"].get("hostNetwork") and pod["status"]["phase"] not in ("Succeeded", "Failed")
    ]
    assert len(on_pod_network) > 3
    addresses = [pod["status"]["podIP"] for pod in on_pod_network]
    assert all(ipaddress.ip_address(address) in ipaddress.ip_network(cidr) for address in addresses), addresses
    assert len(set(addresses)) == len(addresses)


def ipam_is_clean(twin: TwinHandle, cidr: str, block_size: int) -> None:
    """Every block, affinity and handle belongs to the one pool and to something that lives."""
    network = ipaddress.ip_network(cidr)
    blocks = {item["spec"]["cidr"]: item["spec"] for item in objects(twin, "ipamblocks").values()}
    assert blocks
    for text, spec in blocks.items():
        block = ipaddress.ip_network(text)
        assert block.prefixlen == block_size
        assert block.subnet_of(t.cast("t.Any", network))
        assert not spec.get("deleted")
    affinities = [item["spec"] for item in objects(twin, "blockaffinities").values()]
    assert {row["cidr"] for row in affinities} == set(blocks)
    assert all(row["state"] == "confirmed" for row in affinities)
    used = {
        attribute["handle_id"]
        for spec in blocks.values()
        for attribute in spec["attributes"]
        if attribute.get("handle_id")
    }
    assert {item["spec"]["handleID"] for item in objects(twin, "ipamhandles").values()} == used
    pod_names = set(objects(twin, "pods", "/api/v1/"))
    for spec in blocks.values():
        for attribute in spec["attributes"]:
            secondary = attribute.get("secondary") or {}
            if "pod" in secondary:
                assert f"{secondary['namespace']}/{secondary['pod']}" in pod_names


def nothing_of_ours_is_left(twin: TwinHandle) -> None:
    assert not [name for name in objects(twin, "namespaces", "/api/v1/") if name.startswith("calico-ops")]
    assert not [name for name in objects(twin, "configmaps", "/api/v1/") if "calico-ops" in name]
    for path, plural in (("/apis/apps/v1/", "deployments"), ("/apis/apps/v1/", "statefulsets"), (CALICO, "ippools")):
        for name, item in objects(twin, plural, path).items():
            annotations = item["metadata"].get("annotations") or {}
            assert not [key for key in annotations if "calico-ops" in key and "/twin-" not in key], name


def block_size_was_changed(twin: TwinHandle, before: dict[str, t.Any], block_size: int) -> None:
    pools = objects(twin, "ippools")
    assert list(pools) == ["default-ipv4-ippool"]
    after = pools["default-ipv4-ippool"]["spec"]
    # A pool that never was disabled may or may not carry the field.
    same = {key: value for key, value in after.items() if key not in ("blockSize", "disabled")}
    assert after["blockSize"] == block_size
    assert not after.get("disabled", False)
    assert same.items() >= {k: v for k, v in before.items() if k not in ("blockSize", "disabled")}.items()
    everybody_has_an_address_in(twin, after["cidr"])
    ipam_is_clean(twin, after["cidr"], block_size)
    nothing_of_ours_is_left(twin)
