# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pages say of each other, of files and of checks is so. The site is built by ``make docsite``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
ROW = re.compile(r"^\| ((?:[ABD]\d\d(?:, )?)+) \|", re.MULTILINE)


def read(path: Path | str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of headings."""
    return {
        "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    text = read(page)
    for target, anchor in LINK.findall(text):
        path = (ROOT / page.parent / target) if target else ROOT / page
        assert path.exists(), f"{target} is not there"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{target} has no heading for {anchor}"


def test_every_guide_is_in_the_readme() -> None:
    section = read("README.md").split("## Guides")[1].split("## Reference")[0]
    assert [
        path.name for path in (ROOT / "docs/guides").glob("*.md") if f"({path.relative_to(ROOT)})" not in section
    ] == []


def test_every_module_and_playbook_is_in_the_readme() -> None:
    reference = read("README.md").split("## Reference")[1]
    names = [path.stem for kind in ("plugins/modules/*.py", "playbooks/*.yml") for path in ROOT.glob(kind)]
    assert [name for name in sorted(names) if f"`{name}`" not in reference] == []


def test_the_guide_on_hazards_knows_the_checks() -> None:
    """Each of the preflight's checks stands for hazards; the guide has the check where it has the hazard."""
    guide = read("docs/guides/hazards.md")
    assert sorted(set(re.findall(r"\b[ABD]\d\d\b", "\n".join(ROW.findall(guide))))) == sorted(
        {*(f"B{n:02}" for n in range(1, 48)), *(f"D{n:02}" for n in range(1, 23)), *(f"A{n:02}" for n in range(1, 16))}
    )
    table = read("docs/guides/preflight.md").split("<!-- checks: begin -->")[1].split("<!-- checks: end -->")[0]
    checks = {row[0]: row[1] for row in re.findall(r"^\| `([\w-]+)` \| [^|]* \| ([^|]*) \|", table, re.MULTILINE)}
    hazards = {name for name, numbers in checks.items() if re.search(r"[ABD]\d\d", numbers)}
    assert sorted(name for name in hazards if f"`{name}`" not in guide) == []


def test_the_picture_of_the_rooms_names_files_that_exist() -> None:
    picture = read("docs/architecture.md").split("```text")[1].split("```")[0]
    rooms = dict.fromkeys(("_operations", "_store", "_cluster", "_engine"), "")
    current = ""
    for line in picture.splitlines():
        found = re.match(r" \d  (\w+)/", line)
        current = found.group(1) if found else current
        if current in rooms:
            # What stands in the box to the right belongs to the twin.
            rooms[current] += " " + (line[:58] if re.search(r"[┌│└▼]", line[58:]) else line)
    for room, words in rooms.items():
        names = [word for word in words.split() if re.fullmatch(r"[a-z_]+\*?", word) and word != room]
        assert len(names) > 2, room
        for name in names:
            assert list((ROOT / "plugins/module_utils" / room).glob(f"{name}.py")), f"{room} has no {name}"
