# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What no API shows and the operator has to look at: networks outside the cluster, settings of the hosts."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    NOTE,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_definitions import new_ranges
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import (
    Situation,
    Wanted,
)


def outside_ranges(now: Situation) -> t.Iterator[Problem]:
    """B09, for what the cluster does not know."""
    if now.request.external_ranges:
        return  # pool-overlap compares with them.
    for pool in _new(now):
        yield Problem(
            NOTE,
            f"Confirm that {pool.spec['cidr']} of pool {pool.name!r} is no network outside the cluster that pods or "
            "nodes "
            "must reach: office and VPN ranges, peered clusters and clouds, docker and CNI bridges on the nodes.",
            "Name those networks in external_ranges, and they are compared; or waive outside-ranges when you have "
            "looked.",
            (f"IPPool {pool.name}",),
            confirm=True,
        )


def host_settings(now: Situation) -> t.Iterator[Problem]:
    """A14."""
    old = [str(pool.spec["cidr"]) for pool in now.leaving() if pool.spec.get("cidr")]
    for pool in _new(now):
        because = f", as they name {', '.join(old)} now" if old else ""
        yield Problem(
            NOTE,
            f"Confirm that NO_PROXY, kubelets and firewalls on the nodes name {pool.spec['cidr']} of pool "
            f"{pool.name!r}, or a range around it{because}: traffic of pods would go through a proxy or be dropped.",
            "Run the installer's step for hosts with the new range first; waive host-settings when you have looked.",
            (f"IPPool {pool.name}",),
            confirm=True,
        )


def _new(now: Situation) -> list[Wanted]:
    return [pool for pool in new_ranges(now) if pool.pool is not None]


CHECKS = (
    Check(
        "outside-ranges",
        "the new range is free outside the cluster too",
        ("B09",),
        outside_ranges,
        worst=NOTE,
        confirms=True,
    ),
    Check("host-settings", "hosts know the new range", ("A14",), host_settings, worst=NOTE, confirms=True),
)
