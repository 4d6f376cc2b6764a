"""One reading of one array: its chunks are decoded and placed, and its texts are counted.

Decoding and placing large chunks takes its turns in a `DecodePool`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias, TypeVar

import numpy as np

from sluice.aliases import Array
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.chunk_cache import ABSENT, Chunk
from sluice.arrays.chunk_decoders import SHORT_TEXT_BYTES
from sluice.arrays.chunk_parts import Span
from sluice.arrays.codec_table import Data
from sluice.arrays.plan import ChunkRead, ReadPlan
from sluice.arrays.reader import DecodePool
from sluice.arrays.texts import TextDecoder, TextMeter, text_bytes, text_lengths
from sluice.errors import CorruptChunk
from sluice.instrumentation import phase
from sluice.scheduler import Flow

Made = TypeVar("Made")

# What counting one text costs, in bytes that Zstandard decodes in that time.
_COUNTING_COST: Final = 64
# The cost of inflating a chunk of unknown length: too long for the loop.
_UNKNOWN_BYTES: Final = 2**40

# Copies what a `ChunkRead` takes of its chunk into the output.
Place: TypeAlias = Callable[[ChunkRead, Chunk], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one array into the output `out`, in which `place` puts each chunk's part.

    `order` and `points` are as in the plan: the order of the output's axes, and whether it is read
    point by point. `meter` counts texts, None if they need not be counted. A `wide` reading touches
    more chunks than the cache would keep for it; of one in `passing` (a part of a streamed answer)
    chunks are kept only where nobody else needs the room. Its fetches and its decoding are `Flow`s
    of their own.
    """

    meta: ArrayMeta
    order: Sequence[int]
    place: Place
    out: Array
    points: bool
    meter: TextMeter | None
    wide: bool = False
    passing: bool = False
    fetching: Flow = field(default_factory=Flow)
    decoding: Flow = field(default_factory=Flow)


def placing(meta: ArrayMeta, plan: ReadPlan, out: Array) -> Place:
    """The `Place` of `plan`, whose buffer is `out`; absent chunks are the fill value."""

    def place(read: ChunkRead, chunk: Chunk) -> None:
        if chunk is ABSENT:
            out[read.into] = meta.fill
        elif plan.points is None:
            out[read.into] = chunk[read.take]
        else:
            out[read.into] = chunk.transpose(plan.order)[read.take]

    return place


def part_bytes(reading: Reading, read: ChunkRead, chunk: Chunk) -> int:
    """The bytes of the texts that `read` takes of its chunk (see `text_bytes`).

    Counted without a copy of them, which repeated positions could make arbitrarily large.
    """
    if chunk is ABSENT:
        fill = np.asarray(reading.meta.fill, dtype=reading.meta.dtype)
        # (Of an array without dimensions `out` gives a scalar, which has no size of its own.)
        return text_bytes(fill) * np.size(reading.out[read.into])
    ordered = chunk.transpose(reading.order) if reading.points else chunk
    if chunk.dtype.kind == "O" or all(isinstance(key, slice) for key in read.take):
        return text_bytes(np.asarray(ordered[read.take], dtype=chunk.dtype))
    lengths = text_lengths(ordered).reshape(ordered.shape)
    return int(lengths[read.take].sum())


def encoded_part_bytes(
    reading: Reading, read: ChunkRead, decoder: TextDecoder, encoded: Data
) -> int:
    """The bytes of UTF-8 that `read` takes of an encoded chunk, before any text is decoded."""
    lengths = decoder.lengths(encoded)
    ordered = lengths.transpose(reading.order) if reading.points else lengths
    return int(ordered[read.take].sum())


async def count_texts(pool: DecodePool, flow: Flow, values: Array) -> int:
    """The bytes of the texts in `values` (see `text_bytes`); in a thread if there are many."""
    return await pool.run(flow, text_bytes, values, _COUNTING_COST * values.size)


async def put_part(pool: DecodePool, reading: Reading, read: ChunkRead, chunk: Chunk) -> None:
    """Place what `read` takes of its chunk; its texts are counted before they are copied.

    Large parts are placed in the decode pool, ahead of decoding: a placed chunk frees its memory.
    """
    if reading.meter is not None:
        cost = 0 if chunk is ABSENT else _COUNTING_COST * chunk.size
        work = partial(part_bytes, reading, read)
        reading.meter.take(await pool.run(reading.decoding, work, chunk, cost))
    if reading.meta.chunk_bytes <= pool.inline_bytes or reading.meta.dtype.kind in "OT":
        reading.place(read, chunk)
    else:
        nbytes = _taken(read) * reading.meta.dtype.itemsize
        # A new flow has the next turn.
        await pool.run(Flow(), partial(reading.place, read), chunk, nbytes)


def _taken(read: ChunkRead) -> int:
    """About how many values `read` takes."""
    counts = [
        within.size if isinstance(within, np.ndarray) else within.stop - within.start
        for within in read.take
    ]
    return math.prod(counts)


@contextmanager
def naming(key: str) -> Iterator[None]:
    """A CorruptChunk of the block is raised with the chunk's `key` in its message."""
    try:
        yield
    except CorruptChunk as error:
        raise CorruptChunk(f"{key!r}: {error.detail}") from error


async def decode_chunk(
    pool: DecodePool, reading: Reading, read: ChunkRead, key: str, data: bytes
) -> Array:
    """The values of the chunk `key`, in the shape of a chunk; `read` takes some of them.

    Raises:
        CorruptChunk: `data` cannot be decoded to such a chunk; names the key.
        LimitError: `read` takes more text of it than its reading may have; none was decoded.
    """
    meta = reading.meta
    assert meta.decoder is not None
    with naming(key), phase("decode"):
        if isinstance(meta.decoder, TextDecoder):
            return await _decode_texts(pool, reading, read, meta.decoder, data)
        cost = meta.decode_cost * meta.chunk_bytes
        return await pool.run(reading.decoding, meta.decoder, data, cost)


async def decode_part(
    pool: DecodePool, reading: Reading, span: Span, key: str, data: bytes
) -> Array:
    """A chunk with values in `span` alone; arguments and errors as of `decode_chunk`."""
    part = reading.meta.part
    assert part is not None
    with naming(key), phase("decode"):
        work, cost = partial(part.chunk, span), part.cost(span, data)
        return await pool.run(reading.decoding, work, data, cost)


async def _decode_texts(
    pool: DecodePool, reading: Reading, read: ChunkRead, decoder: TextDecoder, data: bytes
) -> Array:
    """A chunk of texts, whose size is known once it is inflated: on the loop if that is short."""
    texts = reading.meta.texts
    assert texts is not None

    def make(encoded: Data) -> tuple[Array, int]:
        size = decoder.size(encoded)
        if reading.meter is not None:
            part = partial(encoded_part_bytes, reading, read, decoder, encoded)
            reading.meter.foresee(size, part)
        return decoder.values(encoded), size

    short = _short(pool, reading, decoder, data)
    if short is not None:
        cost = _COUNTING_COST * decoder.count + len(short)
        chunk, found = await pool.run(reading.decoding, make, short, cost)
    else:
        work = partial(_whole, decoder, make)
        chunk, found = await pool.run(reading.decoding, work, data, _UNKNOWN_BYTES)
    texts.see(found, decoder.count)
    if reading.meter is not None:
        reading.meter.decode(found)
    return chunk


def _whole(decoder: TextDecoder, make: Callable[[Data], Made], data: bytes) -> Made:
    return make(decoder.inflate(data))


def _short(pool: DecodePool, reading: Reading, decoder: TextDecoder, data: bytes) -> Data | None:
    """The encoded form of a chunk that inflates to little; None for others."""
    most = max(len(data), reading.meta.decode_cost * SHORT_TEXT_BYTES)
    if most > pool.inline_bytes:
        return None
    try:
        return decoder.inflate_short(data)
    except CorruptChunk:  # it is long; or damaged, which the pool finds again
        return None
