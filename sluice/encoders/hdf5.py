"""The parts of an HDF5 file, from the values and addresses that they hold.

Roman numerals are sections of the HDF5 File Format Specification, version 3.0. Addresses and
lengths have eight bytes. Nothing here decides where anything lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import pack, pack_into, unpack_from
from typing import Final

import numpy as np
from numcodecs.jenkins import jenkins_lookup3
from numpy.typing import NDArray

from sluice.aliases import DType

NOWHERE: Final = 2**64 - 1
# How long a dimension that can grow may become.
UNLIMITED: Final = 2**64 - 1
# Of arrays that grow along a dimension that has no length yet.
_CHUNK_BYTES: Final = 2**20
_LONE_CHUNK: Final = 512
# Twice the rank of the B-trees of chunks, where a file does not say (H5Pset_istore_k).
_NODE_ENTRIES: Final = 64
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
_GROUP, _ATTRIBUTE, _ATTRIBUTES = 0x0A, 0x0C, 0x15


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
) -> ArrayHeader:
    """The header of an array in chunks, which can grow to `most` (IV.A.2.i, class 2).

    It points to the B-tree of its chunks; at `NOWHERE` there is none, and all values are the fill.
    """
    (size,) = unpack_from("<I", kind, 4)
    # Room is found for one chunk after the other.
    filled = pack("<BBI", 3, 0x2B, len(fill)) + fill if fill else b"\x03\x0b"
    layout = pack(f"<BBBQ{len(shape)}II", 3, 2, len(shape) + 1, NOWHERE, *chunks, size)
    return _array(dataspace(shape, most), kind, filled, layout, attributes)


def growing_chunks(shape: Sequence[int], size: int) -> list[int]:
    """Chunks of an array without a value: one along what grows, more if nothing else does not."""
    if len(shape) == 1:
        return [_LONE_CHUNK]
    room, lengths = _CHUNK_BYTES // size, []
    for length in reversed(shape):
        lengths.append(max(min(length, room), 1))
        room //= lengths[-1]
    return lengths[::-1]


def _array(
    space: bytes, kind: bytes, filled: bytes, layout: bytes, attributes: Sequence[bytes]
) -> ArrayHeader:
    before = ((_DATASPACE, space), (_DATATYPE, kind), (_FILL, filled))
    content = _header((*before, (_LAYOUT, layout)), attributes)
    # Signature, version, flags and length; each message has a head; the address is the last but
    # the lengths in its own.
    start = 10 + 6 + sum([6 + len(message) for _, message in before])
    return ArrayHeader(bytearray(content), start + layout.index(pack("<Q", NOWHERE)))


def chunk_counts(shape: Sequence[int], chunks: Sequence[int]) -> list[int]:
    """How many chunks there are along each dimension."""
    return [-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True)]


def index_bytes(chunks: int, rank: int) -> int:
    """How long the index of so many chunks, of arrays of `rank` dimensions, is."""
    nodes = level = -(-chunks // _NODE_ENTRIES)
    while level > 1:
        level = -(-level // _NODE_ENTRIES)
        nodes += level
    return nodes * _node_bytes(rank)


def chunk_index(
    address: int, first: int, shape: Sequence[int], chunks: Sequence[int], size: int
) -> tuple[bytes, int]:
    """A B-tree, version 1, of chunks that lie one behind the other from `first` on (III.A.1).

    They are in C order, none is filtered, and those at the edge are as long as the others. The tree
    lies at `address`; where its root is comes second.
    """
    entries = _chunk_entries(first, shape, chunks, size)
    end = entries[-1:].copy()
    end["bytes"], end["offsets"] = 0, end["offsets"] + np.array([*chunks, size], "u8")
    tree, level = b"", 0
    while True:
        start = address + len(tree)
        tree += _nodes(start, level, entries, end)
        # The first key of each node leads to it.
        entries, level = entries[::_NODE_ENTRIES].copy(), level + 1
        entries["child"] = start + np.arange(len(entries), dtype="u8") * _node_bytes(len(shape))
        if len(entries) == 1:
            return tree, start


def _chunk_entries(
    first: int, shape: Sequence[int], chunks: Sequence[int], size: int
) -> NDArray[np.void]:
    """Key and address of each chunk; the last of its offsets is that within an element."""
    grid = chunk_counts(shape, chunks)
    count, chunk_bytes = math.prod(grid), math.prod(chunks) * size
    key = [("bytes", "<u4"), ("mask", "<u4"), ("offsets", "<u8", len(grid) + 1)]
    entries = np.zeros(count, [*key, ("child", "<u8")])
    entries["bytes"] = chunk_bytes
    places = np.indices(grid).reshape(len(grid), count).T
    entries["offsets"][:, :-1] = places * np.array(chunks)
    entries["child"] = first + np.arange(count, dtype="u8") * chunk_bytes
    return entries


def _nodes(address: int, level: int, entries: NDArray[np.void], end: NDArray[np.void]) -> bytes:
    """The nodes of one level; the key behind the last child of each is the next one's first."""
    node_bytes = _node_bytes(entries["offsets"].shape[1] - 1)
    starts = range(0, len(entries), _NODE_ENTRIES)
    behind = np.concatenate([entries[_NODE_ENTRIES::_NODE_ENTRIES], end])
    nodes: list[bytes] = []
    for number, start in enumerate(starts):
        own, place = entries[start : start + _NODE_ENTRIES], address + number * node_bytes
        left = place - node_bytes if number else NOWHERE
        right = place + node_bytes if number + 1 < len(starts) else NOWHERE
        head = pack("<4sBBHQQ", b"TREE", 1, level, len(own), left, right)
        node = head + own.tobytes() + behind[number : number + 1].tobytes()[:-8]
        nodes.append(node.ljust(node_bytes, b"\0"))
    return b"".join(nodes)


def _node_bytes(rank: int) -> int:
    """Nodes have room for all entries: keys before, between and behind the addresses."""
    return 24 + 8 * _NODE_ENTRIES + (8 + 8 * (rank + 1)) * (_NODE_ENTRIES + 1)


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
    for content in contents:
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
