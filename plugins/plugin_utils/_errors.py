# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Errors of filters, tests and lookups: one sentence, in the exception that Ansible shows without a traceback."""

from __future__ import annotations

import functools
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError

Function = t.Callable[..., t.Any]


def filters(**named: Function) -> dict[str, Function]:
    """Filters or tests by name, each raising ``AnsibleFilterError`` where the function raises ``IpamError``."""
    return {name: _spoken(name, function) for name, function in named.items()}


def _spoken(name: str, function: Function) -> Function:
    @functools.wraps(function)
    def call(*args: t.Any, **options: t.Any) -> t.Any:
        try:
            return function(*args, **options)
        except IpamError as error:
            raise AnsibleFilterError(f"calico_ops.ipam.{name}: {error.message}") from None

    return call
