"""Pages of a service with keys: a prompt, then everything works; the key is in no address."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.pages.conftest import READY, Guarded, Look

PAGE = {"Accept": "text/html"}


def test_without_a_key_nobody_learns_what_there_is(guarded: Guarded) -> None:
    """The list is of what is public; what is hidden and what is not there look alike."""
    listed = httpx.get(guarded.address, headers=PAGE, timeout=60)
    assert "For all" in listed.text
    assert "For some" not in listed.text
    assert "private" in listed.headers["cache-control"]
    hidden, none = (
        httpx.get(f"{guarded.address}/explore/{one}", headers=PAGE, timeout=60)
        for one in ("closed", "no")
    )
    assert hidden.status_code == none.status_code == 401
    assert hidden.text == none.text


def test_a_key_opens_what_it_may(guarded: Guarded, look: Look) -> None:
    """It is kept for this tab, sent in a header, and in no address that anybody asked for."""
    tab = look(fresh=True)
    tab.page.goto(guarded.address)
    tab.page.get_by_label("API key").fill(guarded.key)
    tab.page.get_by_role("button", name="Use key").click()
    tab.page.get_by_role("link", name="For some").click()
    tab.page.wait_for_selector(READY)
    assert tab.page.locator("h1").inner_text() == "For some"
    assert all(guarded.key not in one for one in [*tab.asked, tab.page.url])
    assert guarded.key not in tab.page.content()
    tab.page.get_by_role("button", name="Forget key").click()
    expect(tab.page.get_by_label("API key")).to_be_visible()
    # The browser tells of a page that is refused.
    assert all("401" in one for one in tab.complaints)
    tab.complaints.clear()


@pytest.mark.parametrize("key", ["sluice_wrong", "ключ"])
def test_a_wrong_key_is_told_of_and_forgotten(guarded: Guarded, look: Look, key: str) -> None:
    """The public datasets stay where they are, also where no header can hold what was typed."""
    tab = look(fresh=True)
    tab.page.goto(guarded.address)
    tab.page.get_by_label("API key").fill(key)
    tab.page.get_by_role("button", name="Use key").click()
    expect(tab.page.get_by_role("status")).to_have_text("This key opens nothing here.")
    tab.page.reload()
    assert tab.page.locator(".card h2").all_inner_texts() == ["For all"]
    assert all("401" in one for one in tab.complaints)
    tab.complaints.clear()
