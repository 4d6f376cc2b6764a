"""What mkdocs asks while it builds the site: pages outside of `docs/`, and links as GitHub's are.

Each page keeps its links to files of the checkout; in the site they lead to where that file is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

TOP = Path(__file__).parent.parent
# Pages that lie elsewhere, and what they are called in the site; the others are those of `docs/`.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "examples/README.md": "examples.md",
    "loadtests/README.md": "loadtests/README.md",
    "loadtests/bench/README.md": "loadtests/bench/README.md",
}
LINK = re.compile(r"(\]\()([^)\s]+)(\))")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.M | re.S)


def slug(heading: str, separator: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Anchors of headings are GitHub's."""
    config.mdx_configs["toc"] = {**config.mdx_configs.get("toc", {}), "slugify": slug}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The pages outside are there, too, and as they are the other files that pages lead to."""
    for path, name in OUTSIDE.items():
        files.append(File.generated(config, name, abs_src_path=str(TOP / path)))
    pages = [*OUTSIDE, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    for place in sorted({place for path in pages for place in led_to(path)}):
        if not place.startswith("docs/") and place not in OUTSIDE and (TOP / place).is_file():
            files.append(File.generated(config, place, abs_src_path=str(TOP / place)))
    return files


def led_to(path: str) -> Iterator[str]:
    """Where in the checkout the links of a page lead."""
    source = TOP / path
    for found in LINK.finditer(CODE.sub("", source.read_text("utf-8")) if source.exists() else ""):
        target = found[2].partition("#")[0]
        if target and "://" not in target:
            yield placed(target, path)


def placed(target: str, path: str) -> str:
    """The path in the checkout of what the page at `path` calls `target`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Its links lead to pages of the site."""
    name = page.file.src_uri
    path = next((path for path, told in OUTSIDE.items() if told == name), f"docs/{name}")
    parts = []
    end = 0
    for code in CODE.finditer(markdown):
        parts += [relinked(markdown[end : code.start()], path, name), code[0]]
        end = code.end()
    return "".join([*parts, relinked(markdown[end:], path, name)])


def relinked(text: str, path: str, name: str) -> str:
    """The links of the page at `path` of the checkout, which the site calls `name`."""

    def link(found: re.Match[str]) -> str:
        target, sign, anchor = found[2].partition("#")
        if not target or "://" in target:
            return found[0]
        place = placed(target, path)
        there = OUTSIDE.get(place, place.removeprefix("docs/"))
        shown = posixpath.relpath(there, posixpath.dirname(name) or ".")
        return f"{found[1]}{shown}{sign}{anchor}{found[3]}"

    return LINK.sub(link, text)
