"""The demo's sample as people see it: light, dark, and on a phone; the README shows the same."""

from __future__ import annotations

import re

import pytest

from loadtests.ground import ROOT
from tests.pages.conftest import SHOTS, Look

# What the README shows: the address behind the page's own, the colours, the size of the window.
SHOWN = {
    "light": ("?_var=t&level=850&_at=12.5,52.5", "light", (1280, 860)),
    "dark": ("?_var=t&level=500&_cmap=magma&_at=-75,40", "dark", (1280, 860)),
    "phone": ("?_var=t&level=850&_at=12.5,52.5", "light", (360, 740)),
}
MOST_BYTES = 100_000


@pytest.mark.parametrize("name", SHOWN)
def test_nothing_is_wider_than_the_screen(address: str, look: Look, name: str) -> None:
    """Tables scroll by themselves."""
    query, scheme, (width, height) = SHOWN[name]
    phone = {"is_mobile": True, "has_touch": True} if name == "phone" else {}
    tab = look(viewport={"width": width, "height": height}, color_scheme=scheme, **phone)
    tab.open(f"{address}/explore/sample{query}")
    assert tab.page.evaluate("document.documentElement.scrollWidth") == width
    tab.shot(f"explorer-{name}")
    tab.page.screenshot(path=SHOTS / f"explorer-{name}.jpg", type="jpeg", quality=60)


def test_the_readme_shows_three_small_pictures() -> None:
    """Each is there, said in words, and small."""
    shown = re.findall(r"!\[([^\]]+)\]\((docs/images/[^)]+)\)", (ROOT / "README.md").read_text())
    assert len(shown) == len(SHOWN)
    for words, path in shown:
        assert words
        assert (ROOT / path).stat().st_size < MOST_BYTES
