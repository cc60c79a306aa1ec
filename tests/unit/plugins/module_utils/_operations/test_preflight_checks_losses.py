# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""B42, B43, D09, D11: what is lost on the way."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from preflight_objects import DECLARE, WEB, budget, examine, pod, thing, view, workload

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PERSISTENT_VOLUME_CLAIMS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_checks_losses import CHECKS
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.preflight_surroundings import (
    PERSISTENT_VOLUMES,
)

PORT = {"metadata": {}, "spec": {"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}}
MEMBER = (pod("db-0", owner=("StatefulSet", "db")),)


def deployment(**spec: t.Any) -> t.Any:
    return (workload("Deployment", "web", **spec), WEB[1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"workloads": deployment(replicas=1)}, []),
        ({"workloads": deployment(replicas=2, strategy={"type": "Recreate"})}, ["a restart takes all 2 at once"]),
        (
            {"workloads": deployment(replicas=1, strategy={"type": "Recreate"})},
            ["1 workload of one pod is away while it is replaced, first Deployment shop/web"],
        ),
        (
            {"workloads": deployment(replicas=2, template=PORT), "budgets": (budget(1),)},
            ["host port 80"],
        ),
        (
            {"pods": MEMBER, "workloads": (workload("StatefulSet", "db", replicas=1),)},
            ["first StatefulSet shop/db"],
        ),
        ({"pods": MEMBER, "workloads": (workload("StatefulSet", "db", replicas=3),)}, []),
        # What stays where it is loses nothing.
        (
            {
                "pods": MEMBER,
                "workloads": (workload("StatefulSet", "db", replicas=1),),
                "budgets": (budget(0, 1, 1, maxUnavailable=0),),
            },
            [],
        ),
    ],
)
def test_a_pod_less(changes: t.Any, words: list[str]) -> None:
    problems = examine(CHECKS, "surge-room", view(**changes))
    assert len(problems) == len(words), problems
    assert all(word in each.message for word, each in zip(words, problems))
    assert all(each.severity == "warning" for each in problems)


def volume(**source: t.Any) -> t.Any:
    mounts = [{"name": "v", "mountPath": "/v"}]
    return {"volumes": [{"name": "v", **source}], "containers": [{"name": "c", "volumeMounts": mounts}]}


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ({"emptyDir": {}}, "note"),
        ({"emptyDir": {"medium": "Memory"}}, ""),
        ({"hostPath": {"path": "/srv/data"}}, "note"),
        ({"hostPath": {"path": "/var/log"}}, ""),
        ({"configMap": {"name": "c"}}, ""),
    ],
)
def test_data_that_new_pods_do_not_have(source: t.Any, severity: str) -> None:
    spoiled = pod("web-1-a", spec=volume(**source))
    problems = examine(CHECKS, "local-data", view(pods=(spoiled,)))
    assert [(each.severity, each.objects) for each in problems] == (
        [(severity, ("Deployment shop/web",))] if severity else []
    )


@pytest.mark.parametrize("owner", [("StatefulSet", "db"), None])
def test_data_of_members_and_of_bare_pods_is_likely_to_be_meant(owner: t.Any) -> None:
    spoiled = pod("db-0", owner=owner, spec=volume(emptyDir={}))
    (problem,) = examine(
        CHECKS, "local-data", view(pods=(spoiled,), workloads=(workload("StatefulSet", "db", replicas=1),))
    )
    assert problem.severity == "warning"


def test_volumes_local_to_a_node() -> None:
    around = {
        PERSISTENT_VOLUMES: [
            thing("PersistentVolume", "near", None, spec={"local": {"path": "/mnt"}}),
            thing("PersistentVolume", "far", None, spec={"csi": {"driver": "d"}}),
        ],
        PERSISTENT_VOLUME_CLAIMS: [
            thing("PersistentVolumeClaim", "a", spec={"volumeName": "near", "accessModes": ["ReadWriteOnce"]}),
            thing("PersistentVolumeClaim", "b", spec={"volumeName": "far", "accessModes": ["ReadWriteOnce"]}),
        ],
    }
    for claim, severities in (("a", ["note"]), ("b", []), ("c", [])):
        spoiled = pod("web-1-a", spec=volume(persistentVolumeClaim={"claimName": claim}))
        assert [each.severity for each in examine(CHECKS, "local-data", view(around, pods=(spoiled,)))] == severities


RUNNING = (pod("job-a", owner=("Job", "report")),)


@pytest.mark.parametrize(
    ("spec", "severity", "words"),
    [
        ({}, "warning", "since 2026-08-22T08:00:00Z, without a deadline, backoffLimit 6"),
        ({"activeDeadlineSeconds": 60, "backoffLimit": 0}, "note", "with a deadline, backoffLimit 0"),
        ({"activeDeadlineSeconds": 60, "podFailurePolicy": {"rules": []}}, "note", "with a podFailurePolicy"),
    ],
)
def test_jobs(spec: t.Any, severity: str, words: str) -> None:
    jobs = (workload("Job", "report", status={"startTime": "2026-08-22T08:00:00Z"}, **spec),)
    (problem,) = examine(CHECKS, "running-jobs", view(pods=RUNNING, workloads=jobs))
    assert problem.severity == severity
    assert words in problem.message
    assert "the drain waits for them" in problem.message


def test_cron_jobs_that_may_start_another_one() -> None:
    jobs = (workload("Job", "report", ("CronJob", "nightly"), activeDeadlineSeconds=60), workload("CronJob", "nightly"))
    problems = examine(CHECKS, "running-jobs", view(pods=RUNNING, workloads=jobs))
    assert [(each.severity, "CronJob" in each.message) for each in problems] == [("note", False), ("note", True)]
    idle = (workload("CronJob", "nightly"), *WEB)
    assert examine(CHECKS, "running-jobs", view(workloads=idle)) == []


@pytest.mark.parametrize(("replicas", "severities"), [(1, []), (3, ["warning"])])
def test_members_that_may_know_each_other_by_address(replicas: int, severities: list[str]) -> None:
    cluster = view(pods=MEMBER, workloads=(workload("StatefulSet", "db", replicas=replicas),))
    assert [each.severity for each in examine(CHECKS, "peers-by-address", cluster)] == severities


@pytest.mark.parametrize("identifier", [check.id for check in CHECKS])
def test_nothing_moves_when_pools_are_declared(identifier: str) -> None:
    cluster = view(pods=(*RUNNING, *MEMBER), workloads=(workload("StatefulSet", "db"), workload("Job", "report")))
    assert examine(CHECKS, identifier, cluster, DECLARE) == []
