# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.last_write import (
    last_write,
    last_writer_clause,
)


def entry(manager: str, time: str, *fields: str, **more: t.Any) -> dict[str, t.Any]:
    owned = {"f:spec": {f"f:{field}": {} for field in fields}}
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": owned, **more}


SPEC = entry("calico-ops", "2026-08-20T09:00:00Z", "disabled", "cidr")


@pytest.mark.parametrize(
    ("entries", "manager"),
    [
        ([], None),
        ([SPEC], "calico-ops"),
        # Whoever wrote something else later did not write this.
        ([SPEC, entry("kubectl-label", "2026-08-20T10:00:00Z")], "calico-ops"),
        ([SPEC, entry("argocd", "2026-08-20T10:00:00Z", "disabled")], "argocd"),
        # A field that was taken away belongs to nobody.
        ([entry("kubectl-edit", "2026-08-20T10:00:00Z", "cidr")], "kubectl-edit"),
        # A status says nothing about who wrote the spec, and an entry without a time nothing at all.
        ([SPEC, entry("kube-controllers", "2026-08-20T11:00:00Z", "disabled", subresource="status")], "calico-ops"),
        ([SPEC, entry("old", "", "disabled")], "calico-ops"),
        ([SPEC, "damaged"], "calico-ops"),
    ],
)
def test_who_wrote_it_last(entries: list[t.Any], manager: str | None) -> None:
    thing = {"metadata": {"managedFields": entries}}
    found = last_write(thing, ("disabled", "nodeSelector"))
    assert (found.manager if found else None) == manager
    clause = last_writer_clause(thing, ("disabled",))
    assert clause.startswith("it was last written by ") if manager else clause == "who wrote it is not recorded"
