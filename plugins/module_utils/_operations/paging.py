# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What operations need beyond ``KubeApi``: lists that are too long to be held at once."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput


class Page(t.Protocol):
    """One page of a list."""

    @property
    def items(self) -> list[Object]: ...

    @property
    def resource_version(self) -> str: ...


class PagedApi(KubeApi, t.Protocol):
    """``KubeApi`` with lists in pages, as ``_cluster/client.py`` serves them."""

    def pages(self, resource: Resource, namespace: str | None = None) -> t.Iterator[Page]: ...


def block_cidrs(api: PagedApi) -> t.Iterator[Network]:
    """The CIDRs of all blocks, page by page; none when blocks are not served."""
    for page in api.pages(IPAM_BLOCKS):
        for item in page.items:
            yield range_of(item)


def range_of(block: Object) -> Network:
    """The CIDR of a stored block; InvalidInput naming the block when it does not parse."""
    try:
        return parse_network((block.get("spec") or {}).get("cidr"), strict=False)
    except InvalidInput as error:
        raise InvalidInput(
            f"IPAMBlock {block['metadata']['name']}: {error.message}", "spec.cidr", error.value
        ) from None
