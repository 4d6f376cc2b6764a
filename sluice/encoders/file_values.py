"""How values lie in a file: in one piece, in chunks, or record by record; and their bytes.

Below are the chunks of an array of HDF5: where these lie, and what they have been through. Roman
numerals are sections of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import pack
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, record
from sluice.encoders.hdf5 import NOWHERE

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the values of a variable lie in a file: `length` bytes from `start` on, in C order.

    With `chunks`, of so many values along each dimension, they lie chunk by chunk: chunks in C
    order, and values in each. Those at the edge are whole, filled up with `fill` or zero. Values
    have the byte order of this machine, or are big-endian.
    """

    start: int
    length: int
    chunks: tuple[int, ...] | None
    fill: object
    big_endian: bool = False

    def parts(self, values: Array) -> Iterator[Array]:
        """The parts in which values are written: all rows at once, or chunk by chunk."""
        if self.chunks is None:
            yield values
            return
        counts = [-(-n // chunk) for n, chunk in zip(values.shape, self.chunks, strict=True)]
        for place in np.ndindex(*counts):
            starts = [number * chunk for number, chunk in zip(place, self.chunks, strict=True)]
            yield values[tuple(slice(s, s + c) for s, c in zip(starts, self.chunks, strict=True))]

    def in_file(self, part: Array) -> Array:
        """One of the `parts` as 1-D bytes of the file; a chunk at the edge is filled up."""
        if self.big_endian:
            part = np.asarray(part, part.dtype.newbyteorder(">"))
        if self.chunks is not None and part.shape != self.chunks:
            fill = part.dtype.type() if self.fill is None else self.fill
            whole = np.full(self.chunks, fill, part.dtype)
            whole[tuple(slice(length) for length in part.shape)] = part
            part = whole
        return np.ascontiguousarray(part).reshape(-1).view("u1")

    def stored(self, values: Array) -> Iterator[memoryview]:
        """The bytes of rows, or with chunks of a box of whole ones, in the order of the file."""
        for part in self.parts(values):
            yield self.in_file(part).data


@dataclass(frozen=True, slots=True)
class Records(Generic[K]):
    """Values that lie row by row: `count` records of `nbytes` each, from `start` on.

    A record has one row of each variable, big-endian, from its place in `places` on.
    """

    start: int
    count: int
    nbytes: int
    places: Mapping[K, int]

    @property
    def length(self) -> int:
        """The bytes of all records."""
        return self.count * self.nbytes

    def stored(self, rows: Sequence[Array]) -> memoryview:
        """The bytes of some records, from the same rows of each variable, ordered as `places`."""
        written = np.zeros((len(rows[0]), self.nbytes), "u1")
        for values, place in zip(rows, self.places.values(), strict=True):
            ordered = np.ascontiguousarray(values, values.dtype.newbyteorder(">"))
            own = ordered.reshape(len(written), -1).view("u1")
            written[:, place : place + own.shape[1]] = own
        return written.reshape(-1).data


@dataclass(frozen=True, slots=True)
class FileLayout:
    """A file but for its values: its first bytes, its size, and where each variable's values lie.

    `extents` are in the order of the file, each from a multiple of eight bytes on (four, where they
    are big-endian); those of no length, and of text, which is in the `metadata`, are not among
    them. Behind them are the `records`. Where values are compressed, `settled` gives the metadata
    once it is known where they are, and how long the file is.
    """

    metadata: bytes
    size: int
    extents: Mapping[str, Extent]
    records: Records[str] | None = None
    settled: Callable[[Mapping[str, Places], int], bytes] | None = None


class ValueWriter:
    """Writes the values of a file in its order; each call yields the bytes that come next."""

    def __init__(self, layout: FileLayout) -> None:
        self._extents = deque(layout.extents.items())
        self._left = self._extents[0][1].length if self._extents else 0

    def put(self, name: str, values: Array) -> Iterator[memoryview]:
        """The bytes of the next values of a variable, in the type of the file.

        Without chunks that is any number of them in C order, such as rows; else a box of whole
        chunks which follow each other in the file. Raises `ValueError` for values that are not
        next, once the bytes are asked for.
        """
        if not values.size:
            return
        if not self._extents or self._extents[0][0] != name:
            raise ValueError(f"the values of {name} are not the next ones of the file")
        extent = self._extents[0][1]
        for part in extent.stored(values):
            self._left -= len(part)
            if self._left < 0:
                raise ValueError(f"{name} has more values than its place in the file")
            yield part
        if not self._left:
            yield memoryview(bytes(-extent.length % 8))
            self._extents.popleft()
            self._left = self._extents[0][1].length if self._extents else 0

    def finish(self) -> None:
        """Raises `ValueError` where values are still to come."""
        if self._extents:
            raise ValueError(f"{self._left} bytes of {self._extents[0][0]} are missing")


# Chunks of arrays without a value yet, along a dimension that grows: their bytes, and if it is the
# only dimension, their values.
_CHUNK_BYTES: Final = 2**20
_LONE_CHUNK: Final = 512
# Twice the rank of the B-trees of chunks, where a file does not say (H5Pset_istore_k).
_NODE_ENTRIES: Final = 64
# The filters and their numbers (IV.A.2.l).
_DEFLATE, _SHUFFLE = 1, 2
# The usual level of xarray and the tools of NetCDF; level 9 takes many times as long.
_LEVEL: Final = 4
# Compressed bytes depend on the library: see `Encoder.writer`.
ZLIB: Final = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"


@record
class Places:
    """Where the chunks of an array lie in the file, in C order, and how many bytes each has."""

    starts: NDArray[np.uint64]
    nbytes: NDArray[np.uint64]

    @classmethod
    def in_line(cls, start: int, length: int, count: int) -> Places:
        """`count` chunks of one size in a row from `start` on, of `length` bytes together."""
        each = length // count
        # (As 64 bits: what has no chunks counts as one, which can be larger than 4 GiB.)
        return cls(
            start + np.arange(count, dtype="u8") * np.uint64(each), np.full(count, each, "u8")
        )


def pipeline(size: int) -> bytes:
    """The filter pipeline message for `deflated` values of `size` bytes each (IV.A.2.l)."""
    shuffle = pack("<HHHI", _SHUFFLE, 1, 1, size) if size > 1 else b""
    return pack("<BB", 2, 1 + bool(shuffle)) + shuffle + pack("<HHHI", _DEFLATE, 1, 1, _LEVEL)


def deflated(content: Array, size: int) -> bytes:
    """A chunk's 1-D bytes shuffled and deflated; its values have `size` bytes each.

    Shuffled, the first bytes of all values come first, then all second ones, and so on (HDF5
    reference, H5Pset_shuffle and H5Pset_deflate).
    """
    shuffled = content.reshape(-1, size).T if size > 1 else content
    return zlib.compress(np.ascontiguousarray(shuffled).data, _LEVEL)


def growing_chunks(shape: Sequence[int], size: int) -> list[int]:
    """The chunk shape of an array that has no value yet; one along most dimensions that grow."""
    if len(shape) == 1:
        return [_LONE_CHUNK]
    room, lengths = _CHUNK_BYTES // size, []
    for length in reversed(shape):
        lengths.append(max(min(length, room), 1))
        room //= lengths[-1]
    return lengths[::-1]


def chunk_counts(shape: Sequence[int], chunks: Sequence[int]) -> list[int]:
    """How many chunks there are along each dimension."""
    return [-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True)]


def index_bytes(chunks: int, rank: int) -> int:
    """The bytes of the `chunk_index` of so many chunks of an array of `rank` dimensions."""
    nodes = level = -(-chunks // _NODE_ENTRIES)
    while level > 1:
        level = -(-level // _NODE_ENTRIES)
        nodes += level
    return nodes * _node_bytes(rank)


def chunk_index(
    address: int, places: Places, shape: Sequence[int], chunks: Sequence[int], size: int
) -> tuple[bytes, int]:
    """A B-tree, version 1, of chunks in C order that lie in these `places` (III.A.1).

    All chunks have `size` bytes per value and are whole, those at the edge, too. Returns the tree,
    which lies at `address`, and the address of its root.
    """
    entries = _chunk_entries(places, shape, chunks)
    end = entries[-1:].copy()
    end["bytes"], end["offsets"] = 0, end["offsets"] + np.array([*chunks, size], "u8")
    tree, level = b"", 0
    while True:
        start = address + len(tree)
        tree += _nodes(start, level, entries, end)
        # A node's entry in the level above has the first key of the node.
        entries, level = entries[::_NODE_ENTRIES].copy(), level + 1
        entries["child"] = start + np.arange(len(entries), dtype="u8") * _node_bytes(len(shape))
        if len(entries) == 1:
            return tree, start


def _chunk_entries(places: Places, shape: Sequence[int], chunks: Sequence[int]) -> NDArray[np.void]:
    """Key and address of each chunk; the last of its offsets is that within an element."""
    grid = chunk_counts(shape, chunks)
    count = math.prod(grid)
    key = [("bytes", "<u4"), ("mask", "<u4"), ("offsets", "<u8", len(grid) + 1)]
    entries = np.zeros(count, [*key, ("child", "<u8")])
    entries["bytes"], entries["child"] = places.nbytes, places.starts
    numbers = np.indices(grid).reshape(len(grid), count).T
    entries["offsets"][:, :-1] = numbers * np.array(chunks)
    return entries


def _nodes(address: int, level: int, entries: NDArray[np.void], end: NDArray[np.void]) -> bytes:
    """The nodes of one level; each ends with the next one's first key, the last with `end`."""
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
    """The bytes of a node, full or not: a head, and keys before, between and behind addresses."""
    return 24 + 8 * _NODE_ENTRIES + (8 + 8 * (rank + 1)) * (_NODE_ENTRIES + 1)
