# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Which of the writers of pools is for this cluster (spec ippool.md §7.1, §11)."""

from __future__ import annotations

import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound, UnknownResource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import INSTALLATIONS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import declarers
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.paging import PagedApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import StoredPool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer import PoolWriter
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_custom_resource import (
    CustomResourceWriter,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_writer_operator import OperatorWriter


def pool_writer(api: PagedApi, installation: Installation, heirs: t.Sequence[StoredPool] = ()) -> PoolWriter:
    """The writer for this way of installing Calico, with what is there read now.

    ``heirs`` are pools that would be there by now, had what was only tried out been done.
    """
    objects = CustomResourceWriter(api, installation.mode.value)
    if not installation.operator.value:
        return objects
    try:
        thing = api.get(INSTALLATIONS, "default")
    except (NotFound, UnknownResource):
        # The operator has left, and only its label is still there.
        return objects
    others = declarers(replace(installation, operator=Fact(False, "")), (), thing).value
    return OperatorWriter(objects, thing, others or (), heirs)
