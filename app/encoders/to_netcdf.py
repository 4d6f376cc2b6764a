"""Dataset -> NetCDF-4 (HDF5) bytes, packed as the store packs it, equal to it when opened again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from app.encoders.netcdf_names import json_text, storable_attributes, storable_names
from app.encoders.netcdf_packing import Stored, is_number, read_fill
from app.encoders.netcdf_values import check_storable, store_values
from app.encoders.outline import Outline

if TYPE_CHECKING:
    import xarray as xr

_PACKING = frozenset(("_FillValue", "_Unsigned", "add_offset", "missing_value", "scale_factor"))


def encode_netcdf(dataset: xr.Dataset) -> bytes:
    """The bytes of a NetCDF-4 file, made in memory; the dataset itself is not changed.

    What NetCDF-4 cannot hold is written as text or decoded (float16 as float32). Raises
    `NotAcceptable` for complex variables.
    """
    import xarray as xr

    listed = {name for name in dataset.coords if dataset.variables[name].dims != (name,)}
    names = storable_names([*dataset.variables, *dataset.dims], listed)
    variables = {
        names[name]: _stored_variable(names, str(name), variable)
        for name, variable in dataset.variables.items()
    }
    coords = {names[name]: variables.pop(names[name]) for name in dataset.coords}
    # Without indexes: nothing is looked up in what is only written.
    stored = xr.Dataset(
        variables,
        coords=xr.Coordinates(coords, indexes={}),
        attrs=storable_attributes(dataset.attrs, taken=("coordinates",)),
    )
    return bytes(stored.to_netcdf(engine="h5netcdf", format="NETCDF4"))


def check_netcdf(outline: Outline) -> None:
    """Raises `NotAcceptable` for an answer with complex variables."""
    for name, variable in outline.variables.items():
        check_storable(str(name), variable.dtype)


def netcdf_bytes(outline: Outline) -> int:
    """What an answer counts for as NetCDF, in bytes: its size in memory."""
    return outline.result_bytes


def _stored_variable(names: dict[Any, str], name: str, variable: xr.Variable) -> xr.Variable:
    import xarray as xr

    stored = store_values(name, np.asarray(variable.data), variable.encoding)
    attrs = storable_attributes(variable.attrs, taken=_taken(variable.attrs, stored))
    if "bounds" in attrs:
        # xarray takes from a bounds variable what it repeats of its parent, unless it is not named
        # as text; as bytes it is the same attribute in the file.
        bounds = attrs["bounds"]
        attrs["bounds"] = (bounds if isinstance(bounds, str) else json_text(bounds)).encode()
    encoding: dict[str, Any] = {}
    match stored.values.dtype.kind:
        case "O":
            encoding["dtype"] = str
        case "S":
            encoding["char_dim_name"] = f"{names.get(name, name)}_characters"
        case "f" if "_FillValue" not in (stored.attrs | attrs):
            # xarray would add NaN, which the store does not have.
            encoding["_FillValue"] = None
    dims = [names[dim] for dim in variable.dims]
    return xr.Variable(dims, stored.values, {**attrs, **stored.attrs}, encoding)


def _taken(attrs: Mapping[Any, Any], stored: Stored) -> set[str]:
    """Names that mean something to a reader, and that a variable's own attribute cannot have."""
    taken = {"coordinates", "_Encoding", *stored.attrs}
    # A store that was opened undecoded keeps the packing of its numbers among its attributes.
    raw = not stored.attrs and stored.values.dtype.kind in "iuf"
    for name in _PACKING.intersection(attrs):
        if not (raw and _unpacks(name, attrs[name], stored.values.dtype)):
            taken.add(name)
    return taken


def _unpacks(name: str, value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a reader can decode numbers of `dtype` by a packing attribute of this value."""
    match name:
        case "scale_factor" | "add_offset":
            return is_number(value)
        case "_FillValue" | "missing_value":
            return is_number(value) and read_fill(value, dtype) is not None
        case _:
            return dtype.kind in "iu" and isinstance(value, str) and value in ("true", "false")
