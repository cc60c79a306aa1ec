# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which pools a procedure writes, and what Calico would say to them."""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import FieldError, InvalidPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool_rules import validate_create, validate_update
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pinned_by import Pin, pinned_by
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation, Wanted

# Rules that have a check of their own.
SIZE_RULES = frozenset({"V7", "V8"})
OVERLAP_RULE = "V24"
LEFTOVER_RULE = "V25"


def to_write(now: Situation) -> list[Wanted]:
    """Pools whose definition is going to be written."""
    return [pool for pool in now.wanted if not pool.deleted]


def new_ranges(now: Situation) -> list[Wanted]:
    """Pools with a range that the cluster has not had before."""
    names = {now.source.name} if now.source is not None else set()
    return [pool for pool in now.wanted if pool.is_new and pool.name not in names]


def pins_of(now: Situation, pool: Wanted) -> list[Pin]:
    """Everything that pins itself to the pool."""
    key = f"pins of {pool.name}"
    if key not in now.known:
        now.known[key] = pinned_by(now.view, pool.name, pool.pool.cidr if pool.pool is not None else None)
    return list(now.known[key])


def pools_afterwards(now: Situation) -> list[Pool]:
    """The pools there are while the pods move: those of now without the leaving ones, and the wanted ones."""
    leaving = {pool.name for pool in now.leaving()}
    wanted = [
        pool.pool for pool in now.wanted if pool.pool is not None and not pool.leaves and pool.name not in leaving
    ]
    names = leaving | {pool.name for pool in wanted}
    return [*(pool for pool in engine_pools(now.view.pools) if pool.name not in names), *wanted]


def rule_errors(now: Situation, pool: Wanted) -> tuple[FieldError, ...]:
    try:
        if pool.live is not None:
            validate_update(pool.name, pool.live.spec, pool.spec)
        else:
            validate_create(pool.name, pool.spec, _others(now, pool), ())
    except InvalidPool as error:
        return error.errors
    return ()


def _others(now: Situation, pool: Wanted) -> list[Pool]:
    gone = {other.name for other in now.wanted if other.deleted} | {pool.name}
    others = [other for other in engine_pools(now.view.pools) if other.name not in gone]
    known = {other.name for other in others}
    others += [
        other.pool
        for other in now.wanted
        if other is not pool and other.pool is not None and not other.deleted and other.name not in known | {pool.name}
    ]
    return others
