# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of old releases get their labels (spec ipam-engine.md §2.3 and §13, upgrade host)."""

from __future__ import annotations

import json
import typing as t

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V1, CALICO_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.affinity import Affinity
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.datastore import UpdateConflict
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.naming import (
    AFFINITY_TYPE_LABEL,
    METADATA_ANNOTATION,
    affinity_labels,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.affinity_labels import PAUSES, label_rows
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.kubernetes import KubernetesStore

BLOCK = parse_network("10.77.4.8/30")
NAME = "worker-7-10-77-4-8-30"
LABELS = affinity_labels("worker-7", "host", 4)


def age(api: t.Any, store: KubernetesStore, *, labels: dict[str, str] | None, kind: str | None) -> None:
    """Turn the row into what an old release left."""
    row = api.get(store.affinities, NAME)
    row["metadata"]["labels"] = labels
    packed = {"creationTimestamp": None} if labels is None else {"labels": labels}
    row["metadata"]["annotations"] = {METADATA_ANNOTATION: json.dumps(packed)}
    row["spec"].pop("type")
    if kind is not None:
        row["spec"]["type"] = kind
    row["spec"]["later"] = {"kept": True}
    api.replace(store.affinities, row)


@pytest.fixture(params=[CALICO_V1, CALICO_V3])
def store(request: pytest.FixtureRequest, api: t.Any) -> KubernetesStore:
    made = KubernetesStore(api, request.param)
    made.create_affinity(Affinity("worker-7", "host", BLOCK, "confirmed"))
    made.create_affinity(Affinity("worker-8", "host", parse_network("10.77.4.12/30"), "confirmed"))
    return made


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        (None, "host"),  # v3.30
        (None, None),  # before v3.30
        ({**LABELS, AFFINITY_TYPE_LABEL: ""}, None),  # before v3.30, then met by calico-node of today
        ({**LABELS, AFFINITY_TYPE_LABEL: ""}, ""),
    ],
)
def test_an_old_row_is_found_afterwards(
    api: t.Any, store: KubernetesStore, labels: dict[str, str] | None, kind: str | None
) -> None:
    age(api, store, labels=labels, kind=kind)
    assert store.list_affinities("worker-7", "host", 4) == []
    assert label_rows(api, store.group, "worker-7") == (NAME,)
    assert [stored.value.cidr for stored in store.list_affinities("worker-7", "host", 4)] == [BLOCK]
    row = api.get(store.affinities, NAME)
    assert row["metadata"]["labels"] == LABELS
    assert json.loads(row["metadata"]["annotations"][METADATA_ANNOTATION])["labels"] == LABELS
    assert (row["spec"]["type"], row["spec"]["later"]) == ("host", {"kept": True})
    assert label_rows(api, store.group, "worker-7") == ()


def test_other_rows_are_left_alone(api: t.Any, store: KubernetesStore) -> None:
    age(api, store, labels=None, kind=None)
    api.requests.clear()
    assert label_rows(api, store.group, "worker-8") == ()
    row = api.get(store.affinities, NAME)
    row["spec"]["deleted"] = "true" if store.group == CALICO_V1 else True
    api.replace(store.affinities, row)
    api.requests.clear()
    assert label_rows(api, store.group, "worker-7") == ()
    assert api.requests == []


def test_a_row_that_changes_meanwhile_is_read_again(api: t.Any, store: KubernetesStore) -> None:
    age(api, store, labels=None, kind="host")
    waited: list[float] = []

    def intrude(verb: str, name: str) -> None:
        row = api.get(store.affinities, name)
        row["spec"]["state"] = "pendingDeletion"
        api.replace(store.affinities, row)

    api.before = intrude
    assert label_rows(api, store.group, "worker-7", pause=waited.append) == (NAME,)
    assert waited == [0.1]
    assert store.list_affinities("worker-7")[0].value.state == "pendingDeletion"


def test_a_row_that_keeps_changing_is_given_up(api: t.Any, store: KubernetesStore) -> None:
    age(api, store, labels=None, kind="host")
    waited: list[float] = []

    def intrude(verb: str, name: str) -> None:
        api.replace(store.affinities, api.get(store.affinities, name))
        api.before = intrude

    def again(seconds: float) -> None:
        waited.append(seconds)
        api.before = intrude

    api.before = intrude
    with pytest.raises(UpdateConflict, match="kept changing"):
        label_rows(api, store.group, "worker-7", pause=again)
    assert waited == list(PAUSES)


def test_a_row_that_is_deleted_meanwhile_is_no_error(api: t.Any, store: KubernetesStore) -> None:
    age(api, store, labels=None, kind="host")
    api.before = lambda verb, name: api.delete(store.affinities, name)
    assert label_rows(api, store.group, "worker-7") == ()
