# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The ``format`` of strings in custom resource schemas.

An unknown format is not checked, as in the API server.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import typing as t

_DATE_TIME = re.compile(r"\d{4}-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)([.,]\d+)?([Zz]|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-(\d\d)-(\d\d)")
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)(((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*)|0")
_HOSTNAME = re.compile(r"(?=.{1,255}$)([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?\.?)+")
_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
_MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]*|/[^\s]*")
_LEADING_ZEROS = re.compile(r"(?<![0-9a-fA-F:])0+(?=[0-9])")


def is_date_time(text: str) -> bool:
    """RFC 3339 with a time zone."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return False
    month, day, hour, minute, second = (int(match.group(each)) for each in range(1, 6))
    return 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60


def is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    return match is not None and 1 <= int(match.group(1)) <= 12 and 1 <= int(match.group(2)) <= 31


def is_cidr(text: str) -> bool:
    """An address and a prefix length; host bits and leading zeros pass, a zone does not."""
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit() or "%" in address:
        return False
    parsed = _address(address)
    return parsed is not None and int(prefix) <= parsed.max_prefixlen


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text if ":" in text else _LEADING_ZEROS.sub("", text))
    except ValueError:
        return None


def is_ipv4(text: str) -> bool:
    return isinstance(_address(text), ipaddress.IPv4Address)


def is_ipv6(text: str) -> bool:
    return "%" not in text and isinstance(_address(text), ipaddress.IPv6Address)


def is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


FORMATS: t.Mapping[str, t.Callable[[str], bool]] = {
    "byte": is_base64,
    "cidr": is_cidr,
    "date": is_date,
    "date-time": is_date_time,
    "datetime": is_date_time,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "email": lambda text: _EMAIL.fullmatch(text) is not None,
    "hostname": lambda text: _HOSTNAME.fullmatch(text) is not None,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uri": lambda text: _URI.fullmatch(text) is not None,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
}
