# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Why an installation must not be written to, each reason as one sentence (spec ippool.md §7.1, §7.3, §7.5)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import (
    CRD_V1,
    ETCD,
    NONE,
    places_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import (
    CALICO_IPAM,
    Fact,
    Installation,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CALICO_V1,
    CALICO_V3,
    CLUSTER_INFORMATIONS,
    INSTALLATIONS,
)

#: The phases in which Calico's data is where the mode says: none, and the end of a migration.
SETTLED = ("", "Complete")


NO_CALICO = (
    "The cluster does not serve ippools.crd.projectcalico.org or ippools.projectcalico.org: either Calico is not "
    "installed, or it keeps its data in an etcd of its own, which datastore: etcd and etcd_endpoints lead to."
)


def writable(found: Installation) -> str | None:
    """Why nothing may be written to Calico's data now, in whatever way; None when it may.

    These are the rows of the decision table at which everybody has to stop; whether this
    release has a way of writing for the mode is another question.
    """
    return next((reason for rule in _RULES for reason in rule(found)), None)


def without_writer(found: Installation) -> str | None:
    """Why there is no way of changing the pools of an installation that may be written to."""
    if found.operator.value and found.mode.value == CRD_V1:
        return (
            f"The Tigera operator manages the IP pools of this cluster ({', '.join(found.operator_pools.value)}), and "
            "it changes pools through projectcalico.org/v3 only, which is not served here; create an APIServer "
            "resource (operator.tigera.io/v1), so that the operator runs Calico's API server."
        )
    return None


def without_calico_ipam(found: Installation) -> str | None:
    """Why a change of pools would be none for pods: they get their addresses elsewhere, as far as ``ipam`` is known."""
    return next(_foreign_ipam(found), None)


def _absent(found: Installation) -> t.Iterator[str]:
    if found.mode.value == NONE:
        yield NO_CALICO
    if found.mode.value == ETCD and not found.connected:
        yield (
            f"Calico keeps its data in an etcd of its own ({found.mode.source}): give datastore: etcd and "
            "etcd_endpoints, so that it is changed there."
        )


def _in_transition(found: Installation) -> t.Iterator[str]:
    phase = found.migration.value
    if phase == "Converged":
        yield (
            f"{found.migration.source} is in phase Converged: Calico's data has moved to projectcalico.org/v3 and the "
            "nodes are being restarted; wait until it is Complete."
        )
    elif phase is not None and phase not in SETTLED:
        yield (
            f"{found.migration.source} is in phase {phase}: Calico's data is being moved to projectcalico.org/v3, and "
            "nothing may be changed until it is Complete."
        )
    if found.locked.value:
        yield (
            f"{found.locked.source} says datastoreReady: false, so Calico's datastore is locked for a migration; "
            "nothing may be changed until it is true again."
        )


def _unknown(found: Installation) -> t.Iterator[str]:
    """Who may not see what would forbid a change does not make one."""
    if found.undecided.value:
        yield (
            f"Nothing is changed while it is not known whether Calico uses {CALICO_V1} or {CALICO_V3}, which are both "
            'served: the user cannot get resource "daemonsets" in API group "apps", where calico-node has '
            "CALICO_API_GROUP; grant that right, or use other credentials."
        )
    information = places_of(found.mode.value)[CLUSTER_INFORMATIONS]
    questions: tuple[tuple[Fact[t.Any], str, str], ...] = (
        (
            found.migration,
            "Calico's data is being moved to another group",
            'list resource "datastoremigrations" in API group "migration.projectcalico.org"',
        ),
        (
            found.locked,
            "Calico's datastore is locked",
            f'get resource "{information.plural}" in API group "{information.group}"',
        ),
        (
            found.operator_entries,
            "the Tigera operator manages the pools",
            f'get resource "{INSTALLATIONS.plural}" in API group "{INSTALLATIONS.group}"',
        ),
    )
    for fact, question, right in questions:
        # Pools that carry the operator's label say enough.
        told = fact is found.operator_entries and found.operator.value
        if fact.value is None and fact.source.startswith("no right") and not told:
            yield (
                f"Nothing is changed while it is not known whether {question}: the user cannot {right}; grant that "
                "right, or use other credentials."
            )


def _api_server_down(found: Installation) -> t.Iterator[str]:
    if found.api_server_down.value:
        yield (
            "The API projectcalico.org/v3 is registered but answers 503, so Calico's API server is down; nothing may "
            "be written past it, so bring it up first."
        )


def _openshift(found: Installation) -> t.Iterator[str]:
    if found.openshift.value:
        yield "The cluster is OpenShift, whose pod range cannot be changed after its installation."


def _foreign_ipam(found: Installation) -> t.Iterator[str]:
    if found.ipam.value not in (None, CALICO_IPAM):
        yield (
            f"Pods get their addresses from {found.ipam.value}, not from Calico's IP pools ({found.ipam.source}): a "
            "change of pools would move nothing; let Calico IPAM give the addresses first."
        )


_RULES: tuple[t.Callable[[Installation], t.Iterator[str]], ...] = (
    _absent,
    _in_transition,
    _unknown,
    _api_server_down,
    _openshift,
    _foreign_ipam,
)
