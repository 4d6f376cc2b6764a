"""Arrays without a decoder of ours are read by zarr-python, so that all it knows can be read.

zarr-python decodes whatever comes; here it is kept within the bounds of an array's metadata.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, BytesBytesCodec
from zarr.codecs import ShardingCodec

from sluice.aliases import Array, ZarrObject
from sluice.arrays.chunk_decoders import check_code_points, most_stored_bytes
from sluice.arrays.codec_table import Codec, Step, bounded, bytes_codec, check_size
from sluice.arrays.plan import ReadPlan
from sluice.arrays.texts import check_count
from sluice.errors import CorruptChunk, SluiceError, plain_words
from sluice.store.zarr_store import SourceStore


async def read_through_zarr(array: ZarrObject, plan: ReadPlan) -> Array:
    """The values of `plan`, in the shape of its buffer, by zarr-python's own async reading.

    zarr-python decodes in the loop's default executor.

    Raises:
        CorruptChunk: whatever zarr-python or a codec's library raises; it names the array.
        SluiceError: of the store, and of the bounds here, as they are.
    """
    try:
        return check_code_points(await _read(array, plan))
    except SluiceError:
        raise
    except Exception as error:  # damaged input makes each codec's library fail in its own way
        raise CorruptChunk(
            f"array {array.path!r} cannot be read: {plain_words(str(error))}"
        ) from error


async def _read(array: ZarrObject, plan: ReadPlan) -> Array:
    rest = tuple(np.asarray(axis.positions, dtype=np.int64) for axis in plan.axes)
    if 0 in plan.buffer_shape:
        return np.empty(plan.buffer_shape, dtype=array.metadata.dtype.to_native_dtype())
    if plan.points is None:
        if not rest:
            return np.asarray(await array.getitem(()))
        return np.asarray(await array.oindex.getitem(rest))
    # Coordinates in full: every point crossed with every position of the other axes.
    spread = (slice(None), *(None,) * len(rest))
    pointed = [positions[spread] for positions in plan.points.positions]
    crossed = [
        positions[(None, *(slice(None) if i == j else None for j in range(len(rest))))]
        for i, positions in enumerate(rest)
    ]
    full = np.broadcast_arrays(*pointed, *crossed)
    key: list[Array] = [full[0]] * len(full)
    for axis, positions in zip(plan.order, full, strict=True):
        key[axis] = positions.reshape(-1)
    return np.asarray(await array.vindex.getitem(tuple(key))).reshape(plan.buffer_shape)


# Codecs of texts of variable length, whose chunks begin with the number of their values.
_COUNTED = ("vlen-utf8", "vlen-bytes")


def bounded_array(array: ZarrObject, most_bytes: int) -> ZarrObject:
    """The same array, which reads no object of more than `most_bytes`.

    Its codecs decode a chunk to no more bytes than its shape and data type allow.
    """
    from zarr.core.array import AsyncArray
    from zarr.storage import StorePath

    store = array.store_path.store
    if not isinstance(store, SourceStore):
        return array
    path = StorePath(store.bounded(most_bytes), array.store_path.path)
    within = AsyncArray(array.metadata, path)
    # Its metadata keeps the codecs as they are stored, for whoever describes the array.
    object.__setattr__(within, "codec_pipeline", _pipeline(array.metadata))
    return within


def _pipeline(metadata: ZarrObject) -> ZarrObject:
    from zarr.codecs._v2 import V2Codec
    from zarr.registry import get_pipeline_class

    if metadata.zarr_format == 2:
        codecs: list[ZarrObject] = [V2Codec(*_v2_codecs(metadata))]
    else:
        codecs = [_within_bounds(codec) for codec in metadata.codecs]
    return get_pipeline_class().from_codecs(codecs)


@dataclass(frozen=True, slots=True)
class _Decoding:
    """A numcodecs codec for one decoding step of a Zarr v2 chunk, as zarr-python needs it."""

    decode: Step


def _v2_codecs(metadata: ZarrObject) -> tuple[tuple[ZarrObject, ...], ZarrObject]:
    count = math.prod(metadata.chunks)
    most = most_stored_bytes(metadata.dtype.to_native_dtype(), count, any_dtype=True)

    def decoding(codec: ZarrObject) -> _Decoding:
        if codec.codec_id in _COUNTED:
            return _Decoding(partial(_counted, codec.decode, count))
        return _Decoding(bounded(codec, most))

    filters = tuple(decoding(codec) for codec in metadata.filters or ())
    return filters, None if metadata.compressor is None else decoding(metadata.compressor)


def _counted(decode: Step, count: int, data: ZarrObject) -> ZarrObject:
    check_count(data, count)
    return decode(data)


def _within_bounds(codec: ZarrObject) -> ZarrObject:
    """The same codec with a bounded output, if it is one that outputs bytes or texts."""
    if isinstance(codec, ShardingCodec):
        return ShardingCodec(
            chunk_shape=codec.chunk_shape,
            codecs=[_within_bounds(inner) for inner in codec.codecs],
            index_codecs=codec.index_codecs,
            index_location=codec.index_location,
        )
    if isinstance(codec, BytesBytesCodec):
        return _BoundedBytes(codec, bytes_codec(codec.to_dict()))
    if isinstance(codec, ArrayBytesCodec) and codec.to_dict()["name"] in _COUNTED:
        return _CountedTexts(codec)
    return codec


@dataclass(frozen=True)
class _BoundedBytes(BytesBytesCodec):
    """A codec from bytes to bytes with a bounded output; decoded by `known` unless that is None."""

    inner: ZarrObject
    known: Codec | None

    @property
    def is_fixed_size(self) -> bool:  # type: ignore[override]
        return bool(self.inner.is_fixed_size)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ZarrObject) -> int:
        return int(self.inner.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: ZarrObject, chunk_spec: ZarrObject) -> ZarrObject:
        dtype, count = chunk_spec.dtype.to_native_dtype(), math.prod(chunk_spec.shape)
        most = most_stored_bytes(dtype, count, any_dtype=True)
        if self.known is None:
            made = await self.inner._decode_single(chunk_bytes, chunk_spec)
            check_size(len(made), most)
            return made
        data = chunk_bytes.to_bytes()
        plain = await asyncio.to_thread(bounded(self.known, most), data)
        return chunk_spec.prototype.buffer.from_bytes(bytes(plain))


@dataclass(frozen=True)
class _CountedTexts(ArrayBytesCodec):
    """A codec of texts of variable length, whose chunks state how many there are: checked first."""

    inner: ZarrObject
    is_fixed_size = False

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ZarrObject) -> int:
        return int(self.inner.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: ZarrObject, chunk_spec: ZarrObject) -> ZarrObject:
        check_count(chunk_bytes.to_bytes(), math.prod(chunk_spec.shape))
        return await self.inner._decode_single(chunk_bytes, chunk_spec)
