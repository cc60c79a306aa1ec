# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time and memory of reading IPAM blocks, against ``json.loads`` alone on the same text.

``whole``: the list is one document and everything is kept, as ``KubernetesStore.list_blocks`` does.
``pages``: pages of 500 come one by one and go again, as in ``ippool_info``; memory must not grow
with the cluster. Every measurement is a process of its own; seconds are processor time, memory is the
peak of the resident size above what the process had before the first page.

    python benchmarks/decode.py [--times 1] [--runs 3]

``--times 10`` or ``100`` reads a cluster of that many times 10,000 blocks, only in pages beyond 10.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from block_info import block, listing, peak_mb

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import parse_network
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.pool import Pool
from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.utilization import Tally, measure
from ansible_collections.calico_ops.ipam.plugins.module_utils._operations.blocks import no_cycle_search
from ansible_collections.calico_ops.ipam.plugins.module_utils._store.wire import decode_block

BLOCKS, ALLOCATIONS, PAGE = 10_000, 15, 500


def write_pages(folder: Path) -> float:
    """The pages of 10,000 blocks, one file each, and the same as one document; returns its size in MB."""
    blocks = [block(number, ALLOCATIONS) for number in range(BLOCKS)]
    for start in range(0, BLOCKS, PAGE):
        (folder / f"page-{start:05d}").write_bytes(listing("IPAMBlockList", blocks[start : start + PAGE]))
    whole = listing("IPAMBlockList", blocks)
    (folder / "whole").write_bytes(whole)
    return len(whole) / 1e6


def pages(folder: Path, times: int) -> t.Iterator[bytes]:
    """Pages of another range of addresses for each of the ``times``."""
    for first in range(10, 10 + times):
        for path in sorted(folder.glob("page-*")):
            text = path.read_bytes()
            if first != 10:
                text = text.replace(b'"10.', f'"{first}.'.encode()).replace(b'"10-', f'"{first}-'.encode())
            yield text


def everything(folder: Path, times: int) -> bytes:
    if times == 1:
        return (folder / "whole").read_bytes()
    return b'{"items":[' + b",".join(text[text.index(b"[") + 1 : -2] for text in pages(folder, times)) + b"]}"


def tally() -> Tally:
    return Tally([Pool(f"pool-{first}", parse_network(f"{first}.0.0.0/8"), 26) for first in range(10, 110)])


def whole_json(folder: Path, times: int) -> t.Any:
    text = everything(folder, times)
    yield
    yield json.loads(text)


def whole_blocks(folder: Path, times: int) -> t.Any:
    text = everything(folder, times)
    yield
    with no_cycle_search():
        items = json.loads(text)["items"]
        kept = [(decode_block(item), item) for item in items]
        use = tally()
        for item in items:
            use.add(measure(item["spec"]))
    yield kept, use.pools()


def pages_json(folder: Path, times: int) -> t.Any:
    yield
    for text in pages(folder, times):
        json.loads(text)
    yield


def pages_figures(folder: Path, times: int) -> t.Any:
    yield
    use = tally()
    with no_cycle_search():
        for text in pages(folder, times):
            for item in json.loads(text)["items"]:
                use.add(measure(item["spec"]))
    yield use.pools()


def pages_blocks(folder: Path, times: int) -> t.Any:
    yield
    use = tally()
    with no_cycle_search():
        for text in pages(folder, times):
            for item in json.loads(text)["items"]:
                decode_block(item)
                use.add(measure(item["spec"]))
    yield use.pools()


CASES: dict[str, t.Callable[[Path, int], t.Iterator[t.Any]]] = {
    "whole: json.loads alone": whole_json,
    "whole: blocks and utilisation": whole_blocks,
    "pages: json.loads alone": pages_json,
    "pages: utilisation": pages_figures,
    "pages: blocks and utilisation": pages_blocks,
}


def child(case: str, folder: Path, times: int) -> None:
    steps = CASES[case](folder, times)
    next(steps)
    gc.collect()
    before, began = peak_mb(), time.process_time()
    kept = next(steps)
    seconds = time.process_time() - began
    print(json.dumps({"seconds": seconds, "mb": peak_mb() - before, "kept": kept is not None}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("CASE", "FOLDER"))
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]), options.times)
        return
    with tempfile.TemporaryDirectory() as name:
        size = write_pages(Path(name)) * options.times
        blocks = BLOCKS * options.times
        print(f"{blocks:,} blocks, {blocks * ALLOCATIONS:,} allocations, {size:,.0f} MB of JSON")
        base: dict[str, float] = {}
        for case in CASES:
            if options.times > 10 and case.startswith("whole"):
                continue
            runs = []
            for _run in range(options.runs):
                command = [sys.executable, __file__, "--times", str(options.times), "--child", case, name]
                runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            found = {part: min(run[part] for run in runs) for part in ("seconds", "mb")}
            if case.endswith("alone"):
                base = found
            print(
                f"{case:30} {found['seconds']:7.2f} s {found['seconds'] / base['seconds']:5.2f} x "
                f"{found['mb']:7.0f} MB {found['mb'] / base['mb']:5.2f} x"
            )


if __name__ == "__main__":
    main()
