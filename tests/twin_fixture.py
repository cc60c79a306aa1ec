# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Twins for tests: a real process with a kubeconfig, or one in this process with time moved by hand.

``start_twin`` is a plain function; use it in a fixture of your own, or take the fixture ``twin``::

    from twin_fixture import start_twin

    @pytest.fixture(scope="module")
    def small(tmp_path_factory):
        with start_twin(tmp_path_factory.mktemp("twin"), "small") as twin:
            yield twin
"""

from __future__ import annotations

import json
import os
import signal
import typing as t
from pathlib import Path

import pytest

from ansible_collections.calico_ops.ipam.plugins.module_utils._twin import process

if t.TYPE_CHECKING:
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin

Scenario = t.Union[str, Path, t.Sequence[t.Mapping[str, t.Any]]]


class TwinHandle:
    """A running twin process. ``stop()`` ends it, ``kill()`` ends it with SIGKILL, ``restart()`` starts it again."""

    def __init__(self, options: process.Options) -> None:
        self._options = options
        self.state = process.start(options)

    @property
    def kubeconfig(self) -> str:
        """The path of the administrator's kubeconfig."""
        return self.state.kubeconfig

    @property
    def url(self) -> str:
        return self.state.url

    @property
    def pid(self) -> int:
        return self.state.pid

    @property
    def data_dir(self) -> Path:
        return Path(self._options.data_dir)

    @property
    def etcd_endpoints(self) -> list[str]:
        """Where Calico's etcd is; empty when the Kubernetes API has its data."""
        return list(self.state.etcd_endpoints)

    @property
    def record_url(self) -> str:
        return self.state.url + "/twin/v1/record"

    def record(self) -> dict[str, t.Any]:
        """The availability record, see ``_twin/recorder.py``."""
        return t.cast("dict[str, t.Any]", process.ask(self.state, "/twin/v1/record"))

    def reset_record(self) -> None:
        """Begin a new record."""
        process.ask(self.state, "/twin/v1/record", {})

    def inject(self, *rules: t.Mapping[str, t.Any]) -> None:
        """Add fault rules, see ``_twin/faults.py``."""
        process.ask(self.state, "/twin/v1/faults", [dict(rule) for rule in rules])

    def faults(self) -> list[dict[str, t.Any]]:
        """The rules posted so far, with ``hits`` and what is left of each."""
        return t.cast("list[dict[str, t.Any]]", process.ask(self.state, "/twin/v1/faults")["rules"])

    def ask(self, path: str, body: t.Any = None) -> t.Any:
        """GET a path as administrator, or POST ``body`` to it."""
        return process.ask(self.state, path, body)

    def settle(self, seconds: float = 120.0) -> None:
        """Wait until every pod is as its owner wants it; ``seconds`` are virtual. The twin itself waits."""
        answer = process.ask(self.state, "/twin/v1/settle", {"seconds": seconds})
        if not answer["settled"]:
            raise AssertionError(f"the twin did not settle within {seconds} virtual seconds: {answer['waiting']}")

    def kill(self) -> None:
        """SIGKILL, as by the machine's out-of-memory killer."""
        os.kill(self.state.pid, signal.SIGKILL)
        process.stop(self.data_dir)

    def restart(self) -> None:
        """Start again on the same data directory; the port may be another one."""
        process.stop(self.data_dir)
        self.state = process.start(self._options)

    def stop(self) -> None:
        process.stop(self.data_dir)

    def __enter__(self) -> TwinHandle:
        return self

    def __exit__(self, *_details: object) -> None:
        self.stop()


def start_twin(
    tmp_path: Path,
    scenario: Scenario = "tutorial",
    *,
    speed: float = 50.0,
    seed: int | None = None,
    rbac: bool = False,
    port: int = 0,
    installation: str | None = None,
    operator: bool = False,
    etcd_endpoints: t.Sequence[str] = (),
) -> TwinHandle:
    """Start a twin process in ``tmp_path / "twin"``; ``scenario`` is a name, a path, or the documents of one.

    ``installation`` None is the scenario's own, which is crd_v1 if it does not say. With etcd, the
    handle's ``etcd_endpoints`` lead to Calico's data, in the etcd given here or in one of its own.
    """
    return TwinHandle(
        process.Options(
            data_dir=str(tmp_path / "twin"),
            scenario=_scenario_file(tmp_path, scenario),
            port=port,
            speed=speed,
            seed=seed,
            rbac=rbac,
            installation=installation,
            operator=operator,
            etcd_endpoints=tuple(etcd_endpoints),
        )
    )


def local_twin(
    scenario: Scenario = "small",
    *,
    seed: int | None = None,
    tmp_path: Path | None = None,
    installation: str | None = None,
    operator: bool = False,
    etcd_endpoints: t.Sequence[str] = (),
) -> Twin:
    """A twin in this process, settled, without HTTP; its clock stands still until ``twin.clock.advance()``."""
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.cluster import Twin
    from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.scenario import load, parse

    loaded = load(str(scenario)) if isinstance(scenario, (str, Path)) else parse(list(scenario))
    twin = Twin(
        tmp_path,
        loaded,
        speed=None,
        seed=seed,
        installation=installation,
        operator=operator,
        etcd_endpoints=etcd_endpoints,
    )
    twin.boot()
    return twin


@pytest.fixture
def twin(tmp_path: Path) -> t.Iterator[TwinHandle]:
    """The tutorial cluster, for one test."""
    with start_twin(tmp_path) as handle:
        yield handle


def _scenario_file(tmp_path: Path, scenario: Scenario) -> str:
    if isinstance(scenario, (str, Path)):
        return process.absolute_scenario(str(scenario))
    path = tmp_path / "scenario.yml"
    # JSON is YAML.
    path.write_text("".join(f"---\n{json.dumps(document)}\n" for document in scenario), encoding="utf-8")
    return str(path)
