"""What a NetCDF file says of its variables: types, attributes, and the coordinates of each."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Final

import numpy as np

from sluice.aliases import DType
from sluice.encoders.answer_schema import FILLS, VariableSchema, is_number, read_fill
from sluice.encoders.netcdf_attributes import (
    RANGES,
    FileForm,
    as_text,
    in_type_of,
    is_recounted,
    storable_attributes,
    unreadable_ranges,
)
from sluice.encoders.netcdf_file import NetcdfVariable
from sluice.encoders.netcdf_names import FileNames, renamed_references

_PACKING: Final = frozenset(
    ("_FillValue", "_Unsigned", "add_offset", "missing_value", "scale_factor")
)


def coordinates_beside(
    variables: Mapping[Hashable, VariableSchema],
    coord_names: Collection[Hashable],
    names: FileNames,
) -> dict[Hashable | None, dict[str, str]]:
    """The attribute that names a variable's coordinates other than those of its dimensions (CF 5).

    Under ``None``, for the file, are those that no variable can name: how xarray finds them.
    """
    listed = {name: set(variables[name].dims) for name in variables if name in coord_names}
    for variable in variables.values():
        for dim in variable.dims:
            listed.pop(dim, None)
    beside: dict[Hashable | None, dict[str, str]] = {}
    alone = set(listed)
    for name, variable in variables.items():
        if name in listed or name in variable.dims:
            continue
        own = {coord for coord, dims in listed.items() if dims.issubset(variable.dims)}
        alone -= own
        if own:
            beside[name] = {"coordinates": " ".join(sorted(names.stored[coord] for coord in own))}
    if alone:
        beside[None] = {"coordinates": " ".join(sorted(names.stored[coord] for coord in alone))}
    return beside


def described(
    names: FileNames,
    name: Hashable,
    variable: VariableSchema,
    form: FileForm,
    beside: Mapping[str, str],
) -> NetcdfVariable:
    """A variable as the file has it, which has its values in this form."""
    typed = in_type_of(form, variable.attrs, variable.encoding)
    taken = _taken(variable.attrs, form) | unreadable_ranges(form, variable.attrs, typed)
    if is_recounted(form, variable.encoding):
        taken |= RANGES
    for fill in FILLS:
        if fill in variable.attrs and fill not in taken:
            typed[fill] = read_fill(variable.attrs[fill], form.dtype)
    # That no time is missing needs no word: a file says NaT by a number, where it has one.
    own = renamed_references(variable.attrs, names)
    told = {n: v for n, v in own.items() if not (n in FILLS and _is_nat(v))}
    attrs = storable_attributes(told | typed, taken)
    if "bounds" in attrs and not isinstance(attrs["bounds"], str):
        # xarray looks for a variable of this name, which a list cannot be.
        attrs["bounds"] = as_text(attrs["bounds"])
    meaning = {} if form.meaning.keys() & attrs.keys() else form.meaning
    attrs = {**attrs, **form.attrs, **meaning, **beside}
    dims, shape = tuple(names.stored[dim] for dim in variable.dims), variable.shape
    if form.dtype.kind != "S":
        return NetcdfVariable(names.stored[name], dims, shape, form.dtype, attrs)
    dims, shape = (*dims, _characters(names, name)), (*shape, form.dtype.itemsize)
    return NetcdfVariable(names.stored[name], dims, shape, np.dtype("S1"), attrs)


def _is_nat(value: object) -> bool:
    return isinstance(value, np.datetime64 | np.timedelta64) and bool(np.isnat(value))


def _characters(names: FileNames, name: Hashable) -> str:
    """A dimension of its own for the bytes of a variable."""
    dim = f"{names.stored[name]}_characters"
    while dim in names.stored.values():
        dim += "_"
    return dim


def _taken(attrs: Mapping[Hashable, object], form: FileForm) -> set[str]:
    """Names that mean something to a reader, and that a variable's own attribute cannot have."""
    taken = {"coordinates", "_Encoding", *form.attrs}
    # A store that was opened undecoded keeps the packing of its numbers among its attributes.
    raw = not form.attrs and form.dtype.kind in "iuf"
    for name in _PACKING.intersection(attrs):
        if not (raw and _unpacks(name, attrs[name], form.dtype)):
            taken.add(name)
    return taken


def _unpacks(name: str, value: object, dtype: DType) -> bool:
    """Whether a reader can decode numbers of `dtype` by a packing attribute of this value."""
    match name:
        case "scale_factor" | "add_offset":
            return is_number(value)
        case "_FillValue" | "missing_value":
            return is_number(value) and read_fill(value, dtype) is not None
        case _:
            return dtype.kind in "iu" and isinstance(value, str) and value in ("true", "false")
