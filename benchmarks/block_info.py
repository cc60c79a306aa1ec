# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Time and memory of ``ipam_block_info`` on 10,000 blocks with 150,000 allocations.

A small HTTP server hands out the same pages to a bare client (paged GETs and
``json.loads``, nothing else) and to the module; each measurement is a process of its own.

    python benchmarks/block_info.py [--blocks 10000] [--allocations 15] [--runs 3]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import http.server
import io
import ipaddress
import json
import os
import subprocess
import sys
import threading
import time
import typing as t
from urllib.parse import parse_qs, urlparse

PAGE = 500
BLOCKS = "/apis/crd.projectcalico.org/v1/ipamblocks"
POOLS = "/apis/crd.projectcalico.org/v1/ippools"
CASES = {
    "bare client": None,
    "figures of all blocks": {},
    "query over nodes": {"query": "nodes[?borrowed > `0`].node"},
    "query over addresses": {"query": "blocks[].addresses[?kind=='tunnel'][]"},
    "query over a whole": {"query": "length(blocks[].addresses[?kind=='tunnel'][])"},
    "one pod": {"pod": "namespace-3/pod-00042-3"},
    "every address": {"addresses": True},
}


def block(number: int, allocations: int) -> dict[str, t.Any]:
    base = ipaddress.IPv4Address("10.0.0.0") + number * 64
    node = f"node-{number % 500:04d}"
    used = range(allocations)
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "IPAMBlock",
        "metadata": {
            "annotations": {"projectcalico.org/metadata": '{"creationTimestamp":"2026-08-01T10:00:00Z"}'},
            "creationTimestamp": "2026-08-01T10:00:00Z",
            "generation": 20,
            "name": f"{base}-26".replace(".", "-"),
            "resourceVersion": str(100000 + number),
            "uid": f"00000000-0000-4000-8000-{number:012d}",
        },
        "spec": {
            "affinity": f"host:{node}",
            "affinityClaimTime": "2026-08-01T10:00:00Z",
            "allocations": [ordinal if ordinal in used else None for ordinal in range(64)],
            "attributes": [
                {
                    "handle_id": f"k8s-pod-network.{number:05d}{ordinal:03d}{'a' * 56}",
                    "secondary": {
                        "namespace": f"namespace-{ordinal}",
                        "node": node,
                        "pod": f"pod-{number:05d}-{ordinal}",
                        "timestamp": "2026-08-01 10:00:00 +0000 UTC",
                    },
                }
                for ordinal in used
            ],
            "cidr": f"{base}/26",
            "deleted": False,
            "sequenceNumber": 1785000000000000000 + number,
            "sequenceNumberForAllocation": {str(ordinal): 1785000000000000000 + ordinal for ordinal in used},
            "strictAffinity": False,
            "unallocated": [ordinal for ordinal in range(64) if ordinal not in used],
        },
    }


def listing(kind: str, items: list[t.Any], token: str = "") -> bytes:
    metadata = {"resourceVersion": "200000", **({"continue": token} if token else {})}
    body = {"apiVersion": "crd.projectcalico.org/v1", "kind": kind, "metadata": metadata, "items": items}
    return json.dumps(body, separators=(",", ":")).encode()


class Server:
    """Serves prepared pages; everything else is an empty list."""

    def __init__(self, blocks: int, allocations: int) -> None:
        starts = range(0, blocks, PAGE)
        self.pages = [
            listing(
                "IPAMBlockList",
                [block(number, allocations) for number in range(start, min(start + PAGE, blocks))],
                str(start + PAGE) if start + PAGE < blocks else "",
            )
            for start in starts
        ]
        pool = {"metadata": {"name": "default-ipv4-ippool", "uid": "u", "resourceVersion": "1"}}
        pools = listing("IPPoolList", [{**pool, "spec": {"cidr": "10.0.0.0/8", "blockSize": 26}}])
        pages = self.pages

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlparse(self.path)
                if url.path == BLOCKS:
                    body = pages[int(parse_qs(url.query).get("continue", ["0"])[0]) // PAGE]
                else:
                    body = pools if url.path == POOLS else listing("List", [])
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: t.Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


def bare(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    token = ""
    count = 0
    while True:
        connection.request("GET", f"{BLOCKS}?limit={PAGE}" + (f"&continue={token}" if token else ""))
        answer = json.loads(connection.getresponse().read())
        count += len(answer["items"])
        token = answer["metadata"].get("continue", "")
        if not token:
            return


def module(port: int, options: dict[str, t.Any]) -> None:
    from ansible.module_utils import basic

    from ansible_collections.calico_ops.ipam.plugins.modules import ipam_block_info

    arguments = {"host": f"http://127.0.0.1:{port}", "validate_certs": False, **options}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        ipam_block_info.main()
    if '"failed": true' in output.getvalue()[-500:] + output.getvalue()[:500]:
        raise SystemExit(output.getvalue()[:500])


def child(case: str, port: int) -> None:
    options = CASES[case]
    began = time.perf_counter()
    if options is None:
        bare(port)
    else:
        module(port, options)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """The largest resident size so far; unlike ru_maxrss it does not count what the parent had."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=10_000)
    parser.add_argument("--allocations", type=int, default=15)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("CASE", "PORT"))
    options = parser.parse_args()
    if options.child:
        child(options.child[0], int(options.child[1]))
        return
    server = Server(options.blocks, options.allocations)
    size = sum(map(len, server.pages)) / 1e6
    print(f"{options.blocks:,} blocks, {options.blocks * options.allocations:,} allocations, {size:.0f} MB of JSON")
    # The configuration of the person who runs this must not lead the client elsewhere.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("K8S_AUTH_", "KUBECONFIG"))}
    first = 0.0
    for case in CASES:
        runs = []
        for _run in range(options.runs):
            command = [sys.executable, __file__, "--child", case, str(server.port)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
            runs.append(json.loads(done.stdout))
        seconds = min(run["seconds"] for run in runs)
        first = first or seconds
        peak = max(run["peak_mb"] for run in runs)
        print(f"{case:22} {seconds:6.2f} s  {seconds / first:4.1f} x  {peak:6.0f} MB")


if __name__ == "__main__":
    main()
