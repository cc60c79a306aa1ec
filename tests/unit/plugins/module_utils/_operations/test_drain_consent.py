# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_consent import (
    anywhere,
    check_consent,
    consents,
    local_data,
)


def test_for_all_namespaces_or_for_one() -> None:
    assert consents(["bare_pods"], "bare_pods", "shop")
    assert consents(["bare_pods/shop"], "bare_pods", "shop")
    assert not consents(["bare_pods/shop"], "bare_pods", "data")
    assert not consents(["local_data"], "bare_pods", "shop")
    assert anywhere(["bare_pods/shop"], "bare_pods")
    assert not anywhere(["bare_pods/shop"], "local_data")


@pytest.mark.parametrize("entry", ["", "all", "bare_pods/", "/shop", "Bare_pods"])
def test_what_means_nothing(entry: str) -> None:
    with pytest.raises(InvalidInput, match="means nothing"):
        check_consent(["local_data/shop", entry])


def mounted(volume: Object, **mount: object) -> Object:
    mounts = [{"name": volume["name"], "mountPath": "/data", **mount}]
    return {"containers": [{"name": "c", "volumeMounts": mounts}], "volumes": [volume]}


@pytest.mark.parametrize(
    ("pod_spec", "found"),
    [
        ({}, []),
        (mounted({"name": "v", "emptyDir": {}}), ["v"]),
        (mounted({"name": "v", "emptyDir": {"medium": "Memory"}}), []),
        (mounted({"name": "v", "hostPath": {"path": "/srv/data"}}), ["v"]),
        (mounted({"name": "v", "hostPath": {"path": "/srv/data"}}, readOnly=True), []),
        (mounted({"name": "v", "hostPath": {"path": "/srv/x.sock", "type": "Socket"}}), []),
        (mounted({"name": "v", "hostPath": {"path": "/var/run/docker.sock"}}), []),
        (mounted({"name": "v", "hostPath": {"path": "/etc/localtime"}}), []),
        (mounted({"name": "v", "hostPath": {"path": "/etcetera"}}), ["v"]),
        (mounted({"name": "v", "persistentVolumeClaim": {"claimName": "v"}}), []),
        (mounted({"name": "v", "configMap": {"name": "v"}}), []),
    ],
)
def test_what_new_pods_start_without(pod_spec: Object, found: list[str]) -> None:
    assert local_data(pod_spec) == found
