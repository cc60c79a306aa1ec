# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B15, B17: whoever asks for the old pool, wherever that is written, and who does not matter any more."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import PODS, WEB, examine, pod, thing, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_requests import CHECKS

PINNED = {"cni.projectcalico.org/ipv4pools": '["old"]'}
FIXED = {"cni.projectcalico.org/ipAddrs": '["192.168.3.3"]'}


def template(annotations: t.Any, **spec: t.Any) -> t.Any:
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [], **spec}}


def of(kind: str, name: str, annotations: t.Any, host: bool = False, **more: t.Any) -> t.Any:
    made = template(annotations, **({"hostNetwork": True} if host else {}))
    found = workload(kind, name, template=made, **more)
    return type(found)(found.kind, found.namespace, found.name, found.thing, made)


ENDED = {"conditions": [{"type": "Complete", "status": "True"}]}
FINISHED = {**pod("done", owner=None, annotations=PINNED), "status": {"phase": "Succeeded"}}


@pytest.mark.parametrize(
    ("changes", "objects"),
    [
        ({}, ()),
        ({"namespaces": (thing("Namespace", "shop", None, annotations=PINNED),)}, ("Namespace shop",)),
        *[
            ({"workloads": (*WEB, of(kind, "x", PINNED))}, (f"{kind} shop/x",))
            for kind in (
                "Deployment",
                "StatefulSet",
                "DaemonSet",
                "ReplicaSet",
                "ReplicationController",
                "Job",
                "CronJob",
            )
        ],
        ({"pods": (pod("bare", owner=None, annotations=PINNED),)}, ("Pod shop/bare",)),
        # All pods of a kind that nobody here knows are said once, as their owner's.
        (
            {"pods": tuple(pod(f"o-{n}", owner=("Database", "orders"), annotations=PINNED) for n in range(3))},
            ("Database shop/orders, its pods",),
        ),
        # Put there by a webhook: the template does not have it.
        ({"pods": (pod("web-1-a", annotations=PINNED), PODS[1])}, ("Pod shop/web-1-a",)),
        # What gets no address any more, or none of a pool.
        ({"workloads": (*WEB, of("Job", "x", PINNED, status=ENDED))}, ()),
        ({"workloads": (*WEB, of("DaemonSet", "x", PINNED, host=True))}, ()),
        ({"pods": (*PODS, FINISHED)}, ()),
        ({"pods": (*PODS, pod("h", owner=None, spec={"hostNetwork": True}, annotations=PINNED))}, ()),
    ],
)
def test_who_asks_for_the_pool(changes: t.Any, objects: t.Any) -> None:
    problems = examine(CHECKS, "pool-pinned", view(**changes))
    assert [each.objects for each in problems] == ([objects] if objects else [])


@pytest.mark.parametrize(
    ("changes", "objects"),
    [
        ({}, ()),
        ({"workloads": (*WEB, of("StatefulSet", "db", FIXED))}, ("StatefulSet shop/db (192.168.3.3)",)),
        ({"pods": (pod("web-1-a", annotations=FIXED), PODS[1])}, ("Pod shop/web-1-a (192.168.3.3)",)),
        (
            {"pods": tuple(pod(f"o-{n}", owner=("Database", "orders"), annotations=FIXED) for n in range(2))},
            ("Database shop/orders, its pods (192.168.3.3)",),
        ),
        # Calico reads addresses on pods only.
        ({"namespaces": (thing("Namespace", "shop", None, annotations=FIXED),)}, ()),
    ],
)
def test_who_asks_for_an_address(changes: t.Any, objects: t.Any) -> None:
    problems = examine(CHECKS, "fixed-addresses", view(**changes))
    assert [each.objects for each in problems] == ([objects] if objects else [])
