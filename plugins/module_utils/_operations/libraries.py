# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Third-party packages that may be missing: imported when first needed, never before.

Every function here returns the package or raises ``MissingLibrary``, which
``_module.py`` turns into Ansible's own "missing required library" message. What the
connection needs is loaded by ``_cluster/libraries.py``.
"""

from __future__ import annotations

import importlib
import traceback
import types
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary


def load(name: str, requirement: str, purpose: str) -> t.Any:
    """The package ``name``, imported now; ``requirement`` and ``purpose`` go into the error."""
    try:
        module: types.ModuleType = importlib.import_module(name)
    except ImportError:
        raise MissingLibrary(
            f"the Python package {requirement} is needed {purpose}, and it cannot be imported",
            requirement,
            traceback.format_exc(),
        ) from None
    return module


def load_jmespath() -> t.Any:
    """The package ``jmespath``."""
    return load("jmespath", "jmespath >= 1.0.1", "to evaluate the query")


def load_yaml() -> t.Any:
    """The package ``yaml`` (PyYAML); it comes with the package ``kubernetes``."""
    return load("yaml", "PyYAML >= 6.0.1", "to read the cluster's configuration files")
