"""The documents of DAP 2.0: what a dataset has (DDS), what is said of it (DAS), and its values.

NASA ESE-RFC-004.1.2, "The Data Access Protocol - DAP 2.0". Values are in XDR (RFC 4506), which is
big-endian: 16 bits as 32, bytes filled up to a multiple of four. Variables stand in the dataset's
order in declarations and data, whatever order they are asked for in: clients read them so. All are
plain arrays, whose dimensions have the names of their coordinates: grids need twice the words, and
no client asks for one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from struct import pack
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.concurrency import until_cancelled
from sluice.encoders.answer_schema import (
    FILLS,
    AnswerSchema,
    FileContent,
    FileFormat,
    UnreadAnswer,
    VariableSchema,
)
from sluice.encoders.dap_types import number_text, type_key
from sluice.encoders.dap_variables import DapDataset, DapPart, DapVariable
from sluice.encoders.encoder import (
    Encoder,
    bytes_of,
    flat_parts,
    from_memory,
    joined,
    once,
    unchecked,
)
from sluice.encoders.file_values import Extent
from sluice.encoders.json_encoder import FragmentCache
from sluice.errors import NotAcceptable

if TYPE_CHECKING:
    import xarray as xr

# By numpy's type: the name, and the type in XDR.
_TYPES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "u1": ("Byte", "u1"),
        "i2": ("Int16", ">i4"),
        "u2": ("UInt16", ">u4"),
        "i4": ("Int32", ">i4"),
        "u4": ("UInt32", ">u4"),
        "f4": ("Float32", ">f4"),
        "f8": ("Float64", ">f8"),
        "O": ("String", "u1"),
    }
)
_INT32: Final = np.iinfo("i4")
# Lengths are signed numbers of 32 bits to most clients.
_MOST_VALUES: Final = 2**31 - 1
# So many values are written as text in a few milliseconds.
_LINE_VALUES: Final = 4096
# About as long is a number as text, with what separates it.
_NUMBER_BYTES: Final = 20
# Readers that take it for a number of 32 bits look at the last of them, others at the first: it is
# in all.
_LONE_BYTE: Final = 4
# Texts become arrays of so many letters in netCDF-C, unless it is told otherwise.
_USUAL_LETTERS: Final = 64
_SEPARATOR: Final = "-" * 45


def dds(dataset: DapDataset, parts: Iterable[DapPart]) -> str:
    """The declarations of these parts, which are in the dataset's order."""
    lines = [f"    {_declared(part)};\n" for part in parts]
    return "".join(["Dataset {\n", *lines, f"}} {dataset.title};\n"])


def _declared(part: DapPart) -> str:
    variable = part.variable
    pairs = zip(variable.dims, part.shape, strict=True)
    dims = "".join([f"[{dim} = {length}]" for dim, length in pairs])
    return f"{_TYPES[type_key(variable.dtype)][0]} {variable.stored}{dims}"


def das(dataset: DapDataset) -> str:
    """All attributes, each in a type that the protocol has, those of values in that of the values.

    Those of the dataset are in the container that clients of NetCDF look for.
    """
    lines = ["Attributes {\n"]
    for variable in dataset.variables:
        lines.append(f"    {variable.stored} {{\n")
        lines += [
            _attribute(name, value, exact=name in FILLS) for name, value in variable.attrs.items()
        ]
        if variable.dtype.kind == "u" and variable.attrs.get("dtype") != "bool":
            # To netCDF-C all whole numbers of DAP2 are signed.
            lines.append(_attribute("_Unsigned", "true"))
        if (variable.longest or 0) > _USUAL_LETTERS:
            # By which netCDF-C knows how many letters an array of texts needs.
            lines.append(_attribute("DODS.strlen", np.int32(variable.longest or 0)))
        lines.append("    }\n")
    lines.append("    NC_GLOBAL {\n")
    lines += [_attribute(name, value) for name, value in dataset.attrs.items()]
    return "".join([*lines, "    }\n}\n"])


def _attribute(name: str, value: object, *, exact: bool = False) -> str:
    """One attribute; `exact` is the type of fill values."""
    if isinstance(value, str | list):
        texts = [value] if isinstance(value, str) else value
        return f"        String {name} {', '.join(map(_quoted, texts))};\n"
    numbers = np.atleast_1d(np.asarray(value))
    dtype = _attribute_type(numbers, exact=exact)
    words = ", ".join(map(number_text, numbers.astype(dtype)))
    return f"        {_TYPES[type_key(dtype)][0]} {name} {words};\n"


def _attribute_type(numbers: Array, *, exact: bool) -> DType:
    """A signed type of the protocol that holds these numbers, or the nearest floats to them.

    What is `exact` keeps its type, if the protocol has it.
    """
    dtype = numbers.dtype.newbyteorder("=")
    if dtype.str[1:] in _TYPES and (exact or dtype.kind != "u"):
        return dtype
    if dtype.itemsize == 1:
        return np.dtype("i2")
    fits = _INT32.min <= int(numbers.min()) and int(numbers.max()) <= _INT32.max
    return np.dtype("i4" if fits else "f8")


def _quoted(text: str) -> str:
    """A text between quotation marks, which begins and ends nowhere else."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def error(status: int, message: str) -> str:
    """The document that tells what was wrong."""
    return f"Error {{\n    code = {status};\n    message = {_quoted(message)};\n}};\n"


def _width(part: DapPart) -> int:
    """The bytes of one value in XDR."""
    return _LONE_BYTE if _is_lone_byte(part) else _xdr(part.variable).itemsize


def _is_lone_byte(part: DapPart) -> bool:
    return not part.shape and part.variable.dtype == np.dtype("u1")


def _xdr(variable: DapVariable) -> DType:
    return np.dtype(_TYPES[type_key(variable.dtype)][1])


# A format is made for the parts of one request.
_VARIANT: Final = (("dap", 2),)


def data_format(dataset: DapDataset, parts: Sequence[DapPart]) -> Encoder:
    """The format of a data response with these parts: their declarations, and their values."""
    own = {part.variable.name: part for part in parts}
    content = partial(data_content, dataset=dataset, parts=parts)
    encode, pieces = from_memory(content)
    file = FileFormat(content, partial(_decided, own), stored=True, chunked=False)
    weight, check = partial(_data_bytes, own), partial(_check, parts)
    return Encoder(
        name="dods",
        media_type="application/octet-stream",
        suffix=".dods",
        encode=encode,
        pieces=pieces,
        check=check,
        value_bytes=weight,
        text_bytes=once,
        forms=3,
        described={},
        stored=True,
        file=file,
        variant=_VARIANT,
    )


def ascii_format(dataset: DapDataset, parts: Sequence[DapPart]) -> Encoder:
    """The same as text for people: declarations, a line, and each variable row by row."""
    pieces = partial(_text_pieces, dataset, parts)
    return Encoder(
        name="ascii",
        media_type="text/plain; charset=utf-8",
        suffix=".txt",
        encode=joined(pieces),
        pieces=pieces,
        check=unchecked,
        value_bytes=_ascii_bytes,
        text_bytes=once,
        forms=3,
        described={},
        instead=".dods",
        stored=True,
        variant=_VARIANT,
    )


def _decided(own: Mapping[Hashable, DapPart], name: Hashable, variable: VariableSchema) -> bool:
    """Whether the length of a variable in XDR follows from its values: texts."""
    return name in own and own[name].variable.is_text


def _check(parts: Sequence[DapPart], schema: AnswerSchema) -> None:
    """Raises `NotAcceptable` for more values than can be counted."""
    for part in parts:
        if part.count > _MOST_VALUES:
            raise NotAcceptable(
                f"{part.variable.stored} would have {part.count} values, and DAP2 counts no more"
                f" than {_MOST_VALUES}: ask for a part of it",
                variable=str(part.variable.name),
                limit=_MOST_VALUES,
            )


def _data_bytes(own: Mapping[Hashable, DapPart], schema: AnswerSchema) -> int:
    """What an answer counts for, in bytes: its values in XDR."""
    return sum(
        math.prod(variable.shape)
        * (max(_width(own[name]), variable.dtype.itemsize) if name in own else 0)
        for name, variable in schema.variables.items()
    )


def _ascii_bytes(schema: AnswerSchema) -> int:
    return sum(math.prod(v.shape) * _NUMBER_BYTES for v in schema.variables.values())


def data_content(
    answer: UnreadAnswer, dataset: DapDataset, parts: Sequence[DapPart]
) -> FileContent:
    """The data response as a file: each array behind its length, twice; texts behind their own."""
    head = f"{dds(dataset, parts)}\nData:\n".encode()
    end, extents, between = len(head), dict[Hashable, Extent](), list[tuple[int, bytes]]()
    known, widths = dict[Hashable, Array](), dict[Hashable, int]()
    own = {part.variable.name: part for part in parts}
    for part in parts:
        variable, values = part.variable, part.values(answer.known)
        if variable.is_text:
            assert values is not None, "texts decide on the length of the answer"
            before = _texts(part, variable.texts(values))
        else:
            before = pack(">II", part.count, part.count) if part.shape else b""
        if before:
            between.append((end, before))
            end += len(before)
        if variable.is_text:
            continue
        width = widths[variable.name] = _width(part)
        extents[variable.name] = Extent(end, part.count * width, None, None)
        end += part.count * width + -(part.count * width) % 4
        if values is not None:
            known[variable.name] = values

    def stored(name: Hashable, values: Array) -> Iterator[memoryview]:
        variable, alone = own[name].variable, _is_lone_byte(own[name])
        for some in flat_parts(values):
            numbers = variable.numbers(some)
            yield bytes_of(numbers.repeat(_LONE_BYTE) if alone else numbers, _xdr(variable))

    return FileContent(head, end, extents, widths, known, stored, between=tuple(between))


def _texts(part: DapPart, texts: Sequence[bytes]) -> bytes:
    """An array of texts has its length once."""
    written = [pack(">I", part.count)] if part.shape else []
    for text in until_cancelled(texts):
        written.append(pack(">I", len(text)) + text + bytes(-len(text) % 4))
    return b"".join(written)


def _text_pieces(
    dataset: DapDataset,
    parts: Sequence[DapPart],
    answer: xr.Dataset,
    fragments: FragmentCache | None = None,
    template_key: Hashable = None,
) -> Iterator[bytes]:
    yield f"{dds(dataset, parts)}{_SEPARATOR}\n".encode()
    for part in parts:
        variable, values = part.variable, part.values(answer.variables)
        assert values is not None, "what is written as text is in memory"
        shape = part.shape
        if not shape:
            yield f"{variable.stored}, {next(_words(variable, values))}\n\n".encode()
            continue
        yield f"{variable.stored}{''.join([f'[{length}]' for length in shape])}\n".encode()
        yield from _rows(variable, values)
        yield b"\n"


def _rows(variable: DapVariable, values: Array) -> Iterator[bytes]:
    """The lines of an array, each behind its place; many short ones at once, long ones in parts."""
    rows = values.reshape(-1, values.shape[-1])
    lines, count = list[str](), 0
    for number, place in enumerate(np.ndindex(*values.shape[:-1])):
        lines.append("".join([*[f"[{at}]" for at in place], ", " if place else ""]))
        for start in range(0, rows.shape[1], _LINE_VALUES):
            part = rows[number, start : start + _LINE_VALUES]
            lines.append(", " * bool(start) + ", ".join(_words(variable, part)))
            count += part.size + 1
            if count >= _LINE_VALUES:
                yield "".join(lines).encode()
                lines, count = [], 0
        lines.append("\n")
    yield "".join(lines).encode()


def _words(variable: DapVariable, values: Array) -> Iterator[str]:
    """Values as people read them, in C order."""
    if variable.is_text:
        for text in variable.texts(values):
            yield _quoted(text.decode("utf-8", "replace"))
    else:
        yield from map(number_text, variable.numbers(values).reshape(-1))
