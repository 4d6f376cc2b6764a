"""What the reader knows of one array, out of its document, which zarr-python parses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from sluice.aliases import Document, DType, ZarrObject
from sluice.arrays.array_documents import codec_documents, normal_array
from sluice.arrays.chunk_decoders import (
    MOST_TEXT_BYTES,
    Decoder,
    checksum_size,
    most_stored_bytes,
    refuse_pickle,
    stored_dtype,
    v2_decoder,
    v3_decoder,
)
from sluice.arrays.chunk_parts import PartDecoder, v2_part, v3_part
from sluice.arrays.codec_table import check_codec, codec_id, decode_cost
from sluice.arrays.conventions import SCALAR
from sluice.arrays.texts import TextSize, has_texts
from sluice.arrays.zarr_fallback import bounded_array
from sluice.errors import MetadataError, excerpt, plain_words

# So many chunks of texts are in flight at once: at their longest they fill the memory.
_TEXTS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class ShardLayout:
    """How inner chunks lie in a shard (Zarr v3 codec `sharding_indexed`, binary format).

    `per_shard` is the shape of a shard in inner chunks, `index_size` the encoded size of the index
    in bytes, `most_bytes` the most that a shard has, with all of its chunks and their index.
    """

    per_shard: tuple[int, ...]
    index_at_end: bool
    index_size: int
    decode_index: Decoder
    most_bytes: int

    @property
    def index_working_bytes(self) -> int:
        """Memory to read an index: as stored, without checksum, decoded, and as it is kept."""
        return 4 * self.index_size


@dataclass(frozen=True)
class ArrayMeta:
    """One array, ready to be read.

    path: its path in the store.
    zarr: zarr-python's array over the same store; it reads where there is no `decoder`.
    shape, dtype: as stored, before any decoding by CF.
    chunks: the shape of the unit that is decoded (of a shard: its inner chunk).
    fill: the value of chunks that are absent.
    decoder: from the bytes of a chunk to its values; None where a codec or type is not known here.
    shards: how chunks lie in shards; None without shards.
    raw: the dtype of the bytes of a chunk that is stored uncompressed, in C order; else None.
    decode_cost: how many times as long as Zstandard its codecs take.
    texts: how long texts of variable length were so far; None for other types.
    scalar_at: the chunk's place of a scalar that is stored as an array of one value.
    """

    path: str
    zarr: ZarrObject
    shape: tuple[int, ...]
    dtype: DType
    chunks: tuple[int, ...]
    fill: object
    decoder: Decoder | None
    shards: ShardLayout | None
    raw: DType | None = None
    decode_cost: int = 1
    texts: TextSize | None = None
    scalar_at: tuple[int, ...] = ()

    @cached_property
    def chunk_bytes(self) -> int:
        """Decoded size of one chunk in bytes."""
        return math.prod(self.chunks) * self.dtype.itemsize

    @cached_property
    def stored_bytes(self) -> int:
        """The most bytes that one chunk may have in the store; of more, reading stops."""
        filtered = self.decoder is None or bool(getattr(self.zarr.metadata, "filters", None))
        return most_stored_bytes(self.dtype, math.prod(self.chunks), any_dtype=filtered)

    @cached_property
    def part(self) -> PartDecoder | None:
        """The decoder of parts of chunks; None where its codecs do not allow that."""
        return None if self.decoder is None else _part(self.zarr.metadata, self.dtype, self.chunks)

    @cached_property
    def in_flight_bytes(self) -> int:
        """How many bytes a chunk counts while it is fetched and decoded.

        Chunks of texts, of unknown length, count so much that few are in flight at once.
        """
        if self.dtype.kind in "OT":
            return max(self.chunk_bytes, MOST_TEXT_BYTES // _TEXTS_AT_ONCE)
        return self.chunk_bytes


def object_key(meta: ArrayMeta, coords: tuple[int, ...]) -> str:
    """The store key of the object (chunk or shard) at `coords` in the grid of objects."""
    name: str = meta.zarr.metadata.encode_chunk_key(coords or meta.scalar_at)
    return f"{meta.path}/{name}" if meta.path else name


def parse_array(path: str, document: Document, zarr_store: ZarrObject) -> ArrayMeta:
    """The array that `document` describes (v2: ``.zarray`` with its ``attributes`` inside).

    Raises MetadataError if it is not valid or cannot be decoded here; the sentence calls the array
    "it", the fact `advice` says what to do.
    """
    normal = normal_array(document)
    codecs = list(codec_documents(normal))
    names = [codec_id(codec) for codec in codecs]
    refuse_pickle(names)
    for codec in codecs:
        check_codec(codec, normal["zarr_format"])
    array = _parsed(path, normal, zarr_store)
    dtype = array.metadata.dtype.to_native_dtype()
    fill = array.metadata.fill_value
    if fill is None:
        fill = array.metadata.dtype.default_scalar()
    chunks, decoder, shards = _reading(array.metadata, dtype)
    if decoder is None:
        chunks = _chunk_bound(array)
        array = bounded_array(array, _object_bound(array.metadata, dtype, chunks))
    raw = None if decoder is None or shards is not None else _raw(array.metadata, dtype)
    cost = max(map(decode_cost, names), default=1)
    texts = TextSize() if has_texts(dtype) else None
    at = (0,) if SCALAR in document else ()
    shape = tuple(array.shape)
    return ArrayMeta(path, array, shape, dtype, chunks, fill, decoder, shards, raw, cost, texts, at)


def _parsed(path: str, document: Document, zarr_store: ZarrObject) -> ZarrObject:
    """zarr-python's array; its errors are raised as MetadataError, in the specification's terms."""
    from zarr.core.array import AsyncArray
    from zarr.storage import StorePath

    metadata: ZarrObject = document
    try:
        return AsyncArray(metadata, StorePath(zarr_store, path=path))
    except Exception as error:  # a document can be wrong in more ways than zarr foresees
        raise _not_parsed(document, error) from error


def _not_parsed(document: Document, error: Exception) -> MetadataError:
    """The error for what zarr-python raised; names the wrong member where that can be told."""
    dtype = document.get("dtype", document.get("data_type"))
    fill = document["fill_value"]
    match str(error):
        case words if words.startswith(("No Zarr data type", "Invalid data_type")):
            return MetadataError(
                f"its data type {excerpt(dtype)} is not known here",
                advice="Write it in a data type that zarr-python reads, or name it in "
                "drop_variables.",
            )
        case words if isinstance(error, OverflowError) or words.startswith("Invalid type"):
            return MetadataError(
                f"its fill_value {excerpt(fill)} is no value of its data type {excerpt(dtype)}",
            )
        case words if isinstance(error, ValueError):
            return MetadataError(f"zarr-python does not read its metadata: {plain_words(words)}")
        case _:
            return MetadataError("its metadata is not that of a Zarr array")


def _reading(
    metadata: ZarrObject, dtype: DType
) -> tuple[tuple[int, ...], Decoder | None, ShardLayout | None]:
    """Decode unit, decoder and shard layout; no decoder where zarr-python must read."""
    if metadata.zarr_format == 2:
        chunks = tuple(metadata.chunks)
        filters = metadata.filters or ()
        return chunks, v2_decoder(dtype, chunks, metadata.order, filters, metadata.compressor), None
    grid = metadata.chunk_grid
    codecs = [codec.to_dict() for codec in metadata.codecs]
    if not hasattr(grid, "chunk_shape") or metadata.storage_transformers:
        return (), None, None
    outer = tuple(grid.chunk_shape)
    if codecs[0]["name"] != "sharding_indexed":
        return outer, v3_decoder(dtype, outer, codecs), None
    if len(codecs) > 1:
        return outer, None, None
    return _sharded(outer, dtype, metadata.codecs[0])


def _raw(metadata: ZarrObject, dtype: DType) -> DType | None:
    """The dtype as it lies in the store, if chunks are plain values in C order."""
    if metadata.zarr_format == 2:
        plain = not metadata.filters and metadata.compressor is None and metadata.order == "C"
        return dtype if plain else None
    codecs = [codec.to_dict() for codec in metadata.codecs]
    return stored_dtype(dtype, codecs[0]) if len(codecs) == 1 else None


def _part(metadata: ZarrObject, dtype: DType, chunks: tuple[int, ...]) -> PartDecoder | None:
    """The decoder of parts of a chunk, or of a shard's inner chunk."""
    if metadata.zarr_format == 2:
        filters = metadata.filters or ()
        return v2_part(dtype, chunks, metadata.order, filters, metadata.compressor)
    codecs = metadata.codecs
    if hasattr(codecs[0], "index_codecs"):
        codecs = codecs[0].codecs
    return v3_part(dtype, chunks, [codec.to_dict() for codec in codecs])


def _sharded(
    outer: tuple[int, ...], dtype: DType, codec: ZarrObject
) -> tuple[tuple[int, ...], Decoder | None, ShardLayout | None]:
    inner = tuple(codec.chunk_shape)
    per_shard = tuple(o // i for o, i in zip(outer, inner, strict=True))
    index_codecs = [c.to_dict() for c in codec.index_codecs]
    extra = checksum_size(index_codecs)
    decoder = v3_decoder(dtype, inner, [c.to_dict() for c in codec.codecs])
    index_shape = (*per_shard, 2)
    decode_index = v3_decoder(np.dtype(np.uint64), index_shape, index_codecs)
    if decoder is None or decode_index is None or extra is None:
        return inner, None, None
    at_end = "end" in str(codec.index_location).lower()
    size = 8 * math.prod(index_shape) + extra
    chunk = most_stored_bytes(dtype, math.prod(inner), any_dtype=False)
    most = math.prod(per_shard) * chunk + size
    return inner, decoder, ShardLayout(per_shard, at_end, size, decode_index, most)


def _object_bound(metadata: ZarrObject, dtype: DType, chunks: tuple[int, ...]) -> int:
    """The most bytes of an object (a chunk, or a shard of any codecs) that zarr-python reads."""
    shape = getattr(getattr(metadata, "chunk_grid", None), "chunk_shape", chunks)
    values = max(math.prod(shape), math.prod(chunks))
    # Each chunk of a shard may have a header of its own, and has its place in the index.
    inner = values // max(1, math.prod(chunks))
    return most_stored_bytes(dtype, values, any_dtype=True) + inner * most_stored_bytes(
        np.dtype(np.uint64), 2, any_dtype=False
    )


def _chunk_bound(array: ZarrObject) -> tuple[int, ...]:
    """The (largest) chunk shape of an array that zarr-python reads, to estimate its cost with."""
    try:
        return tuple(array.chunks)
    except NotImplementedError:  # a rectilinear grid has no single chunk shape
        return tuple(max(sizes, default=1) for sizes in array.read_chunk_sizes)
