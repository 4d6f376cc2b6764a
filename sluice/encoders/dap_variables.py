"""A dataset as the Data Access Protocol has it: names, types and attributes of its variables.

DAP 2.0 (NASA ESE-RFC-004.1.2) and DAP4 (OPENDAP/dap4-specification, volume 1). A variable's type is
that of the whole dataset, whatever part is asked for: clients ask for the declaration once, and
read all answers by it. So metadata decide on it, and of coordinates in memory their values.

Numbers are as the store packs them, times as CF counts them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Self

import numpy as np
import xarray as xr

from sluice.aliases import Array, Document, DType
from sluice.concurrency import until_cancelled
from sluice.encoders.answer_schema import VariableSchema
from sluice.encoders.dap_types import (
    TEXT,
    UNSIGNED,
    DapForm,
    Version,
    dap_form,
    dap_type,
    deciding_values,
)
from sluice.encoders.jsonable import is_missing
from sluice.encoders.netcdf_attributes import coordinates_beside, described, storable_attributes
from sluice.encoders.netcdf_names import Distinct, FileNames, renamed_references
from sluice.labels import format_bytes, format_text

_OTHER_LETTERS: Final = re.compile(r"[^A-Za-z0-9_]")
_NO_ATTRIBUTE: Final = re.compile(r"[^A-Za-z0-9_.+-]")
# So the attributes of the dataset itself are called; netCDF-C ends where a variable is, too.
_OF_DATASET: Final = "NC_GLOBAL"
# Under which Hyrax tells the name that a variable has where it comes from. A dimension without a
# variable has no attributes: of one the dataset tells it, behind this and its name here.
_ORIGINAL: Final = "origname"
_CODING: Final[Document] = {"_Encoding": "utf-8"}


@dataclass(frozen=True, slots=True, eq=False)
class DapVariable:
    """One variable: its type in the protocol (objects stand for text), shape and attributes.

    `name` and `own_dims` are the dataset's, `stored` and `dims` the protocol's. `form` is how
    values become numbers before they have the type `dtype`. Coordinates whose type follows from all
    of their values are `held` as numbers. The longest text has `longest` bytes, None if unknown.
    """

    name: Hashable
    stored: str
    dims: tuple[str, ...]
    own_dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    dtype: DType
    attrs: Document
    form: DapForm
    held: Array | None = None
    longest: int | None = None

    @property
    def is_text(self) -> bool:
        """Whether values are texts, whose lengths are known only once they are read."""
        return self.dtype == TEXT

    def numbers(self, values: Array) -> Array:
        """Values as the store packs them, or decoded, in the variable's type."""
        if values.dtype == self.dtype and self.form.kind in "iuf":
            return values
        return self.form.numbers(values).astype(self.dtype, copy=False)

    def texts(self, values: Array) -> list[bytes]:
        """Values that are texts in UTF-8, in C order; missing ones are empty.

        What is no UTF-8 is marked and in base64, as in JSON: clients fail on anything else.
        """
        return [_text(item) for item in until_cancelled(values.reshape(-1).tolist())]


def _text(item: object) -> bytes:
    match item:
        case bytes():
            return format_bytes(item.rstrip(b"\0")).encode()
        case str():
            return format_text(item).encode()
        case _ if is_missing(item):
            return b""
        case _:
            return str(item).encode("utf-8", "replace")


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
        own = {**own, **beside.get(None, {})}
        for dim in dict.fromkeys([dim for v in served.values() for dim in v.dims]):
            if dim not in served and names.stored[dim] != dim:
                own.setdefault(f"{_ORIGINAL}_{names.stored[dim]}", str(dim))
        left_out = tuple([str(name) for name in variables if name not in served])
        title = _OTHER_LETTERS.sub("_", title)
        return cls(title, version, tuple(found), _told(version, own), left_out)

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
    distinct = Distinct((_OF_DATASET,))
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
    form, values = dap_form(name, variable, known)
    deciding = deciding_values(known, form) if values is None else values
    dtype, attrs = dap_type(version, form, deciding)
    # As values are written of this type, whatever order of bytes the store has.
    dtype = dtype.newbyteorder("=")
    told = replace(form.file, dtype=dtype, attrs=attrs)
    # (The type has the sign already; a name that was changed is told under `_ORIGINAL`.)
    own = {key: value for key, value in variable.attrs.items() if key != UNSIGNED}
    made = described(names, name, _Undecoded(variable, own), told, beside)
    told_attrs = {**_told(version, made.attrs)}
    if dtype == TEXT and version == 2:
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


def _told(version: Version, attrs: Document) -> Document:
    """Attributes under names that parsers of DAP2 read, of which no two are alike."""
    if version != 2:
        return attrs
    plain = {name for name in attrs if not _NO_ATTRIBUTE.search(name)}
    distinct = Distinct(plain)
    return {
        name if name in plain else distinct.give(_NO_ATTRIBUTE.sub("_", name)): value
        for name, value in attrs.items()
    }


class _Undecoded:
    """A variable with other attributes."""

    def __init__(self, variable: VariableSchema, attrs: Mapping[Hashable, object]) -> None:
        self.dims, self.shape, self.dtype = variable.dims, variable.shape, variable.dtype
        self.attrs = attrs
        self.encoding = variable.encoding


@dataclass(frozen=True, slots=True)
class DapPart:
    """What is asked of a variable: positions along each of its dimensions."""

    variable: DapVariable
    ranges: tuple[range, ...]
    shape: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        # It is asked for a dozen times for each answer.
        object.__setattr__(self, "shape", tuple(map(len, self.ranges)))

    @classmethod
    def whole(cls, variable: DapVariable) -> DapPart:
        """All of it."""
        return cls(variable, tuple(map(range, variable.shape)))

    @property
    def count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    def values(self, answer: Mapping[Hashable, xr.Variable]) -> Array | None:
        """Its values in an answer, stored or decoded; None if they are still to be read."""
        held, name = self.variable.held, self.variable.name
        if held is not None:
            return held[tuple([slice(r.start, r.stop, r.step) for r in self.ranges])]
        return np.asarray(answer[name].data) if name in answer else None
