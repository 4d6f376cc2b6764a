"""Uncompressed chunks of which little is asked: the stretch of bytes to read instead of the whole.

Pure arithmetic over a chunk in C order; the reader decides when a stretch is worth a request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sluice.aliases import Array, DType
from sluice.arrays.code_points import check_code_points
from sluice.arrays.projections import Within
from sluice.errors import CorruptChunk


@dataclass(frozen=True, slots=True)
class Span:
    """Elements `first` to `end` (exclusive) of a chunk whose elements lie in C order."""

    first: int
    end: int

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self.end - self.first

    def chunk(self, data: bytes, dtype: DType, shape: tuple[int, ...]) -> Array:
        """A chunk of `shape` that has the values of `data` in this span, and anything elsewhere.

        Raises CorruptChunk if `data` has not the span's size, or is no text where `dtype` is.
        """
        if len(data) != self.size * dtype.itemsize:
            raise CorruptChunk(f"a chunk of {math.prod(shape)} values ends early")
        # Memory that is never written is never really taken, however large the chunk is.
        chunk = np.empty(shape, dtype)
        values = np.frombuffer(data, np.uint8).view(dtype)
        chunk.reshape(-1)[self.first : self.end] = check_code_points(values)
        return chunk


def touched_span(shape: Sequence[int], order: Sequence[int], take: Sequence[Within]) -> Span:
    """The shortest span that holds every corner of ``chunk.transpose(order)[take]``.

    So it holds all of its elements, whether several lists in `take` are a mesh or points.
    """
    low, high = [0] * len(shape), [0] * len(shape)
    for axis, within in zip(order, take, strict=True):
        low[axis], high[axis] = _bounds(within)
    steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    first = sum(at * step for at, step in zip(low, steps, strict=True))
    last = sum(at * step for at, step in zip(high, steps, strict=True))
    return Span(first, last + 1)


def _bounds(within: Within) -> tuple[int, int]:
    """The least and the greatest of the positions, of which there is at least one."""
    if isinstance(within, slice):
        positions = range(within.start, within.stop, within.step or 1)
        return positions[0], positions[-1]
    return int(within.min()), int(within.max())
