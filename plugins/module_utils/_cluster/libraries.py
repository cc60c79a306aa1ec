# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The one place that asks for the ``kubernetes`` package, and urllib3 and yaml that come with it.

Importing ``kubernetes`` takes 150 to 300 ms, so it happens when a connection is opened and not before.
"""

from __future__ import annotations

import importlib
import traceback
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary

OLDEST_KUBERNETES = 31
REQUIREMENT = f"kubernetes >= {OLDEST_KUBERNETES}.0.0"
PURPOSE = "to talk to the cluster"


@dataclass(frozen=True)
class Libraries:
    """What the connection needs from third-party packages."""

    config: t.Any
    """The module ``kubernetes.config``."""
    configuration: t.Any
    """The class ``kubernetes.client.Configuration``."""
    rest_client: t.Any
    """The class ``kubernetes.client.rest.RESTClientObject``."""
    urllib3: t.Any
    yaml: t.Any


def load_libraries() -> Libraries:
    """Import what a connection needs; raises ``MissingLibrary`` when it is not there or too old."""
    kubernetes = _load("kubernetes")
    version = str(getattr(kubernetes, "__version__", "0"))
    major = version.split(".", 1)[0]
    if not major.isdigit() or int(major) < OLDEST_KUBERNETES:
        raise MissingLibrary(
            f"The Python package {REQUIREMENT} is needed {PURPOSE}, and {kubernetes.__file__} is version {version}.",
            REQUIREMENT,
        )
    return Libraries(
        config=_load("kubernetes.config"),
        configuration=_load("kubernetes.client").Configuration,
        rest_client=_load("kubernetes.client.rest").RESTClientObject,
        urllib3=_load("urllib3"),
        yaml=_load("yaml"),
    )


def _load(name: str) -> t.Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        words = f"The Python package {REQUIREMENT} is needed {PURPOSE}, and it cannot be imported."
        raise MissingLibrary(words, REQUIREMENT, traceback.format_exc()) from None
