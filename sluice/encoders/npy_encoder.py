"""One variable of a dataset -> the bytes of an .npy file, as `numpy.load` and others read it.

The format is version 1.0 of NEP 1 ("A Simple File Format for NumPy Arrays"): a magic text, the
length of the header, the header (a dictionary in Python's spelling, filled up to a multiple of 64
bytes), then the values in C order.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Container, Hashable, Iterator, Mapping
from typing import Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.encoders.answer_schema import (
    AnswerSchema,
    AnswerVariable,
    FileContent,
    FileFormat,
    UnreadAnswer,
    VariableSchema,
    only_variable,
)
from sluice.encoders.encoder import Encoder, bytes_of, flat_parts, from_memory, once
from sluice.encoders.file_values import Extent
from sluice.encoders.jsonable import dtype_name
from sluice.errors import NotAcceptable
from sluice.labels import spell_name

_MAGIC: Final = b"\x93NUMPY\x01\x00"
_ALIGNMENT: Final = 64
_NAME: Final = "f=npy"
_KINDS: Final = "biufcMmUS"


def check_npy(schema: AnswerSchema) -> None:
    """Raises what `_held` raises of the answer."""
    _held(schema.variables, schema.coord_names)


def _held(
    variables: Mapping[Hashable, AnswerVariable], coord_names: Container[Hashable]
) -> Hashable:
    """The one variable of an answer.

    Raises `SelectionError` unless there is one, `NotAcceptable` for what it cannot be: objects,
    such as text of any length and dates of other calendars, would run code when they are read.
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
    name = _held(answer.variables, answer.coord_names)
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
    """The type in the file: little-endian, and of a size that every machine has."""
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


def _follows_from_schema(name: Hashable, variable: VariableSchema) -> bool:
    return False


_encode, _pieces = from_memory(npy_content)
NPY: Final = Encoder(
    name="npy",
    media_type="application/x-npy",
    suffix=".npy",
    encode=_encode,
    pieces=_pieces,
    check=check_npy,
    value_bytes=npy_weight,
    text_bytes=once,
    forms=3,
    described={
        "schema": {
            "type": "string",
            "format": "binary",
            "description": "One variable, as `numpy.load` reads it.",
        }
    },
    file=FileFormat(npy_content, _follows_from_schema, stored=False, chunked=False),
)
