# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Both directions between the v1 CRDs and the aggregated API: the rules of spec ippool.md 1.1."""

from __future__ import annotations

import json
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import (
    annotations_of,
    labels_of,
    metadata_patch,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.aggregated_form import (
    mapped_uid,
    shown,
    stored_form,
    with_read_defaults,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.patch import merge_patch

Object = t.Dict[str, t.Any]
PACKED = "projectcalico.org/metadata"
UID = "74744514-acf4-470b-9a86-5b4c7789ba5b"
TURNED = "2e2ea228-352f-47d0-9a61-da32ee915dda"
BORN, LATER = "2026-08-20T09:00:07Z", "2026-08-21T10:00:00Z"


def resource(packed: t.Any = None, **metadata: t.Any) -> Object:
    """A pool as the v1 CRDs have it."""
    if packed is not None:
        text = packed if isinstance(packed, str) else json.dumps(packed)
        metadata["annotations"] = {**metadata.get("annotations", {}), PACKED: text}
    own = {"name": "p", "uid": UID, "resourceVersion": "7", "creationTimestamp": BORN, **metadata}
    return {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": own, "spec": {"cidr": "10.0.0.0/8"}}


def view_of(stored: Object) -> Object:
    return t.cast(Object, shown(stored, CRD_V3.pools)["metadata"])


@pytest.mark.parametrize(("one", "other"), [(UID, TURNED), ("no uid", "no uid"), ("", "")])
def test_every_byte_of_a_uid_is_turned_but_two(one: str, other: str) -> None:
    assert (mapped_uid(one), mapped_uid(other)) == (other, one)


@given(st.uuids())
def test_the_mapping_of_uids_is_its_own_inverse(uid: t.Any) -> None:
    assert mapped_uid(mapped_uid(str(uid))) == str(uid)
    assert mapped_uid(str(uid))[14] == str(uid)[14]


@pytest.mark.parametrize(
    ("stored", "seen"),
    [
        (resource(), {"creationTimestamp": BORN}),
        (resource(generation=3, finalizers=["f"]), {"creationTimestamp": BORN, "generation": 3, "finalizers": ["f"]}),
        (resource({}), {"creationTimestamp": BORN}),
        (resource({"creationTimestamp": LATER}), {"creationTimestamp": LATER}),
        # What stands on the resource besides labels and annotations is hidden while the annotation is there.
        (resource({}, deletionTimestamp=LATER, finalizers=["f"], generation=3), {"creationTimestamp": BORN}),
        (resource({"finalizers": ["g"]}, finalizers=["f"]), {"creationTimestamp": BORN, "finalizers": ["g"]}),
        (resource({"labels": {"a": "in"}}), {"creationTimestamp": BORN, "labels": {"a": "in"}}),
        (
            resource({"labels": {"a": "in"}}, labels={"a": "out", "b": "out"}),
            {"creationTimestamp": BORN, "labels": {"a": "in", "b": "out"}},
        ),
        (
            resource({"annotations": {"a": "in"}}, annotations={"b": "out"}),
            {"creationTimestamp": BORN, "annotations": {"a": "in", "b": "out"}},
        ),
        (resource({"name": "q", "uid": "other", "resourceVersion": "1"}), {"creationTimestamp": BORN}),
        (resource("{damaged"), {"creationTimestamp": BORN}),
    ],
)
def test_the_metadata_that_is_shown(stored: Object, seen: Object) -> None:
    assert view_of(stored) == {"name": "p", "uid": TURNED, "resourceVersion": "7", **seen}


def test_owners_are_turned_back() -> None:
    ours = {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "name": "x", "uid": UID}
    node = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": UID}
    seen = view_of(resource({"ownerReferences": [ours, node]}))["ownerReferences"]
    assert seen == [{**ours, "apiVersion": "projectcalico.org/v3", "uid": TURNED}, node]
    view: Object = {"metadata": {"name": "p", "ownerReferences": seen}}
    packed = json.loads(stored_form(view, CRD_V1.pools)["metadata"]["annotations"][PACKED])
    assert packed["ownerReferences"] == [ours, node]


def test_what_a_write_keeps_outside() -> None:
    labels = {"team": "net", "projectcalico.org/x": "1", "unsupported.operator.tigera.io/ignore": "true"}
    annotations = {"note": "n", "my.projectcalico.org/y": "2"}
    metadata = {
        "name": "p",
        "uid": TURNED,
        "resourceVersion": "7",
        "creationTimestamp": BORN,
        "labels": labels,
        "annotations": annotations,
        "finalizers": ["f"],
    }
    body = stored_form({"metadata": metadata, "spec": {"cidr": "10.0.0.0/8"}}, CRD_V1.pools)
    own = body["metadata"]
    assert (own["name"], own["uid"], own["resourceVersion"]) == ("p", UID, "7")
    assert own["labels"] == {key: text for key, text in labels.items() if key != "team"}
    assert set(own["annotations"]) == {PACKED, "my.projectcalico.org/y"}
    assert "finalizers" not in own and "creationTimestamp" not in own
    packed = json.loads(own["annotations"][PACKED])
    assert packed == {
        "creationTimestamp": BORN,
        "labels": labels,
        "annotations": annotations,
        "finalizers": ["f"],
    }
    assert (body["apiVersion"], body["kind"], body["spec"]) == (
        "crd.projectcalico.org/v1",
        "IPPool",
        {"cidr": "10.0.0.0/8"},
    )


@given(st.dictionaries(st.sampled_from(["a", "projectcalico.org/b", "x.operator.tigera.io/c"]), st.text(max_size=5)))
def test_reading_gives_back_what_was_written(texts: dict[str, str]) -> None:
    metadata = {"name": "p", "uid": TURNED, "resourceVersion": "7", "creationTimestamp": BORN}
    for part in ("labels", "annotations"):
        if texts:
            metadata[part] = texts  # type: ignore[assignment]
    view = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": metadata, "spec": {"cidr": "::/0"}}
    stored = stored_form(view, CRD_V1.pools)
    assert shown(stored, CRD_V3.pools) == view
    assert (labels_of(stored), annotations_of(stored)) == (texts, texts)


KEYS = st.sampled_from(["team", "projectcalico.org/x", "unsupported.operator.tigera.io/ignore"])
CHANGES = st.dictionaries(KEYS, st.none() | st.sampled_from(["", "1", "2"]), max_size=3)


@given(st.booleans(), st.lists(st.tuples(st.booleans(), CHANGES, CHANGES), max_size=5))
def test_direct_and_client_writes_agree(packed: bool, writes: list[tuple[bool, t.Any, t.Any]]) -> None:
    """Labels and annotations written past Calico's client, as this collection does it, and through it, in any order."""
    stored = resource({"creationTimestamp": BORN}) if packed else resource()
    expected: dict[str, dict[str, str]] = {"labels": {}, "annotations": {}}
    for direct, labels, notes in writes:
        for part, changes in (("labels", labels), ("annotations", notes)):
            merged = {**expected[part], **changes}
            expected[part] = {key: text for key, text in merged.items() if text is not None}
        if direct:
            change = metadata_patch(stored, labels, notes)
            stored = {**stored, "metadata": merge_patch(stored["metadata"], change)}
        else:
            view = shown(stored, CRD_V3.pools)
            view["metadata"] = {**view["metadata"], **expected}
            stored = {**stored, **stored_form(view, CRD_V1.pools)}
            stored["metadata"]["creationTimestamp"] = BORN
    seen = view_of(stored)
    assert (seen.get("labels", {}), seen.get("annotations", {})) == (expected["labels"], expected["annotations"])
    assert (seen["uid"], seen["creationTimestamp"]) == (TURNED, BORN)


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("false", False), ("", False)])
def test_an_affinitys_deletion_is_a_text_below(text: str, flag: bool) -> None:
    stored = {**resource(), "spec": {"cidr": "10.0.0.0/26", "deleted": text}}
    assert shown(stored, CRD_V3.affinities)["spec"]["deleted"] is flag
    view = {"metadata": {"name": "x"}, "spec": {"deleted": flag}}
    assert stored_form(view, CRD_V1.affinities)["spec"]["deleted"] == ("true" if flag else "false")


@pytest.mark.parametrize(
    ("spec", "added"),
    [
        (
            {"cidr": "10.0.0.0/8"},
            {
                "blockSize": 26,
                "ipipMode": "Never",
                "vxlanMode": "Never",
                "nodeSelector": "all()",
                "allowedUses": ["Workload", "Tunnel"],
                "assignmentMode": "Automatic",
            },
        ),
        (
            {
                "cidr": "fd00::/48",
                "blockSize": 0,
                "ipipMode": "Always",
                "nodeSelector": "",
                "allowedUses": ["Workload"],
            },
            {"blockSize": 122, "vxlanMode": "Never", "nodeSelector": "all()", "assignmentMode": "Automatic"},
        ),
        # The text of the CIDR is shown as it is stored, whatever it is.
        (
            {"cidr": "FD00:0::/48", "ipipMode": "Never", "vxlanMode": "Never", "disabled": False},
            {"blockSize": 122, "nodeSelector": "all()", "allowedUses": ["Workload", "Tunnel"]}
            | {"assignmentMode": "Automatic"},
        ),
    ],
)
def test_read_defaults(spec: Object, added: Object) -> None:
    view = shown({**resource(), "spec": spec}, CRD_V3.pools)
    assert view["spec"] == spec
    assert with_read_defaults(view)["spec"] == {**spec, **added}


def test_only_pools_have_read_defaults() -> None:
    view = shown({**resource(), "kind": "IPAMConfig", "spec": {}}, CRD_V3.config)
    assert with_read_defaults(view) is view
