# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A scripted API server on loopback for the client's tests: each request takes the next answer of its path."""

from __future__ import annotations

import http.server
import json
import threading
import time
import typing as t
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass
class Answer:
    """``body`` is JSON-encoded unless it is bytes; ``lines`` are sent chunked, as a watch; ``cut`` drops the line."""

    status: int = 200
    body: t.Any = None
    headers: dict[str, str] = field(default_factory=dict)
    lines: list[t.Any] | None = None
    cut: bool = False
    hold: float = 0.0


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: t.Any


class ScriptedServer:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.connections: set[t.Any] = set()
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                body = json.loads(raw) if raw else None
                script.connections.add(self.client_address)
                script.asked.append(
                    Asked(self.command, parts.path, dict(parse_qsl(parts.query)), dict(self.headers.items()), body)
                )
                waiting = script.answers.get((self.command, parts.path)) or [Answer(404, b"404 page not found")]
                answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                if answer.cut and answer.lines is None:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.lines is not None:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for line in answer.lines:
                        data = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                        self.wfile.flush()
                    if answer.hold:
                        time.sleep(answer.hold)
                    if answer.cut:
                        self.close_connection = True
                        return
                    self.wfile.write(b"0\r\n\r\n")
                    return
                data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_args: t.Any) -> None:
                return

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_args: t.Any) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """The answers for a method and path, in order; the last one is repeated."""
        self.answers[method, path] = list(answers)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> t.Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()
