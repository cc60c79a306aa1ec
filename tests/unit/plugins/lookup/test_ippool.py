# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest
from ansible import constants
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring

sys.path.insert(0, str(Path(__file__).parents[3]))

from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.lookup import ippool

POOL = "default-ipv4-ippool"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=50) as handle:
        yield handle


def look(*names: str, variables: dict[str, t.Any] | None = None, **options: t.Any) -> list[dict[str, t.Any]]:
    """The lookup with the options of its documentation, as Ansible's loader makes it."""
    known = get_docstring(ippool.__file__, fragment_loader, plugin_type="lookup")[0]["options"]
    constants.config.initialize_plugin_configuration_definitions("lookup", "calico_ops.ipam.ippool", known)
    plugin = ippool.LookupModule()
    plugin._load_name = "calico_ops.ipam.ippool"
    return plugin.run(list(names), variables, **options)


def test_pools_by_name_and_all(small: TwinHandle) -> None:
    (pool,) = look(POOL, kubeconfig=small.kubeconfig)
    assert pool["name"] == POOL and pool["spec"]["cidr"] == "192.168.0.0/16" and pool["spec"]["blockSize"] == 26
    assert look(kubeconfig=small.kubeconfig) == look(POOL, kubeconfig=small.kubeconfig, context="twin") == [pool]
    # On a host that stands for a cluster, its variables are enough.
    assert look(variables={"calico_ops_kubeconfig": small.kubeconfig, "calico_ops_context": "twin"}) == [pool]


def test_what_cannot_be_gets_one_sentence(small: TwinHandle, tmp_path: Path) -> None:
    for options, words in (
        ({"kubeconfig": small.kubeconfig}, "There is no IPPool 'other'"),
        ({"kubeconfig": str(tmp_path / "missing")}, "does not exist"),
        ({"kubeconfig": small.kubeconfig, "context": "nope"}, "has no context 'nope'"),
    ):
        with pytest.raises(AnsibleLookupError, match=words) as caught:
            look("other", **options)
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
