# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Facts about nodes, read from the plain object."""

from __future__ import annotations

import contextlib
import json

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object

CALICO_LABELS = "projectcalico.org/labels"


def calico_labels(node: Object) -> dict[str, str]:
    """The labels pool selectors are matched against (spec ippool.md §8.5).

    Kubernetes' own and those set with calicoctl, which the node keeps in an annotation; Kubernetes' win.
    """
    metadata = node.get("metadata") or {}
    text = (metadata.get("annotations") or {}).get(CALICO_LABELS)
    labels: dict[str, str] = {}
    if text:
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            labels.update(json.loads(text) or {})
    labels.update(metadata.get("labels") or {})
    return labels
