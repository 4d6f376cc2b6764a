"""JSON documents of a store, sound and broken."""

from __future__ import annotations

import pytest

from sluice.errors import MetadataError
from sluice.store.documents import json_object


def test_object_is_read() -> None:
    """A JSON object comes back as it is."""
    assert json_object(b'{"version": 1}', "refs.json") == {"version": 1}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe\xfd", b"[" * 200_000])
def test_anything_else_is_an_error_that_names_it(data: bytes) -> None:
    """Broken text, another value and endless nesting are one kind of error."""
    with pytest.raises(MetadataError, match=r"refs\.json"):
        json_object(data, "refs.json")
