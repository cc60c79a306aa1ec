# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detection of the installation, against an API that serves what a table says (spec ippool.md §7.1)."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Listing, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    Forbidden,
    ServerError,
    Unauthorized,
    UnknownResource,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import (
    InstallationMode,
    detect,
    require_supported,
    unsupported_reason,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused

V1 = "ippools.crd.projectcalico.org"
V3 = "ippools.projectcalico.org"
V3_BLOCKS = "ipamblocks.projectcalico.org"
INSTALLATIONS = "installations.operator.tigera.io"
INFORMATION = "clusterinformations.crd.projectcalico.org"
OPENSHIFT = "clusterversions.config.openshift.io"


class ListingApi:
    """Answers lists only: with the items of a table, with its error, or with 404 for the resource."""

    def __init__(self, served: dict[str, t.Any]) -> None:
        self._served = served

    def list(self, resource: Resource, namespace: str | None = None, **_options: t.Any) -> Listing:
        answer = self._served.get(f"{resource.plural}.{resource.group}", UnknownResource("no such type", 404))
        if isinstance(answer, ApiError):
            raise answer
        return Listing(answer, "1")


def default(**spec: t.Any) -> list[dict[str, t.Any]]:
    return [{"metadata": {"name": "default"}, "spec": spec}]


def pool(**metadata: t.Any) -> list[dict[str, t.Any]]:
    return [{"metadata": {"name": "p", **metadata}, "spec": {"cidr": "10.0.0.0/16"}}]


OWNED = {"app.kubernetes.io/managed-by": "tigera-operator"}
PACKED = {"projectcalico.org/metadata": '{"labels": {"app.kubernetes.io/managed-by": "tigera-operator"}}'}
DENIED = Forbidden("no", 403)


@pytest.mark.parametrize(
    ("served", "found", "words"),
    [
        ({V1: pool()}, InstallationMode("crd_v1"), None),
        (
            {V1: pool(), INFORMATION: default(calicoVersion="v3.33.0")},
            InstallationMode("crd_v1", calico_version="v3.33.0"),
            None,
        ),
        (
            {V1: pool(), V3: DENIED, INSTALLATIONS: DENIED, OPENSHIFT: DENIED, INFORMATION: DENIED},
            InstallationMode("crd_v1"),
            None,
        ),
        ({V1: pool(), INSTALLATIONS: default()}, InstallationMode("crd_v1"), None),
        ({}, InstallationMode("none"), "does not serve ippools.crd.projectcalico.org"),
        ({V1: pool(), V3: []}, InstallationMode("apiserver"), "aggregated API server"),
        ({V1: pool(), V3: ServerError("down", 503)}, InstallationMode("apiserver", api_server_down=True), "503"),
        ({V1: [], V3: pool(), V3_BLOCKS: []}, InstallationMode("crd_v3"), "through CRDs"),
        (
            {V1: pool(), INFORMATION: default(datastoreReady=False)},
            InstallationMode("crd_v1", datastore_ready=False),
            "datastoreReady: false",
        ),
        ({V1: pool(), OPENSHIFT: default()}, InstallationMode("crd_v1", openshift=True), "OpenShift"),
        ({V1: pool(labels=OWNED)}, InstallationMode("crd_v1", ("p",)), "Tigera operator"),
        ({V1: pool(annotations=PACKED)}, InstallationMode("crd_v1", ("p",)), "Tigera operator"),
        (
            {V1: pool(), INSTALLATIONS: default(calicoNetwork={"ipPools": [{"cidr": "10.0.0.0/16"}]})},
            InstallationMode("crd_v1", ("10.0.0.0/16",)),
            "10.0.0.0/16",
        ),
    ],
)
def test_installations(served: dict[str, t.Any], found: InstallationMode, words: str | None) -> None:
    api = t.cast("t.Any", ListingApi(served))
    assert detect(api) == found
    reason = unsupported_reason(found)
    if words is None:
        assert reason is None
        assert require_supported(api) == found
        return
    assert reason is not None
    assert words in reason
    assert reason.endswith(".")
    with pytest.raises(Refused, match="."):
        require_supported(api)


@pytest.mark.parametrize("error", [DENIED, Unauthorized("who", 401), ServerError("oops", 500)])
def test_what_is_not_an_answer_is_raised(error: ApiError) -> None:
    with pytest.raises(type(error)):
        detect(t.cast("t.Any", ListingApi({V1: error})))
