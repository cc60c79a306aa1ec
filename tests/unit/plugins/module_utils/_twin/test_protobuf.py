# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Protobuf bodies as kubectl writes them: empty values included, which say nothing."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.protobuf import UnknownMessage, decode_protobuf


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def body(version: str, kind: str, *fields: bytes) -> bytes:
    identity = field(1, version) + field(2, kind)
    return b"k8s\0" + field(1, identity) + field(2, b"".join(fields)) + field(3, "") + field(4, "")


def meta(name: str) -> bytes:
    # Go writes the empty strings and the empty time too.
    return field(1, field(1, name) + field(2, "") + field(3, "") + field(4, "") + field(7, 0) + field(8, b""))


def entry(key: str, value: str | bytes) -> bytes:
    return field(1, key) + field(2, value)


def test_a_namespace() -> None:
    data = body("v1", "Namespace", meta("shop"), field(2, b""), field(3, field(1, "")))
    assert decode_protobuf(data) == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def test_maps_of_text_and_of_bytes() -> None:
    data = body("v1", "ConfigMap", meta("a"), field(2, entry("k", "")), field(3, entry("b", b"\xff")))
    assert decode_protobuf(data)["data"] == {"k": ""}
    assert decode_protobuf(data)["binaryData"] == {"b": "/w=="}


@pytest.mark.parametrize("replicas", [0, 2, -1, 1 << 20])
def test_pointers_are_kept_though_they_point_to_nothing(replicas: int) -> None:
    container = field(1, "c") + field(2, "nginx") + field(3, "sleep") + field(3, "9") + field(8, b"") + field(16, 0)
    template = field(1, field(11, entry("app", "d"))) + field(2, field(2, container) + field(3, "") + field(11, 0))
    selector = field(1, entry("app", "d"))
    spec = field(1, replicas) + field(2, selector) + field(3, template) + field(4, field(1, "")) + field(5, 0)
    found = decode_protobuf(body("apps/v1", "Deployment", meta("d"), field(2, spec), field(3, field(1, 0))))
    assert found["spec"] == {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"containers": [{"name": "c", "image": "nginx", "command": ["sleep", "9"], "resources": {}}]},
        },
    }


@pytest.mark.parametrize(("encoded", "value"), [(field(2, 3), 3), (field(1, 1) + field(3, "50%"), "50%")])
def test_a_number_or_a_percentage(encoded: bytes, value: object) -> None:
    data = body("policy/v1", "PodDisruptionBudget", meta("p"), field(2, field(1, encoded)))
    assert decode_protobuf(data)["spec"] == {"minAvailable": value}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (body("v1", "Pod", meta("p")), "v1 Pod"),
        (body("v1", "ServiceAccount", meta("s"), field(2, field(3, "x"))), "field 2 of ServiceAccount"),
        (body("v1", "Namespace", varint(1 << 3 | 5) + b"1234"), "wire type 5"),
    ],
)
def test_what_is_not_in_the_tables_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UnknownMessage, match=words):
        decode_protobuf(data)


@given(st.binary(max_size=60), st.booleans())
def test_any_other_bytes_are_a_value_error(noise: bytes, inside: bool) -> None:
    with contextlib.suppress(ValueError, UnknownMessage):
        decode_protobuf(body("v1", "Namespace", noise) if inside else b"k8s\0" + noise)
