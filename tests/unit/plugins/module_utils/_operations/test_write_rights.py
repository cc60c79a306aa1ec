# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import ClusterError, NotFound
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.write_rights import (
    needed_rights,
    require_rights,
)

CRD = Installation(Fact("crd_v1", ""))


class Reviews:
    """Answers SelfSubjectAccessReviews of somebody who has all rights but some."""

    def __init__(self, *lacking: tuple[str, str], error: ClusterError | None = None) -> None:
        self.lacking = lacking
        self.error = error
        self.asked: list[dict[str, str]] = []

    def create(self, resource: t.Any, body: t.Any) -> t.Any:
        assert resource.plural == "selfsubjectaccessreviews"
        asked = body["spec"]["resourceAttributes"]
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return {"status": {"allowed": (asked["verb"], asked["resource"]) not in self.lacking}}


def test_somebody_with_all_rights() -> None:
    api = Reviews()
    require_rights(t.cast("t.Any", api), CRD)
    assert len(api.asked) == len(needed_rights(CRD))
    lease = next(each for each in api.asked if each["resource"] == "leases" and each["verb"] == "update")
    assert lease == {
        "verb": "update",
        "group": "coordination.k8s.io",
        "version": "v1",
        "resource": "leases",
        "namespace": "kube-system",
        "name": "calico-ops-ipam",
    }


def test_one_sentence_for_all_that_is_missing() -> None:
    api = Reviews(("patch", "deployments"), ("update", "ipamblocks"), ("delete", "ipamblocks"), ("patch", "cronjobs"))
    with pytest.raises(Refused) as caught:
        require_rights(t.cast("t.Any", api), CRD, ["suspend_cron_jobs/shop"])
    assert caught.value.message == (
        "The user may not update/delete ipamblocks.crd.projectcalico.org, patch deployments.apps, "
        "patch cronjobs.batch, so this run would stop half-way: give them "
        "calico-ops-ipam-migrator and calico-ops-ipam-consents of the "
        "collection's docs/rbac, or use other credentials."
    )


def test_a_server_that_does_not_say_stops_nobody() -> None:
    api = Reviews(error=NotFound("no such thing", 404))
    require_rights(t.cast("t.Any", api), CRD)
    assert len(api.asked) == 1


@pytest.mark.parametrize(
    ("mode", "operator", "wanted"),
    [
        ("crd_v1", False, {"crd.projectcalico.org"}),
        ("crd_v3", False, {"projectcalico.org"}),
        ("apiserver", False, {"crd.projectcalico.org", "projectcalico.org"}),
        ("etcd", False, set()),
        ("crd_v3", True, {"operator.tigera.io", "projectcalico.org"}),
    ],
)
def test_where_calicos_kinds_are(mode: str, operator: bool, wanted: set[str]) -> None:
    found = needed_rights(Installation(Fact(mode, ""), operator=Fact(operator, "")))
    assert {
        each.resource.group
        for each in found
        if "projectcalico" in each.resource.group or "tigera" in each.resource.group
    } == wanted
