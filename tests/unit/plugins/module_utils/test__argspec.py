# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The argument specifications agree with the documentation of the modules and of the fragments."""

from __future__ import annotations

import contextlib
import importlib
import typing as t
from pathlib import Path
from unittest import mock

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.calico_ops.ipam.plugins.module_utils import _argspec, _module

ROOT = Path(__file__).parents[4]
PACKAGE = "ansible_collections.calico_ops.ipam.plugins"
GROUP = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))["action_groups"]["cluster"]
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("ip*.py"))


def fragment(name: str) -> dict[str, t.Any]:
    file, _dot, part = name.rpartition("calico_ops.ipam.")[2].partition(".")
    module = importlib.import_module(f"{PACKAGE}.doc_fragments.{file}")
    text = getattr(module.ModuleDocFragment, (part or "documentation").upper())
    return t.cast("dict[str, t.Any]", yaml.safe_load(text))


def documented(module: t.Any) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Options and attributes of a module with those of its fragments."""
    own = yaml.safe_load(module.DOCUMENTATION)
    options: dict[str, t.Any] = {}
    attributes: dict[str, t.Any] = {}
    for part in [*map(fragment, own["extends_documentation_fragment"]), own]:
        options.update(part.get("options") or {})
        for name, attribute in (part.get("attributes") or {}).items():
            attributes.setdefault(name, {}).update(attribute)
    return options, attributes


class Stop(Exception):
    """Ends a module as soon as its specification is known."""


def specification(module: t.Any) -> dict[str, t.Any]:
    if not hasattr(module, "main"):
        return specification_of_action(module.__name__.rpartition(".")[2])
    seen: list[dict[str, t.Any]] = []

    def instead(*_arguments: t.Any, argument_spec: dict[str, t.Any], **_rest: t.Any) -> t.NoReturn:
        seen.append(argument_spec)
        raise Stop

    with mock.patch.object(_module, "AnsibleModule", instead), contextlib.suppress(Stop):
        module.main()
    return seen[0]


def specification_of_action(name: str) -> dict[str, t.Any]:
    """Of a module that is documentation alone, because its action plugin does the work on the control node."""
    action = importlib.import_module(f"{PACKAGE}.action.{name}")
    seen: list[dict[str, t.Any]] = []

    def instead(_self: t.Any, argument_spec: dict[str, t.Any]) -> t.NoReturn:
        seen.append(argument_spec)
        raise Stop

    plugin = object.__new__(action.ActionModule)
    with (
        mock.patch.object(ActionBase, "run"),
        mock.patch.object(ActionBase, "validate_argument_spec", instead),
        contextlib.suppress(Stop),
    ):
        plugin.run()
    return seen[0]


def compare(options: dict[str, t.Any], spec: dict[str, t.Any], where: str) -> None:
    assert set(options) == set(spec), where
    for name, option in spec.items():
        text = options[name]
        place = f"{where}.{name}"
        assert text.get("type", "str") == option.get("type", "str"), place
        assert sorted(text.get("aliases", [])) == sorted(option.get("aliases", [])), place
        assert list(text.get("choices") or []) == list(option.get("choices") or []), place
        assert text.get("default") == option.get("default"), place
        assert text.get("required", False) == option.get("required", False), place
        assert text.get("elements") == option.get("elements"), place
        assert text.get("description"), place
        compare(text.get("suboptions") or {}, option.get("options") or {}, place)


@pytest.mark.parametrize("name", MODULES)
def test_documentation_and_specification_agree(name: str) -> None:
    module = importlib.import_module(f"{PACKAGE}.modules.{name}")
    options, attributes = documented(module)
    compare(options, specification(module), name)
    group = {"action_group"} if hasattr(module, "main") else set()
    assert set(attributes) >= {"check_mode", "diff_mode", "idempotent"} | group
    assert all("support" in attribute for attribute in attributes.values())


def evaluated(value: t.Any, option: dict[str, t.Any]) -> t.Any:
    """A template stands for something of the type that the option wants."""
    if isinstance(value, str) and value.startswith("{{"):
        return {"dict": {}, "list": []}.get(option.get("type", "str"), value)
    return value


@pytest.mark.parametrize("name", MODULES)
def test_examples_keep_to_the_specification(name: str) -> None:
    examples = yaml.safe_load(importlib.import_module(f"{PACKAGE}.modules.{name}").EXAMPLES)
    used = [(task["name"], action, options) for task in examples for action, options in task.items()]
    own = [(task, action.rpartition(".")[2], options) for task, action, options in used if "calico_ops.ipam." in action]
    assert name in {module for _task, module, _options in own}
    for task, module, options in own:
        spec = specification(importlib.import_module(f"{PACKAGE}.modules.{module}"))
        values = {option: evaluated(value, spec.get(option, {})) for option, value in (options or {}).items()}
        assert ArgumentSpecValidator(spec).validate(values).error_messages == [], task


def test_every_module_with_a_connection_is_in_the_action_group() -> None:
    modules = {name: importlib.import_module(f"{PACKAGE}.modules.{name}") for name in MODULES}
    assert sorted(GROUP) == [name for name, module in modules.items() if hasattr(module, "main")]


def test_specifications_are_put_together() -> None:
    one = _argspec.ArgumentSpec({"a": {"type": "str"}}, required_if=(("a", "x", ("b",)),))
    two = _argspec.ArgumentSpec({"b": {"type": "int"}}, mutually_exclusive=(("a", "b"),))
    merged = one.merge(two).to_kwargs()
    assert set(merged["argument_spec"]) == {"a", "b"}
    assert merged["required_if"] == (("a", "x", ("b",)),)
    assert merged["mutually_exclusive"] == (("a", "b"),)
    with pytest.raises(ValueError, match="a"):
        one.merge(one)


def test_the_datastore_options_are_documented() -> None:
    compare(fragment("calico_ops.ipam._datastore")["options"], _argspec.datastore_argspec().options, "_datastore")


@pytest.mark.parametrize(
    ("environment", "given", "expected"),
    [
        ({}, {}, "kubernetes"),
        ({"DATASTORE_TYPE": "etcdv3"}, {}, "etcd"),
        ({"DATASTORE_TYPE": "kubernetes", "CALICO_DATASTORE_TYPE": "etcdv3"}, {}, "etcd"),
        ({"DATASTORE_TYPE": "etcdv3"}, {"datastore": "kubernetes"}, "kubernetes"),
        ({"DATASTORE_TYPE": ""}, {}, "kubernetes"),
    ],
)
def test_the_datastore_falls_back_to_calicos_variables(
    environment: dict[str, str], given: dict[str, t.Any], expected: str
) -> None:
    with mock.patch.dict("os.environ", environment):
        result = ArgumentSpecValidator(_argspec.datastore_argspec().options).validate(given)
    assert (result.error_messages, result.validated_parameters["datastore"]) == ([], expected)


def test_a_datastore_nobody_knows_is_named() -> None:
    with mock.patch.dict("os.environ", {"DATASTORE_TYPE": "consul"}):
        result = ArgumentSpecValidator(_argspec.datastore_argspec().options).validate({})
    assert "consul" in result.error_messages[0]


def test_the_way_to_etcd_falls_back_to_calicos_variables() -> None:
    environment = {
        "ETCD_ENDPOINTS": "https://10.0.0.1:2379,https://10.0.0.2:2379",
        "CALICO_ETCD_CA_CERT_FILE": "/ca.pem",
        "ETCD_CA_CERT_FILE": "/other.pem",
        "ETCD_CERT": "-----BEGIN CERTIFICATE-----",
        "ETCD_KEY_FILE": "/key.pem",
        "ETCD_USERNAME": "calico",
        "ETCD_PASSWORD": "secret",
    }
    with mock.patch.dict("os.environ", environment):
        result = ArgumentSpecValidator(_argspec.datastore_argspec().options).validate({})
    assert result.validated_parameters == {
        "datastore": "kubernetes",
        "etcd_endpoints": ["https://10.0.0.1:2379", "https://10.0.0.2:2379"],
        "etcd_ca_cert": "/ca.pem",
        "etcd_cert": "-----BEGIN CERTIFICATE-----",
        "etcd_key": "/key.pem",
        "etcd_username": "calico",
        "etcd_password": "secret",
    }
