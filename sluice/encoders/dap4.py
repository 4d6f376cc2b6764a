"""The documents of DAP4: the description of a dataset (DMR), and its values in chunks.

OPENDAP/dap4-specification, volume 1, "Data Model and Serialized Representation". A data response is
the description of its parts, then their values in the order of it, each variable's followed by a
CRC-32 of them. Values are little-endian, which each chunk says of itself. Clients of one version
look for a checksum where the description has an attribute for it, others always: so it is there
unless it was declined.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from struct import pack
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from sluice.concurrency import until_cancelled
from sluice.encoders.answer_schema import AnswerSchema
from sluice.encoders.dap_types import number_text, type_key
from sluice.encoders.dap_variables import DapDataset, DapPart
from sluice.encoders.encoder import Encoder, bytes_of, flat_parts, joined, once, unchecked
from sluice.encoders.json_encoder import FragmentCache

if TYPE_CHECKING:
    import xarray as xr

DMR_TYPE: Final = "application/vnd.opendap.dap4.dataset-metadata+xml"
ERROR_TYPE: Final = "application/vnd.opendap.dap4.error+xml"
_DATA_TYPE: Final = "application/vnd.opendap.dap4.data"
_NAMESPACE: Final = 'xmlns="http://xml.opendap.org/ns/DAP/4.0#"'
_CHECKSUM: Final = "_DAP4_Checksum_CRC32"
_NO_CHECKSUMS: Final[Mapping[str, int]] = MappingProxyType({})
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "i1": "Int8",
        "u1": "UInt8",
        "i2": "Int16",
        "u2": "UInt16",
        "i4": "Int32",
        "u4": "UInt32",
        "i8": "Int64",
        "u8": "UInt64",
        "f4": "Float32",
        "f8": "Float64",
        "O": "String",
    }
)
# The flags of a chunk, in the first of the four bytes before it; the others are its length.
_LAST, _LITTLE_ENDIAN = 1, 4
_MOST_CHUNK: Final = 2**24 - 1
# What XML 1.0 has no sign for (section 2.2).
_NO_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dmr(
    dataset: DapDataset, parts: Sequence[DapPart], checksums: Mapping[str, int] = _NO_CHECKSUMS
) -> str:
    """The description of these parts, which are in the dataset's order, with `checksums` by name.

    A dimension of which only some positions are there has a length and no name.
    """
    dims = {
        dim: length
        for part in parts
        for dim, length in zip(part.variable.dims, part.variable.shape, strict=True)
    }
    lines = [f'<Dimension name="{dim}" size="{length}"/>\n' for dim, length in dims.items()]
    for part in parts:
        variable, kind = part.variable, _TYPES[type_key(part.variable.dtype)]
        lines.append(f'<{kind} name="{variable.stored}">\n')
        lines += _dims(part)
        lines += [_attribute(name, value) for name, value in variable.attrs.items()]
        if variable.stored in checksums:
            lines.append(_attribute(_CHECKSUM, np.uint32(checksums[variable.stored])))
        lines.append(f"</{kind}>\n")
    lines += [_attribute(name, value) for name, value in dataset.attrs.items()]
    head = f'<Dataset {_NAMESPACE} dapVersion="4.0" dmrVersion="1.0" name="{dataset.title}">\n'
    return "".join(['<?xml version="1.0" encoding="UTF-8"?>\n', head, *lines, "</Dataset>\n"])


def _dims(part: DapPart) -> Iterator[str]:
    variable = part.variable
    for dim, length, asked in zip(variable.dims, variable.shape, part.ranges, strict=True):
        whole = asked == range(length)
        yield f'<Dim name="/{dim}"/>\n' if whole else f'<Dim size="{len(asked)}"/>\n'


def _attribute(name: str, value: object) -> str:
    if isinstance(value, str | list):
        kind, words = "String", [value] if isinstance(value, str) else value
    else:
        numbers = np.atleast_1d(np.asarray(value))
        kind = _TYPES[type_key(numbers.dtype.newbyteorder("="))]
        words = list(map(number_text, numbers))
    values = "".join([f"<Value>{escape(_plain(word))}</Value>" for word in words])
    return f'<Attribute name={quoteattr(_plain(name))} type="{kind}">{values}</Attribute>\n'


def _plain(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)


def error(status: int, message: str) -> str:
    """The document that tells what was wrong."""
    told = escape(_plain(message))
    return f'<Error {_NAMESPACE} httpcode="{status}">\n<Message>{told}</Message>\n</Error>\n'


def data_format(dataset: DapDataset, parts: Sequence[DapPart], *, checksums: bool) -> Encoder:
    """The format of a data response with these parts."""
    pieces = partial(_pieces, dataset, parts, checksums)
    # (With and without checksums they are two answers, with two tags.)
    variant = (("checksums", checksums),)
    writer = "crc" if checksums else ""
    return Encoder(
        name="dap",
        media_type=_DATA_TYPE,
        suffix=".dap",
        encode=joined(pieces),
        pieces=pieces,
        check=unchecked,
        value_bytes=_bytes,
        text_bytes=once,
        forms=3,
        described={},
        instead=".dods of DAP2",
        stored=True,
        variant=variant,
        writer=writer,
    )


def _pieces(
    dataset: DapDataset,
    parts: Sequence[DapPart],
    checksums: bool,
    answer: xr.Dataset,
    fragments: FragmentCache | None = None,
    template_key: Hashable = None,
) -> Iterator[bytes]:
    sums: dict[str, int] = {}
    # The description comes first and tells the checksums, so values are written twice.
    for part in parts if checksums else ():
        checksum = 0
        for piece in _stored(part, answer):
            checksum = zlib.crc32(piece, checksum)
            yield b""
        sums[part.variable.stored] = checksum
    yield from _chunks(memoryview(f"{dmr(dataset, parts, sums)}\r\n".encode()))
    for part in parts:
        for piece in _stored(part, answer):
            yield from _chunks(piece)
        if checksums:
            yield from _chunks(memoryview(pack("<I", sums[part.variable.stored])))
    yield pack(">I", (_LITTLE_ENDIAN | _LAST) << 24)


def _stored(part: DapPart, answer: xr.Dataset) -> Iterator[memoryview]:
    """The bytes of a part's values: little-endian, texts behind their lengths."""
    variable, values = part.variable, part.values(answer.variables)
    assert values is not None, "what is written in chunks is in memory"
    for some in flat_parts(values):
        if variable.is_text:
            texts = [pack("<q", len(text)) + text for text in until_cancelled(variable.texts(some))]
            yield memoryview(b"".join(texts))
            continue
        yield bytes_of(variable.numbers(some), variable.dtype.newbyteorder("<"))


def _chunks(piece: memoryview) -> Iterator[bytes]:
    """The piece as a chunk, or as several where it is longer than one may be."""
    for start in range(0, len(piece), _MOST_CHUNK):
        part = piece[start : start + _MOST_CHUNK]
        yield pack(">I", _LITTLE_ENDIAN << 24 | len(part)) + bytes(part)


def _bytes(schema: AnswerSchema) -> int:
    """What an answer counts for, in bytes."""
    return sum(math.prod(v.shape) * v.dtype.itemsize for v in schema.variables.values())
