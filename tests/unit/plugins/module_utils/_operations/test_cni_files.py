# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B16, B19 on the disk of a node."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.cni_files import findings, read_cni_files

POOLS = ("default-ipv4-ippool", "192.168.0.0/16")


def calico(**ipam: t.Any) -> dict[str, t.Any]:
    return {"name": "k8s-pod-network", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam", **ipam}}, {}]}


def node(tmp_path: Path, **files: t.Any) -> str:
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / name.replace("__", ".").replace("_", "-")).write_text(text, encoding="utf-8")
    return str(tmp_path)


def found(path: str) -> list[tuple[str, str]]:
    return [(each["id"], each["message"]) for each in findings(read_cni_files(path), path, POOLS)]


@pytest.mark.parametrize(
    ("files", "identifier", "words"),
    [
        ({"10_calico__conflist": calico()}, "", ""),
        ({"10_calico__conflist": calico(ipv4_pools=["other", "10.0.0.0/16"], ipv6_pools=["fd00::/64"])}, "", ""),
        # The first by name is used, whatever the others say.
        ({"10_calico__conflist": calico(), "87_bridge__conflist": {"type": "bridge"}}, "", ""),
        ({"10_calico__conflist": calico(), "README__md": "no JSON", "20_x__conflist__bak": "neither"}, "", ""),
        (
            {"10_calico__conflist": calico(ipv4_pools=["default-ipv4-ippool"])},
            "cni-config-pins-pool",
            "an address of default-ipv4-ippool",
        ),
        (
            {"10_calico__conflist": calico(ipv4_pools=["10.0.0.0/16", "192.168.4.0/24"])},
            "cni-config-pins-pool",
            "an address of 192.168.4.0/24",
        ),
        ({"10_calico__conf": calico(type="host-local")}, "calico-ipam-in-use", "its IPAM is host-local"),
        ({"10_calico__conflist": {"plugins": [{"type": "calico"}]}}, "calico-ipam-in-use", "its IPAM is none"),
        (
            {"10_a__json": {"type": "bridge"}, "10_b__conflist": calico()},
            "calico-ipam-in-use",
            "its plugins are bridge",
        ),
        ({"10_a__conflist": {"plugins": []}}, "calico-ipam-in-use", "its plugins are nothing"),
        ({}, "calico-ipam-in-use", "There is no CNI configuration in"),
    ],
)
def test_what_a_node_says(tmp_path: Path, files: t.Any, identifier: str, words: str) -> None:
    problems = found(node(tmp_path, **files))
    assert [each[0] for each in problems] == ([identifier] if identifier else [])
    for _identifier, message in problems:
        assert words in message
        assert message.endswith(".")
        assert "\n" not in message


def test_all_files_are_shown_the_used_one_first(tmp_path: Path) -> None:
    path = node(tmp_path, **{"87_z__conf": {"type": "bridge", "name": "b"}, "10_calico__conflist": calico()})
    shown = [file.as_result() for file in read_cni_files(path)]
    assert [(each["path"], each["calico"], each["ipam_type"], each["assign_ipv4"]) for each in shown] == [
        (f"{path}/10-calico.conflist", True, "calico-ipam", True),
        (f"{path}/87-z.conf", False, "", None),
    ]
    assert shown[1]["plugins"] == ["bridge"]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"plugins": 7}', '{"plugins": [7]}', "[" * 100_000, "\udcff"])
def test_files_that_are_no_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "10-calico.conflist").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidInput, match=r"10-calico.conflist' is no CNI configuration, .*\.$"):
        read_cni_files(str(tmp_path))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"the directory .* cannot be read \(No such file or directory\); .*\.$"):
        read_cni_files(str(tmp_path / "missing"))
    (tmp_path / "10-calico.conflist").mkdir()
    with pytest.raises(InvalidInput, match=r"the file .* cannot be read \(Is a directory\); .*\.$"):
        read_cni_files(str(tmp_path))


def test_what_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "10-x.conf").write_text(" " * 1_000_001, encoding="utf-8")
    with pytest.raises(InvalidInput, match="too large"):
        read_cni_files(str(tmp_path))
