# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The context of a kubeconfig that is in use, where somebody may switch to another one."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.libraries import load_yaml

DEFAULT = "~/.kube/config"


def current_context(kubeconfig: str | None) -> str:
    """The current context of a configuration that has several, by kubectl's rule: of the first file that names one.

    ``kubeconfig`` is a path or several joined by ``os.pathsep``; None is kubectl's default. Empty where there is only
    one context, and where nothing can be read: whoever connects says what is wrong with it.
    """
    current, names = "", set()
    for path in (kubeconfig or DEFAULT).split(os.pathsep):
        document = _read(os.path.expanduser(path)) if path else {}
        current = current or str(document.get("current-context") or "")
        contexts = document.get("contexts")
        for entry in contexts if isinstance(contexts, list) else ():
            if isinstance(entry, dict):
                names.add(str(entry.get("name")))
    return current if len(names) > 1 and current in names else ""


def _read(path: str) -> dict[str, t.Any]:
    try:
        yaml = load_yaml()
    except MissingLibrary:
        return {}
    try:
        with open(path, encoding="utf-8") as stream:
            found = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
