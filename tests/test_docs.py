"""The pages for people: their links lead somewhere, their lines can be read, none is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.reference import COMMAND
from loadtests.reference import PAGES as MADE

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "CHANGELOG.md", *sorted((ROOT / "loadtests").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST_LINE, README_LINES = 120, 180


def without_code(text: str) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[str]:
    """The links of a page that stay in this checkout."""
    for link in LINK.findall(without_code(page.read_text())):
        if not link.startswith(("http://", "https://")):
            yield link


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Each to a file that is there, and to a heading in it where it names one."""
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    """None lies in the folder that nobody is led to."""
    named = {link.partition("#")[0] for link in links(ROOT / "README.md")}
    assert named >= {f"docs/{page.name}" for page in PAGES[1:]}


def test_the_readme_is_short() -> None:
    """What is more than a first look is in `docs/`."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= README_LINES
    assert max(map(len, lines)) <= LONGEST_LINE


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_can_be_read(page: Path) -> None:
    """But for those of tables and code, which cannot be broken."""
    lines = without_code(page.read_text()).splitlines()
    assert [line for line in lines if len(line) > LONGEST_LINE and line[0] != "|"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_page_has_one_title(page: Path) -> None:
    """In its first line."""
    text = without_code(page.read_text())
    assert len(re.findall(r"^# ", text, re.M)) == 1
    assert text.startswith("# ")


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_from_the_code_is_what_it_makes(name: str) -> None:
    """Whoever changes a setting or a metric writes the page anew."""
    page = (ROOT / "docs" / name).read_text()
    assert page == MADE[name](page), f"{COMMAND} writes it anew"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    """Modules and folders of this checkout, whatever they are called now."""
    named = re.findall(
        r"`((?:sluice|app|tests|loadtests|deploy|scripts)/[\w/.]*)`", page.read_text()
    )
    assert [path for path in named if not (ROOT / path).exists()] == []
