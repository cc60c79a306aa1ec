# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detection of the installation, against an API that serves what a table says (spec ippool.md §7.1)."""

from __future__ import annotations

import typing as t

import pytest
from cluster_tables import (
    AGGREGATED,
    DENIED,
    DOWN,
    ENTRIES,
    INFORMATION,
    INSTALLATIONS,
    MANIFEST,
    MIGRATIONS,
    OPENSHIFT,
    OWNED,
    PACKED,
    ROWS,
    V1,
    V3,
    V3_CRDS,
    V3_INFORMATION,
    api_of,
    default,
    in_etcd,
    pool,
)

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    NotFound,
    ServerError,
    Unauthorized,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import (
    calico_api,
    detect,
    require_supported,
    unsupported_reason,
    writable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import Refused


@pytest.mark.parametrize("row", ROWS)
def test_the_decision_table(row: str) -> None:
    served, mode, words = ROWS[row]
    found = detect(api_of(served))
    assert found.mode.value == mode
    assert found.mode.source
    reason = writable(found)
    if words is None:
        assert reason is None
    else:
        assert reason is not None
        assert words in reason
        assert reason.endswith(".")
        assert reason.count(". ") == 0, "one sentence"
        with pytest.raises(Refused, match="."):
            require_supported(api_of(served))


@pytest.mark.parametrize(
    ("served", "names"),
    [
        (MANIFEST, ()),
        ({**MANIFEST, INSTALLATIONS: []}, ()),
        ({**MANIFEST, INSTALLATIONS: default()}, ()),
        ({**MANIFEST, INSTALLATIONS: default(calicoNetwork={"ipPools": []})}, ()),
        ({**MANIFEST, V1: pool(labels=OWNED)}, ("p",)),
        ({**MANIFEST, V1: pool(annotations=PACKED)}, ("p",)),
        ({**MANIFEST, INSTALLATIONS: default(**ENTRIES)}, ("10.0.0.0/16",)),
        ({**AGGREGATED, V3: pool(labels=OWNED), INSTALLATIONS: DENIED}, ("p",)),
        ({**V3_CRDS, V3: DENIED, INSTALLATIONS: default(**ENTRIES)}, ("10.0.0.0/16",)),
    ],
)
def test_row_3_the_operator(served: dict[str, t.Any], names: tuple[str, ...]) -> None:
    found = detect(api_of(served))
    assert (found.operator.value, found.operator_pools.value) == (bool(names), names)
    assert found.operator.source
    assert writable(found) is None, "the operator is no reason to stop, but to write elsewhere"
    assert ("Tigera operator" in (unsupported_reason(found) or "")) is (names != () and V3 not in served)


SEEDED = {**MANIFEST, INSTALLATIONS: default(**ENTRIES), INFORMATION: default(calicoVersion="v3.27.5")}
STATUS = "tigerastatuses.operator.tigera.io"


@pytest.mark.parametrize(
    ("served", "operated"),
    [
        (SEEDED, False),
        ({**SEEDED, STATUS: []}, False),
        ({**SEEDED, INFORMATION: default(calicoVersion="v3.28.0")}, True),
        ({**SEEDED, INFORMATION: default(calicoVersion="v4.0.0")}, True),
        ({**SEEDED, INFORMATION: default()}, True),
        ({**SEEDED, STATUS: [{"metadata": {"name": "ippools"}}]}, True),
        ({**SEEDED, STATUS: DENIED}, True),
        ({**SEEDED, V1: pool(labels=OWNED)}, True),
        ({**SEEDED, V1: DENIED}, True),
        ({**SEEDED, INSTALLATIONS: default(variant="TigeraSecureEnterprise", **ENTRIES)}, True),
    ],
)
def test_an_operator_that_only_seeded_its_pools(served: dict[str, t.Any], operated: bool) -> None:
    """§10: before v1.34 it read its list once, so that its pools are everybody's."""
    found = detect(api_of(served))
    assert found.operator.value is operated
    if not operated:
        assert found.operator_entries.value is None and "once and for all" in found.operator_entries.source
        assert unsupported_reason(found) is None


@pytest.mark.parametrize(
    ("served", "version", "source"),
    [
        ({**MANIFEST, INFORMATION: default(calicoVersion="v3.33.0")}, "v3.33.0", "ClusterInformation default"),
        (
            {**MANIFEST, INFORMATION: default(), INSTALLATIONS: default(status={"calicoVersion": "v3.31.2"})},
            "v3.31.2",
            "Installation default",
        ),
        ({**V3_CRDS, V3_INFORMATION: default(calicoVersion="v3.34.0-0.dev")}, "v3.34.0-0.dev", "ClusterInformation"),
        ({**MANIFEST, INFORMATION: DENIED}, None, "no right to read ClusterInformation default"),
        ({**MANIFEST, INFORMATION: []}, None, "there is no ClusterInformation default"),
        ({**MANIFEST, INFORMATION: default()}, None, "has no calicoVersion"),
    ],
)
def test_the_version(served: dict[str, t.Any], version: str | None, source: str) -> None:
    found = detect(api_of(served))
    assert found.version.value == version
    assert source in found.version.source


def test_rights_that_are_missing_leave_facts_unknown() -> None:
    """Without discovery, and with nothing but the pools, a v1 cluster is one."""
    served = {V1: pool(), V3: DENIED, INSTALLATIONS: DENIED, OPENSHIFT: DENIED, INFORMATION: DENIED}
    found = detect(api_of(served, discovery=DENIED))
    assert found.mode.value == "crd_v1"
    assert found.locked.value is None
    assert "no right" in found.locked.source
    assert "no right" in found.operator.source
    assert found.openshift.value is False
    # ... and who may not see what would forbid a change does not make one.
    assert 'cannot get resource "clusterinformations"' in str(unsupported_reason(found))
    for denied, right in (
        (MIGRATIONS, 'cannot list resource "datastoremigrations" in API group "migration.projectcalico.org"'),
        (INFORMATION, 'cannot get resource "clusterinformations" in API group "crd.projectcalico.org"'),
        (INSTALLATIONS, 'cannot get resource "installations" in API group "operator.tigera.io"'),
    ):
        reason = unsupported_reason(detect(api_of({**MANIFEST, denied: DENIED})))
        assert reason is not None
        assert right in reason
        assert reason.endswith("; grant that right, or use other credentials.")


@pytest.mark.parametrize(
    ("served", "mode"),
    [(MANIFEST, "crd_v1"), (AGGREGATED, "apiserver"), (V3_CRDS, "crd_v3"), ({}, "none"), ({V3: DOWN}, "apiserver")],
)
def test_without_discovery_the_cluster_is_asked(served: dict[str, t.Any], mode: str) -> None:
    assert detect(api_of(served, discovery=DENIED)).mode.value == mode
    # An API around one that has no discovery says that there is nothing to be found, of whatever group.
    assert detect(api_of(served, discovery=NotFound("This API has no list.", 404, "NotFound"))).mode.value == mode


@pytest.mark.parametrize("error", [DENIED, Unauthorized("who", 401), ServerError("oops", 500)])
def test_what_is_not_an_answer_is_raised(error: ApiError) -> None:
    with pytest.raises(type(error)):
        detect(api_of({V1: error}, discovery=DENIED))


@pytest.mark.parametrize(
    ("served", "places", "whole"),
    [
        (MANIFEST, 1, 3),
        (V3_CRDS, 2, 4),
        (AGGREGATED, 2, 4),
        ({**MANIFEST, INSTALLATIONS: default(**ENTRIES)}, 1, 4),
        ({**AGGREGATED, INSTALLATIONS: default(**ENTRIES)}, 2, 5),
        ({**AGGREGATED, INSTALLATIONS: default(**ENTRIES), OPENSHIFT: []}, 2, 6),
        ({**V3_CRDS, INSTALLATIONS: default(**ENTRIES), MIGRATIONS: []}, 3, 6),
    ],
)
def test_what_it_costs(served: dict[str, t.Any], places: int, whole: int) -> None:
    """``places`` requests before the first request for a pool, ``whole`` before a pool is written."""
    raw = api_of(served)
    api = calico_api(raw)
    assert api.location
    assert len(raw.requests) == places
    detect(api)
    assert len(raw.requests) == whole
    assert whole <= 6


def test_an_etcd_that_an_option_leads_to() -> None:
    found = detect(in_etcd({}, {V1: pool(), INFORMATION: default(calicoVersion="v3.33.0")}))
    assert (found.mode.value, found.version.value) == ("etcd", "v3.33.0")
    assert writable(found) is None
    locked = detect(in_etcd({}, {V1: pool(), INFORMATION: default(datastoreReady=False)}))
    assert "datastoreReady" in (writable(locked) or "")
