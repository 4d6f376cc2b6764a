"""Small pictures of datasets: what they show, who may see them, and that nobody waits for them."""

from __future__ import annotations

import re
import struct

import httpx
import pytest

from tests.pages.conftest import Guarded, Look, Watched


def size_of(png: bytes) -> tuple[int, int]:
    """Columns and rows of a PNG file."""
    assert png.startswith(b"\x89PNG")
    columns, rows = struct.unpack(">II", png[16:24])
    return int(columns), int(rows)


def widths(tab: Watched, number: int) -> list[int]:
    """How wide the pictures on the page are, once there are so many."""
    tab.page.locator(".thumbnail img").nth(number - 1).wait_for()
    found: list[int] = tab.page.evaluate(
        "Promise.all([...document.images].map(one => one.decode().then(() => one.naturalWidth)))"
    )
    return found


def test_it_is_the_first_picture_of_the_page(address: str) -> None:
    """The same bytes as the picture of the first step; kept for minutes, and then by its tag."""
    found = httpx.get(f"{address}/thumbnails/beacon.png", timeout=60)
    asked = httpx.get(f"{address}/datasets/beacon/isel.png?time=0&variables=heat", timeout=60)
    assert found.content == asked.content
    assert size_of(found.content) == (144, 73)
    assert found.headers["content-type"] == "image/png"
    assert found.headers["cache-control"] == "public, max-age=300"
    known = {"If-None-Match": found.headers["etag"]}
    again = httpx.get(f"{address}/thumbnails/beacon.png", headers=known, timeout=60)
    assert (again.status_code, again.content) == (304, b"")
    head = httpx.head(f"{address}/thumbnails/beacon.png", timeout=60)
    assert (head.status_code, head.headers["etag"]) == (200, found.headers["etag"])


@pytest.mark.parametrize("name", ["texts", "line"])
def test_what_has_no_picture_has_an_empty_one(address: str, name: str) -> None:
    """So that no page complains; nobody keeps it."""
    found = httpx.get(f"{address}/thumbnails/{name}.png", timeout=60)
    assert (found.status_code, size_of(found.content)) == (200, (1, 1))
    assert found.headers["cache-control"] == "no-store"


def test_links_to_a_page_show_its_picture(address: str) -> None:
    """By an address that others can ask for; a page without a picture names none."""
    page = httpx.get(f"{address}/explore/beacon", timeout=60).text
    (image,) = re.findall(r'property="og:image" content="([^"]+)"', page)
    assert image == f"{address}/thumbnails/beacon.png"
    assert "og:image" not in httpx.get(f"{address}/explore/line", timeout=60).text


def test_pictures_are_for_who_may_see_the_dataset(guarded: Guarded, look: Look) -> None:
    """Others learn nothing; with the key cards have them, and no address has the key."""
    address, key = guarded.address, guarded.key
    hidden, none = (
        httpx.get(f"{address}/thumbnails/{one}.png", timeout=60) for one in ("closed", "none")
    )
    assert (hidden.status_code, hidden.text) == (none.status_code, none.text)
    assert hidden.status_code == 401
    seen = httpx.get(f"{address}/thumbnails/closed.png", headers={"X-API-Key": key}, timeout=60)
    assert size_of(seen.content) == (144, 73)
    assert seen.headers["cache-control"] == "private, max-age=300"
    assert "X-API-Key" in seen.headers["vary"]
    assert httpx.get(f"{address}/thumbnails/open.png", timeout=60).status_code == 200
    tab = look(fresh=True)
    tab.page.goto(address)
    assert widths(tab, 1) == [144]
    tab.page.get_by_label("API key").fill(key)
    tab.page.get_by_role("button", name="Use key").click()
    assert widths(tab, 2) == [144, 144]
    assert all(key not in one for one in tab.asked)
