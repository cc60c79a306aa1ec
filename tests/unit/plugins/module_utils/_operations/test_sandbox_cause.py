# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.sandbox_cause import sandbox_cause

HEAD = 'Failed to create pod sandbox: failed to setup network for sandbox "5e1f": plugin type="calico" failed (add): '


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Calico is currently not ready to process requests", "datastore is locked"),
        ("The requested pool 10.0.0.0/16 does not exist, or is not enabled.", "is asked for that is disabled or gone"),
        ("the given pool (10.0.0.0/16) does not exist, or is not enabled", "is asked for that is disabled or gone"),
        ("no configured Calico pools for node node-1", "no enabled pool selects the node"),
        ("No enabled IPv4 pool selects this node and namespace: none of 'a'", "no enabled pool selects the node"),
        ("There is no enabled IPv4 pool.", "no enabled pool of that IP version"),
        ("Host node-1 owns 20 IPv4 block(s) and may not own more than 20.", "as many blocks as it may have"),
        ("failed to request IP addresses: Assigned 0 of 1 IPv4 address(es).", "no address left for this node"),
        ("Assigned 0 out of 1 requested IPv4 addresses; No more free affine blocks", "no address left for this node"),
        ("error getting ClusterInformation: dial tcp 10.96.0.1:443: i/o timeout", "could not reach the Kubernetes API"),
        ("stat /var/lib/calico/nodename: no such file or directory", "not set up on that node"),
        ("something nobody has ever seen", ""),
    ],
)
def test_what_an_event_means(text: str, cause: str) -> None:
    found = sandbox_cause(HEAD + text)
    assert cause in found and bool(found) == bool(cause)
