# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.formats import FORMATS


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "cidr",
            ["10.0.0.0/8", "10.0.0.9/8", "010.0.0.0/08", "fd00::/64"],
            ["10.0.0.0", "10.0.0.0/33", "x/8", "fe80::1%e/64", "10.0.0.0/ 8"],
        ),
        ("ipv4", ["10.0.0.1"], ["10.0.0", "::1", "10.0.0.256"]),
        ("ipv6", ["::1", "fd00::"], ["10.0.0.1", "fe80::1%eth0", ":::"]),
        (
            "date-time",
            ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456+01:00"],
            ["2026-01-02", "2026-13-02T03:04:05Z", "2026-01-02T03:04:05", "now"],
        ),
        ("date", ["2026-01-02"], ["2026-1-2", "2026-13-01"]),
        ("duration", ["1h30m", "90s", "1.5h", "0"], ["1", "h", "1 h"]),
        ("byte", ["aGk=", ""], ["aGk", "!!"]),
        ("uuid", ["7b0d0000-0000-4000-8000-000000000000"], ["7b0d"]),
        ("mac", ["00:11:22:33:44:55"], ["00:11:22:33:44"]),
        ("hostname", ["a.example.com", "node-1"], ["-a", "a..b"]),
        ("email", ["a@b"], ["a"]),
        ("uri", ["https://example.com/x"], ["no uri"]),
    ],
)
def test_formats(name, good, bad):
    assert [text for text in good if not FORMATS[name](text)] == []
    assert [text for text in bad if FORMATS[name](text)] == []
