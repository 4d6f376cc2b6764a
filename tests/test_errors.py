"""Words of libraries become those of the store; URLs in them lose their secrets."""

from __future__ import annotations

import pytest

from sluice.errors import plain_words, redacted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("array 't': Got None instead.", "array 't': Got null instead."),
        ("array 't': codec not available: ''x''", "array 't': the codec 'x' is not known"),
        ("Z.__init__() got an unexpected keyword argument 'a'", "the option 'a' is unknown"),
        ("Expected dict, got <class 'int'>.", "Expected an object, got a number."),
        (
            "{'name': 'int4', 'a': {}} is odd. Mend it.",
            '{"name": "int4", "a": {}} is odd. Mend it.',
        ),
        ("the store: 'int' object is not iterable.", "the store: a value in it is not of the kind"),
        ("f() takes 1 positional argument", "a value in it is not of the kind that belongs there"),
        ("'.zmetadata' has no 'metadata' object", "'.zmetadata' has no 'metadata' object"),
        ("dtype <U3 with zstd is decoded by zarr-python", "dtype <U3 with zstd is decoded"),
    ],
)
def test_words_of_code_are_none_of_an_operators(text: str, told: str) -> None:
    """Known sayings are translated, unknown ones cut; plain words stay."""
    assert plain_words(text).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("GET https://host/x failed", "GET https://host/x failed"),
        ("'https://user:word@host/x?sig=1'", "'https://host/x?...'"),
        ("https://user:w@rd@host/x", "https://host/x"),
        ("https://host?mail=a@b", "https://host?..."),
        ("s3://bucket/a@b, s3://bucket/c", "s3://bucket/a@b, s3://bucket/c"),
    ],
)
def test_urls_are_shown_without_secrets(text: str, told: str) -> None:
    """Neither a password is left, however it is spelled, nor a query string; all else stays."""
    assert redacted(text) == told
