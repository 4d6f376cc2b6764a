"""zarr-python's own reading, which takes what comes, within the bounds of an array's metadata."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from zarr.abc.codec import ArrayBytesCodec, BytesBytesCodec
from zarr.codecs import ShardingCodec

from sluice.arrays.decode import bytes_codec, most_stored_bytes
from sluice.arrays.inflate import bounded, check_size
from sluice.arrays.text_chunks import check_count
from sluice.store.zarr_store import SourceStore

_COUNTED = ("vlen-utf8", "vlen-bytes")


def bounded_array(array: Any, most_bytes: int) -> Any:
    """The zarr-python array over a store of which no object has more than `most_bytes`.

    Its codecs make no more of a chunk than the shape and the data type allow.
    """
    from zarr.core.array import AsyncArray
    from zarr.storage import StorePath

    store = array.store_path.store
    if not isinstance(store, SourceStore):
        return array
    path = StorePath(store.bounded(most_bytes), array.store_path.path)
    within = AsyncArray(array.metadata, path)
    # The metadata stays, since it is what is told of the array.
    object.__setattr__(within, "codec_pipeline", _pipeline(array.metadata))
    return within


def _pipeline(metadata: Any) -> Any:
    from zarr.codecs._v2 import V2Codec
    from zarr.registry import get_pipeline_class

    if metadata.zarr_format == 2:
        codecs: list[Any] = [V2Codec(*_v2_codecs(metadata))]
    else:
        codecs = [_within_bounds(codec) for codec in metadata.codecs]
    return get_pipeline_class().from_codecs(codecs)


@dataclass(frozen=True, slots=True)
class _Decoding:
    """What zarr-python decodes one step of a Zarr v2 chunk with."""

    decode: Callable[[Any], Any]


def _v2_codecs(metadata: Any) -> tuple[tuple[Any, ...], Any]:
    count = math.prod(metadata.chunks)
    most = most_stored_bytes(metadata.dtype.to_native_dtype(), count, any_dtype=True)

    def decoding(codec: Any) -> _Decoding:
        if codec.codec_id in _COUNTED:
            return _Decoding(partial(_counted, codec.decode, count))
        return _Decoding(bounded(codec, most))

    filters = tuple(decoding(codec) for codec in metadata.filters or ())
    return filters, None if metadata.compressor is None else decoding(metadata.compressor)


def _counted(decode: Callable[[Any], Any], count: int, data: Any) -> Any:
    check_count(data, count)
    return decode(data)


def _within_bounds(codec: Any) -> Any:
    """A codec of zarr-python with a bound on what it makes, where it makes bytes or objects."""
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
    """A codec from bytes to bytes, by way of `known` where it is one of numcodecs' own."""

    inner: Any
    known: Any

    @property
    def is_fixed_size(self) -> bool:  # type: ignore[override]
        return bool(self.inner.is_fixed_size)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return int(self.inner.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
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
    """A codec of texts of variable length, which says how many it has of them."""

    inner: Any
    is_fixed_size = False

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return int(self.inner.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        check_count(chunk_bytes.to_bytes(), math.prod(chunk_spec.shape))
        return await self.inner._decode_single(chunk_bytes, chunk_spec)
