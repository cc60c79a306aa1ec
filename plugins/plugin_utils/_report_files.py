# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The files of a report, on the control node: the page, Markdown and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.errors import InvalidInput
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_change import compare, parse_report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_data import Report
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_markdown import markdown
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.report_page import render_page

_PAGE = Path(__file__).parent / "report_page"
# The parts of the script, in one scope; the last one draws the page with what the others are.
_SCRIPTS = (
    "constants",
    "elements",
    "table",
    "grid",
    "addresses",
    "sections",
    "map",
    "search",
    "block",
    "map_controls",
    "change",
    "timeline",
    "draw",
)


@dataclass(frozen=True)
class ReportFiles:
    """Where to write; None is a form that is not wanted."""

    html: str | None = None
    markdown: str | None = None
    json: str | None = None

    def paths(self) -> dict[str, Path]:
        """The wanted forms with their paths; ``~`` is the user's home."""
        given = {"html": self.html, "markdown": self.markdown, "json": self.json}
        return {form: Path(str(path)).expanduser() for form, path in given.items() if path}

    def check(self) -> None:
        """InvalidInput for a missing directory, for a directory in the place of a file, and for one file twice."""
        seen: dict[Path, str] = {}
        for form, path in self.paths().items():
            if not path.parent.is_dir():
                raise InvalidInput(f"{form}: the directory of {path} does not exist.", field=form)
            if path.is_dir():
                raise InvalidInput(f"{form}: {path} is a directory; name a file.", field=form)
            other = seen.setdefault(path.resolve(), form)
            if other != form:
                raise InvalidInput(f"{form}: {path} is the file of {other} already.", field=form)


def read_before(path: str | None) -> Report | None:
    """The earlier report, None when there is none; InvalidInput when the file cannot be read as one."""
    if not path:
        return None
    file = Path(str(path)).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidInput(f"before: {file} cannot be read: {why}.", field="before") from None
    return parse_report(text, str(file))


def page(report: Report, before: Report | None = None) -> str:
    """The report as the page."""
    html, style = (_part(f"page.{kind}") for kind in ("html", "css"))
    script = "\n".join(_part(f"{name}.js") for name in _SCRIPTS)
    return render_page(report, before, html, style, f'"use strict";\n(() => {{\n{script}}})();\n')


def _part(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def write(text: str, before: Report | None, wanted: ReportFiles, *, check_mode: bool) -> list[dict[str, t.Any]]:
    """Write the report that ``text`` is, in every form that is wanted; path and size of each file.

    All are made before the first is written. InvalidInput when a file cannot be written or the reports do not fit.
    """
    report: Report = json.loads(text)
    contents = {}
    for form, path in wanted.paths().items():
        if form == "html":
            contents[path] = page(report, before)
        elif form == "markdown":
            contents[path] = markdown(report, before)
        else:
            change = {} if before is None else {"change": compare(before, report)}
            contents[path] = f"{json.dumps({**report, **change}, separators=(',', ':'))}\n"
    for path, content in contents.items():
        if not check_mode:
            _replace(path, content)
    return [{"path": str(path), "size": len(content.encode())} for path, content in contents.items()]


def _replace(path: Path, content: str) -> None:
    """Put the whole content in the place of a file, or nothing at all."""
    scratch = None
    try:
        handle, scratch = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
        os.chmod(scratch, 0o666 & ~_umask())
        os.replace(scratch, path)
    except OSError as error:
        if scratch is not None:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
        raise InvalidInput(f"{path} cannot be written: {error.strerror}.") from None


def _umask() -> int:
    """The user's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
