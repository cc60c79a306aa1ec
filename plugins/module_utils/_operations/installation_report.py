# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""An installation as plain data: each fact with its source, and what may be done."""

from __future__ import annotations

import typing as t
from dataclasses import fields

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import KubeApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import unsupported_reason
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.installation_survey import survey

# Parts of the Installation are of use to those who edit it, or read others out of it; what is undecided is told by
# ``stop``.
_INNER = ("operator_entries", "operator_cni", "undecided")


def installation_info(api: KubeApi) -> dict[str, t.Any]:
    """``mode``, ``supported``, ``stop`` and ``facts`` of the installation. Raises what the API raises."""
    found = survey(api)
    stop = unsupported_reason(found)
    return {"mode": found.mode.value, "supported": stop is None, "stop": stop or "", "facts": shown(found)}


def shown(found: Installation) -> dict[str, dict[str, t.Any]]:
    """Every fact as ``value`` and ``source``, networks as text."""
    facts = {each.name: getattr(found, each.name) for each in fields(found) if each.name not in _INNER}
    return {
        name: {"value": _plain(fact.value), "source": fact.source}
        for name, fact in facts.items()
        if isinstance(fact, Fact)
    }


def _plain(value: t.Any) -> t.Any:
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Network) else value
