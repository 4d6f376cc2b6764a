"""The attributes of variables in a NetCDF file, and which coordinates each variable names.

Values that a file cannot hold become text, never an error. Attributes that are values of a variable
have the type of the variable in the file: CF conventions 2.5.1 (valid range) and 3.5 (flags);
NetCDF User's Guide, "Attribute Conventions", for what they mean for packed values.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Hashable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.encoders.answer_schema import (
    FILLS,
    LINEAR,
    FileForm,
    VariableSchema,
    file_fill,
    is_number,
    read_fill,
)
from sluice.encoders.hdf5 import ATTRIBUTE_BYTES
from sluice.encoders.jsonable import is_missing, json_text, to_jsonable
from sluice.encoders.netcdf_file import NetcdfVariable
from sluice.encoders.netcdf_names import (
    RESERVED,
    Distinct,
    FileNames,
    renamed_references,
    storable_name,
)
from sluice.labels import without_surrogates

# Of an attribute whose name begins so, the C library wants one number: it refuses a file with text
# there, and overflows a buffer with several numbers.
_QUANTIZED: Final = "_Quantize"
_INT32: Final = range(-(2**31), 2**31)
_INT64: Final = range(-(2**63), 2**63)


def storable_attributes(
    attrs: Mapping[Hashable, object], taken: Iterable[str] = ()
) -> dict[str, object]:
    """Attributes that any NetCDF reader accepts, renamed where a name is reserved or `taken`."""
    refused = RESERVED.union(taken)
    kept = {name for name in attrs if isinstance(name, str) and storable_name(name) == name}
    distinct = Distinct(refused | kept)
    stored: dict[str, object] = {}
    for name, value in attrs.items():
        key = storable_name(str(name))
        written = storable_value(value)
        if key.startswith(_QUANTIZED) and not isinstance(written, np.number):
            key = f"_{key}"
        stored[key if key == name and key not in refused else distinct.give(key)] = written
    return stored


def storable_value(value: object) -> object:
    """Text, a number or a 1-D list of either (below 64 KiB) as it is; else JSON text."""
    match value:
        case bool() | np.bool_() | None:
            return as_text(value)
        case str():
            return storable_text(value)
        case int() if value in _INT64:
            return _whole(np.asarray(value))[()]
        case np.timedelta64():  # which is one of NumPy's integers
            return as_text(None) if is_missing(value) else storable_text(str(to_jsonable(value)))
        case float() | np.integer() | np.floating():
            return _numbers(np.asarray(value))[()]
        case list() | tuple() if value:
            return _list(value)
        case np.ndarray() if value.ndim <= 1 and value.size:
            return _array(value)
        case _:
            written = to_jsonable(value)
            return storable_text(written) if isinstance(written, str) else as_text(written)


def storable_text(value: str) -> str:
    """The text without what a C string cannot hold."""
    held = value if value.isascii() else without_surrogates(value)
    return held.replace("\0", "\ufffd")


def _list(items: Sequence[object]) -> object:
    if all(isinstance(item, str) for item in items) and 16 * len(items) <= ATTRIBUTE_BYTES:
        return [storable_text(str(item)) for item in items]
    plain = {type(item) for item in items} <= {int, float}
    if (plain or all(map(_is_number, items))) and _fit_int64(items):
        numbers = np.array(items)
        return _array(_whole(numbers) if plain else numbers)
    return as_text(items)


def _is_number(item: object) -> bool:
    """Whether an item of a list is a real number, of Python or of NumPy."""
    if isinstance(item, bool | np.timedelta64):
        return False
    return isinstance(item, int | float | np.integer | np.floating)


def _fit_int64(items: Sequence[object]) -> bool:
    whole = [item for item in items if isinstance(item, int)]
    return not whole or (min(whole) in _INT64 and max(whole) in _INT64)


def _whole(values: Array) -> Array:
    """Integers of Python as int32 if they fit, which all readers know; else as int64."""
    # (As Python's own: NumPy's integers are looked for in a range one by one.)
    ends = (int(values.min()), int(values.max())) if values.dtype.kind == "i" else ()
    fit = bool(ends) and all(end in _INT32 for end in ends)
    return values.astype("i4") if fit else values


def _array(values: Array) -> object:
    if values.dtype.kind not in "iuf":
        return storable_value(values.tolist())
    numbers = _numbers(values)
    return numbers[()] if numbers.nbytes <= ATTRIBUTE_BYTES else as_text(values)


def _numbers(values: Array) -> Array:
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype("f4" if values.dtype.itemsize == 2 else "f8")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def as_text(value: object) -> str:
    """Any value as JSON text."""
    return json_text(to_jsonable(value)).decode()


# Readers mask values outside of these; how many numbers each has (old netCDF4 fails on others).
_COUNTS: Final = MappingProxyType({"valid_min": 1, "valid_max": 1, "valid_range": 2})
RANGES: Final = frozenset(_COUNTS)
_OF_VALUES: Final = (*sorted(RANGES), "flag_masks", "flag_values")


def in_type_of(
    form: FileForm, attrs: Mapping[Hashable, object], encoding: Document
) -> dict[str, Array]:
    """Those of a variable's `attrs` that are values of it, as 1-D arrays of its stored type.

    Those that the type does not hold are left out. Whole numbers are packed values, fractions
    unpacked ones: where `encoding` packs and `form` does not, ranges are unpacked.
    """
    typed: dict[str, Array] = {}
    for name in _OF_VALUES:
        items = _read_numbers(attrs.get(name))
        if items is None:
            continue
        match form.dtype.kind:
            case "i" | "u":
                numbers = _integers(name, items, form, attrs)
            case "f" if name != "flag_masks":
                unpacks = name in RANGES and not _packs(form.attrs)
                unpacked = _unpacked(items, encoding) if unpacks else items
                numbers = _floats(unpacked, form.dtype)
            case _:
                numbers = None
        if numbers is not None:
            typed[name] = numbers
    return typed


def unreadable_ranges(
    form: FileForm, attrs: Mapping[Hashable, object], typed: Mapping[str, Array]
) -> set[str]:
    """Ranges among `attrs` with which readers fail, or mask values that are valid.

    Text beside numbers, or other than one or two numbers, are no range. Numbers that are not in
    `typed`, because a type does not hold them, are in another one, but not beside single bytes:
    RNetCDF, which looks at ranges of these alone, reads them as bytes, and fails if they are none.
    """
    dtype = form.dtype
    if dtype.kind not in "iuf":
        return set()
    unreadable: set[str] = set()
    for name in RANGES.intersection(attrs):
        items = _read_numbers(attrs[name])
        # Whole numbers of more than 64 bits are written as text.
        wider = dtype.itemsize > 1 and not isinstance(storable_value(attrs[name]), str)
        if items is None or len(items) != _COUNTS[name] or not (name in typed or wider):
            unreadable.add(name)
    return unreadable


def is_recounted(form: FileForm, encoding: Document) -> bool:
    """Whether these are times that are counted in other units than in the store."""
    return "units" in form.attrs and form.attrs["units"] != encoding.get("units")


def _read_numbers(value: object) -> list[int | float] | None:
    """The numbers of an attribute, if it is one or a list of them."""
    numbers = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    items = list(numbers) if isinstance(numbers, list | tuple) else [numbers]
    items = [item.item() if isinstance(item, np.generic) else item for item in items]
    found = [item for item in items if type(item) is int or type(item) is float]
    return found if found and len(found) == len(items) else None


def _integers(
    name: str, items: list[int | float], form: FileForm, attrs: Mapping[Hashable, object]
) -> Array | None:
    packs = _packs(form.attrs) or _packs(attrs)
    if any(type(item) is float and (packs or not item.is_integer()) for item in items):
        return None
    dtype = form.dtype
    kinds = [dtype.kind]
    if name == "flag_masks":
        # Masks are bits: their sign does not matter.
        kinds.append("u")
    match form.attrs.get("_Unsigned", attrs.get("_Unsigned")):
        case "true":
            kinds.append("u")
        case "false":
            kinds.append("i")
    whole = [int(item) for item in items]
    for kind in kinds:
        counted = np.dtype(f"{kind}{dtype.itemsize}")
        limits = np.iinfo(counted)
        if limits.min <= min(whole) and max(whole) <= limits.max:
            return np.array(whole, counted).view(dtype.newbyteorder("="))
    return None


def _packs(attrs: Container[object]) -> bool:
    return any(key in attrs for key in LINEAR)


def _unpacked(items: list[int | float], encoding: Document) -> list[int | float]:
    linear = {key: encoding[key] for key in LINEAR if is_number(encoding.get(key))}
    if not linear or any(type(item) is float for item in items):
        return items
    scale, offset = linear.get("scale_factor", 1), linear.get("add_offset", 0)
    numbers = np.array(items, "f8") * np.ravel(scale)[0] + np.ravel(offset)[0]
    return [float(number) for number in numbers]


def _floats(items: list[int | float], dtype: DType) -> Array | None:
    try:
        numbers = np.array(items, "f8")
    except OverflowError:
        return None
    with np.errstate(over="ignore"):
        typed = numbers.astype(dtype.newbyteorder("="))
    return typed if (np.isinf(typed) == np.isinf(numbers)).all() else None


_PACKING: Final = frozenset(
    ("_FillValue", "_Unsigned", "add_offset", "missing_value", "scale_factor")
)


def coordinates_beside(
    variables: Mapping[Hashable, VariableSchema],
    coord_names: Collection[Hashable],
    names: FileNames,
) -> dict[Hashable | None, dict[str, str]]:
    """The attribute ``coordinates`` of each variable, which names its auxiliary coordinates (CF 5).

    Under ``None`` is that of the file, for coordinates that no variable can name: xarray reads it.
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
    """A variable of the file, whose values have this form; `beside` are its ``coordinates``."""
    typed = in_type_of(form, variable.attrs, variable.encoding)
    taken = _taken(variable.attrs, form) | unreadable_ranges(form, variable.attrs, typed)
    if is_recounted(form, variable.encoding):
        taken |= RANGES
    for fill in FILLS:
        if fill in variable.attrs and fill not in taken:
            typed[fill] = file_fill(fill, variable.attrs, form.dtype)
    # (NaT as a fill value says nothing: times in a file are numbers, and have one of these.)
    own = renamed_references(variable.attrs, names)
    told = {n: v for n, v in own.items() if not (n in FILLS and _is_nat(v))}
    attrs = storable_attributes(told | typed, taken)
    if "bounds" in attrs and not isinstance(attrs["bounds"], str):
        # xarray takes its value for the name of a variable, and fails with a list.
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
    """The name of a dimension for the bytes of a variable's texts."""
    dim = f"{names.stored[name]}_characters"
    while dim in names.stored.values():
        dim += "_"
    return dim


def _taken(attrs: Mapping[Hashable, object], form: FileForm) -> set[str]:
    """Names by which readers decode: a variable's own attribute of such a name is renamed."""
    taken = {"coordinates", "_Encoding", *form.attrs}
    # In a dataset that was opened undecoded, packing is among a variable's own attributes.
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
