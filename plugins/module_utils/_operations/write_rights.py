# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether the user may write everything that a procedure writes, asked before its first write (hazard D19).

Every user may ask the API server what they may do. A right that is missing would otherwise be noticed when it is first
needed: after the pool has been disabled, or when all pods have moved and the old pool is to be deleted.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import ETCD, places_of
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ClusterError
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEPLOYMENTS,
    INSTALLATIONS,
    IP_POOLS,
    IPAM_BLOCKS,
    IPAM_HANDLES,
    LEASES,
    NAMESPACES,
    PODS,
    STATEFUL_SETS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    BARE_PODS,
    SUSPEND_CRON_JOBS,
    anywhere,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import NAME as LOCK
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import NAMESPACE as HOME

REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False)
MIGRATOR, CONSENTS, OPERATOR_POOLS = (f"calico-ops-ipam-{name}" for name in ("migrator", "consents", "operator-pools"))


@dataclass(frozen=True)
class Needed:
    """One right, and the role that has it."""

    verb: str
    resource: Resource
    role: str = MIGRATOR
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def what(self) -> str:
        what = f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural
        group = f".{self.resource.group}" if self.resource.group else ""
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{what}{group}{where}"

    def attributes(self) -> dict[str, str]:
        """What a SelfSubjectAccessReview asks for."""
        found = {
            "verb": self.verb,
            "group": self.resource.group,
            "version": self.resource.version,
            "resource": self.resource.plural,
            "subresource": self.subresource,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {key: value for key, value in found.items() if value}


def needed_rights(installation: Installation, consent: t.Collection[str] = ()) -> list[Needed]:
    """Every write of both procedures and of their undo on such a cluster; ``docs/rbac`` grants them."""
    found: list[Needed] = []

    def add(verbs: str, *resources: Resource, **more: str) -> None:
        found.extend(Needed(verb, resource, **more) for resource in resources for verb in verbs.split())

    add("create patch delete", CONFIG_MAPS, namespace=HOME)
    add("create", LEASES, namespace=HOME)
    add("update delete", LEASES, namespace=HOME, name=LOCK)
    places = places_of(installation.mode.value)
    if installation.operator.value:
        add("patch", INSTALLATIONS, name="default", role=OPERATOR_POOLS)
        add("patch", places[IP_POOLS])
    elif installation.mode.value != ETCD:
        add("create patch delete", places[IP_POOLS])
    if installation.mode.value != ETCD:
        add("update delete", *(places[kind] for kind in (IPAM_BLOCKS, BLOCK_AFFINITIES, IPAM_HANDLES)))
    add("patch", DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
    add("create", PODS, subresource="eviction")
    add("create delete", NAMESPACES)
    add("create", PODS)
    if anywhere(consent, SUSPEND_CRON_JOBS):
        add("patch", CRON_JOBS, role=CONSENTS)
    if anywhere(consent, BARE_PODS):
        add("create", CONFIG_MAPS, role=CONSENTS)
    return found


def missing_rights(api: KubeApi, needed: t.Iterable[Needed]) -> list[Needed]:
    """Those that the API server says the user has not; none where it does not say."""
    found: list[Needed] = []
    for right in needed:
        body = {
            "apiVersion": REVIEWS.api_version,
            "kind": REVIEWS.kind,
            "metadata": {},
            "spec": {"resourceAttributes": right.attributes()},
        }
        try:
            status = api.create(REVIEWS, body).get("status") or {}
        except ClusterError:
            return found
        if status.get("allowed") is False:
            found.append(right)
    return found


def require_rights(api: KubeApi, installation: Installation, consent: t.Collection[str] = ()) -> None:
    """Raises ``Refused`` in one sentence when the user could not carry a procedure to its end."""
    missing = missing_rights(api, needed_rights(installation, consent))
    if not missing:
        return
    roles = " and ".join(dict.fromkeys(right.role for right in missing))
    verbs: dict[str, list[str]] = {}
    for right in missing:
        verbs.setdefault(right.what, []).append(right.verb)
    lacking = [f"{'/'.join(some)} {what}" for what, some in verbs.items()]
    raise Refused(
        f"The user may not {', '.join(lacking)}, so this run would stop half-way: give them {roles} of the "
        "collection's docs/rbac, or use other credentials.",
        missing=lacking,
    )
