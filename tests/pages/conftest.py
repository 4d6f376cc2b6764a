"""A browser that looks at a served page, and tells what it asked for and what went wrong in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from loadtests.ground import ROOT, serving
from tests.clients.programs import program

SHOTS = ROOT / "build" / "pages"
# Nothing but this machine answers, whatever a page or a browser wants.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
READY = "#explorer[data-state=ready]"
_PIXELS = """canvas => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const words = new Uint8Array(data.buffer);
    let text = "";
    for (let at = 0; at < words.length; at += 32768) {
        text += String.fromCharCode(...words.subarray(at, at + 32768));
    }
    return [width, height, btoa(text)];
}"""


@dataclass
class Watched:
    """A page, with what it asked for, and its complaints, of which there must be none."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda told: self._hear(told.type, told.text))

    def _hear(self, kind: str, text: str) -> None:
        # What tests read of a canvas is no matter of the page.
        if kind in ("error", "warning") and not text.startswith("Canvas2D: Multiple readback"):
            self.complaints.append(text)

    def open(self, address: str) -> None:
        """Go there, and wait for the picture."""
        self.page.goto(address)
        self.wait()

    def wait(self) -> None:
        """Return when the view shows what its address says."""
        self.page.wait_for_selector(READY)
        # Pictures are drawn with the next frame.
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def pixels(self) -> NDArray[np.uint8]:
        """The cells that are painted: rows, columns, red, green, blue and alpha."""
        width, height, text = self.page.eval_on_selector("canvas.cells", _PIXELS)
        flat = np.frombuffer(base64.b64decode(text), np.uint8)
        return flat.reshape(height, width, 4)

    def box(self) -> tuple[float, float, float, float]:
        """What is looked at: west, south, east, north."""
        text = self.page.get_attribute("canvas.overlay", "data-box")
        assert text is not None
        west, south, east, north = map(float, text.split(","))
        return west, south, east, north

    def shot(self, name: str) -> None:
        """A picture of the whole page, for people, in ``build/pages``."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


Look = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one module.

    (Its library has an event loop of its own in this thread while it lives: no test that is
    asynchronous can stand in such a module.)
    """
    chromium = program("chromium")
    options: dict[str, Any] = {"executable_path": chromium, "args": list(FLAGS)}
    with sync_playwright() as playwright, playwright.chromium.launch(**options) as started:
        yield started


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Opens a tab of a browser that knows nothing yet; no page may complain until the test ends."""
    with ExitStack() as stack:
        seen: list[Watched] = []

        def new(**options: Any) -> Watched:
            context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
            stack.callback(context.close)
            seen.append(Watched(context.new_page()))
            return seen[-1]

        yield new
        assert [one for watched in seen for one in watched.complaints] == []


Serve = Callable[..., str]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts a service over these entries, with settings, and gives its address."""
    with ExitStack() as stack:

        def start(entries: dict[str, dict[str, Any]], **settings: str) -> str:
            folder = tmp_path_factory.mktemp("pages")
            catalog = folder / "catalog.yaml"
            catalog.write_text(json.dumps({"datasets": entries}), encoding="utf-8")
            log = folder / "server.log"
            _, address = stack.enter_context(serving(catalog, log, **settings))
            return address

        yield start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stores of a module are written."""
    return tmp_path_factory.mktemp("stores")
