"""Dates and texts that xarray's own decoding refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from sluice.concurrency import CancelToken
from sluice.datasets.coders import decode_bytes, decode_dates

LEAST = np.iinfo("i8").min


@pytest.mark.parametrize("dtype", ["<i8", ">i8"])
@pytest.mark.parametrize("calendar", ["noleap", "standard"])
def test_the_least_count_is_a_missing_date(dtype: str, calendar: str) -> None:
    """In any byte order; a missing date is None, a missing instant NaT."""
    counts = np.array([0, LEAST, 31], dtype)
    dates = decode_dates(counts, "days since 2000-01-01", calendar, None, "s")
    assert [str(date)[:10] for date in dates] == (
        ["2000-01-01", "None", "2000-02-01"]
        if calendar == "noleap"
        else ["2000-01-01", "NaT", "2000-02-01"]
    )


@pytest.mark.parametrize("shape", [(), (2, 1)])
def test_dates_that_are_all_missing_keep_their_shape(shape: tuple[int, ...]) -> None:
    """Of no dimension, and of several."""
    dates = decode_dates(np.full(shape, np.nan), "days since 2000-01-01", "360_day", None, "ns")
    assert (dates.shape, dates.dtype.kind) == (shape, "O")
    assert all(date is None for date in dates.ravel())


def test_bytes_of_another_encoding_stay_bytes() -> None:
    """Each item is decoded by itself."""
    values: Any = np.array([[b"a", b"\xc3\xa4"], [b"\xff", b""]])
    assert decode_bytes(values, "utf-8").tolist() == [["a", "\u00e4"], [b"\xff", ""]]


def test_decoding_of_many_bytes_can_be_cancelled() -> None:
    """As soon as nobody waits for it."""
    token = CancelToken()

    def decoded() -> object:
        token.cancelled = True
        return decode_bytes(np.array([b"a"]), "utf-8")

    with pytest.raises(asyncio.CancelledError):
        token.run(decoded)
