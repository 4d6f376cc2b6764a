"""What a picture shows: cells of any grid, what is missing, long axes, films."""

from __future__ import annotations

import re
import time

import httpx
import numpy as np
import xarray as xr
from playwright.sync_api import Page, Route, expect

from tests.pages.conftest import Look
from tests.pages.stores import HEAT, curvilinear, long_series

LAST = (253, 231, 37, 255)
FRAMES = 24
_RECORD = """() => {
    window.frames_seen = [];
    const player = document.querySelector(".player");
    const keep = () => {
        const { frame, state } = player.dataset;
        window.frames_seen.push([frame, state]);
        document.body.dataset.seen = Math.max(frame ?? 0, document.body.dataset.seen ?? 0);
    };
    new MutationObserver(keep).observe(
        player, { attributes: true, attributeFilter: ["data-frame", "data-state"] });
}"""


def hottest(dataset: xr.Dataset) -> tuple[float, float]:
    """Longitude and latitude of the one cell that is hot."""
    first = dataset.heat.values[0]
    at = np.unravel_index(int(first.argmax()), first.shape)
    return float(dataset.lon.values[at]), float(dataset.lat.values[at])


def test_a_curvilinear_beacon_is_where_its_cell_is(address: str, look: Look) -> None:
    """Of the last colour; readout, mark and series are of the cell that the server finds there."""
    longitude, latitude = hottest(curvilinear())
    tab = look()
    tab.open(f"{address}/explore/curvilinear")
    pixels = tab.pixels()
    rows, columns = np.nonzero((pixels == LAST).all(axis=2))
    west, south, east, north = tab.box()
    height, width = pixels.shape[:2]
    middle = (
        west + (columns.mean() + 0.5) * (east - west) / width,
        north - (rows.mean() + 0.5) * (north - south) / height,
    )
    assert np.allclose(middle, (longitude, latitude), atol=0.03)
    # Outside of the grid, which is turned, there is nothing.
    assert pixels[0, 0, 3] == 0
    asked = httpx.get(
        f"{address}/datasets/curvilinear/sel?at={longitude},{latitude}", timeout=60
    ).json()
    series = asked["data_vars"]["heat"]["data"]
    tab.point(longitude, latitude)
    readout = tab.page.locator(".readout")
    expect(readout).to_contain_text(f"{series[0]:g} K at ")
    said = re.search(r"at ([\d.]+)°N, ([\d.]+)°E", readout.inner_text())
    assert said is not None
    assert np.allclose([float(said[2]), float(said[1])], (longitude, latitude), atol=1e-3)
    # Nobody has to look for it.
    expect(tab.page.locator(".highest")).to_have_text(f"highest: {readout.inner_text()}")
    tab.click(longitude, latitude)
    expect(tab.page.locator(".legend li")).to_have_text(f"{said[1]}°N, {said[2]}°E")
    tab.page.locator(".series summary").click()
    shown = [float(one) for one in tab.page.locator(".series td").all_inner_texts()]
    assert shown == series
    tab.shot("curvilinear")


def test_of_a_turned_grid_the_cells_that_are_seen_are_downloaded(address: str, look: Look) -> None:
    """Those around a box in degrees, by their positions."""
    dataset = curvilinear()
    west, south, east, north = 12.0, 46.0, 16.0, 48.0
    tab = look()
    tab.open(f"{address}/explore/curvilinear?_box={west},{south},{east},{north}")
    link = tab.page.get_by_role("group", name="Files").get_by_role("link", name="JSON")
    told = httpx.get(link.get_attribute("href") or "", timeout=60).json()
    shown_west, shown_south, shown_east, shown_north = tab.box()
    assert told["dims"]["row"] * told["dims"]["column"] < dataset.lat.size
    for name, low, high in (("lat", shown_south, shown_north), ("lon", shown_west, shown_east)):
        data = np.array(told["coords"][name]["data"])
        assert data.min() <= max(low, float(dataset[name].min())) + 0.5
        assert data.max() >= min(high, float(dataset[name].max())) - 0.5


def test_a_block_without_data(address: str, look: Look) -> None:
    """A checkerboard, the words under the pointer, and how much of it there is."""
    tab = look()
    tab.open(f"{address}/explore/holed")
    expect(tab.page.locator(".under .told")).to_have_text("no data: 25 %")
    pixels = tab.pixels()
    height, width = pixels.shape[:2]
    board = pixels[height // 4 : height // 4 + 16, width // 4 : width // 4 + 16].reshape(-1, 4)
    assert set(map(tuple, board.tolist())) == {(222, 225, 228, 255), (244, 246, 247, 255)}
    tab.point(2, 17)
    expect(tab.page.locator(".readout")).to_have_text("no data at 17°N, 2°E")
    tab.shot("holed")


def test_a_million_times_without_a_step(address: str, look: Look) -> None:
    """A chart by answers of 200 kB at most; an instant that is typed is the one that is shown."""
    tab = look(fresh=True)
    tab.open(f"{address}/explore/long")
    assert max(int(one.headers.get("content-length", 0)) for one in tab.answers) < 200_000
    series = long_series()
    for position in (654_321, 17):
        instant = str(series.time.values[position])[:19]
        field = tab.page.get_by_label("time, as a label")
        field.fill(f"{instant}Z")
        field.press("Enter")
        value = f"{float(series.level[position]):.7g}".replace("-", "−")
        words = f"{value} m at {instant.replace('T', ' ').removesuffix(':00')} UTC"
        expect(tab.page.locator(".readout")).to_have_text(words)
        assert f"time={instant}Z" in tab.page.url
    tab.page.get_by_label("Next, time").click()
    after = str(series.time.values[18])[:19].replace("T", " ").removesuffix(":00")
    expect(tab.page.locator(".readout")).to_contain_text(f"at {after} UTC")
    link = tab.page.url
    tab.open(link)
    expect(tab.page.locator(".readout")).to_contain_text(f"at {after} UTC")
    tab.shot("long")


def test_a_window_across_the_seam_has_every_cell(address: str, look: Look) -> None:
    """Of a field of too many cells: the part around Greenwich, of a store that begins there."""
    tab = look()
    tab.open(f"{address}/explore/wide?_box=-10,-6,10,6&_range=-20,20")
    assert tab.page.locator(".under .told").inner_text() == ""
    assert (tab.pixels()[:, :, 3] == 255).all()
    for longitude in (-8.04, -0.04, 0.04, 7):
        tab.point(longitude, 2)
        expect(tab.page.locator(".readout")).to_contain_text(f"{longitude:g} at".replace("-", "−"))


def play(page: Page) -> None:
    """As fast as it goes."""
    page.get_by_label("Frames per second").fill("15")
    page.get_by_role("button", name="Play").click()


def test_slow_frames_come_in_order(address: str, look: Look) -> None:
    """Each takes 200 ms: the film waits, says so, and leaves none out."""
    tab = look()
    tab.open(f"{address}/explore/beacon")

    def late(route: Route) -> None:
        time.sleep(0.2)
        route.continue_()

    tab.page.route("**/*pack=u1*", late)
    tab.page.evaluate(_RECORD)
    play(tab.page)
    # The last one is there for a moment, in which this thread may be busy with the next.
    tab.page.wait_for_selector(f"body[data-seen='{FRAMES - 1}']")
    seen = tab.page.evaluate("frames_seen")
    tab.page.get_by_role("button", name="Pause").click()
    frames = [int(frame) for frame, _ in seen if frame is not None]
    order = [frame for at, frame in enumerate(frames) if at == 0 or frames[at - 1] != frame]
    assert order[: FRAMES - 1] == list(range(1, FRAMES))
    assert any(state == "waiting" for _, state in seen)
    # The range is held, so that one colour is one value in all frames.
    assert "_range=" in tab.page.url


def test_a_film_ends_with_the_values_of_its_frame(address: str, look: Look) -> None:
    """Keys step and play; what is paused is what its address shows."""
    tab = look()
    tab.open(f"{address}/explore/beacon?_range=0,{HEAT}")
    overlay = tab.page.locator("canvas.overlay")
    overlay.focus()
    overlay.press("]")
    tab.page.wait_for_url("**time=2024-01-01T01:00Z**")
    tab.wait()
    overlay.press("[")
    tab.page.wait_for_url("**time=2024-01-01T00:00Z**")
    tab.wait()
    asked = len(tab.asked)
    overlay.press(" ")
    tab.page.wait_for_selector(".player[data-frame='3']")
    tab.shot("film")
    overlay.press(" ")
    tab.page.wait_for_selector("#explorer[data-state=ready]")
    tab.wait()
    assert any("pack=u1" in one for one in tab.asked[asked:])
    frame = tab.page.locator(".player").get_attribute("data-frame")
    assert f"time=2024-01-01T{int(frame or 0):02}:00Z" in tab.page.url
    paused = tab.pixels()
    tab.page.reload()
    tab.wait()
    assert np.array_equal(tab.pixels(), paused)


def test_nothing_moves_for_who_wants_no_motion(address: str, look: Look) -> None:
    """Neither by a button nor by a key; steps remain."""
    tab = look(reduced_motion="reduce")
    tab.open(f"{address}/explore/beacon")
    expect(tab.page.locator(".player")).to_be_hidden()
    asked = len(tab.asked)
    tab.page.locator("canvas.overlay").press(" ")
    tab.page.locator("canvas.overlay").press("]")
    tab.page.wait_for_url("**time=2024-01-01T01:00Z**")
    assert not any("pack=u1" in one for one in tab.asked[asked:])


def test_a_range_that_crosses_zero_suggests_colours_about_it(address: str, look: Look) -> None:
    """And a range that is locked stays, whatever is shown."""
    tab = look()
    tab.open(f"{address}/explore/wide?_box=-10,-6,10,6")
    tab.page.get_by_role("button", name="colour about it").click()
    tab.page.wait_for_url("**_cmap=balance&_scale=symmetric**")
    low, high = (tab.page.get_by_label(f"{end} colour at") for end in ("Lowest", "Highest"))
    assert low.input_value() == high.input_value().replace("", "−", 1)
    lock = tab.page.get_by_label("range locked")
    expect(lock).not_to_be_checked()
    lock.check()
    tab.page.wait_for_url("**_range=**")
    lock.uncheck()
    tab.page.wait_for_url(lambda url: "_range" not in url)
