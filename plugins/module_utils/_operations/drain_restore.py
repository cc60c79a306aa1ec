# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a drain that was killed has left half done, put back without moving anything (hazards.md D19).

Every drain does this as well, whichever pool it is about; here it is done where nothing is to be drained any more, as
when a move to a pool that was there before is undone.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import Clock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import (
    check_options,
    drain,
    plan_drain,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_bare_pods import read_saved
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import BARE_PODS, anywhere
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions, DrainResult

# Every drain puts back what others left; this one has nothing else to do, since no pod has such an address.
NOWHERE = parse_network("255.255.255.255/32")


def restore(
    api: KubeApi,
    options: DrainOptions,
    clock: Clock,
    report: t.Callable[[object], None],
    warn: t.Callable[[str], None],
    *,
    check_mode: bool,
) -> DrainResult:
    """Put strategies back, wake CronJobs, and create pods again whose manifests were saved.

    The pool of ``options`` may be enabled or gone. Raises what ``drain`` raises; a missing right to read saved
    manifests is an error only with consent to move such pods.
    """
    check_options(api, options)
    require_writable(api)
    saved: set[str] = set()
    with contextlib.suppress(*(() if anywhere(options.consent, BARE_PODS) else (Forbidden,))):
        saved = {owner.namespace for owner in read_saved(api, options.namespaces)}
    # Whoever saved them had the consent.
    consent = [*options.consent, *(f"{BARE_PODS}/{namespace}" for namespace in sorted(saved))]
    given = replace(options, consent=consent)
    if check_mode:
        return plan_drain(api, NOWHERE, given, clock)
    return drain(api, NOWHERE, given, clock, report, warn)
