"""A store that grows: hours whose values are their own numbers, so mixed answers show."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

START = np.datetime64("2020-01-01T00", "ns")
HOUR = np.timedelta64(1, "h")
# Twelve hours fill one chunk and a half of the values, and half a chunk of the times.
CHUNKS: dict[str, Any] = {"v": {"chunks": (8, 2)}, "time": {"chunks": (24,)}}


def hours(first: int, end: int) -> xr.Dataset:
    """The hours `first` to `end`, exclusive."""
    numbers = np.arange(first, end)
    values = np.repeat(numbers[:, None], 4, axis=1).astype("float32")
    return xr.Dataset(
        {"v": (("time", "x"), values)},
        {"time": START + numbers * HOUR, "x": np.arange(4.0)},
    )


def write(store: Any, ds: xr.Dataset, **options: Any) -> None:
    """Write `ds` as a new store, or append it."""
    if "append_dim" not in options:
        options["encoding"] = CHUNKS
    with warnings.catch_warnings():
        # zarr warns that consolidated metadata is not in the v3 specification.
        warnings.simplefilter("ignore")
        ds.to_zarr(store, **options)


def append(store: Any, first: int, end: int, **options: Any) -> None:
    """Append the hours `first` to `end` as xarray does."""
    write(store, hours(first, end), append_dim="time", **options)


def length_of(answer: dict[str, Any]) -> int:
    """The number of hours in an answer; whatever is in it has to belong to that many."""
    times = answer["coords"]["time"]["data"]
    length: int = answer["dims"]["time"]
    assert len(times) == length
    assert np.datetime64(times[-1].rstrip("Z")) == START + (length - 1) * HOUR, times[-1]
    assert answer["data_vars"]["v"]["data"] == [float(number) for number in range(length)]
    return length
