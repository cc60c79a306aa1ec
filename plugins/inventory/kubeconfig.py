# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeconfig
author: calico_ops contributors (@calico-ops)
version_added: 0.2.0
short_description: One host for each context of kubeconfig files
description:
  - Makes a host of every context of one or more kubeconfig files, asks each cluster how Calico is installed, and groups
    the hosts by the answers. The playbooks of this collection run on these hosts with C(-e calico_ops_hosts=clusters),
    so that C(--limit), C(serial) and C(max_fail_percentage) hold for clusters.
  - The name of a file for this plugin must end in C(kubeconfig.yml), C(fleet.yml) or C(clusters.yml), or the same with
    C(.yaml).
  - A host is called like its context; characters that host patterns do not know become a dash. Contexts of several
    files that are called the same, as in files that an installer wrote, are called after what tells their files
    apart.
  - Clusters are asked at the same time. One that does not answer stays in the inventory, in the group
    C(unreachable_clusters), with the reason in C(calico_ops_reason).
  - Every host has the variables C(calico_ops_kubeconfig) and C(calico_ops_context), which the playbooks read,
    C(calico_ops_reachable), C(calico_ops_reason), C(calico_ops_mode), C(calico_ops_version), C(calico_ops_operator),
    C(calico_ops_supported) and C(calico_ops_stop), with the meaning of the same words in
    M(calico_ops.ipam.ippool_installation_info), C(calico_ops_cluster), the uid of the namespace kube-system, and what
    makes Ansible run its modules on the control node.
  - Contexts that lead to the same cluster are named in a warning.
  - The groups are C(clusters), C(reachable_clusters), C(unreachable_clusters), C(calico_mode_...) with a mode of
    RV(calico_ops.ipam.ippool_installation_info#module:mode), C(calico_version_3_31) and the like by major and minor
    version, C(calico_version_unknown), and C(calico_operator) for clusters whose pools the Tigera operator manages.
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [calico_ops.ipam.kubeconfig]
  kubeconfig:
    description:
      - Paths of kubeconfig files, which may have wildcards and begin with a tilde. Relative paths begin in the
        directory of the inventory file.
      - Several paths in one entry, separated as in the environment variable E(KUBECONFIG), are one configuration.
      - Without any, what kubectl would read - the environment variable E(KUBECONFIG), else C(~/.kube/config).
    type: list
    elements: str
    default: []
  include:
    description: Patterns for the names of contexts or hosts, with the wildcards of a shell. Only these become hosts.
    type: list
    elements: str
    default: ['*']
  exclude:
    description: Patterns for the names of contexts or hosts that do not become hosts.
    type: list
    elements: str
    default: []
  discover:
    description:
      - Whether to ask the clusters. If not, there are no groups but C(clusters), and no variables but those that lead
        to the cluster.
    type: bool
    default: true
  timeout:
    description: Seconds that a cluster has to answer all questions.
    type: float
    default: 10
  parallel:
    description: How many clusters are asked at the same time.
    type: int
    default: 16
notes:
  - With O(cache) the answers of clusters are kept. Those that did not answer are asked again every time.
  - Variables given with C(-e) win over those of hosts, so do not give C(calico_ops_kubeconfig) or C(calico_ops_context)
    there.
requirements:
  - kubernetes >= 31.0.0
seealso:
  - module: calico_ops.ipam.ippool_installation_info
  - module: calico_ops.ipam.ipam_summary_info
"""

EXAMPLES = r"""
# Every context of the kubeconfig that kubectl uses, in a file my-fleet.yml
plugin: calico_ops.ipam.kubeconfig

---
# One file for each cluster; production only, with one canary
plugin: calico_ops.ipam.kubeconfig
kubeconfig:
  - ~/.kube/clusters/*.conf
include: [prod-*]
exclude: [prod-lab*]
groups:
  canary: inventory_hostname == 'prod-small'
keyed_groups:
  - key: calico_ops_version
    prefix: version
compose:
  change_block_size_soak: 120 if 'large' in inventory_hostname else 60
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/calico-fleet
cache_timeout: 3600
"""

import fnmatch
import glob
import os
import re
import sys
import time
import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.configuration import DEFAULT_KUBECONFIG
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet import Facts, ask_all, is_facts, twice
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.fleet_contexts import (
    ClusterContext,
    contexts_of,
    host_names,
)

ENDINGS = tuple(f"{name}.{suffix}" for name in ("kubeconfig", "fleet", "clusters") for suffix in ("yml", "yaml"))
ALL = "clusters"
REACHABLE = "reachable_clusters"
UNREACHABLE = "unreachable_clusters"
OPERATOR = "calico_operator"
MINOR = re.compile(r"v?(\d+)\.(\d+)")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "calico_ops.ipam.kubeconfig"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            hosts = self._chosen(host_names(self._contexts(os.path.dirname(os.path.abspath(path)))))
            facts = self._facts(hosts, self.get_cache_key(path), cache) if self.get_option("discover") else {}
        except IpamError as error:
            raise AnsibleParserError(f"{path}: {error.message}") from None
        for group in (ALL, REACHABLE, UNREACHABLE) if self.get_option("discover") else (ALL,):
            self.inventory.add_group(group)
        known = {name: facts[context] for name, context in hosts.items() if context in facts}
        for together in twice(known):
            self.display.warning(
                f"The hosts {', '.join(together)} are the same cluster: leave all but one out with exclude, or "
                "playbooks work on it more than once."
            )
        for name, context in hosts.items():
            self._add(name, context, facts.get(context))

    def _contexts(self, directory: str) -> list[ClusterContext]:
        """Of all files. One that is no kubeconfig is named in a warning; only when nothing is left it is an error."""
        found: list[ClusterContext] = []
        errors: list[IpamError] = []
        for kubeconfig in self._kubeconfigs(directory):
            try:
                found += contexts_of(kubeconfig)
            except IpamError as error:
                errors.append(error)
        if errors and not found:
            raise errors[0]
        for error in errors:
            self.display.warning(error.message)
        return found

    def _kubeconfigs(self, directory: str) -> list[str]:
        given = self.get_option("kubeconfig") or [os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG]
        found: list[str] = []
        for entry in given:
            paths = [os.path.join(directory, os.path.expanduser(path)) for path in entry.split(os.pathsep) if path]
            if any(glob.has_magic(path) for path in paths):
                matched = sorted(match for path in paths for match in glob.glob(path) if os.path.isfile(match))
                if not matched:
                    self.display.warning(f"No kubeconfig matches {entry}.")
                found += matched
            elif paths:
                found.append(os.pathsep.join(paths))
        return list(dict.fromkeys(found))

    def _chosen(self, hosts: dict[str, ClusterContext]) -> dict[str, ClusterContext]:
        include, exclude = self.get_option("include"), self.get_option("exclude")

        def matches(name: str, context: str, patterns: t.Iterable[str]) -> bool:
            return any(fnmatch.fnmatchcase(each, pattern) for each in (name, context) for pattern in patterns)

        return {
            name: each
            for name, each in hosts.items()
            if matches(name, each.context, include) and not matches(name, each.context, exclude)
        }

    def _facts(self, hosts: dict[str, ClusterContext], key: str, cache: bool) -> dict[ClusterContext, Facts]:
        """What the clusters answered, now or, as far as the user wants it, before."""
        known: dict[str, t.Any] = {}
        use_cache = bool(self.get_option("cache"))
        if use_cache and cache:
            try:
                known = dict(self._cache[key])
            except (KeyError, TypeError, ValueError):
                known = {}
        fresh = {name: entry for name, entry in known.items() if self._is_fresh(entry)}
        found = {each: fresh[_key(each)]["facts"] for each in hosts.values() if _key(each) in fresh}
        asked = [each for each in hosts.values() if each not in found]
        if asked:
            parallel = max(int(self.get_option("parallel")), 1)
            answers = ask_all(asked, float(self.get_option("timeout")), parallel)
            now = {"taken": time.time()}
            fresh.update({_key(each): {**now, "facts": facts} for each, facts in answers.items() if is_facts(facts)})
            found.update(answers)
            if use_cache:
                self._cache[key] = fresh
        return found

    def _is_fresh(self, entry: t.Any) -> bool:
        """Each answer has its own age: those that come later must not keep the earlier ones from growing old."""
        if not isinstance(entry, dict) or not is_facts(entry.get("facts")):
            return False
        limit, taken = self.get_option("cache_timeout"), entry.get("taken")
        return isinstance(taken, (int, float)) and (limit <= 0 or 0 <= time.time() - taken < limit)

    def _add(self, name: str, context: ClusterContext, facts: Facts | None) -> None:
        self.inventory.add_host(name, group=ALL)
        variables: dict[str, t.Any] = {
            "calico_ops_kubeconfig": context.kubeconfig,
            "calico_ops_context": context.context,
            # Modules run on the control node, with the Python that has their libraries.
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            **{f"calico_ops_{key}": value for key, value in (facts or {}).items()},
        }
        for key, value in variables.items():
            self.inventory.set_variable(name, key, value)
        for group in _groups(facts) if facts is not None else ():
            self.inventory.add_group(group)
            self.inventory.add_host(name, group=group)
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)


def _key(context: ClusterContext) -> str:
    return f"{context.kubeconfig}\n{context.context}"


def _groups(facts: Facts) -> list[str]:
    if not facts["reachable"]:
        return [UNREACHABLE]
    minor = MINOR.match(facts["version"])
    version = f"{minor.group(1)}_{minor.group(2)}" if minor else "unknown"
    groups = [REACHABLE, f"calico_mode_{facts['mode']}", f"calico_version_{version}"]
    return [*groups, OPERATOR] if facts["operator"] else groups
