"""Blocks of an array's values as chunks of another Zarr store, encoded as its documents say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import zstandard
from numcodecs.vlen import VLenBytes, VLenUTF8

from sluice.aliases import Array, record
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.plan import ArrayPlan, plan_orthogonal
from sluice.arrays.served_documents import LEVEL, text_codec
from sluice.arrays.store_reader import StoreReader
from sluice.arrays.texts import TextMeter
from sluice.errors import CorruptChunk
from sluice.scheduler import Flow


@record
class Block:
    """The chunk at one place of a grid of chunks of this `shape`, and what it takes to make it."""

    reader: StoreReader
    meta: ArrayMeta
    shape: tuple[int, ...]
    plan: ArrayPlan

    @classmethod
    def at(
        cls, reader: StoreReader, meta: ArrayMeta, shape: tuple[int, ...], place: Sequence[int]
    ) -> Block:
        """The block at `place`, some of which lies within the array."""
        parts = [
            slice(number * length, min((number + 1) * length, size))
            for number, length, size in zip(place, shape, meta.shape, strict=True)
        ]
        return cls(reader, meta, shape, plan_orthogonal(meta.shape, meta.chunks, parts))

    @property
    def chunks(self) -> int:
        """How many chunks of the store it touches."""
        return self.plan.chunks

    @property
    def chunk_bytes(self) -> int:
        """Their decoded size."""
        return self.plan.chunks * self.meta.chunk_bytes

    @property
    def values(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """What its values take, but for texts."""
        return self.values * self.meta.dtype.itemsize

    @property
    def working_bytes(self) -> int:
        """The most that is in memory while it is made, but for texts."""
        decoding = self.reader.working_bytes(self.meta, self.plan.chunks)
        # The values that are read, filled up to a whole block, and compressed.
        return decoding + 3 * self.nbytes

    async def encoded(self, meter: TextMeter | None) -> bytes:
        """The chunk; `meter` counts its texts. Raises as `StoreReader.read` does."""
        values = await self.reader.read(self.meta, self.plan, meter)
        encode = partial(_encoded, self.shape, self.meta)
        texts = self.meta.dtype.kind in "OT"
        nbytes = _text_work(values) if texts else self.nbytes
        return await self.reader.reader.pool.run(Flow(), encode, values, nbytes)


_TEXTS: Final = {"vlen-utf8": VLenUTF8, "vlen-bytes": VLenBytes}
# What a text costs to write, in bytes that are compressed meanwhile.
_TEXT_COST: Final = 256


def _text_work(values: Array) -> int:
    return _TEXT_COST * values.size


def _encoded(shape: tuple[int, ...], meta: ArrayMeta, values: Array) -> bytes:
    """A whole chunk, of which `values` are at its beginning: the rest is fill."""
    compress = zstandard.ZstdCompressor(level=LEVEL).compress
    values = _whole(shape, meta, values)
    codec = text_codec(meta)
    if codec is not None:
        texts = values.astype(object).reshape(-1)
        try:
            return compress(_TEXTS[codec]().encode(texts))
        except TypeError as error:
            raise CorruptChunk(f"array {meta.path!r} has values that are no texts") from error
    little = values.dtype.newbyteorder("<")
    return compress(np.ascontiguousarray(values, dtype=little).tobytes())


def _whole(shape: tuple[int, ...], meta: ArrayMeta, values: Array) -> Array:
    if values.shape == shape:
        return values
    whole: Array = np.full(shape, meta.fill, dtype=meta.dtype)
    whole[tuple([slice(0, size) for size in values.shape])] = values
    return whole
