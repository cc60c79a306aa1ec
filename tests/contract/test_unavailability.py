# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Section 16: overload and unavailability, which only a twin shows on demand."""

from __future__ import annotations

import pytest
import urllib3
from wire import Cluster, config_map, unique


@pytest.fixture
def faulty(twin: Cluster) -> Cluster:
    twin.delete("/twin/v1/faults")
    return twin


def test_a_refusal_on_demand(faulty: Cluster, maps: str) -> None:
    rule = {"verb": "get", "resource": "configmaps", "code": 429, "retryAfterSeconds": 1}
    faulty.post("/twin/v1/faults", rule).made()
    answer = faulty.get(f"{maps}/x")
    answer.refused(429, "TooManyRequests")
    assert answer.headers["Retry-After"] == "1"
    faulty.get(f"{maps}/x").refused(404, "NotFound")


@pytest.mark.parametrize(
    ("code", "text", "retry"),
    [(429, "Too many requests, please try again later.", 1), (503, "service unavailable", None)],
)
def test_overload_and_a_broken_aggregated_api_are_plain_text(
    faulty: Cluster, maps: str, code: int, text: str, retry: int | None
) -> None:
    rule = {"verb": "list", "resource": "configmaps", "code": code, "text": text}
    faulty.post("/twin/v1/faults", {**rule, **({"retryAfterSeconds": retry} if retry else {})}).made()
    answer = faulty.get(maps)
    assert (answer.status, answer.media_type, answer.text.strip()) == (code, "text/plain", text)
    assert answer.headers.get("Retry-After") == (str(retry) if retry else None)


@pytest.mark.parametrize(("when", "carried_out"), [("before", False), ("after", True)])
def test_a_lost_answer(faulty: Cluster, maps: str, when: str, carried_out: bool) -> None:
    name = unique("lost")
    faulty.post("/twin/v1/faults", {"verb": "create", "resource": "configmaps", "drop": when}).made()
    with pytest.raises(urllib3.exceptions.HTTPError):
        faulty.post(maps, config_map(name))
    again = faulty.post(maps, config_map(name))
    if carried_out:
        again.refused(409, "AlreadyExists")
    else:
        again.made()


def test_a_watch_expires_on_demand(faulty: Cluster, maps: str) -> None:
    version = faulty.get(maps).version
    faulty.post("/twin/v1/faults", {"verb": "watch", "resource": "configmaps", "expire": True}).made()
    (event,) = list(faulty.watch(maps, 5, resourceVersion=version))
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
