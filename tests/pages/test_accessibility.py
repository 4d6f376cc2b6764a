"""Pages for everybody: names for controls, contrast, keys."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from loadtests.ground import ROOT
from tests.pages.conftest import Look, Watched

AXE = ROOT / "tests" / "javascript" / "node_modules" / "axe-core" / "axe.min.js"
PATHS = ["/", "/explore/beacon?_at=10,40", "/embed/beacon", "/explore/none"]
_WORDS = "button link textbox searchbox combobox slider spinbutton checkbox image dialog"
CONTROLS = frozenset(_WORDS.split())


def findings(tab: Watched) -> list[str]:
    """What axe-core finds that is serious, and where."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed (./run check installs it where Node is)")
    tab.page.evaluate(AXE.read_text())
    told = tab.page.evaluate("axe.run()")
    serious = [one for one in told["violations"] if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['html'][:200]}" for one in serious for node in one["nodes"]]


def nameless(tab: Watched) -> list[dict[str, Any]]:
    """Controls without a name, as programs that read pages aloud find them."""
    tree = tab.page.context.new_cdp_session(tab.page).send("Accessibility.getFullAXTree")
    nodes = [node for node in tree["nodes"] if not node["ignored"]]
    controls = [node for node in nodes if node["role"]["value"] in CONTROLS]
    assert controls
    return [node for node in controls if not node.get("name", {}).get("value", "").strip()]


@pytest.mark.parametrize("path", PATHS)
def test_nothing_serious_is_found(address: str, look: Look, path: str) -> None:
    """In light and in dark; and each control has a name."""
    tab = look(color_scheme="light")
    tab.page.goto(address + path)
    if "beacon" in path:
        tab.wait()
    assert findings(tab) == []
    assert nameless(tab) == []
    tab.page.emulate_media(color_scheme="dark")
    if "beacon" in path:
        tab.wait()
    assert findings(tab) == []
    tab.complaints = [one for one in tab.complaints if "404" not in one]


def test_keys_alone_find_a_value_and_a_series(address: str, look: Look) -> None:
    """The cross goes where the arrows say; Enter makes the series there."""
    tab = look()
    tab.open(f"{address}/explore/beacon")
    tab.page.locator("canvas.overlay").focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Shift+ArrowUp")
    assert "0 K at 17.5°N, 2.5°E" in tab.page.locator(".readout").inner_text()
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**_at=2.5,17.5")
    expect(tab.page.locator(".legend li")).to_have_text(["17.5°N, 2.5°E"])
    name = tab.page.locator("canvas.overlay").get_attribute("aria-label")
    assert name == "Heat, 2024-01-01 00:00 UTC, from 0 to 100 K"


def test_what_is_new_in_the_picture_is_said(address: str, look: Look) -> None:
    """In a live region, which follows each step."""
    tab = look()
    tab.open(f"{address}/explore/beacon")
    told = tab.page.locator(".stage > .unseen[role=status]")
    assert told.inner_text() == "Heat, 2024-01-01 00:00 UTC, from 0 to 100 K"
    tab.page.get_by_label("Next, time").click()
    tab.page.wait_for_url("**T01:00Z")
    expect(told).to_have_text("Heat, 2024-01-01 01:00 UTC, from 0 to 99 K")


def test_a_question_mark_tells_the_keys(address: str, look: Look) -> None:
    """In a dialog that keys close; not where something is typed."""
    tab = look()
    tab.open(f"{address}/explore/beacon")
    keys = tab.page.get_by_role("dialog", name="Keys")
    tab.page.keyboard.press("?")
    expect(keys).to_be_visible()
    assert "Enter" in keys.inner_text()
    assert findings(tab) == []
    tab.page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    tab.page.get_by_role("button", name="Keys").click()
    tab.page.get_by_role("button", name="Close").click()
    expect(keys).to_be_hidden()
    tab.page.locator(".dimensions input[type=text], .dimensions input:not([type])").first.focus()
    tab.page.keyboard.press("?")
    expect(keys).to_be_hidden()
