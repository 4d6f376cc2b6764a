"""What moves a picture: controls of dimensions, pointers and fingers; and what is on its way."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Request, Route, expect

from tests.pages.conftest import Look


def steps(page: Page) -> int:
    """How often Back can be pressed."""
    told: int = page.evaluate("history.length")
    return told


def test_what_is_dragged_is_no_step_for_back(address: str, look: Look) -> None:
    """What is chosen is one."""
    tab = look(fresh=True)
    tab.open(f"{address}/explore/north-west")
    before = steps(tab.page)
    x, y = tab.spot(0, 0)
    tab.page.mouse.move(x, y)
    tab.page.mouse.wheel(0, -600)
    tab.page.wait_for_url("**_box=**")
    tab.page.mouse.down()
    tab.page.mouse.move(x + 90, y + 30, steps=4)
    tab.page.mouse.up()
    box = re.search("_box=[^&]+", tab.page.url)
    assert box is not None
    tab.page.wait_for_url(lambda url: "_box=" in url and box[0] not in url)
    assert steps(tab.page) == before
    tab.page.get_by_label("Next, time").click()
    tab.page.wait_for_url("**T01:00Z**")
    assert steps(tab.page) == before + 1


def test_a_long_axis_has_a_coarse_slider_and_exact_buttons(address: str, look: Look) -> None:
    """Labels are counted from the first one: the axis is not fetched."""
    tab = look()
    tab.open(f"{address}/explore/wide?_x=lat&_y=")
    slider = tab.page.get_by_role("slider", name="lon")
    field = tab.page.get_by_label("lon, as a label")
    assert slider.get_attribute("step") == "5"
    for button, label in (
        ("Next", "0.12°E"),
        ("Last", "0.04°W"),
        ("Previous", "0.12°W"),
        ("First", "0.04°E"),
    ):
        tab.page.get_by_label(f"{button}, lon").click()
        expect(field).to_have_value(label)
        expect(slider).to_have_attribute("aria-valuetext", label)
    tab.wait()
    slider.focus()
    slider.press("ArrowRight")
    expect(field).to_have_value("0.44°E")
    assert max(int(one.headers.get("content-length", 0)) for one in tab.answers) < 200_000


def test_zooming_fetches_the_cells_that_are_left_out(address: str, look: Look) -> None:
    """Which is said."""
    tab = look()
    tab.open(f"{address}/explore/wide")
    expect(tab.page.locator(".highest")).to_contain_text("highest of the cells shown: ")
    told = tab.page.locator(".under .told")
    expect(told).to_have_text("every 2nd cell")
    tab.page.mouse.move(*tab.spot(20, 10))
    with tab.page.expect_request(re.compile(r"isel\[lon\]=\d+:\d+&|isel%5Blon%5D=\d+:\d+&")):
        tab.page.mouse.wheel(0, -1500)
    expect(told).to_be_empty()


def test_two_fingers_zoom(address: str, look: Look) -> None:
    """Apart is nearer."""
    tab = look(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740})
    tab.open(f"{address}/explore/north-west")
    west, _, east, _ = tab.box()
    x, y = tab.spot(0, 0)
    fingers = tab.page.context.new_cdp_session(tab.page)
    for kind, apart in (("touchStart", 10), ("touchMove", 20), ("touchMove", 40), ("touchEnd", 0)):
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        told = {"type": kind, "touchPoints": points if apart else []}
        fingers.send("Input.dispatchTouchEvent", told)
    tab.page.wait_for_url("**_box=**")
    narrow = tab.box()
    assert narrow[2] - narrow[0] < (east - west) / 2


def test_what_is_on_its_way_can_be_cancelled(address: str, look: Look) -> None:
    """A bar says that it is; what is newer aborts what is older, and the picture stays."""
    tab = look()
    tab.open(f"{address}/explore/north-west")
    before = tab.pixels()
    held: list[Route] = []
    gone: list[str] = []

    def lost(request: Request) -> None:
        if "f=bin" in request.url:
            gone.append(request.url)

    tab.page.on("requestfailed", lost)
    tab.page.route("**/isel?**f=bin**", lambda route: held.append(route))
    tab.page.get_by_label("Next, time").click()
    progress = tab.page.get_by_role("progressbar", name="Reading")
    expect(progress).to_be_visible()
    with tab.page.expect_event("requestfailed"):
        tab.page.get_by_label("Next, time").click()
    assert len(gone) == 1
    expect(progress).to_be_visible()
    with tab.page.expect_event("requestfailed"):
        tab.page.get_by_role("button", name="Cancel").click()
    expect(progress).to_be_hidden()
    assert len(gone) == len(held) == 2
    assert (tab.pixels() == before).all()
    tab.page.remove_listener("requestfailed", lost)
