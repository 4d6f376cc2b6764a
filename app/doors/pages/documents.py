"""The pages as HTML documents: readable as they are, with the places that scripts bring to life.

Every address in them is relative, so that they are right below any path. What scripts need to know
stands in data attributes of the body:

- ``data-page``: ``catalog``, ``groups``, ``explore``, ``embed`` or ``problem``
- ``data-root``: the way to the service's root, such as ``../``
- ``data-dataset``: the id of the dataset, on pages of one
- ``data-land``, ``data-fine``: the ways to the coastline's file, and to a finer one
- ``data-most``: bytes of chunks that one request may read
- ``data-keys``: there where the service has keys, so that one can be typed in
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from sluice.aliases import record

from ...catalog.entry import DatasetEntry
from .assets import Assets, colour_steps
from .facts import Described, Facts, first_values, shortened, structured_data, title_of
from .markup import Child, Html, data_block, tag

_MOST_VARIABLES: Final = 500
_MOST_ATTRIBUTES: Final = 100
# Of a description, which compresses to a tenth.
_MOST_EMBEDDED_BYTES: Final = 128 * 2**10
_KEYS: Final = (
    ("Arrows", "move the cross over the picture, with Shift by ten steps"),
    ("Enter", "shows the series at the cross"),
    ("+  −  0", "zoom in, zoom out, show everything"),
    ("[  ]", "go a step back and on in time"),
    ("Space", "plays and pauses"),
    ("?", "shows this"),
)


@record
class Frame:
    """What all pages have around them: the files, the way to the root, whether there are keys, and
    the bytes of chunks that one request may read.

    `root` is ``""`` at the root itself and ``../`` one level below it.
    """

    assets: Assets
    root: str
    keys: bool
    most: int

    def document(
        self,
        page: str,
        title: str,
        main: Child,
        *,
        head: Child = None,
        dataset_id: str | None = None,
    ) -> Html:
        """A whole document of this kind of `page`."""
        root, names = self.root, self.assets.names
        files = f"{root}assets/"
        return Html(
            "<!doctype html>\n"
            + tag(
                "html",
                tag(
                    "head",
                    tag("meta", charset="utf-8"),
                    tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
                    tag("meta", name="color-scheme", content="light dark"),
                    tag("title", title),
                    tag("link", rel="icon", href=files + names["icon.svg"], type="image/svg+xml"),
                    tag("link", rel="stylesheet", href=files + names["explorer.css"]),
                    tag("script", type="module", src=files + names["explorer.js"]),
                    head,
                ),
                tag(
                    "body",
                    None if page == "embed" else self._top(),
                    tag("main", main, id="content"),
                    data_page=page,
                    data_root=root or "./",
                    data_dataset=dataset_id,
                    data_land=files + names["land.json"],
                    data_fine=files + names["fine.json"],
                    data_most=self.most,
                    data_keys=self.keys,
                ),
                lang="en",
            )
        )

    def _top(self) -> Html:
        return tag(
            "header",
            tag("a", tag("span", "Sluice", class_="brand"), href=self.root or "./"),
            tag(
                "nav",
                tag("a", "Datasets", href=f"{self.root or './'}"),
                tag("a", "API", href=f"{self.root}docs"),
                self.prompt(),
                aria_label="Service",
            ),
            class_="top",
        )

    def prompt(self) -> Html | None:
        """The field for a key, which scripts show: without a name it is in no address."""
        if not self.keys:
            return None
        words = "API key"
        return tag(
            "form",
            tag(
                "input",
                type="password",
                autocomplete="off",
                placeholder=words,
                aria_label=words,
                required=True,
            ),
            tag("button", "Use key", type="submit"),
            tag("span", role="status"),
            id="key",
            class_="key",
            hidden=True,
        )


@record
class Page:
    """One dataset as its page shows it: `text` is the JSON that describes it; `pictured` says that
    there is a small picture of it, `usual` that the view is what it is without further words.
    """

    entry: DatasetEntry
    text: bytes
    facts: Facts
    pictured: bool
    usual: bool


def explore_page(frame: Frame, page: Page, base: str) -> Html:
    """One dataset: its facts, and the place of the view. `base` is the service's own address."""
    entry, facts, described = page.entry, page.facts, json.loads(page.text)
    title, link = title_of(entry), f"{frame.root}datasets/{quote(entry.id)}"
    main = (
        tag("h1", title),
        tag("p", shortened(entry.description), class_="lead") if entry.description else None,
        tag("section", id="explorer", hidden=True, aria_label="Explorer"),
        tag("noscript", tag("p", "The map and the charts need JavaScript; the facts do not.")),
        _keys(),
        tag(
            "section",
            tag("h2", "Facts"),
            _summary(entry, facts),
            _dimensions(described),
            _variables(described),
            _attributes("Attributes", described.get("attrs")),
            _ways_in(described, frame.root),
            tag("p", tag("a", "All of this as JSON", href=link)),
            class_="facts",
        ),
        _data(page.text),
    )
    head = (
        _ahead(frame, page, described),
        tag("link", rel="canonical", href=f"{frame.root}explore/{quote(entry.id)}"),
        tag("meta", name="description", content=shortened(entry.description or title)),
        _shared(page, base),
        data_block("application/ld+json", structured_data(entry, facts, described, base)),
    )
    return frame.document("explore", f"{title} · Sluice", main, head=head, dataset_id=entry.id)


def _ahead(frame: Frame, page: Page, described: Described) -> Html | None:
    """What the scripts will ask for, so that it is under way while they are."""
    path = first_values(described, page.entry.id, frame.most) if page.usual else None
    if path is None:
        return None
    href = f"{frame.root}{path}"
    return tag("link", rel="preload", as_="fetch", crossorigin="anonymous", href=href)


def _shared(page: Page, base: str) -> Iterable[Html]:
    """What others show of a link to the page (the Open Graph protocol)."""
    entry, title = page.entry, title_of(page.entry)
    yield tag("meta", property="og:title", content=title)
    yield tag("meta", property="og:type", content="website")
    yield tag("meta", property="og:url", content=f"{base}explore/{quote(entry.id)}")
    if entry.description:
        yield tag("meta", property="og:description", content=shortened(entry.description))
    if page.pictured:
        image = f"{base}thumbnails/{quote(entry.id)}.png"
        yield tag("meta", property="og:image", content=image)
        yield tag("meta", property="og:image:alt", content=title)
        yield tag("meta", name="twitter:card", content="summary_large_image")


def embed_page(frame: Frame, entry: DatasetEntry, text: bytes) -> Html:
    """The view alone, for a frame of another page; `text` is the JSON that describes it."""
    title = title_of(entry)
    main = (
        frame.prompt(),
        tag("section", id="explorer", hidden=True, aria_label=title),
        tag("noscript", tag("p", "The view needs JavaScript.")),
        _keys(),
        _data(text),
    )
    return frame.document("embed", title, main, dataset_id=entry.id)


def _keys() -> Html:
    """What keys do, shown when somebody asks for it with one."""
    rows = ((tag("dt", tag("kbd", key)), tag("dd", words)) for key, words in _KEYS)
    return tag(
        "dialog",
        tag("h2", "Keys"),
        tag("p", "With the picture in focus:"),
        tag("dl", rows, class_="summary"),
        tag("form", tag("button", "Close", type="submit"), method="dialog"),
        id="keys",
        class_="help",
        aria_label="Keys",
    )


def _data(text: bytes) -> Iterable[Html]:
    """The colours; and what scripts would ask for first, if it is not long: the picture comes a
    request sooner.
    """
    yield data_block("application/json", colour_steps(), id="colours")
    if len(text) <= _MOST_EMBEDDED_BYTES:
        yield data_block("application/json", text, id="described")


def problem_page(frame: Frame, title: str, detail: str) -> Html:
    """What went wrong, in the words of the problem document."""
    main = (
        tag("h1", title),
        tag("p", detail, class_="lead"),
        tag("p", tag("a", "To the datasets", href=frame.root or "./")),
    )
    return frame.document("problem", f"{title} · Sluice", main)


def _summary(entry: DatasetEntry, facts: Facts) -> Html:
    rows = (
        ("Id", entry.id),
        ("Extent", facts.extent and str(facts.extent)),
        ("Time", facts.span),
        ("Licence", entry.license),
        ("Attribution", entry.attribution),
    )
    parts = [(tag("dt", name), tag("dd", shortened(text))) for name, text in rows if text]
    return tag("dl", parts, class_="summary")


def _dimensions(described: Described) -> Html:
    """One row a dimension: its size, its ends, its step and its units."""
    sizes, coords = described.get("dims"), described.get("coords")
    if not isinstance(sizes, dict) or not isinstance(coords, dict):
        return Html("")
    rows = []
    for name, size in sizes.items():
        coord = coords.get(name, {})
        told = [coord.get(key) for key in ("min", "max", "step")]
        units = coord.get("attrs", {}).get("units")
        rows.append(
            (name, str(size), *("" if one is None else shortened(one) for one in (*told, units)))
        )
    return _table("Dimensions", ("Name", "Size", "From", "To", "Step", "Units"), rows)


def _variables(described: Described) -> Html:
    variables = described.get("data_vars")
    if not isinstance(variables, dict):
        return Html("")
    rows = []
    for name, one in list(variables.items())[:_MOST_VARIABLES]:
        attrs = one["attrs"]
        words = attrs.get("long_name") or attrs.get("standard_name") or ""
        dims = " × ".join(one["dims"])
        rows.append((name, shortened(words), shortened(attrs.get("units", "")), dims, one["dtype"]))
    left = len(variables) - len(rows)
    more = tag("p", f"… and {left} more, which the JSON has") if left else None
    head = ("Name", "Meaning", "Units", "Dimensions", "Type")
    return Html(_table("Variables", head, rows) + (more or ""))


def _ways_in(described: Described, root: str) -> Html | None:
    """Every door and format that serves the dataset."""
    links = described.get("links")
    if not isinstance(links, list) or not links:
        return None
    # They are relative to the dataset's own path, one level below the root like the page.
    # Who indexes pages need not fetch all of a dataset in every format.
    rows = [
        (
            tag(
                "dt",
                tag("a", one["title"], href=root + one["href"].removeprefix("../"), rel="nofollow"),
            ),
            tag("dd", one["type"]),
        )
        for one in links
    ]
    return tag("details", tag("summary", "Other ways in"), tag("dl", rows, class_="summary"))


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]]) -> Html:
    body = [tag("tr", [tag("td", cell) for cell in row]) for row in rows]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption),
            tag("thead", tag("tr", [tag("th", name, scope="col") for name in head])),
            tag("tbody", body),
        ),
        class_="scrolled",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _attributes(title: str, attrs: object) -> Html | None:
    if not isinstance(attrs, dict) or not attrs:
        return None
    shown = list(attrs.items())[:_MOST_ATTRIBUTES]
    parts = [(tag("dt", name), tag("dd", shortened(text))) for name, text in shown]
    return tag("details", tag("summary", title), tag("dl", parts, class_="summary"))
