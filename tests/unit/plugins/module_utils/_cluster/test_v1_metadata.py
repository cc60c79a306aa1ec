# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""spec ippool.md §1.1: where Calico keeps the metadata of objects in the v1 CRDs."""

from __future__ import annotations

import json

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    PACKED,
    annotations_of,
    labels_of,
    metadata_patch,
)


def packed(inside, **metadata):
    annotations = {**metadata.pop("annotations", {}), PACKED: json.dumps(inside)}
    return {"metadata": {"name": "p", "annotations": annotations, **metadata}}


PLAIN = {"metadata": {"name": "p", "labels": {"team": "red"}, "annotations": {"note": "x"}}}


def test_without_the_annotation_the_metadata_is_used_as_it_is():
    assert labels_of(PLAIN) == {"team": "red"}
    assert annotations_of(PLAIN) == {"note": "x"}
    assert labels_of({"metadata": {"name": "p"}}) == {}


def test_the_packed_metadata_wins():
    thing = packed(
        {"labels": {"team": "blue", "a": "1"}, "annotations": {"note": "in"}},
        labels={"team": "red", "projectcalico.org/x": "y"},
        annotations={"note": "out"},
    )
    assert labels_of(thing) == {"team": "blue", "a": "1", "projectcalico.org/x": "y"}
    assert annotations_of(thing) == {"note": "in"}


def test_an_unreadable_annotation_counts_as_absent():
    thing = {"metadata": {"name": "p", "labels": {"a": "b"}, "annotations": {PACKED: "{"}}}
    assert labels_of(thing) == {"a": "b"}


@pytest.mark.parametrize("thing", [PLAIN, packed({"labels": {"team": "red"}, "annotations": {"note": "x"}})])
def test_nothing_to_change_is_an_empty_patch(thing):
    assert metadata_patch(thing, {"team": "red", "gone": None}, {"note": "x"}) == {}


def test_a_plain_object_is_changed_in_place():
    assert metadata_patch(PLAIN, {"team": None, "a": "b"}, {}) == {"labels": {"team": None, "a": "b"}}


def test_a_label_inside_the_annotation_is_changed_there():
    thing = packed({"labels": {"team": "red"}, "creationTimestamp": "2026-01-01T00:00:00Z"})
    patch = metadata_patch(thing, {"team": "blue"}, {})
    assert set(patch) == {"annotations"}
    assert json.loads(patch["annotations"][PACKED]) == {
        "labels": {"team": "blue"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }


def test_keys_of_calico_stand_in_both_places():
    patch = metadata_patch(packed({}), {"projectcalico.org/x": "y"}, {})
    assert patch["labels"] == {"projectcalico.org/x": "y"}
    assert json.loads(patch["annotations"][PACKED]) == {"labels": {"projectcalico.org/x": "y"}}


def test_a_label_is_removed_from_both_places():
    thing = packed({"labels": {"operator.tigera.io/x": "y"}}, labels={"operator.tigera.io/x": "y"})
    patch = metadata_patch(thing, {"operator.tigera.io/x": None}, {})
    assert patch["labels"] == {"operator.tigera.io/x": None}
    assert json.loads(patch["annotations"][PACKED]) == {}
