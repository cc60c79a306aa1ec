# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Checks of Calico's version: do all parts have the same, is anything known against it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.ipam_settings_facts import IMAGE
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight import (
    BLOCKER,
    NOTE,
    WARNING,
    Check,
    Problem,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_ipam import listed
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_situation import Situation

#: The newest minor release whose rules are built into this collection (spec hazards.md, "How to read it").
NEWEST_KNOWN = (3, 34)
COMPONENTS = frozenset({"calico-node", "calico-node-windows", "calico-kube-controllers", "canal"})
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")

Version = t.Tuple[int, int, int]


class KnownBad(t.NamedTuple):
    """Versions from ``first`` to ``last`` with a defect that a public issue reports for them."""

    first: Version
    last: Version
    issue: str
    what: str
    severity: str


# Only versions that an issue names. Where a defect began or was mended between them is not known (A07).
KNOWN_BAD = (
    KnownBad(
        (3, 20, 0),
        (3, 20, 2),
        "projectcalico/calico#5044",
        "its garbage collection took addresses of running pods for leaked and released them",
        BLOCKER,
    ),
)


def calico_version(now: Situation) -> t.Iterator[Problem]:
    """B35: one version everywhere, and one whose rules are known."""
    fact = now.view.installation.version
    version = parse_version(fact.value)
    if version is None:
        yield Problem(
            NOTE,
            f"Which version of Calico runs is not known ({fact.source}); rules of new releases are assumed.",
            "Let calico-node write it (spec.calicoVersion of ClusterInformation default), or make sure yourself that "
            "this collection supports the release.",
        )
        return
    if version[:2] > NEWEST_KNOWN:
        yield Problem(
            WARNING,
            f"Calico {fact.value} is newer than v{NEWEST_KNOWN[0]}.{NEWEST_KNOWN[1]}, the newest whose rules this "
            "release of the collection knows.",
            "Use a newer release of the collection, or try the procedure on a test cluster first.",
            ("ClusterInformation default",),
        )
    others = sorted(where for where, found in _images(now) if found != version[:2])
    if others:
        yield Problem(
            WARNING,
            f"ClusterInformation default says Calico {fact.value} and {len(others)} containers run another minor "
            f"release, first {others[0]}: an upgrade was not finished, or did not reach every node.",
            "Finish the upgrade of Calico first (kubectl rollout status of the DaemonSet calico-node).",
            listed(others),
        )


def known_bad_version(now: Situation) -> t.Iterator[Problem]:
    """A07."""
    fact = now.view.installation.version
    version = parse_version(fact.value)
    for entry in KNOWN_BAD:
        if version is not None and entry.first <= version <= entry.last:
            yield Problem(
                entry.severity,
                f"Calico {fact.value} is one of the versions of which {entry.issue} reports that {entry.what}.",
                "Upgrade Calico first.",
                ("ClusterInformation default",),
            )


def parse_version(text: t.Any) -> Version | None:
    """``v3.30.2`` as numbers; None when it is no version."""
    found = _VERSION.match(str(text or ""))
    return (int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)) if found else None


def _images(now: Situation) -> t.Iterator[tuple[str, tuple[int, int]]]:
    """The minor release of every container of Calico's own pods whose image says one, with its place in words."""
    for pod in now.view.pods:
        if (pod["metadata"].get("labels") or {}).get("k8s-app") not in COMPONENTS:
            continue
        for container in [*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ())]:
            image = str(container.get("image") or "").rpartition("/")[2]
            found = IMAGE.match(image)
            if found:
                where = f"{image} on {pod['spec'].get('nodeName') or 'no node'}"
                yield where, (int(found.group(1)), int(found.group(2)))


CHECKS = (
    Check("calico-version", "one version of Calico runs, and it is known", ("B35",), calico_version, worst=WARNING),
    Check("known-bad-version", "nothing is known against the version", ("A07",), known_bad_version),
)
