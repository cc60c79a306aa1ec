# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""Lists: selectors, pages, continue tokens and what a resourceVersion means (spec kubernetes-api-behaviour.md 12)."""

from __future__ import annotations

import base64
import binascii
import bisect
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.kinds import Kind
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.objects import Entry, HistoryGone
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.options import ListOptions
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.selectors import (
    FieldSelector,
    LabelSelector,
    parse_field_selector,
    parse_label_selector,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.status import (
    Cause,
    bad_request,
    expired,
    internal_error,
    invalid_options,
    too_large_version,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.storage import Readable

_TOO_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list "
    "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
    "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
    "modified, or deleted between the time the first chunk was returned and now may show up in the list."
)
_MATCHES = ("", "Exact", "NotOlderThan")


@dataclass(frozen=True)
class Page:
    """Part of a list. ``remaining`` is None when there is nothing left or it is not told."""

    kind: Kind
    entries: t.List[Entry]
    resource_version: int
    continue_token: str = ""
    remaining: t.Optional[int] = None

    @property
    def metadata(self) -> Object:
        """The list's own metadata; lists of custom resources always have ``continue``."""
        metadata: Object = {"resourceVersion": str(self.resource_version)}
        if self.continue_token or (self.kind.custom and not self.kind.aggregated):
            metadata["continue"] = self.continue_token
        if self.remaining:
            metadata["remainingItemCount"] = self.remaining
        return metadata


def encode_token(revision: int, start: str) -> str:
    """``revision`` -1 marks the token of an expired list: it goes on from whatever is newest."""
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_token(token: str) -> tuple[int, str]:
    """Raises a 400 ``Fault`` for a token this server did not make."""
    try:
        padded = token + "=" * (-len(token) % 4)
        value = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        revision, start = value["rv"], value["start"]
        if value["v"] != "meta.k8s.io/v1" or not isinstance(revision, int) or not isinstance(start, str):
            raise ValueError("unknown form")
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise bad_request("invalid continue token: the continue key is not valid") from None
    return revision, start.rstrip("\0")


@dataclass(frozen=True)
class Filter:
    """Both selectors of a request."""

    labels: LabelSelector
    fields: FieldSelector

    def matches(self, obj: Object) -> bool:
        metadata = obj.get("metadata") or {}
        return self.labels.matches(metadata.get("labels") or {}) and self.fields.matches(obj)

    @property
    def everything(self) -> bool:
        return self.labels.everything and self.fields.everything


def filter_of(kind: Kind, options: ListOptions) -> Filter:
    """Raises a 400 ``Fault`` for a selector that cannot be parsed or is not supported."""
    return Filter(
        parse_label_selector(options.label_selector),
        parse_field_selector(options.field_selector, kind.resource),
    )


def wanted_version(text: str) -> int | None:
    """The resourceVersion of a read. Raises a 500 ``Fault`` when it is no number."""
    if not text:
        return None
    if not text.isdigit():
        raise internal_error(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text)


def check_reached(objects: Readable, wanted: int | None) -> None:
    """Raises the 504 ``Fault`` for a version of the future."""
    if wanted is not None and wanted > objects.revision:
        raise too_large_version(wanted, objects.revision)


def list_page(objects: Readable, kind: Kind, namespace: str | None, options: ListOptions) -> Page:
    """One page (all of it without a limit). Raises a ``Fault`` 400, 410, 422, 500 or 504."""
    chosen = filter_of(kind, options)
    wanted = wanted_version(options.resource_version)
    _check_match(options)
    start: str | None = None
    at: int | None = None
    if options.continue_token:
        if options.resource_version and wanted != 0:
            raise bad_request("specifying resource version is not allowed when using continue")
        revision, start = decode_token(options.continue_token)
        at = None if revision == -1 else revision
    else:
        check_reached(objects, wanted)
        if options.match == "Exact" or (options.limit and not options.match and wanted):
            at = wanted
    entries = _entries_at(objects, kind, namespace, at, start)
    if start is not None:
        first = bisect.bisect_right([entry.key for entry in entries], start)
        entries = entries[first:]
    version = objects.revision if at is None else at
    if not chosen.everything:
        entries = [entry for entry in entries if chosen.matches(entry.object)]
    if not options.limit or len(entries) <= options.limit:
        return Page(kind, entries, version)
    shown = entries[: options.limit]
    remaining = len(entries) - options.limit if chosen.everything else None
    return Page(kind, shown, version, encode_token(version, shown[-1].key), remaining)


def _entries_at(objects: Readable, kind: Kind, namespace: str | None, at: int | None, start: str | None) -> list[Entry]:
    try:
        return objects.entries(kind.resource, namespace, at=at)
    except HistoryGone:
        if start is not None:
            raise expired(_TOO_OLD_TOKEN, encode_token(-1, start)) from None
        raise expired("The resourceVersion for the provided list is too old.") from None


def _check_match(options: ListOptions) -> None:
    if not options.match:
        return
    why = ""
    if options.match not in _MATCHES:
        cause = Cause(
            "FieldValueNotSupported",
            f'Unsupported value: "{options.match}": supported values: "Exact", "NotOlderThan", ""',
            "resourceVersionMatch",
        )
        raise invalid_options("ListOptions", [cause])
    if not options.resource_version:
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif options.continue_token:
        why = "resourceVersionMatch is forbidden when continue is provided"
    elif options.match == "Exact" and options.resource_version == "0":
        why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if why:
        raise invalid_options(
            "ListOptions", [Cause("FieldValueForbidden", f"Forbidden: {why}", "resourceVersionMatch")]
        )


def limit_of(text: str) -> int:
    """Raises a 400 ``Fault`` when the limit is no number."""
    if not text:
        return 0
    try:
        limit = int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if limit < 0:
        cause = Cause("FieldValueInvalid", f"Invalid value: {limit}: must be greater than or equal to 0", "limit")
        raise invalid_options("ListOptions", [cause])
    return limit
