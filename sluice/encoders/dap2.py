"""The values of a dataset in DAP 2.0: as data, and as text for people.

NASA ESE-RFC-004.1.2, "The Data Access Protocol - DAP 2.0". Behind the declarations of what is asked
for come values in XDR (RFC 4506), which is big-endian: 16 bits as 32, bytes filled up to a multiple
of four. Variables stand in the dataset's order, as in their declarations.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from struct import pack
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.concurrency import until_cancelled
from sluice.encoders.answer_schema import (
    AnswerSchema,
    FileContent,
    FileFormat,
    UnreadAnswer,
    VariableSchema,
)
from sluice.encoders.dap2_documents import dds, quoted
from sluice.encoders.dap_types import number_text
from sluice.encoders.dap_variables import DapDataset, DapPart, DapVariable
from sluice.encoders.encoder import Encoder, bytes_of, flat_parts, joined, once, unchecked
from sluice.encoders.file_values import Extent
from sluice.encoders.json_encoder import FragmentCache
from sluice.errors import NotAcceptable

if TYPE_CHECKING:
    import xarray as xr

# The XDR type of each of numpy's; text is bytes.
_XDR: Final[Mapping[DType, DType]] = MappingProxyType(
    {
        np.dtype("u1"): np.dtype("u1"),
        np.dtype("i2"): np.dtype(">i4"),
        np.dtype("u2"): np.dtype(">u4"),
        np.dtype("i4"): np.dtype(">i4"),
        np.dtype("u4"): np.dtype(">u4"),
        np.dtype("f4"): np.dtype(">f4"),
        np.dtype("f8"): np.dtype(">f8"),
        np.dtype("O"): np.dtype("u1"),
    }
)
# Lengths are signed numbers of 32 bits to most clients.
_MOST_VALUES: Final = 2**31 - 1
# Values that are written as text at once: a few milliseconds of work.
_LINE_VALUES: Final = 4096
# About the length of a number as text, with its separator.
_NUMBER_BYTES: Final = 20
# A single byte is written four times: some readers take it for a number of 32 bits, whose last byte
# they look at, others look at the first.
_LONE_BYTE: Final = 4
_SEPARATOR: Final = "-" * 45


def _width(part: DapPart) -> int:
    """The bytes of one value in XDR."""
    return _LONE_BYTE if _is_lone_byte(part) else _XDR[part.variable.dtype].itemsize


def _is_lone_byte(part: DapPart) -> bool:
    return not part.shape and part.variable.dtype == np.dtype("u1")


# A format is made for the parts of one request.
_VARIANT: Final = (("dap", 2),)


def data_format(dataset: DapDataset, parts: Sequence[DapPart]) -> Encoder:
    """The format of a data response with these parts: their declarations, and their values."""
    own = {part.variable.name: part for part in parts}
    content = partial(data_content, dataset=dataset, parts=parts)
    pieces = partial(_data_pieces, dataset, parts)
    file = FileFormat(content, partial(_decided, own), stored=True, chunked=False)
    weight, check = partial(_data_bytes, own), partial(_check, parts)
    return Encoder(
        name="dods",
        media_type="application/octet-stream",
        suffix=".dods",
        encode=joined(pieces),
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
    """The format of the same as text for people: declarations, a line, and variables by rows."""
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
    """Whether the length of a variable in XDR follows from its values: that of texts does."""
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
    head = _data_head(dataset, parts)
    end, extents, between = len(head), dict[Hashable, Extent](), list[tuple[int, bytes]]()
    known, widths = dict[Hashable, Array](), dict[Hashable, int]()
    own = {part.variable.name: part for part in parts}
    for name, part in own.items():
        values = part.values(answer.known)
        before = _before(part, values)
        if before:
            between.append((end, before))
            end += len(before)
        if part.variable.is_text:
            continue
        width = widths[name] = _width(part)
        extents[name] = Extent(end, part.count * width, None, None)
        end += part.count * width + _filling(part)
        if values is not None:
            # (Those that are held have a dimension for each single position, too.)
            known[name] = values.reshape(answer.variables[name].shape)

    def stored(name: Hashable, values: Array) -> Iterator[memoryview]:
        return _stored(own[name], values)

    return FileContent(head, end, extents, widths, known, stored, between=tuple(between))


def _data_pieces(
    dataset: DapDataset,
    parts: Sequence[DapPart],
    answer: xr.Dataset,
    fragments: FragmentCache | None = None,
    template_key: Hashable = None,
) -> Iterator[bytes | memoryview]:
    """The data response of an answer that is in memory."""
    yield _data_head(dataset, parts)
    for part in parts:
        values = part.values(answer.variables)
        assert values is not None, "what is written at once is in memory"
        yield _before(part, values)
        if not part.variable.is_text:
            yield from _stored(part, values)
            yield bytes(_filling(part))


def _data_head(dataset: DapDataset, parts: Sequence[DapPart]) -> bytes:
    return f"{dds(dataset, parts)}\nData:\n".encode()


def _before(part: DapPart, values: Array | None) -> bytes:
    """The lengths before the numbers of a part; of text, lengths and values."""
    if not part.variable.is_text:
        return pack(">II", part.count, part.count) if part.shape else b""
    assert values is not None, "texts decide on the length of the answer"
    return _texts(part, part.variable.texts(values))


def _stored(part: DapPart, values: Array) -> Iterator[memoryview]:
    """The bytes of numbers, as many at once as are converted in a millisecond or two."""
    variable, alone = part.variable, _is_lone_byte(part)
    for some in flat_parts(values):
        numbers = variable.numbers(some)
        yield bytes_of(numbers.repeat(_LONE_BYTE) if alone else numbers, _XDR[variable.dtype])


def _filling(part: DapPart) -> int:
    """How many zero bytes come after the numbers of a part."""
    return -(part.count * _width(part)) % 4


def _texts(part: DapPart, texts: Sequence[bytes]) -> bytes:
    """Texts, each behind its length; an array has its own length before, once."""
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
        yield from _rows(variable, values.reshape(shape))
        yield b"\n"


def _rows(variable: DapVariable, values: Array) -> Iterator[bytes]:
    """The lines of an array, each behind its indexes; short ones together, long ones in parts."""
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
            yield quoted(text.decode("utf-8", "replace"))
    else:
        yield from map(number_text, variable.numbers(values).reshape(-1))
