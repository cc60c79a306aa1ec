# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The stores that are live: where this cluster's Calico keeps its IPAM state (spec ipam-engine.md §1).

Calico's own clients are told so by their configuration, and so are we. Pods and nodes are
asked of the Kubernetes API in either case.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi, Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    Forbidden,
    NotFound,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api, require_writable
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_stop import NO_CALICO
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CLUSTER_INFORMATIONS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_BLOCKS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import (
    ConfigurationStore,
    CorruptRecord,
    NotFoundInStore,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd import EtcdStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_api import EtcdApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_configuration import EtcdConfiguration
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_location import (
    locate_in_etcd,
    not_calicos,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_nodes import NodesWithEtcd
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes_configuration import (
    KubernetesConfiguration,
)

OnCorrupt = t.Optional[t.Callable[[CorruptRecord], object]]
Records = t.Union[KubernetesStore, EtcdStore]

KUBERNETES = "kubernetes"
ETCD = "etcd"


@dataclass(frozen=True)
class Stores:
    """The datastore that is live, for reading and writing.

    ``where`` names it in a sentence. ``api`` is the Kubernetes API to hold records against: nodes
    and Calico's own resources look there as in the Kubernetes datastore, wherever they are kept.
    ``watched`` is the resource in which its blocks can be watched, None where they cannot.
    ``require_readable`` raises ``Refused`` when no Calico keeps anything there;
    ``require_writable`` also when nothing may be changed there now. That nobody can change the pools of an
    installation is no reason for it: records of IPAM are written all the same.
    ``cluster_information`` is the object of that kind, ``{}`` when there is none.
    """

    kind: str
    where: str
    api: KubeApi
    records: Records
    configuration: ConfigurationStore
    watched: t.Optional[Resource]
    require_readable: t.Callable[[], None]
    require_writable: t.Callable[[], None]
    cluster_information: t.Callable[[], Object]
    close: t.Callable[[], None]


def etcd_options(params: t.Mapping[str, t.Any]) -> t.Optional[EtcdOptions]:
    """How to reach etcd, when the parameters of a module say that Calico's data is there; else None."""
    return EtcdOptions.from_params(params) if params.get("datastore") == ETCD else None


def api_with_etcd(api: KubeApi, etcd: EtcdOptions, *, on_corrupt: OnCorrupt = None) -> CalicoApi:
    """The interface to a cluster whose Calico keeps its data in this etcd; nothing is asked before the first request.

    ``close_etcd`` lets go of the connections it makes.
    """
    kinds = EtcdApi(EtcdClient(etcd), on_corrupt=on_corrupt)
    return api_over(api.raw if isinstance(api, CalicoApi) else api, kinds)


def api_over(api: KubeApi, kinds: EtcdApi) -> CalicoApi:
    """The same with an etcd that is connected already."""
    raw = NodesWithEtcd(api, kinds)
    return CalicoApi(raw, lambda _raw: locate_in_etcd(raw, kinds), kinds)


def close_etcd(api: KubeApi) -> None:
    """Close the connections of ``api_with_etcd``; nothing to do for another API."""
    etcd = _etcd_of(api)
    if etcd is not None:
        etcd.close()


def open_stores(api: KubeApi, etcd: t.Optional[EtcdOptions] = None, *, on_corrupt: OnCorrupt = None) -> Stores:
    """The stores in etcd, or without options for it those behind the Kubernetes API.

    An API that ``api_with_etcd`` made leads to its etcd without options, too. The Kubernetes API is
    asked how Calico is installed, unless it was before; etcd is asked nothing before the first use.
    Whoever passes ``on_corrupt`` gets records that cannot be read there; without it a list that meets
    one raises ``CorruptRecord``.
    """
    if etcd is not None:
        return _in_etcd(api_with_etcd(api, etcd, on_corrupt=on_corrupt), on_corrupt, own=True)
    if _etcd_of(api) is not None:
        return _in_etcd(t.cast(CalicoApi, api), on_corrupt, own=False)
    return _in_kubernetes(api, on_corrupt)


def open_store(api: KubeApi) -> Records:
    """The records of the live datastore, for one who has no need of the rest."""
    etcd = _etcd_of(api)
    if etcd is not None:
        return EtcdStore(etcd.client)
    calico = calico_api(api)
    return KubernetesStore(calico.raw, calico.place(IPAM_BLOCKS).group)


def _etcd_of(api: KubeApi) -> t.Optional[EtcdApi]:
    return api.elsewhere if isinstance(api, CalicoApi) and isinstance(api.elsewhere, EtcdApi) else None


def _in_kubernetes(api: KubeApi, on_corrupt: OnCorrupt) -> Stores:
    calico = calico_api(api)
    # The stores spell the group themselves: what they write differs in more than its name.
    raw, group = calico.raw, calico.place(IPAM_BLOCKS).group

    def require_readable() -> None:
        try:
            calico.list(IP_POOLS)
        except UnknownResource:
            raise Refused(NO_CALICO) from None

    def cluster_information() -> Object:
        try:
            return calico.get(CLUSTER_INFORMATIONS, "default")
        except (Forbidden, NotFound, UnknownResource):
            return {}

    return Stores(
        KUBERNETES,
        "the Kubernetes API",
        calico,
        KubernetesStore(raw, group, on_corrupt=on_corrupt),
        KubernetesConfiguration(raw, group, calico.place(IP_RESERVATIONS)),
        IPAM_BLOCKS,
        require_readable,
        lambda: require_writable(calico),
        cluster_information,
        lambda: None,
    )


def _in_etcd(api: CalicoApi, on_corrupt: OnCorrupt, *, own: bool) -> Stores:
    """``own``: the connection was made for these stores alone, and ends with them."""
    kinds = t.cast(EtcdApi, api.elsewhere)
    client = kinds.client
    records = EtcdStore(client, on_corrupt=on_corrupt)

    def cluster_information() -> Object:
        try:
            return records.cluster_information()
        except NotFoundInStore:
            return {}

    def require_readable() -> None:
        if not cluster_information():
            raise not_calicos(client.where)

    def writable() -> None:
        require_readable()
        require_writable(api)

    return Stores(
        ETCD,
        client.where,
        api,
        records,
        EtcdConfiguration(client),
        IPAM_BLOCKS,
        require_readable,
        writable,
        cluster_information,
        (lambda: close_etcd(api)) if own else (lambda: None),
    )
