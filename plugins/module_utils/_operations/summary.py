# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""One cluster in a few figures: how Calico is installed, its pools, what is used of them, and what the audit found."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import examine, unsupported_reason
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit import audit
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.audit_etcd_records import records_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.declared_by import declarers
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import engine_pools, read_pools
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.open import Stores


def summarise(stores: Stores, clock: Clock) -> dict[str, t.Any]:
    """The result of ``ipam_summary_info``. Raises what the API raises, and Refused where there is no Calico."""
    stores.require_readable()
    installation, pools, operator = examine(stores.api)
    stored = read_pools(stores.api)
    parsed = engine_pools(stored)
    counts = audit(stores.api, records_of(stores), parsed, clock)["summary"]
    stop = unsupported_reason(installation)
    return {
        "mode": installation.mode.value,
        "version": installation.version.value,
        "supported": stop is None,
        "stop": stop or "",
        "owners": list(declarers(installation, pools, operator.value).value or ()),
        "pools": [pool.name for pool in stored],
        "addresses": {
            "in_use": counts["addresses"]["allocated"],
            "capacity": sum(pool.cidr.size for pool in parsed),
            "leaked": counts["addresses"]["leaked"],
        },
        "blocks": counts["blocks"],
        "findings": counts["severities"],
    }
