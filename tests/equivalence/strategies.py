"""Hypothesis strategies for small stores and for the keywords they are opened with."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from xarray.backends.zarr import FillValueCoder

from tests.equivalence.coordinates import (
    Draw,
    axis,
    bounds,
    further_coordinates,
    lead_axis,
    rarely,
    time_axis,
)
from tests.equivalence.layouts import layout_v2, layout_v3
from tests.stores import ArraySpec, StoreSpec

DIMENSIONS = ("time", "lat", "lon", "level")
NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
MISSING = st.integers(0, 100) | st.lists(st.integers(0, 100), min_size=1, max_size=3)
NATIVE_TIMES = ("M8[ns]", "M8[s]", "m8[ns]", "m8[s]")


@st.composite
def stores(draw: Draw) -> StoreSpec:
    """A store of up to four dimensions: axes, further coordinates, one to three variables."""
    zarr_format = draw(st.sampled_from((2, 3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Mostly one to three dimensions: the extremes say little about selections.
    ndim = draw(st.sampled_from((0, 1, 1, 2, 2, 2, 3, 3, 4)))
    sizes = {
        name: 0 if rarely(draw, 20) else draw(st.integers(1, 12 if ndim < 3 else 6))
        for name in DIMENSIONS[:ndim]
    }
    arrays = [
        axis(draw, random, zarr_format, name, size)
        for name, size in sizes.items()
        if not rarely(draw, 5)
    ]
    arrays += further_coordinates(draw, random, zarr_format, sizes)
    arrays += bounds(draw, random, arrays)
    coordinates = " ".join(array.name for array in arrays if array.name not in sizes)
    for number in range(draw(st.integers(1, 3))):
        dims = tuple(draw(st.permutations(list(sizes)))) if rarely(draw, 3) else tuple(sizes)
        if rarely(draw, 4):
            dims = dims[1:]
        arrays.append(_data(draw, random, zarr_format, f"v{number}", dims, sizes, coordinates))
    group = draw(st.sampled_from((None, None, None, "inner", "outer/inner")))
    return StoreSpec(
        arrays=tuple(arrays),
        zarr_format=zarr_format,
        consolidated=draw(st.sampled_from(("", "group", "group", "root"))),
        group=group,
        attrs=draw(st.sampled_from(({}, {"title": "t", "version": 2, "coordinates": "height"}))),
    )


# ---- data variables


def _data(
    draw: Draw,
    random: np.random.Generator,
    zarr_format: int,
    name: str,
    dims: tuple[str, ...],
    sizes: dict[str, int],
    coordinates: str,
) -> ArraySpec:
    shape = tuple(sizes[dim] for dim in dims)
    values, attrs = draw(st.sampled_from(_DATA_KINDS))(draw, random, shape, zarr_format)
    if coordinates and not rarely(draw, 4):
        attrs["coordinates"] = coordinates
    fill = _fill(draw, values, zarr_format)
    writable = values.size and values.dtype.kind != "O" and fill is not None and fill is not ...
    if writable and rarely(draw, 3):
        values = values.copy()
        values.flat[: max(1, values.size // 2)] = fill
    chunks = tuple(draw(st.integers(1, max(1, n + (n > 1)))) for n in shape)
    layout = layout_v2 if zarr_format == 2 else layout_v3
    return ArraySpec(
        name,
        dims,
        values,
        attrs,
        fill=fill,
        holes=tuple(draw(st.lists(st.integers(0, 30), max_size=3))),
        **layout(draw, values, chunks),
    )


def _noise(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return random.integers(0, 2, shape).astype(bool)
    if kind in "iu":
        limits = np.iinfo(dtype)
        values = random.integers(0, 100, shape).astype(dtype)
        return np.where(random.random(shape) < 0.1, limits.max, values).astype(dtype)
    if kind in "Mm":
        ticks = random.integers(-(10**8), 10**9, shape)
        days = (ticks // 86400).astype("m8[D]")
        values = (np.datetime64("2000-01-01") + days if kind == "M" else days).astype(dtype)
        return np.where(random.random(shape) < 0.1, np.array("NaT", dtype), values)
    values = np.asarray(random.normal(0, 50, shape)).round(2)
    if kind == "c":
        values = values + 1j * np.asarray(random.normal(0, 5, shape))
    return np.where(random.random(shape) < 0.15, np.nan, values).astype(dtype)


def _plain(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    dtype = draw(st.sampled_from((*NUMBERS, "f4", "f8", "i2", "bool", *NATIVE_TIMES)))
    values = _noise(random, shape, dtype)
    if rarely(draw, 3) and dtype != "bool":
        values = values.astype(values.dtype.newbyteorder(">"))
    return values, {"units": "m"} if rarely(draw, 3) else {}


def _packed(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Numbers with a scale, an offset, missing values, or a sign that is not meant."""
    dtype = draw(st.sampled_from(("i2", "i2", "u1", "i1", "i4", "f4", ">i2")))
    values = _noise(random, shape, dtype)
    attrs: dict[str, Any] = {}
    if not rarely(draw, 4):
        attrs["scale_factor"] = draw(st.sampled_from((0.01, 0.5, 2, 1.5)))
    if not rarely(draw, 3):
        attrs["add_offset"] = draw(st.sampled_from((273.15, -5, 0.0)))
    if rarely(draw, 2):
        missing = np.dtype(dtype).type(draw(st.integers(0, 100)))
        spelled = FillValueCoder.encode(missing.item(), np.dtype(dtype))
        attrs["_FillValue"] = spelled if zarr_format == 3 else missing.item()
        values = np.where(random.random(shape) < 0.3, missing, values).astype(dtype)
    if rarely(draw, 4):
        attrs["missing_value"] = draw(MISSING)
    if rarely(draw, 4) and dtype in ("i1", "u1", "i2"):
        attrs["_Unsigned"] = "false" if dtype == "u1" else "true"
    return values, attrs


def _times(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    values, attrs = time_axis(draw, int(np.prod(shape)))
    values = random.permutation(values).reshape(shape)
    if rarely(draw, 3) and values.dtype.kind == "f":
        values = np.where(random.random(shape) < 0.3, np.nan, values).astype(values.dtype)
    return values, attrs


def _durations(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    values, attrs = lead_axis(draw, int(np.prod(shape)))
    return random.permutation(values).reshape(shape), attrs


def _text(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    words = np.array(["", "a", "brine", "größe", "海"], dtype=object)
    values = words[random.integers(0, len(words), shape)]
    kind = draw(st.sampled_from(("O", "U5", ">U5", "S5", "S1")))
    if kind == "O":
        return np.asarray(values, dtype=object), {}
    if kind[0] == "S":
        values = np.array([b"a", b"bc", b""], "S5")[random.integers(0, 3, shape)]
    return np.asarray(values).astype(kind), {}


_DATA_KINDS = (_plain, _plain, _plain, _packed, _packed, _times, _durations, _text)


def _fill(draw: Draw, values: np.ndarray, zarr_format: int) -> Any:
    """The array's fill value: the library's default, none (v2), NaN, or one of the values."""
    choices: list[Any] = [...]
    if zarr_format == 2:
        choices.append(None)
    kind = values.dtype.kind
    if kind in "fc":
        choices += [float("nan"), -1.0]
    elif kind in "iu":
        choices += [7, int(np.iinfo(values.dtype).max)]
    elif kind == "b":
        choices.append(True)
    elif kind == "U":
        choices.append("?")
    return draw(st.sampled_from(choices))


# ---- how the store is opened


@st.composite
def open_options(draw: Draw, spec: StoreSpec) -> dict[str, Any]:
    """Keywords of `xr.open_zarr` for this store; now and then ones that cannot work."""
    consolidated = draw(st.sampled_from((None, None, None, bool(spec.consolidated), False, True)))
    if consolidated and spec.group and spec.consolidated == "group":
        # Only xarray minds that the root is not consolidated as well: it looks there first.
        consolidated = None
    other = 5 - spec.zarr_format
    dropped = (spec.arrays[0].name, [spec.arrays[-1].name], ["no_such_name"])
    choices = {
        "consolidated": (1, (consolidated,)),
        "zarr_format": (3, (spec.zarr_format,) * 9 + (other,)),
        "mask_and_scale": (5, (False,)),
        "decode_times": (5, (False,)),
        "decode_timedelta": (4, (False, True)),
        "decode_coords": (3, (False, True, "coordinates", "all")),
        "drop_variables": (5, dropped),
    }
    options: dict[str, Any] = {"group": spec.group}
    for keyword, (chances, values) in choices.items():
        if rarely(draw, chances):
            options[keyword] = draw(st.sampled_from(values))
    return options
