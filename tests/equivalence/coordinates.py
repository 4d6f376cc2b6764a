"""Hypothesis strategies for axes and other coordinates: types, directions, CF coding, bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.stores import ArraySpec

CALENDARS = ("standard", "proleptic_gregorian", "noleap", "360_day", "all_leap", "julian")
TIME_UNITS = (
    "hours since 2000-01-01",
    "days since 1999-12-30 06:00:00",
    "minutes since 2001-02-28",
)

Draw = Callable[[st.SearchStrategy[Any]], Any]


def rarely(draw: Draw, chances: int = 8) -> bool:
    """True once in so many examples; shrinks to False."""
    return bool(draw(st.integers(1, chances)) == chances)


def axis(
    draw: Draw, random: np.random.Generator, zarr_format: int, name: str, size: int
) -> ArraySpec:
    kind = draw(st.sampled_from(AXIS_KINDS))
    values, attrs = AXES[kind](draw, size)
    shape = draw(st.sampled_from(("rising", "rising", "falling", "shuffled", "repeated")))
    if kind != "bool" and shape == "falling":
        values = values[::-1].copy()
    elif shape == "shuffled":
        values = values[random.permutation(size)]
    elif shape == "repeated" and size:
        values = np.sort(values[random.integers(0, size, size)])
    # In Zarr v2 xarray takes the fill value for "missing": mostly not wanted on an axis.
    fill = None if zarr_format == 2 and not rarely(draw, 6) else ...
    chunks = (draw(st.integers(1, max(1, size))),)
    return ArraySpec(name, (name,), values, attrs, chunks=chunks, fill=fill)


def _int_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    dtype = draw(st.sampled_from(("i8", "i4", "i2", "u1", ">i4")))
    return (np.arange(size) * draw(st.integers(1, 5)) + 1).astype(dtype), {"long_name": "counted"}


def _float_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    dtype = draw(st.sampled_from(("f8", "f8", "f4", ">f4", "f2")))
    start, step = draw(st.sampled_from(((-10.0, 2.5), (0.1, 0.1), (52.5, 0.25), (-1.0, 1.0))))
    return (start + step * np.arange(size)).astype(dtype), {"units": "degrees_north"}


def _packed_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    return np.arange(1, size + 1).astype("i2"), {"scale_factor": 0.25, "add_offset": -90.0}


def time_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    dtype = draw(st.sampled_from(("i8", "i4", "f8", "f4")))
    values = np.arange(size) * draw(st.sampled_from((1, 6, 24, 17)))
    attrs = {"units": draw(st.sampled_from(TIME_UNITS)), "standard_name": "time"}
    if not rarely(draw, 4):
        attrs["calendar"] = draw(st.sampled_from(CALENDARS))
    half = 0.5 if dtype[0] == "f" and rarely(draw, 2) else 0
    return (values + half).astype(dtype), attrs


def lead_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    attrs = {"units": draw(st.sampled_from(("hours", "days", "seconds")))}
    if rarely(draw, 2):
        attrs["dtype"] = "timedelta64[ns]"
    return np.arange(1, size + 1).astype("i4"), attrs


def _native_time_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    unit = draw(st.sampled_from(("ns", "s")))
    days = np.datetime64("2000-02-27", "D") + np.arange(size)
    return days.astype(f"M8[{unit}]"), {}


def _text_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    names = [f"{chr(97 + i % 26)}{'é' * (i % 2)}{i}" for i in range(size)]
    kind = draw(st.sampled_from(("O", "U6", "S")))
    if kind == "S":
        return np.array([f"s{i:02d}" for i in range(size)], "S3"), {}
    return np.array(names, dtype=object if kind == "O" else kind), {}


def _bool_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    return np.arange(size) % 2 == 1, {}


AXES = {
    "int": _int_axis,
    "float": _float_axis,
    "packed": _packed_axis,
    "time": time_axis,
    "lead": lead_axis,
    "native": _native_time_axis,
    "text": _text_axis,
    "bool": _bool_axis,
}
AXIS_KINDS = ("int", "int", "float", "float", "float", "time", "time", "time", *AXES)


def further_coordinates(
    draw: Draw, random: np.random.Generator, zarr_format: int, sizes: dict[str, int]
) -> list[ArraySpec]:
    """Coordinates that are no axes: of no, one or two dimensions."""
    dims = tuple(sizes)
    wanted = [(), dims[-1:], dims[:1], dims[-2:]]
    names = ("height", "station", "valid_time", "area")
    found = []
    for name, over in zip(names, wanted, strict=True):
        if rarely(draw, 3) and (over or name == "height"):
            shape = tuple(sizes[dim] for dim in over)
            kind = draw(st.sampled_from(("float", "text", "time")))
            values, attrs = AXES[kind](draw, int(np.prod(shape)))
            fill = None if zarr_format == 2 else ...
            found.append(ArraySpec(name, over, values.reshape(shape), attrs, fill=fill))
    return found


def bounds(draw: Draw, random: np.random.Generator, arrays: list[ArraySpec]) -> list[ArraySpec]:
    """Bounds for the first axis, which then names them (and lends them its units)."""
    if not arrays or arrays[0].values.dtype.kind not in "if" or not rarely(draw, 4):
        return []
    axis = arrays[0]
    name = f"{axis.name}_bnds"
    arrays[0] = ArraySpec(
        axis.name, axis.dims, axis.values, {**axis.attrs, "bounds": name}, fill=axis.fill
    )
    values = np.stack([axis.values, axis.values + 1], axis=-1)
    return [ArraySpec(name, (*axis.dims, "bnds"), values, fill=axis.fill)]
