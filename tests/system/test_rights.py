# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shipped roles (docs/rbac): enough for their modules, nothing to spare, one sentence where a right is missing."""

from __future__ import annotations

import json
import os
import re
import typing as t
from contextlib import closing
from pathlib import Path

import pytest
from modes_lab import Mode
from rights_lab import ROOT, Job, Lab, Right, Run, bind, covers, failure, manifests, run_module
from twin_fixture import start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    IP_POOLS,
    IP_RESERVATIONS,
    IPAM_CONFIGS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ACCOUNTS,
)
from ansible_collections.calico_ops.ipam.plugins.modules import ippool_info

DEFAULT = "default-ipv4-ippool"
LOCK = "calico-ops-ipam"
TARGET = {"name": "temporary", "cidr": "10.0.0.0/16"}
CHANGE = {"procedure": "change_block_size", "pool": DEFAULT, "block_size": 28, "target": TARGET}
NAMED = {"interval": 0, "certainty": "likely"}
RANGE = "10.9.0.0/24"


def leaks(lab: Lab) -> None:
    """Addresses of a pod, a tunnel, a machine and a Service that are gone, and what nobody owns in a range."""
    lab.leak("192.168.200.1", "gone")
    machine = {"namespace": "shop", "vmi-name": "gone", "pod": "virt-launcher-gone", "node": "node-1"}
    lab.leak("192.168.200.2", "", handle="k8s-pod-network.vmi.shop.gone", attributes=machine)
    service = {"type": "LoadBalancer", "service": "gone", "namespace": "shop"}
    lab.leak("192.168.200.3", "", handle="lb-ab12cd34ef-0123456789abcdef", attributes=service)
    lab.leave_behind()


def gone_pool(lab: Lab) -> None:
    """A pool in whose range somebody has left blocks, affinities and a handle."""
    lab.pool("gone", RANGE, blockSize=28)
    lab.leave_behind()


def no_pool(lab: Lab) -> None:
    lab.gone(IP_POOLS, "new")


def new_pool(lab: Lab) -> None:
    lab.pool("new", "10.8.0.0/16")
    lab.conflict("patch", "ippools")


def no_reservation(lab: Lab) -> None:
    lab.gone(IP_RESERVATIONS, "rack")


def reservation(lab: Lab) -> None:
    no_reservation(lab)
    body = {"metadata": {"name": "rack"}, "spec": {"reservedCIDRs": ["10.8.0.0/30"]}}
    lab.create(IP_RESERVATIONS, body)


def no_settings(lab: Lab) -> None:
    lab.gone(IPAM_CONFIGS, "default")


def settings(lab: Lab) -> None:
    no_settings(lab)
    lab.create(
        IPAM_CONFIGS, {"metadata": {"name": "default"}, "spec": {"strictAffinity": False, "autoAllocateBlocks": True}}
    )


def no_journal(lab: Lab) -> None:
    lab.only(DEFAULT)
    lab.gone(CONFIG_MAPS, f"calico-ops-ipam-{DEFAULT}", "kube-system")


def in_default(lab: Lab) -> None:
    """New pods get addresses of the default pool."""
    lab.gone(IP_POOLS, "new")


def journal(lab: Lab) -> None:
    """Written by an administrator."""
    no_journal(lab)
    lab.finish(Job("ippool_journal", CHANGE))


def stale_journal(lab: Lab) -> None:
    """The pool has been changed since."""
    journal(lab)
    lab.toggle("natOutgoing", DEFAULT)


WORKLOADS = [
    {"workload": {"kind": kind, "namespace": "shop", "name": name}}
    for kind, name in (("Deployment", "web"), ("StatefulSet", "db"), ("DaemonSet", "agent"), ("CronJob", "nightly"))
]


def bound_workload(lab: Lab) -> None:
    lab.finish(Job("ippool_binding", {**WORKLOADS[0], "ipv4_pools": [DEFAULT]}))


def bound(lab: Lab) -> None:
    lab.finish(Job("ippool_binding", {"namespace": "shop", "ipv4_pools": [DEFAULT]}))


def unbound(lab: Lab) -> None:
    for target in ({"namespace": "shop"}, *WORKLOADS):
        lab.finish(Job("ippool_binding", {**target, "state": "absent"}))


def racks(lab: Lab) -> None:
    """A pool for nodes with a label that this one has not."""
    lab.pool("racks", "10.11.0.0/16", nodeSelector="rack == '1'")
    lab.api.patch(NODES, "node-1", {"metadata": {"labels": {"rack": None}}})


def no_probes(lab: Lab) -> None:
    """A probe that may not take its namespace away again leaves it."""
    in_default(lab)
    for thing in lab.api.list(NAMESPACES, label_selector="ipam.calico-ops.io/probe=true").items:
        lab.gone(NAMESPACES, thing["metadata"]["name"])


def late_account(lab: Lab) -> None:
    """A new namespace has no service account yet when the first pod is created in it."""
    no_probes(lab)
    message = 'error looking up service account probe/default: serviceaccount "default" not found'
    lab.inject({"verb": "create", "resource": "pods", "count": 1, "code": 403, "message": message})


def to_and_fro(lab: Lab) -> dict[str, t.Any]:
    """All pods are in a pool that gives out no address any more, and there is another one."""
    # For pods of the run before to come to their end.
    lab.twin.clock.advance(10)
    no_probes(lab)
    unbound(lab)
    lab.gone(PODS, "shell", "shop")
    here, there = sorted((DEFAULT, "other"), key=lambda pool: lab.turn == pool)
    lab.turn = there
    if there == "other":
        lab.pool("other", "10.7.0.0/16")
    lab.only(here)
    lab.finish(Job("ippool_drain", {"pool": there}))
    lab.only(there)
    lab.conflict("patch", "deployments", "statefulsets", "daemonsets")
    return {"pool": here}


def asleep(lab: Lab) -> dict[str, t.Any]:
    """Besides, a pod that nobody creates again, a CronJob that runs, and what an earlier drain kept of another pod."""
    options = to_and_fro(lab)
    container = {"name": "shell", "image": "registry.example.com/shop/shell:1.0.0"}
    lab.gone(CONFIG_MAPS, "calico-ops-saved-pods", "shop")
    lab.only(options["pool"])
    lab.create(PODS, {"metadata": {"name": "shell"}, "spec": {"containers": [container]}}, "shop")
    lab.create(CONFIG_MAPS, {"metadata": {"name": "calico-ops-saved-pods"}}, "shop")
    lab.api.patch(CRON_JOBS, "nightly", {"spec": {"suspend": False}}, "shop")
    lab.twin.clock.advance(20)
    lab.only(next(name for name in (DEFAULT, "other") if name != options["pool"]))
    return options


def last_pool(lab: Lab) -> None:
    lab.only(DEFAULT)


PROCESS = {"user": "somebody", "host": "desk", "pid": 0, "started": "", "boot": "", "pid_namespace": ""}


def locked(lab: Lab) -> dict[str, t.Any]:
    """Somebody's run goes on."""
    no_journal(lab)
    lab.gone(LEASES, LOCK, "kube-system")
    return {"run": lab.run("admin", Job("ippool_journal", {**CHANGE, "run_by": PROCESS})).result["run"]}


def unlocked(lab: Lab) -> None:
    no_journal(lab)
    lab.gone(LEASES, LOCK, "kube-system")


def two_pools(lab: Lab) -> None:
    lab.only(DEFAULT)
    lab.pool("other", "10.7.0.0/16", ipipMode="Always")
    # For its conditions to follow.
    lab.twin.clock.advance(2)


def moved(lab: Lab) -> dict[str, t.Any]:
    """All pods have been moved out of a pool in which nothing has leaked; it is disabled."""
    lab.pool("other", "10.7.0.0/16")
    lab.turn = DEFAULT
    lab.finish(Job("ippool_drain", to_and_fro(lab)))
    return {"pool": "other", "target": DEFAULT}


GATES = [
    Job("ippool_gate", {"gate": "before_disable", "pool": DEFAULT, "target": "other"}, two_pools),
    *[
        Job("ippool_gate", {"gate": gate, "timeout": 30, "soak": 1}, moved)
        for gate in ("after_disable", "before_delete")
    ],
]

JOBS: dict[str, list[Job]] = {
    "reporter": [
        Job("ippool_info", {}),
        Job("ipam_block_info", {}),
        Job("ipam_audit_info", {}, leaks),
        Job("ipam_range_info", {"cidr": RANGE}, leaks),
        Job("ipam_config_info", {}),
        Job("ip_reservation_info", {}),
        Job("ippool_journal_info", CHANGE),
        Job("ippool_preflight_info", CHANGE),
        Job("ippool_preflight_info", CHANGE, Lab.openshift),
        Job("ippool_report", {}, journal),
        Job("ippool_report_info", {}),
        Job("ippool_installation_info", {}),
        Job("ippool_kubespray_info", {"inventory": {"calico_pool_cidr": "10.0.0.0/16"}}),
        Job("ipam_summary_info", {}),
        Job("ippool_binding_info", {"namespace": "shop", "node": "node-1"}),
        Job("ippool_binding_info", {"pool": DEFAULT}),
    ],
    "binder": [
        Job("ippool_binding", {"namespace": "shop", "ipv4_pools": [DEFAULT]}, unbound),
        Job("ippool_binding", {"namespace": "shop", "state": "absent"}, bound),
        *[Job("ippool_binding", {**each, "ipv4_pools": [DEFAULT]}, unbound) for each in WORKLOADS],
        Job("ippool_binding", {**WORKLOADS[0], "state": "absent"}, bound_workload),
        Job("ippool_binding", {"node": "node-1", "ipv4_pools": ["racks"]}, racks),
        Job("ippool_binding_info", {"namespace": "shop", "node": "node-1"}),
        Job("ippool_binding_info", {"pool": DEFAULT}),
    ],
    "pool-editor": [
        Job("ippool_info", {}),
        Job("ippool", {"name": "new", "cidr": "10.8.0.0/16"}, no_pool),
        Job("ippool", {"name": "new", "natOutgoing": True}, new_pool),
        Job("ippool", {"name": "gone", "state": "absent"}, gone_pool),
        Job("ippool", {"name": DEFAULT, "state": "absent"}, last_pool, refused="no other enabled IPv4 pool"),
    ],
    "keeper": [
        Job("ip_reservation_info", {}),
        Job("ip_reservation_info", {}, Lab.both_groups),
        Job("ip_reservation", {"name": "rack", "reserved_cidrs": ["10.8.0.0/30"]}, no_reservation),
        Job("ip_reservation", {"name": "rack", "reserved_cidrs": ["10.8.0.0/31"]}, reservation),
        Job("ip_reservation", {"name": "rack", "state": "absent"}, reservation),
        Job("ipam_config_info", {}),
        Job("ipam_config", {"strict_affinity": True}, no_settings),
        Job("ipam_config", {"strict_affinity": True}, settings),
        Job("ipam_audit_info", {}, leaks),
        Job("ipam_release", {"addresses": [{"address": "192.168.200.1"}], "interval": 0}, leaks),
        Job("ipam_release", {**NAMED, "addresses": [{"address": "192.168.200.2", "kind": "vm"}]}, leaks),
        Job("ipam_release", {**NAMED, "addresses": [{"address": "192.168.200.3", "kind": "loadbalancer"}]}, leaks),
        Job("ipam_release", {"handles": ["k8s-pod-network.lost"], "interval": 0}, leaks),
        Job("ipam_range", {"cidr": RANGE, "settle": 0}, leaks),
    ],
    "migrator": [
        Job("ippool_preflight_info", CHANGE),
        Job("ippool_preflight_info", CHANGE, Lab.openshift),
        Job("ippool_journal_info", CHANGE),
        Job("ippool_journal", CHANGE, no_journal),
        Job("ippool_journal", CHANGE, stale_journal),
        Job("ippool_journal", {**CHANGE, "state": "absent"}, journal),
        Job("ippool_journal", {**CHANGE, "run_by": PROCESS}, unlocked),
        Job("ippool_journal", {**CHANGE, "state": "absent"}, locked),
        Job("ippool", {"name": "new", "cidr": "10.8.0.0/16"}, no_pool),
        Job("ippool", {"name": "new", "natOutgoing": True}, new_pool),
        Job("ippool_probe", {"pool": DEFAULT, "nodes": ["node-1"]}, late_account),
        Job("ippool_drain", {"pool": DEFAULT}, to_and_fro),
        *GATES,
        Job("ippool", {"name": "gone", "state": "absent"}, gone_pool),
        Job("ipam_block_info", {}),
        Job("ippool_info", {}),
        Job("ippool_report_info", {}),
    ],
    # Beside the migrator.
    "consents": [Job("ippool_drain", {"consent": ["bare_pods", "suspend_cron_jobs"]}, asleep)],
}
# Every module is here but these.
ELSEWHERE = {
    "cni_config_info": "reads files of the hosts",
    "ipam_fleet_info": "makes a table of what another one has read",
    "twin": "starts one",
}


Asked = t.Dict[str, t.List[t.Tuple[Job, Run]]]
# The last one leaves all pods in another pool than the others' jobs count on.
ROLES = [*sorted(set(JOBS) - {"consents"}), "consents"]
BOTH = {"crd.projectcalico.org": "crd_v1", "projectcalico.org": "crd_v3"}
# Asked for, not granted: the same is read from the API's own documentation and lists when these rights are missing.
NOT_GRANTED = {
    ("get", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("get", "apiregistration.k8s.io", "apiservices"),
}
# With etcd, whose etcd it is: not asked of a user who may not see that.
DONE_WITHOUT = {
    "etcd": {
        "binder": {("list", "", "nodes")},
        "keeper": {("get", "apps", "daemonsets")},
    }
}
# What only reads Calico's own data needs no right of Kubernetes when that is in an etcd.
READS_ETCD = {
    "ip_reservation_info",
    "ipam_block_info",
    "ipam_config_info",
    "ipam_range_info",
    "ippool_info",
    "ippool_report_info",
}
# Nor does this one, which only reads; it says what of Kubernetes it has not compared with.
SAYS_UNREAD = {"ippool_kubespray_info": {"nodes", "configmaps", "DaemonSet calico-node"}}
# What a run says that asked for all its writes before the first.
BEFORE_WRITES = re.compile("The user may not (.+?), so this run would stop half-way")
# Without these the modules do their work all the same, with less to go by; (verb, resource).
QUIET: dict[tuple[str, str], str] = {
    ("list", "services"): "an audit calls no address of a LoadBalancer leaked",
    ("list", "virtualmachines"): "an audit calls no address of a virtual machine leaked",
    ("list", "virtualmachineinstances"): "the same",
    ("get", "virtualmachines"): "no address of a virtual machine is released",
    ("get", "virtualmachineinstances"): "the same",
    ("list", "kubecontrollersconfigurations"): "Calico's default for the age of leaks is assumed",
    ("list", "deployments"): "no note that Calico will release leaks by itself",
    ("list", "clusterinformations"): "an audit does not know the version, and tells clusters by kube-system",
    ("get", "clusterinformations"): "a report does not know the version; whoever writes is refused",
    ("get", "installations"): "a report does not know the operator; whoever writes is refused",
    ("list", "datastoremigrations"): "a report does not know the migration; whoever writes is refused",
    ("get", "persistentvolumeclaims"): "pods with volumes are evicted one by one, where a surge would do",
    ("list", "configmaps"): "a report shows the journals of pools that are there",
    ("list", "events"): "a pod without an address has no reason beside it",
    ("watch", "events"): "the same",
    ("watch", "ippools"): "a pool that is not allocatable at once is not waited for",
    ("get", "configmaps"): "a pool is compared with less; other answers say what may not be read",
    ("get", "daemonsets"): "the same",
    ("get", "felixconfigurations"): "the same",
    ("list", "servicecidrs"): "the same",
    ("create", "events"): "nothing is told beside the pool",
    ("get", "leases"): "who holds the lock is not shown",
    ("watch", "apiservices"): "an aggregated API that goes down does not stop a drain",
    ("watch", "nodes"): "nor does a node",
    ("list", "resourcequotas"): "a restart may wait for room in a quota, and says so",
    ("watch", "resourcequotas"): "the same",
    ("watch", "replicationcontrollers"): "pods of ReplicationControllers are moved all the same",
}


V3_QUIET = {("watch", "ippools")}
# Answers with what the API tells everybody, and says what may not be read.
EVERYBODY = {"ippool_installation_info"}
# In one group only: the wait for a pool's condition.
ONE_GROUP = {("watch", "ippools")}


# With v3 CRDs the names of groups differ from those with Calico's API server in nothing that is asked for.
BY_DAY = ("crd_v1", "apiserver", "etcd")
LABS = (*BY_DAY, "crd_v3") if os.environ.get("CALICO_OPS_NIGHTLY") else BY_DAY


@pytest.fixture(scope="module", params=LABS)
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    lab = Lab(Mode(request.param))
    lab.bind_beside("migrator", "consents")
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def asked(lab: Lab) -> Asked:
    """Every job done with exactly its role."""
    return {role: [(job, lab.run(role, job)) for job in JOBS[role]] for role in ROLES}


def test_every_role_is_here() -> None:
    # The added one is for clusters with the operator: test_rights_operator.py.
    assert sorted(manifests()) == sorted([*ROLES, "operator-pools"])
    for role, manifest in manifests().items():
        assert {each["metadata"]["name"] for each in manifest.documents} == {f"calico-ops-ipam-{role}"}


def test_every_module_is_here() -> None:
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")} - {"__init__"}
    assert {job.module for jobs in JOBS.values() for job in jobs} | set(ELSEWHERE) == modules


def test_every_module_of_a_procedure_is_one_of_the_migrator() -> None:
    """Also where it is only needed on the way back."""
    named = set()
    for role in ("change_block_size", "migrate_pool", "preflight"):
        for path in (ROOT / "roles" / role / "tasks").glob("*.yml"):
            named |= set(re.findall(r"^\s*calico_ops\.ipam\.(\w+):$", path.read_text(encoding="utf-8"), re.MULTILINE))
    assert named - set(ELSEWHERE) <= {job.module for job in JOBS["migrator"]}


@pytest.mark.parametrize("role", ROLES)
def test_both_groups_are_granted_alike(role: str) -> None:
    rights = [right for right in manifests()[role].rights if (right.verb, right.resource) not in ONE_GROUP]
    first, second = (
        {(right.verb, right.resource.replace("configurations", "configs")) for right in rights if right.group == group}
        for group in BOTH
    )
    assert first == second


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_enough(lab: Lab, asked: Asked, role: str) -> None:
    without = NOT_GRANTED | DONE_WITHOUT.get(lab.installation, {}).get(role, set())
    for job, run in asked[role]:
        assert job.refused in run.said if job.refused else run.said == "", f"{job}: {run.said}"
        denied = {each[:3] for each in run.asked if not each.allowed}
        assert denied <= without, f"{job}: {denied}"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_nothing_to_spare(lab: Lab, asked: Asked, role: str) -> None:
    if lab.installation not in BOTH.values():
        pytest.skip("some of each group with Calico's API server, and of neither with etcd: the tests after this one")
    used = [each for _job, run in asked[role] for each in run.asked]
    spare = [right for right in live(lab, role) if not any(covers(right, each) for each in used)]
    assert spare == [], "\n".join(map(str, spare))


def test_nothing_is_asked_of_a_group_in_vain(lab: Lab, asked: Asked) -> None:
    """Each kind of Calico's is asked for where the installation has it; in an etcd, of which RBAC knows nothing."""
    groups: dict[str, set[str]] = {}
    for runs in asked.values():
        for _job, run in runs:
            for each in run.asked:
                if each.group in BOTH:
                    groups.setdefault(each.group, set()).add(each.resource)
    if lab.installation == "etcd":
        assert groups == {}
    elif lab.installation == "apiserver":
        # What the records of IPAM are held against is read beside them.
        assert set.intersection(*groups.values()) == {"ippools", "ipreservations"}
        assert set(groups) == set(BOTH)
    else:
        assert {BOTH[group] for group in groups} == {lab.installation}


def test_a_missing_right_is_named(lab: Lab, asked: Asked) -> None:
    """One right is taken away at a time: some module fails, or says in its result what it may not see."""
    if lab.installation != "crd_v1" and not os.environ.get("CALICO_OPS_NIGHTLY"):
        pytest.skip("takes long and differs in the groups' names only: nightly")
    told: dict[tuple[Right, str], bool] = {}
    silent = set()
    for role in ROLES:
        for right in live(lab, role):
            if lab.installation == "crd_v3" and right.group != "projectcalico.org":
                continue  # as with the other group
            jobs = [job for job, run in asked[role] if any(covers(right, each) for each in run.asked)]
            with lab.without(role, right):
                named = False
                key = (right.verb, right.resource)
                for job in jobs if key not in QUIET or key in V3_QUIET else jobs[:1]:
                    # Whatever role it is taken from, the module is the same.
                    known = (right, str(job))
                    if known not in told:
                        told[known] = names(lab.run(role, job), right)
                    named = told[known]
                    if named:
                        break
            if not named:
                silent.add((right.verb, right.resource))
    assert silent <= set(QUIET), "\n".join(map(str, sorted(silent - set(QUIET))))
    assert lab.installation != "crd_v1" or silent == {key for key in QUIET if key not in V3_QUIET}


def test_saved_manifests_that_may_not_be_listed_stop_a_drain(lab: Lab, asked: Asked) -> None:
    """Whoever moves pods without a controller knows what an earlier drain has saved of them, or moves none."""
    if lab.installation != "crd_v1":
        pytest.skip("the same everywhere")
    saved = Right("list", "", "configmaps", "", ("calico-ops-saved-pods",))
    with lab.without("consents", saved):
        run = lab.run("consents", JOBS["consents"][0])
    assert names(run, saved) and run.wrote == ["create events"]


@pytest.mark.parametrize("module", sorted({job.module for jobs in JOBS.values() for job in jobs}))
def test_without_any_right_nothing_is_written(lab: Lab, module: str) -> None:
    job = next(job for jobs in JOBS.values() for job in jobs if job.module == module)
    run = lab.run("nobody", job)
    assert run.wrote == []
    if module in EVERYBODY:
        assert "no right to read" in str(run.result)
    elif lab.installation == "etcd" and module in {*READS_ETCD, *SAYS_UNREAD}:
        assert run.said == "" and not any(each.allowed for each in run.asked)
        assert SAYS_UNREAD.get(module, set()) <= set(run.result.get("unreadable", ()))
    else:
        assert SENTENCE.fullmatch(run.said), run.said


def test_over_https(tmp_path: Path) -> None:
    """The same sentence from a server that authenticates a token, and names the file that it is from."""
    (manifest,) = [each for name, each in manifests().items() if name == "reporter"]
    with start_twin(tmp_path, "small", rbac=True) as twin:
        content = json.loads(Path(twin.kubeconfig).read_text(encoding="utf-8"))
        with closing(connect(ConnectionOptions(kubeconfig=twin.kubeconfig))) as api:
            api.create(SERVICE_ACCOUNTS, {"metadata": {"name": "reporter"}}, "kube-system")
            token = twin.ask("/api/v1/namespaces/kube-system/serviceaccounts/reporter/token", {"spec": {}})
            content["users"][0]["user"] = {"token": token["status"]["token"]}
            path = tmp_path / "reporter"
            path.write_text(json.dumps(content), encoding="utf-8")
            said = failure(ippool_info.main, kubeconfig=str(path))
            assert SENTENCE.fullmatch(said) and str(path) in said
            for document in manifest.documents:
                bind(api, manifest.name, document)
        assert run_module(ippool_info.main, kubeconfig=str(path))["pools"]


# What the server says, or we, and what can be done about it.
SENTENCE = re.compile(
    r'[^"]*("[^"]+")?[^"]*( User "system:serviceaccount:kube-system:[\w-]+"|the user) cannot (\w+) '
    r'resource "([\w/]+)" in API group "([\w.]*)"( in the namespace "[\w-]+"| at the cluster scope)?'
    r"[:;] grant that right, or use other "
    r"credentials( than those from the kubeconfig \S+)?\."
)


def names(run: Run, right: Right) -> bool:
    """Whether it failed for want of this right and says so, or went on and says so in its findings."""
    found = SENTENCE.fullmatch(run.said)
    if found is not None:
        return found.group(3, 5, 4) == right[:3]
    lacking = BEFORE_WRITES.match(run.said)
    if lacking is not None and any(
        right.verb in verbs.split("/") and what.split(" in ")[0].partition(".")[::2] == (right.resource, right.group)
        for verbs, _blank, what in (each.partition(" ") for each in lacking.group(1).split(", "))
    ):
        return True
    blind = [each["message"] for each in run.result.get("findings", ()) if "may not read" in str(each.get("message"))]
    blind += run.result.get("unreadable", ())
    warnings = [str(each) for each in run.result.get("warnings", ())]
    if any(right.words.replace('"', '\\"') in text or right.words in text for text in warnings):
        return True
    blind += [text for text in warnings if "may not be read" in text]
    return any(right.resource in text or any(name in text for name in right.names) for text in blind)


def live(lab: Lab, role: str) -> list[Right]:
    """The rights of a role but those in the group that this installation does not use."""
    return [
        right for right in lab.manifests[role].rights if BOTH.get(right.group, lab.installation) == lab.installation
    ]
