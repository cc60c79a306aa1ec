# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import (
    Pool,
    default_spec,
    pool_from_object,
    pool_from_spec,
)

BOTH = ["Workload", "Tunnel"]


def written(**fields):
    """What the client stores beside the fields given: spec ippool.md §4.1."""
    return {
        "ipipMode": "Never",
        "vxlanMode": "Never",
        "nodeSelector": "all()",
        "allowedUses": BOTH,
        "assignmentMode": "Automatic",
        **fields,
    }


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"cidr": "172.22.0.0/16"}, written(cidr="172.22.0.0/16", blockSize=26)),
        (
            {"cidr": "fd77:5::/48", "vxlanMode": "Always"},
            written(cidr="fd77:5::/48", blockSize=122, vxlanMode="Always"),
        ),
        ({"cidr": "FD77:0:0:0::/64"}, written(cidr="fd77::/64", blockSize=122)),
        ({"cidr": "172.16.0.0/012", "blockSize": 0}, written(cidr="172.16.0.0/12", blockSize=26)),
        ({"cidr": "10.0.0.0/16", "blockSize": 28}, written(cidr="10.0.0.0/16", blockSize=28)),
        (
            {"cidr": "10.0.0.0/16", "nodeSelector": "", "ipipMode": "", "vxlanMode": "", "allowedUses": []},
            written(cidr="10.0.0.0/16", blockSize=26),
        ),
        (
            {"cidr": "10.0.0.0/16", "assignmentMode": None, "disabled": None, "blockSize": None},
            written(cidr="10.0.0.0/16", blockSize=26),
        ),
        (
            {"cidr": "10.0.0.0/16", "natOutgoing": False, "disabled": False, "disableBGPExport": False},
            written(cidr="10.0.0.0/16", blockSize=26),
        ),
        (
            {"cidr": "10.0.0.0/16", "natOutgoing": True, "disabled": True, "disableBGPExport": True},
            written(cidr="10.0.0.0/16", blockSize=26, natOutgoing=True, disabled=True, disableBGPExport=True),
        ),
        # What breaks a rule is left for the validation to name.
        ({"cidr": "172.22.0.9/16"}, written(cidr="172.22.0.9/16", blockSize=26)),
        ({"cidr": "no cidr"}, written(cidr="no cidr")),
        ({"cidr": "10.0.0.0/16", "assignmentMode": ""}, written(cidr="10.0.0.0/16", blockSize=26, assignmentMode="")),
        ({"cidr": "10.0.0.0/16", "colour": "red"}, written(cidr="10.0.0.0/16", blockSize=26, colour="red")),
        ({}, written()),
    ],
)
def test_write_defaults(given, stored):
    before = dict(given)
    assert default_spec(given) == stored
    assert default_spec(stored) == stored
    assert given == before


@pytest.mark.parametrize(("cidr", "size"), [("10.0.0.0/16", 26), ("fd00::/64", 122)])
def test_read_defaults(cidr, size):
    assert pool_from_spec("web", {"cidr": cidr}) == Pool("web", parse_network(cidr), size)
    explicit = default_spec({"cidr": cidr})
    assert pool_from_spec("web", explicit) == pool_from_spec("web", {"cidr": cidr})


def test_every_field_is_read():
    spec = {
        "cidr": "10.0.0.0/16",
        "blockSize": 28,
        "ipipMode": "Always",
        "vxlanMode": "Never",
        "natOutgoing": True,
        "disabled": True,
        "disableBGPExport": True,
        "nodeSelector": "has(a)",
        "namespaceSelector": "has(b)",
        "allowedUses": ["Workload"],
        "assignmentMode": "Manual",
    }
    assert pool_from_spec("web", spec) == Pool(
        name="web",
        cidr=parse_network("10.0.0.0/16"),
        block_size=28,
        ipip_mode="Always",
        vxlan_mode="Never",
        nat_outgoing=True,
        disabled=True,
        disable_bgp_export=True,
        node_selector="has(a)",
        namespace_selector="has(b)",
        allowed_uses=frozenset({"Workload"}),
        assignment_mode="Manual",
    )


def test_stored_host_bits_are_cleared():
    assert str(pool_from_spec("web", {"cidr": "10.0.7.1/16"}).cidr) == "10.0.0.0/16"


@pytest.mark.parametrize("cidr", [None, "", "no cidr", 5, "::ffff:10.0.0.0/112"])
def test_a_stored_pool_without_a_cidr_names_itself(cidr):
    with pytest.raises(InvalidInput, match="Pool 'web': cidr") as caught:
        pool_from_spec("web", {"cidr": cidr})
    assert caught.value.field == "cidr"


@pytest.mark.parametrize(
    ("thing", "enabled"),
    [
        ({}, True),
        ({"spec": {"disabled": True}}, False),
        ({"metadata": {"deletionTimestamp": "2026-08-20T09:14:05Z"}}, False),
        ({"status": {"conditions": [{"type": "Allocatable", "status": "False"}]}}, False),
        ({"status": {"conditions": [{"type": "Allocatable", "status": "True"}]}}, True),
        ({"status": {"conditions": [{"type": "Other", "status": "False"}]}}, True),
        ({"status": None}, True),
    ],
)
def test_enabled_from_the_whole_object(thing, enabled):
    pool = pool_from_object(
        {
            "metadata": {"name": "web", **thing.get("metadata", {})},
            "spec": {"cidr": "10.0.0.0/16", **thing.get("spec", {})},
            "status": thing.get("status"),
        }
    )
    assert pool.name == "web"
    assert pool.enabled is enabled


def test_blocks_of_a_pool():
    pool = Pool("web", parse_network("192.168.0.0/16"), 28)
    assert (pool.version, pool.block_count, pool.addresses_per_block) == (4, 4096, 16)
    assert Pool("tiny", parse_network("192.168.0.0/28"), 26).block_count == 0
