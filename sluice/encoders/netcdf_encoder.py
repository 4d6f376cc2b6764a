"""Dataset -> NetCDF-4 (HDF5) bytes, packed as the store packs it, equal to it when opened again."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sluice.aliases import DType
from sluice.encoders.json_encoder import Written
from sluice.encoders.netcdf_attributes import (
    RANGES,
    Stored,
    in_type_of,
    is_recounted,
    json_text,
    storable_attributes,
    unreadable_ranges,
)
from sluice.encoders.netcdf_file import NetcdfVariable, write_netcdf
from sluice.encoders.netcdf_names import FileNames, renamed_references
from sluice.encoders.netcdf_packing import as_stored, check_storable, store_values
from sluice.encoders.result_schema import Outline, check_distinct_dimensions
from sluice.stored_form import AS_STORED, FILLS, is_number, read_fill

if TYPE_CHECKING:
    import xarray as xr

_PACKING = frozenset(("_FillValue", "_Unsigned", "add_offset", "missing_value", "scale_factor"))


# The data model has dimensions twice; readers of it, xarray among them, lose one of the two.
_NAME: Final = "NetCDF as it is written here"
# Copied in a fraction of a millisecond, compressed in a few.
_PIECE_BYTES: Final = 2**18


def encode_netcdf(
    dataset: xr.Dataset, written: Written | None = None, form: Hashable = None
) -> bytes:
    """The bytes of `netcdf_pieces` in one piece."""
    return b"".join(netcdf_pieces(dataset, written))


def netcdf_pieces(
    dataset: xr.Dataset, written: Written | None = None, form: Hashable = None
) -> Iterator[memoryview]:
    """The bytes of a NetCDF-4 file; the dataset itself is not changed.

    Names that NetCDF-4 does not have become those that they are in all files of the dataset that
    `written` belongs to, without one in those of `dataset`, and so do attributes that name them.

    Nothing comes after each variable that is packed, and then the file in its pieces. What NetCDF-4
    cannot hold is written as text or decoded (float16 as float32). Raises
    `NotAcceptable` for complex variables, and for those that have a dimension twice.
    """
    variables = dataset.variables
    check_distinct_dimensions(variables, dataset.coords, _NAME)
    names = (written or Written(dataset)).names(dataset)
    beside = _coordinates(dataset, names)
    stored = []
    for name in (*dataset.data_vars, *dataset.coords):
        stored.append(_stored_variable(names, name, variables[name], beside.get(name, {})))
        yield memoryview(b"")
    own = renamed_references(dataset.attrs, names)
    attrs = storable_attributes(own, taken=("coordinates", "_FillValue"))
    for part in write_netcdf(stored, {**attrs, **beside.get(None, {})}):
        for start in range(0, len(part), _PIECE_BYTES):
            yield part[start : start + _PIECE_BYTES]


def check_netcdf(outline: Outline) -> None:
    """Raises `NotAcceptable` for an answer with variables that the file cannot hold."""
    check_distinct_dimensions(outline.variables, outline.coord_names, _NAME)
    for name, variable in outline.variables.items():
        check_storable(str(name), variable.dtype, len(variable.dims))


def netcdf_bytes(outline: Outline) -> int:
    """What an answer counts for as NetCDF, in bytes: its size in memory, with its attributes."""
    return outline.result_bytes + outline.attribute_bytes


def _coordinates(dataset: xr.Dataset, names: FileNames) -> dict[Any, dict[str, str]]:
    """The attribute that names a variable's coordinates other than those of its dimensions (CF 5).

    Under ``None``, for the file, are those that no variable can name: how xarray finds them.
    """
    listed = {name: set(dataset.variables[name].dims) for name in dataset.coords}
    for dim in dataset.dims:
        listed.pop(dim, None)
    beside: dict[Any, dict[str, str]] = {}
    alone = set(listed)
    for name, variable in dataset.variables.items():
        if name in listed or name in variable.dims:
            continue
        own = {coord for coord, dims in listed.items() if dims.issubset(variable.dims)}
        alone -= own
        if own:
            beside[name] = {"coordinates": " ".join(sorted(names.stored[coord] for coord in own))}
    if alone:
        beside[None] = {"coordinates": " ".join(sorted(names.stored[coord] for coord in alone))}
    return beside


def _stored_variable(
    names: FileNames, name: Any, variable: xr.Variable, beside: dict[str, str]
) -> NetcdfVariable:
    values, decoding = np.asarray(variable.data), variable.encoding.get(AS_STORED)
    if decoding is None:
        stored = store_values(str(name), values, variable.encoding)
    else:
        stored = as_stored(values, decoding)
    typed = in_type_of(stored, variable.attrs, variable.encoding)
    taken = _taken(variable.attrs, stored) | unreadable_ranges(stored, variable.attrs, typed)
    if is_recounted(stored, variable.encoding):
        taken |= RANGES
    for fill in FILLS:
        if fill in variable.attrs and fill not in taken:
            typed[fill] = read_fill(variable.attrs[fill], stored.values.dtype)
    # That no time is missing needs no word: a file says NaT by a number, where it has one.
    own = renamed_references(variable.attrs, names)
    told = {n: v for n, v in own.items() if not (n in FILLS and _is_nat(v))}
    attrs = storable_attributes({**told, **typed}, taken)
    if "bounds" in attrs and not isinstance(attrs["bounds"], str):
        # xarray looks for a variable of this name, which a list cannot be.
        attrs["bounds"] = json_text(attrs["bounds"])
    dims, values = tuple(names.stored[dim] for dim in variable.dims), stored.values
    if values.dtype.kind == "S":
        dims += (_characters(names, name),)
        values = np.ndarray((*values.shape, values.dtype.itemsize), "S1", values.tobytes())
    meaning = {} if stored.meaning.keys() & attrs.keys() else stored.meaning
    told_of_values = {**stored.attrs, **meaning}
    return NetcdfVariable(names.stored[name], dims, values, {**attrs, **told_of_values, **beside})


def _is_nat(value: Any) -> bool:
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def _characters(names: FileNames, name: Any) -> str:
    """A dimension of its own for the bytes of a variable."""
    dim = f"{names.stored[name]}_characters"
    while dim in names.stored.values():
        dim += "_"
    return dim


def _taken(attrs: Mapping[Any, Any], stored: Stored) -> set[str]:
    """Names that mean something to a reader, and that a variable's own attribute cannot have."""
    taken = {"coordinates", "_Encoding", *stored.attrs}
    # A store that was opened undecoded keeps the packing of its numbers among its attributes.
    raw = not stored.attrs and stored.values.dtype.kind in "iuf"
    for name in _PACKING.intersection(attrs):
        if not (raw and _unpacks(name, attrs[name], stored.values.dtype)):
            taken.add(name)
    return taken


def _unpacks(name: str, value: Any, dtype: DType) -> bool:
    """Whether a reader can decode numbers of `dtype` by a packing attribute of this value."""
    match name:
        case "scale_factor" | "add_offset":
            return is_number(value)
        case "_FillValue" | "missing_value":
            return is_number(value) and read_fill(value, dtype) is not None
        case _:
            return dtype.kind in "iu" and isinstance(value, str) and value in ("true", "false")
