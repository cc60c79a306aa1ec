# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.audit_settings import (
    reservation_findings,
    settings_findings,
)

FINE = {"strictAffinity": False, "autoAllocateBlocks": True}


def config(spec: t.Any) -> dict[str, t.Any]:
    return {"kind": "IPAMConfig", "metadata": {"name": "default"}, "spec": spec}


@pytest.mark.parametrize(
    ("thing", "version", "wanted"),
    [
        (None, "v3.30.1", {}),
        (config(FINE), "", {}),
        (config({"strictAffinity": True, "autoAllocateBlocks": False, "maxBlocksPerHost": 4}), "", {}),
        (config({**FINE, "ipCooldownSeconds": 30}), "v3.33.0", {}),
        (config({**FINE, "ipCooldownSeconds": 30}), "", {}),
        (config({**FINE, "ipCooldownSeconds": 30}), "v3.32.4", {"ipCooldownSeconds": "error"}),
        (config({**FINE, "ipCooldownSeconds": 1201}), "", {"ipCooldownSeconds": "error"}),
        (config({**FINE, "ipCooldownSeconds": -1}), "", {"ipCooldownSeconds": "error"}),
        # §2.2: an object without spec reads as both false in group v1.
        ({"kind": "IPAMConfig", "metadata": {"name": "default"}}, "", {"spec": "error"}),
        (config({}), "", {"autoAllocateBlocks": "error"}),
        (config({"strictAffinity": False, "autoAllocateBlocks": False}), "", {"autoAllocateBlocks": "error"}),
        (config({**FINE, "maxBlocksPerHost": 4}), "", {"maxBlocksPerHost": "warning"}),
        (config({**FINE, "maxBlocksPerHost": -4}), "", {"maxBlocksPerHost": "error"}),
        (config({**FINE, "kubeVirtVMAddressPersistence": "Never"}), "", {"kubeVirtVMAddressPersistence": "error"}),
        # Whatever a hostile hand may write.
        (config([]), "", {"spec": "error"}),
        (config({"strictAffinity": "yes"}), "", {"strictAffinity": "error"}),
        (config({**FINE, "maxBlocksPerHost": True}), "", {"maxBlocksPerHost": "error"}),
        ("IPAMConfig", "", {"spec": "error"}),
        (config({**FINE, "kubeVirtVMAddressPersistence": {}}), "x", {"kubeVirtVMAddressPersistence": "error"}),
    ],
)
def test_settings(thing: t.Any, version: str, wanted: dict[str, str]) -> None:
    found = list(settings_findings(thing, version))
    assert {each.subject: each.severity for each in found} == wanted
    assert all(each.message.endswith(".") and each.remedy for each in found)


def test_group_v3_has_defaults() -> None:
    assert list(settings_findings({"metadata": {"name": "default"}}, requires_flags=False)) == []
    assert list(settings_findings(config({}), requires_flags=False)) == []


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        (["10.0.0.0/24", "10.0.0.1", " fd00::/64 "], {}),
        (["10.0.0.0/33"], {"r": "warning"}),
        (["10.0.0.0/24", 7, None], {"r": "warning"}),
        ([], {"r": "note"}),
        (None, {"r": "note"}),
        ("10.0.0.0/24", {"r": "warning"}),
    ],
)
def test_reservations(entries: t.Any, wanted: dict[str, str]) -> None:
    found = list(reservation_findings([{"metadata": {"name": "r"}, "spec": {"reservedCIDRs": entries}}]))
    assert {each.subject: each.severity for each in found} == wanted
    assert len(list(reservation_findings([{}, 5]))) == 2
