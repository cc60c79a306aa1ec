# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The contexts of kubeconfig files, each with a name for the host that stands for its cluster."""

from __future__ import annotations

import os
import re
import typing as t
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import BadConfiguration
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.libraries import load_yaml

# What a host pattern of Ansible can name. Context names of clouds have colons and slashes.
_UNUSUAL = re.compile(r"[^\w.@-]+", re.ASCII)


@dataclass(frozen=True)
class ClusterContext:
    """One context: ``kubeconfig`` is a path, or several joined by ``os.pathsep`` that make one configuration."""

    kubeconfig: str
    context: str


def contexts_of(kubeconfig: str) -> list[ClusterContext]:
    """The contexts of one configuration in the order of its files; BadConfiguration when it is none."""
    found: dict[str, None] = {}
    paths = [path for path in kubeconfig.split(os.pathsep) if path]
    if not any(os.path.exists(path) for path in paths):
        raise BadConfiguration(f"The kubeconfig {kubeconfig} does not exist: give the path of an existing file.")
    for path in paths:
        if os.path.exists(path):
            found.update(dict.fromkeys(_names(path)))
    return [ClusterContext(kubeconfig, name) for name in found]


def host_names(contexts: t.Sequence[ClusterContext]) -> dict[str, ClusterContext]:
    """A host name for each context: its own, in the characters that Ansible's patterns know.

    Contexts of several files that are called the same, which is usual for files that an installer wrote, are called
    after what tells their files apart: ``paris`` and ``oslo`` for ``paris/admin.conf`` and ``oslo/admin.conf``.
    InvalidInput when two are left with one name.
    """
    times = Counter(each.context for each in contexts)
    in_file = Counter(each.kubeconfig for each in contexts)
    labels = _labels(sorted({each.kubeconfig for each in contexts if times[each.context] > 1}))
    found: dict[str, ClusterContext] = {}
    for each in contexts:
        name = each.context
        if times[name] > 1:
            label = labels[each.kubeconfig]
            name = label if in_file[each.kubeconfig] == 1 else f"{label}-{name}"
        host = _UNUSUAL.sub("-", name).strip("-") or "cluster"
        other = found.setdefault(host, each)
        if other != each:
            raise InvalidInput(
                f"Context {each.context!r} of {each.kubeconfig} and context {other.context!r} of {other.kubeconfig} "
                f"would both be the host {host}: rename one of them, or leave one out.",
                "kubeconfig",
                each.context,
            )
    return found


def _names(path: str) -> list[str]:
    yaml = load_yaml()
    try:
        with open(path, encoding="utf-8") as stream:
            document = yaml.safe_load(stream)
    except OSError as error:
        raise BadConfiguration(f"The kubeconfig {path} cannot be read: {error.strerror or error}.") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise BadConfiguration(f"The kubeconfig {path} is not valid YAML.") from None
    entries = document.get("contexts") if isinstance(document, dict) else None
    names = [
        str(entry["name"])
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict) and entry.get("name") is not None
    ]
    if not names:
        raise BadConfiguration(f"{path} is not a kubeconfig with contexts: leave it out, or add a context to it.")
    return names


def _labels(kubeconfigs: t.Sequence[str]) -> dict[str, str]:
    """What tells files apart: the last part of the path that differs in all of them, else as many as that takes."""
    parts = [_parts(each) for each in kubeconfigs]
    depth = max((len(each) for each in parts), default=0)
    for width in (1, depth):
        for k in range(1, depth + 1):
            labels = ["-".join(each[-k:][:width]) for each in parts]
            if all(labels) and len(set(labels)) == len(labels):
                return dict(zip(kubeconfigs, labels))
    return dict(zip(kubeconfigs, kubeconfigs))


def _parts(kubeconfig: str) -> list[str]:
    path = Path(kubeconfig.split(os.pathsep)[0])
    return [*path.parts[:-1], path.stem]
