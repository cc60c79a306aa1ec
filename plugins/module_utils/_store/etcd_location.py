# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Whether an etcd is the one of this cluster's Calico, as far as that can be told.

Nothing in etcd names the Kubernetes cluster. But Calico's record of itself must be there, its
components must not be told to use the Kubernetes API, and its nodes are those of Kubernetes.
"""

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_places import ETCD
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.discovery import group_versions, readable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Location
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_location import (
    calico_node_env,
    migration_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CLUSTER_INFORMATIONS, NODES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import (
    CALICO_NODES,
    NodesWithEtcd,
    name_in_kubernetes,
)


def locate_in_etcd(api: NodesWithEtcd, etcd: EtcdApi) -> Location:
    """Where Calico's kinds are when the options say etcd. Raises ``Refused`` when it cannot be this one."""
    where = etcd.client.where
    try:
        etcd.get(CLUSTER_INFORMATIONS, "default")
    except NotFound:
        raise not_calicos(where) from None
    env, source = calico_node_env(api)
    kind = (env or {}).get("DATASTORE_TYPE", "")
    if kind == "kubernetes":
        raise Refused(
            f"Calico keeps its data in the Kubernetes API (DATASTORE_TYPE={kind} in {source}), so what is in {where} "
            "is out of date or belongs to another cluster; leave datastore out."
        )
    require_our_nodes(api, etcd)
    served = group_versions(api)
    # Nothing goes through Calico's API server here, so it may be down.
    return Location(
        Fact(ETCD, f"the option datastore ({where})"),
        migration=migration_of(api, served),
        served=served,
        connected=True,
    )


def not_calicos(where: str) -> Refused:
    """The refusal of an etcd without Calico's record of itself."""
    return Refused(
        f"There is no ClusterInformation in {where}, which Calico writes when it starts: either this is "
        "another etcd, or Calico keeps its data in the Kubernetes API and datastore must be kubernetes."
    )


def require_our_nodes(api: NodesWithEtcd, etcd: EtcdApi) -> None:
    """Raises ``Refused`` for an etcd with as many nodes of another cluster as of ours.

    A node that was deleted is still in etcd for a while, so single strangers tell nothing. Nothing is
    asked of a user who may not list nodes.
    """
    nodes = readable(api.kubernetes, NODES)
    if not nodes:
        return
    ours = {_name(node) for node in nodes}
    theirs = {name for node in etcd.list(CALICO_NODES).items for name in [name_in_kubernetes(node)] if name}
    strangers = sorted(theirs - ours)
    if strangers and len(strangers) >= len(theirs & ours):
        raise Refused(
            f"{len(strangers)} of the {len(theirs)} Kubernetes nodes that Calico knows in {etcd.client.where} are "
            f"none of this cluster's ({', '.join(strangers[:3])}{', ...' if len(strangers) > 3 else ''}): it is the "
            "etcd of another cluster, or several share it, whose addresses nobody can tell from leaked ones; if these "
            "nodes are gone for good, remove them with calicoctl delete node.",
            strangers=strangers,
        )


def _name(thing: Object) -> str:
    return str(thing["metadata"]["name"])
