"""Words of libraries become those of the store; what has none keeps its place."""

from __future__ import annotations

import pytest

from sluice.errors import plain_words


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
