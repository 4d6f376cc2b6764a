"""A browser that looks at served pages, and tells what they asked for and what went wrong in them.

Browsers, tabs and servers cost seconds each: all tests of this folder share one browser, one tab
where they need none of their own, and one service over all stores.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Response, ViewportSize, expect, sync_playwright

from loadtests.ground import ROOT, serving
from tests.clients.programs import program
from tests.pages.stores import ENTRIES, write_stores

# What is expected may come late on a machine that does much else.
expect.set_options(timeout=30_000)
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
WINDOW: ViewportSize = {"width": 1280, "height": 900}
MEDIA = frozenset(("color_scheme", "reduced_motion"))
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
    """A page, with what it asked for and got, and its complaints, of which there must be none."""

    page: Page
    asked: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._heard: dict[str, Callable[[Any], None]] = {
            "request": lambda request: self.asked.append(request.url),
            "response": lambda answer: self.answers.append(answer),
            "pageerror": lambda error: self.complaints.append(str(error)),
            "console": lambda told: self._hear(told.type, told.text),
        }
        for event, hear in self._heard.items():
            self.page.on(event, hear)  # type: ignore[call-overload]

    def _hear(self, kind: str, text: str) -> None:
        # What tests read of a canvas is no matter of the page.
        if kind in ("error", "warning") and not text.startswith("Canvas2D: Multiple readback"):
            self.complaints.append(text)

    def leave(self) -> None:
        """Let the page go, as it was found."""
        for event, hear in self._heard.items():
            self.page.remove_listener(event, hear)
        self.page.unroute_all()
        self.page.goto("about:blank")
        self.page.emulate_media(media="null", color_scheme="null", reduced_motion="null")
        self.page.set_viewport_size(WINDOW)

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

    def spot(self, longitude: float, latitude: float) -> tuple[float, float]:
        """Where a place of the map is on the page."""
        west, south, east, north = self.box()
        place = self.page.locator("canvas.cells").bounding_box()
        assert place is not None
        return (
            place["x"] + (longitude - west) / (east - west) * place["width"],
            place["y"] + (north - latitude) / (north - south) * place["height"],
        )

    def point(self, longitude: float, latitude: float) -> None:
        """Move the pointer to a place of the map."""
        self.page.mouse.move(*self.spot(longitude, latitude))

    def click(self, longitude: float, latitude: float) -> None:
        """Click on a place of the map."""
        self.page.mouse.click(*self.spot(longitude, latitude))

    def shot(self, name: str) -> None:
        """A picture of the whole page, for people, in ``build/pages``."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


Look = Callable[..., Watched]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """A browser for the tests of this folder.

    (Its library has an event loop of its own in this thread while it lives: no test that is
    asynchronous can stand here.)
    """
    chromium = program("chromium")
    options: dict[str, Any] = {"executable_path": chromium, "args": list(FLAGS)}
    with sync_playwright() as playwright, playwright.chromium.launch(**options) as started:
        yield started


@pytest.fixture(scope="package")
def tab(browser: Browser) -> Iterator[Page]:
    """The tab that tests share, one after the other."""
    with browser.new_context(viewport=WINDOW) as context:
        yield context.new_page()


@pytest.fixture
def look(browser: Browser, tab: Page) -> Iterator[Look]:
    """Opens a page, which may not complain until the test ends.

    It is the shared tab, unless that is taken, or a `fresh` one or options of a browser are wanted
    that no tab can change; those are of a browser that knows nothing yet.
    """
    with ExitStack() as stack:
        seen: list[Watched] = []

        def new(*, fresh: bool = False, **options: Any) -> Watched:
            media = {name: options[name] for name in MEDIA & options.keys()}
            if fresh or seen or options.keys() - {*media, "viewport"}:
                context = browser.new_context(**{"viewport": WINDOW, **options})
                stack.callback(context.close)
                seen.append(Watched(context.new_page()))
                return seen[-1]
            tab.emulate_media(**media)
            tab.set_viewport_size(options.get("viewport", WINDOW))
            seen.append(Watched(tab))
            stack.callback(seen[-1].leave)
            return seen[-1]

        yield new
        assert [one for watched in seen for one in watched.complaints] == []


Serve = Callable[..., str]


@pytest.fixture(scope="package")
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


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All stores."""
    folder = tmp_path_factory.mktemp("stores")
    write_stores(folder)
    return folder


@pytest.fixture(scope="package")
def address(serve: Serve, folder: Path) -> str:
    """The service over all stores; it reads at most 60 MB of chunks for one request."""
    entries = {
        name: {"url": str(folder / f"{told.get('store', name)}.zarr"), **told.get("entry", {})}
        for name, told in ENTRIES.items()
    }
    return serve(entries, SLUICE_REQUEST_CHUNK_BYTES=str(60_000_000))


@dataclass(frozen=True)
class Guarded:
    """A service with a key: `open` is for everybody, `closed` for who has it."""

    address: str
    key: str


@pytest.fixture(scope="package")
def guarded(serve: Serve, folder: Path) -> Guarded:
    """A service with a key; pages of two origins may have its views in frames."""
    command = [sys.executable, "-m", "app", "key", "team"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    url = str(folder / "beacon.zarr")
    entries = {
        "open": {"url": url, "title": "For all", "access": "public"},
        "closed": {"url": url, "title": "For some"},
    }
    settings = {"SLUICE_EMBED_ORIGINS": "https://maps.example,https://news.example"}
    address = serve(entries, SLUICE_KEYS=done.stdout.strip(), **settings)
    return Guarded(address, done.stderr.strip())
