# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong inputs to the playbooks: one sentence, nothing written."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from cluster_state import CALICO, objects
from playbook import run
from twin_fixture import TwinHandle, start_twin

CHANGE: dict[str, object] = {
    "change_block_size_pool": "default-ipv4-ippool",
    "change_block_size_block_size": 28,
    "change_block_size_temporary_cidr": "10.0.0.0/16",
}
MIGRATE_TO = {"name": "new-pool", "cidr": "10.0.0.0/16"}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("refusals"), "tutorial", speed=40) as handle:
        yield handle


def everything(twin: TwinHandle) -> dict[str, str]:
    """Names and versions of all that a procedure may write."""
    parts = (
        ("ippools", CALICO),
        ("configmaps", "/api/v1/"),
        ("deployments", "/apis/apps/v1/"),
        ("namespaces", "/api/v1/"),
    )
    return {
        f"{plural}/{name}": str(item.get("spec", item.get("data")))
        for plural, path in parts
        for name, item in objects(twin, plural, path).items()
    }


@pytest.mark.parametrize(
    ("playbook", "variables", "words"),
    [
        ("change_block_size", {**CHANGE, "change_block_size_pool": "web"}, ["'web'", "default-ipv4-ippool"]),
        ("change_block_size", {**CHANGE, "change_block_size_block_size": 19}, ["19", "20", "32"]),
        ("change_block_size", {**CHANGE, "change_block_size_block_size": 33}, ["33", "20", "32"]),
        (
            "change_block_size",
            {**CHANGE, "change_block_size_temporary_cidr": "192.168.64.0/18"},
            ["192.168.64.0/18", "overlap"],
        ),
        (
            "change_block_size",
            {**CHANGE, "change_block_size_temporary_cidr": "10.0.0.1/16"},
            ["10.0.0.1/16", "10.0.0.0/16"],
        ),
        ("migrate_pool", {"migrate_pool_from": "web", "migrate_pool_to": MIGRATE_TO}, ["'web'"]),
        (
            "migrate_pool",
            {"migrate_pool_from": "default-ipv4-ippool", "migrate_pool_to": {**MIGRATE_TO, "cidr": "10.0.0.0/30"}},
            ["10.0.0.0/30"],
        ),
        (
            "migrate_pool",
            {
                "migrate_pool_from": "default-ipv4-ippool",
                "migrate_pool_to": {**MIGRATE_TO, "node_selector": "rack = 1"},
            },
            ["rack = 1", "position"],
        ),
        (
            "declare_pools",
            {"declare_pools_list": [{"name": "six", "cidr": "fd00:10::/64", "ipip_mode": "Always"}]},
            ["ipipMode"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_input_is_one_sentence_and_writes_nothing(
    twin: TwinHandle, playbook: str, variables: dict[str, object], words: list[str]
) -> None:
    before = everything(twin)
    outcome = run(playbook, Path(twin.kubeconfig), variables)
    assert outcome.code != 0
    assert "Traceback" not in outcome.output
    for word in words:
        assert word in outcome.output, outcome.output
    assert everything(twin) == before


def test_no_cluster_is_one_sentence(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n"
        "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:9', insecure-skip-tls-verify: true}}]\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {token: secret-token}}]\n",
        encoding="utf-8",
    )
    outcome = run("report", kubeconfig, {})
    assert outcome.code != 0
    assert "127.0.0.1:9" in outcome.output
    assert "Traceback" not in outcome.output
    assert "secret-token" not in outcome.output
