"""Any value in a document that JSON can hold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sluice.encoders.jsonable import json_text, to_jsonable
from tests.encoders.samples import DTYPES, cells

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(max_size=3),
    st.complex_numbers(),
    st.sampled_from([pd.NA, pd.NaT, np.float16(0.1), np.datetime64("NaT"), bytearray(b"a")]),
    st.sampled_from(DTYPES).flatmap(lambda kind: cells(kind, (2, 1))),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(st.characters()), st.integers()), inner, max_size=3),
        st.lists(inner, max_size=2).map(tuple),
    ),
    max_leaves=6,
)


def written(value: object) -> Any:
    """What a strict reader finds in the text."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(json_text(to_jsonable(value)), parse_constant=refuse)


@given(VALUES)
def test_any_value_is_written(value: object) -> None:
    """Whatever is in it, the text is valid JSON, and says the same within a list."""
    assert written([value]) == [written(value)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[1, 2]], ">i2"), [[1, 2]]),
        (np.array([0.1, np.inf], "f4"), [0.1, None]),
        (np.array(0.1, "f2"), 0.1),
        (np.array([1 + 2j]), [[1.0, 2.0]]),
        (complex(1, float("nan")), [1.0, None]),
        (np.array(["base64url:"]), ["base64url:YmFzZTY0dXJsOg=="]),
        ("base64url:", "base64url:"),
        ("\ud800", "\ufffd"),
        ({"a": {1: (np.int8(3), None)}}, {"a": {"1": [3, None]}}),
        (2**70, 2**70),
        ([{"a": -(2**100)}], [{"a": -(2**100)}]),
        (pd.NA, None),
        (np.array([np.arange(2), "a", None], object), [[0, 1], "a", None]),
        (np.array("2020-01-01T00:00:00", "M8[s]"), "2020-01-01T00:00:00Z"),
        (np.array(["2020-01-01", "NaT"], "M8[ns]"), ["2020-01-01T00:00:00Z", None]),
        (np.array([90], "m8[s]"), ["PT1M30S"]),
        (b"\xff", "base64url:_w=="),
    ],
)
def test_one_value(value: object, expected: object) -> None:
    """Each kind of value has one form."""
    assert written(value) == expected


def test_what_is_nested_too_deeply_ends() -> None:
    """A document may be as deep as it likes, also one in arrays of objects."""
    deep: Any = "end"
    for _ in range(1000):
        deep = [deep]
    array = np.empty(1, object)
    array[0] = array
    for value in (deep, array):
        text = json_text(to_jsonable(value))
        assert b'"..."' in text
        json.loads(text)


@given(npst.arrays("f8", npst.array_shapes(min_dims=0, max_dims=3, min_side=0)))
def test_numbers_come_back(values: np.ndarray[Any, Any]) -> None:
    """To the bit, but for those that JSON does not have."""
    read = np.array(written(values), dtype="f8").reshape(values.shape)
    expected = np.where(np.isfinite(values), values, np.nan)
    np.testing.assert_array_equal(read, expected)
