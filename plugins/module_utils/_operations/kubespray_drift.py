# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where a Kubespray inventory and the cluster differ, for both families (spec kubespray.md §1, §2).

Kubespray compares the IPv4 pool only, and passes silently when it cannot read it.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import Journal
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_declared import (
    PODS_SUBNET,
    POOL_NAME,
    SETTINGS_VARIABLES,
    Declared,
    DeclaredPool,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.kubespray_live import Live
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_objects import (
    StoredPool,
    find,
    shown_spec,
)

# A run of Kubespray would fail or change the cluster; a run is harmless for now; nobody can tell.
DRIFT, PENDING, UNKNOWN = "drift", "pending", "unknown"


@dataclass(frozen=True)
class Finding:
    """One difference. ``subject`` is the variable, ``pool`` whether it is about a pool rather than the cluster."""

    severity: str
    subject: str
    declared: t.Any
    live: t.Any
    message: str
    pool: str = ""
    version: int = 0

    def shown(self) -> t.Dict[str, t.Any]:
        return {
            "severity": self.severity,
            "subject": self.subject,
            "declared": self.declared,
            "live": self.live,
            "message": self.message,
            "pool": self.pool,
            "family": f"ipv{self.version}" if self.version else "",
        }


def differences(declared: Declared, live: Live) -> t.Tuple[Finding, ...]:
    """Everything, pools first."""
    found: t.List[Finding] = []
    for pool in declared.pools:
        found += _pool(pool, live)
        found += _unknown(pool, declared.defaults_known)
    found += _settings(declared, live)
    found += _subnets(declared, live)
    found += _datastore(declared, live)
    return tuple(found)


def moved_to(pool: StoredPool, live: Live) -> t.Optional[Journal]:
    """The journal that says where the pods of a pool went, once that pool gives out no more addresses."""
    journal = live.journal_of(pool.name)
    if journal is None or find(live.pools, str(journal.target.get("name"))) is None:
        return None
    spec = shown_spec(pool.spec)
    stopped = bool(spec.get("disabled")) or spec.get("nodeSelector") == "!all()"
    return journal if stopped and journal.procedure == "migrate_pool" else None


def _pool(pool: DeclaredPool, live: Live) -> t.Iterator[Finding]:
    if pool.name is None:
        return
    stored = find(live.pools, pool.name)
    if stored is None:
        said = f"IPPool {pool.name}, which {POOL_NAME} names, is not in the cluster"
        yield Finding(DRIFT, POOL_NAME, pool.name, None, f"{said}; Kubespray would create it.", pool.name, pool.version)
        return
    journal = moved_to(stored, live)
    if journal is not None:
        to = journal.target.get("name")
        yield Finding(
            PENDING,
            POOL_NAME,
            pool.name,
            to,
            f"The pods of IPPool {pool.name} have moved, or are moving, to IPPool {to}. Kubespray's runs are harmless "
            f"until {pool.name} is deleted; change the inventory before that.",
            pool.name,
            pool.version,
        )
    spec = shown_spec(stored.spec)
    for key, value in pool.fields.items():
        if str(spec.get(key)) == str(value) or (key == "cidr" and pool.cidr == stored.pool_cidr and pool.version == 6):
            continue
        subject = pool.variables[key]
        yield Finding(
            DRIFT,
            subject,
            value,
            spec.get(key),
            f"{subject} is {_said(value)} ({pool.sources[key]}), and IPPool {pool.name} has {key} "
            f"{_said(spec.get(key))}.",
            pool.name,
            pool.version,
        )


def _unknown(pool: DeclaredPool, defaults_known: bool) -> t.Iterator[Finding]:
    why = (
        "neither the inventory nor Kubespray's roles define it."
        if defaults_known
        else "the inventory does not define it, and the defaults of Kubespray's roles were not found. "
        "kubespray_checkout says where they are."
    )
    for name in pool.unknown:
        yield Finding(
            UNKNOWN,
            name,
            None,
            None,
            f"{name} was not compared: {why}",
            pool.name or "",
            pool.version,
        )


def _settings(declared: Declared, live: Live) -> t.Iterator[Finding]:
    for key, value in declared.settings.items():
        if key in live.settings and live.settings[key] != value:
            name = SETTINGS_VARIABLES[key]
            yield Finding(
                DRIFT,
                name,
                value,
                live.settings[key],
                f"{name} is {_said(value)}, and Calico's IPAM settings have {key} {_said(live.settings[key])}; "
                "Kubespray writes its own value back.",
            )


def _subnets(declared: Declared, live: Live) -> t.Iterator[Finding]:
    for pool in declared.pools:
        for source, networks in live.subnets:
            same: t.List[Network] = [network for network in networks if network.version == pool.version]
            if pool.pods_subnet is None or not same or pool.pods_subnet in same:
                continue
            name, shown = PODS_SUBNET[pool.version], ", ".join(map(str, same))
            yield Finding(
                DRIFT, name, str(pool.pods_subnet), shown, f"{name} is {pool.pods_subnet}, and {source} has {shown}."
            )


def _datastore(declared: Declared, live: Live) -> t.Iterator[Finding]:
    if declared.datastore is None:
        return
    actual = "etcd" if live.mode == "etcd" else "kdd"
    if declared.datastore != actual:
        yield Finding(
            DRIFT,
            "calico_datastore",
            declared.datastore,
            actual,
            f"calico_datastore is {declared.datastore}, and Calico keeps its data in "
            f"{'an etcd of its own' if actual == 'etcd' else 'the Kubernetes API'}.",
        )


def _said(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
