# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who owns a pool, and what has to be written to change it (spec ippool.md §10.2)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import OPERATOR, OWNER_LABEL
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_claims import WHERE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.operator_entries import adopts, index_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_condition import conditions_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_custom_resource import place_of


def owner_of(pool: StoredPool, installation: Installation) -> str | None:
    """``tigera-operator`` when the pool carries its label, or is about to, being just as an entry says; else None."""
    if pool.labels.get(OWNER_LABEL) == OPERATOR:
        return OPERATOR
    entries = installation.operator_entries.value or ()
    index = index_of(entries, pool.name, pool.pool_cidr)
    return OPERATOR if index is not None and adopts(entries[index], pool.spec) else None


def placed(pool: StoredPool, installation: Installation) -> dict[str, t.Any]:
    """Owner, place and conditions of a pool, for a module's result."""
    owner = owner_of(pool, installation)
    return {
        "owner": owner,
        "where": WHERE if owner == OPERATOR else place_of(installation.mode.value, pool.name),
        "terminating": pool.terminating,
        "conditions": conditions_of(pool.thing),
    }
