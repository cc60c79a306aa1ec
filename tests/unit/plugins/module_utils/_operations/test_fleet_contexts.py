# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import BadConfiguration
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_contexts import (
    ClusterContext,
    contexts_of,
    host_names,
)


def kubeconfig(path: Path, *names: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"contexts": [{"name": name, "context": {}} for name in names]}), encoding="utf-8")
    return str(path)


def test_contexts_of_one_file_and_of_several_that_are_one(tmp_path: Path) -> None:
    one = kubeconfig(tmp_path / "one", "b", "a")
    assert contexts_of(one) == [ClusterContext(one, "b"), ClusterContext(one, "a")]
    joined = os.pathsep.join([one, str(tmp_path / "missing"), kubeconfig(tmp_path / "two", "a", "c")])
    assert [each.context for each in contexts_of(joined)] == ["b", "a", "c"]
    assert {each.kubeconfig for each in contexts_of(joined)} == {joined}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not exist"),
        ("", "is not a kubeconfig"),
        ("[]", "is not a kubeconfig"),
        ("contexts: 7", "is not a kubeconfig"),
        ("contexts: [7, {name: null}]", "is not a kubeconfig"),
        ("a: [", "is not valid YAML"),
        ("\0", "is not valid YAML"),
    ],
)
def test_a_file_that_is_none_gets_one_sentence(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(BadConfiguration, match=words) as caught:
        contexts_of(str(path))
    assert str(path) in caught.value.message and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("contexts", "hosts"),
    [
        ([("/k/a", "prod"), ("/k/a", "lab")], ["prod", "lab"]),
        ([("/k/a", "arn:aws:eks:eu-west-1:1:cluster/prod")], ["arn-aws-eks-eu-west-1-1-cluster-prod"]),
        ([("/k/a", "kubernetes-admin@cluster.local")], ["kubernetes-admin@cluster.local"]),
        ([("/k/a", "::")], ["cluster"]),
        # What Kubespray writes: the same name everywhere.
        ([("/k/paris.conf", "admin@local"), ("/k/oslo.conf", "admin@local")], ["paris", "oslo"]),
        ([("/k/paris/artifacts/admin.conf", "x"), ("/k/oslo/artifacts/admin.conf", "x")], ["paris", "oslo"]),
        ([("/k/paris.conf", "x"), ("/k/oslo.conf", "x"), ("/k/oslo.conf", "y")], ["paris", "oslo-x", "y"]),
        ([("/k/a/x/1.conf", "x"), ("/k/a/y/1.conf", "x"), ("/k/b/x/1.conf", "x")], ["a-x-1", "a-y-1", "b-x-1"]),
    ],
)
def test_host_names(contexts: list[tuple[str, str]], hosts: list[str]) -> None:
    given = [ClusterContext(*each) for each in contexts]
    assert host_names(given) == dict(zip(hosts, given))


def test_two_contexts_for_one_host_get_one_sentence() -> None:
    with pytest.raises(InvalidInput, match="would both be the host a-b: rename one"):
        host_names([ClusterContext("/k/a", "a:b"), ClusterContext("/k/a", "a/b")])
