# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of an API server that are about a rule, and those that are not (spec ippool.md §3.1, §3.2)."""

from __future__ import annotations

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    Invalid,
    ServerError,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.pool_answers import as_broken_rule

INSIDE = 'IPPool.crd.projectcalico.org "teal" is invalid: '
SPEC = {"cidr": "10.7.0.0/16", "blockSize": 26, "ipipMode": "Always", "vxlanMode": "Never", "nodeSelector": "all()"}


@pytest.mark.parametrize(
    ("text", "rule", "field"),
    [
        ("spec: Invalid value: IPPool CIDR must be strictly masked", "V4", "cidr"),
        ("spec: Invalid value: IPPool CIDR overlaps with IPv4 link local range 169.254.0.0/16", "V5", "cidr"),
        ("spec: Invalid value: IPPool CIDR overlaps with IPv6 link local range fe80::/10", "V6", "cidr"),
        ("spec: Invalid value: blockSize must be between 20 and 32 for IPv4 pools", "V7", "blockSize"),
        ("spec: Invalid value: IP pool size is too small for use with Calico IPAM.", "V8", "cidr"),
        ("spec: Forbidden: ipipMode and vxlanMode cannot both be enabled", "V9", "vxlanMode"),
        ("spec: Forbidden: IPIP is not supported on IPv6 pools", "V10", "ipipMode"),
        ('spec.vxlanMode: Unsupported value: "Sometimes"', "V11", "vxlanMode"),
        ("spec: Forbidden: LoadBalancer cannot be combined with Workload or Tunnel allowed uses", "V13", "allowedUses"),
        (
            "spec: Forbidden: IP Pool with AllowedUse Tunnel cannot have namespaceSelector",
            "V17",
            "namespaceSelector",
        ),
        ("spec: Invalid value: global() selector is not valid for IPPool nodeSelector", "V19", "nodeSelector"),
        ("spec.cidr: Invalid value: CIDR cannot be changed; follow IP pool migration guide", "V21", "cidr"),
        ("spec.blockSize: Invalid value: Block size cannot be changed; follow IP pool migration", "V22", "blockSize"),
        ("IPPool(teal) CIDR overlaps with IPPool(blue) CIDR 10.7.0.0/17", "V24", "cidr"),
        ("IPPool(teal) blocksize conflicts with existing allocations", "V25", "blockSize"),
    ],
)
def test_the_rule_in_an_answer(text: str, rule: str, field: str) -> None:
    for error in (Invalid(INSIDE + text, 422, "Invalid"), ServerError(INSIDE + text, 500, "InternalError")):
        found = as_broken_rule(error, "teal", SPEC)
        assert found is not None
        assert (found.rule, found.field) == (rule, field)
        assert "pool 'teal'" in found.message and "\n" not in found.message


def test_a_cause_names_the_field() -> None:
    causes = {"details": {"causes": [{"field": "IPPool.Spec.NodeSelector", "message": "invalid"}]}}
    found = as_broken_rule(
        Invalid("error with field NodeSelector = 'x' (invalid)", 422, "Invalid", causes), "teal", SPEC
    )
    assert found is not None
    assert (found.rule, found.field) == ("V18", "nodeSelector")


def test_an_unknown_field() -> None:
    error = BadRequest('strict decoding error: unknown field "spec.blocksize"', 400, "BadRequest")
    found = as_broken_rule(error, "teal", SPEC)
    assert found is not None
    assert (found.rule, found.field) == ("unknown", "spec.blocksize")


@pytest.mark.parametrize(
    "error",
    [
        ServerError("etcdserver: request timed out", 500, "InternalError"),
        ServerError("the server is currently unable to handle the request", 503, "ServiceUnavailable"),
        Forbidden("ippools is forbidden: cidr must be a valid subnet", 403, "Forbidden"),
        ServerError("blockSize must be between 20 and 32", 504, "Timeout"),
    ],
)
def test_what_is_no_rule(error: ApiError) -> None:
    assert as_broken_rule(error, "teal", SPEC) is None
