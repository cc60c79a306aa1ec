# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pages say of each other, of files and of checks is so. The site is built by ``make docsite``."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from ansible_collections.calico_ops.ipam.plugins.module_utils._argspec import datastore_argspec

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"
)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")
TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(ansible|calicoctl|kind|kubectl|make|molecule|pip|python)[\w.-]* ", re.MULTILINE)
# Commands of guides that no test carries out as they stand, and why.
ONLY_SHOWN = {
    "ansible-playbook -i nodes calico_ops.ipam.preflight_hosts": "test_preflight_hosts.py has it, on nodes",
    "ansible-playbook calico_ops.ipam.declare_pools -e @pools.yml": "on the reader's cluster; Molecule has it",
    "kubectl get nodes --show-labels": "what it prints is the reader's own",
    "kind create cluster": "it takes containers",
    "ansible-galaxy collection install --force calico_ops.ipam:==": "it takes Galaxy",
}
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


def test_commands_that_are_only_shown_have_a_reason() -> None:
    """Blocks ``shell`` are run by the tests that unpack them; a block ``text`` is for what is shown."""
    shown = [
        text
        for path in sorted((ROOT / "docs/guides").glob("*.md"))
        for text in TEXT.findall(path.read_text(encoding="utf-8"))
        if COMMAND.search(text)
    ]
    assert [text for text in shown if not text.startswith(tuple(ONLY_SHOWN))] == []
    assert [start for start in ONLY_SHOWN if not any(text.startswith(start) for text in shown)] == []


PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: str(path.stem))
def test_variables_of_playbooks_are_documented(path: Path) -> None:
    """``ansible-doc`` has nothing for playbooks; the guide has each of them with every variable that is its own."""
    guide = read("docs/guides/playbooks.md")
    assert f"| `{path.stem}` |" in guide
    text = path.read_text(encoding="utf-8")
    assert [
        name for name in sorted(set(re.findall(r"\b(?:calico_ops|demo)_\w+", text))) if f"`{name}`" not in guide
    ] == [
        name for name in ("calico_ops_ipam", "calico_ops_reachable", "calico_ops_reason", "demo_twin") if name in text
    ]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: str(path.stem))
def test_every_playbook_can_be_led_to_a_cluster_of_a_fleet(path: Path) -> None:
    """By the same variables, whatever it does."""
    wanted = {
        option: f"{{{{ calico_ops_{option} | default(omit) }}}}"
        for option in ("kubeconfig", "context", *datastore_argspec().options)
    }
    for play in yaml.safe_load(path.read_text(encoding="utf-8")):
        defaults = play.get("module_defaults", {}).get("group/calico_ops.ipam.cluster")
        if defaults is None or path.stem == "demo":
            assert path.stem in ("demo", "kubespray", "preflight_hosts")
        else:
            assert defaults == wanted
