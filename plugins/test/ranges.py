# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests about ranges; documented in the YAML file of each test."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._errors import filters
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._networks import networks, pool_shape


def overlapping(value: t.Any, other: t.Any) -> bool:
    """Whether two sets share an address."""
    mine, theirs = networks(value), networks(other, "other")
    return any(a.overlaps(b) for a in mine for b in theirs)


def inside(value: t.Any, other: t.Any) -> bool:
    """Whether every address of the value is in the other set. Nothing is in everything."""
    return _covers(networks(other, "other"), networks(value))


def containing(value: t.Any, other: t.Any) -> bool:
    """``inside`` the other way round."""
    return _covers(networks(value), networks(other, "other"))


def block_in(value: t.Any, pool: t.Any, block_size: t.Any = None) -> bool:
    """Whether this range is just one block of the pool."""
    cidr, size = pool_shape(pool, block_size)
    found = networks(value)
    return len(found) == 1 and found[0].prefix == size and cidr.contains(found[0])


def pool(value: t.Any, block_size: t.Any = None) -> bool:
    """Whether range and block size make a pool."""
    try:
        pool_shape(value, block_size)
    except InvalidInput:
        return False
    return True


def _covers(outer: t.Sequence[Network], inner: t.Sequence[Network]) -> bool:
    # As few CIDRs as possible: what several of the outer ones cover together is in one of them.
    return all(any(a.contains(b) for a in outer) for b in inner)


class TestModule:
    def tests(self) -> dict[str, t.Callable[..., t.Any]]:
        return filters(
            overlapping=overlapping,
            inside=inside,
            containing=containing,
            block_in=block_in,
            pool=pool,
        )
