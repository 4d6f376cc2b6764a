"""Pages of a service with keys: a prompt, then everything works; the key is in no address."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from loadtests.ground import ROOT
from tests.pages.conftest import READY, Look, Serve
from tests.pages.stores import beacon, write

PAGE = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """A key and its line."""
    command = [sys.executable, "-m", "app", "key", "team"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stderr.strip(), done.stdout.strip()


@pytest.fixture(scope="module")
def address(serve: Serve, folder: Path, key: tuple[str, str]) -> str:
    """A service with a dataset for everybody and one for who has the key."""
    write(beacon(north_first=True, from_zero=True, hours=2), folder / "heat.zarr")
    url = str(folder / "heat.zarr")
    entries = {
        "open": {"url": url, "title": "For all", "access": "public"},
        "closed": {"url": url, "title": "For some"},
    }
    return serve(entries, SLUICE_KEYS=key[1])


def test_without_a_key_nobody_learns_what_there_is(address: str) -> None:
    """The list is of what is public; what is hidden and what is not there look alike."""
    listed = httpx.get(address, headers=PAGE)
    assert "For all" in listed.text
    assert "For some" not in listed.text
    assert "private" in listed.headers["cache-control"]
    hidden, none = (httpx.get(f"{address}/explore/{one}", headers=PAGE) for one in ("closed", "no"))
    assert hidden.status_code == none.status_code == 401
    assert hidden.text == none.text


def test_a_key_opens_what_it_may(address: str, look: Look, key: tuple[str, str]) -> None:
    """It is kept for this tab, sent in a header, and in no address that anybody asked for."""
    tab = look()
    tab.page.goto(address)
    tab.page.get_by_label("API key").fill(key[0])
    tab.page.get_by_role("button", name="Use key").click()
    tab.page.get_by_role("link", name="For some").click()
    tab.page.wait_for_selector(READY)
    assert tab.page.locator("h1").inner_text() == "For some"
    assert all(key[0] not in one for one in [*tab.asked, tab.page.url])
    assert key[0] not in tab.page.content()
    tab.page.get_by_role("button", name="Forget key").click()
    expect(tab.page.get_by_label("API key")).to_be_visible()
    # The browser tells of a page that is refused.
    assert all("401" in one for one in tab.complaints)
    tab.complaints.clear()


def test_a_wrong_key_is_told_of_and_forgotten(address: str, look: Look) -> None:
    """The public datasets stay where they are."""
    tab = look()
    tab.page.goto(address)
    tab.page.get_by_label("API key").fill("sluice_wrong")
    tab.page.get_by_role("button", name="Use key").click()
    expect(tab.page.get_by_role("status")).to_have_text("This key opens nothing here.")
    tab.page.reload()
    assert tab.page.locator(".card h2").all_inner_texts() == ["For all"]
    assert all("401" in one for one in tab.complaints)
    tab.complaints.clear()
