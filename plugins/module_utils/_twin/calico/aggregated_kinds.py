# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""What Calico's API server has in ``projectcalico.org/v3``, as far as the twin goes: IPAM's kinds and profiles.

No blocks and no handles: that is what tells it from the v3 CRDs (spec ippool.md §7.1).
"""

from __future__ import annotations

import functools
import typing as t
from dataclasses import replace

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import CALICO_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.calico.places import CRD_V1, CRD_V3
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.crd import calico_crds, kind_from_crd
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind

PROFILES = Resource(CALICO_V3, "v3", "profiles", "Profile", False)
#: Each resource with the one of the v1 CRDs that keeps it. Nothing keeps profiles: there are none.
KEPT: t.Mapping[Resource, Resource] = {
    CRD_V3.pools: CRD_V1.pools,
    CRD_V3.affinities: CRD_V1.affinities,
    CRD_V3.config: CRD_V1.config,
    CRD_V3.reservations: CRD_V1.reservations,
    CRD_V3.cluster_information: CRD_V1.cluster_information,
}
_READ_ONLY = ("get", "list", "watch")
_READ_ONLY_KINDS = (CRD_V3.cluster_information, PROFILES)
# What a Go type knows of a schema; the rules are Calico's own and those of the custom resource below.
_OF_TYPES = ("type", "nullable", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string", "description")
_CREATED = {"name": "Created At", "type": "string", "jsonPath": ".metadata.creationTimestamp"}


@functools.cache
def definitions() -> t.Mapping[str, Object]:
    """By plural: the types of each resource in the form of a CRD. Raises ``MissingYaml``."""
    found = {}
    for crd in calico_crds("v3"):
        plural = crd["spec"]["names"]["plural"]
        if any(resource.plural == plural for resource in KEPT):
            found[plural] = _definition(crd["spec"])
    names = {"plural": PROFILES.plural, "singular": "profile", "kind": PROFILES.kind, "listKind": "ProfileList"}
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": PROFILES.version, "served": True, "storage": True, "schema": {"openAPIV3Schema": free}}
    found[PROFILES.plural] = _definition({"names": names, "scope": "Cluster", "versions": [version]})
    return found


def kinds() -> list[Kind]:
    """What is served, as discovery shows it. Raises ``MissingYaml``."""
    found = []
    for definition in definitions().values():
        for kind in kind_from_crd(definition):
            verbs = _READ_ONLY if kind.resource in _READ_ONLY_KINDS else kind.verbs
            found.append(replace(kind, verbs=verbs, short_names=(), generation=False, aggregated=True))
    return found


def _definition(spec: Object) -> Object:
    versions = [
        {
            "name": version["name"],
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": _types(version["schema"]["openAPIV3Schema"])},
            "additionalPrinterColumns": [_CREATED],
            "subresources": version.get("subresources") or {},
        }
        for version in spec["versions"]
    ]
    # Not the name of a CRD: one of the same group may be there as well, and is shadowed.
    name = f"aggregated:{spec['names']['plural']}.{CALICO_V3}"
    own = {"group": CALICO_V3, "names": spec["names"], "scope": spec["scope"], "versions": versions}
    return {"metadata": {"name": name}, "spec": own}


def _types(schema: Object) -> Object:
    kept = {key: value for key, value in schema.items() if key in _OF_TYPES}
    if "properties" in schema:
        kept["properties"] = {name: _types(each) for name, each in schema["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            kept[key] = _types(schema[key])
        elif key in schema:
            kept[key] = schema[key]
    return kept
