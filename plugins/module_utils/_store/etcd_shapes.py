# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How each of Calico's kinds stands in etcd, seen as the object of the Kubernetes API it would be.

Most look there as in the public API, under a key with their name. IPAM's own records have a shape
and keys of their own (spec ippool.md §1, ipam-engine.md §3).
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    BLOCK_AFFINITIES,
    CALICO_V3,
    IPAM_BLOCKS,
    IPAM_CONFIGS,
    IPAM_HANDLES,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._store import etcd_keys, etcd_wire
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_rows import Row

# What belongs to one answer of a server and not to the object that is kept.
_TRANSIENT = ("resourceVersion", "generation", "managedFields", "selfLink", "deletionTimestamp")


@dataclass(frozen=True)
class Shape:
    """One kind in etcd.

    ``prefix`` is what all its keys begin with, ``prefixes`` the same more narrowly where there are
    several; ``is_key`` tells its keys from others below them.
    ``key_of`` is the key of an object, ``key_named`` that of a name, None where a name does not tell it.
    ``to_members`` makes the JSON of an object; the second argument is the object it was read as.
    """

    prefix: str
    is_key: t.Callable[[str], object]
    key_of: t.Callable[[Object], str]
    key_named: t.Callable[[str], t.Optional[str]]
    to_object: t.Callable[[Row], t.Optional[Object]]
    to_members: t.Callable[[Object, t.Optional[Object]], etcd_wire.Members]
    named_by_key: bool = False
    prefixes: t.Tuple[str, ...] = ()

    @property
    def listed(self) -> t.Tuple[str, ...]:
        """What the keys of a list begin with."""
        return self.prefixes or (self.prefix,)


def shape_of(resource: Resource) -> Shape:
    """The shape of a kind, which is looked up by its plural name, in whichever group it is spelled."""
    return _RECORDS.get(resource.plural) or _resource_shape(resource)


def name_of(thing: Object) -> str:
    """The name in an object's metadata."""
    return str(thing["metadata"]["name"])


def _resource_shape(resource: Resource) -> Shape:
    prefix = etcd_keys.resource_prefix(resource.plural)
    api_version = f"{CALICO_V3}/v3"

    def to_object(row: Row) -> Object:
        thing = etcd_wire.resource_object(row, resource.kind)
        return {**thing, "kind": resource.kind, "apiVersion": api_version}

    def to_members(thing: Object, origin: t.Optional[Object]) -> etcd_wire.Members:
        metadata = {key: value for key, value in thing["metadata"].items() if key not in _TRANSIENT}
        rest = {key: value for key, value in thing.items() if key not in ("kind", "apiVersion", "metadata")}
        return {"kind": resource.kind, "apiVersion": api_version, "metadata": metadata, **rest}

    # Kinds with namespaces are only read: their keys end with the namespace and the name.
    slashes = 1 if resource.namespaced else 0
    return Shape(
        prefix,
        lambda key: len(key) > len(prefix) and key.count("/", len(prefix)) == slashes,
        lambda thing: prefix + name_of(thing),
        lambda name: prefix + name,
        to_object,
        to_members,
        named_by_key=True,
    )


def _record(
    prefix: str, form: etcd_wire.Form, key_of: t.Callable[[Object], str], key_named: t.Callable[[str], t.Optional[str]]
) -> Shape:
    return Shape(
        prefix,
        form.is_key,
        key_of,
        key_named,
        lambda row: form.to_object(row, etcd_wire.members_or_none(row)),
        form.to_members,
    )


def _block_key(thing: Object) -> str:
    return etcd_keys.block_key(parse_network(thing["spec"].get("cidr")))


def _affinity_key(thing: Object) -> str:
    spec = thing["spec"]
    return etcd_keys.affinity_key(str(spec.get("node")), spec.get("type") or HOST, parse_network(spec.get("cidr")))


def _affinity_members(thing: Object, origin: t.Optional[Object]) -> etcd_wire.Members:
    members = etcd_wire.affinity_members(thing, origin)
    if isinstance(members.get("deleted"), str):
        # A custom resource of the v1 group says so in text.
        members["deleted"] = members["deleted"] == "true"
    return members


def _nobody(_name: str) -> None:
    return None


_RECORDS: t.Dict[str, Shape] = {
    IPAM_BLOCKS.plural: _record(etcd_keys.BLOCKS, etcd_wire.BLOCK, _block_key, _nobody),
    BLOCK_AFFINITIES.plural: Shape(
        etcd_keys.IPAM,
        etcd_keys.parse_affinity_key,
        _affinity_key,
        _nobody,
        lambda row: etcd_wire.affinity_object(row, etcd_wire.members_or_none(row)),
        _affinity_members,
        prefixes=tuple(etcd_keys.affinity_prefixes()),
    ),
    IPAM_HANDLES.plural: _record(
        etcd_keys.HANDLES,
        etcd_wire.HANDLE,
        lambda thing: etcd_keys.handle_key(str(thing["spec"].get("handleID") or name_of(thing))),
        etcd_keys.handle_key,
    ),
    IPAM_CONFIGS.plural: Shape(
        etcd_keys.SETTINGS,
        lambda key: key == etcd_keys.SETTINGS,
        lambda thing: etcd_keys.SETTINGS,
        lambda name: etcd_keys.SETTINGS if name == "default" else None,
        etcd_wire.settings_object,
        lambda thing, origin: etcd_wire.settings_members(thing),
    ),
}
