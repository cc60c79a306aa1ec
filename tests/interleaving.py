# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several writers on one API, changing over at every request, in an order that a seed fixes.

    baton = Baton(seed=7)
    baton.run([lambda: first(SwitchingApi(api, baton)), lambda: second(SwitchingApi(api, baton))])

Each writer is a thread, but only the one that holds the baton runs, and it is passed on only right before a
request: the same seed gives the same history, so a failure can be looked at again.
"""

from __future__ import annotations

import random
import threading
import typing as t

_LIMIT_SECONDS = 60


class Baton:
    """``stay``: how probable it is that the holder keeps it at a request."""

    def __init__(self, seed: int, stay: float = 0.3) -> None:
        self._random = random.Random(seed)
        self._stay = stay
        self._gates: dict[int, threading.Semaphore] = {}
        self._running: list[int] = []
        self._errors: list[BaseException] = []
        self._done = threading.Event()
        self._local = threading.local()

    def run(self, jobs: t.Sequence[t.Callable[[], object]]) -> None:
        """Run the jobs to their ends; the first error of one is raised."""
        self._running = list(range(len(jobs)))
        self._gates = {number: threading.Semaphore(0) for number in self._running}
        threads = [threading.Thread(target=self._job, args=(n, job), daemon=True) for n, job in enumerate(jobs)]
        for thread in threads:
            thread.start()
        self._pass_on()
        if not self._done.wait(_LIMIT_SECONDS):
            raise TimeoutError("the writers did not come to an end")
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def switch(self) -> None:
        """Perhaps let another writer go on first. Outside ``run`` nothing happens."""
        number = getattr(self._local, "number", None)
        if number is None or len(self._running) < 2 or self._random.random() < self._stay:
            return
        chosen = self._random.choice(self._running)
        if chosen != number:
            self._gates[chosen].release()
            self._gates[number].acquire()

    def _pass_on(self) -> None:
        self._gates[self._random.choice(self._running)].release()

    def _job(self, number: int, job: t.Callable[[], object]) -> None:
        self._local.number = number
        self._gates[number].acquire()
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised again in run()
            self._errors.append(error)
        self._running.remove(number)
        if self._running:
            self._pass_on()
        else:
            self._done.set()


class SwitchingApi:
    """A ``KubeApi`` at whose every request another writer may act first."""

    def __init__(self, api: t.Any, baton: Baton) -> None:
        self._api = api
        self._baton = baton

    def __getattr__(self, name: str) -> t.Any:
        call = getattr(self._api, name)
        if name not in ("get", "list", "create", "replace", "patch", "delete"):
            return call

        def request(*arguments: t.Any, **options: t.Any) -> t.Any:
            self._baton.switch()
            return call(*arguments, **options)

        return request
