# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the named checks, or all of them, a few at a time, and say in one table what came out.

    python tests/tools/everything.py [lint|unit|contract|store|system|guides ...]

The names are those of ``CHECKS``, and targets of the Makefile.
Each check writes its output to ``.work/logs/<check>.log``; a failed one is shown. The last line is
``checks: N passed, N failed``, the exit code 1 when anything failed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / ".work" / "logs"
PYTHON = sys.executable


@dataclass(frozen=True)
class Check:
    name: str
    commands: tuple[str, ...]
    nightly: bool = False
    """Run when it is named, and with ``CALICO_OPS_NIGHTLY``."""


def pytest(*paths: str, workers: int = 1) -> str:
    return f"{PYTHON} -m pytest -q -n {workers} --dist loadfile {' '.join(paths)}"


# What documentation says, tried out: the commands of the guides and the examples of the modules.
SAID = ("tests/system/test_guides.py", "tests/system/test_examples.py")

# The long ones first, so that the lanes end at about the same time.
CHECKS = (
    Check("system", (pytest("tests/system", *(f"--ignore={path}" for path in SAID)),)),
    Check("guides", (pytest(*SAID),)),
    Check("unit", (pytest("tests/unit", "tests/fuzz"),)),
    # Documentation is linted where users have it: in what is installed from the artifact.
    Check("build", (pytest("tests/artifact"),)),
    # What users get; the tests themselves have ruff by day and this, too, at night.
    Check("sanity", (f"{PYTHON} tests/tools/sanity.py --exclude tests/",)),
    Check("contract", (pytest("tests/contract"),)),
    Check("store", (pytest("tests/store", "tests/stress"),)),
    # By day Molecule runs the scenario for users, in ``build``.
    Check("molecule", (f"{PYTHON} tests/tools/scenarios.py",), nightly=True),
    Check("old-core", (f"{PYTHON} tests/tools/old_core.py",)),
    Check("docsite", (f"{PYTHON} tests/tools/docsite.py",)),
    Check("types", (f"{PYTHON} tests/tools/typecheck.py",)),
    Check(
        "lint",
        (
            "ruff check .",
            "ruff format --check .",
            "yamllint --strict .",
            "ansible-lint --strict",
            "antsibull-changelog lint",
        ),
    ),
)


def run(check: Check) -> tuple[Check, bool, float]:
    started = time.monotonic()
    log = LOGS / f"{check.name}.log"
    with log.open("wb") as out:
        ok = all(
            subprocess.run(
                ["sh", "-c", f"echo '$ {command}'; {command}"],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
            == 0
            for command in check.commands
        )
    return check, ok, time.monotonic() - started


def main() -> int:
    wanted = sys.argv[1:]
    unknown = [name for name in wanted if name not in {check.name for check in CHECKS}]
    if unknown:
        sys.exit(f"no such check: {', '.join(unknown)}; there are {', '.join(check.name for check in CHECKS)}")
    night = bool(os.environ.get("CALICO_OPS_NIGHTLY"))
    checks = [check for check in CHECKS if check.name in wanted or (not wanted and (night or not check.nightly))]
    LOGS.mkdir(parents=True, exist_ok=True)
    print(f"running {', '.join(check.name for check in checks)} (logs in {LOGS.relative_to(ROOT)})", flush=True)

    started = time.monotonic()
    failed = 0
    # One lane more than there are processors: the tests wait for rollouts and watches as often as they compute.
    with ThreadPoolExecutor(max_workers=min(3, (os.cpu_count() or 1) + 1)) as lanes:
        for done in as_completed([lanes.submit(run, check) for check in checks]):
            check, ok, seconds = done.result()
            lines = (LOGS / f"{check.name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            last = lines[-1] if lines else ""
            print(f"{'ok  ' if ok else 'FAIL'} {check.name:<10} {seconds:6.1f} s  {last[:100]}", flush=True)
            if not ok:
                failed += 1
                print("\n".join(f"     {line}" for line in lines[-200:]), flush=True)
    print(f"{time.monotonic() - started:.0f} s in all")
    print(f"checks: {len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
