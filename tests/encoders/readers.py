"""NetCDF bytes as the three readers that people have see them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import netCDF4
import xarray as xr
from xarray.backends import NetCDF4DataStore


def by_both_engines(content: bytes, **options: Any) -> list[xr.Dataset]:
    """What xarray reads through h5netcdf and through the C library."""
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf", **options) as found:
        first = found.load()
    with in_c(content) as file:
        return [first, xr.open_dataset(NetCDF4DataStore(file), **options).load()]


@contextmanager
def in_c(content: bytes) -> Iterator[netCDF4.Dataset]:
    """The file in the C library's own Python interface, every value of it read."""
    with netCDF4.Dataset("memory", memory=content) as file:
        holders: list[Any] = [file, *file.variables.values()]
        for holder in holders:
            for name in holder.ncattrs():
                holder.getncattr(name)
        for variable in file.variables.values():
            variable[...]
        yield file
