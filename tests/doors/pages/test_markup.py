"""HTML by construction: no text becomes markup, wherever it stands."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from app.doors.pages.markup import Html, data_block, tag


class Reader(HTMLParser):
    """What a browser would find: elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = st.text() | st.sampled_from(["</p><script>", '"><img src=x onerror=y>', "&lt;", "a'b"])


@given(EVIL, EVIL)
def test_texts_are_texts(text: str, attribute: str) -> None:
    """One element with one attribute, whatever both hold."""
    read = Reader(tag("p", text, title=attribute))
    assert [name for name, _ in read.found] == ["p"]
    assert set(read.found[0][1]) == {"title"}


@given(EVIL)
def test_no_json_ends_its_block(text: str) -> None:
    """And it is the same JSON still."""
    block = data_block("application/ld+json", {"a": text})
    assert block.count("<") == 2
    inner = block.partition(">")[2].rpartition("</script>")[0]
    assert json.loads(inner) == {"a": text}


def test_parts_may_be_left_out() -> None:
    """None and False are nothing; True is an attribute without a value."""
    made = tag("p", None, ["a", tag("br")], Html("<i>b</i>"), hidden=True, id=None, data_root="../")
    assert made == '<p hidden data-root="../">a<br><i>b</i></p>'
