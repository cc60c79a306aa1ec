# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Where Calico keeps what in etcd (spec ipam-engine.md §1, §3).

Addresses keep their dots and colons; only the slash before the length becomes a dash.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import HOST, VIRTUAL
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network

IPAM = "/calico/ipam/v2/"
BLOCKS = IPAM + "assignment/"
HANDLES = IPAM + "handle/"
SETTINGS = IPAM + "config"
RESOURCES = "/calico/resources/v3/projectcalico.org/"

_BLOCK = re.compile(r"/calico/ipam/v2/assignment/ipv[46]/block/([^/]+)-(\d+)")
_AFFINITY = re.compile(r"/calico/ipam/v2/(host|virtual)/([^/]+)/ipv[46]/block/([^/]+)-(\d+)")
_HANDLE = re.compile(r"/calico/ipam/v2/handle/([^/]+)")


def block_key(cidr: Network) -> str:
    """``/calico/ipam/v2/assignment/ipv4/block/10.77.4.8-30``."""
    return f"{block_prefix(cidr.version)}{_dashed(cidr)}"


def block_prefix(version: t.Optional[int] = None) -> str:
    """What all keys of blocks, or of those of a family, begin with."""
    return BLOCKS if version is None else f"{BLOCKS}ipv{version}/block/"


def affinity_key(host: str, affinity_type: str, cidr: Network) -> str:
    """``/calico/ipam/v2/host/worker-7/ipv4/block/10.77.4.8-30``."""
    return f"{IPAM}{affinity_type}/{host}/ipv{cidr.version}/block/{_dashed(cidr)}"


def affinity_prefixes(
    host: t.Optional[str] = None, affinity_type: t.Optional[str] = None, version: t.Optional[int] = None
) -> t.List[str]:
    """What keys of affinity rows begin with, in byte order.

    Without a type both are covered, unlike in Calico's own lists, which then find the rows
    of hosts alone. A family without a host cannot be told by the beginning of a key.
    """
    tail = "" if host is None else f"{host}/" if version is None else f"{host}/ipv{version}/block/"
    return [f"{IPAM}{kind}/{tail}" for kind in (HOST, VIRTUAL) if affinity_type in (None, kind)]


def handle_key(handle_id: str) -> str:
    """``/calico/ipam/v2/handle/<id>``; unlike a custom resource's name it keeps the case."""
    return HANDLES + handle_id


def resource_key(plural: str, name: str) -> str:
    """Key of a resource that looks in etcd as in the public API."""
    return f"{resource_prefix(plural)}{name}"


def resource_prefix(plural: str) -> str:
    return f"{RESOURCES}{plural}/"


def parse_block_key(key: str) -> t.Optional[str]:
    """The CIDR text in the key of a block; None for a key of another form, which Calico ignores too."""
    found = _BLOCK.fullmatch(key)
    return f"{found[1]}/{found[2]}" if found else None


def parse_affinity_key(key: str) -> t.Optional[t.Tuple[str, str, str]]:
    """(type, host, CIDR text) in the key of an affinity row, or None."""
    found = _AFFINITY.fullmatch(key)
    return (found[1], found[2], f"{found[3]}/{found[4]}") if found else None


def parse_handle_key(key: str) -> t.Optional[str]:
    """The handle id in a key, or None."""
    found = _HANDLE.fullmatch(key)
    return found[1] if found else None


def _dashed(cidr: Network) -> str:
    return str(cidr).replace("/", "-")
