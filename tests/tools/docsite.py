# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the site of the documentation into ``.work/docsite/html``: guides, modules and roles; no network.

    python tests/tools/docsite.py

The guides stay Markdown, readable where the code is. README.md is the site's front page, and its section "Guides" the
order of the rest, so that there is one table of contents to keep. Modules and roles are written by antsibull-docs.
A link to a file that is no page of the site leads to the repository; one to nothing at all ends the build, as every
warning of Sphinx does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / ".work" / "docsite"
SOURCE = SITE / "source"
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "roles/*/README.md")
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
GUIDES = re.compile(r"^## Guides$(.*?)^## ", re.MULTILINE | re.DOTALL)
GROUP = re.compile(r"^\| ([a-z].*?) \| \|$(.*?)(?=^\| [a-z].*? \| \|$|\Z)", re.MULTILINE | re.DOTALL)


class Broken(Exception):
    """The documentation contradicts itself."""


def pages() -> list[Path]:
    """Everything in Markdown that is a page of the site, relative to the collection's root."""
    return sorted({path.relative_to(ROOT) for pattern in PAGES for path in ROOT.glob(pattern)})


def repository() -> str:
    return str(yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["repository"])


def linked(page: Path, text: str, known: list[Path], elsewhere: str) -> str:
    """The page with its links to files that are no pages turned to the repository."""

    def one(found: re.Match[str]) -> str:
        target, anchor = found.group(1), found.group(2) or ""
        path = Path(os.path.normpath(page.parent / target))
        if path in known:
            return found.group(0)
        if not (ROOT / path).exists():
            raise Broken(f"{page} links to {target}, which does not exist")
        return f"]({elsewhere}/{path.as_posix()}{anchor})"

    return LINK.sub(one, text)


def front(readme: str) -> str:
    """README.md, and the same guides in the same order for the site's navigation."""
    section = GUIDES.search(readme)
    if section is None:
        raise Broken("README.md has no section Guides")
    trees = []
    listed: set[str] = set()
    for caption, rows in GROUP.findall(section.group(1)):
        names = [target for target, _anchor in LINK.findall(rows)]
        listed |= set(names)
        trees.append(f"```{{toctree}}\n:hidden:\n:caption: {caption.capitalize()}\n\n" + "\n".join(names) + "\n```\n")
    forgotten = [str(path) for path in pages() if path.parts[:2] == ("docs", "guides") and str(path) not in listed]
    if forgotten:
        raise Broken(f"README.md's section Guides does not name {', '.join(forgotten)}")
    rest = [str(path) for path in pages() if path.parts[:2] == ("docs", "decisions") or path.parts[0] == "roles"]
    trees.append("```{toctree}\n:hidden:\n:caption: Reference\n\ncollection/index\n```\n")
    trees.append("```{toctree}\n:hidden:\n\n" + "\n".join(rest) + "\n```\n")
    return readme + "\n" + "\n".join(trees)


def write_sources() -> None:
    shutil.rmtree(SITE, ignore_errors=True)
    known = pages()
    elsewhere = f"{repository()}/blob/main"
    for page in known:
        text = linked(page, (ROOT / page).read_text(encoding="utf-8"), known, elsewhere)
        target = SOURCE / ("index.md" if page.name == str(page) == "README.md" else page)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(front(text) if target.name == "index.md" else text, encoding="utf-8")
    shutil.copy2(ROOT / "docs/docsite/conf.py", SOURCE)


def main() -> int:
    try:
        write_sources()
    except Broken as broken:
        print(broken)
        return 1
    collection = SOURCE / "collection"
    collection.mkdir(mode=0o755)
    modules = ["antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"]
    modules += ["--no-add-antsibull-docs-version", "--dest-dir", str(collection), "calico_ops.ipam"]
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html", "-j", "2"]
    for command in (modules, [*sphinx, str(SOURCE), str(SITE / "html")]):
        if subprocess.run(command, check=False).returncode != 0:
            return 1
    print(f"{len(list((SITE / 'html').rglob('*.html')))} pages: {SITE.relative_to(ROOT)}/html/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
