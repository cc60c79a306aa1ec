# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.
"""What a pod asks of IPAM: its own and its namespace's annotations over the CNI configuration.

Rules and errors: spec ipam-engine.md §17.1 and spec ippool.md §9.2.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Address, Network, parse_address
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import (
    POOL_ANNOTATIONS,
    requested_networks,
)

PREFIX = "cni.projectcalico.org/"
IP_FAMILIES = f"{PREFIX}ipFamilies"
FAMILIES = {"IPv4": 4, "IPv6": 6}

Annotations = t.Mapping[str, str]


class CniConfiguration(t.Protocol):
    """What counts of the calico entry of the CNI configuration (spec ippool.md §7.3)."""

    @property
    def ipam_type(self) -> str: ...

    @property
    def policy_type(self) -> str: ...

    @property
    def assign_ipv4(self) -> bool: ...

    @property
    def assign_ipv6(self) -> bool: ...

    @property
    def ipv4_pools(self) -> t.Sequence[str]: ...

    @property
    def ipv6_pools(self) -> t.Sequence[str]: ...

    @property
    def addresses_without_ipam(self) -> bool: ...


@dataclass(frozen=True)
class PodRequest:
    """``families`` in order; ``pools`` by family where some were asked for; given ``addresses``, if any.

    ``outside_ipam`` says that the addresses shall be used without any record (``ipAddrsNoIpam``).
    ``sources`` says who asked for the pools of a family, as part of a sentence.
    """

    families: t.Tuple[int, ...]
    pools: t.Mapping[int, t.Tuple[Network, ...]]
    addresses: t.Tuple[Address, ...] = ()
    outside_ipam: bool = False
    sources: t.Mapping[int, str] = field(default_factory=dict)


def reads_annotations(config: CniConfiguration) -> bool:
    """Whether Calico looks at annotations at all: policy type k8s and calico-ipam only."""
    return config.policy_type == "k8s" and config.ipam_type == "calico-ipam"


def pod_request(own: Annotations, shared: Annotations, config: CniConfiguration, pools: t.Sequence[Pool]) -> PodRequest:
    """Put together what one pod asks for.

    ``own`` are the pod's annotations, ``shared`` its namespace's; ``pools`` are all pools, to look names up.
    Raises ``InvalidInput`` or ``RequestedPool`` with the reason why the pod gets no address.
    """
    if not reads_annotations(config):
        own, shared = {}, {}
    families = families_of(own, shared, config)
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
    wanted: t.Dict[int, t.Tuple[Network, ...]] = {}
    sources: t.Dict[int, str] = {}
    if not given:
        for version, configured in ((4, config.ipv4_pools), (6, config.ipv6_pools)):
            if version not in families:
                continue
            networks, source = _pools(own, shared, version, configured, pools)
            if networks:
                wanted[version], sources[version] = networks, source
    return PodRequest(families, wanted, given, sources=sources)


def families_of(own: Annotations, shared: Annotations, config: CniConfiguration) -> t.Tuple[int, ...]:
    """The IP versions a pod gets addresses of; ``InvalidInput`` when the annotation says nonsense."""
    text = own.get(IP_FAMILIES) or shared.get(IP_FAMILIES)
    if not text:
        chosen = ((4, config.assign_ipv4), (6, config.assign_ipv6))
        return tuple(version for version, wanted in chosen if wanted)
    words = _strings(text, "ipFamilies")
    for word in words:
        if word not in FAMILIES:
            raise InvalidInput(
                f"invalid IP family {word!r} in annotation {IP_FAMILIES}: it must be IPv4 or IPv6",
                "ipFamilies",
                word,
            )
    return tuple(sorted({FAMILIES[word] for word in words}))


def _strings(text: str, annotation: str) -> t.Tuple[str, ...]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = False
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidInput(
            f"failed to parse annotation {PREFIX}{annotation} {text!r}: it must be a JSON array of strings",
            annotation,
            text,
        )
    return tuple(value)


def _addresses(own: Annotations, annotation: str) -> t.Tuple[Address, ...]:
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
    own: Annotations, shared: Annotations, version: int, configured: t.Sequence[str], pools: t.Sequence[Pool]
) -> t.Tuple[t.Tuple[Network, ...], str]:
    """The first source that says anything, with its name: pod, namespace, CNI configuration."""
    annotation = POOL_ANNOTATIONS[version]
    sources = (
        (own.get(annotation), f"annotation {annotation} of the pod"),
        (shared.get(annotation), f"annotation {annotation} of the namespace"),
        (json.dumps(list(configured)), f"ipv{version}_pools of the CNI configuration"),
    )
    for text, source in sources:
        if text:
            return tuple(requested_networks(text, pools, version, source=source)), source
    return (), ""
