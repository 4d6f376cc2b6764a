"""Tags that can be relied on, and those that cannot."""

from __future__ import annotations

import pytest

from sluice.store.tags import Tagged, get_tagged, tag_of
from tests.sources import DictSource

NOON = "Wed, 25 Nov 2026 12:00:00 GMT"


def at(seconds: int, zone: str = "GMT") -> str:
    return f"Wed, 25 Nov 2026 12:00:{seconds:02} {zone}"


@pytest.mark.parametrize("tag", ['"a"', 'W/"a"', '"' + 32 * "0" + '-3"', "unquoted"])
@pytest.mark.parametrize(
    "dates",
    [
        {},
        {"date": NOON},
        {"last-modified": NOON, "date": at(2)},
        {"last-modified": at(0, "-0000"), "date": at(2)},
        {"last-modified": "Wed, 25 Nov 2020 12:00:00 GMT"},
        {"last-modified": "yesterday", "date": NOON},
    ],
)
def test_tags_of_values_at_rest_are_taken(tag: str, dates: dict[str, str]) -> None:
    """Strong and weak ones, where a value is old or nothing is said of its age."""
    assert tag_of({"etag": tag, **dates}) == tag


@pytest.mark.parametrize(
    "dates",
    [
        {"last-modified": NOON, "date": NOON},
        {"last-modified": NOON, "date": at(1)},
        {"last-modified": at(9), "date": NOON},
        {"last-modified": "Mon, 25 Nov 2999 12:00:00 GMT"},
        {"last-modified": "Mon, 25 Nov 2999 12:00:00 GMT", "date": "now"},
    ],
)
def test_a_value_just_written_has_no_tag(dates: dict[str, str]) -> None:
    """It may be written again within the second that the tag was made of."""
    assert tag_of({"etag": '"a"', **dates}) is None


@pytest.mark.parametrize("headers", [{}, {"etag": ""}, {"etag": '"\udce4"'}, {"etag": '"ä"'}])
def test_what_cannot_be_sent_back_is_no_tag(headers: dict[str, str]) -> None:
    """Tags are printable ASCII (RFC 9110, 8.8.3)."""
    assert tag_of(headers) is None


async def test_a_source_without_tags_gives_the_value() -> None:
    """Whatever tag is shown to it."""
    source = DictSource({"a": b"value"})
    assert await get_tagged(source, "a", '"tag"') == Tagged(b"value", None)
    assert await get_tagged(source, "b", '"tag"') is None
