# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of who else writes the pools, or describes them elsewhere (hazards B22, A09)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import marks
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import DECLARE, Situation


def managed_elsewhere(now: Situation) -> t.Iterator[Problem]:
    """Who would put the pools back. What the operator manages is changed in its Installation, so that counts then."""
    things: list[tuple[str, Object]] = [
        (f"IPPool {pool.name}", pool.live.thing) for pool in _changed(now) if pool.live is not None
    ]
    if now.view.installation.operator.value and now.view.operator is not None and _changed(now):
        things.append((f"Installation {now.view.operator['metadata']['name']}", now.view.operator))
    for name, thing in things:
        for mark in marks(thing):
            if mark.returns:
                yield Problem(
                    # Who declares pools here has them described here.
                    WARNING if now.request.procedure == DECLARE else BLOCKER,
                    f"{name} is written by {mark.who}, which puts it back on its next run.",
                    "Change it at its source too, or pause that, before the first pool is disabled; then waive this "
                    "check.",
                    (name,),
                )
            else:
                yield Problem(
                    WARNING,
                    f"{name} comes from {mark.who}: whoever applies that again undoes the change.",
                    "Change the manifest too, before somebody applies it again.",
                    (name,),
                )
    if "kubespray" in (now.view.installation.cluster_type.value or ()) and _changed(now):
        yield Problem(
            WARNING,
            "Kubespray set the cluster up; as long as its inventory describes the pools of today, its next run fails "
            "or makes the old pool again.",
            "Change calico_pool_name, calico_pool_cidr and calico_pool_blocksize in the inventory once the procedure "
            "is "
            "done, before Kubespray runs again.",
            tuple(name for name, _thing in things),
        )


def _changed(now: Situation) -> list[t.Any]:
    """Pools that exist and are written: those that are left, the target, declared ones."""
    found = {pool.name: pool for pool in (*now.leaving(), *now.wanted) if pool.live is not None}
    return [found[name] for name in sorted(found)]


CHECKS = (Check("managed-elsewhere", "nobody else manages the pools", ("B22", "A09"), managed_elsewhere),)
