"""Dataset -> NetCDF-4 (HDF5) bytes, packed as the store packs it, equal to it when opened again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from app.encoders.netcdf_names import storable_attributes, storable_names
from app.encoders.netcdf_packing import Stored, is_number, read_fill
from app.encoders.netcdf_values import check_storable, store_values
from app.encoders.outline import Outline

if TYPE_CHECKING:
    import xarray as xr


def encode_netcdf(dataset: xr.Dataset) -> bytes:
    """The bytes of a NetCDF-4 file, made in memory; the dataset itself is not changed.

    What NetCDF-4 cannot hold is written as text or decoded (float16 as float32). Raises
    `NotAcceptable` for complex variables.
    """
    import xarray as xr

    names = storable_names([*dataset.variables, *dataset.dims])
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
    if isinstance(attrs.get("bounds"), str):
        # xarray takes from a bounds variable what it repeats of its parent, unless it is not named
        # as text; as bytes it is the same attribute in the file.
        attrs["bounds"] = attrs["bounds"].encode()
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
    taken = {"coordinates", *stored.attrs}
    fill = attrs.get("_FillValue")
    if fill is not None and not _can_fill(fill, stored.values.dtype):
        taken.add("_FillValue")
    return taken


def _can_fill(fill: Any, dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iuf" and is_number(fill) and read_fill(fill, dtype) is not None
