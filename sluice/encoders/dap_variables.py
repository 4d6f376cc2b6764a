"""A dataset as the Data Access Protocol has it: names, types and attributes of its variables.

DAP 2.0 (NASA ESE-RFC-004.1.2) and DAP4 (OPENDAP/dap4-specification, volume 1). A variable's type is
that of the whole dataset, whatever part is asked for: clients ask for the declaration once, and
read all answers by it. So metadata decide on it, and of coordinates that are in memory their values.

DAP2 has neither int8 nor int64: they become Int16, and Int32 where all values are known to fit, else
Float64, which is exact up to 2**53. Numbers are as the store packs them, times as CF counts them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal, Self, TypeAlias

import numpy as np
import xarray as xr

from sluice.aliases import Array, Document, DType
from sluice.concurrency import heeding
from sluice.encoders.answer_schema import FileForm, VariableSchema, float_dtype
from sluice.encoders.jsonable import is_missing
from sluice.encoders.netcdf_attributes import coordinates_beside, described, storable_attributes
from sluice.encoders.netcdf_names import Distinct, FileNames, renamed_references
from sluice.encoders.netcdf_packing import form_of, in_form, store_values
from sluice.encoders.netcdf_times import counted_times

Version: TypeAlias = Literal[2, 4]

_TEXT: Final = np.dtype("O")
_INT32: Final = np.iinfo("i4")
# What DAP2 has no type for, and what holds it where nothing is known of the values.
_WIDENED: Final = {"i1": "i2", "i8": "f8", "u8": "f8"}
_TEXTS: Final = "SUOT"
_OTHER_LETTERS: Final = re.compile(r"[^A-Za-z0-9_]")
# Under which Hyrax tells the name that a variable has where it comes from.
_ORIGINAL: Final = "origname"
_UNSIGNED: Final = "_Unsigned"
_CODING: Final[Document] = {"_Encoding": "utf-8"}


@dataclass(frozen=True, slots=True, eq=False)
class DapVariable:
    """One variable: its name and dimensions in the dataset and in the protocol, its shape, and the
    type of its values (objects: texts), with all attributes.

    `form` is how the values come, before they are of this type. Those of a few coordinates are
    `held`: in no other way can a part of them be had in the type of the whole. Texts that are in
    memory have at most `longest` bytes.
    """

    name: Hashable
    stored: str
    dims: tuple[str, ...]
    own_dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    dtype: DType
    attrs: Document
    form: _Form
    held: Array | None = None
    longest: int | None = None

    @property
    def is_text(self) -> bool:
        """Whether values are texts, of which nobody knows the lengths before they are read."""
        return self.dtype == _TEXT

    def numbers(self, values: Array) -> Array:
        """Values as they come from the store, or decoded, in the variable's type."""
        if values.dtype == self.dtype and self.form.kind in "iuf":
            return values
        return self.form.numbers(values).astype(self.dtype, copy=False)

    def texts(self, values: Array) -> list[bytes]:
        """Values that are texts in UTF-8, in C order; missing ones are empty."""
        return [_text(item) for item in heeding(values.reshape(-1).tolist())]


def _text(item: object) -> bytes:
    match item:
        case bytes():
            return item.rstrip(b"\0")
        case str():
            return item.encode("utf-8", "replace")
        case _ if is_missing(item):
            return b""
        case _:
            return str(item).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Form:
    """How values come: numbers in the form of a file, or times in these units and calendar.

    Numbers of another sign than the store has count as `counted`.
    """

    kind: str
    file: FileForm
    counted: DType
    units: str = ""
    calendar: str | None = None

    def numbers(self, values: Array) -> Array:
        """The values as numbers, of a type that may not be the variable's."""
        if self.units:
            return counted_times(values, self.units, self.calendar)
        found = in_form(values, self.file)
        return found if found.dtype == self.counted else found.view(self.counted)


@dataclass(frozen=True, eq=False)
class DapDataset:
    """What is served of a dataset: its variables in their order, and the attributes of the whole.

    `by_name` finds a variable by its name in the protocol. Left out are complex numbers, and
    variables without a value.
    """

    title: str
    version: Version
    variables: tuple[DapVariable, ...]
    attrs: Document
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        title: str,
        version: Version,
        variables: Mapping[Hashable, VariableSchema],
        known: Mapping[Hashable, xr.Variable],
        coord_names: Collection[Hashable],
        attrs: Mapping[Hashable, object],
    ) -> Self:
        """The dataset with these whole `variables`, as the store has them where that can be; those
        that are `known` are in memory.
        """
        served = {name: v for name, v in variables.items() if _is_served(v)}
        names = FileNames(_names(served))
        coords = {name for name in coord_names if name in served}
        beside = coordinates_beside(served, coords, names)
        found: list[DapVariable] = []
        for name, variable in served.items():
            one = _variable(version, names, name, variable, known.get(name), beside.get(name, {}))
            found.append(one)
        own = storable_attributes(renamed_references(attrs, names), taken=("coordinates",))
        left_out = tuple([str(name) for name in variables if name not in served])
        title = _OTHER_LETTERS.sub("_", title)
        return cls(title, version, tuple(found), {**own, **beside.get(None, {})}, left_out)

    @cached_property
    def by_name(self) -> Mapping[str, DapVariable]:
        return {variable.stored: variable for variable in self.variables}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The length of each dimension, in the order of the variables."""
        return {
            dim: length
            for variable in self.variables
            for dim, length in zip(variable.dims, variable.shape, strict=True)
        }


def _is_served(variable: VariableSchema) -> bool:
    return variable.dtype.kind not in "cV" and 0 not in variable.shape


def _names(variables: Mapping[Hashable, VariableSchema]) -> dict[Hashable, str]:
    """Distinct names of plain letters; those that need no change come first in any clash."""
    dims = [dim for variable in variables.values() for dim in variable.dims]
    cleaned = {n: _OTHER_LETTERS.sub("_", str(n)) or "_" for n in (*variables, *dims)}
    distinct = Distinct()
    ranked = sorted(cleaned, key=lambda name: cleaned[name] != name)
    return {name: distinct.give(cleaned[name]) for name in ranked}


def _variable(
    version: Version,
    names: FileNames,
    name: Hashable,
    variable: VariableSchema,
    known: xr.Variable | None,
    beside: Mapping[str, str],
) -> DapVariable:
    form, values = _form(name, variable, known)
    dtype, attrs = _typed(version, form, values if values is not None else _in_memory(known, form))
    told = replace(form.file, dtype=dtype, attrs=attrs)
    # (No sign is needed any more, and a name that was another one is told.)
    own = {key: value for key, value in variable.attrs.items() if key != _UNSIGNED}
    made = described(names, name, _Undecoded(variable, own), told, beside)
    told_attrs = dict(made.attrs)
    if dtype == _TEXT and version == 2:
        told_attrs |= _CODING
    if names.stored[name] != name:
        told_attrs.setdefault(_ORIGINAL, str(name))
    dims = tuple([names.stored[dim] for dim in variable.dims])
    one = DapVariable(
        *(name, names.stored[name], dims, variable.dims, variable.shape, dtype, told_attrs, form),
        held=values,
    )
    if not one.is_text:
        return one
    return replace(one, longest=_longest(one, known, variable.dtype))


def _longest(variable: DapVariable, known: xr.Variable | None, dtype: DType) -> int | None:
    """The most bytes that one of its texts has, where that is known: by values, or by type."""
    if known is not None:
        return max(map(len, variable.texts(np.asarray(known.data))), default=0)
    # A letter of numpy's takes four bytes, in UTF-8 as well.
    return dtype.itemsize if dtype.kind in "SU" else None


class _Undecoded:
    """A variable with other attributes."""

    def __init__(self, variable: VariableSchema, attrs: Mapping[Hashable, object]) -> None:
        self.dims, self.shape, self.dtype = variable.dims, variable.shape, variable.dtype
        self.attrs = attrs
        self.encoding = variable.encoding


def _form(
    name: Hashable, variable: VariableSchema, known: xr.Variable | None
) -> tuple[_Form, Array | None]:
    """How the values of a variable come, and all of them where a part would be told otherwise."""
    dtype, encoding = variable.dtype, variable.encoding
    # (Its own name and rank are for errors of NetCDF, which has less than 32 dimensions.)
    file = form_of(str(name), dtype, 0, encoding)
    if file is not None and file.dtype.kind in "iuf":
        return _Form(file.dtype.kind, file, _counted(file)), None
    if dtype.kind == "f":
        held = FileForm(float_dtype(dtype))
        return _Form("f", held, held.dtype), None
    if dtype.kind in "Mm" or "since" in str(encoding.get("units", "")):
        if known is not None:
            values = store_values(np.asarray(known.data), encoding)
            return _Form("held", values.form, values.form.dtype), values.values
        return _times(dtype, encoding), None
    if dtype.kind == "O" and known is not None:
        values = store_values(np.asarray(known.data), encoding)
        if values.values.dtype.kind in "iuf":
            return _Form("held", values.form, values.form.dtype), values.values
    return _Form("text", FileForm(_TEXT), _TEXT), None


def _times(dtype: DType, encoding: Document) -> _Form:
    """Times that are still in the store and cannot be had as it packs them: as fractions."""
    numbers = np.dtype("f8")
    if dtype.kind == "m":
        file = FileForm(numbers, {"units": "seconds", "dtype": "timedelta64[ns]"})
        return _Form("times", file, numbers, "seconds")
    units, calendar = encoding.get("units"), encoding.get("calendar")
    if dtype.kind == "M" or not isinstance(units, str):
        units, calendar = "seconds since 1970-01-01", "proleptic_gregorian"
    calendar = calendar if isinstance(calendar, str) else "standard"
    file = FileForm(numbers, {"units": units, "calendar": calendar})
    return _Form("times", file, numbers, units, calendar)


def _counted(file: FileForm) -> DType:
    """What numbers count as, after the sign that their attributes tell."""
    match file.attrs.get(_UNSIGNED), file.dtype.kind:
        case "true", "i":
            return np.dtype(f"u{file.dtype.itemsize}")
        case "false", "u":
            return np.dtype(f"i{file.dtype.itemsize}")
        case _:
            return file.dtype.newbyteorder("=")


def _in_memory(known: xr.Variable | None, form: _Form) -> Array | None:
    """The values that decide on a type: whole numbers of 64 bits."""
    if known is None or form.counted.itemsize < 8 or form.counted.kind not in "iu":
        return None
    return form.numbers(np.asarray(known.data))


def _typed(version: Version, form: _Form, values: Array | None) -> tuple[DType, Document]:
    """The type of a variable, and the attributes that decode its values in this type."""
    counted, attrs = form.counted, dict(form.file.attrs)
    attrs.pop(_UNSIGNED, None)
    fills = {key: _as_counted(value, form) for key, value in attrs.items()}
    key = counted.str[1:]
    if attrs.get("dtype") == "bool":
        return np.dtype("u1"), fills
    if version == 4 or key not in _WIDENED:
        return counted, fills
    dtype = np.dtype(_WIDENED[key])
    if dtype.kind == "f" and values is not None:
        numbers = [v for v in fills.values() if isinstance(v, np.generic) and v.dtype == counted]
        if _fit(values) and all(_fit(np.asarray(number)) for number in numbers):
            dtype = np.dtype("i4")
    return dtype, {key: _retyped(value, counted, dtype) for key, value in fills.items()}


def _as_counted(value: object, form: _Form) -> object:
    """A fill value under the sign that counts."""
    if isinstance(value, np.generic) and value.dtype == form.file.dtype != form.counted:
        return np.asarray(value).view(form.counted)[()]
    return value


def _retyped(value: object, counted: DType, dtype: DType) -> object:
    is_own = isinstance(value, np.generic) and value.dtype == counted
    return dtype.type(value) if is_own else value


def _fit(values: Array) -> bool:
    """Whether all are 32 bits long; a few milliseconds for ten million."""
    if not values.size:
        return True
    least, most = int(values.min()), int(values.max())
    return _INT32.min <= least and most <= _INT32.max


@dataclass(frozen=True, slots=True)
class DapPart:
    """What is asked of a variable: positions along each of its dimensions."""

    variable: DapVariable
    ranges: tuple[range, ...]

    @classmethod
    def whole(cls, variable: DapVariable) -> DapPart:
        """All of it."""
        return cls(variable, tuple(map(range, variable.shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.ranges))

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def is_whole(self) -> bool:
        return all(r == range(n) for r, n in zip(self.ranges, self.variable.shape, strict=True))

    def values(self, answer: Mapping[Hashable, xr.Variable]) -> Array | None:
        """Its values as they come in an answer; None for those that are still to be read."""
        held, name = self.variable.held, self.variable.name
        if held is not None:
            return held[tuple([slice(r.start, r.stop, r.step) for r in self.ranges])]
        return np.asarray(answer[name].data) if name in answer else None
