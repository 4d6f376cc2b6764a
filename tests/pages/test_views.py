"""Each kind of data has a view, and what is chosen in it stands in its address."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.pages.conftest import Look
from tests.pages.stores import HOT, kinds

LAST = (253, 231, 37, 255)
# What is there of a kind: a value with its units; that all of a slice is missing.
SHOWN = {
    "single": "42.5 K",
    "empty": "no data in this slice",
    "unborn": "time has no positions yet: there is nothing to show.",
}


@pytest.mark.parametrize("name", kinds())
def test_each_kind_of_data_has_a_view(address: str, look: Look, name: str) -> None:
    """Without a complaint of the browser; texts and values are shown as they are."""
    tab = look()
    tab.open(f"{address}/explore/{name}")
    if name in SHOWN:
        assert SHOWN[name] in tab.page.locator("#explorer").inner_text()
    if name == "texts":
        cells = tab.page.locator(".plain td").all_inner_texts()
        assert cells == ["Ny-Ålesund", "<b>Lima</b>", ""]
    if name == "model-year":
        # A day that no other calendar has.
        for _ in range(2):
            tab.page.get_by_label("Next, time").click()
        expect(tab.page.get_by_label("time, as a label")).to_have_value("2000-02-30")
    tab.shot(f"kind-{name}")


def test_of_an_axis_without_positions_nothing_is_asked(address: str, look: Look) -> None:
    """Neither values nor sizes; there is no control for it, and nothing to get."""
    tab = look()
    tab.open(f"{address}/explore/unborn?time=2024-01-01")
    assert not [one for one in tab.asked if "/isel" in one or "/sel" in one]
    assert tab.page.locator(".notices p, .dimension").count() == 0
    expect(tab.page.locator(".side")).to_be_hidden()


def test_depth_grows_downward(address: str, look: Look) -> None:
    """The largest value is that of the deepest cell, in the lowest right corner."""
    tab = look()
    tab.open(f"{address}/explore/section?_range=0,11")
    pixels = tab.pixels()
    rows, columns = np.nonzero((pixels == LAST).all(axis=2))
    height, width = pixels.shape[:2]
    assert rows.max() == height - 1
    assert columns.max() == width - 1
    assert tuple(pixels[0, 0]) == (68, 1, 84, 255)


def test_time_across_and_latitude_along(address: str, look: Look) -> None:
    """The picture of a meridian: the row of the beacon cools, all others are cold."""
    tab = look()
    tab.open(f"{address}/explore/beacon?_x=time&_y=lat&lon={HOT[1]}&_range=77,100")
    pixels = tab.pixels()
    height, width = pixels.shape[:2]
    row = round((91.25 - HOT[0]) / 182.5 * height)
    assert tuple(pixels[row, 2]) == LAST
    assert tuple(pixels[row, width - 2]) == (68, 1, 84, 255)
    assert tuple(pixels[row - height // 10, 2]) == (68, 1, 84, 255)


def test_a_click_makes_the_series_of_the_cell(address: str, look: Look) -> None:
    """Value for value what `sel` answers; its title is the cell's own place."""
    tab = look()
    tab.open(f"{address}/explore/beacon")
    tab.click(HOT[1], HOT[0])
    legend = tab.page.locator(".legend li")
    expect(legend).to_have_text(["40°N, 10°E"])
    tab.page.get_by_text("As a table").click()
    shown = [float(text) for text in tab.page.locator(".series td").all_inner_texts()]
    asked = httpx.get(f"{address}/datasets/beacon/sel?lat={HOT[0]}&lon={HOT[1]}", timeout=60).json()
    assert shown == asked["data_vars"]["heat"]["data"]
    assert "_at=10,40" in tab.page.url


def test_a_click_in_the_chart_moves_the_time(address: str, look: Look) -> None:
    """In the address, in the control, and in the readout."""
    tab = look()
    tab.open(f"{address}/explore/beacon?_at={HOT[1]},{HOT[0]}")
    place = tab.page.locator(".chart .u-over").bounding_box()
    assert place is not None
    tab.page.mouse.click(place["x"] + place["width"] / 23 * 6, place["y"] + 40)
    tab.page.wait_for_url("**time=2024-01-01T06:00Z**")
    field = tab.page.get_by_label("time, as a label")
    expect(field).to_have_value("2024-01-01 06:00 UTC")
    tab.wait()
    tab.point(HOT[1], HOT[0])
    expect(tab.page.locator(".readout")).to_have_text("94 K at 40°N, 10°E")


def test_reload_and_back_restore_the_picture(address: str, look: Look) -> None:
    """Equal pixels, box and range; in another browser too."""
    tab = look()
    tab.open(f"{address}/explore/beacon?_box=-60,-20,80,60&_range=5,50&_cmap=magma")
    before, box = tab.pixels(), tab.box()
    tab.page.get_by_label("Next, time").click()
    tab.page.wait_for_url("**T01:00Z**")
    tab.wait()
    link, moved = tab.page.url, tab.pixels()
    tab.page.reload()
    tab.wait()
    assert np.array_equal(tab.pixels(), moved)
    tab.page.go_back()
    tab.page.wait_for_url(lambda url: "time=" not in url)
    tab.wait()
    assert np.array_equal(tab.pixels(), before)
    assert tab.box() == box
    other = look(fresh=True)
    other.open(link)
    assert np.array_equal(other.pixels(), moved)
    assert other.page.get_by_label("Highest colour at").input_value() == "50"


def test_a_bad_address_is_a_notice_and_a_picture(address: str, look: Look) -> None:
    """Nothing of an address can empty the page."""
    tab = look()
    tab.open(f"{address}/explore/beacon?_var=none&_range=2,1&_cmap=jet&lone=1")
    assert tab.page.locator(".notices p").count() == 4
    assert (tab.pixels()[:, :, 3] == 255).all()


def test_a_handle_of_the_colours_asks_for_nothing(address: str, look: Look) -> None:
    """Pixels change with every move; the address does at the end."""
    tab = look()
    tab.open(f"{address}/explore/section?_range=2,9")
    before, asked = tab.pixels(), len(tab.asked)
    bar = tab.page.locator("canvas.histogram").bounding_box()
    assert bar is not None
    y = bar["y"] + 20
    tab.page.mouse.move(bar["x"] + bar["width"] * 0.1, y)
    tab.page.mouse.down()
    tab.page.mouse.move(bar["x"] + bar["width"] * 0.02, y, steps=4)
    tab.page.mouse.move(bar["x"] + 1, y, steps=4)
    tab.wait()
    assert not np.array_equal(tab.pixels(), before)
    assert "_range=2,9" in tab.page.url
    tab.page.mouse.up()
    tab.page.wait_for_url(lambda url: "_range=2,9" not in url)
    assert len(tab.asked) == asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_one_column(address: str, look: Look, scheme: str) -> None:
    """Nothing has to be scrolled sideways."""
    tab = look(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    tab.open(f"{address}/explore/beacon")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == 360
    tab.shot(f"phone-{scheme}")


def test_what_is_touched_is_large(address: str, look: Look) -> None:
    """Of 44 pixels each way, on a phone: all buttons, that without a text too."""
    tab = look(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    tab.open(f"{address}/explore/beacon?_at={HOT[1]},{HOT[0]}")
    boxes = [one.bounding_box() for one in tab.page.locator("button:visible").all()]
    assert all(box is not None and min(box["width"], box["height"]) >= 44 for box in boxes)
