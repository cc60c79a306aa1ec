# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubespray_roles
short_description: The roles that hold Kubespray's default values
version_added: 0.2.0
author:
  - calico_ops contributors (@calico-ops)
description:
  - Returns the names or paths, for C(ansible.builtin.include_role), of the two roles that define the defaults of
    Kubespray's variables about pools.
  - They are those of the collection C(kubernetes_sigs.kubespray) when it is installed. Else a checkout of Kubespray is
    looked for - in the directory given, on the roles path, two directories above the inventory, and where Ansible was
    started.
  - Nothing is returned when there is none. Releases of Kubespray that have no role for defaults alone count as none.
options:
  _terms:
    description: Directory of a checkout of Kubespray, which is used even when the collection is installed.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Make Kubespray's defaults known
  ansible.builtin.include_role:
    name: "{{ item }}"
    public: true
  loop: "{{ query('calico_ops.ipam.kubespray_roles') }}"
"""

RETURN = r"""
_raw:
  description: Names or paths of roles, in the order in which they are to be included.
  type: list
  elements: str
  sample:
    - kubernetes_sigs.kubespray.kubespray_defaults
    - kubernetes_sigs.kubespray.network_plugin.calico_defaults
"""

import os
import typing as t
from importlib import import_module
from pathlib import Path

from ansible import constants as C
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

COLLECTION = "kubernetes_sigs.kubespray"
# The first that is there of each; releases before 2.29 have a dash in the name.
ROLES = (("kubespray_defaults", "kubespray-defaults"), ("network_plugin/calico_defaults",))


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: t.Optional[dict[str, t.Any]] = None, **kwargs: t.Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        named = [Path(term).expanduser() for term in terms if term]
        for checkout in named:
            if not found_in(checkout / "roles"):
                raise AnsibleError(f"There are no roles of Kubespray in {checkout / 'roles'}; name a checkout of it.")
            return [str(path) for path in found_in(checkout / "roles")]
        collection = collection_roles()
        if collection is not None and found_in(collection):
            return [name_in(collection, path) for path in found_in(collection)]
        for directory in around(variables or {}):
            if found_in(directory):
                return [str(path) for path in found_in(directory)]
        return []


def found_in(roles: Path) -> list[Path]:
    """The two roles in a directory of roles, or nothing when the first one is not there."""
    found = [next((roles / name for name in names if (roles / name).is_dir()), None) for names in ROLES]
    return [path for path in found if path is not None] if found[0] is not None else []


def name_in(collection: Path, role: Path) -> str:
    """The whole name of a role; the path of one with a dash, which is no name in a collection."""
    parts = role.relative_to(collection).parts
    return ".".join((COLLECTION, *parts)) if all(part.isidentifier() for part in parts) else str(role)


def collection_roles() -> t.Optional[Path]:
    try:
        package = import_module(f"ansible_collections.{COLLECTION}")
    except ImportError:
        return None
    paths = list(getattr(package, "__path__", ()))
    return Path(paths[0]) / "roles" if paths else None


def around(variables: dict[str, t.Any]) -> t.Iterator[Path]:
    """Directories of roles that may be those of a checkout."""
    yield from (Path(path).expanduser() for path in C.DEFAULT_ROLES_PATH)
    if variables.get("inventory_dir"):
        yield Path(str(variables["inventory_dir"])).parents[1] / "roles"
    yield Path(os.environ.get("PWD") or ".") / "roles"
