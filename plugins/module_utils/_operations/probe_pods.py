# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The namespaces and pods of a probe, as they are sent to the cluster."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.pods import (
    annotations_of,
    labels_of,
    metadata_of,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import NAMESPACES
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.restart import timestamp
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.selection import POOL_ANNOTATIONS

LABEL = "ipam.calico-ops.io/probe"
POOL_NOTE = "ipam.calico-ops.io/probe-pool"
EXPIRES_NOTE = "ipam.calico-ops.io/probe-expires"
PAUSE = "registry.k8s.io/pause:3.10"

#: Checks that the built-in command knows.
DNS, API = "dns", "api"
CHECKS = (DNS, API)
DNS_NAME = "kubernetes.default.svc"

# What is unreachable goes into the message of the pod's end, which holds the last lines of its log.
_SCRIPT = """\
for t in $CALICO_OPS_TARGETS; do
  h=${t%:*}; h=${h#[}; h=${h%]}
  nc -z -w 5 "$h" "${t##*:}" </dev/null || { echo "no connection to $t"; failed=1; }
done
for n in $CALICO_OPS_NAMES; do
  nslookup "$n" >/dev/null 2>&1 || { echo "$n does not resolve"; failed=1; }
done
if [ -n "$CALICO_OPS_API" ]; then
  nc -z -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT" </dev/null ||
    { echo "no connection to the Kubernetes API at $KUBERNETES_SERVICE_HOST"; failed=1; }
fi
exit ${failed:-0}
"""


@dataclass(frozen=True)
class NamespaceClass:
    """Namespaces that pools cannot tell apart: one of them by name, what selectors and Calico see of it.

    ``name`` is "" for a namespace without anything of the kind.
    """

    name: str = ""
    labels: t.Mapping[str, str] = field(default_factory=dict)
    annotations: t.Mapping[str, str] = field(default_factory=dict)


def class_of(namespace: Object) -> NamespaceClass:
    """What a throw-away namespace must have in common with this one to be treated alike by Calico's IPAM."""
    labels = {
        key: value
        for key, value in labels_of(namespace).items()
        # Its own name, which the API server writes, and rules for the security of pods, which are the probe's own.
        if key != "kubernetes.io/metadata.name" and not key.startswith("pod-security.kubernetes.io/")
    }
    notes = {key: value for key, value in annotations_of(namespace).items() if key.startswith("cni.projectcalico.org/")}
    return NamespaceClass(str(metadata_of(namespace)["name"]), labels, notes)


def namespace_body(prefix: str, pool: str, like: NamespaceClass, expires: datetime) -> Object:
    """A namespace for the probe's pods, which anybody may delete some time after ``expires``."""
    return {
        "apiVersion": NAMESPACES.api_version,
        "kind": NAMESPACES.kind,
        "metadata": {
            "generateName": f"{prefix}-",
            "labels": {**like.labels, LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"},
            "annotations": {**like.annotations, POOL_NOTE: pool, EXPIRES_NOTE: timestamp(expires)},
        },
    }


@dataclass(frozen=True)
class PodWish:
    """What every pod of a probe is like. ``pinned`` is the pool's IP version, None for pods that ask for no pool."""

    pool: str
    image: str
    pinned: int | None = None
    command: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    annotations: t.Mapping[str, str] = field(default_factory=dict)

    @property
    def ends(self) -> bool:
        """Whether the pod is to do something and to end well, instead of just being there."""
        return bool(self.command or self.targets or self.checks)


def pod_body(name: str, node: str | None, wish: PodWish) -> Object:
    """A pod that the restricted Pod Security Standard admits and that asks for next to nothing."""
    container: Object = {
        "name": "probe",
        "image": wish.image,
        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "50m", "memory": "32Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if wish.ends:
        container["command"] = list(wish.command or ("sh", "-c", _SCRIPT))
        container["terminationMessagePolicy"] = "FallbackToLogsOnError"
        container["env"] = [
            {"name": "CALICO_OPS_TARGETS", "value": " ".join(wish.targets)},
            {"name": "CALICO_OPS_NAMES", "value": DNS_NAME if DNS in wish.checks else ""},
            {"name": "CALICO_OPS_API", "value": "yes" if API in wish.checks else ""},
        ]
    spec: Object = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65535, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    if node is not None:
        # Past the scheduler: cordoned and tainted nodes are to be proven as well.
        spec["nodeName"] = node
        spec["tolerations"] = [{"operator": "Exists"}]
    annotations = dict(wish.annotations)
    if wish.pinned is not None:
        annotations[POOL_ANNOTATIONS[wish.pinned]] = f'["{wish.pool}"]'
    metadata: Object = {"name": name, "labels": {LABEL: "true"}}
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_expired(namespace: Object, now: datetime, grace: timedelta) -> bool:
    """Whether a probe's namespace has outlived its own time limit by ``grace``."""
    expires = annotations_of(namespace).get(EXPIRES_NOTE, "")
    return expires != "" and expires < timestamp(now - grace)
