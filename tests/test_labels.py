"""Labels as answers and errors write them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import cftime
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.labels import format_label, format_labels


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (1, 1),
        (True, True),
        ("a", "a"),
        (0.1, 0.1),
        (np.float32(0.1), 0.1),
        (np.float16(0.1), 0.1),
        (np.nan, None),
        (np.float32(np.inf), None),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (b"ab", "ab"),
        (b"\xff", "base64url:_w=="),
        (np.datetime64("NaT", "s"), None),
        (np.datetime64("2020-01-01"), "2020-01-01T00:00:00Z"),
        (np.datetime64("2020-01-01T00:00:00.120", "ms"), "2020-01-01T00:00:00.120Z"),
        (np.datetime64("1960-01-01T00:00:00.5", "ns"), "1960-01-01T00:00:00.500Z"),
        (np.datetime64("2020-01-01T00:00:00.000001", "ns"), "2020-01-01T00:00:00.000001Z"),
        (np.datetime64("20200-01-01", "s"), "20200-01-01T00:00:00Z"),
        (np.timedelta64("NaT", "s"), None),
        (np.timedelta64(36, "h"), "P1DT12H"),
        (np.timedelta64(-90, "s"), "-PT1M30S"),
        (np.timedelta64(2, "Y"), "P2Y"),
        (np.timedelta64(1500, "ps"), "PT0.000000001S"),
        (timedelta(milliseconds=1), "PT0.001S"),
        (datetime(2020, 1, 1, tzinfo=UTC), "2020-01-01T00:00:00Z"),
        (datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=1))), "2020-01-01T00:00:00+01:00"),
        (datetime(2020, 1, 1), "2020-01-01T00:00:00Z"),
        (date(2020, 1, 1), "2020-01-01"),
        (cftime.Datetime360Day(2020, 2, 30), "2020-02-30T00:00:00"),
    ],
)
def test_one_label(value: Any, written: Any) -> None:
    """Each kind of label has one form, which JSON can hold."""
    assert format_label(value) == written
    assert json.loads(json.dumps(format_label(value), allow_nan=False)) == written


@given(
    st.lists(st.one_of(st.integers(-(2**62), 2**62), st.just(np.iinfo("i8").min)), min_size=1),
    st.sampled_from(["s", "ms", "us", "ns", "D", "h"]),
    st.sampled_from(["M8", "m8"]),
)
def test_arrays_are_written_like_their_items(ticks: list[int], unit: str, kind: str) -> None:
    """An array has the labels of its items; instants may have more digits, for all the same."""
    if unit in ("D", "h") or kind == "M8":
        ticks = [tick if tick == np.iinfo("i8").min else tick % 10**11 for tick in ticks]
    values = np.array(ticks, "i8").view(f"{kind}[{unit}]")
    for value, written in zip(values, format_labels(values), strict=True):
        alone = format_label(value)
        if kind == "m8" or alone is None:
            assert written == alone
        else:
            assert str(written).rstrip("0Z.").startswith(str(alone).rstrip("0Z."))


def test_arrays_keep_their_shape() -> None:
    """Labels of an array of several dimensions are nested lists."""
    values = np.array([[1, 2], [3, 4]], "m8[h]")
    assert format_labels(values) == [["PT1H", "PT2H"], ["PT3H", "PT4H"]]
