# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A site playbook that runs Kubespray is not called again in the middle of a change of pools."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.plugin_utils._kubespray_call import as_kubespray

SITE = {
    "playbooks": ["/home/ann/site.yml"],
    "inventory": ["/k/hosts.yml"],
    "limit": "cp1",
    "host": "cp1",
    "options": ["-u", "admin", "--tags", "pools", "-b"],
}
TARGET = {"cidr": "10.234.64.0/18"}
AT_WORK: dict[str, t.Any] = {
    "__kubespray_reach": {},
    "kubespray_mode": "{{ mode }}",
    "kubespray_target": TARGET,
    "kubespray_target_ipv6": {},
}


def test_our_playbook_goes_on_with_what_the_site_playbook_said() -> None:
    found = as_kubespray(SITE, AT_WORK, lambda value: "migrate" if value == "{{ mode }}" else value)
    assert found == {
        "playbooks": ["calico_ops.ipam.kubespray"],
        "inventory": ["/k/hosts.yml"],
        "host": "cp1",
        "variables": {"kubespray_mode": "migrate", "kubespray_target": TARGET},
        "options": ["-u", "admin", "-b"],
    }


def test_every_other_call_stays_as_it_is() -> None:
    ours = {**SITE, "playbooks": ["calico_ops.ipam.kubespray"]}
    for call, variables in ((ours, AT_WORK), (SITE, {"kubespray_mode": "migrate"}), ({}, AT_WORK)):
        assert as_kubespray(call, variables, lambda value: value) == call
