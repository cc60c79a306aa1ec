# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What a Kubespray inventory declares about pools, and which variable says so (spec kubespray.md §1, §5).

The layers of variables come in order: ours, what the inventory defines, and the defaults of Kubespray's roles where
they could be loaded. What no layer knows is left open, never filled in: the cluster is the truth for what is.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

IPV4, IPV6 = 4, 6
FAMILIES = (IPV4, IPV6)
MODES = ("Never", "Always", "CrossSubnet")

OURS = "kubespray_overrides"
INVENTORY = "inventory"
DEFAULTS = "Kubespray's role defaults"

# Field of an IP pool -> the Kubespray variable for each family.
POOL_VARIABLES: t.Mapping[int, t.Mapping[str, str]] = {
    IPV4: {
        "cidr": "calico_pool_cidr",
        "blockSize": "calico_pool_blocksize",
        "ipipMode": "calico_ipip_mode",
        "vxlanMode": "calico_vxlan_mode",
        "natOutgoing": "nat_outgoing",
    },
    IPV6: {
        "cidr": "calico_pool_cidr_ipv6",
        "blockSize": "calico_pool_blocksize_ipv6",
        "ipipMode": "calico_ipip_mode_ipv6",
        "vxlanMode": "calico_vxlan_mode_ipv6",
        "natOutgoing": "nat_outgoing_ipv6",
    },
}
PODS_SUBNET = {IPV4: "kube_pods_subnet", IPV6: "kube_pods_subnet_ipv6"}
# Field of Calico's IPAM settings -> Kubespray variable.
SETTINGS_VARIABLES = {
    "strictAffinity": "calico_ipam_strictaffinity",
    "autoAllocateBlocks": "calico_ipam_autoallocateblocks",
    "maxBlocksPerHost": "calico_ipam_maxblocksperhost",
}
POOL_NAME = "calico_pool_name"
IPV6_SUFFIX = "-ipv6"
# What Kubespray itself takes for a pool's name.
_NAME = re.compile(r"[a-zA-Z0-9\-_.]{2,63}\Z")

_TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
_FALSE = frozenset({"false", "no", "off", "0", "n", "f", ""})


@dataclass(frozen=True)
class Variables:
    """Kubespray's variables in layers, the strongest first; a value of None or empty text counts as not defined."""

    layers: t.Sequence[t.Tuple[str, t.Mapping[str, t.Any]]]

    def get(self, name: str) -> t.Any:
        """The value by the strongest layer that defines it, None without one."""
        return next((layer[name] for _source, layer in self.layers if _defined(layer.get(name))), None)

    def source(self, name: str) -> str:
        """Which layer defines it; empty when none does."""
        return next((source for source, layer in self.layers if _defined(layer.get(name))), "")

    def text(self, name: str) -> t.Optional[str]:
        value = self.get(name)
        return None if value is None else str(value).strip()

    def flag(self, name: str) -> t.Optional[bool]:
        """InvalidInput for what is neither true nor false."""
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise _wrong(name, value, "true or false")

    def number(self, name: str) -> t.Optional[int]:
        """InvalidInput for what is no whole number."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, bool) and re.match(r"\d+\Z", str(value).strip()):
            return int(str(value).strip())
        raise _wrong(name, value, "a whole number")

    def network(self, name: str) -> t.Optional[Network]:
        """InvalidInput for what is no range."""
        value = self.text(name)
        if value is None:
            return None
        try:
            return parse_network(value, strict=False)
        except InvalidInput:
            raise _wrong(name, value, "a range such as 10.233.64.0/18") from None


@dataclass(frozen=True)
class DeclaredPool:
    """The pool of one family as Kubespray would write it.

    ``fields`` has the spec's fields that are known, in Calico's spelling; ``variables`` the variable behind each,
    ``sources`` the layer that has it. ``cidr`` keeps the inventory's spelling, since Kubespray compares text.
    """

    version: int
    name: t.Optional[str]
    fields: t.Mapping[str, t.Any]
    variables: t.Mapping[str, str]
    sources: t.Mapping[str, str]
    pods_subnet: t.Optional[Network] = None

    @property
    def cidr(self) -> t.Optional[Network]:
        text = self.fields.get("cidr")
        return None if text is None else parse_network(text, strict=False)

    @property
    def own_cidr(self) -> bool:
        """Whether the range has a variable of its own instead of being the pods' subnet."""
        return self.variables.get("cidr") == POOL_VARIABLES[self.version]["cidr"]

    @property
    def unknown(self) -> t.Tuple[str, ...]:
        """Variables that nobody defines, so that their fields cannot be compared."""
        missing = [name for key, name in POOL_VARIABLES[self.version].items() if key not in self.fields]
        return tuple(missing if self.name is not None else [POOL_NAME, *missing])


@dataclass(frozen=True)
class Declared:
    """All that this collection wants to know from a Kubespray inventory.

    ``defaults_known`` says whether the defaults of Kubespray's roles could be loaded.
    """

    pools: t.Sequence[DeclaredPool]
    network_plugin: t.Optional[str] = None
    host_local: t.Optional[bool] = None
    datastore: t.Optional[str] = None
    backend: t.Optional[str] = None
    ignore_assert_errors: bool = False
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)
    defaults_known: bool = False

    def pool(self, version: int) -> t.Optional[DeclaredPool]:
        return next((pool for pool in self.pools if pool.version == version), None)


def read_declared(
    inventory: t.Mapping[str, t.Any],
    defaults: t.Optional[t.Mapping[str, t.Any]] = None,
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
) -> Declared:
    """What the variables declare. InvalidInput names the variable that cannot be read."""
    variables = Variables(((OURS, overrides or {}), (INVENTORY, inventory), (DEFAULTS, defaults or {})))
    settings: t.Dict[str, t.Any] = {}
    for key, name in SETTINGS_VARIABLES.items():
        value = variables.number(name) if key == "maxBlocksPerHost" else variables.flag(name)
        if value is not None:
            settings[key] = value
    datastore = variables.text("calico_datastore")
    return Declared(
        pools=tuple(_pool(variables, version) for version in FAMILIES if _has_family(variables, version)),
        network_plugin=variables.text("kube_network_plugin"),
        host_local=variables.flag("calico_ipam_host_local"),
        datastore=datastore,
        backend=variables.text("calico_network_backend"),
        ignore_assert_errors=bool(variables.flag("ignore_assert_errors")),
        # Kubespray writes the settings in custom resources only.
        settings=settings if datastore in (None, "kdd") else {},
        # Those that were handed over have the inventory's values as well.
        defaults_known=any(
            _defined(value) and not _defined(inventory.get(key)) for key, value in (defaults or {}).items()
        ),
    )


def _has_family(variables: Variables, version: int) -> bool:
    if version == IPV4:
        return variables.flag("ipv4_stack") is not False
    stack = variables.flag("ipv6_stack")
    # Releases before 2.28 have one switch for both.
    return bool(variables.flag("enable_dual_stack_networks") if stack is None else stack)


def _pool(variables: Variables, version: int) -> DeclaredPool:
    name = variables.text(POOL_NAME)
    if name is not None and not _NAME.match(name):
        raise _wrong(POOL_NAME, name, "2 to 63 letters, digits, dashes, dots or underscores")
    names = dict(POOL_VARIABLES[version])
    subnet = PODS_SUBNET[version]
    if variables.get(names["cidr"]) is None:
        names["cidr"] = subnet
    fields: t.Dict[str, t.Any] = {}
    for key, variable in names.items():
        value = _field(variables, key, variable, version)
        if value is not None:
            fields[key] = value
    return DeclaredPool(
        version=version,
        name=name if name is None or version == IPV4 else name + IPV6_SUFFIX,
        fields=fields,
        variables={key: names[key] for key in fields},
        sources={key: variables.source(names[key]) for key in fields},
        pods_subnet=variables.network(subnet),
    )


def _field(variables: Variables, key: str, variable: str, version: int) -> t.Any:
    if key == "natOutgoing":
        return variables.flag(variable)
    if key == "blockSize":
        return variables.number(variable)
    if key == "cidr":
        network = variables.network(variable)
        if network is not None and network.version != version:
            raise _wrong(variable, variables.text(variable), f"an IPv{version} range")
        return variables.text(variable)
    mode = variables.text(variable)
    if mode is not None and mode not in MODES:
        raise _wrong(variable, mode, " or ".join(MODES))
    return mode


def _defined(value: t.Any) -> bool:
    return value is not None and value != ""


def _wrong(name: str, value: t.Any, right: str) -> InvalidInput:
    return InvalidInput(f"The Kubespray variable {name} is {value!r}; it has to be {right}.", field=name, value=value)
