# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import (
    Address,
    Network,
    covering,
    format_address,
    parse_address,
    parse_network,
    parse_range,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput

PROFILE = settings(derandomize=True, max_examples=80, deadline=None)

# Texts and what Calico's client stores for them: spec ippool.md §3.4.
CANONICAL = [
    ("172.22.0.0/15", "172.22.0.0/15"),
    ("172.16.0.0/012", "172.16.0.0/12"),
    ("FD77:0:0:0::/64", "fd77::/64"),
    ("2001:0DB8:0:0:8::/80", "2001:db8:0:0:8::/80"),
    ("2001:db8:0:1:0:0:0:0/64", "2001:db8:0:1::/64"),
    ("1:0:0:2:0:0:3:0/112", "1::2:0:0:3:0/112"),
    ("::/0", "::/0"),
    ("0.0.0.0/0", "0.0.0.0/0"),
    ("10.0.0.1/32", "10.0.0.1/32"),
    ("::102:304/128", "::102:304/128"),
    ("64:ff9b::192.0.2.0/120", "64:ff9b::c000:200/120"),
]

NO_CIDR = [
    "",
    "/",
    "10.0.0.0",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/+8",
    "10.0.0.0/8 ",
    " 10.0.0.0/8",
    "10.0.0/8",
    "10.0.0.256/32",
    "10.0.0.0.0/8",
    "10..0.0/8",
    "10.0.0.-1/32",
    "10.0.0.0001/32",
    "00.0.0.0/8",
    "1:2:3:4:5:6:7:8:9/128",
    "12345::/16",
    "010.0.0.0/8",
    "10.0.0.0/8/8",
    "10.0.0.0/a",
    "10.0.0.0/\u0668",
    "10.0.0.0/255.0.0.0",
    "fd00::/129",
    "fd00::%eth0/64",
    "fd00:::/64",
    "fd00::1::/64",
    "10.0.0.0/" + "9" * 5000,
    "\x00::/8",
    "\u0661.0.0.0/8",
    None,
    8,
    ["10.0.0.0/8"],
]


@pytest.mark.parametrize(("text", "stored"), CANONICAL)
def test_canonical_text(text, stored):
    assert str(parse_network(text)) == stored
    assert parse_network(stored) == parse_network(text)


@pytest.mark.parametrize("text", NO_CIDR)
def test_not_a_cidr(text):
    with pytest.raises(InvalidInput) as caught:
        parse_network(text, field="spec.cidr")
    assert caught.value.rule == "V2"
    assert caught.value.field == "spec.cidr"
    assert caught.value.message.startswith("spec.cidr ")


@pytest.mark.parametrize(
    ("text", "right"),
    [("172.22.0.0/07", "172.0.0.0/7"), ("172.22.0.9/16", "172.22.0.0/16"), ("fd00::1/64", "fd00::/64")],
)
def test_host_bits(text, right):
    with pytest.raises(InvalidInput, match=right) as caught:
        parse_network(text)
    assert caught.value.rule == "V4"
    assert str(parse_network(text, strict=False)) == right


@pytest.mark.parametrize("text", ["::ffff:172.22.0.0/112", "::FFFF:ac16:0/112"])
def test_mapped_is_an_error_that_shows_the_ipv4_form(text):
    with pytest.raises(InvalidInput, match=r"IPv4-mapped.*172\.22\.0\.0"):
        parse_network(text)
    with pytest.raises(InvalidInput, match="IPv4-mapped"):
        parse_address(text.partition("/")[0])


def test_address_text():
    assert parse_address("10.77.4.8") == Address(4, 0x0A4D0408)
    assert str(parse_address("FD00:0::1")) == "fd00::1"
    for text in ("10.77.4.8/32", "10.77.4", "", None, "fe80::1%1", "10.77.4.08"):
        with pytest.raises(InvalidInput):
            parse_address(text)
    assert format_address(6, 0xFFFF_0A00_0001) == "::ffff:a00:1"


def test_range_takes_addresses_and_host_bits():
    assert str(parse_range("10.77.4.9/30")) == "10.77.4.8/30"
    assert str(parse_range("10.77.4.9")) == "10.77.4.9/32"
    assert str(parse_range("fd00::9")) == "fd00::9/128"
    for text in ("gateway", "10.0.0.0/40", None):
        with pytest.raises(InvalidInput):
            parse_range(text)


def test_arithmetic_of_a_network():
    pool = parse_network("10.77.4.0/24")
    assert (pool.size, pool.bits, str(pool.first), str(pool.last)) == (256, 32, "10.77.4.0", "10.77.4.255")
    assert pool.count(30) == 64
    assert pool.count(23) == 0
    assert str(pool.subnet(2, 30)) == "10.77.4.8/30"
    assert [str(net) for net in pool.subnets(25)] == ["10.77.4.0/25", "10.77.4.128/25"]
    assert list(pool.subnets(20)) == []
    block = pool.block_of(parse_address("10.77.4.10"), 30)
    assert str(block) == "10.77.4.8/30"
    assert block.ordinal(parse_address("10.77.4.10")) == 2
    assert str(block.address(3)) == "10.77.4.11"
    with pytest.raises(ValueError, match="is not in"):
        pool.block_of(parse_address("10.77.5.0"), 30)
    with pytest.raises(ValueError, match="is not in"):
        block.ordinal(parse_address("10.77.4.12"))
    with pytest.raises(IndexError):
        pool.subnet(64, 30)
    with pytest.raises(IndexError):
        block.address(4)


def test_families_never_meet():
    assert not parse_network("0.0.0.0/0").overlaps(parse_network("::/0"))
    assert not parse_network("::/0").contains(parse_address("10.0.0.1"))


def test_covering_drops_what_lies_inside():
    texts = ["10.0.1.0/24", "10.0.0.0/23", "10.0.2.0/24", "10.0.1.7/32", "10.0.2.0/24", "fd00::/64"]
    assert [str(net) for net in covering(map(parse_network, texts))] == ["10.0.0.0/23", "10.0.2.0/24", "fd00::/64"]


addresses = st.one_of(
    st.builds(Address, st.just(4), st.integers(0, 2**32 - 1)),
    st.builds(Address, st.just(6), st.integers(0, 2**128 - 1).filter(lambda value: value >> 32 != 0xFFFF)),
)


@st.composite
def networks(draw):
    address = draw(addresses)
    network = address.network(draw(st.integers(0, address.bits)))
    return network if network.value >> 32 != 0xFFFF else Network(6, 0, 0)


def standard(network):
    """The same network in Python's own words: the model to compare with."""
    factory = ipaddress.IPv4Network if network.version == 4 else ipaddress.IPv6Network
    return factory((network.value, network.prefix))


@PROFILE
@given(networks())
def test_text_round_trip(network):
    assert parse_network(str(network)) == network
    assert str(network) == str(standard(network))
    assert parse_address(str(network.first)) == network.first


@PROFILE
@given(networks(), networks(), addresses)
def test_relations_agree_with_the_standard_library(one, two, address):
    assert one.overlaps(two) == two.overlaps(one)
    assert one.overlaps(two) == (one.contains(two) or two.contains(one))
    if one.version == two.version:
        assert one.overlaps(two) == standard(one).overlaps(standard(two))
        assert one.contains(two) == standard(two).subnet_of(standard(one))
    assert one.contains(address) == (one.version == address.version and one.value <= address.value <= one.end)


@PROFILE
@given(networks(), st.data())
def test_every_address_lies_in_exactly_its_block(network, data):
    prefix = data.draw(st.integers(network.prefix, network.bits))
    address = network.address(data.draw(st.integers(0, network.size - 1)))
    block = network.block_of(address, prefix)
    assert network.contains(block)
    assert block.contains(address)
    assert block.address(block.ordinal(address)) == address
    assert network.subnet((block.value - network.value) // block.size, prefix) == block
    assert network.count(prefix) * block.size == network.size


@PROFILE
@given(st.text(max_size=60))
def test_any_text_is_a_network_or_one_sentence(text):
    try:
        assert str(parse_network(text, strict=False)).count("/") == 1
    except InvalidInput as error:
        assert error.message.endswith(".")
