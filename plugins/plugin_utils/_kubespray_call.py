# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The call that goes on with a run of the role ``kubespray`` in somebody's site playbook.

To call the site playbook again would run Kubespray itself in the middle of a change, which could create the old pool.
"""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import KUBESPRAY

# Set by the role, for as long as it is at work.
AT_WORK = "__kubespray_reach"
# What the role may have been told in the site playbook.
TOLD = (
    "kubespray_mode",
    "kubespray_target",
    "kubespray_target_ipv6",
    "kubespray_delete_old",
    "kubespray_waivers",
    "kubespray_consent",
    "kubespray_overrides",
    "kubespray_kubeconfig",
    "kubespray_checkout",
)
_ONLY_PARTS = ("--tags", "--skip-tags")

Call = t.Dict[str, t.Any]


def as_kubespray(call: Call, task_vars: t.Mapping[str, t.Any], template: t.Callable[[t.Any], t.Any]) -> Call:
    """``call`` as ``called`` returns it, turned into one of our playbook where the role works in another one."""
    playbooks = call.get("playbooks") or []
    if not playbooks or KUBESPRAY in playbooks or AT_WORK not in task_vars or "kubespray_mode" not in task_vars:
        return call
    told = {name: template(task_vars[name]) for name in TOLD if name in task_vars}
    variables = {**call.get("variables", {}), **{name: value for name, value in told.items() if value}}
    turned = {**call, "playbooks": [KUBESPRAY], "variables": variables, "options": list(_without_parts(call))}
    return {name: value for name, value in turned.items() if value and name != "limit"}


def _without_parts(call: Call) -> t.Iterator[str]:
    """The options but those that leave out tasks: the tags are those of the site playbook."""
    words = iter(call.get("options") or ())
    for word in words:
        if word in _ONLY_PARTS:
            next(words, None)
        else:
            yield word
