"""Decoding a few values of a chunk without the rest, for readings that take little of many chunks.

A Blosc frame is made of blocks that are compressed each for itself, so those that hold the values
are decoded (c-blosc, README_CHUNK_FORMAT). A Zstandard frame can only be read from its beginning,
but not to its end (RFC 8878, 3.1.1): on average half of the work. It is cut behind the block that
holds the last of the values, and decoded as a frame of its own; a large one, or one whose blocks
have other sizes, is decoded as a stream up to there.

Damage behind the values goes unnoticed, as it does where they are read by a range of bytes; but a
frame with a checksum is decoded to its end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.arrays.chunk_decoders import UNDECODED, check_code_points, stored_dtype
from sluice.arrays.codec_table import Codec, bytes_codec, view_of, zstd_size
from sluice.arrays.projections import Within
from sluice.errors import CorruptChunk

Buffer: TypeAlias = bytes | bytearray | memoryview

# A span is read in place of its chunk where that saves so much, and such a share of the chunk.
_SAVED_BYTES: Final = 64 * 2**10
_SAVED_SHARE: Final = 0.75
# What comes before the values is decoded in pieces of this size.
_PIECE_BYTES: Final = 256 * 2**10
_BLOSC_HEADER: Final = 16
# The format version of c-blosc 1; frames of others are decoded whole.
_BLOSC_VERSION: Final = 2
# Flag of a frame whose content is stored as it is, without blocks.
_BLOSC_STORED: Final = 0x2
# Flag of a frame that ends with a checksum of its content (RFC 8878, 3.1.1.1.1).
_ZSTD_CHECKSUM: Final = 0x4
# The most that a block may hold (3.1.1.2.4); encoders fill each but the last to that.
_ZSTD_BLOCK: Final = 128 * 2**10
# A block's header, and its type that has one byte for all of its content (3.1.1.2).
_ZSTD_BLOCK_HEADER: Final = 3
_ZSTD_RLE: Final = 1
# Up to this size the content is decoded in one go, which takes less time than a stream.
_AT_ONCE_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Span:
    """Elements `first` to `end` (exclusive) of a chunk whose elements lie in C order."""

    first: int
    end: int

    @property
    def size(self) -> int:
        """How many elements it has."""
        return self.end - self.first

    def chunk(self, data: Buffer, dtype: DType, shape: tuple[int, ...]) -> Array:
        """A chunk of `shape` with the values of `data` in this span, and arbitrary ones elsewhere.

        Raises CorruptChunk if `data` has not the span's size, or invalid code points.
        """
        if len(data) != self.size * dtype.itemsize:
            raise CorruptChunk(f"a chunk of {math.prod(shape)} values ends early")
        # The system provides no memory for pages that are never written, however large the chunk.
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


def worthwhile_span(
    shape: Sequence[int], itemsize: int, order: Sequence[int], take: Sequence[Within]
) -> Span | None:
    """As `touched_span`; None where the whole chunk is little more."""
    span, size = touched_span(shape, order, take), math.prod(shape)
    least = max(_SAVED_BYTES, _SAVED_SHARE * size * itemsize)
    return None if (size - span.size) * itemsize < least else span


def _bounds(within: Within) -> tuple[int, int]:
    """The least and the greatest of the positions, of which there is at least one."""
    if isinstance(within, slice):
        positions = range(within.start, within.stop, within.step or 1)
        return positions[0], positions[-1]
    return int(within.min()), int(within.max())


class _Part(Protocol):
    """How one codec decodes bytes `start` to `stop` (exclusive) of its content."""

    def cost(self, data: bytes, start: int, stop: int) -> int:
        """About how many bytes have to be decoded for these."""
        ...

    def decode(self, data: bytes, start: int, stop: int, size: int) -> Buffer:
        """These bytes of a content of `size`, fewer where it ends early; may raise anything."""
        ...


@dataclass(frozen=True, slots=True)
class PartDecoder:
    """Decodes spans of chunks of this `shape`: values in C order as `dtype`, then one codec."""

    dtype: DType
    shape: tuple[int, ...]
    part: _Part

    def cost(self, span: Span, data: bytes) -> int:
        """How long decoding takes, in bytes that are decoded in that time."""
        return self.part.cost(data, *self._places(span))

    def chunk(self, span: Span, data: bytes) -> Array:
        """As `Span.chunk`, from the bytes of a whole encoded chunk; CorruptChunk if damaged."""
        size = math.prod(self.shape) * self.dtype.itemsize
        try:
            found = self.part.decode(data, *self._places(span), size)
        except CorruptChunk:
            raise
        except Exception as error:
            raise CorruptChunk(UNDECODED) from error
        return span.chunk(found, self.dtype, self.shape)

    def _places(self, span: Span) -> tuple[int, int]:
        return span.first * self.dtype.itemsize, span.end * self.dtype.itemsize


class _BloscPart:
    """Decodes the blocks that hold the bytes, as a frame of their own."""

    def __init__(self, codec: Codec) -> None:
        self._decode = codec.decode

    def cost(self, data: bytes, start: int, stop: int) -> int:
        return stop - start + int.from_bytes(data[8:12], "little")

    def decode(self, data: bytes, start: int, stop: int, size: int) -> Buffer:
        if len(data) < _BLOSC_HEADER or int.from_bytes(data[12:16], "little") != len(data):
            raise CorruptChunk("a Blosc frame is not as long as its header says")
        _check_content(int.from_bytes(data[4:8], "little"), size)
        version, flags, block = data[0], data[2], int.from_bytes(data[8:12], "little")
        if flags & _BLOSC_STORED:
            return data[_BLOSC_HEADER + start : _BLOSC_HEADER + stop]
        # The last block may be shorter, and is encoded differently: a frame has another before it.
        full = size // block if block else 0
        if version != _BLOSC_VERSION or full < 2:
            return view_of(self._decode(data)).cast("B")[start:stop]
        first, last = min(start // block, full - 1), -(-stop // block)
        frame = _blosc_frame(data, range(first, last), -(-size // block), min(last * block, size))
        return view_of(self._decode(frame)).cast("B")[start - first * block : stop - first * block]


def _blosc_frame(data: bytes, blocks: range, count: int, end: int) -> bytes:
    """A frame of these blocks of `data`, which has `count`; their content ends at `end` there."""
    places = np.frombuffer(data, "<u4", count, _BLOSC_HEADER).astype(np.int64)
    # Several threads write blocks in any order.
    ordered = np.append(np.sort(places), len(data))
    if ordered[0] < _BLOSC_HEADER + 4 * count or ordered[-2] >= len(data):
        raise CorruptChunk("a Blosc frame has blocks outside of itself")
    stops = ordered[np.searchsorted(ordered, places, "right")]
    bodies = [data[places[n] : stops[n]] for n in blocks]
    lengths = np.cumsum([0, *map(len, bodies)]) + _BLOSC_HEADER + 4 * len(bodies)
    block = int.from_bytes(data[8:12], "little")
    sizes = np.array([end - blocks.start * block, block, lengths[-1]], "<u4")
    starts = lengths[:-1].astype("<u4")
    return b"".join([data[:4], sizes.tobytes(), starts.tobytes(), *bodies])


class _ZstdPart:
    """Decodes the content from its beginning up to the bytes."""

    def cost(self, data: bytes, start: int, stop: int) -> int:
        return stop  # more where there is a checksum

    def decode(self, data: bytes, start: int, stop: int, size: int) -> Buffer:
        from numcodecs.zstd import decompress

        stated, _ = zstd_size(data[:18])
        if stated is not None:
            _check_content(stated, size)
            cut = _zstd_cut(data, stop, size)
            if cut is not None:
                with suppress(RuntimeError):  # the stream below copes, or finds the damage again
                    return view_of(decompress(cut))[start:stop]
        return _zstd_streamed(data, start, stop, size)


def _zstd_cut(data: bytes, stop: int, size: int) -> bytearray | None:
    """A frame of the first blocks of the frame `data`, which hold its content up to `stop`.

    None where the whole has to be decoded, or a stream is better: where that is most of it, or too
    much to be in memory at once; where there is a checksum; where blocks are not full.
    """
    count = -(-stop // _ZSTD_BLOCK)
    if count * _ZSTD_BLOCK > min(_AT_ONCE_BYTES, size) or data[4] & _ZSTD_CHECKSUM:
        return None
    _, stated = zstd_size(data[:18])
    ends = _zstd_block_ends(data, stated.stop, -(-size // _ZSTD_BLOCK))
    if ends is None:
        return None
    cut = bytearray(memoryview(data)[: ends[count]])
    cut[ends[count - 1]] |= 1  # it is the last
    cut[stated] = (count * _ZSTD_BLOCK).to_bytes(stated.stop - stated.start, "little")
    return cut


def _zstd_block_ends(data: bytes, place: int, count: int) -> list[int] | None:
    """Where the first block begins, and each ends; None where there are not `count` of them."""
    ends, last = [place], 0
    while not last and len(ends) <= count and place < len(data):
        header = int.from_bytes(data[place : place + _ZSTD_BLOCK_HEADER], "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        place += _ZSTD_BLOCK_HEADER + (1 if kind == _ZSTD_RLE else length)
        ends.append(place)
    return ends if last and len(ends) == count + 1 else None


def _zstd_streamed(data: bytes, start: int, stop: int, size: int) -> Buffer:
    """Bytes `start` to `stop` of the content, decoded as a stream; what comes before is dropped."""
    import zstandard

    # A checksum is that of the whole content, and comes after it.
    end = size + 1 if data[4] & _ZSTD_CHECKSUM else stop
    piece = bytearray(min(_PIECE_BYTES, size))
    found = bytearray()
    place = 0
    with zstandard.ZstdDecompressor().stream_reader(data) as content:
        while place < end and (count := content.readinto(piece)):
            if place + count > start and place < stop:
                found += piece[max(0, start - place) : min(count, stop - place)]
            place += count
    return found


def _check_content(stated: int, size: int) -> None:
    if stated != size:
        raise CorruptChunk(f"a chunk decodes to {stated} bytes, its shape needs {size}")


def v2_part(
    dtype: DType, shape: Sequence[int], order: str, filters: Sequence[Codec], codec: Codec | None
) -> PartDecoder | None:
    """The decoder of parts of Zarr v2 chunks; None where they can only be decoded whole."""
    if filters or order != "C" or codec is None or dtype.kind in "OTV":
        return None
    return _part_decoder(dtype, shape, codec)


def v3_part(dtype: DType, shape: Sequence[int], codecs: Sequence[Document]) -> PartDecoder | None:
    """The decoder of parts of Zarr v3 chunks; None where they can only be decoded whole."""
    if len(codecs) != 2 or dtype.kind in "OTV":
        return None
    stored, codec = stored_dtype(dtype, codecs[0]), bytes_codec(codecs[1])
    return None if stored is None or codec is None else _part_decoder(stored, shape, codec)


def _part_decoder(dtype: DType, shape: Sequence[int], codec: Codec) -> PartDecoder | None:
    from numcodecs.blosc import Blosc
    from numcodecs.zstd import Zstd

    if not dtype.itemsize:
        return None
    if type(codec) is Blosc:
        return PartDecoder(dtype, tuple(shape), _BloscPart(codec))
    return PartDecoder(dtype, tuple(shape), _ZstdPart()) if type(codec) is Zstd else None
