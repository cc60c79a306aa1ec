# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Custom resource definitions: the kinds they define, and the ones of Calico that come along.

``crds/`` holds Calico's definitions unchanged (see ``crds/NOTICE.md``).
"""

from __future__ import annotations

import functools
import pathlib
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object, Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind, Subresource

_FOLDER = pathlib.Path(__file__).parent / "crds"


@dataclass(frozen=True)
class CustomKind:
    """One served version of a CRD: the kind, its schema, and the columns of its table."""

    kind: Kind
    schema: t.Mapping[str, t.Any]
    columns: tuple[Object, ...] = ()
    storage: bool = True


def kinds_from_crd(crd: Object) -> list[CustomKind]:
    """Every served version of a definition, the stored one first."""
    spec = crd["spec"]
    names, namespaced = spec["names"], spec.get("scope") == "Namespaced"
    found = []
    for version in spec.get("versions") or ():
        if not version.get("served"):
            continue
        resource = Resource(spec["group"], version["name"], names["plural"], names["kind"], namespaced)
        kind = Kind(
            resource=resource,
            singular=str(names.get("singular") or names["kind"].lower()),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=_subresources(resource, version.get("subresources") or {}),
            generation=True,
            custom=True,
            list_kind=str(names.get("listKind") or names["kind"] + "List"),
        )
        schema = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        columns = tuple(version.get("additionalPrinterColumns") or ())
        found.append(CustomKind(kind, schema, columns, bool(version.get("storage"))))
    return sorted(found, key=lambda each: not each.storage)


def kind_from_crd(crd: Object) -> list[Kind]:
    """The kinds alone."""
    return [each.kind for each in kinds_from_crd(crd)]


def _subresources(resource: Resource, given: t.Mapping[str, t.Any]) -> tuple[Subresource, ...]:
    found = []
    if given.get("scale") is not None:
        found.append(Subresource("scale", "Scale", "autoscaling", "v1"))
    if given.get("status") is not None:
        found.append(Subresource("status", resource.kind, resource.group, resource.version))
    return tuple(found)


class MissingYaml(IpamError):
    """PyYAML is not installed."""


@functools.cache
def calico_crds(version: str) -> tuple[Object, ...]:
    """Calico's definitions of the group ``crd.projectcalico.org`` (``v1``) or ``projectcalico.org`` (``v3``).

    Shared between callers: copy before changing. Raises ``MissingYaml``.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingYaml(
            "The embedded cluster cannot read Calico's resource definitions: the Python library PyYAML is not "
            "installed; install the packages in requirements-twin.txt."
        ) from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return tuple(
        yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        for path in sorted((_FOLDER / version).glob("*.yaml"))
    )
