# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters and tests are documented beside their code: by name, option by option, with the defaults of the functions."""

from __future__ import annotations

import importlib
import inspect
import typing as t
from pathlib import Path

import pytest
import yaml

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PACKAGE = "ansible_collections.calico_ops.ipam.plugins"


def functions(kind: str) -> dict[str, t.Callable[..., t.Any]]:
    found: dict[str, t.Callable[..., t.Any]] = {}
    for path in sorted((PLUGINS / kind).glob("*.py")):
        module = importlib.import_module(f"{PACKAGE}.{kind}.{path.stem}")
        own = module.FilterModule().filters() if kind == "filter" else module.TestModule().tests()
        assert not set(own) & set(found)
        found.update(own)
    return found


EVERY = [(kind, name, function) for kind in ("filter", "test") for name, function in functions(kind).items()]


@pytest.mark.parametrize("kind", ["filter", "test"])
def test_each_has_its_document_and_each_document_its_plugin(kind: str) -> None:
    assert {path.stem for path in (PLUGINS / kind).glob("*.yml")} == set(functions(kind))


@pytest.mark.parametrize(("kind", "name", "function"), EVERY, ids=lambda each: each if isinstance(each, str) else "")
def test_options_are_those_of_the_function(kind: str, name: str, function: t.Callable[..., t.Any]) -> None:
    documents = yaml.safe_load((PLUGINS / kind / f"{name}.yml").read_text(encoding="utf-8"))
    assert {"DOCUMENTATION", "EXAMPLES", "RETURN"} == set(documents)
    documented = documents["DOCUMENTATION"]
    given, *rest = inspect.signature(function).parameters.values()
    options = dict(documented["options"])
    assert options.pop("_input")["required"] is True and given.default is inspect.Parameter.empty
    assert list(options) == [each.name for each in rest]
    positional = [word.strip() for word in documented.get("positional", "").split(",") if word.strip()]
    assert positional == [each.name for each in rest][: len(positional)]
    for each in rest:
        option = options[each.name]
        assert bool(option.get("required")) is (each.default is inspect.Parameter.empty), each.name
        default = [] if each.default == () else each.default
        assert option.get("default", inspect.Parameter.empty if option.get("required") else None) == default, each.name
