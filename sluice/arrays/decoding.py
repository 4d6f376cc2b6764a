"""The bytes of one chunk -> its values, where the work belongs: on the loop, or in a thread."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final

import numpy as np

from sluice.arrays.chunk_cache import ABSENT, Chunk
from sluice.arrays.decode import Decoder
from sluice.arrays.placing import Reading, part_bytes
from sluice.arrays.plan import ChunkRead
from sluice.arrays.workshop import Shares, Workshop
from sluice.errors import CorruptChunk
from sluice.phases import phase
from sluice.sizes import text_bytes

Array = np.ndarray[Any, Any]

# What counting one text costs, in bytes that Zstandard decodes meanwhile.
_COUNTING_EFFORT: Final = 64
# A text before any other of its array was read: too long for the loop.
_UNKNOWN_BYTES: Final = 2**40


async def count_texts(workshop: Workshop, shares: Shares, values: Array) -> int:
    """The bytes of the texts in `values`."""
    return await workshop.run(shares, text_bytes, values, _COUNTING_EFFORT * values.size)


async def count_part(workshop: Workshop, reading: Reading, read: ChunkRead, chunk: Chunk) -> int:
    """The bytes of the texts that `read` takes of its chunk."""
    cost = 0 if chunk is ABSENT else _COUNTING_EFFORT * chunk.size
    return await workshop.run(reading.shares, partial(part_bytes, reading, read), chunk, cost)


async def decode_chunk(workshop: Workshop, reading: Reading, key: str, data: bytes) -> Array:
    """The values of the chunk `key`, in the shape of its array's chunks.

    Raises CorruptChunk, which names the key, for bytes that are no such chunk.
    """
    meta = reading.meta
    assert meta.decoder is not None
    try:
        with phase("decode"):
            if meta.texts:
                return await _decode_texts(workshop, reading, meta.decoder, data)
            cost = meta.effort * meta.chunk_bytes
            return await workshop.run(reading.shares, meta.decoder, data, cost)
    except CorruptChunk as error:
        raise CorruptChunk(f"{key!r}: {error.detail}") from error


async def _decode_texts(
    workshop: Workshop, reading: Reading, decoder: Decoder, data: bytes
) -> Array:
    """A chunk of texts, whose size shows only now: on the loop if others were short."""
    texts = reading.meta.texts
    assert texts is not None

    def decode(data: bytes) -> tuple[Array, int]:
        chunk = decoder(data)
        return chunk, text_bytes(chunk)

    values = math.prod(reading.meta.chunks)
    mean = _UNKNOWN_BYTES if texts.mean_bytes is None else _COUNTING_EFFORT + texts.mean_bytes
    cost = reading.meta.effort * int(values * mean)
    chunk, found = await workshop.run(reading.shares, decode, data, cost)
    texts.see(found, values)
    if reading.meter is not None:
        reading.meter.decode(found)
    return chunk
