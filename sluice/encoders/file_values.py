"""How values lie in a file: in one piece, in chunks, or record by record; and their bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from sluice.aliases import Array
from sluice.encoders.hdf5_chunks import Places

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the values of a variable lie in a file: so many bytes from `start` on, in C order.

    With `chunks` each of them is in C order, and so are they; what is missing at the edge is there
    as well, as the `fill` or zero. Values have the byte order of this machine or are big-endian.
    """

    start: int
    length: int
    chunks: tuple[int, ...] | None
    fill: object
    big_endian: bool = False

    def parts(self, values: Array) -> Iterator[Array]:
        """A part of the values as it lies in the file: rows, or chunks of a box of whole ones."""
        if self.chunks is None:
            yield values
            return
        counts = [-(-n // chunk) for n, chunk in zip(values.shape, self.chunks, strict=True)]
        for place in np.ndindex(*counts):
            starts = [number * chunk for number, chunk in zip(place, self.chunks, strict=True)]
            yield values[tuple(slice(s, s + c) for s, c in zip(starts, self.chunks, strict=True))]

    def in_file(self, part: Array) -> Array:
        """One of the `parts` in the bytes of the file, filled up where it is no whole chunk."""
        if self.big_endian:
            part = np.asarray(part, part.dtype.newbyteorder(">"))
        if self.chunks is not None and part.shape != self.chunks:
            fill = part.dtype.type() if self.fill is None else self.fill
            whole = np.full(self.chunks, fill, part.dtype)
            whole[tuple(slice(length) for length in part.shape)] = part
            part = whole
        return np.ascontiguousarray(part).reshape(-1).view("u1")

    def stored(self, values: Array) -> Iterator[memoryview]:
        """The bytes of a part of the values: rows, or with chunks a box of whole ones."""
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
        """The bytes of some records, from the same rows of each variable in their order."""
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
    """Takes the values of a file in its order, and gives the bytes behind those given before."""

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
