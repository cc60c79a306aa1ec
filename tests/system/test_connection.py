# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client against the twin's HTTPS: certificates, credentials, lists, watches, and what they say when they fail."""

from __future__ import annotations

import base64
import copy
import threading
import typing as t

import pytest
import yaml
from twin_fixture import TwinHandle, start_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Resource
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.client import HttpApi, connect
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    AlreadyExists,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthorized,
    UnknownResource,
    Unreachable,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.options import ConnectionOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import (
    CONFIG_MAPS,
    IP_POOLS,
    LEASES,
    NAMESPACES,
    PODS,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain import drain, plan_drain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.drain_result import DrainOptions


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("twin"), "small", speed=20) as handle:
        handle.settle()
        yield handle


@pytest.fixture
def content(twin: TwinHandle) -> t.Any:
    """The administrator's kubeconfig as a dictionary, to be spoilt."""
    with open(twin.kubeconfig, encoding="utf-8") as stream:
        return copy.deepcopy(yaml.safe_load(stream))


@pytest.fixture
def api(twin: TwinHandle) -> t.Iterator[HttpApi]:
    client = connect(ConnectionOptions(kubeconfig=twin.kubeconfig))
    yield client
    client.close()


def ask(options: ConnectionOptions) -> None:
    client = connect(options)
    try:
        client.list(NAMESPACES)
    finally:
        client.close()


def config_map(name: str, **data: str) -> dict[str, t.Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class TestCredentials:
    def test_a_wrong_authority(self, twin: TwinHandle, content: t.Any) -> None:
        del content["clusters"][0]["cluster"]["certificate-authority-data"]
        with pytest.raises(Unreachable, match=r"^The certificate of 127\.0\.0\.1:\d+ is not trusted \(.*\): give the "):
            ask(ConnectionOptions(kubeconfig=content))

    def test_no_verification(self, twin: TwinHandle, content: t.Any) -> None:
        del content["clusters"][0]["cluster"]["certificate-authority-data"]
        ask(ConnectionOptions(kubeconfig=content, validate_certs=False))

    def test_a_file_for_the_authority(self, twin: TwinHandle, content: t.Any, tmp_path: t.Any) -> None:
        path = tmp_path / "ca.pem"
        path.write_bytes(base64.b64decode(content["clusters"][0]["cluster"].pop("certificate-authority-data")))
        ask(ConnectionOptions(kubeconfig=content, ca_cert=str(path)))
        path.write_text("no certificate", encoding="utf-8")
        with pytest.raises(Exception, match=r"\.$") as caught:
            ask(ConnectionOptions(kubeconfig=content, ca_cert=str(path)))
        assert "\n" not in str(caught.value)

    def test_a_wrong_token(self, twin: TwinHandle, content: t.Any) -> None:
        content["users"][0]["user"] = {"token": "not-this-one"}
        with pytest.raises(Unauthorized) as caught:
            ask(ConnectionOptions(kubeconfig=content))
        assert caught.value.message.startswith("The server at 127.0.0.1:")
        assert "does not accept the credentials from the kubeconfig given as a dictionary" in caught.value.message
        assert "not-this-one" not in caught.value.message


class TestCalls:
    def test_the_life_of_an_object(self, api: HttpApi) -> None:
        made = api.create(CONFIG_MAPS, config_map("life", a="1"), "default")
        with pytest.raises(AlreadyExists):
            api.create(CONFIG_MAPS, config_map("life"), "default")
        api.patch(CONFIG_MAPS, "life", {"data": {"b": "2"}}, "default")
        made["data"] = {"c": "3"}
        with pytest.raises(Conflict):
            api.replace(CONFIG_MAPS, made, "default")
        with pytest.raises(Conflict):
            api.delete(CONFIG_MAPS, "life", "default", uid="another")
        assert api.get(CONFIG_MAPS, "life", "default")["data"] == {"a": "1", "b": "2"}
        api.delete(CONFIG_MAPS, "life", "default", uid=made["metadata"]["uid"])
        with pytest.raises(NotFound):
            api.get(CONFIG_MAPS, "life", "default")

    def test_unknown_fields_are_refused(self, api: HttpApi) -> None:
        with pytest.raises(BadRequest, match="unknown field"):
            api.create(CONFIG_MAPS, {**config_map("strict"), "bogus": 1}, "default")

    def test_an_invalid_pool(self, api: HttpApi) -> None:
        pool = {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": "bad"},
            "spec": {"cidr": "10.0.0.0/16", "ipipMode": "Sometimes"},
        }
        with pytest.raises(Invalid, match="ipipMode"):
            api.create(IP_POOLS, pool)

    def test_types_the_server_does_not_have(self, api: HttpApi) -> None:
        with pytest.raises(UnknownResource, match=r"^The server has no ippools\.projectcalico\.org: Calico's CRDs"):
            api.list(Resource("projectcalico.org", "v3", "ippools", "IPPool", False))
        with pytest.raises(UnknownResource, match=r"^The server has no moons in version v1: this cluster does not"):
            api.list(Resource("", "v1", "moons", "Moon", False))

    def test_lists_in_pages(self, api: HttpApi) -> None:
        names = [f"page-{index:02}" for index in range(7)]
        for name in names:
            api.create(CONFIG_MAPS, config_map(name), "default")
        pages = list(api.pages(CONFIG_MAPS, "default", limit=3))
        assert [len(page.items) for page in pages] == [3, 3, 1]
        assert [item["metadata"]["name"] for page in pages for item in page.items] == names
        assert {item["kind"] for page in pages for item in page.items} == {"ConfigMap"}

    def test_a_watch_sees_what_happens_and_can_be_closed(self, api: HttpApi) -> None:
        version = api.list(LEASES, "default").resource_version
        stream = api.watch(LEASES, "default", resource_version=version)
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
        api.create(LEASES, lease, "default")
        event = next(stream)
        assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "l")
        threading.Timer(0.1, stream.close).start()
        assert [found.type for found in stream if found.type != "BOOKMARK"] == []

    def test_field_selectors(self, api: HttpApi) -> None:
        found = api.list(PODS, field_selector="status.phase=Running,metadata.namespace=shop").items
        assert {item["metadata"]["namespace"] for item in found} == {"shop"}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[TwinHandle]:
    with start_twin(tmp_path_factory.mktemp("guarded"), "small", speed=20, rbac=True) as handle:
        handle.settle()
        yield handle


class TestUsers:
    def test_a_client_certificate(self, guarded: TwinHandle) -> None:
        ask(ConnectionOptions(kubeconfig=f"{guarded.kubeconfig}.certificate"))

    def test_a_reader_may_plan_a_drain_but_not_carry_it_out(self, guarded: TwinHandle) -> None:
        admin = connect(ConnectionOptions(kubeconfig=guarded.kubeconfig))
        admin.patch(IP_POOLS, "default-ipv4-ippool", {"spec": {"disabled": True}})
        pool = {"metadata": {"name": "new"}, "spec": {"cidr": "10.0.0.0/16", "nodeSelector": "all()"}}
        admin.create(IP_POOLS, {"apiVersion": IP_POOLS.api_version, "kind": IP_POOLS.kind, **pool})
        admin.close()
        reader = connect(ConnectionOptions(kubeconfig=f"{guarded.kubeconfig}.reader"))
        options, network = DrainOptions("default-ipv4-ippool", timeout=20), parse_network("192.168.0.0/16")
        plan = plan_drain(reader, network, options, SystemClock())
        assert plan.changed
        with pytest.raises(Forbidden) as caught:
            drain(reader, network, options, SystemClock(), print)
        assert "cannot patch resource" in caught.value.message
        assert caught.value.message.endswith("reader.")
        assert ": grant that right, or use other credentials than those from the kubeconfig " in caught.value.message
        assert plan_drain(reader, network, options, SystemClock()).pods == plan.pods
        reader.close()
