# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong inputs to the playbooks: one sentence, nothing written."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml
from cluster_state import CALICO, objects
from playbook import run
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions

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


def without_token(twin: TwinHandle) -> dict[str, t.Any]:
    content = t.cast("dict[str, t.Any]", yaml.safe_load(Path(twin.kubeconfig).read_text(encoding="utf-8")))
    content["users"][0]["user"] = {"token": "secret-token"}
    return content


@pytest.mark.parametrize(
    ("change", "variables", "words"),
    [
        (json.dumps, {}, "does not accept the credentials"),
        (lambda content: "secret-token: [", {}, "is not valid YAML: line 1"),
        (lambda content: None, {}, "does not exist: give the path of an existing kubeconfig file."),
    ],
    ids=["token", "yaml", "file"],
)
def test_a_wrong_connection_is_one_sentence(
    twin: TwinHandle,
    tmp_path: Path,
    change: t.Callable[[dict[str, t.Any]], str | None],
    variables: dict[str, object],
    words: str,
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    text = change(without_token(twin))
    if text is not None:
        kubeconfig.write_text(text, encoding="utf-8")
    outcome = run("report", kubeconfig, variables)
    assert outcome.code != 0
    assert words in outcome.output
    assert "Traceback" not in outcome.output
    assert "secret-token" not in outcome.output


@pytest.mark.parametrize(
    ("playbook", "words"),
    [
        ("declare_pools", "declare_pools_list"),
        ("preflight", "preflight_procedure"),
        ("migrate_pool", "migrate_pool_from, migrate_pool_to"),
    ],
)
def test_what_must_be_given_is_asked_for(twin: TwinHandle, playbook: str, words: str) -> None:
    outcome = run(playbook, Path(twin.kubeconfig), {})
    assert outcome.code != 0
    assert f"missing required arguments: {words}" in outcome.output


def test_a_cluster_without_calico_is_one_sentence(tmp_path: Path) -> None:
    with start_twin(tmp_path, "small", speed=40) as bare:
        api = connect(ConnectionOptions(kubeconfig=bare.kubeconfig))
        api.delete(
            Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False),
            "ippools.crd.projectcalico.org",
        )
        for playbook, variables in (("report", {}), ("change_block_size", CHANGE)):
            outcome = run(playbook, Path(bare.kubeconfig), variables)
            assert outcome.code != 0
            assert "The cluster does not serve ippools.crd.projectcalico.org or ippools.projectcalico" in outcome.output
            assert "Traceback" not in outcome.output


def test_a_declared_pool_is_disabled_when_its_successor_is_there(twin: TwinHandle) -> None:
    """Whatever the order of the declaration, for the last pool in use is not disabled."""
    pools = [{"name": "default-ipv4-ippool", "disabled": "true"}, {"name": "new", "cidr": "10.0.0.0/16"}]
    outcome = run("declare_pools", Path(twin.kubeconfig), {"declare_pools_list": pools}, "--check")
    assert outcome.output.index("(item=new)") < outcome.output.index("(item=default-ipv4-ippool)"), outcome.output
