# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Who wrote a field of an object last, as the API server keeps it in ``metadata.managedFields``."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object


@dataclass(frozen=True)
class LastWrite:
    """``manager`` is what the client called itself; ``time`` is RFC 3339, of the server's clock."""

    manager: str
    operation: str
    time: str

    def __str__(self) -> str:
        return f"{self.manager} at {self.time}"


def last_write(thing: Object, fields: t.Sequence[str]) -> LastWrite | None:
    """The latest write by a manager of one of these members of ``spec``, else by anybody; None when nobody knows.

    A field that was taken away belongs to nobody, so then the latest write of all is the one to look at.
    """
    entries = [each for each in thing["metadata"].get("managedFields") or () if isinstance(each, dict)]
    entries = [each for each in entries if each.get("time") and each.get("manager") and not each.get("subresource")]
    owning = [each for each in entries if any(f"f:{field}" in _spec_of(each) for field in fields)]
    found = max(owning or entries, key=lambda each: str(each["time"]), default=None)
    if found is None:
        return None
    return LastWrite(str(found["manager"]), str(found.get("operation") or ""), str(found["time"]))


def last_writer_clause(thing: Object, fields: t.Sequence[str]) -> str:
    """``it was last written by ... at ...``, for the end of a sentence."""
    found = last_write(thing, fields)
    return "who wrote it is not recorded" if found is None else f"it was last written by {found}"


def _spec_of(entry: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    spec = (entry.get("fieldsV1") or {}).get("f:spec")
    return spec if isinstance(spec, dict) else {}
