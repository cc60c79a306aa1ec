# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import hashlib
import json
import re
import typing as t
import zlib
from html.parser import HTMLParser

import pytest
from report_sample import HOSTILE, hostile, sample

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_page import (
    MOST_BYTES,
    PART,
    embedded,
    render_page,
)
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._report_files import page


class Elements(HTMLParser):
    """What a browser makes of the page: the elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        self.tags.append((f"/{tag}", {}))

    def handle_data(self, data: str) -> None:
        last = self.tags[-1][0] if self.tags else ""
        if last in ("script", "style"):
            self.texts[last][-1] += data

    def data(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads(self.texts["script"][0]))

    def rows(self, block: int) -> list[list[t.Any]]:
        packed = json.loads(self.texts["script"][1])[block // PART]
        parts = json.loads(zlib.decompress(base64.b64decode(packed), -15))
        return t.cast("list[list[t.Any]]", parts[block % PART])


def test_names_from_the_cluster_stay_data() -> None:
    calm, attacked = Elements(page(sample(20, 5))), Elements(page(hostile()))
    assert [tag for tag, _attributes in attacked.tags] == [tag for tag, _attributes in calm.tags]
    assert len(attacked.texts["script"]) == 3
    assert attacked.texts["script"][2] == calm.texts["script"][2]
    assert attacked.data()["pools"][0]["name"] == "default-ipv4-ippool" + "".join(HOSTILE)


@pytest.mark.parametrize("text", HOSTILE)
def test_embedded_is_json_without_markup(text: str) -> None:
    made = embedded({text: [text]})
    assert not set(made) & set("<>&\u2028\u2029\r\n\x00")
    assert json.loads(made) == {text: [text]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpj\u202ecod.exe", "gpj[U+202E]cod.exe"),
        ("a\u200bb\ufeff\u2066", "a[U+200B]b[U+FEFF][U+2066]"),
        # What only looks like such a character, and what can be seen.
        ("\\u202e", "\\u202e"),
        ("\\\u202e", "\\[U+202E]"),
        ("\u05e9\u05dc\u05d5\u05dd \u2028 \u00e9", "\u05e9\u05dc\u05d5\u05dd \u2028 \u00e9"),
    ],
)
def test_what_nobody_sees_is_made_visible(text: str, shown: str) -> None:
    assert json.loads(embedded({text: [text]})) == {shown: [shown]}


def test_the_policy_lets_only_this_style_and_this_script_work() -> None:
    text = page(sample(20, 5))
    found = Elements(text)
    policies = [attributes["content"] for _tag, attributes in found.tags if attributes.get("http-equiv")]
    assert len(policies) == 1
    rules = dict(rule.strip().split(" ", 1) for rule in str(policies[0]).split(";"))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    for rule, content in (("style-src", found.texts["style"][0]), ("script-src", found.texts["script"][2])):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules.pop(rule) == f"'sha256-{digest}'"
    assert rules == {}
    # No other origin is named anywhere but for the namespace of SVG, and nothing is run from an attribute.
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.gnu.org/licenses/gpl-3.0.txt",
    }
    for _tag, attributes in found.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "style", "action")]


def test_every_address_is_in_the_page() -> None:
    report = sample(300, 9)
    found = Elements(page(report))
    names = found.data()["namespaceNames"]
    shown = [
        (block, row[0], names[row[2]], row[5], row[6])
        for block in range(len(report["blocks"]["rows"]))
        for row in found.rows(block)
    ]
    assert shown == [(row[0], row[1], row[3], row[4], row[8]) for row in report["addresses"]["rows"]]


def test_a_page_that_would_be_too_large_leaves_out_names_then_addresses_and_then_refuses() -> None:
    report = sample(150, 20)
    parts = ("<p>[[policy]]", "[[style]]", "[[data]]|", "[[addresses]]", "[[script]]")
    html = "|".join(parts)

    def size(most: int) -> tuple[int, str]:
        text = render_page(report, None, html, "", "", most=most)
        return len(text.encode()), re.findall(r'"detail":"(\w+)"', text)[0]

    whole, detail = size(MOST_BYTES)
    assert detail == "all"
    short, detail = size(whole - 1)
    assert (detail, short < whole) == ("short", True)
    none, detail = size(short - 1)
    assert (detail, none < short) == ("none", True)
    with pytest.raises(InvalidInput, match="choose one pool"):
        size(none - 1)


def test_before_and_after() -> None:
    before = {**sample(50, 5), "taken": "2026-08-20T08:00:00Z"}
    data = Elements(page(sample(60, 5, seed=2), before)).data()
    assert len(data["before"]["blocks"]) == 50
    assert data["change"]["before"] == "2026-08-20T08:00:00Z"
    nodes = len(data["nodeNames"])
    assert all(-1 <= row[2] < nodes for row in data["before"]["blocks"] + data["blocks"])
