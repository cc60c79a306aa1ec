# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cel import compile_rules, evaluate
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cel_network import parse_cidr, parse_ip


def verdict(expression, value="x"):
    causes = []
    rules = compile_rules({"x-kubernetes-validations": [{"rule": expression}]})
    evaluate(rules, value, None, "f", has_old=False, unchanged=False, causes=causes)
    return [cause.message for cause in causes]


@pytest.mark.parametrize(
    "expression",
    [
        "cidr('10.0.0.0/8').ip().family() == 4",
        "cidr('fd00::/8').ip().family() == 6",
        "cidr('10.0.0.9/8').masked() == cidr('10.0.0.0/8')",
        "cidr('10.0.0.9/8') != cidr('10.0.0.9/8').masked()",
        "cidr('FD77:0:0:0::/64') == cidr('fd77::/64')",
        "cidr('10.0.0.0/8').prefixLength() == 8",
        "cidr('10.0.0.0/8').containsIP('10.1.2.3')",
        "cidr('10.0.0.0/8').containsIP(ip('10.1.2.3'))",
        "cidr('10.0.0.0/8').containsIP(cidr('10.3.0.0/16').ip())",
        "!cidr('10.0.0.0/8').containsIP('11.0.0.0')",
        "!cidr('10.0.0.0/8').containsIP('fd00::1')",
        "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
        "cidr('10.0.0.0/8').containsCIDR(cidr('10.0.0.0/8'))",
        "!cidr('10.1.0.0/16').containsCIDR('10.0.0.0/8')",
        "!cidr('10.1.0.0/16').containsCIDR('fd00::/16')",
        "isCIDR('10.0.0.0/8') && !isCIDR('10.0.0.0') && !isCIDR('x/8')",
        "isIP('::1') && isIP('127.0.0.1') && !isIP('127.0.0.01') && !isIP('::ffff:1.2.3.4') && !isIP('fe80::1%eth0')",
        "ip('127.0.0.1').isLoopback() && ip('0.0.0.0').isUnspecified() && ip('fe80::1').isLinkLocalUnicast()",
        "ip('8.8.8.8').isGlobalUnicast() && !ip('224.0.0.1').isGlobalUnicast()",
    ],
)
def test_true(expression):
    assert verdict(expression) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.0", "netip.ParsePrefix(\"10.0.0.0\"): no '/'"),
        ("10.0.0.0/08", 'netip.ParsePrefix("10.0.0.0/08"): bad bits after slash: "08"'),
        ("10.0.0.0/+8", 'netip.ParsePrefix("10.0.0.0/+8"): bad bits after slash: "+8"'),
        ("10.0.0.0/33", 'netip.ParsePrefix("10.0.0.0/33"): prefix length out of range'),
        ("10.0.0.01/8", 'netip.ParsePrefix("10.0.0.01/8"): ParseAddr("10.0.0.01"): unable to parse IP'),
        ("fe80::1%eth0/64", 'netip.ParsePrefix("fe80::1%eth0/64"): IPv6 zones cannot be present in a prefix'),
        ("::ffff:10.0.0.0/104", 'IPv4-mapped IPv6 address "::ffff:10.0.0.0" is not allowed'),
    ],
)
def test_texts_that_are_no_network(text, why, capfd):
    with pytest.raises(ValueError, match="^") as caught:
        parse_cidr(text)
    assert str(caught.value) == why
    message = f"Invalid value: network address parse error during conversion from string: {why} evaluating rule: isCIDR"
    rule = f"cidr('{text}').prefixLength() > 0"
    assert verdict(rule) == [message.replace("isCIDR", rule)]
    capfd.readouterr()


def test_addresses():
    assert str(parse_ip("FD00::1")) == "fd00::1"
    for text in ("", "1.2.3", "fe80::1%1", "::ffff:1.2.3.4", "1.2.3.04"):
        with pytest.raises(ValueError, match="address|unable"):
            parse_ip(text)
