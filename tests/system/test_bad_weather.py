# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An API server that is started again, overload and credentials that change, at any moment of a procedure or its undo.

With the client's own patience (``bad_weather.py``): what passes soon is not noticed, and the lock is kept. What does
not ends in one sentence, after which a new run finishes. By day a few moments, all parts of a run at night.
"""

from __future__ import annotations

import functools
import os
import typing as t

import pytest
from bad_weather import GroupDown, NewToken, Overload, Restart, Weather, bad_weather
from procedures import MIGRATE, RESIZE, rollback
from simulation import Killed, SimulatedApi, Write, simulate, with_calico
from test_faults import POOL, attempt, finish, harmless, migrate, resize
from twin_fixture import local_twin

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.installation import calico_api
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.resources import DEPLOYMENTS, IP_POOLS, LEASES
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

NIGHTLY = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
# Requests between two moments at night; a procedure has about a thousand.
STRIDE = 19
Work = t.Callable[[t.Any], object]


def undo_migrate(api: t.Any) -> object:
    return rollback(api, MIGRATE, POOL)


def undo_resize(api: t.Any) -> object:
    return rollback(api, RESIZE, POOL)


FORWARD: dict[Work, Work] = {undo_migrate: migrate, undo_resize: resize}


def prepared(work: Work, installation: str = "crd_v1") -> Twin:
    """The small cluster; for an undo, in the middle of the drain of what is undone."""
    twin = local_twin("small", installation=installation)
    if work in FORWARD:

        def die(write: Write) -> None:
            if write.resource == DEPLOYMENTS:
                raise Killed(str(write))

        with pytest.MonkeyPatch.context() as patches:
            simulate(patches)
            with pytest.raises(Killed):
                FORWARD[work](with_calico(SimulatedApi(twin, after=die)))
    return twin


def run(twin: Twin, work: Work, weather: Weather) -> str:
    """The sentence it ends with; "" when it was carried out."""
    with bad_weather(twin, weather) as api:
        try:
            work(calico_api(api))
        except IpamError as error:
            assert error.message.strip() == error.message != "" and "\n" not in error.message
            return error.message
    return ""


@functools.cache
def requests(work: Work) -> range:
    """The numbers of a run's requests after it has the lock: nobody waits for a server that has never answered."""
    sunny = Weather(10**9)
    assert run(prepared(work), work, sunny) == ""
    return range(sunny.locked_at + 1, sunny.asked)


def moments(work: Work, turn: int) -> t.Sequence[int]:
    """Numbers of requests at which it begins to rain."""
    found = requests(work)
    return found[turn::STRIDE] if NIGHTLY else [found[len(found) * (2 * turn + 1) // 9]]


def as_it_was(twin: Twin) -> None:
    (pool,) = SimulatedApi(twin).list(IP_POOLS).items
    assert pool["metadata"]["name"] == POOL and not pool["spec"].get("disabled")
    assert [each for each in SimulatedApi(twin).list(LEASES).items if "calico-ops" in each["metadata"]["name"]] == []


WORKS = [migrate, resize, undo_migrate, undo_resize]


def cases(kinds: t.Mapping[str, t.Callable[[int], Weather]], first: int) -> list[t.Any]:
    """Each work in each weather at night; by day each weather once, each time in another work."""
    return [
        pytest.param(work, weather, turn, id=f"{name}-{work.__name__}")
        for turn, (name, weather) in enumerate(kinds.items())
        for number, work in enumerate(WORKS)
        if NIGHTLY or (first + turn) % len(WORKS) == number
    ]


# The client's patience is enough for these, and nobody notices.
SOON: dict[str, t.Callable[[int], Weather]] = {
    "restart": lambda number: Restart(number, seconds=40),
    "overload": lambda number: Overload(number, seconds=4),
    "token": NewToken,
    "plugin": lambda number: NewToken(number, failures=2),
}
# Not for these.
LATE: dict[str, t.Callable[[int], Weather]] = {
    "restart": lambda number: Restart(number, seconds=300),
    "overload": lambda number: Overload(number, seconds=300),
    "plugin": lambda number: NewToken(number, failures=None),
}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("work", "weather", "turn"), cases(SOON, 0))
def test_what_passes_is_not_noticed(work: Work, weather: t.Callable[[int], Weather], turn: int) -> None:
    for number in moments(work, turn):
        twin, rain = prepared(work), weather(number)
        assert run(twin, work, rain) == "", (number, rain.hits)
        assert rain.begun is not None
        harmless(twin)
        if work in FORWARD:
            as_it_was(twin)
        else:
            end(twin, work)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("work", "weather", "turn"), cases(LATE, 1))
def test_what_does_not_pass_is_said(work: Work, weather: t.Callable[[int], Weather], turn: int) -> None:
    # The last requests are for the lock, which is as good as given back.
    for number in [each for each in moments(work, turn) if each < requests(work).stop - 20]:
        twin, rain = prepared(work), weather(number)
        assert run(twin, work, rain) != "", number
        harmless(twin)
        twin.clock.advance(300)
        end(twin, work)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("work", WORKS if NIGHTLY else WORKS[1:3])
@pytest.mark.parametrize("seconds", [8, 300])
def test_calicos_api_server_goes_away(work: Work, seconds: float) -> None:
    """What is read meanwhile is waited for; what cannot be written is said, and a new run finishes."""
    for number in moments(work, 3 if seconds == 8 else 2):
        twin, rain = prepared(work, "apiserver"), GroupDown(number, seconds=seconds)
        said = run(twin, work, rain)
        assert said or seconds == 8 or number > requests(work).stop - 20, number
        harmless(twin)
        twin.clock.advance(300)
        end(twin, work)


def end(twin: Twin, work: Work) -> None:
    """A new run, in good weather."""
    with pytest.MonkeyPatch.context() as patches:
        simulate(patches)
        if work not in FORWARD:
            finish(twin, work)
            return
        assert attempt(work, SimulatedApi(twin)) == ""
        as_it_was(twin)
