# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of the report: how large it is, how long it takes to make, and how long Chromium takes to open it.

The clusters never were; 150,000 pods are the most that Kubernetes is made for. Opening is measured from the beginning
of the navigation until the second frame after the page is loaded, three times, and the middle one counts.

    python benchmarks/report_page.py [--blocks 1000 10000 20000] [--allocations 15]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))


def main() -> None:
    from chromium import chromium, find
    from report_sample import sample

    from ansible_collections.calico_ops.ipam.plugins.plugin_utils._report_files import page

    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, nargs="+", default=[1_000, 10_000, 20_000])
    parser.add_argument("--allocations", type=int, default=15)
    options = parser.parse_args()
    pages: list[tuple[int, Path]] = []
    with tempfile.TemporaryDirectory() as scratch:
        print("blocks  addresses     made     size  names")
        for blocks in options.blocks:
            report = sample(blocks, options.allocations, nodes=max(3, blocks // 20), namespaces=60)
            began = time.perf_counter()
            text = page(report)
            made = time.perf_counter() - began
            path = Path(scratch) / f"{blocks}.html"
            path.write_text(text, encoding="utf-8")
            pages.append((blocks, path))
            size = path.stat().st_size / 1e6
            names = "all" if '"detail":"all"' in text else "left out"
            print(
                f"{blocks:6,} {len(report['addresses']['rows']):10,} {made:6.1f} s {size:5.1f} MB  {names}", flush=True
            )
        if find() is None:
            print("There is no Chromium here, so nothing was opened.")
            return
        print("blocks   opened")
        with chromium(Path(scratch)) as browser:
            for blocks, path in pages:
                tab = browser.open(path)
                times = []
                for _run in range(3):
                    tab.load()
                    times.append(tab.evaluate("performance.now()") / 1000)
                print(f"{blocks:6,} {statistics.median(times):6.2f} s  {' '.join(tab.problems)}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
