# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""How ``ansible-playbook`` was called, so that the commands which resume or undo a run can repeat it.

Nothing that may be a secret is taken: of variables that are not ours, and of passwords, the names only.
"""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.journal_call import COLLECTION, Call

# Where our own playbooks are, which people also call by their paths.
PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
# Of what a run is told, these stand in its journal, or in what its connection is made of.
NOTED = ("migrate_pool_", "change_block_size_", "calico_ops_")
# Worth repeating by their values; whatever else there is may be a secret.
SHOWN = (*NOTED, "kubespray_", "preflight_", "report_", "declare_pools_")
SHOWN_NAMES = ("ansible_python_interpreter", "ansible_user", "ansible_become", "ansible_become_user")
SECRET = ("password", "etcd_key", "token", "secret")

Load = t.Callable[[str], t.Any]
# Options of ansible-playbook by their names in its arguments: those with a value, and those without.
_VALUES = {
    "remote_user": "-u",
    "private_key_file": "--private-key",
    "become_method": "--become-method",
    "become_user": "--become-user",
    "ssh_common_args": "--ssh-common-args",
    "ssh_extra_args": "--ssh-extra-args",
}
_SWITCHES = {"become": "-b", "become_ask_pass": "-K", "ask_pass": "-k"}
_LISTS = {"tags": "--tags", "skip_tags": "--skip-tags"}
_DEFAULTS = {"become_method": "sudo", "tags": ["all"]}
_NOWHERE = ["/etc/ansible/hosts"]


def called(arguments: t.Mapping[str, t.Any], host: str, load_file: Load, load_text: Load) -> dict[str, t.Any]:
    """The call for the option ``called`` of ``ippool_journal``; empty when it was not ``ansible-playbook``.

    ``arguments`` are Ansible's parsed ones, ``load_file`` and ``load_text`` read YAML, vaults included.
    """
    playbooks = arguments.get("args")
    if "start_at_task" not in arguments or not playbooks or isinstance(playbooks, str):
        return {}
    playbooks = [_playbook(str(each)) for each in playbooks]
    foreign = any(not each.startswith(COLLECTION) for each in playbooks)
    kubespray = f"{COLLECTION}.kubespray" in playbooks
    files, variables, hidden = _extra(arguments.get("extra_vars") or (), load_file, load_text, foreign or kubespray)
    inventory = [str(each) for each in arguments.get("inventory") or ()]
    return Call(
        playbooks=tuple(playbooks),
        inventory=() if inventory == _NOWHERE else tuple(inventory),
        limit=str(arguments.get("subset") or ""),
        host=host,
        files=tuple(files),
        variables=variables,
        hidden=tuple(hidden),
        vault=tuple(_vault(arguments)),
        options=tuple(_options(arguments)),
    ).as_dict()


def _playbook(name: str) -> str:
    """Ours by their whole names, others by absolute paths, unless they are of a collection, too."""
    path = Path(name)
    if not path.exists():
        return name
    path = path.resolve()
    return f"{COLLECTION}.{path.stem}" if path.parent == PLAYBOOKS else str(path)


def _extra(
    given: t.Iterable[t.Any], load_file: Load, load_text: Load, whole: bool
) -> tuple[list[str], dict[str, t.Any], list[str]]:
    """Files to repeat, variables with their values, and names of those whose values are not shown.

    Unless ``whole``, what the journal and the connection say is left out, and a file stands by its values where all of
    them may be shown.
    """
    files: list[str] = []
    variables: dict[str, t.Any] = {}
    hidden: list[str] = []
    for each in map(str, given):
        from_file = each.startswith("@")
        found = _file(each[1:], load_file) if from_file else _inline(each, load_text)
        if from_file and (whole or found is None or not all(map(_is_shown, found))):
            files.append(os.path.abspath(each[1:]))
            continue
        for name, value in (found or {}).items():
            if _is_shown(name):
                if whole or not name.startswith(NOTED):
                    variables[name] = value
            elif name not in hidden:
                hidden.append(name)
    return files, variables, hidden


def _is_shown(name: str) -> bool:
    return name in SHOWN_NAMES or (name.startswith(SHOWN) and not any(word in name for word in SECRET))


def _file(path: str, load_file: Load) -> dict[str, t.Any] | None:
    try:
        found = load_file(path)
    except (AnsibleError, OSError):
        return None
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else None


def _inline(text: str, load_text: Load) -> dict[str, t.Any]:
    try:
        found = load_text(text) if text.startswith(("{", "[")) else parse_kv(text)
    except AnsibleError:
        return {}
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def _vault(arguments: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for each in arguments.get("vault_ids") or ():
        yield from ("--vault-id", str(each))
    for each in arguments.get("vault_password_files") or ():
        yield from ("--vault-password-file", str(each))
    if arguments.get("ask_vault_pass"):
        yield "--ask-vault-pass"


def _options(arguments: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    for name, option in _VALUES.items():
        value = arguments.get(name)
        if value and value != _DEFAULTS.get(name):
            yield from (option, str(value))
    for name, option in _LISTS.items():
        values = sorted(str(each) for each in arguments.get(name) or ())
        if values and values != _DEFAULTS.get(name):
            yield from (option, ",".join(values))
    for name, option in _SWITCHES.items():
        if arguments.get(name):
            yield option
