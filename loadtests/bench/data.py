"""The data that every contestant reads: made from formulas, the same on each run, kept on disk."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import BloscCodec, ZstdCodec

BUCKET = "bench"
ERA5, LONG, WIDE, SMALL = "era5.zarr", "long.zarr", "wide.zarr", "small"

HOURS, CHUNK_HOURS = 2160, 240
LATITUDES = np.arange(90.0, -90.5, -1.0)
LONGITUDES = np.arange(0.0, 360.0, 1.0)
CHUNKS = (CHUNK_HOURS, 61, 60)
VARIABLES = ("t2m", "d2m", "u10", "v10")
START = np.datetime64("2020-01-01T00", "s")
SCALE, OFFSET = 2.0**-5, 250.0

# Chunks of 4 MiB, 40 of them along time.
LONG_CHUNKS = (1024, 32, 32)
LONG_SHAPE = (40 * 1024, 64, 64)

# A global quarter of a degree, each step a chunk of its own, in each of these codecs.
MAPS = "maps.zarr"
MAPS_SHAPE = (60, 721, 1440)
MAPS_CODECS: Mapping[str, BytesBytesCodec] = MappingProxyType(
    {"blosc": BloscCodec(), "zstd": ZstdCodec(level=3)}
)

WIDE_VARIABLES = 40
WIDE_DIMS = {"number": 4, "step": 8, "time": 24, "level": 6, "latitude": 19, "longitude": 36}

SMALL_OBJECTS, SMALL_BYTES = 512, 64 * 1024

_UNITS: dict[str, str] = {
    "time": "hours since 1970-01-01",
    "step": "hours",
    "lat": "degrees_north",
    "latitude": "degrees_north",
    "lon": "degrees_east",
    "longitude": "degrees_east",
}


def prepare(root: Path, name: str, say: Callable[[str], None]) -> Path:
    """The store (or folder) `name` in the bucket below `root`; written once."""
    path = root / BUCKET / name
    if not path.exists():
        say(f"bench: writing {name} ...")
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        _WRITERS[name](unfinished)
        unfinished.rename(path)
    return path


def _write_era5(path: Path) -> None:
    """Hourly, one degree, four variables packed into two bytes: 648 chunks of 1.76 MB."""
    group = zarr.open_group(path, mode="w", attributes={"title": "Synthetic hourly fields"})
    hours = START.astype("M8[h]").astype(int) + np.arange(HOURS)
    add_coordinates(group, {"time": hours, "lat": LATITUDES, "lon": LONGITUDES})
    shape = (HOURS, LATITUDES.size, LONGITUDES.size)
    packing = {"scale_factor": SCALE, "add_offset": OFFSET, "_FillValue": -32768}
    random = np.random.default_rng(4)
    for number, name in enumerate(VARIABLES):
        array = add_array(group, name, shape, "int16", CHUNKS, ("time", "lat", "lon"), packing)
        for first in range(0, HOURS, CHUNK_HOURS):
            array[first : first + CHUNK_HOURS] = _weather(first, number, random)
    consolidate(path)


def _weather(first: int, number: int, random: np.random.Generator) -> NDArray[np.int16]:
    """Waves that travel, and four bits of noise, so that it compresses as real fields do."""
    t = np.arange(first, first + CHUNK_HOURS, dtype="f4")[:, None, None]
    lat = np.deg2rad(LATITUDES).astype("f4")[None, :, None]
    lon = np.deg2rad(LONGITUDES).astype("f4")[None, None, :]
    wave = np.cos((5 + number) * lon - t / 15 + 2 * lat) * np.cos(lat)
    field = 1200 * np.cos(lat) ** 2 + 300 * wave + 100 * np.cos(t * (np.pi / 12) + lon)
    noise = random.integers(-8, 8, field.shape, dtype=np.int16)
    return np.asarray(field.astype(np.int16) + noise)


def _write_long(path: Path) -> None:
    """Series of 40 chunks of 4 MiB."""
    group = zarr.open_group(path, mode="w")
    steps, lats, lons = LONG_SHAPE
    add_coordinates(
        group,
        {"time": np.arange(steps), "lat": np.arange(lats) * 1.0, "lon": np.arange(lons) * 2.0},
    )
    array = add_array(group, "t2m", LONG_SHAPE, "float32", LONG_CHUNKS, ("time", "lat", "lon"), {})
    random = np.random.default_rng(5)
    for first in range(0, steps, LONG_CHUNKS[0]):
        noise = random.integers(0, 4096, (LONG_CHUNKS[0], lats, lons))
        array[first : first + LONG_CHUNKS[0]] = noise.astype("f4") / 16
    consolidate(path)


def _write_wide(path: Path) -> None:
    """Many variables over six coordinates; opening it needs no chunk of a variable."""
    group = zarr.open_group(path, mode="w")
    add_coordinates(group, {name: np.arange(size) for name, size in WIDE_DIMS.items()})
    for number in range(WIDE_VARIABLES):
        shape = tuple(WIDE_DIMS.values())
        add_array(group, f"v{number:02}", shape, "float32", shape, tuple(WIDE_DIMS), {"units": "K"})
    consolidate(path)


def _write_maps(path: Path) -> None:
    """Maps of a field with waves and noise in steps of a 64th, which packs three to four times."""
    group = zarr.open_group(path, mode="w")
    steps, height, width = MAPS_SHAPE
    lats, lons = np.linspace(90, -90, height), np.arange(width) * 0.25
    add_coordinates(group, {"time": np.arange(steps), "lat": lats, "lon": lons})
    dims, chunks = ("time", "lat", "lon"), (1, height, width)
    arrays = [
        add_array(group, name, MAPS_SHAPE, "float32", chunks, dims, {}, codec)
        for name, codec in MAPS_CODECS.items()
    ]
    random = np.random.default_rng(8)
    lat, lon = np.deg2rad(lats)[:, None], np.deg2rad(lons)[None, :]
    for step in range(steps):
        wave = 8 * np.cos(5 * lon - step / 15 + 2 * lat) * np.cos(lat)
        field = 260 + 40 * np.cos(lat) ** 2 + wave + random.normal(0, 0.3, (height, width))
        for array in arrays:
            array[step] = (np.round(field * 64) / 64).astype("f4")
    consolidate(path)


def _write_small(path: Path) -> None:
    path.mkdir(parents=True)
    random = np.random.default_rng(6)
    for number in range(SMALL_OBJECTS):
        (path / str(number)).write_bytes(random.bytes(SMALL_BYTES))


def add_coordinates(group: zarr.Group, axes: dict[str, NDArray[Any]]) -> None:
    for name, labels in axes.items():
        attrs = {"units": _UNITS[name]} if name in _UNITS else {}
        dtype = "int32" if labels.dtype.kind == "i" else "float64"
        array = add_array(group, name, labels.shape, dtype, labels.shape, (name,), attrs)
        array[:] = labels


def add_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    chunks: tuple[int, ...],
    dims: tuple[str, ...],
    attrs: dict[str, Any],
    codec: BytesBytesCodec | None = None,
) -> zarr.Array[Any]:
    return group.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=chunks,
        compressors=codec or ZstdCodec(level=3),
        dimension_names=dims,
        attributes=attrs,
    )


def consolidate(path: Path) -> None:
    with warnings.catch_warnings():
        # Consolidated metadata is not in the v3 specification yet, and is what stores have.
        warnings.simplefilter("ignore", UserWarning)
        zarr.consolidate_metadata(path)


_WRITERS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    {
        ERA5: _write_era5,
        LONG: _write_long,
        WIDE: _write_wide,
        SMALL: _write_small,
        MAPS: _write_maps,
    }
)
