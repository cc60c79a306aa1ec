#!/usr/bin/python
# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ippool_drain
short_description: Move every pod out of a Calico IP pool
version_added: 0.1.0
description:
  - Makes every pod that has an address in the pool give it up for one of another pool, and waits until each replacement
    is ready and has an address elsewhere.
  - The pool must be stopped first, since its pods would come back to it otherwise. Disable it, or give it a node
    selector that matches nothing, which lets virtual machines keep their addresses. Tunnel addresses of nodes leave
    such a pool by themselves. There is nothing to do when the pool does not exist.
  - Each workload goes the gentlest way that keeps to its PodDisruptionBudgets, see RV(workloads[].way). A rollout
    restart is not restrained by budgets, so its numbers are compared with them beforehand. Nothing is forced, and no
    workload of more than one replica loses its last ready pod.
  - A few pods go first, see O(canary). Then the cluster's name servers, the pods behind admission webhooks with failure
    policy Fail, and those behind aggregated APIs, one workload at a time; then everything else, the longest first;
    storage systems last, one pod at a time. A workload that goes before others but waits for its budget for more than a
    minute is left for later.
  - Nothing further is begun while a new pod of the drain gets no address, or none of the pods is ready that serve
    names, a webhook or an aggregated API which were served when the drain began. The drain stops, and the module fails,
    when the pool gives out addresses again, at the first new pod with an address of it, at a new pod that gets no
    address at all for long, and after O(max_failures).
  - Before each workload, the addresses that are left in the enabled pools are counted against all pods that are still
    to be moved. Reservations, strict affinity and the limit of blocks of a node count, and so does what others take
    meanwhile. Once they do not suffice for all, nothing further is begun. What is under way comes to its end, and the
    module fails and says what is missing, unless a pool is added or enlarged within some seconds.
  - Owners are followed through any chain of controllers, custom ones included as far as they may be read. Pods of a
    custom controller are evicted one at a time. The strategy of a Deployment that belongs to another controller is not
    changed, and that of one which Argo CD or Flux would put back only where its budgets allow no eviction.
  - Pods without a controller, static pods, virtual machines, and pods that no budget ever spares are left and reported
    in RV(left). So are pods that do not stop within a minute after their grace period, and pods on nodes that are not
    ready, since nothing is forced. What had no ready pod before is moved, but its readiness is not waited for. Pods of
    Jobs, and pods of custom controllers that are not started again when they end, are left to finish. Finished pods and
    those on the host's network have no part in this.
  - No workload is begun whose pods may be started on a node for which no enabled pool has addresses, be it that none
    selects the node or that no block is left for it. Nodes that come, go, are cordoned or fail on the way count.
  - When it is interrupted, run it again. A rollout that is under way is waited for and not begun twice, pods that were
    to be created again are, and CronJobs that were suspended are woken.
notes:
  - A StatefulSet whose template has an C(emptyDir) on disk, or a C(hostPath) directory that is written to, is moved
    only with C(local_data) in O(consent), and so is a pod without a controller that has one. What members of a
    StatefulSet keep there, and not in a claim, is likely to be meant. Pods of other controllers are replaced with every
    release, so what they keep there is a cache. The plan counts them in RV(notes).
  - Whether a Deployment can add a pod is judged by host ports, volume claims for one node, ResourceQuotas as far as
    they may be listed and watched, required anti-affinity, and the labels, taints and free CPU and memory of the nodes.
    The scheduler has the last word.
  - Counting addresses takes the right to watch pools and blocks of IPAM, and to read its settings and its reservations.
    Where a right is missing, what cannot be seen counts as free.
  - A workload whose replacements are not ready in time has failed. The time is the Deployment's own
    C(progressDeadlineSeconds). For other kinds, and for a Deployment without a deadline, it is ten minutes, or three
    times what its pods took before where that is more. It begins anew with each pod that becomes ready or leaves, and
    not before the grace period of a pod that is stopping is over.
  - The drain tells of itself by Events on the pool, kept in the namespace C(default). Their reasons are
    C(DrainStarted), C(DrainFinished), C(DrainIncomplete) when pods are left, and C(DrainStopped). A missing right to
    write them is no failure.
  - With C(bare_pods), manifests are saved in the ConfigMap C(calico-ops-saved-pods) of the pod's namespace until all
    pods saved in it are back. This takes the right to list, create, patch and delete ConfigMaps, and to create pods.
    With C(suspend_cron_jobs), the right to patch CronJobs. A CronJob that is suspended carries the annotation
    C(ipam.calico-ops.io/suspended-for-drain). The role C(calico-ops-ipam-consents) has these rights.
author:
  - calico_ops contributors (@calico-ops)
extends_documentation_fragment:
  - calico_ops.ipam._attributes
  - calico_ops.ipam._attributes.actiongroup_cluster
  - calico_ops.ipam._connection
  - calico_ops.ipam._datastore
  - calico_ops.ipam._run
attributes:
  check_mode:
    support: full
    details:
      - Tells for each workload which way its pods would go, and which pods would be left.
      - The pool need not be stopped in check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(drained) moves every pod out of the pool.
      - V(restored) moves nothing. It only puts back what a drain that was killed has left, whichever pool that was
        about. Deployments get their own strategy again, CronJobs that were suspended are woken, and pods without a
        controller that were evicted are created again. The pool may be enabled or gone. Every drain does this as
        well.
    type: str
    choices: [drained, restored]
    default: drained
    version_added: 0.2.0
  pool:
    description: Name of the pool.
    type: str
    required: true
  max_parallel:
    description:
      - How many pods may be in the middle of being replaced at the same time, over all workloads.
      - A rollout counts with what it adds and takes away at once. A Deployment whose own strategy goes beyond this
        limit is restarted with a smaller surge and without taking pods away first.
      - By default one for each node that takes pods, at least 5 and at most 100.
    type: int
  max_parallel_per_namespace:
    description:
      - How many pods of one namespace may be in the middle of being replaced at the same time.
      - No limit of its own by default.
    type: int
    version_added: 0.2.0
  max_parallel_per_node:
    description:
      - How many pods without an address yet a node may have before no more are sent its way. Calico gives out the
        addresses of a node one after the other, and a pod that waits too long begins again.
      - Where a new pod will run is the scheduler's choice, so this is what the nodes together can take.
    type: int
    default: 5
    version_added: 0.2.0
  max_failures:
    description:
      - After so many workloads whose replacements do not become ready in the time they have, or whose evictions fail
        for another reason than a budget, no further workload is begun, and the module fails.
    type: int
    default: 3
    version_added: 0.2.0
  canary:
    description:
      - Begin with a few pods only, as many as it takes to have one new pod ready for each set of namespaces and nodes
        that are treated alike by the pools and by Calico's annotations. Everything else waits for them.
      - Which node a new pod comes to is the scheduler's choice, so this proves every sort of node and namespace, but
        not every node. That each single node can give a pod an address of the new pool is what
        M(calico_ops.ipam.ippool_probe) with O(calico_ops.ipam.ippool_probe#module:every_node=true) proves, as the roles
        do before the pool is stopped. A node on which it fails all the same, say because its own CNI configuration
        still names the pool that is drained, is met by the first new pod there, and nothing further is begun then.
    type: bool
    default: true
    version_added: 0.2.0
  pause:
    description:
      - How many seconds to wait between the members of a StatefulSet of three or more, after a new one has become
        ready and before the next one goes. Members that remember each other's addresses need time to meet again.
      - With V(0) such a StatefulSet is restarted by its own rollout, which knows no pause.
    type: float
    default: 5
    version_added: 0.2.0
  consent:
    description:
      - What may be done although something is lost by it. Each entry is one of the words below, for all namespaces,
        or the word, a slash and a namespace.
      - C(bare_pods) evicts pods without a controller and creates them again from their own manifests.
      - C(local_data) moves pods whose own volumes are likely to be more than a cache. See the notes.
      - C(single_replica_webhooks) lets the only pod behind an admission webhook with failure policy Fail go before
        its replacement is ready. Nothing that the webhook looks at can be created meanwhile.
      - C(suspend_cron_jobs) suspends the CronJobs of the namespaces concerned for the time of the drain.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  namespaces:
    description:
      - Move only the pods of these namespaces.
      - All namespaces by default.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - How many seconds the whole drain may take. Then it ends with a list of what is left and why.
    type: int
    default: 3600
  on_blocked:
    description: What to do when pods are left at the end.
    type: str
    choices:
      fail: The module fails and names them.
      report: The module succeeds and lists them in RV(left).
    default: fail
  progress_file:
    description:
      - File to append a line to for each event.
      - Not needed on the control node, where the lines appear on the terminal as they come.
    type: path
seealso:
  - module: calico_ops.ipam.ippool
  - module: calico_ops.ipam.ippool_probe
"""

EXAMPLES = r"""
- name: Add the pool that the pods shall move to
  calico_ops.ipam.ippool:
    name: new-pool
    cidr: 10.0.0.0/16

- name: Stop giving out addresses of the old pool
  calico_ops.ipam.ippool:
    name: default-ipv4-ippool
    disabled: true

- name: See which way each workload would go and what would be left
  calico_ops.ipam.ippool_drain:
    pool: default-ipv4-ippool
  check_mode: true
  register: plan

- name: Move the pods
  calico_ops.ipam.ippool_drain:
    pool: default-ipv4-ippool

- name: Move two namespaces only, two pods at a time, and go on with whatever is left
  calico_ops.ipam.ippool_drain:
    pool: default-ipv4-ippool
    namespaces: [shop, data]
    max_parallel: 2
    timeout: 1800
    on_blocked: report

- name: Move pods without a controller, too, and let CronJobs rest meanwhile
  calico_ops.ipam.ippool_drain:
    pool: default-ipv4-ippool
    max_parallel_per_namespace: 5
    pause: 30
    consent:
      - bare_pods/shop
      - suspend_cron_jobs
    on_blocked: report
"""

RETURN = r"""
moved:
  description: Number of pods that have been replaced, or would be in check mode.
  returned: success
  type: int
  sample: 40
left:
  description:
    - Pods that still have an address of the pool, and replacements that are not ready, each with the reason.
    - The pod is empty where the entry is about the workload as a whole.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the pod.
      returned: success
      type: str
    pod:
      description: Name of the pod.
      returned: success
      type: str
    owner:
      description: Kind and name of the workload; empty for a pod without one.
      returned: success
      type: str
      sample: Deployment shop/cart
    reason:
      description: Why it is left, and what to do.
      returned: success
      type: str
workloads:
  description: The workloads that were treated, or would be in check mode, in the order of their treatment.
  returned: success
  type: list
  elements: dict
  contains:
    owner:
      description: Kind and name of the workload.
      returned: success
      type: str
      sample: Deployment shop/cart
    way:
      description:
        - V(restart) is a rollout restart with the workload's own strategy.
        - V(surge) is a rollout restart of a Deployment that adds pods before it takes any away. Its own strategy is
          kept in the annotation C(ipam.calico-ops.io/original-strategy) and put back at the end.
        - V(evict) is the Eviction API, pod by pod. Of a StatefulSet, the next member goes when the one before is gone,
          its successor is ready, and O(pause) has passed.
        - V(recreate) is the Eviction API for a pod without a controller, which is then created again.
      returned: success
      type: str
      sample: restart
    pods:
      description: Number of its pods that had an address of the pool.
      returned: success
      type: int
estimate:
  description: How many seconds the drain would take in check mode, roughly.
  returned: success
  type: int
  sample: 240
notes:
  description: What else there is to know about the plan in check mode.
  returned: success
  type: list
  elements: str
  sample: [about 4 min for 200 pods, with max_parallel 20]
steps:
  description: What was done, or would be in check mode, in this order.
  returned: success
  type: list
  elements: str
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 35.2
details:
  description: The same values as above, as far as they are known, when the module fails.
  returned: failure
  type: dict
"""

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import (
    ArgumentSpec,
    datastore_argspec,
    run_argspec,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain_pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_restore import restore
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions


def operate(context: Context) -> dict[str, t.Any]:
    params = context.params
    options = DrainOptions(
        pool=params["pool"],
        max_parallel=params["max_parallel"],
        namespaces=tuple(params["namespaces"]),
        timeout=params["timeout"],
        max_parallel_per_namespace=params["max_parallel_per_namespace"],
        max_parallel_per_node=params["max_parallel_per_node"],
        max_failures=params["max_failures"],
        canary=params["canary"],
        consent=tuple(params["consent"]),
        pause=params["pause"],
    )
    work = restore if params["state"] == "restored" else drain_pool
    result = work(context.api, options, SystemClock(), context.report, context.warn, check_mode=context.check_mode)
    if context.check_mode:
        for step in result.steps:
            context.report(f"would {step}")
        for note in result.notes:
            context.report(note)
    elif params["on_blocked"] == "fail":
        result.require_complete(options)
    return result.as_module_result()


def main() -> None:
    own = ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["drained", "restored"], "default": "drained"},
            "pool": {"type": "str", "required": True},
            "max_parallel": {"type": "int"},
            "max_parallel_per_namespace": {"type": "int"},
            "max_parallel_per_node": {"type": "int", "default": 5},
            "max_failures": {"type": "int", "default": 3},
            "canary": {"type": "bool", "default": True},
            "pause": {"type": "float", "default": 5},
            "consent": {"type": "list", "elements": "str", "default": []},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 3600},
            "on_blocked": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
            "progress_file": {"type": "path"},
        }
    )
    run(own.merge(run_argspec(), datastore_argspec()), operate)


if __name__ == "__main__":
    main()
