"""What h5py 2 and netCDF4 1 read of a file, as JSON; runs on Python 3.7."""

from __future__ import annotations

import json
import sys
from typing import Any

import h5py
import netCDF4
import numpy as np


def plain(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return ""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.ma.MaskedArray):
        return plain(value.filled(np.nan) if value.dtype.kind == "f" else value.tolist())
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def by_h5py(path: str) -> dict[str, Any]:
    found = {}
    with h5py.File(path, "r") as file:
        for name, held in [("", file), *file.items()]:
            # Every one is read, those of the format's own too.
            attrs = {key: held.attrs[key] for key in held.attrs}
            hidden = ("CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST")
            attrs = {k: v for k, v in attrs.items() if k[0] != "_" and k not in hidden}
            values = None if name == "" else plain(held[()])
            found[name] = {"values": values, "attrs": {k: plain(v) for k, v in attrs.items()}}
    return found


def by_netcdf4(path: str) -> dict[str, Any]:
    found = {}
    with netCDF4.Dataset(path) as file:
        every: list[tuple[str, Any]] = [("", file), *file.variables.items()]
        for name, held in every:
            attrs = {key: plain(held.getncattr(key)) for key in held.ncattrs() if key[0] != "_"}
            found[name] = {"values": None if name == "" else plain(held[...]), "attrs": attrs}
    return found


json.dump({"h5py": by_h5py(sys.argv[1]), "netCDF4": by_netcdf4(sys.argv[1])}, sys.stdout)
