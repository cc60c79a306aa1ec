# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""``kubectl`` drives the server, where it is installed: get, describe, apply, patch, delete, rollout, drain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t

import pytest
from wire import IMAGE, Cluster, ip_pool, unique

KUBECTL = os.environ.get("CALICO_OPS_KUBECTL") or shutil.which("kubectl")
pytestmark = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")

Kubectl = t.Callable[..., str]


@pytest.fixture(scope="module")
def kubectl(kubeconfig: str, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """Runs kubectl and gives its output; fails with what it said on standard error."""
    home = tmp_path_factory.mktemp("kubectl")

    def run(*words: str, text: str | None = None, fails: bool = False) -> str:
        done = subprocess.run(
            [str(KUBECTL), "--kubeconfig", kubeconfig, "--cache-dir", str(home), *words],
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{words}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def modern(kubectl: Kubectl) -> None:
    """For what kubectl leaves to the server since 1.27: validation, and OpenAPI v3."""
    version = json.loads(kubectl("version", "--client", "-o", "json"))["clientVersion"]
    if int(version["minor"].rstrip("+")) < 27:
        pytest.skip(f"kubectl {version['gitVersion']} is too old")


def _manifest(name: str, namespace: str, image: str = IMAGE, replicas: int = 2) -> str:
    labels = {"app": name}
    container = {"name": "main", "image": image, "ports": [{"containerPort": 80}]}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    pool = {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPPool",
        "metadata": {"name": name},
        "spec": {"cidr": "203.0.113.0/24", "disabled": True, "natOutgoing": replicas > 2},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [deployment, pool]})


def test_get(kubectl: Kubectl) -> None:
    lines = kubectl("get", "nodes", "-o", "wide").splitlines()
    assert lines[0].split()[:5] == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert "Ready" in lines[1]
    assert kubectl("get", "pods", "-A").startswith("NAMESPACE")
    assert "ippool.crd.projectcalico.org/" in kubectl("get", "ippools", "-o", "name")
    assert kubectl("get", "all,pdb,ippools", "-A")
    assert 'ippools.crd.projectcalico.org "none" not found' in kubectl("get", "ippool", "none", fails=True)


def test_apply_three_ways_rollout_and_delete(kubectl: Kubectl, namespace: str) -> None:
    name = unique("apply")
    assert kubectl("apply", "-f", "-", text=_manifest(name, namespace)).splitlines() == [
        f"deployment.apps/{name} created",
        f"ippool.crd.projectcalico.org/{name} created",
    ]
    again = kubectl("apply", "-f", "-", text=_manifest(name, namespace))
    assert [line.split()[1] for line in again.splitlines()] == ["unchanged", "unchanged"]
    kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=90s")
    changed = kubectl("apply", "-f", "-", text=_manifest(name, namespace, IMAGE + "-next", 3))
    assert [line.split()[1] for line in changed.splitlines()] == ["configured", "configured"]
    kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=90s")
    assert len(kubectl("-n", namespace, "rollout", "history", f"deployment/{name}").strip().splitlines()) == 4
    kubectl("-n", namespace, "rollout", "restart", f"deployment/{name}")
    kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=90s")
    kubectl("-n", namespace, "rollout", "undo", f"deployment/{name}", "--to-revision=1")
    kubectl("-n", namespace, "rollout", "status", f"deployment/{name}", "--timeout=90s")
    image = "-o=jsonpath={.spec.template.spec.containers[0].image}"
    assert kubectl("-n", namespace, "get", "deployment", name, image) == IMAGE
    described = kubectl("-n", namespace, "describe", "deployment", name)
    assert "StrategyType:           RollingUpdate" in described
    assert "ScalingReplicaSet" in described
    kubectl("-n", namespace, "scale", f"deployment/{name}", "--replicas=0")
    kubectl("-n", namespace, "delete", f"deployment/{name}", "--timeout=60s")
    kubectl("delete", "ippool", name)


@pytest.mark.usefixtures("modern")
def test_apply_says_what_is_wrong(kubectl: Kubectl) -> None:
    name = unique("wrong")
    text = json.dumps(ip_pool(name, natOutgone=True))
    assert 'unknown field "spec.natOutgone"' in kubectl("apply", "-f", "-", text=text, fails=True)


def test_patch(kubectl: Kubectl, namespace: str) -> None:
    name = unique("patch")
    kubectl("apply", "-f", "-", text=_manifest(name, namespace, replicas=0))
    kubectl("patch", "ippool", name, "--type=merge", "-p", '{"spec":{"natOutgoing":true}}')
    operations = '[{"op":"test","path":"/spec/natOutgoing","value":true},{"op":"remove","path":"/spec/natOutgoing"}]'
    kubectl("patch", "ippool", name, "--type=json", "-p", operations)
    error = kubectl("patch", "ippool", name, "--type=merge", "-p", '{"spec":{"cidr":"198.51.100.0/24"}}', fails=True)
    assert "CIDR cannot be changed" in error
    environment = '{"spec":{"template":{"spec":{"containers":[{"name":"main","env":[{"name":"A","value":"1"}]}]}}}}'
    kubectl("-n", namespace, "patch", "deployment", name, "-p", environment)
    ports = "-o=jsonpath={.spec.template.spec.containers[0].ports[0].containerPort}"
    assert kubectl("-n", namespace, "get", "deployment", name, ports) == "80"
    kubectl("-n", namespace, "delete", "deployment", name)
    kubectl("delete", "ippool", name)


@pytest.mark.usefixtures("modern")
def test_explain(kubectl: Kubectl) -> None:
    assert "blockSize" in kubectl("explain", "ippool.spec")
    assert "rollingUpdate" in kubectl("explain", "deployment.spec.strategy")


def test_describe(kubectl: Kubectl) -> None:
    node = kubectl("get", "nodes", "-o=jsonpath={.items[0].metadata.name}")
    assert "Non-terminated Pods:" in kubectl("describe", "node", node)
    pod = kubectl("-n", "kube-system", "get", "pods", "-o=jsonpath={.items[0].metadata.name}")
    assert "Tolerations:" in kubectl("-n", "kube-system", "describe", "pod", pod)
    assert "Spec:" in kubectl("describe", "ippools")


def test_a_namespace(kubectl: Kubectl) -> None:
    name = unique("contract")
    kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))
    kubectl("delete", "namespace", name, "--timeout=60s")
    assert "NotFound" in kubectl("get", "namespace", name, fails=True)


def test_drain(kubectl: Kubectl, twin: Cluster) -> None:
    """Only on a twin: nobody wants a test to drain a node of theirs."""
    nodes = kubectl("get", "nodes", "-o=jsonpath={.items[*].metadata.name}").split()
    node = nodes[-1]
    drained = kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=100s")
    # "drained", and "evicted" in the words of old releases.
    assert drained.splitlines()[-1] in (f"node/{node} drained", f"node/{node} evicted")
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    kubectl("uncordon", node)
