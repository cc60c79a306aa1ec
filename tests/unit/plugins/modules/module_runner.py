# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a module's ``main`` in this process and reads the JSON it prints."""

from __future__ import annotations

import contextlib
import io
import json
import typing as t
from unittest import mock

from ansible.module_utils import basic
from ansible.module_utils.common import warnings as module_warnings

try:
    from ansible.module_utils.testing import patch_module_args
except ImportError:  # ansible-core 2.18

    @contextlib.contextmanager
    def patch_module_args(args: dict[str, t.Any]) -> t.Iterator[None]:
        before = basic._ANSIBLE_ARGS
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = before


try:
    from ansible.module_utils import _internal as context
except ImportError:  # ansible-core 2.18
    context = mock.Mock(is_controller=False)


class ModuleFailed(Exception):
    """The module left through ``fail_json``; ``result`` is what it said."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result.get("msg"))
        self.result = result


def run_module(main: t.Callable[[], None], *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """The module's result; raises ``ModuleFailed`` when it failed."""
    output = io.StringIO()
    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
    module_warnings._global_warnings.clear()
    with (
        patch_module_args(arguments),
        # Another test may have imported parts of the controller, which would print the warnings of a module.
        mock.patch.object(context, "is_controller", False),
        contextlib.redirect_stdout(output),
        contextlib.suppress(SystemExit),
    ):
        main()
    result = json.loads(output.getvalue().strip().splitlines()[-1])
    if result.get("failed"):
        raise ModuleFailed(result)
    return result


def failure(main: t.Callable[[], None], *, check: bool = False, **options: t.Any) -> str:
    """The message of a module that must fail: one sentence on one line."""
    try:
        result = run_module(main, check=check, **options)
    except ModuleFailed as error:
        message = str(error.result["msg"])
        if "\n" in message or "Traceback" in message or not message.endswith("."):
            raise AssertionError(f"not one clear sentence: {message!r}") from None
        return message
    raise AssertionError(f"the module did not fail: {result}")
