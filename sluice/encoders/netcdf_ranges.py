"""Attributes that are values of a variable, in the type that it has in the file.

CF conventions 2.5.1 (valid range) and 3.5 (flags); NetCDF User's Guide, "Attribute
Conventions", for what they mean beside packing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.encoders.netcdf_attributes import storable_value
from sluice.encoders.netcdf_packing import Stored
from sluice.stored_form import LINEAR, is_number

# How many numbers each has (old netCDF4 for Python fails on others): readers blank what is outside.
_COUNTS: Final = MappingProxyType({"valid_min": 1, "valid_max": 1, "valid_range": 2})
RANGES: Final = frozenset(_COUNTS)
_OF_VALUES: Final = (*sorted(RANGES), "flag_masks", "flag_values")


def in_type_of(stored: Stored, attrs: Mapping[Any, Any], encoding: Document) -> dict[str, Array]:
    """Those of a variable's `attrs` that are values of it, as 1-D arrays of its stored type.

    Those that the type does not hold are left out. Whole numbers are packed values, fractions
    unpacked ones: where `encoding` packs and `stored` does not, ranges are unpacked.
    """
    typed: dict[str, Array] = {}
    for name in _OF_VALUES:
        items = _numbers(attrs.get(name))
        if items is None:
            continue
        match stored.values.dtype.kind:
            case "i" | "u":
                numbers = _integers(name, items, stored, attrs)
            case "f" if name != "flag_masks":
                unpacks = name in RANGES and not _packs(stored.attrs)
                unpacked = _unpacked(items, encoding) if unpacks else items
                numbers = _floats(unpacked, stored.values.dtype)
            case _:
                numbers = None
        if numbers is not None:
            typed[name] = numbers
    return typed


def unreadable_ranges(stored: Stored, attrs: Mapping[Any, Any], typed: Document) -> set[str]:
    """Ranges among `attrs` that stop readers, or have them blank what is valid.

    Text beside numbers, or other than one or two numbers, are no range. Numbers that are not in
    `typed`, because a type does not hold them, are in another one, but not beside single bytes:
    RNetCDF, which looks at ranges of these alone, reads them as bytes, and fails if they are none.
    """
    dtype = stored.values.dtype
    if dtype.kind not in "iuf":
        return set()
    unreadable: set[str] = set()
    for name in RANGES.intersection(attrs):
        items = _numbers(attrs[name])
        # Whole numbers of more than 64 bits are written as text.
        wider = dtype.itemsize > 1 and not isinstance(storable_value(attrs[name]), str)
        if items is None or len(items) != _COUNTS[name] or not (name in typed or wider):
            unreadable.add(name)
    return unreadable


def is_recounted(stored: Stored, encoding: Document) -> bool:
    """Whether these are times that count from elsewhere, or in another unit, than in the store."""
    return "units" in stored.attrs and stored.attrs["units"] != encoding.get("units")


def _numbers(value: Any) -> list[int | float] | None:
    """The numbers of an attribute, if it is one or a list of them."""
    plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    items = list(plain) if isinstance(plain, list | tuple) else [plain]
    return items if items and all(type(item) in (int, float) for item in items) else None


def _integers(
    name: str, items: list[int | float], stored: Stored, attrs: Mapping[Any, Any]
) -> Array | None:
    packs = _packs(stored.attrs) or _packs(attrs)
    if any(type(item) is float and (packs or not item.is_integer()) for item in items):
        return None
    dtype = stored.values.dtype
    kinds = [dtype.kind]
    if name == "flag_masks":
        # Bits, whatever their number.
        kinds.append("u")
    match stored.attrs.get("_Unsigned", attrs.get("_Unsigned")):
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


def _packs(attrs: Mapping[Any, Any]) -> bool:
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
