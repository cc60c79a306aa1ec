# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Certificates of the embedded cluster: an authority, the server's certificate, clients' certificates.

Keys are made anew for each data directory and never leave it. Dates are real time, not the twin's:
the TLS libraries of clients check them. Needs the ``cryptography`` package when called.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import typing as t
from dataclasses import dataclass
from pathlib import Path

if t.TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

_LIFE = datetime.timedelta(days=3650)
_BACKDATED = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """A certificate with its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Pki:
    """Where the files are: the authority's certificate and the server's pair; and the authority itself."""

    directory: Path
    authority: Pair

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        return self.directory / "server.crt"

    @property
    def server_key(self) -> Path:
        return self.directory / "server.key"

    def client(self, user: str, groups: t.Sequence[str] = ()) -> Pair:
        """A client certificate: ``user`` is the common name, ``groups`` the organizations."""
        return _issue(self.authority, user, groups, server=False)


def open_pki(directory: Path) -> Pki:
    """The certificates in ``directory``, made when they are not there yet."""
    directory.mkdir(parents=True, exist_ok=True)
    ca_key = directory / "ca.key"
    pki_files = (directory / "ca.crt", ca_key, directory / "server.crt", directory / "server.key")
    if all(path.exists() for path in pki_files):
        return Pki(directory, Pair(pki_files[0].read_bytes(), ca_key.read_bytes()))
    authority = _make_authority()
    server = _issue(authority, "kube-apiserver", (), server=True)
    contents = (authority.certificate, authority.key, server.certificate, server.key)
    for path, content in zip(pki_files, contents):
        _write_private(path, content)
    return Pki(directory, authority)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _name(common: str, organizations: t.Sequence[str]) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, each) for each in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFE)
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    from cryptography.hazmat.primitives import serialization

    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _make_authority() -> Pair:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("calico-ops-twin-ca", ())
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        _builder(name, name, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def _issue(authority: Pair, common: str, organizations: t.Sequence[str], *, server: bool) -> Pair:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    signer = t.cast(ec.EllipticCurvePrivateKey, serialization.load_pem_private_key(authority.key, None))
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = (
        _builder(_name(common, organizations), issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if server:
        names: list[x509.GeneralName] = [
            x509.DNSName(each) for each in ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
        ]
        names += [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def encoded(content: bytes) -> str:
    """Base64, as a kubeconfig's ``*-data`` fields have it."""
    return base64.b64encode(content).decode()
