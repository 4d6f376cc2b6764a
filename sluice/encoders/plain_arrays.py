"""Values as plain arrays of numbers, and one variable as an .npy file.

Times become counts since 1970, complex numbers pairs, and numbers can be packed as evenly spaced
levels of a range.

The format of .npy is version 1.0 of NEP 1 ("A Simple File Format for NumPy Arrays"): a magic text,
the length of the header, the header (a dictionary in Python's spelling, filled up to a multiple of
64 bytes), then the values in C order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Container, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from sluice.aliases import Array, Document, DType, record
from sluice.encoders.answer_schema import (
    AnswerSchema,
    AnswerVariable,
    FileContent,
    FileFormat,
    UnreadAnswer,
    VariableSchema,
    only_variable,
)
from sluice.encoders.colormaps import Levels, value_range
from sluice.encoders.encoder import Encoder, binary_content, bytes_of, flat_parts, from_memory, once
from sluice.encoders.file_values import Extent
from sluice.encoders.jsonable import dtype_name, json_text
from sluice.errors import NotAcceptable, SelectionError
from sluice.labels import spell_name

_MAGIC: Final = b"\x93NUMPY\x01\x00"
_ALIGNMENT: Final = 64
_NAME: Final = "f=npy"
_KINDS: Final = "biufcMmUS"


def check_npy(schema: AnswerSchema) -> None:
    """Raises `SelectionError` and `NotAcceptable` for an answer that no .npy file can hold."""
    _checked_variable(schema.variables, schema.coord_names)


def _checked_variable(
    variables: Mapping[Hashable, AnswerVariable], coord_names: Container[Hashable]
) -> Hashable:
    """The one variable of an answer.

    Raises `SelectionError` unless there is one, `NotAcceptable` for objects (text of any length,
    dates of other calendars): .npy files of these are pickles, which run code when they are read.
    """
    name = only_variable(variables, coord_names, _NAME)
    dtype = variables[name].dtype
    if dtype.kind not in _KINDS:
        raise NotAcceptable(
            f"{spell_name(name)} is no numbers ({dtype_name(dtype)}), which {_NAME} cannot hold;"
            " ask for json or csv",
            variable=str(name),
            known=["json", "csv"],
        )
    return name


def npy_content(answer: UnreadAnswer) -> FileContent:
    """The file of an answer with one data variable; its coordinates are not in it."""
    name = _checked_variable(answer.variables, answer.coord_names)
    variable = answer.variables[name]
    dtype = _in_file(variable.dtype)
    head, length = _head(dtype, variable.shape), math.prod(variable.shape) * dtype.itemsize
    extents = {name: Extent(len(head), length, None, None)} if length else {}
    known = {n: np.asarray(v.data) for n, v in answer.known.items() if n in extents}

    def stored(name: Hashable, values: Array) -> Iterator[memoryview]:
        for part in flat_parts(values):
            yield bytes_of(part, dtype)

    itemsizes = {name: dtype.itemsize}
    return FileContent(head, len(head) + length, extents, itemsizes, known, stored)


def _in_file(dtype: DType) -> DType:
    """The type in the file: little-endian, and no longer than all platforms have."""
    match dtype.kind:
        case "f" if dtype.itemsize > 8:
            return np.dtype("<f8")
        case "c" if dtype.itemsize > 16:
            return np.dtype("<c16")
        case _:
            return dtype.newbyteorder("<")


def _head(dtype: DType, shape: tuple[int, ...]) -> bytes:
    told = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    told += b" " * (-(len(_MAGIC) + 2 + len(told) + 1) % _ALIGNMENT) + b"\n"
    return _MAGIC + struct.pack("<H", len(told)) + told


def npy_weight(schema: AnswerSchema) -> int:
    """What an answer counts for as npy, in bytes: the values of its one variable."""
    variable = schema.variables[only_variable(schema.variables, schema.coord_names, _NAME)]
    return math.prod(variable.shape) * variable.dtype.itemsize


def _decided_by_values(name: Hashable, variable: VariableSchema) -> bool:
    """Never: the header follows from the schema."""
    return False


_encode, _pieces = from_memory(npy_content)
NPY: Final = Encoder(
    name="npy",
    media_type="application/x-npy",
    suffix=".npy",
    others=("numpy",),
    encode=_encode,
    pieces=_pieces,
    check=check_npy,
    value_bytes=npy_weight,
    text_bytes=once,
    forms=3,
    described=binary_content("One variable, as `numpy.load` reads it."),
    file=FileFormat(npy_content, _decided_by_values, stored=False, chunked=False),
)


# CF's units of time, by numpy's; times in other units are counted in one of these.
_UNITS: Final = MappingProxyType(
    {
        "D": "days",
        "h": "hours",
        "m": "minutes",
        "s": "seconds",
        "ms": "milliseconds",
        "us": "microseconds",
        "ns": "nanoseconds",
    }
)
_FINER: Final = frozenset(("ps", "fs", "as", "generic"))
_NAT: Final = int(np.iinfo("i8").min)
_COMPLEX: Final[Document] = {"parts": ["real", "imaginary"]}
# Types of levels: the value for what is missing, and that of the first level.
LEVELLED: Final = MappingProxyType({"u1": (255, 0), "i2": (-32768, -32767)})
PACKS: Final = (*LEVELLED, "f4")
# The characters of the longest float64: -2.2250738585072014e-308.
_LONGEST: Final = 24


@record
class PackOption:
    """The options `pack` and `range`: the type of packed numbers, one of `PACKS`, and its `ends`.

    Without ends, levels lie between the least and the largest of the values.
    """

    dtype: str
    ends: tuple[float, float] | None

    def levels(self, values: Array | None) -> Levels:
        """The levels between the ends, or those of `values`: one less than the type has numbers."""
        ends = self.ends
        if ends is None:
            assert values is not None, "without a range the values decide"
            ends = value_range(values)
        return Levels(*ends, 2 ** (8 * np.dtype(self.dtype).itemsize) - 1)


@record
class PlainForm:
    """How values are stored: the type of an element, elements per value, and what decodes them."""

    dtype: DType
    parts: int
    told: Document
    levels: Levels | None = None
    # Bytes of padding, so that the length of what is `told` does not depend on its numbers.
    reserved: int = 0

    @property
    def value_bytes(self) -> int:
        return self.dtype.itemsize * self.parts

    def stored(self, values: Array) -> Iterator[memoryview]:
        """The bytes of values of any shape, in C order, in pieces."""
        for part in flat_parts(values):
            yield self._bytes(part)

    def _bytes(self, values: Array) -> memoryview:
        if self.levels is not None:
            missing, first = LEVELLED[self.dtype.str[1:]]
            found = self.levels.of(values)
            return bytes_of(np.where(found < 0, missing, found + first), self.dtype)
        match values.dtype.kind:
            case "M" | "m":
                unit = f"{values.dtype.kind}8[{_unit(values.dtype)}]"
                return bytes_of(values.astype(unit).view("i8"), self.dtype)
            case "c":
                size = self.dtype.itemsize
                return bytes_of(values.astype(f"c{2 * size}").view(f"f{size}"), self.dtype)
            case _:
                with np.errstate(over="ignore"):
                    return bytes_of(values, self.dtype)


def _unit(dtype: DType) -> str:
    unit, count = np.datetime_data(dtype)
    if count == 1 and unit in _UNITS:
        return unit
    return "ns" if unit in _FINER else "s"


def plain_form(dtype: DType) -> PlainForm | None:
    """The form of unpacked values of this type; None for those that are no numbers."""
    size = dtype.itemsize
    match dtype.kind:
        case "b" | "i" | "u" | "f":
            return PlainForm(np.dtype(f"<{dtype.kind}{min(size, 8)}"), 1, {})
        case "c":
            return PlainForm(np.dtype(f"<f{min(size // 2, 8)}"), 2, _COMPLEX)
        case "M":
            since = f"{_UNITS[_unit(dtype)]} since 1970-01-01"
            told = {"units": since, "calendar": "proleptic_gregorian", "missing": _NAT}
            return PlainForm(np.dtype("<i8"), 1, told)
        case "m":
            return PlainForm(np.dtype("<i8"), 1, {"units": _UNITS[_unit(dtype)], "missing": _NAT})
        case _:
            return None


def packed_form(packing: PackOption, values: Array | None) -> PlainForm:
    """The form of numbers that are packed so; without a range that of `values`.

    With neither it is a form of the same size. Raises `SelectionError` for a range so wide that
    computing its levels overflows.
    """
    dtype = np.dtype(f"<{packing.dtype}")
    if packing.dtype not in LEVELLED:
        return PlainForm(dtype, 1, {})
    if values is None and packing.ends is None:
        values = np.zeros(1)
    levels = packing.levels(values)
    missing, first = LEVELLED[packing.dtype]
    scale = levels.step
    offset = levels.low - first * scale
    # The values of the first and last level, as readers compute them.
    ends = (offset + scale * stored for stored in (first, first + levels.count - 1))
    if not all(map(math.isfinite, ends)):
        raise SelectionError(
            f"pack={packing.dtype} keeps numbers as offset + scale * stored, and numbers of 64 bits"
            f" cannot be computed so between {levels.low!r} and {levels.high!r}: give a smaller"
            " range, as range=250,310, or leave pack out",
            parameter="pack",
        )
    told = {"scale": scale, "offset": offset, "missing": missing}
    reserved = 0
    if packing.ends is None:
        # The length of a file must not depend on its values.
        reserved = 2 * _LONGEST - len(json_text(scale)) - len(json_text(offset))
    return PlainForm(dtype, 1, told, levels, reserved)


def is_packable(dtype: DType) -> bool:
    """Whether values of this type are real numbers."""
    return dtype.kind in "iuf"
