"""An HDF5 file in memory: pieces one behind the other, and heaps of what has no fixed length.

Roman numerals are sections of the HDF5 File Format Specification, version 3.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from struct import pack
from typing import Any, Final

from sluice.encoders.hdf5_messages import NOWHERE, checked

_SUPERBLOCK_BYTES: Final = 48
_LEAST_COLLECTION_BYTES: Final = 4_096
# A reader holds the whole collection to get at one object of it.
_MOST_COLLECTION_BYTES: Final = 65_536


class File:
    """The pieces placed so far; the next will lie at `end`, a multiple of eight."""

    def __init__(self) -> None:
        self.end = _SUPERBLOCK_BYTES
        self._pieces: list[Any] = [b""]

    def place(self, piece: Any) -> int:
        """Adds bytes, or an array of them, which may change until the end; its address."""
        address, length = self.end, len(piece)
        self._pieces += (piece, bytes(-length % 8))
        self.end += length + -length % 8
        return address

    def finish(self, root: int) -> list[memoryview]:
        """The pieces of the file, whose root group has its header at the address `root`."""
        # Version 2, offsets and lengths of eight bytes, no extension (II.B).
        signature = b"\x89HDF\r\n\x1a\n"
        superblock = pack("<8s4B4Q", signature, 2, 8, 8, 0, 0, NOWHERE, self.end, root)
        self._pieces[0] = checked(superblock)
        return [memoryview(piece) for piece in self._pieces]


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
