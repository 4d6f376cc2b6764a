"""Pages of many datasets as cards: the catalog, and the groups of a hierarchy."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

from sluice.aliases import record

from ...catalog.entry import DatasetEntry
from .documents import Frame
from .facts import Facts, shortened, title_of
from .markup import Html, tag

# Of a description, on a card.
_SUMMARY: Final = 280


@record
class Listing:
    """One page of the catalog: what was searched for, what was found, where this page stands."""

    asked: str
    entries: Sequence[DatasetEntry]
    found: int
    number: int
    last: int


def catalog_page(
    frame: Frame, listing: Listing, facts: Mapping[str, Facts], public: Container[str]
) -> Html:
    """The datasets as cards, with a search that needs no script; `facts` are of those in memory.

    Pictures of what is not `public` are asked for by scripts, which send the key.
    """
    cards = [_card(frame, one, facts.get(one.id), one.id in public) for one in listing.entries]
    count = f"{listing.found} dataset{'s' if listing.found != 1 else ''}"
    main = (
        tag("h1", "Datasets"),
        tag(
            "form",
            tag("label", "Search titles and descriptions", for_="q", class_="unseen"),
            tag(
                "input", type="search", id="q", name="q", value=listing.asked, placeholder="Search"
            ),
            tag("button", "Search", type="submit"),
            role="search",
            class_="search",
            action=frame.root or "./",
        ),
        tag("p", count, f" for “{listing.asked}”" if listing.asked else None, class_="count"),
        tag("ul", cards, class_="cards"),
        _pager(frame, listing),
    )
    return frame.document("catalog", "Datasets · Sluice", main)


def groups_page(
    frame: Frame,
    entry: DatasetEntry,
    groups: Sequence[DatasetEntry],
    facts: Mapping[str, Facts],
    public: Container[str],
) -> Html:
    """The groups of a hierarchy that holds no arrays at its root, each a dataset of its own."""
    title = title_of(entry)
    cards = [_card(frame, one, facts.get(one.id), one.id in public) for one in groups]
    main = (
        tag("h1", title),
        tag("p", shortened(entry.description), class_="lead") if entry.description else None,
        tag("p", f"{len(cards)} group{'s' if len(cards) != 1 else ''}", class_="count"),
        tag("ul", cards, class_="cards"),
    )
    return frame.document("groups", f"{title} · Sluice", main)


def _card(frame: Frame, entry: DatasetEntry, facts: Facts | None, public: bool) -> Html:
    picture = f"{frame.root}thumbnails/{quote(entry.id)}.png"
    image = tag("img", src=picture, alt="", loading="lazy") if public else None
    told = () if facts is None else (facts.span, facts.extent and str(facts.extent))
    summary = entry.description
    if summary is not None and len(summary) > _SUMMARY:
        summary = f"{summary[: _SUMMARY - 1]}…"
    return tag(
        "li",
        tag("div", image, class_="thumbnail", data_thumbnail=None if public else picture),
        tag("h2", tag("a", title_of(entry), href=f"{frame.root}explore/{quote(entry.id)}")),
        tag("p", summary) if summary else None,
        tag("ul", [tag("li", text) for text in told if text], class_="where")
        if any(told)
        else None,
        tag("code", entry.id),
        class_="card",
    )


def _pager(frame: Frame, listing: Listing) -> Html | None:
    if listing.last == 1:
        return None

    def link(words: str, number: int) -> Html | None:
        if not 1 <= number <= listing.last:
            return None
        query = urlencode({"q": listing.asked, "page": number})
        return tag("a", words, href=f"{frame.root or './'}?{query}")

    place = f"Page {listing.number} of {listing.last}"
    parts = (
        link("Previous", listing.number - 1),
        tag("span", place),
        link("Next", listing.number + 1),
    )
    return tag("nav", parts, class_="pager", aria_label="Pages")
