# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the commands repeat of the last call, and what they must not."""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import (
    MOST_CALL,
    Call,
    Connection,
    connection_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_commands import (
    back_command,
    forward_command,
    move_back_commands,
    undo_command,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_format import Journal

KUBESPRAY = Call(
    playbooks=("calico_ops.ipam.kubespray",),
    inventory=("/k/inventory/hosts.yml",),
    host="cp1",
    files=("/k/resize.yml",),
    variables={"kubespray_mode": "migrate"},
    options=("-u", "admin", "-b"),
)


def journal(call: Call | None = None, procedure: str = "migrate_pool") -> Journal:
    return Journal(
        procedure=procedure,
        pool="old",
        target={"name": "new", "cidr": "10.0.0.0/16"},
        block_size=None if procedure == "migrate_pool" else 28,
        definition={"spec": {"cidr": "192.168.0.0/16", "blockSize": 26}},
        started="2026-08-22T09:30:00Z",
        version="0.2.0",
        options={f"{procedure}_soak": 5},
        call={} if call is None else call.as_dict(),
    )


def test_a_host_of_a_fleet() -> None:
    call = Call(
        playbooks=("calico_ops.ipam.migrate_pool",),
        inventory=("/my fleet.yml",),
        limit="east",
        host="east",
        files=("/home/ann/more.yml",),
        variables={"ansible_python_interpreter": "/usr/bin/python3", "calico_ops_serial": 2},
        hidden=("db_password",),
        vault=("--ask-vault-pass",),
        options=("-u", "root"),
    )
    connection = Connection({"calico_ops_context": "east"}, {"K8S_AUTH_HOST": "https://a b"}, ("K8S_AUTH_API_KEY",))
    assert undo_command(journal(call), connection) == (
        """K8S_AUTH_HOST='https://a b' K8S_AUTH_API_KEY="${K8S_AUTH_API_KEY:?}" """
        "ansible-playbook -i '/my fleet.yml' --ask-vault-pass calico_ops.ipam.migrate_pool_rollback "
        """-e @/home/ann/more.yml -e db_password="${db_password:?}" -e migrate_pool_from=old -e migrate_pool_soak=5 """
        "-e calico_ops_hosts=east -e ansible_python_interpreter=/usr/bin/python3 -e calico_ops_context=east"
    )


def test_a_secret_from_nowhere_else_must_be_in_the_shell() -> None:
    connection = Connection({}, {}, (), ("ETCD_PASSWORD",))
    assert undo_command(journal(), connection).startswith('ETCD_PASSWORD="${ETCD_PASSWORD:?}" ansible-playbook ')
    assert undo_command(journal(Call(files=("/secrets.yml",))), connection).startswith("ansible-playbook calico_ops")


def test_kubesprays_playbook_is_called_again() -> None:
    begin = "ansible-playbook -i /k/inventory/hosts.yml -u admin -b calico_ops.ipam.kubespray -e @/k/resize.yml "
    connection = Connection({"calico_ops_kubeconfig": "/etc/kubernetes/admin.conf"})
    assert forward_command(journal(KUBESPRAY), connection) == f"{begin}-e kubespray_mode=migrate"
    assert undo_command(journal(KUBESPRAY), connection) == f"{begin}-e kubespray_mode=rollback"
    assert back_command(journal(KUBESPRAY), connection) == (
        f"{begin}-e kubespray_mode=migrate "
        """-e '{"kubespray_target": {"name": "old", "cidr": "192.168.0.0/16", "block_size": 26}}'"""
    )
    resize = journal(KUBESPRAY, "change_block_size")
    assert undo_command(resize).endswith(" -e kubespray_mode=rollback")
    assert back_command(resize).endswith(
        """-e kubespray_mode=change_block_size """
        """-e '{"kubespray_target": {"block_size": 26, "temporary_cidr": "10.0.0.0/16"}}'"""
    )


def test_somebodys_own_playbook_is_called_again_and_undone_by_ours() -> None:
    call = Call(playbooks=("/home/ann/site.yml",), limit="east", host="east", options=("--tags", "pools"))
    connection = Connection({"calico_ops_context": "east"})
    assert forward_command(journal(call), connection) == (
        "ansible-playbook --tags pools /home/ann/site.yml --limit east"
    )
    assert undo_command(journal(call), connection) == (
        "ansible-playbook calico_ops.ipam.migrate_pool_rollback -e migrate_pool_from=old -e migrate_pool_soak=5 "
        "-e calico_ops_hosts=east -e calico_ops_context=east"
    )


def test_what_moves_pods_out_of_a_pool_that_was_there_before() -> None:
    connection = Connection({"calico_ops_kubeconfig": "/my file"}, {}, ("K8S_AUTH_API_KEY",))
    undone = replace(journal(), direction="rollback", target_definition={"spec": {"nodeSelector": "rack == 'a'"}})
    begin = """K8S_AUTH_API_KEY="${K8S_AUTH_API_KEY:?}" ansible localhost -m calico_ops.ipam."""
    found = move_back_commands(undone, connection)
    assert [each.partition(begin)[2].partition(" ")[0] for each in found] == ["ippool", "ippool_drain", "ippool"]
    words = [shlex.split(shlex.split(each)[-1]) for each in found]
    assert words == [
        ["name=new", "disabled=true", "kubeconfig=/my file"],
        ["pool=new", "namespaces=NAMESPACE", "kubeconfig=/my file"],
        ["name=new", "disabled=false", "kubeconfig=/my file"],
    ]
    moved = ({"owner": "Deployment shop/a"}, {"owner": "StatefulSet data/b"}, {"owner": "Job late/c", "back": True})
    found = move_back_commands(replace(undone, stop_way="node_selector", moved=moved))
    assert "'name=new node_selector='" in found[0] and "!all()" in found[0]
    assert "namespaces=data,shop" in found[1]
    assert "rack ==" in found[2]
    assert move_back_commands(replace(undone, target_definition={"spec": {"disabled": True}})) == [
        "ansible localhost -m calico_ops.ipam.ippool_drain -a 'pool=new namespaces=NAMESPACE'"
    ]
    assert move_back_commands(replace(undone, target_definition=None)) == []
    assert move_back_commands(replace(undone, direction="forward")) == []


def test_a_call_survives_being_written_down() -> None:
    assert Call.from_dict(KUBESPRAY.as_dict()) == KUBESPRAY
    assert Call.from_dict({"inventory": "a", "variables": [], "host": None}) == Call()
    assert Call(files=("x" * MOST_CALL,)).as_dict() == {}


@pytest.mark.parametrize(
    ("params", "environ", "wanted"),
    [
        ({}, {}, Connection()),
        ({"kubeconfig": "/a", "context": "c"}, {"KUBECONFIG": "/b"}, ({"kubeconfig": "/a", "context": "c"})),
        # Another shell may lead elsewhere.
        ({}, {"KUBECONFIG": "/b:/c"}, {"kubeconfig": "/b:/c"}),
        ({"kubeconfig": {"users": [{"token": "s3cret"}]}}, {}, {}),
        (
            {"host": "https://a", "api_key": "s3cret", "validate_certs": False, "impersonate_groups": ["a", "b"]},
            {"KUBECONFIG": "/b"},
            Connection(
                {},
                {
                    "K8S_AUTH_HOST": "https://a",
                    "K8S_AUTH_VERIFY_SSL": "false",
                    "K8S_AUTH_IMPERSONATE_GROUPS": "a,b",
                },
                (),
                ("K8S_AUTH_API_KEY",),
            ),
        ),
        (
            {"datastore": "etcd", "etcd_endpoints": ["https://a:2379"], "etcd_cert": "/c.pem", "etcd_key": "/k.pem"},
            {"CALICO_ETCD_KEY": "/k.pem"},
            Connection(
                {
                    "calico_ops_datastore": "etcd",
                    "calico_ops_etcd_endpoints": ["https://a:2379"],
                    "calico_ops_etcd_cert": "/c.pem",
                },
                {},
                ("CALICO_ETCD_KEY",),
            ),
        ),
        # Options of an etcd that is not asked.
        ({"datastore": "kubernetes", "etcd_endpoints": ["https://a:2379"]}, {}, {}),
    ],
)
def test_the_way_to_the_cluster(
    params: dict[str, t.Any], environ: dict[str, str], wanted: t.Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    if isinstance(wanted, dict):
        wanted = Connection({f"calico_ops_{name}": value for name, value in wanted.items()})
    found = connection_of(params, environ)
    assert found == wanted
    assert "s3cret" not in str(found)
