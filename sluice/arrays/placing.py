"""Where the chunks of one reading go: into one preallocated output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from sluice.aliases import Array
from sluice.arrays.chunk_cache import ABSENT, Chunk
from sluice.arrays.metadata import ArrayMeta
from sluice.arrays.plan import ArrayPlan, ChunkRead
from sluice.arrays.text_chunks import TextDecoder
from sluice.arrays.texts import TextMeter
from sluice.arrays.workshop import Shares
from sluice.sizes import text_bytes, text_lengths

Place: TypeAlias = Callable[[ChunkRead, Chunk], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one array: the order of its output's axes, and where its chunks go.

    The `meter` counts the texts, where the array has texts and somebody wants them counted.
    """

    meta: ArrayMeta
    order: Sequence[int]
    place: Place
    out: Array
    points: bool
    meter: TextMeter | None
    shares: Shares = field(default_factory=Shares)


def placing(meta: ArrayMeta, plan: ArrayPlan, out: Array) -> Place:
    """What puts each chunk's part into `out`, the buffer of `plan`."""

    def place(read: ChunkRead, chunk: Chunk) -> None:
        if chunk is ABSENT:
            out[read.into] = meta.fill
        elif plan.points is None:
            out[read.into] = chunk[read.take]
        else:
            out[read.into] = chunk.transpose(plan.order)[read.take]

    return place


def part_bytes(reading: Reading, read: ChunkRead, chunk: Chunk) -> int:
    """The bytes of the texts that `read` takes of its chunk.

    They are not copied: positions, and a fill value, may be asked for again and again.
    """
    if chunk is ABSENT:
        fill = np.asarray(reading.meta.fill, dtype=reading.meta.dtype)
        # One value, of an array without dimensions, comes as itself.
        return text_bytes(fill) * np.size(reading.out[read.into])
    ordered = chunk.transpose(reading.order) if reading.points else chunk
    if chunk.dtype.kind == "O" or all(isinstance(key, slice) for key in read.take):
        return text_bytes(np.asarray(ordered[read.take], dtype=chunk.dtype))
    lengths = text_lengths(ordered).reshape(ordered.shape)
    return int(lengths[read.take].sum())


def encoded_part_bytes(
    reading: Reading, read: ChunkRead, decoder: TextDecoder, encoded: Any
) -> int:
    """The bytes of UTF-8 that `read` takes of a chunk of which no text was made yet."""
    lengths = decoder.lengths(encoded)
    ordered = lengths.transpose(reading.order) if reading.points else lengths
    return int(ordered[read.take].sum())
