# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a pod asks of IPAM: its own and its namespace's annotations over the CNI configuration.

Rules and errors: spec ipam-engine.md 17.1 and spec ippool.md 9.2.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import requested_networks
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.network_config import NetworkConfig

PREFIX = "cni.projectcalico.org/"
FAMILIES = {"IPv4": 4, "IPv6": 6}


@dataclass(frozen=True)
class PodRequest:
    """``families`` in order; ``pools`` by family where some were asked for; given ``addresses``, if any.

    ``outside_ipam`` says that the addresses shall be used without any record (``ipAddrsNoIpam``).
    """

    families: tuple[int, ...]
    pools: t.Mapping[int, tuple[Network, ...]]
    addresses: tuple[Address, ...] = ()
    outside_ipam: bool = False


def pod_request(pod: Object, namespace: Object, config: NetworkConfig, pools: t.Sequence[Pool]) -> PodRequest:
    """Put together what one pod asks for. ``pools`` are all pools, to look names up.

    Raises ``InvalidInput`` or ``RequestedPool`` with the reason why ADD fails.
    """
    own = pod["metadata"].get("annotations") or {}
    shared = namespace["metadata"].get("annotations") or {}
    readable = config.policy_type == "k8s" and config.ipam_type == "calico-ipam"
    if not readable:
        own, shared = {}, {}
    families = _families(own, shared, config)
    bypass = _addresses(own, "ipAddrsNoIpam")
    given = _addresses(own, "ipAddrs")
    if bypass and given:
        raise InvalidInput(f"cannot have both annotations {PREFIX}ipAddrs and {PREFIX}ipAddrsNoIpam", "ipAddrs", own)
    if bypass:
        if not config.addresses_without_ipam:
            raise InvalidInput(
                f"requested feature is not enabled: {PREFIX}ipAddrsNoIpam needs "
                "feature_control.ip_addrs_no_ipam: true in the CNI configuration",
                "ipAddrsNoIpam",
                bypass,
            )
        return PodRequest(families, {}, bypass, outside_ipam=True)
    wanted: dict[int, tuple[Network, ...]] = {}
    if not given:
        for version, configured in ((4, config.ipv4_pools), (6, config.ipv6_pools)):
            networks = _pools(own, shared, version, configured, pools) if version in families else ()
            if networks:
                wanted[version] = networks
    return PodRequest(families, wanted, given)


def _json(text: str, annotation: str) -> t.Any:
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(
            f"failed to parse annotation {PREFIX}{annotation} {text!r}: it must be a JSON array of strings",
            annotation,
            text,
        ) from None


def _strings(text: str, annotation: str) -> tuple[str, ...]:
    value = _json(text, annotation)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidInput(
            f"failed to parse annotation {PREFIX}{annotation} {text!r}: it must be a JSON array of strings",
            annotation,
            text,
        )
    return tuple(value)


def _families(own: t.Mapping[str, str], shared: t.Mapping[str, str], config: NetworkConfig) -> tuple[int, ...]:
    text = own.get(PREFIX + "ipFamilies") or shared.get(PREFIX + "ipFamilies")
    if not text:
        chosen = ((4, config.assign_ipv4), (6, config.assign_ipv6))
        return tuple(version for version, wanted in chosen if wanted)
    words = _strings(text, "ipFamilies")
    for word in words:
        if word not in FAMILIES:
            raise InvalidInput(
                f"invalid IP family {word!r} in annotation {PREFIX}ipFamilies: it must be IPv4 or IPv6",
                "ipFamilies",
                word,
            )
    return tuple(sorted({FAMILIES[word] for word in words}))


def _addresses(own: t.Mapping[str, str], annotation: str) -> tuple[Address, ...]:
    text = own.get(PREFIX + annotation)
    if text is None:
        return ()
    addresses = tuple(parse_address(each) for each in _strings(text, annotation))
    if not addresses:
        raise InvalidInput(f"annotation {PREFIX}{annotation} is empty: it needs an address", annotation, text)
    versions = [address.version for address in addresses]
    if len(versions) != len(set(versions)):
        raise InvalidInput(
            f"annotation {PREFIX}{annotation} {text!r}: only one address of each family is supported",
            annotation,
            text,
        )
    return addresses


def _pools(
    own: t.Mapping[str, str],
    shared: t.Mapping[str, str],
    version: int,
    configured: t.Sequence[str],
    pools: t.Sequence[Pool],
) -> tuple[Network, ...]:
    """The first source that asks for anything: pod, namespace, CNI configuration."""
    annotation = f"{PREFIX}ipv{version}pools"
    sources = (
        (own.get(annotation), f"annotation {annotation} of the pod"),
        (shared.get(annotation), f"annotation {annotation} of the namespace"),
        (json.dumps(list(configured)), f"ipv{version}_pools of the CNI configuration"),
    )
    for text, source in sources:
        if text:
            return tuple(requested_networks(text, pools, version, source=source))
    return ()
