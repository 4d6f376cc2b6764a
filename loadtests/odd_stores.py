"""Small stores with what real ones have and nobody expects."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
import zarr


def odd() -> xr.Dataset:
    """Unsorted and doubled labels, texts, another calendar, 2-D latitudes, big-endian values."""
    time = xr.date_range("2001-02-27", periods=4, calendar="360_day", use_cftime=True)
    coords = {
        "time": time,
        "x": [3.0, 1.0, np.nan, 1.0],
        "place": ["B", "a/b", "c,d"],
        "lat": (("time", "place"), np.arange(12.0).reshape(4, 3)),
        "t": np.array([0, 6], "m8[h]").astype("m8[ns]"),
    }
    return xr.Dataset(
        {
            "a": (("time", "x", "place"), np.arange(48, dtype=">f4").reshape(4, 4, 3)),
            "s": ("place", ["x", "é", ""]),
            "c": (("x", "t"), np.full((4, 2), 1 + 2j)),
            "u": ("x", np.array([2**64 - 1, 0, 1, 2], ">u8")),
        },
        coords,
    )


def scalar() -> xr.Dataset:
    """No dimension at all, and attributes that NetCDF does not know."""
    attrs = {"nested": {"a": [1, None]}, "flag": True, "none": None}
    return xr.Dataset({"a": 5.0, "n": np.nan}, attrs=attrs)


def stations() -> xr.Dataset:
    """Axes of text and of another calendar that are longer than a piece of an answer."""
    days = xr.date_range("1950-01-01", periods=9000, calendar="noleap", use_cftime=True)
    sites = [f"site {number}" for number in range(9000)]
    return xr.Dataset(
        {
            "flow": ("day", np.arange(9000, dtype="f4")),
            "river": ("site", sites[::-1]),
            "code": ("band", np.array([b"S\xe3o", b"U+Nv", b"B"])),
        },
        {"day": days, "site": sites, "band": np.array([b"\xff", b"nir", b"red"])},
    )


def write_odd_stores(folder: Path) -> dict[str, Path]:
    """All of them in `folder`, by name."""
    made = {}
    for zarr_format, make in ((2, odd), (3, scalar), (2, stations)):
        made[make.__name__] = folder / f"{make.__name__}.zarr"
        with warnings.catch_warnings():
            # zarr and xarray warn about types that the specifications lack.
            warnings.simplefilter("ignore")
            make().to_zarr(made[make.__name__], mode="w", zarr_format=zarr_format)
    add_covariances(made["stations"])
    made["unusable"] = folder / "unusable.zarr"
    write_unusable(made["unusable"])
    return made


def write_unusable(store: Path) -> None:
    """One good variable among odd ones, and a coordinate that the good one lacks."""
    array = {
        "zarr_format": 2,
        "shape": [4],
        "chunks": [4],
        "dtype": "<f4",
        "compressor": None,
        "filters": None,
        "fill_value": None,
        "order": "C",
    }
    odd: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "good": ({}, {"coordinates": "step", "deep": "@deep"}),
        "step": ({}, {"units": "months since 2000-01-01", "_ARRAY_DIMENSIONS": ["step"]}),
        "unnamed": ({}, {"_ARRAY_DIMENSIONS": 5}),
        "codec": ({"compressor": {"id": "imagecodecs_lzw"}}, {}),
        "type": ({"dtype": "bfloat16"}, {}),
        "scale": ({"dtype": "<i2"}, {"scale_factor": "0.5"}),
        "longer": ({"shape": [5]}, {}),
        "line\nbreak\0": ({}, {}),
        "nothing": ({"shape": [0], "chunks": [0]}, {"_ARRAY_DIMENSIONS": ["none"]}),
    }
    metadata: dict[str, object] = {".zgroup": {"zarr_format": 2}, ".zattrs": {"deep": "@deep"}}
    for name, (members, attributes) in odd.items():
        metadata[f"{name}/.zarray"] = array | members
        metadata[f"{name}/.zattrs"] = {"_ARRAY_DIMENSIONS": ["step"]} | attributes
    text = json.dumps({"zarr_consolidated_format": 1, "metadata": metadata})
    store.mkdir(parents=True)
    # As a text: Python's own writer does not go so deep.
    (store / ".zmetadata").write_text(text.replace('"@deep"', "[" * 800 + "]" * 800))
    (store / "good").mkdir()
    (store / "good" / "0").write_bytes(np.arange(4, dtype="<f4").tobytes())


def add_covariances(store: Path) -> None:
    """A variable that has one dimension twice, which xarray does not write."""
    group = zarr.open_group(store, mode="a")
    array = group.create_array("cov", shape=(3, 3), chunks=(2, 2), dtype="f8")
    array[...] = np.arange(9.0).reshape(3, 3)
    array.attrs["_ARRAY_DIMENSIONS"] = ["band", "band"]
    zarr.consolidate_metadata(store)
