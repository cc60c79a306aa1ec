# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who else writes pools: tools that will put back, on their next run, what was changed here (hazards B20, B22, A09)."""

from __future__ import annotations

import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation_facts import Fact, Installation
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.v1_metadata import annotations_of, labels_of

KUBECTL = "a manifest applied with kubectl"


def declarers(
    found: Installation, pools: t.Sequence[Object] | None, operator: Object | None
) -> Fact[tuple[str, ...] | None]:
    """Every tool that left its mark on a pool, on Installation default, or on the cluster as a whole."""
    named: dict[str, list[str]] = {}
    if found.operator.value:
        named["the Tigera operator"] = list(found.operator_pools.value)
    if "kubespray" in (found.cluster_type.value or ()):
        named["Kubespray"] = [found.cluster_type.source]
    things = [*(pools or ()), *([operator] if operator is not None else [])]
    for thing in things:
        for who in marks_of(thing):
            named.setdefault(who, []).append(f"{thing.get('kind') or 'object'} {thing['metadata']['name']}")
    if not named and pools is None:
        return Fact(None, "no right to list ippools")
    source = "; ".join(f"{who}: {', '.join(where)}" for who, where in named.items())
    return Fact(tuple(named), source or "no mark of a tool on any pool")


class Mark(t.NamedTuple):
    """A tool that wrote an object; ``returns`` is true for one that writes it again by itself."""

    who: str
    returns: bool


# What tools call themselves in managedFields: how the name begins, who it is, whether it comes back by itself.
_MANAGERS = (
    ("argocd", "Argo CD", True),
    ("kustomize-controller", "Flux (kustomize-controller)", True),
    ("helm-controller", "a Helm controller (helm-controller)", True),
    ("helm", "Helm", True),
    ("fleet", "Rancher Fleet", True),
    ("rke2", "RKE2", True),
    ("k3s", "K3s", True),
    ("terraform", "Terraform", True),
    ("hashicorp", "Terraform", True),
    ("pulumi", "Pulumi", True),
    ("crossplane", "Crossplane", True),
    ("kubectl-client-side-apply", KUBECTL, False),
)


def marks(thing: Object) -> tuple[Mark, ...]:
    """Every tool that left its mark on an object: labels and annotations first, then managedFields (hazard B22)."""
    found = [Mark(who, who != KUBECTL) for who in marks_of(thing)]
    said = " ".join(mark.who for mark in found)
    for entry in thing["metadata"].get("managedFields") or ():
        name = str(entry.get("manager") or "").lower()
        known = next((each for each in _MANAGERS if name.startswith(each[0])), None)
        if name == "kubectl" and entry.get("operation") == "Apply":
            known = (name, KUBECTL, False)
        # A label has said it already, with the name of the release or application.
        if known is not None and known[1].partition(" (")[0] not in said:
            found.append(Mark(*known[1:]))
    return tuple(dict.fromkeys(found))


def marks_of(thing: Object) -> t.Iterator[str]:
    """The tools that wrote an object, by the labels and annotations that each of them leaves."""
    labels, annotations = labels_of(thing), annotations_of(thing)
    release = annotations.get("meta.helm.sh/release-name")
    if release or labels.get("app.kubernetes.io/managed-by") == "Helm":
        namespace = annotations.get("meta.helm.sh/release-namespace")
        yield f"Helm release {namespace + '/' if namespace else ''}{release}" if release else "Helm"
    if "argocd.argoproj.io/tracking-id" in annotations or "argocd.argoproj.io/instance" in labels:
        name = labels.get("argocd.argoproj.io/instance") or annotations["argocd.argoproj.io/tracking-id"].split(":")[0]
        yield f"Argo CD application {name}"
    for kind in ("kustomize", "helm"):
        flux = labels.get(f"{kind}.toolkit.fluxcd.io/name")
        if flux:
            yield f"Flux {'Kustomization' if kind == 'kustomize' else 'HelmRelease'} {flux}"
    if "objectset.rio.cattle.io/owner-gvk" in annotations:
        kind = annotations["objectset.rio.cattle.io/owner-gvk"].rpartition("Kind=")[2]
        yield f"the controller of {kind} {annotations.get('objectset.rio.cattle.io/owner-name') or 'without a name'}"
    if "kubectl.kubernetes.io/last-applied-configuration" in annotations:
        yield KUBECTL
