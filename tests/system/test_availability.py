# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docs/guides/availability.md claims about three ways of moving all pods, in small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from simulation import simulate
from three_ways import WAYS, Noticed, delete_all, move, node_by_node, our_drain, tutorial

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import PODS

NUMBER = re.compile(r"\d+")


@pytest.fixture(scope="module")
def noticed() -> dict[str, Noticed]:
    with pytest.MonkeyPatch.context() as patches:
        simulate(patches)
        return {name: move(*tutorial(), way) for name, way in WAYS.items()}


def test_the_claim(noticed: dict[str, Noticed]) -> None:
    ours, deleting, by_node = noticed.values()
    assert list(WAYS.values()) == [our_drain, delete_all, node_by_node]
    assert (ours.outages, ours.budgets, ours.left) == ({}, 0, 0)
    # The recipe takes everything away at once.
    assert (len(deleting.outages) > 5, deleting.budgets > 5, deleting.left) == (True, True, 0)
    # Draining nodes keeps to the budgets, and leaves DaemonSets and what its budget never lets go.
    assert (by_node.outages, by_node.budgets) == ({}, 0)
    assert by_node.left > 0
    assert by_node.seconds > 5 * ours.seconds
    # Nobody else starts as few pods, or has as few missing.
    assert ours.started <= min(deleting.started, by_node.started)
    assert ours.missing < min(deleting.missing, by_node.missing)
    assert sum(ours.single_outages.values()) < min(sum(each.single_outages.values()) for each in (deleting, by_node))


def test_the_guides_first_table(noticed: dict[str, Noticed]) -> None:
    """Each figure within a third of what the guide says; ``benchmarks/availability.py`` prints it anew."""
    text = (Path(__file__).parents[2] / "docs/guides/availability.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line[:2] == "| "]
    table = {row[0]: [float(number) for cell in row[1:] for number in NUMBER.findall(cell)] for row in rows[2:5]}
    assert list(table) == list(WAYS)
    for name, found in noticed.items():
        figures = [found.seconds]
        for outages in (found.outages, found.single_outages):
            figures += [len(outages), sum(outages.values())]
        figures += [found.missing, found.budgets, found.started, found.left]
        assert figures == [pytest.approx(figure, rel=0.34, abs=2.0) for figure in table[name]], name


def test_the_watch_counts_what_it_sees() -> None:
    """Against one deletion by hand, whose times are known."""
    twin, pool, network = tutorial()
    seen: list[float] = []

    def one(api: object, _pool: str) -> None:
        del api
        (pod,) = [each for each in twin.objects.list(PODS) if each["metadata"]["name"] == "prometheus-0"]
        uid, began = pod["metadata"]["uid"], twin.clock.monotonic()

        def ready(event: object) -> None:
            thing = event.object  # type: ignore[attr-defined]
            conditions = (thing.get("status") or {}).get("conditions") or []
            is_new = thing["metadata"]["name"] == "prometheus-0" and thing["metadata"]["uid"] != uid
            if is_new and not seen and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
                seen.append(twin.clock.monotonic() - began)

        twin.objects.subscribe(ready, PODS)
        twin.server.delete(PODS, "prometheus-0", "monitoring")

    result = move(twin, pool, network, one)
    assert result.single_outages == {"monitoring/StatefulSet prometheus": pytest.approx(seen[0])}
    assert result.missing == pytest.approx(seen[0])
    assert (result.outages, result.started, result.budgets) == ({}, 1, 0)
    assert result.seconds >= seen[0] - 1.0
