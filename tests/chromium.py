# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A headless Chromium, by its DevTools protocol: a page is opened, keys are pressed, the console is listened to.

with chromium(tmp_path) as browser:
    page = browser.open(path, dark=True)
    page.press("Enter")
    page.evaluate("document.title")
    page.problems  # errors on the console, exceptions, refused resources, and every request that is not the page
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import typing as t
from pathlib import Path

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 30.0

Message = t.Dict[str, t.Any]
# Windows key codes, which the protocol wants beside the names.
KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Tab": 9,
    "Enter": 13,
    "Escape": 27,
    "End": 35,
    "Home": 36,
    "PageDown": 34,
}


def find() -> str | None:
    """The path of a Chromium on this machine; the variable CHROMIUM names another one."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium(directory: Path) -> t.Iterator[Browser]:
    """A Chromium of our own, with a fresh profile in ``directory``, that ends with the block."""
    program = find()
    if program is None:
        raise AssertionError("there is no Chromium here")
    command = [
        program,
        "--headless=new",
        # A container has no user namespaces for the sandbox, and CI runs as root; the only page is our own.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        f"--user-data-dir={directory / 'profile'}",
        "--remote-debugging-port=0",
        "about:blank",
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    loop = asyncio.new_event_loop()
    try:
        browser = Browser(loop, _address(process))
        try:
            yield browser
        finally:
            loop.run_until_complete(browser.close())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
        loop.close()


def _address(process: subprocess.Popen[bytes]) -> str:
    said = []
    for line in process.stderr or ():
        found = re.search(rb"DevTools listening on (ws://\S+)", line)
        if found:
            return found.group(1).decode()
        said.append(line.decode(errors="replace"))
    raise AssertionError(f"Chromium did not start:\n{''.join(said)}")


class Browser:
    """One connection to Chromium; pages share it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: str) -> None:
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._number = 0
        self.pages: dict[str, Page] = {}
        loop.run_until_complete(self._connect(address))

    async def _connect(self, address: str) -> None:
        self._session = aiohttp.ClientSession()
        self._socket = await self._session.ws_connect(address, max_msg_size=0)
        self._reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for frame in self._socket:
            message = frame.json()
            waiting = self._waiting.pop(message.get("id", -1), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].heard(message["method"], message["params"])

    async def close(self) -> None:
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader
        await self._socket.close()
        await self._session.close()

    def call(self, method: str, session: str | None = None, **params: t.Any) -> Message:
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, session, params), SECONDS))

    async def _call(self, method: str, session: str | None, params: Message) -> Message:
        self._number += 1
        answer = self._waiting[self._number] = self._loop.create_future()
        message: Message = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        await self._socket.send_json(message)
        reply = await answer
        if "error" in reply:
            raise AssertionError(f"{method}: {reply['error']}")
        return t.cast(Message, reply["result"])

    def open(self, path: Path, *, dark: bool = False, width: int = 1440, height: int = 900) -> Page:
        """A new tab with a file; back when it is loaded and painted."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session, path.resolve().as_uri())
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            if domain != "Accessibility":
                page.call(f"{domain}.enable")
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        page.call("Emulation.setEmulatedMedia", features=features)
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        page.load()
        return page


class Page:
    """A tab. ``problems`` are things that must not happen on our page, in words."""

    def __init__(self, browser: Browser, session: str, url: str) -> None:
        self._browser = browser
        self._session = session
        self._url = url
        self.problems: list[str] = []

    def heard(self, method: str, params: Message) -> None:
        if method == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"].get("exception", params["exceptionDetails"])))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.problems.append(str(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent" and params["request"]["url"] != self._url:
            self.problems.append(f"request for {params['request']['url'][:200]}")

    def call(self, method: str, **params: t.Any) -> Message:
        return self._browser.call(method, self._session, **params)

    def load(self) -> None:
        self.call("Page.navigate", url=self._url)
        # The first promise waits for the load, the second for two frames after it.
        self.evaluate(
            "new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))"
            ".then(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))"
        )

    def seconds(self) -> tuple[float, float]:
        """Load anew; the seconds until it was drawn, and those in which the page's thread had a processor.

        The second number is not larger where others use the processors, too.
        """
        self.call("Performance.enable", timeDomain="threadTicks")
        before = self._busy()
        self.load()
        drawn = float(self.evaluate("performance.now()")) / 1000
        busy = self._busy() - before
        self.call("Performance.disable")
        return drawn, busy

    def _busy(self) -> float:
        metrics = self.call("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def evaluate(self, expression: str) -> t.Any:
        """The value of an expression of JavaScript, of a promise what it becomes."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press and release keys one after the other, by their names or as single characters."""
        for key in keys:
            common: Message = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, 0)}
            if key == "Enter":
                common["text"] = "\r"
            elif len(key) == 1:
                common["text"] = key
            self.call("Input.dispatchKeyEvent", type="keyDown", **common)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=KEYS.get(key, 0))

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A picture of what is to be seen, or of the whole page."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    def accessible(self) -> list[Message]:
        """The nodes of the accessibility tree that are not ignored, as a screen reader gets them."""
        self.call("Accessibility.enable")
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        self.call("Accessibility.disable")
        return [node for node in nodes if not node.get("ignored")]
