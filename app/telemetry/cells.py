"""The numbers of one process, in memory that outlives it and that others of its server read.

Each process has a region of its own in one file. A region begins with whether its process lives
and how many bytes of records follow; a record is the length of a key, a number of cells, the key,
and the cells, each a float64 in the machine's order. Nothing is locked: one event loop writes, and
the length is written after the record that it covers.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from collections.abc import Container, Iterator
from math import nan
from typing import Final, TypeAlias

log = logging.getLogger(__name__)

Numbers: TypeAlias = "memoryview[float]"

# Memory that is not written to is not taken; see `families` for what bounds the records.
REGION_BYTES: Final = 4 * 2**20

_HEADER: Final = struct.Struct("QQ")
_LENGTHS: Final = struct.Struct("II")
_ALIVE, _USED = 0, 1


class Cells:
    """The region of one process: cells by key, which begin with 0.

    A process that takes another's place goes on with what that one has counted; the gauges, which
    are named, are NaN until they are set.
    """

    def __init__(self, gauges: Container[str] = (), region: mmap.mmap | None = None) -> None:
        region = region or mmap.mmap(-1, REGION_BYTES)
        memory = memoryview(region)
        self._header = memory[: _HEADER.size].cast("Q")
        self._records = memory[_HEADER.size :]
        self._found = dict(self._taken_over(gauges))
        self._full = False
        self._header[_ALIVE] = 1

    @classmethod
    def at(cls, counts: int, place: int, gauges: Container[str] = ()) -> Cells:
        """The region of this place in the file `counts`."""
        return cls(gauges, mmap.mmap(counts, REGION_BYTES, offset=place * REGION_BYTES))

    def find(self, key: bytes, size: int) -> Numbers:
        """The cells of this key, so many; where no room is left, some that nobody will read."""
        cells = self._found.get(key)
        if cells is None:
            cells = self._found[key] = self._add(key, size)
        return cells

    def read(self) -> bytes:
        """The records, as `records` takes them apart."""
        return bytes(self._records[: self._header[_USED]])

    def _add(self, key: bytes, size: int) -> Numbers:
        key += b" " * (-len(key) % 8)
        begin = self._header[_USED] + _LENGTHS.size + len(key)
        end = begin + 8 * size
        if end > len(self._records):
            if not self._full:
                log.warning("there is no room for more metrics: further ones are not counted")
            self._full = True
            return memoryview(bytearray(8 * size)).cast("d")
        self._records[begin - len(key) : begin] = key
        _LENGTHS.pack_into(self._records, self._header[_USED], len(key), size)
        self._header[_USED] = end
        return self._records[begin:end].cast("d")

    def _taken_over(self, gauges: Container[str]) -> Iterator[tuple[bytes, Numbers]]:
        for key, begin, end in _spans(self._records[: self._header[_USED]]):
            cells = self._records[begin:end].cast("d")
            if name_of(key) in gauges:
                cells[0] = nan
            yield key, cells


def name_of(key: bytes) -> str:
    """The metric that the cells of this key belong to."""
    return str(key.partition(b"\0")[0], "ascii")


def records(data: bytes) -> Iterator[tuple[bytes, tuple[float, ...]]]:
    """Each key of a region, and its cells."""
    for key, begin, end in _spans(data):
        yield key, struct.unpack(f"{(end - begin) // 8}d", data[begin:end])


def _spans(data: bytes | memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Each key, and where its cells begin and end."""
    position = 0
    while position < len(data):
        length, size = _LENGTHS.unpack_from(data, position)
        begin = position + _LENGTHS.size + length
        position = begin + 8 * size
        yield bytes(data[begin - length : begin]).rstrip(b" "), begin, position


def make_room(counts: int, places: int) -> None:
    """Let the file `counts` have regions for so many places; raises OSError where it cannot."""
    size = places * REGION_BYTES
    if os.fstat(counts).st_size < size:
        os.truncate(counts, size)


def leave(counts: int, place: int) -> None:
    """The process of this place has ended: its counters stay, and its gauges tell nothing."""
    os.pwrite(counts, struct.pack("Q", 0), place * REGION_BYTES)


def read_all(counts: int) -> Iterator[tuple[bool, bytes]]:
    """Of each region in the file: whether its process lives, and its records."""
    for place in range(os.fstat(counts).st_size // REGION_BYTES):
        begin = place * REGION_BYTES
        alive, used = _HEADER.unpack(os.pread(counts, _HEADER.size, begin))
        yield bool(alive), os.pread(counts, used, begin + _HEADER.size)
