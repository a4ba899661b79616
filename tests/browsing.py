"""Published pages in a real browser that can reach nothing else."""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.conftest import ROOT


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def serving(folder: Path, kind: type[Quiet] = Quiet) -> Iterator[str]:
    """The address at which the files of `folder` are served."""
    handler = functools.partial(kind, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "no chromium: install it (Debian: apt-get install chromium)"
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        made.new_page().close()  # so that its own processes run before a test looks what it leaves running
        yield made
        made.close()


class Look:
    """A page, and everything it complained of or asked for elsewhere."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
        self.address = address
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("request", self._note)

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"left the machine: {request.url}")

    def at(self, place: str) -> Any:
        self.page.goto(f"{self.address}/{place}")
        self.page.wait_for_load_state("networkidle")
        return self.page

    def at_reasons(self, **asked: str) -> Any:
        page = self.at("reasons.html#" + "&".join(f"{name}={value}" for name, value in asked.items()))
        page.wait_for_function("document.body.dataset.shown === location.hash")
        return page

    def picture(self, name: str) -> None:
        folder = Path(os.environ.get("SITE_SCREENSHOTS", ROOT / ".pytest_cache/screenshots"))
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")
