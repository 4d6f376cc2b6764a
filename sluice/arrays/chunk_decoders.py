"""Chunk bytes to array: a codec chain compiled once per array into one plain function.

The chains follow the Zarr v2 specification (filters, then compressor) and v3 core specification,
"Codecs" (array -> array, array -> bytes, bytes -> bytes). An array whose dtype or codecs are not
known here gets no decoder and is read through zarr-python instead (`sluice.arrays.zarr_fallback`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.arrays.codec_table import Codec, Data, Step, bounded, bytes_codec
from sluice.arrays.texts import TextDecoder
from sluice.errors import CorruptChunk, MetadataError

# From the bytes of a chunk to its values, in the shape of the chunk; CorruptChunk for damaged ones.
Decoder: TypeAlias = Callable[[bytes], Array]

# The one message for whatever a codec's library raises, whose own tell an operator no more.
UNDECODED: Final = (
    "a chunk cannot be decoded: its bytes are damaged, or other codecs wrote them than its metadata"
    " names"
)

# The last code point (The Unicode Standard, section 2.4).
_LAST_CODE_POINT: Final = 0x10FFFF
_OBJECT_CODECS = {"vlen-utf8", "vlen-bytes"}
# The bound on a chunk of texts of variable length, whose size no metadata states.
MOST_TEXT_BYTES: Final = 128 * 2**20
# Chunks of texts up to this size are inflated on the loop, to find out how long they are.
SHORT_TEXT_BYTES: Final = 64 * 2**10
# The widest dtype is a complex of two long doubles.
_WIDEST_ITEM: Final = 32
# What headers of codecs may add to values that do not compress.
_CODECS_ADD_BYTES: Final = 64 * 2**10


def single_threaded_blosc() -> None:
    """Keep Blosc from starting threads of its own when it is called from the main thread.

    A setting of the whole process, so the service makes it at start-up; the library never does.
    """
    import numcodecs.blosc

    numcodecs.blosc.use_threads = False


def refuse_pickle(codec_ids: Iterable[str]) -> None:
    """Raise MetadataError for the pickle codec: unpickling would run code of the store."""
    if "pickle" in codec_ids:
        raise MetadataError("an array is stored with the pickle codec, which is never decoded")


def check_code_points(values: Array) -> Array:
    """`values` themselves, of any dtype; CorruptChunk for texts with invalid code points.

    NumPy holds such texts, and fails when one of them is converted.
    """
    if values.dtype.kind == "U" and values.size and values.dtype.itemsize:
        flat = np.ascontiguousarray(values).reshape(-1)
        points = flat.view(np.dtype("u4").newbyteorder(values.dtype.byteorder))
        if (most := int(points.max())) > _LAST_CODE_POINT:
            raise CorruptChunk(
                f"a chunk of text holds the number {most}, which is no Unicode character: it is "
                "torn, or of another byte order than its metadata says"
            )
    return values


def v2_decoder(
    dtype: DType,
    shape: Sequence[int],
    order: str,
    filters: Sequence[Codec],
    compressor: Codec | None,
) -> Decoder | None:
    """The inverse of a Zarr v2 filter chain; `filters` and `compressor` are numcodecs objects.

    The pickle codec has been refused when the document was parsed (`refuse_pickle`).
    """
    codecs = [*([compressor] if compressor is not None else []), *reversed(filters)]
    if dtype.kind == "V":
        return None
    if dtype.kind in "OT":
        if not codecs or codecs[-1].codec_id not in _OBJECT_CODECS:
            return None
        arrange = partial(_arranged, tuple(shape), order, [])
        name = codecs.pop().codec_id
        return _text_decoder(codecs, name, dtype, math.prod(shape), arrange)
    most = _most_bytes(dtype, shape, any_dtype=bool(filters))
    steps = [bounded(codec, most) for codec in codecs]
    return partial(_decode_v2, steps, dtype, tuple(shape), order)


def v3_decoder(dtype: DType, shape: Sequence[int], codecs: Sequence[Document]) -> Decoder | None:
    """The inverse of a Zarr v3 codec chain, given as the codecs' JSON objects.

    None where a codec or the dtype is not known here (sharding is no chain: see `shards`).
    """
    remaining = list(codecs)
    transposes: list[tuple[int, ...]] = []
    while remaining and remaining[0]["name"] == "transpose":
        transposes.append(tuple(remaining.pop(0)["configuration"]["order"]))
    if not remaining or dtype.kind == "V":
        return None
    stored = tuple(shape)
    for order in transposes:
        stored = tuple(stored[axis] for axis in order)
    first = remaining.pop(0)
    found = [bytes_codec(codec) for codec in reversed(remaining)]
    codecs_of_bytes = [codec for codec in found if codec is not None]
    if len(codecs_of_bytes) < len(found):
        return None
    inverse = [tuple(np.argsort(order).tolist()) for order in reversed(transposes)]
    if dtype.kind in "OT":
        if first["name"] not in _OBJECT_CODECS:
            return None
        arrange = partial(_arranged, stored, "C", inverse)
        return _text_decoder(codecs_of_bytes, first["name"], dtype, math.prod(shape), arrange)
    to_array = _array_step(dtype, stored, first)
    if to_array is None:
        return None
    most = _most_bytes(dtype, shape, any_dtype=False)
    steps = [bounded(codec, most) for codec in codecs_of_bytes]
    return partial(_decode_v3, steps, to_array, inverse)


def stored_dtype(dtype: DType, codec: Document) -> DType | None:
    """The dtype in which the v3 codec `bytes` writes values; None where another codec does."""
    if codec["name"] != "bytes" or dtype.kind in "OT":
        return None
    endian = codec.get("configuration", {}).get("endian") or "little"
    return dtype.newbyteorder(">" if endian == "big" else "<")


def checksum_size(codecs: Sequence[Document]) -> int | None:
    """How many bytes the codecs add to an uncompressed array; None if that is not fixed."""
    names = [codec["name"] for codec in codecs]
    if names[:1] != ["bytes"] or set(names[1:]) - {"crc32c"}:
        return None
    return 4 * names.count("crc32c")


def _decode_v2(
    steps: list[Step], dtype: DType, shape: tuple[int, ...], order: str, data: bytes
) -> Array:
    # A codec may fail with anything at all on damaged input; each means the same here.
    try:
        chunk: Data = data
        for step in steps:
            chunk = step(chunk)
        flat = _as_flat(chunk, dtype)
    except CorruptChunk:
        raise
    except Exception as error:
        raise CorruptChunk(UNDECODED) from error
    _check_size(flat.size, shape)
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _decode_v3(
    steps: list[Step],
    to_array: Callable[[Data], Array],
    transposes: list[tuple[int, ...]],
    data: bytes,
) -> Array:
    try:
        chunk: Data = data
        for step in steps:
            chunk = step(chunk)
        array = to_array(chunk)
    except CorruptChunk:
        raise
    except Exception as error:
        raise CorruptChunk(UNDECODED) from error
    for order in transposes:
        array = array.transpose(order)
    return array


def _as_flat(chunk: Data, dtype: DType) -> Array:
    """The output of the last v2 codec as a flat array of `dtype`."""
    array = chunk if isinstance(chunk, np.ndarray) else np.frombuffer(chunk, dtype=np.uint8)
    array = array.reshape(-1, order="A")
    return check_code_points(_viewed(array, dtype))


def _viewed(array: Array, dtype: DType) -> Array:
    if dtype.itemsize and array.nbytes % dtype.itemsize:
        raise CorruptChunk(
            f"a chunk decodes to {array.nbytes} bytes, its data type has {dtype.itemsize} for each"
            " value"
        )
    return array.view(dtype)


def _check_size(size: int, shape: tuple[int, ...]) -> None:
    if size != math.prod(shape):
        raise CorruptChunk(f"a chunk decodes to {size} values, its shape {shape} needs another")


def _array_step(
    dtype: DType, shape: tuple[int, ...], codec: Document
) -> Callable[[Data], Array] | None:
    stored = stored_dtype(dtype, codec)
    return None if stored is None else partial(_from_bytes, stored, shape)


def _from_bytes(dtype: DType, shape: tuple[int, ...], data: Data) -> Array:
    array: Array = _viewed(np.frombuffer(data, dtype=np.uint8), dtype)
    _check_size(array.size, shape)
    return check_code_points(array).reshape(shape)


def _text_decoder(
    codecs: Sequence[Codec],
    name: str,
    dtype: DType,
    count: int,
    arrange: Callable[[Array], Array],
) -> TextDecoder:
    """The decoder of chunks of `count` texts, encoded by the codec `name` and then by `codecs`."""
    inflate, inflate_short = (
        partial(_through, [bounded(codec, most) for codec in codecs])
        for most in (MOST_TEXT_BYTES, SHORT_TEXT_BYTES)
    )
    return TextDecoder(inflate, inflate_short, name, dtype, count, arrange)


def _through(steps: Sequence[Step], data: Data) -> Data:
    try:
        for step in steps:
            data = step(data)
    except CorruptChunk:
        raise
    except Exception as error:
        raise CorruptChunk(UNDECODED) from error
    return data


def _arranged(
    shape: tuple[int, ...], order: str, transposes: Sequence[tuple[int, ...]], flat: Array
) -> Array:
    array = flat.reshape(shape, order="F" if order == "F" else "C")
    for axes in transposes:
        array = array.transpose(axes)
    return array


def _most_bytes(dtype: DType, shape: Sequence[int], *, any_dtype: bool) -> int:
    """The most bytes that any codec of the chain outputs for a chunk of so many values.

    With `any_dtype`, filters may have stored the values in a wider dtype.
    """
    if dtype.kind in "OT":
        return MOST_TEXT_BYTES
    itemsize = max(dtype.itemsize, _WIDEST_ITEM if any_dtype else 0)
    size = math.prod(shape) * itemsize
    return size + size // 8 + _CODECS_ADD_BYTES


def most_stored_bytes(dtype: DType, count: int, *, any_dtype: bool) -> int:
    """The most bytes that `count` values may take in the store, whatever their codecs.

    No codec more than doubles its input, headers aside. With `any_dtype`, filters may have stored
    the values in a wider dtype.
    """
    if dtype.kind in "OT":
        return MOST_TEXT_BYTES
    itemsize = max(dtype.itemsize, _WIDEST_ITEM if any_dtype else 0)
    return 2 * count * itemsize + _CODECS_ADD_BYTES
