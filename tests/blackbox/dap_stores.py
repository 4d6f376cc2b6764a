"""Stores that the tests of OPeNDAP read: of DAP2's own types, of others, and a large one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

SIZES = {"time": 6, "lat": 9, "lon": 20}
# Rows of these are larger than what is answered at once.
LARGE = (24, 180, 180)


def plain() -> xr.Dataset:
    """What DAP2 has a type for, packed and not, along axes that all clients know."""
    rng = np.random.default_rng(0)
    shape = tuple(SIZES.values())
    packed = rng.normal(0, 10, shape).round(2)
    packed[2, 3:5, 4:9] = np.nan
    ds = xr.Dataset(
        {
            "t": (tuple(SIZES), rng.normal(280, 10, shape).astype("f4"), {"units": "K"}),
            "packed": (tuple(SIZES), packed, {"long_name": "packed as int16"}),
            "flags": (
                ("lat", "lon"),
                rng.integers(0, 256, shape[1:]).astype("u1"),
                {"flag_values": np.array([0, 200], "u1"), "flag_meanings": "no yes"},
            ),
            "i2": ("lat", np.arange(9, dtype="i2") - 4),
            "u2": ("lat", (np.arange(9) + 65_000).astype("u2")),
            "i4": ("lon", np.arange(20, dtype="i4") - 10),
            "u4": ("lon", (np.arange(20) + 4_000_000_000).astype("u4")),
            "height": ((), 2.0),
            "lone_byte": ((), np.uint8(200)),
            "lone_short": ((), np.int16(-7)),
            "2m_temperature": (("lat", "lon"), rng.normal(size=shape[1:])),
        },
        coords={
            "time": np.datetime64("2024-01-01", "ns") + np.arange(6) * np.timedelta64(6, "h"),
            "lat": ("lat", np.linspace(80, -80, 9), {"units": "degrees_north"}),
            "lon": ("lon", np.arange(20, dtype="f4") * 18, {"units": "degrees_east"}),
            "area": (("lat", "lon"), rng.normal(size=shape[1:])),
        },
        attrs={"title": 'A "toy"', "number": 5, "list": [1.5, 2.5, 3.5]},
    )
    ds.packed.encoding = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 1.5}
    ds.packed.encoding["_FillValue"] = -999
    ds.time.encoding = {"units": "hours since 2000-01-01", "dtype": "i4"}
    ds.t.encoding = {"chunks": (2, 4, 7)}
    return ds


def others() -> xr.Dataset:
    """What DAP2 has no type for, or no name."""
    return xr.Dataset(
        {
            "i1": ("x", np.arange(-3, 4, dtype="i1")),
            "i8": ("x", np.arange(7) * 10**10),
            "u8": ("x", np.arange(7, dtype="u8")),
            "truth": ("x", np.arange(7) % 2 == 0),
            "half": ("x", np.arange(7, dtype="f2")),
            "text": ("x", np.array(["a", "bé", "", 'a "quote"', "x", "yy", "zzz"], object)),
            "lone_text": ((), "scalar"),
            "passed": ("x", np.arange(7) * np.timedelta64(1, "h").astype("m8[ns]")),
            "complex": ("x", np.arange(7) + 1j),
            "a b.c": ("x", np.arange(7.0)),
            "NC_GLOBAL": ("x", np.arange(7.0), {"units": "m"}),
            "empty": ("none", np.zeros(0)),
        },
        coords={"x": np.arange(7) * 3, "station": ("x", [f"s{n}" * 40 for n in range(7)])},
        attrs={'a;"b': 1, "a__b": 2, "{é": "é", "String": "a word of the protocol"},
    )


def dated() -> xr.Dataset:
    """Times that datetime64 has not."""
    times = xr.date_range("2000-02-28", periods=5, calendar="360_day", use_cftime=True)
    return xr.Dataset({"v": ("time", np.arange(5.0))}, coords={"time": times})


def large() -> xr.Dataset:
    """More than is answered at once, and a variable that has one dimension twice."""
    values = np.arange(np.prod(LARGE), dtype="f4").reshape(LARGE)
    return xr.Dataset(
        {
            "t": (("time", "y", "x"), values, {}, {"chunks": (5, 180, 180)}),
            "square": (("time", "time"), np.eye(LARGE[0])),
            "flags": ("flag", np.arange(7, dtype="u1")),
        },
        coords={"time": np.arange(LARGE[0])},
    )


def write_stores(folder: Path) -> dict[str, Path]:
    """All of them, by name."""
    made = {"plain": plain(), "others": others(), "dated": dated(), "large": large()}
    made["nothing_served"] = xr.Dataset({"complex": ("x", np.arange(7) + 1j)})
    for name, ds in made.items():
        ds.to_zarr(folder / f"{name}.zarr", zarr_format=2, consolidated=True)
    return {name: folder / f"{name}.zarr" for name in made}
