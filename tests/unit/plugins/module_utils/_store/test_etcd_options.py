# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the way to etcd, and what is said about wrong ones."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint

ENDPOINTS = {"etcd_endpoints": ["https://10.0.0.1:2379"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://10.0.0.1:2379", "http://10.0.0.1:2379"),
        ("https://etcd-1.example.org", "https://etcd-1.example.org:2379"),
        ("https://[fd00::1]:4001/", "https://[fd00::1]:4001"),
        ("HTTPS://10.0.0.1", "https://10.0.0.1:2379"),
    ],
)
def test_endpoints(text: str, expected: str) -> None:
    assert str(parse_endpoint(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1:2379", "etcd", "unix:///run/etcd", "http://", "http://a:port", "http://a:99999", "http://a/path",
     "http://a?x=1", "http://[fd00::1", "root:secret@etcd"],
)  # fmt: skip
def test_what_is_no_endpoint_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"etcd_endpoints: .*is not of the form http\[s\]://host\[:port\]") as error:
        parse_endpoint(text)
    assert "secret" not in error.value.message


def test_a_password_in_an_endpoint_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidInput, match=r"http://...@etcd holds a user name: use etcd_username") as error:
        parse_endpoint("http://root:secret@etcd:2379")
    assert "secret" not in str(error.value.details)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "etcd_endpoints is empty: with datastore etcd it must name at least one URL"),
        ({"etcd_endpoints": [" ", ""]}, "etcd_endpoints is empty"),
        ({**ENDPOINTS, "etcd_username": "calico"}, "etcd_username needs etcd_password."),
        ({**ENDPOINTS, "etcd_password": "secret"}, "etcd_password needs etcd_username."),
        ({**ENDPOINTS, "etcd_ca_cert": "/no/such/file"}, "etcd_ca_cert: /no/such/file cannot be read (No such file"),
        ({**ENDPOINTS, "etcd_cert": "-----BEGIN CERTIFICATE-----"}, "etcd_cert needs etcd_key."),
        ({**ENDPOINTS, "etcd_key": "-----BEGIN EC PRIVATE KEY-----"}, "etcd_key needs etcd_cert."),
    ],
)
def test_what_is_missing_is_named(params: dict[str, t.Any], sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ETCD_DISCOVERY_SRV", raising=False)
    with pytest.raises(InvalidInput, match=re.escape(sentence)):
        EtcdOptions.from_params(params)


def test_discovery_by_name_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCD_DISCOVERY_SRV", "example.org")
    with pytest.raises(InvalidInput, match="ETCD_DISCOVERY_SRV is not supported"):
        EtcdOptions.from_params({})


def test_paths_and_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ca.pem").write_text("x", encoding="ascii")
    options = EtcdOptions.from_params(
        {**ENDPOINTS, "etcd_ca_cert": "~/ca.pem", "etcd_cert": "-----BEGIN C", "etcd_key": "-----BEGIN SECRET KEY"}
    )
    assert (options.ca_cert, options.cert) == (str(tmp_path / "ca.pem"), "-----BEGIN C")
    assert "SECRET" not in repr(options)
