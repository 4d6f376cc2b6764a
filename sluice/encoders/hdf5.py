"""The parts of an HDF5 file, from the values and addresses that they hold.

Roman numerals are sections of the HDF5 File Format Specification, version 3.0. Addresses and
lengths have eight bytes. Nothing here decides where anything lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import pack, pack_into, unpack_from
from typing import Final

from numcodecs.jenkins import jenkins_lookup3

from sluice.aliases import DType
from sluice.concurrency import until_cancelled

NOWHERE: Final = 2**64 - 1
# How long a dimension that can grow may become.
UNLIMITED: Final = 2**64 - 1
# The value of an attribute, which shares the 64 KiB of a message with its name, type and shape.
ATTRIBUTE_BYTES: Final = 64_000
SUPERBLOCK_BYTES: Final = 48
# A shape without any value (IV.A.2.b).
NO_SPACE: Final = b"\x02\x00\x00\x02"
# How text of one length ends (IV.A.2.d, class 3).
TERMINATED, PADDED = 0x00, 0x01


def text_type(size: int, ending: int) -> bytes:
    """The datatype of ASCII text of `size` bytes."""
    return pack("<BB2xI", 0x13, ending, size)


def integer_type(size: int, bits: int) -> bytes:
    """The datatype of integers: bit 0 says that they are big-endian, bit 3 that they are signed."""
    return pack("<BB2xIHH", 0x10, bits, size, 0, 8 * size)


# More datatypes (IV.A.2.d): to an object, a list of those, and UTF-8 text of any length.
_REFERENCE: Final = pack("<B3xI", 0x17, 8)
REFERENCES: Final = pack("<B3xI", 0x19, 16) + _REFERENCE
TEXTS: Final = pack("<BBBxI", 0x19, 1, 1, 16) + integer_type(1, 0)
# What stands for a text in an array.
TEXT_BYTES: Final = 16
# Which array has a scale, and for which of its dimensions.
REFERRERS: Final = b"".join(
    (
        pack("<BHxI", 0x36, 2, 16),
        *(b"dataset\0", b"\0", _REFERENCE),
        *(b"dimension\0", b"\x08", integer_type(4, 0)),
    )
)
# Bytes -> where the sign, the exponent (and how long) and the mantissa of a float are; the bias.
_FLOATS: Final = {4: (31, 23, 8, 0, 23, 127), 8: (63, 52, 11, 0, 52, 1023)}

# Message types (IV.A.2).
_DATASPACE, _LINKS, _DATATYPE, _FILL, _LINK, _LAYOUT = 0x01, 0x02, 0x03, 0x05, 0x06, 0x08
_GROUP, _PIPELINE, _ATTRIBUTE, _ATTRIBUTES = 0x0A, 0x0B, 0x0C, 0x15


def datatype(dtype: DType) -> bytes:
    """The datatype of integers, IEEE floats of 4 or 8 bytes, byte strings, or (objects) text."""
    size, big = dtype.itemsize, dtype.str[0] == ">"
    match dtype.kind:
        case "i":
            return integer_type(size, 0x08 | big)
        case "u":
            return integer_type(size, big)
        case "f" if size in _FLOATS:
            sign, *places, bias = _FLOATS[size]
            head = pack("<BBBxI", 0x11, 0x20 | big, sign, size)
            return head + pack("<HH4BI", 0, 8 * size, *places, bias)
        case "S":
            return text_type(size, PADDED)
        case "O":
            return TEXTS
        case _:
            raise TypeError(f"HDF5 has no {dtype}")


def dataspace(shape: Sequence[int], most: Sequence[int] | None = None) -> bytes:
    """A shape and what it can grow to, itself if that is None; ``()`` is a scalar (IV.A.2.b)."""
    lengths = (*shape, *(most or ()))
    return pack(f"<4B{len(lengths)}Q", 2, len(shape), most is not None, bool(shape), *lengths)


def attribute(name: str, kind: bytes, space: bytes, data: bytes) -> bytes:
    """A named value of a datatype and dataspace (IV.A.2.m)."""
    key = name.encode() + b"\0"
    head = pack("<BBHHHB", 3, 0, len(key), len(kind), len(space), 1)
    return b"".join((head, key, kind, space, data))


@dataclass(frozen=True, slots=True)
class ArrayHeader:
    """The object header of an array; where its values, or the index of its chunks, lie is open."""

    content: bytearray
    _hole: int

    def point_to(self, address: int) -> None:
        """Fills in the address, and the checksum of all."""
        pack_into("<Q", self.content, self._hole, address)
        self.content[-4:] = checked(bytes(self.content[:-4]))[-4:]


def array_header(
    kind: bytes, shape: Sequence[int], length: int, fill: bytes, attributes: Sequence[bytes]
) -> ArrayHeader:
    """The header of an array whose values are one piece of `length` bytes (IV.A.2.i, class 1).

    At `NOWHERE` all its values are the `fill`, or zero where that is empty.
    """
    # Room is found when values are written, and filled before if there is a fill (IV.A.2.f).
    filled = pack("<BBI", 3, 0x2A, len(fill)) + fill if fill else b"\x03\x0a"
    layout = pack("<BBQQ", 3, 1, NOWHERE, length)
    return _array(dataspace(shape), kind, filled, layout, attributes)


def chunked_header(
    kind: bytes,
    shape: Sequence[int],
    most: Sequence[int],
    chunks: Sequence[int],
    fill: bytes,
    attributes: Sequence[bytes],
    pipeline: bytes = b"",
) -> ArrayHeader:
    """The header of an array in chunks, which can grow to `most` (IV.A.2.i, class 2).

    It points to the B-tree of its chunks; at `NOWHERE` there is none, and all values are the fill.
    Chunks have been through the filters of the `pipeline`.
    """
    (size,) = unpack_from("<I", kind, 4)
    # Room is found for one chunk after the other.
    filled = pack("<BBI", 3, 0x2B, len(fill)) + fill if fill else b"\x03\x0b"
    layout = pack(f"<BBBQ{len(shape)}II", 3, 2, len(shape) + 1, NOWHERE, *chunks, size)
    return _array(dataspace(shape, most), kind, filled, layout, attributes, pipeline)


def _array(
    space: bytes,
    kind: bytes,
    filled: bytes,
    layout: bytes,
    attributes: Sequence[bytes],
    pipeline: bytes = b"",
) -> ArrayHeader:
    before = ((_DATASPACE, space), (_DATATYPE, kind), (_FILL, filled))
    filters = [(_PIPELINE, pipeline)] if pipeline else []
    content = _header((*before, (_LAYOUT, layout), *filters), attributes)
    # Signature, version, flags and length; each message has a head; the address is the last but
    # the lengths in its own.
    start = 10 + 6 + sum([6 + len(message) for _, message in before])
    return ArrayHeader(bytearray(content), start + layout.index(pack("<Q", NOWHERE)))


def group_header(links: Sequence[tuple[str, int]], attributes: Sequence[bytes]) -> bytes:
    """The object header of a group, which remembers the order of the objects linked in it."""
    # All names are in the header itself, not in a heap and its trees (IV.A.2.c, IV.A.2.k).
    messages = [(_LINKS, pack("<BBQ", 0, 3, len(links)) + _no_heap()), (_GROUP, bytes(2))]
    messages += [(_LINK, _link(order, *link)) for order, link in enumerate(links)]
    return _header(messages, attributes)


def superblock(end: int, root: int) -> bytes:
    """The first bytes of a file of `end` bytes whose root group has its header at `root` (II.B)."""
    # Version 2, offsets and lengths of eight bytes, no extension.
    signature = b"\x89HDF\r\n\x1a\n"
    return checked(pack("<8s4B4Q", signature, 2, 8, 8, 0, 0, NOWHERE, end, root))


def checked(content: bytes) -> bytes:
    """The content and its checksum, Bob Jenkins' lookup3."""
    return content + pack("<I", jenkins_lookup3(content, 0))


def _link(order: int, name: str, address: int) -> bytes:
    """A hard link with its place in the order of creation (IV.A.2.g)."""
    key = name.encode()
    return pack("<BBQBH", 1, 0x15, order, 1, len(key)) + key + pack("<Q", address)


def _header(messages: Iterable[tuple[int, bytes]], attributes: Sequence[bytes]) -> bytes:
    """An object header, version 2, that remembers the order of its attributes (IV.A.1.b)."""
    known = pack("<BBH", 0, 3, len(attributes)) + _no_heap()
    body = [_message(kind, content) for kind, content in (*messages, (_ATTRIBUTES, known))]
    body += [_message(_ATTRIBUTE, content, order) for order, content in enumerate(attributes)]
    return checked(pack("<4sBBI", b"OHDR", 2, 0x0E, sum(map(len, body))) + b"".join(body))


def _message(kind: int, content: bytes, order: int = 0) -> bytes:
    constant = kind in (_DATATYPE, _FILL)
    return pack("<BHBH", kind, len(content), constant, order) + content


def _no_heap() -> bytes:
    """Neither heap nor trees by name and by order."""
    return pack("<QQQ", NOWHERE, NOWHERE, NOWHERE)


_LEAST_COLLECTION_BYTES: Final = 4_096
# A reader holds the whole collection to get at one object of it.
_MOST_COLLECTION_BYTES: Final = 65_536


def heap(
    address: int, contents: Sequence[bytes], element_bytes: int = 1
) -> tuple[bytearray, list[bytes]]:
    """What lies at an address to hold byte strings (III.E), and what stands for each in an array.

    The size and the latter depend on the lengths alone. An empty string is an object of no length,
    as the C library writes it: to stand for none at all would make it a NULL for readers in C.
    """
    collections, handles = bytearray(), []
    for batch in _batches(contents):
        start = address + len(collections)
        for index, content in enumerate(batch, 1):
            handles.append(pack("<IQI", len(content) // element_bytes, start, index))
        collections += _collection(batch)
    return collections, handles


def _batches(contents: Sequence[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    room = 0
    for content in until_cancelled(contents):
        room += 24 + len(content)
        if batch and room > _MOST_COLLECTION_BYTES:
            yield batch
            batch, room = [], 24 + len(content)
        batch.append(content)
    if batch:
        yield batch


def _collection(contents: list[bytes]) -> bytes:
    """A global heap collection; object 0 is the room that is left."""
    objects = [
        b"".join((pack("<HH4xQ", index, 0, len(content)), content, bytes(-len(content) % 8)))
        for index, content in enumerate(contents, 1)
    ]
    used = 16 + sum(map(len, objects))
    free = max(_LEAST_COLLECTION_BYTES - used, 0)
    rest = pack("<8xQ", free).ljust(free, b"\0") if free >= 16 else bytes(free)
    return b"".join((pack("<4sB3xQ", b"GCOL", 1, used + free), *objects, rest))
