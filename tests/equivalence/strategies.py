"""Hypothesis strategies for small stores: formats, types, layouts, codecs, fill values, CF coding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numcodecs
import numpy as np
import zarr.codecs as v3
import zarr.codecs.numcodecs as v3_numcodecs
from hypothesis import strategies as st
from xarray.backends.zarr import FillValueCoder

from tests.stores import ArraySpec, StoreSpec

DIMENSIONS = ("time", "lat", "lon", "level")
NUMBERS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
NATIVE_TIMES = ("M8[ns]", "M8[s]", "m8[ns]", "m8[s]")
CALENDARS = ("standard", "proleptic_gregorian", "noleap", "360_day", "all_leap", "julian")
TIME_UNITS = ("hours since 2000-01-01", "days since 1999-12-30 06:00:00", "minutes since 2001-02-28")

Draw = Callable[[st.SearchStrategy[Any]], Any]


def _rarely(draw: Draw, chances: int = 8) -> bool:
    return bool(draw(st.integers(1, chances)) == chances)


@st.composite
def stores(draw: Draw) -> StoreSpec:
    """A store of up to four dimensions with axes, further coordinates and one to three variables."""
    zarr_format = draw(st.sampled_from((2, 3)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Mostly one to three dimensions: the extremes say little about selections.
    ndim = draw(st.sampled_from((0, 1, 1, 2, 2, 2, 3, 3, 4)))
    sizes = {
        name: 0 if _rarely(draw, 20) else draw(st.integers(1, 12 if ndim < 3 else 6))
        for name in DIMENSIONS[:ndim]
    }
    arrays = [
        _axis(draw, random, zarr_format, name, size)
        for name, size in sizes.items()
        if not _rarely(draw, 5)
    ]
    arrays += _further_coordinates(draw, random, zarr_format, sizes)
    arrays += _bounds(draw, random, arrays)
    coordinates = " ".join(array.name for array in arrays if array.name not in sizes)
    for number in range(draw(st.integers(1, 3))):
        dims = tuple(draw(st.permutations(list(sizes)))) if _rarely(draw, 3) else tuple(sizes)
        if _rarely(draw, 4):
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


# ---- axes and coordinates


def _axis(
    draw: Draw, random: np.random.Generator, zarr_format: int, name: str, size: int
) -> ArraySpec:
    kind = draw(st.sampled_from(_AXIS_KINDS))
    values, attrs = _AXES[kind](draw, size)
    shape = draw(st.sampled_from(("rising", "rising", "falling", "shuffled", "repeated")))
    if kind != "bool" and shape == "falling":
        values = values[::-1].copy()
    elif shape == "shuffled":
        values = values[random.permutation(size)]
    elif shape == "repeated" and size:
        values = np.sort(values[random.integers(0, size, size)])
    # In Zarr v2 xarray takes the fill value for "missing": mostly not wanted on an axis.
    fill = None if zarr_format == 2 and not _rarely(draw, 6) else ...
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


def _time_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    dtype = draw(st.sampled_from(("i8", "i4", "f8", "f4")))
    values = np.arange(size) * draw(st.sampled_from((1, 6, 24, 17)))
    attrs = {"units": draw(st.sampled_from(TIME_UNITS)), "standard_name": "time"}
    if not _rarely(draw, 4):
        attrs["calendar"] = draw(st.sampled_from(CALENDARS))
    half = 0.5 if dtype[0] == "f" and _rarely(draw, 2) else 0
    return (values + half).astype(dtype), attrs


def _lead_axis(draw: Draw, size: int) -> tuple[np.ndarray, dict[str, Any]]:
    attrs = {"units": draw(st.sampled_from(("hours", "days", "seconds")))}
    if _rarely(draw, 2):
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


_AXES = {
    "int": _int_axis,
    "float": _float_axis,
    "packed": _packed_axis,
    "time": _time_axis,
    "lead": _lead_axis,
    "native": _native_time_axis,
    "text": _text_axis,
    "bool": _bool_axis,
}
_AXIS_KINDS = ("int", "int", "float", "float", "float", "time", "time", "time") + tuple(_AXES)


def _further_coordinates(
    draw: Draw, random: np.random.Generator, zarr_format: int, sizes: dict[str, int]
) -> list[ArraySpec]:
    """Coordinates that are no axes: of no, one or two dimensions."""
    dims = tuple(sizes)
    wanted = [(), dims[-1:], dims[:1], dims[-2:]]
    names = ("height", "station", "valid_time", "area")
    found = []
    for name, over in zip(names, wanted, strict=True):
        if _rarely(draw, 3) and (over or name == "height"):
            shape = tuple(sizes[dim] for dim in over)
            kind = draw(st.sampled_from(("float", "text", "time")))
            values, attrs = _AXES[kind](draw, int(np.prod(shape)))
            fill = None if zarr_format == 2 else ...
            found.append(ArraySpec(name, over, values.reshape(shape), attrs, fill=fill))
    return found


def _bounds(draw: Draw, random: np.random.Generator, arrays: list[ArraySpec]) -> list[ArraySpec]:
    """Bounds for the first axis, which then names them (and lends them its units)."""
    if not arrays or arrays[0].values.dtype.kind not in "if" or not _rarely(draw, 4):
        return []
    axis = arrays[0]
    name = f"{axis.name}_bnds"
    arrays[0] = ArraySpec(
        axis.name, axis.dims, axis.values, {**axis.attrs, "bounds": name}, fill=axis.fill
    )
    values = np.stack([axis.values, axis.values + 1], axis=-1)
    return [ArraySpec(name, (*axis.dims, "bnds"), values, fill=axis.fill)]


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
    if coordinates and not _rarely(draw, 4):
        attrs["coordinates"] = coordinates
    fill = _fill(draw, values, zarr_format)
    if values.size and fill is not ... and fill is not None and values.dtype.kind != "O" and _rarely(draw, 3):
        values = values.copy()
        values.flat[: max(1, values.size // 2)] = fill
    chunks = tuple(draw(st.integers(1, max(1, n + (n > 1)))) for n in shape)
    layout = _layout_v2 if zarr_format == 2 else _layout_v3
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
    dtype = draw(st.sampled_from(NUMBERS + ("f4", "f8", "i2", "bool", *NATIVE_TIMES)))
    values = _noise(random, shape, dtype)
    if _rarely(draw, 3) and dtype != "bool":
        values = values.astype(values.dtype.newbyteorder(">"))
    return values, {"units": "m"} if _rarely(draw, 3) else {}


def _packed(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Numbers with a scale, an offset, missing values, or a sign that is not meant."""
    dtype = draw(st.sampled_from(("i2", "i2", "u1", "i1", "i4", "f4", ">i2")))
    values = _noise(random, shape, dtype)
    attrs: dict[str, Any] = {}
    if not _rarely(draw, 4):
        attrs["scale_factor"] = draw(st.sampled_from((0.01, 0.5, 2, 1.5)))
    if not _rarely(draw, 3):
        attrs["add_offset"] = draw(st.sampled_from((273.15, -5, 0.0)))
    if _rarely(draw, 2):
        missing = np.dtype(dtype).type(draw(st.integers(0, 100)))
        spelled = FillValueCoder.encode(missing.item(), np.dtype(dtype))
        attrs["_FillValue"] = spelled if zarr_format == 3 else missing.item()
        values = np.where(random.random(shape) < 0.3, missing, values).astype(dtype)
    if _rarely(draw, 4):
        attrs["missing_value"] = draw(st.integers(0, 100))
    if _rarely(draw, 4) and dtype in ("i1", "u1", "i2"):
        attrs["_Unsigned"] = "false" if dtype == "u1" else "true"
    return values, attrs


def _times(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    values, attrs = _time_axis(draw, int(np.prod(shape)))
    values = random.permutation(values).reshape(shape)
    if _rarely(draw, 3) and values.dtype.kind == "f":
        values = np.where(random.random(shape) < 0.3, np.nan, values).astype(values.dtype)
    return values, attrs


def _durations(
    draw: Draw, random: np.random.Generator, shape: tuple[int, ...], zarr_format: int
) -> tuple[np.ndarray, dict[str, Any]]:
    values, attrs = _lead_axis(draw, int(np.prod(shape)))
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


# ---- layout: codecs, order, shards


def _layout_v2(draw: Draw, values: np.ndarray, chunks: tuple[int, ...]) -> dict[str, Any]:
    if values.dtype.kind == "O":
        filters: Any = ()
    else:
        filters = draw(st.sampled_from([(), (), *_filters_v2(values.dtype)]))
    separator = draw(st.sampled_from((".", "/")))
    return {
        "chunks": chunks,
        "order": draw(st.sampled_from("CCF")),
        "filters": filters,
        "compressors": draw(st.sampled_from(_compressors_v2())),
        "chunk_key_encoding": {"name": "v2", "separator": separator},
    }


def _compressors_v2() -> list[Any]:
    blosc = [
        numcodecs.Blosc(cname=cname, clevel=3, shuffle=shuffle)
        for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib")
        for shuffle in (0, 1, 2)
    ]
    others = [numcodecs.Zstd(3), numcodecs.GZip(1), numcodecs.Zlib(1), numcodecs.LZ4()]
    return [(), (), *others, *others, numcodecs.BZ2(1), numcodecs.LZMA(), *blosc]


def _filters_v2(dtype: np.dtype[Any]) -> list[Any]:
    spelled = dtype.str
    found: list[Any] = [(numcodecs.Shuffle(dtype.itemsize),), (numcodecs.CRC32(),)]
    if dtype.kind in "iu":
        found += [
            (numcodecs.Delta(spelled),),
            (numcodecs.AsType("<i8", spelled),),
            (numcodecs.Delta(spelled), numcodecs.Shuffle(dtype.itemsize)),
        ]
    if dtype.kind == "f" and dtype.itemsize > 2:
        found += [
            (numcodecs.FixedScaleOffset(offset=10, scale=100, dtype=spelled, astype="<f4"),),
            (numcodecs.Quantize(digits=2, dtype=spelled),),
        ]
    if dtype.kind == "b":
        found.append((numcodecs.PackBits(),))
    return found


def _layout_v3(draw: Draw, values: np.ndarray, chunks: tuple[int, ...]) -> dict[str, Any]:
    compressors = draw(st.sampled_from(_compressors_v3()))
    filters = draw(st.sampled_from([(), (), *_filters_v3(values)]))
    if draw(st.integers(0, 3)) == 0 and values.ndim:
        # First, because what numcodecs' filters hand on is flat.
        filters = (v3.TransposeCodec(order=draw(st.permutations(range(values.ndim)))), *filters)
    encoding = draw(
        st.sampled_from(
            (
                None,
                {"name": "default", "separator": "."},
                {"name": "default", "separator": "/"},
                {"name": "v2", "separator": "."},
            )
        )
    )
    layout = {
        "chunks": chunks,
        "compressors": compressors,
        "filters": filters,
        "chunk_key_encoding": encoding,
    }
    if values.ndim and values.size and _rarely(draw, 3):
        shards = tuple(chunk * draw(st.integers(1, 3)) for chunk in chunks)
        layout |= _sharded(draw, values, chunks, shards, layout)
    return layout


def _sharded(
    draw: Draw,
    values: np.ndarray,
    chunks: tuple[int, ...],
    shards: tuple[int, ...],
    layout: dict[str, Any],
) -> dict[str, Any]:
    """Shards with the index at the end, or (written as a codec) at the start."""
    if values.dtype.kind == "O" or not _rarely(draw, 2):
        return {"shards": shards}
    order = "big" if values.dtype.byteorder == ">" else "little"
    inner = (*layout["filters"], v3.BytesCodec(endian=order), *layout["compressors"])
    codec = v3.ShardingCodec(
        chunk_shape=chunks,
        codecs=inner,
        index_codecs=(v3.BytesCodec(), v3.Crc32cCodec()) if _rarely(draw, 2) else (v3.BytesCodec(),),
        index_location="start",
    )
    return {"chunks": shards, "serializer": codec, "filters": (), "compressors": ()}


def _compressors_v3() -> list[Any]:
    blosc = [
        (v3.BloscCodec(cname=cname, clevel=3, shuffle=shuffle, typesize=4),)
        for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib")
        for shuffle in ("noshuffle", "shuffle", "bitshuffle")
    ]
    others = [
        (v3.ZstdCodec(level=3),),
        (v3.ZstdCodec(level=1, checksum=True),),
        (v3.GzipCodec(level=1),),
        (v3.Crc32cCodec(),),
        (v3.ZstdCodec(), v3.Crc32cCodec()),
    ]
    named = [(v3_numcodecs.LZ4(),), (v3_numcodecs.Zlib(level=1),), (v3_numcodecs.BZ2(level=1),)]
    return [(), (), *others, *others, *named, *blosc]


def _filters_v3(values: np.ndarray) -> list[Any]:
    spelled = values.dtype.newbyteorder("=").str
    if values.dtype.kind in "iu":
        return [(v3_numcodecs.Delta(dtype=spelled),)]
    if values.dtype.kind == "f" and values.dtype.itemsize > 2:
        codec = v3_numcodecs.FixedScaleOffset(offset=10, scale=100, dtype=spelled, astype="<f4")
        return [(codec,)]
    return []


# ---- how the store is opened


@st.composite
def open_options(draw: Draw, spec: StoreSpec) -> dict[str, Any]:
    """Keywords of `xr.open_zarr` for this store; now and then ones that cannot work."""
    options: dict[str, Any] = {"group": spec.group}
    consolidated = draw(st.sampled_from((None, None, None, bool(spec.consolidated), False, True)))
    if consolidated and spec.group and spec.consolidated == "group":
        # Only xarray minds that the root is not consolidated as well: it looks there first.
        consolidated = None
    if consolidated is not None:
        options["consolidated"] = consolidated
    if _rarely(draw, 3):
        options["zarr_format"] = spec.zarr_format if not _rarely(draw, 10) else 5 - spec.zarr_format
    if _rarely(draw, 5):
        options["mask_and_scale"] = False
    if _rarely(draw, 5):
        options["decode_times"] = False
    if _rarely(draw, 4):
        options["decode_timedelta"] = draw(st.booleans())
    if _rarely(draw, 3):
        options["decode_coords"] = draw(st.sampled_from((False, True, "coordinates", "all")))
    if _rarely(draw, 5):
        options["drop_variables"] = draw(
            st.sampled_from((spec.arrays[0].name, [spec.arrays[-1].name], ["no_such_name"]))
        )
    return options
