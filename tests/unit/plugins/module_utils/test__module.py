# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import MissingLibrary
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import plain, progress_sink, secrets_in
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import libraries


def test_secrets_of_an_inline_kubeconfig() -> None:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://x"}}],
        "users": [
            {"name": "a", "user": {"token": "t1", "client-key-data": "k1", "client-certificate-data": "public"}},
            {"name": "b", "user": {"password": "p1", "token": ""}},
        ],
    }
    assert secrets_in(config) == {"t1", "k1", "p1"}
    assert secrets_in("/path") == set()
    assert secrets_in(None) == set()


def test_progress_goes_into_the_file_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    with progress_sink(str(path)) as report:
        report("one")
        assert path.read_text(encoding="utf-8") == "one\n"
        report(2)
    with progress_sink(str(path)) as report:
        report("three")
    assert path.read_text(encoding="utf-8") == "one\n2\nthree\n"
    with progress_sink(None) as report:
        report("nowhere")


def test_a_progress_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="progress_file"), progress_sink(str(tmp_path / "no" / "where")):
        pass


def test_details_become_plain_data() -> None:
    assert plain({"a": (1, None, True), 2: {"x"}, "path": Path("p")}) == {"a": [1, None, True], "2": ["x"], "path": "p"}


def test_a_missing_library_is_named() -> None:
    with pytest.raises(MissingLibrary) as caught:
        libraries.load("no_such_package_here", "no-such-package >= 1", "to test")
    assert "no-such-package >= 1 is needed to test" in caught.value.message
    assert caught.value.library == "no-such-package >= 1"
    assert "ModuleNotFoundError" in caught.value.trace
