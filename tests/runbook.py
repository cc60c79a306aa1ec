# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The roles of this collection, carried out in this process and in virtual time.

The tasks are read from the roles themselves and templated by Ansible; a task of one of our modules checks its
options by the module's own argument spec and calls the module's own ``operate``. What a role may say beyond that is
what ``Runbook`` knows, and anything else is an error of the test: nothing is passed over in silence.

Of Ansible's rules these matter: the ``when`` of a block holds for each of its tasks, asked anew before each of them;
that of an include is asked once; a skipped task registers that it was skipped; ``module_defaults`` of an inner block
win over those of an outer one, and a module's over those of its groups.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import typing as t
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest import mock

from ansible._internal._templating._jinja_bits import AnsibleEnvironment
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import filter_loader, lookup_loader
from ansible.template import Templar
from simulation import SimulatedApi, SimulatedClock, simulated, with_fence

from ansible_collections.calico_ops.ipam.plugins.filter import role_variables
from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import connection_argspec
from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.calico_api import CalicoApi
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import IpamError
from ansible_collections.calico_ops.ipam.plugins.module_utils._module import Context, plain
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations import journal_run
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.clock import SystemClock
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock import LockLost, attach
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.lock_process import Process
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.etcd_fence import fence_etcd

ROLES = Path(__file__).parents[1] / "roles"
OURS = "calico_ops.ipam."
# Seconds from one module to the next.
BETWEEN = 1.0
KEYWORDS = frozenset({"name", "when", "register", "vars", "block", "rescue", "module_defaults"})

Task = t.Dict[str, t.Any]
Variables = t.Dict[str, t.Any]


class Stopped(IpamError):
    """A role ended with this sentence."""


class _Failed(Exception):
    """A task failed; ``result`` is what Ansible would show of it."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result["msg"])
        self.result = result


@dataclass(frozen=True)
class Call:
    """One task that was carried out, with the options of its module after all defaults."""

    task: str
    module: str
    params: dict[str, t.Any]


@functools.cache
def _loader() -> DataLoader:
    return DataLoader()


@functools.cache
def _yaml(path: Path) -> t.Any:
    """A file of a role, whose templates may be rendered; None where there is none."""
    return _loader().load_from_file(str(path), trusted_as_template=True) if path.exists() else None


@functools.cache
def _module(name: str) -> tuple[ArgumentSpecValidator, t.Any]:
    """What checks the options of one of our modules, and the module."""
    module = importlib.import_module(f"ansible_collections.calico_ops.ipam.plugins.modules.{name}")
    with mock.patch.object(module, "run") as run:
        module.main()
    spec = connection_argspec().merge(run.call_args.args[0]).to_kwargs()
    return ArgumentSpecValidator(**spec), module


_CODE: dict[tuple[t.Any, ...], t.Any] = {}


@contextlib.contextmanager
def _compiled_once() -> t.Iterator[None]:
    """The same few templates are compiled once: that took half of the time of a run."""
    compile_template = AnsibleEnvironment.compile

    def remembered(environment: t.Any, source: t.Any, *args: t.Any, **options: t.Any) -> t.Any:
        if not isinstance(source, str):
            return compile_template(environment, source, *args, **options)
        key = (type(environment), str(source), *args, *sorted(options.items()))
        if key not in _CODE:
            _CODE[key] = compile_template(environment, source, *args, **options)
        return _CODE[key]

    with mock.patch.object(AnsibleEnvironment, "compile", remembered):
        yield


@contextlib.contextmanager
def _plugins_by_whole_names() -> t.Iterator[None]:
    """Filters of the collection and lookups of Ansible, which are found by their whole names in a playbook only."""
    get, get_lookup = filter_loader.get, lookup_loader.get

    def found(name: str, *args: t.Any, **options: t.Any) -> t.Any:
        ours = role_variables.FilterModule().filters().get(name.removeprefix(OURS))
        return get(name, *args, **options) if ours is None else filter_loader._wrap_func(name, name, ours)

    def found_lookup(name: str, *args: t.Any, **options: t.Any) -> t.Any:
        return get_lookup(name.removeprefix("ansible.builtin."), *args, **options)

    with mock.patch.object(filter_loader, "get", found), mock.patch.object(lookup_loader, "get", found_lookup):
        yield


@dataclass(frozen=True)
class _Scope:
    """Where a task stands: its role, the conditions of the blocks around it, and variables by precedence."""

    role: str
    low: Variables
    high: Variables
    conditions: tuple[t.Any, ...] = ()
    defaults: tuple[t.Mapping[str, t.Any], ...] = ()

    def under(self, task: Task) -> _Scope:
        """The inside of a block."""
        return replace(
            self,
            high={**self.high, **(task.get("vars") or {})},
            conditions=(*self.conditions, *_conditions(task)),
            defaults=(*self.defaults, task.get("module_defaults") or {}),
        )


@dataclass
class Runbook:
    """Runs of roles on one cluster by one playbook, ``owner``; ``given`` are variables that win over all others."""

    api: SimulatedApi | CalicoApi
    owner: Process
    given: Variables = field(default_factory=dict)
    check_mode: bool = False

    def __post_init__(self) -> None:
        self.clock = SimulatedClock(self.api)
        self.calls: list[Call] = []
        self.warnings: list[str] = []
        self.progress: list[str] = []
        self.said: list[t.Any] = []
        self._facts: Variables = {}

    def play(self, role: str, entry: str = "main") -> None:
        """Carry out a role; Stopped when it fails, with its sentence."""
        try:
            with _compiled_once(), _plugins_by_whole_names():
                self._role(role, entry, _Scope(role, {}, {}))
        except _Failed as failed:
            raise Stopped(failed.result["msg"]) from failed.__cause__

    def module(self, name: str, **options: t.Any) -> dict[str, t.Any]:
        """One module by itself; Stopped when it fails."""
        try:
            return self._call(name, name, options)
        except _Failed as failed:
            raise Stopped(failed.result["msg"]) from failed.__cause__

    def _role(self, role: str, entry: str, scope: _Scope) -> None:
        """``scope`` is that of the include; what the role around it set by default is seen in here, too."""
        low = {**scope.low}
        for name in ("defaults", "vars"):
            low.update(_yaml(ROLES / role / name / "main.yml") or {})
        self._file(f"{entry}.yml", replace(scope, role=role, low=low))

    def _file(self, name: str, scope: _Scope) -> None:
        tasks = _yaml(ROLES / scope.role / "tasks" / name)
        if tasks is None:
            raise ValueError(f"role {scope.role} has no tasks/{name}")
        self._tasks(tasks, scope)

    def _tasks(self, tasks: t.Sequence[Task], scope: _Scope) -> None:
        for task in tasks:
            if "block" in task:
                self._block(task, scope.under(task))
            else:
                self._task(task, scope)

    def _block(self, block: Task, scope: _Scope) -> None:
        unknown = set(block) - KEYWORDS
        if unknown:
            raise ValueError(f"{block.get('name')}: {sorted(unknown)} of a block is not known here")
        try:
            self._tasks(block["block"], scope)
        except _Failed as failed:
            if "rescue" not in block:
                raise
            self._facts["ansible_failed_result"] = failed.result
            try:
                self._tasks(block["rescue"], scope)
            except _Failed as again:
                raise again from (again.__cause__ or failed.__cause__ or failed)

    def _task(self, task: Task, scope: _Scope) -> None:
        action = _action(task)
        inner = scope.under(task)
        templar = Templar(_loader(), self._variables(inner))
        if not all(templar.evaluate_conditional(condition) for condition in inner.conditions):
            self._register(task, {"changed": False, "skipped": True, "skip_reason": "Conditional result was False"})
            return
        args = task[action] if isinstance(task[action], str) else dict(templar.template(task[action]))
        if action == "ansible.builtin.include_tasks":
            self._file(str(args), replace(scope, high=inner.high))
        elif action == "ansible.builtin.include_role":
            included = replace(scope, high=inner.high)
            self._role(args["name"].removeprefix(OURS), args.get("tasks_from", "main"), included)
        elif action == "ansible.builtin.debug":
            self.said.append(args["msg"])
        elif action == "ansible.builtin.fail":
            raise _Failed({"failed": True, "msg": str(args["msg"])})
        elif action == "ansible.builtin.assert":
            if not all(templar.evaluate_conditional(each) for each in _listed(task[action]["that"])):
                raise _Failed({"failed": True, "msg": str(args["fail_msg"])})
        elif action.startswith(OURS):
            args = {**_defaults_of(action, inner, templar), **args}
            try:
                self._register(task, self._call(str(task.get("name")), action.removeprefix(OURS), args))
            except _Failed as failed:
                self._register(task, failed.result)
                raise
        else:
            raise ValueError(f"{task.get('name')}: {action} is not known here")

    def _variables(self, scope: _Scope) -> Variables:
        return {
            **scope.low,
            **self._facts,
            **scope.high,
            **self.given,
            "ansible_check_mode": self.check_mode,
            "role_path": str(ROLES / scope.role),
            "inventory_hostname": self.owner.inventory_host or "localhost",
        }

    def _register(self, task: Task, result: dict[str, t.Any]) -> None:
        if "register" in task:
            self._facts[task["register"]] = result

    def _call(self, task: str, name: str, args: dict[str, t.Any]) -> dict[str, t.Any]:
        """A task of one of our modules, through JSON as on the way to a process of its own and back."""
        validator, module = _module(name)
        given = json.loads(json.dumps(args))
        if name == "ippool_journal":
            given.setdefault("run_by", self.owner.as_dict())  # as the action plugin does
        checked = validator.validate(given)
        if checked.error_messages:
            raise _Failed({"failed": True, "msg": " ".join(checked.error_messages)})
        simulated(self.api).tick(BETWEEN)
        params = {**checked.validated_parameters, "datastore": "kubernetes"}  # etcd or not is up to ``api``
        self.calls.append(Call(task, name, given))
        try:
            with self._virtually():
                result = self._operated(module.operate, params)
        except IpamError as error:
            failure = {"failed": True, "changed": False, "msg": error.message, "details": plain(error.details)}
            raise _Failed(failure) from error
        return t.cast("dict[str, t.Any]", json.loads(json.dumps({"failed": False, **result})))

    def _operated(self, operate: t.Callable[[Context], dict[str, t.Any]], params: dict[str, t.Any]) -> dict[str, t.Any]:
        """What ``_module.run`` does: for a run, everything is written under its lock, which is renewed meanwhile."""
        raw = simulated(self.api)
        run = None if self.check_mode else params.get("run")
        with contextlib.ExitStack() as stack:
            fenced, require = t.cast("t.Any", self.api), _always
            if run:
                require = attach(raw, str(run), self.clock, self.owner).require
                fenced = with_fence(self.api, require)
                stack.callback(fence_etcd, self.api, _always)
                stack.enter_context(_ticking(raw, require))
            context = Context(
                params,
                self.check_mode,
                fenced,
                lambda event: self.progress.append(str(event)),
                self.warnings.append,
                raw,
                require,
            )
            return operate(context)

    @contextlib.contextmanager
    def _virtually(self) -> t.Iterator[None]:
        """Time is the twin's, and the process that works is the playbook, of which a test says whether it lives."""
        with contextlib.ExitStack() as patches:
            for name in ("now", "monotonic", "sleep"):
                call = getattr(self.clock, name)
                patches.enter_context(mock.patch.object(SystemClock, name, lambda _self, *args, call=call: call(*args)))
            patches.enter_context(mock.patch.object(journal_run, "this_process", lambda: self.owner))
            yield


def _always() -> None:
    """Nothing has to be made sure of before a write."""


@contextlib.contextmanager
def _ticking(raw: SimulatedApi, require: t.Callable[[], None]) -> t.Iterator[None]:
    """What the thread of a module does: a failure shows with the next write."""

    def renew() -> None:
        with contextlib.suppress(LockLost):
            require()

    raw.ticks.append(renew)
    try:
        yield
    finally:
        raw.ticks.remove(renew)


def _defaults_of(action: str, scope: _Scope, templar: Templar) -> dict[str, t.Any]:
    """What ``module_defaults`` says for a module: those of its groups, then its own, the innermost of each."""
    known: dict[str, t.Any] = {}
    for each in scope.defaults:
        known.update(each)
    groups = [f"group/{OURS}{name}" for name, members in _groups().items() if action.removeprefix(OURS) in members]
    found: dict[str, t.Any] = {}
    for key in (*groups, action):
        found.update(templar.template(known.get(key) or {}))
    return found


@functools.cache
def _groups() -> dict[str, list[str]]:
    return t.cast("dict[str, list[str]]", _yaml(ROLES.parent / "meta" / "runtime.yml")["action_groups"])


def _action(task: Task) -> str:
    found = [key for key in task if "." in key]
    unknown = set(task) - KEYWORDS - set(found)
    if len(found) != 1 or unknown or {"block", "rescue"} & set(task):
        raise ValueError(f"{task.get('name')}: {found} {sorted(unknown)} is not known here")
    return str(found[0])


def _conditions(task: Task) -> tuple[t.Any, ...]:
    return tuple(_listed(task.get("when", [])))


def _listed(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
