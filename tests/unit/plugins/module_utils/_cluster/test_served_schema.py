# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import Forbidden, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V3, IPAM_BLOCKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.served_schema import (
    ITEMS,
    keeps,
    served_schema,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds

RELEASED_AT = ("spec", "attributes", ITEMS, "releasedAt")
SPEC = {
    "properties": {
        "attributes": {"items": {"properties": {"handle_id": {"type": "string"}}}},
        "free": {"x-kubernetes-preserve-unknown-fields": True},
        "map": {"additionalProperties": {"type": "string"}},
    }
}


class Definitions:
    def __init__(self, answer: t.Any) -> None:
        self.answer = answer

    def get(self, resource: Resource, name: str) -> t.Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return next(thing for thing in self.answer if thing["metadata"]["name"] == name)


def definition(schema: t.Any, version: str = "v1") -> list[t.Any]:
    versions = [{"name": version, "schema": {"openAPIV3Schema": schema}}]
    return [{"metadata": {"name": "ipamblocks.crd.projectcalico.org"}, "spec": {"versions": versions}}]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (RELEASED_AT, False),
        (("spec", "attributes", ITEMS, "handle_id"), True),
        (("spec", "nothing", "below"), False),
        (("spec", "free", "anything", "below"), True),
        (("spec", "map", "anything"), True),
    ],
)
def test_paths(path: tuple[str, ...], kept: bool) -> None:
    schema = served_schema(Definitions(definition({"properties": {"spec": SPEC}})), IPAM_BLOCKS)
    assert schema is not None
    assert keeps(schema, path) is kept


@pytest.mark.parametrize("group", ["v1", "v3"])
def test_calicos_own_definitions(group: str) -> None:
    resource = IPAM_BLOCKS if group == "v1" else Resource(CALICO_V3, "v3", "ipamblocks", "IPAMBlock", False)
    schema = served_schema(Definitions(calico_crds(group)), resource)
    assert schema is not None
    assert keeps(schema, RELEASED_AT)


@pytest.mark.parametrize(
    "answer",
    [NotFound("no", 404, "NotFound"), Forbidden("no", 403, "Forbidden"), definition({"properties": {}}, "v2")],
)
def test_it_cannot_be_told(answer: t.Any) -> None:
    assert served_schema(Definitions(answer), IPAM_BLOCKS) is None
