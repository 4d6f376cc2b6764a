"""The pages in a real browser: when the first picture is there, and how smoothly it changes.

Chromium draws without a graphics card, in the time that the other programs of the machine leave it:
the figures are those of a machine that does nothing else.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadtests.bench.figures import Claim, Result
from loadtests.bench.stage import Stage
from loadtests.ground import NotReady

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Rows, columns, and milliseconds until the first picture.
MAPS: Final = {"small": (73, 144, 300.0), "large": (721, 1440, 500.0)}
STEPS: Final = 24
FRAMES: Final = 500
RECOLOUR_MS, DRAG_FRAMES, SERIES_MS, HEAP_MIB, GROWTH = 12.0, 50.0, 200.0, 200.0, 1.2
READY: Final = "#explorer[data-state=ready]"

# When the picture is on the screen, and how long the work of each frame takes.
WATCH: Final = """
window.readyAt = null;
window.frameWork = 0;
new MutationObserver(() => {
  const view = document.querySelector("#explorer[data-drawn]");
  if (view && window.readyAt === null) window.readyAt = performance.now();
}).observe(document, { subtree: true, childList: true, attributeFilter: ["data-drawn"] });
const ask = window.requestAnimationFrame.bind(window);
window.requestAnimationFrame = (work) => ask((now) => {
  const began = performance.now();
  work(now);
  window.frameWork += performance.now() - began;
});
"""
RECOLOUR: Final = """async (cmap) => {
  const [select] = [...document.querySelectorAll("select")].filter(
    (one) => [...one.options].some((option) => option.value === cmap));
  window.frameWork = 0;
  const began = performance.now();
  select.value = cmap;
  select.dispatchEvent(new Event("change", { bubbles: true }));
  const asked = performance.now() - began;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return asked + window.frameWork;
}"""
# A pointer that moves with each frame for a second.
DRAG: Final = """async () => {
  const canvas = document.querySelector(".histogram");
  canvas.setPointerCapture = () => {};
  const { left, top, width } = canvas.getBoundingClientRect();
  const tell = (kind, share) => canvas.dispatchEvent(new PointerEvent(kind,
    { clientX: left + share * width, clientY: top + 5, pointerId: 1, bubbles: true }));
  tell("pointerdown", 0.9);
  let frames = 0;
  const began = performance.now();
  while (performance.now() - began < 1000) {
    tell("pointermove", 0.75 + 0.15 * Math.cos(frames / 10));
    await new Promise((done) => requestAnimationFrame(done));
    frames += 1;
  }
  const rate = (1000 * frames) / (performance.now() - began);
  tell("pointerup", 0.8);
  return rate;
}"""
SERIES: Final = """() => {
  window.seriesAt = null;
  addEventListener("pointerup", () => { window.clickedAt = performance.now(); }, true);
  new MutationObserver(() => {
    if (document.querySelector(".legend li") && window.seriesAt === null) {
      window.seriesAt = performance.now();
    }
  }).observe(document.body, { subtree: true, childList: true });
}"""
PLAY: Final = """async (frames) => {
  const view = document.getElementById("explorer");
  const button = document.querySelector('[aria-label="Next, time"]');
  const back = document.querySelector('[aria-label="First, time"]');
  for (let at = 0; at < frames; at += 1) {
    (button.disabled || at % 20 === 19 ? back : button).click();
    do await new Promise((done) => setTimeout(done));
    while (view.dataset.state !== "ready");
  }
}"""


def page(stage: Stage) -> Result:
    """Each figure of the pages' budget that is a time; bytes and requests are tests."""
    result = Result("page", "the explorer in Chromium, warm, over loopback")
    entries = {name: {"url": str(_store(stage.folder, name))} for name in MAPS}
    with _chromium() as browser, stage.sluice(entries) as started, started.awake():
        for name, (rows, columns, most) in MAPS.items():
            visits = [_first_pictures(browser, f"{started.address}/explore/{name}") for _ in
                      range(stage.rounds + 1)]  # fmt: skip
            # The first visit of all opens the store.
            cold, warm = (median(times) for times in zip(*visits[1:], strict=True))
            said = f"first picture of {rows} x {columns}, ms"
            result.claims.append(Claim(said, warm, "<=", most))
            result.notes.append(f"{said}: {cold:.0f} in a browser that has none of the files")
        with _looking(browser, f"{started.address}/explore/large") as tab:
            result.claims += _smoothness(tab, stage.rounds)
        with _looking(browser, f"{started.address}/explore/small") as tab:
            result.claims += [Claim("click to a series, ms", _series(tab), "<=", SERIES_MS)]
            result.claims += _heap(tab)
    return result


def _store(folder: Path, name: str) -> Path:
    """A field on so many rows and columns, of a chunk a step; written once."""
    import xarray as xr

    path = folder / "data" / f"page-{name}.zarr"
    if path.exists():
        return path
    rows, columns, _ = MAPS[name]
    lat, lon = np.linspace(90, -90, rows), np.arange(columns) * (360 / columns)
    waves = np.cos(np.deg2rad(2 * lon)) * np.cos(np.deg2rad(lat))[:, None]
    noise = np.random.default_rng(1).normal(0, 0.5, (STEPS, rows, columns))
    values = (280 + 15 * waves + noise).astype("f4")
    time = np.datetime64("2024-01-01", "ns") + np.arange(STEPS) * np.timedelta64(1, "h")
    ds = xr.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K"})},
        {"time": time, "latitude": lat, "longitude": lon},
    )
    for axis, units in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        ds[axis].attrs["units"] = units
    chunks = {"t2m": {"chunks": (1, rows, columns)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.to_zarr(path, zarr_format=2, consolidated=True, encoding=chunks)
    return path


@contextmanager
def _chromium() -> Iterator[Browser]:
    """A browser; raises NotReady without one."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise NotReady("Playwright is not installed (./run setup)") from None
    found = shutil.which("chromium")
    if found is None:
        raise NotReady("chromium is not installed (scripts/clients.sh install)")
    flags = ["--no-sandbox", "--disable-gpu", "--enable-precise-memory-info"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=found, args=flags) as browser,
    ):
        yield browser


@contextmanager
def _looking(browser: Browser, address: str) -> Iterator[Page]:
    """A tab that knows nothing yet, once it shows the picture."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.add_init_script(WATCH)
    try:
        tab.goto(address)
        tab.wait_for_selector(READY)
        tab.wait_for_timeout(300)
        yield tab
    finally:
        context.close()


def _first_pictures(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds from the navigation to the picture on the screen: in a browser that was never
    here, and when it comes again.
    """
    with _looking(browser, address) as tab:
        cold = float(tab.evaluate("window.readyAt"))
        tab.goto("about:blank")
        tab.goto(address)
        tab.wait_for_selector(READY)
        return cold, float(tab.evaluate("window.readyAt"))


def _smoothness(tab: Page, rounds: int) -> list[Claim]:
    """How long another colour map takes, and how many frames a drag of the range has."""
    colours = ("magma", "viridis")
    works = [float(tab.evaluate(RECOLOUR, colours[at % 2])) for at in range(2 * rounds + 2)]
    return [
        Claim("recolour of 721 x 1440, ms", median(works[2:]), "<=", RECOLOUR_MS),
        Claim("range drag of 721 x 1440, frames/s", tab.evaluate(DRAG), ">=", DRAG_FRAMES),
    ]


def _series(tab: Page) -> float:
    """Milliseconds from a click to the series of all steps."""
    tab.evaluate(SERIES)
    tab.locator("canvas.overlay").click(position={"x": 300, "y": 200})
    tab.wait_for_selector(".legend li")
    return float(tab.evaluate("window.seriesAt - window.clickedAt"))


def _heap(tab: Page) -> list[Claim]:
    """The memory after many frames, and how much more it is than after a few."""
    tab.evaluate(PLAY, FRAMES // 5)
    early = _held_bytes(tab)
    tab.evaluate(PLAY, FRAMES - FRAMES // 5)
    late = _held_bytes(tab)
    return [
        Claim(f"heap after {FRAMES} frames, MiB", late / 2**20, "<=", HEAP_MIB),
        Claim(f"heap after {FRAMES} frames / after {FRAMES // 5}", late / early, "<=", GROWTH),
    ]


def _held_bytes(tab: Page) -> float:
    session = tab.context.new_cdp_session(tab)
    session.send("HeapProfiler.collectGarbage")
    usage: Mapping[str, Any] = session.send("Runtime.getHeapUsage")
    session.detach()
    return float(usage["usedSize"] + usage.get("backingStorageSize", 0))
