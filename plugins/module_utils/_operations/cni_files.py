# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The CNI configuration as a node has it on its disk, which may differ from what the cluster says (hazards B16, B19).

Runs on a node: the standard library, and nothing that needs the cluster.
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network, parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_configuration import CniConfig
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pins import means_pool

#: What container runtimes take for a network configuration; the first one by name is used.
SUFFIXES = (".conf", ".conflist", ".json")
# A configuration is a few kilobytes; what is larger is none.
MOST_BYTES = 1_000_000

CALICO_IPAM = "calico-ipam"


@dataclass(frozen=True)
class CniFile:
    """One file: the network's name, its plugins in order, and its calico plugin, None without one."""

    path: str
    network: str
    plugins: tuple[str, ...]
    config: CniConfig

    def as_result(self) -> dict[str, t.Any]:
        config = self.config
        known = config.calico is not None
        return {
            "path": self.path,
            "network": self.network,
            "plugins": list(self.plugins),
            "calico": known,
            "ipam_type": config.ipam_type,
            "ipv4_pools": list(config.ipv4_pools),
            "ipv6_pools": list(config.ipv6_pools),
            "assign_ipv4": config.assign_ipv4 if known else None,
            "assign_ipv6": config.assign_ipv6 if known else None,
        }


def read_cni_files(path: str) -> list[CniFile]:
    """The configurations in a directory, the one that is used first.

    InvalidInput for a directory or a file that cannot be read, and for a file that is no configuration.
    """
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        raise InvalidInput(
            f"path: the directory {path!r} cannot be read ({_reason(error)}); name the one that the node's container "
            "runtime takes its CNI configuration from, and become root.",
            "path",
            path,
        ) from None
    return [_read(os.path.join(path, name)) for name in names if name.endswith(SUFFIXES)]


def _read(path: str) -> CniFile:
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(
            f"path: the file {path!r} cannot be read ({_reason(error)}); become root.", "path", path
        ) from None
    if len(raw) > MOST_BYTES:
        raise InvalidInput(f"path: the file {path!r} is too large for a CNI configuration.", "path", path)
    try:
        content = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        content = None
    plugins = content.get("plugins", [content]) if isinstance(content, dict) else None
    if not isinstance(plugins, list) or not all(isinstance(plugin, dict) for plugin in plugins):
        raise InvalidInput(
            f"path: the file {path!r} is no CNI configuration, a JSON object that is a plugin or has a list of them.",
            "path",
            path,
        )
    calico = next((plugin for plugin in plugins if plugin.get("type") == "calico"), None)
    return CniFile(
        path,
        str(content.get("name") or ""),
        tuple(str(plugin.get("type") or "") for plugin in plugins),
        CniConfig(path, calico),
    )


def findings(files: t.Sequence[CniFile], path: str, pools: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """What speaks against draining ``pools``, named by name or CIDR; in the form of the preflight's findings."""
    if not files:
        return [
            _finding(
                "calico-ipam-in-use",
                ("B19",),
                f"There is no CNI configuration in {path}: the node is not ready for pods, or keeps it elsewhere.",
                "Look for it where the node's container runtime does, and name that directory.",
                (path,),
            )
        ]
    used = files[0]
    if used.config.calico is None:
        what = ", ".join(used.plugins) or "nothing"
        return [
            _finding(
                "calico-ipam-in-use",
                ("B19",),
                f"{used.path} is used, and its plugins are {what}: Calico gives no addresses to pods of this node.",
                "Make the node use Calico's configuration first.",
                (used.path,),
            )
        ]
    found = []
    if used.config.ipam_type != CALICO_IPAM:
        found.append(
            _finding(
                "calico-ipam-in-use",
                ("B19",),
                f"{used.path} is used, and its IPAM is {used.config.ipam_type or 'none'}: pods of this node get no "
                "addresses of Calico's pools.",
                "Switch the node to Calico IPAM first.",
                (used.path,),
            )
        )
    asked = [entry for entry in (*used.config.ipv4_pools, *used.config.ipv6_pools) if _means_any(entry, pools)]
    if asked:
        found.append(
            _finding(
                "cni-config-pins-pool",
                ("B16",),
                f"{used.path} gives every pod of this node an address of {', '.join(asked)}: once that pool is "
                "disabled, no new pod starts here.",
                "Take it out of ipv4_pools and ipv6_pools where the file comes from, then restart calico-node.",
                (used.path,),
            )
        )
    return found


def _means_any(entry: str, pools: t.Iterable[str]) -> bool:
    return any(means_pool(entry, pool, _network(pool)) for pool in pools)


def _network(text: str) -> Network | None:
    try:
        return parse_network(text, strict=False) if "/" in text else None
    except InvalidInput:
        return None


def _finding(
    identifier: str, hazards: t.Sequence[str], message: str, remedy: str, objects: t.Sequence[str]
) -> dict[str, t.Any]:
    return {
        "id": identifier,
        "severity": "blocker",
        "message": message,
        "remedy": remedy,
        "objects": list(objects),
        "hazards": list(hazards),
    }


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
