"""One hot cell in fields of every orientation: where it belongs, and of the last colour."""

from __future__ import annotations

import numpy as np

from tests.pages.conftest import Look, Watched
from tests.pages.stores import BEACONS, HOT

# The last colour of viridis.
LAST = (253, 231, 37, 255)


def hot_place(tab: Watched) -> tuple[float, float, float, float]:
    """The box around the pixels of the last colour: west, south, east, north."""
    pixels = tab.pixels()
    rows, columns = np.nonzero((pixels == LAST).all(axis=2))
    west, south, east, north = tab.box()
    height, width = pixels.shape[:2]
    across, along = (east - west) / width, (north - south) / height
    return (
        west + columns.min() * across,
        north - (rows.max() + 1) * along,
        west + (columns.max() + 1) * across,
        north - rows.min() * along,
    )


def test_all_orientations_are_one_picture(address: str, look: Look) -> None:
    """Pixel for pixel, whole and panned to the antimeridian, where there is no seam.

    The hot cell has the last colour in the box of its cell, to a pixel, and nowhere else.
    """
    whole, panned = [], []
    tab = look()
    for name in BEACONS:
        tab.open(f"{address}/explore/{name}")
        whole.append(tab.pixels())
        expected = HOT[1] - 1.25, HOT[0] - 1.25, HOT[1] + 1.25, HOT[0] + 1.25
        assert np.allclose(hot_place(tab), expected, atol=0.5)
        tab.open(f"{address}/explore/{name}?_box=100,-40,260,40")
        panned.append(tab.pixels())
        assert (panned[-1][:, :, 3] == 255).all()
    assert all(np.array_equal(one, whole[0]) for one in whole)
    assert all(np.array_equal(one, panned[0]) for one in panned)


def test_a_drag_pans_across_the_seam(address: str, look: Look) -> None:
    """The picture goes with the pointer, and the address with the picture."""
    tab = look()
    tab.open(f"{address}/explore/north-east")
    before = hot_place(tab)
    middle = tab.page.locator("canvas.overlay").bounding_box()
    assert middle is not None
    x, y = middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x - 200, y, steps=5)
    tab.page.mouse.up()
    tab.page.wait_for_url("**_box=**")
    assert (tab.pixels()[:, :, 3] == 255).all()
    assert tab.box()[0] > -180
    assert np.allclose(hot_place(tab), before, atol=1.5)


def test_the_first_picture_asks_for_little(address: str, look: Look) -> None:
    """Twelve requests at most, and none to anybody else."""
    tab = look(fresh=True)
    tab.open(f"{address}/explore/north-east")
    assert len(tab.asked) <= 12
    # The page names what its scripts ask for first: that is fetched once.
    (values,) = [one for one in tab.asked if "f=bin" in one]
    ahead = tab.page.get_attribute("link[rel=preload]", "href")
    assert values == f"{address}/explore/{ahead}".replace("/explore/../", "/")
    assert all(one.startswith(address) for one in tab.asked)


def test_a_part_of_the_earth_has_a_finer_coast(address: str, look: Look) -> None:
    """It is fetched once somebody looks at a part, and the other one for all of the Earth."""
    tab = look(fresh=True)
    with tab.page.expect_response("**/assets/land-*.json"):
        tab.open(f"{address}/explore/north-west")
    assert not any("/fine-" in one for one in tab.asked)
    with tab.page.expect_response("**/assets/fine-*.json") as coming:
        for _ in range(5):
            tab.page.get_by_label("Zoom in").click()
    assert len(coming.value.json()["arcs"]) > 1000
    tab.wait()
    tab.shot("coast")
