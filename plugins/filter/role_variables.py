# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables of a role that are no options of it; documented in ``unknown_variables.yml``."""

from __future__ import annotations

import difflib
import os.path
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.plugin_utils._errors import filters


def unknown_variables(names: t.Any, specs: t.Any, alike: bool = False) -> str:
    """A sentence that names those of ``names`` that no entry point in ``specs`` has; empty when there are none.

    ``specs`` is the content of a role's ``meta/argument_specs.yml``, or a list of names.

    With ``alike`` only those that look like one that it has: others with that prefix may be somebody else's.
    """
    try:
        listed = isinstance(specs, (list, tuple))
        entries = [specs] if listed else [entry["options"] for entry in specs["argument_specs"].values()]
        known = sorted({str(name) for entry in entries for name in entry})
    except (AttributeError, KeyError, TypeError):
        message = "specs: it must be the content of a role's meta/argument_specs.yml, or a list of names."
        raise InvalidInput(message, field="specs") from None
    wrong = sorted({str(name) for name in names} - set(known))
    hints = [_with_hint(name, known) for name in wrong]
    named = ", ".join(hint for hint, name in zip(hints, wrong) if not alike or hint != name)
    if not named:
        return ""
    owner = "There is" if listed else "This role has"
    return f"{owner} no variable {named}: correct the name, or leave it out."


def _with_hint(name: str, known: t.Sequence[str]) -> str:
    # What all of them begin with would make any name look like any other.
    shared = len(os.path.commonprefix(list(known)))
    close = difflib.get_close_matches(name[shared:], [each[shared:] for each in known], n=1, cutoff=0.7)
    return f"{name} (did you mean {known[0][:shared]}{close[0]}?)" if close else name


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return filters(unknown_variables=unknown_variables)
