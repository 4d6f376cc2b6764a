"""Values that are made for every request."""

from __future__ import annotations

import pytest

from sluice.aliases import record


@record
class Place:
    """Something to make one of."""

    name: str
    index: int = 0


def test_records_are_equal_and_hashed_by_their_fields() -> None:
    """They stand in sets and as keys, as frozen dataclasses do."""
    assert Place("a") == Place("a", 0) != Place("a", 1)
    assert {Place("a"), Place("a", 0)} == {Place("a")}
    assert repr(Place("a")) == "Place(name='a', index=0)"


def test_records_have_no_other_fields() -> None:
    """A name that is misspelt is an error, not a new attribute."""
    with pytest.raises(AttributeError):
        Place("a").nmae = "b"  # type: ignore[attr-defined]
