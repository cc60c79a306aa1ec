# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_bare_pods import clean_manifest

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "debug",
        "namespace": "shop",
        "uid": "1",
        "resourceVersion": "5",
        "creationTimestamp": "2026-08-20T09:00:00Z",
        "managedFields": [{}],
        "labels": {"app": "debug"},
        "annotations": {"note": "mine", "cni.projectcalico.org/podIP": "192.168.0.9/32"},
    },
    "spec": {
        "nodeName": "n1",
        "priority": 0,
        "priorityClassName": "low",
        "ephemeralContainers": [{"name": "e"}],
        "containers": [
            {
                "name": "c",
                "image": "busybox",
                "volumeMounts": [{"name": "data", "mountPath": "/d"}, {"name": "kube-api-access-x", "mountPath": "/t"}],
            }
        ],
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "kube-api-access-x", "projected": {}}],
    },
    "status": {"podIP": "192.168.0.9"},
}


def test_what_its_author_would_have_written() -> None:
    assert clean_manifest(POD) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "debug",
            "namespace": "shop",
            "labels": {"app": "debug"},
            "annotations": {"note": "mine"},
        },
        "spec": {
            "priorityClassName": "low",
            "containers": [
                {"name": "c", "image": "busybox", "volumeMounts": [{"name": "data", "mountPath": "/d"}]},
            ],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    }
