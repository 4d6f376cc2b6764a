"""The bytes of one chunk -> its values, where the work belongs: on the loop, or in a thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from sluice.aliases import Array
from sluice.arrays.chunk_cache import ABSENT, Chunk
from sluice.arrays.decode import SHORT_TEXT_BYTES
from sluice.arrays.placing import Reading, encoded_part_bytes, part_bytes
from sluice.arrays.plan import ChunkRead
from sluice.arrays.text_chunks import TextDecoder
from sluice.arrays.workshop import Shares, Workshop
from sluice.errors import CorruptChunk
from sluice.phases import phase
from sluice.sizes import text_bytes

Made = TypeVar("Made")

# What counting one text costs, in bytes that Zstandard decodes meanwhile.
_COUNTING_EFFORT: Final = 64
# What is not short is too long for the loop.
_UNKNOWN_BYTES: Final = 2**40


async def count_texts(workshop: Workshop, shares: Shares, values: Array) -> int:
    """The bytes of the texts in `values`."""
    return await workshop.run(shares, text_bytes, values, _COUNTING_EFFORT * values.size)


async def count_part(workshop: Workshop, reading: Reading, read: ChunkRead, chunk: Chunk) -> int:
    """The bytes of the texts that `read` takes of its chunk."""
    cost = 0 if chunk is ABSENT else _COUNTING_EFFORT * chunk.size
    return await workshop.run(reading.shares, partial(part_bytes, reading, read), chunk, cost)


async def decode_chunk(
    workshop: Workshop, reading: Reading, read: ChunkRead, key: str, data: bytes
) -> Array:
    """The values of the chunk `key`, of which `read` wants some, in the shape of such chunks.

    Raises:
        CorruptChunk: the bytes are no such chunk; it names the key.
        LimitError: `read` takes more text of it than its reading may have; none was made.
    """
    meta = reading.meta
    assert meta.decoder is not None
    try:
        with phase("decode"):
            if isinstance(meta.decoder, TextDecoder):
                return await _decode_texts(workshop, reading, read, meta.decoder, data)
            cost = meta.effort * meta.chunk_bytes
            return await workshop.run(reading.shares, meta.decoder, data, cost)
    except CorruptChunk as error:
        raise CorruptChunk(f"{key!r}: {error.detail}") from error


async def _decode_texts(
    workshop: Workshop, reading: Reading, read: ChunkRead, decoder: TextDecoder, data: bytes
) -> Array:
    """A chunk of texts, whose size shows once it is inflated: on the loop if that is short."""
    texts = reading.meta.texts
    assert texts is not None

    def make(encoded: Any) -> tuple[Array, int]:
        size = decoder.size(encoded)
        if reading.meter is not None:
            part = partial(encoded_part_bytes, reading, read, decoder, encoded)
            reading.meter.foresee(size, part)
        return decoder.values(encoded), size

    short = _short(workshop, reading, decoder, data)
    if short is not None:
        cost = _COUNTING_EFFORT * decoder.count + len(short)
        chunk, found = await workshop.run(reading.shares, make, short, cost)
    else:
        work = partial(_whole, decoder, make)
        chunk, found = await workshop.run(reading.shares, work, data, _UNKNOWN_BYTES)
    texts.see(found, decoder.count)
    if reading.meter is not None:
        reading.meter.decode(found)
    return chunk


def _whole(decoder: TextDecoder, make: Callable[[Any], Made], data: bytes) -> Made:
    return make(decoder.inflate(data))


def _short(workshop: Workshop, reading: Reading, decoder: TextDecoder, data: bytes) -> Any | None:
    """The encoded form of a chunk, where it is short enough to look at on the loop."""
    most = max(len(data), reading.meta.effort * SHORT_TEXT_BYTES)
    if not workshop.is_small(most):
        return None
    try:
        return decoder.inflate_short(data)
    except CorruptChunk:  # or damaged, which shows again
        return None
