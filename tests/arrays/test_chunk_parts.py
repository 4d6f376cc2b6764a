"""A few values of a chunk: they are those of the whole, of whatever the rest may be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from numcodecs.blosc import Blosc
from numcodecs.delta import Delta
from numcodecs.lz4 import LZ4
from numcodecs.zstd import Zstd

from sluice.arrays.chunk_parts import PartDecoder, Span, v2_part, v3_part
from sluice.errors import CorruptChunk

BLOSC = [
    Blosc(name, shuffle=shuffle, blocksize=block)
    for name in ("lz4", "lz4hc", "blosclz", "zlib", "zstd")
    for shuffle in (Blosc.NOSHUFFLE, Blosc.SHUFFLE, Blosc.BITSHUFFLE)
    for block in (0, 1000, 4096)
]


def decoder_of(codec: Any, values: np.ndarray) -> PartDecoder:
    found = v2_part(values.dtype, values.shape, "C", [], codec)
    assert found is not None
    return found


def values_of(dtype: str, count: int, noisy: bool) -> np.ndarray:
    random = np.random.default_rng(count)
    if noisy:
        return random.integers(0, 256, count * np.dtype(dtype).itemsize, "u1").view(dtype)
    return (np.arange(count) // 7).astype(dtype)


@given(
    codec=st.sampled_from(BLOSC),
    dtype=st.sampled_from(["u1", "<i2", ">f4", "<f8"]),
    count=st.integers(1, 60_000),
    noisy=st.booleans(),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_blocks_of_a_blosc_frame_are_decoded_alone(
    codec: Blosc, dtype: str, count: int, noisy: bool, place: tuple[float, float]
) -> None:
    """Of any compressor, shuffled or not, with blocks of any size and a shorter last one."""
    values = values_of(dtype, count, noisy)
    first = min(int(place[0] * count), count - 1)
    span = Span(first, first + 1 + int(place[1] * (count - first - 1)))
    data = bytes(codec.encode(values))
    found = decoder_of(codec, values).chunk(span, data)
    wanted = values[span.first : span.end]
    assert found[span.first : span.end].tobytes() == wanted.tobytes()


def frames(content: bytes) -> list[bytes]:
    """With and without its size, with a checksum, and as numcodecs writes it."""
    plain = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
    return [bytes(Zstd(3).encode(content)), plain.compress(content)]


@pytest.mark.parametrize("count", [1, 1000, 200_000])
@pytest.mark.parametrize("at", [0.0, 0.3, 1.0])
def test_a_zstandard_frame_is_read_up_to_the_values(count: int, at: float) -> None:
    """The first, one in the midst, and the last."""
    values = np.arange(count, dtype="<f8")
    first = int(at * (count - 1))
    span = Span(first, min(first + 3, count))
    for data in frames(values.tobytes()):
        found = decoder_of(Zstd(), values).chunk(span, data)
        np.testing.assert_array_equal(found[span.first : span.end], values[span.first : span.end])


def piece_of(kind: str, length: int, random: np.random.Generator) -> bytes:
    if kind == "noise":
        return random.bytes(length)
    return (np.arange(length) // (900 if kind == "steps" else length)).astype("u1").tobytes()


@given(
    kinds=st.lists(st.sampled_from(["zeros", "steps", "noise"]), min_size=2, max_size=12),
    lengths=st.lists(st.sampled_from([1, 1000, 131_072, 200_000]), min_size=12, max_size=12),
    flushed=st.booleans(),
    at=st.floats(0, 1),
)
def test_blocks_of_a_zstandard_frame_may_have_any_size(
    kinds: list[str], lengths: list[int], flushed: bool, at: float
) -> None:
    """Repeated, compressed or stored, full or not: a frame is cut only where they tell its size."""
    random = np.random.default_rng(5)
    pieces = [piece_of(kind, length, random) for kind, length in zip(kinds, lengths, strict=False)]
    values = np.frombuffer(b"".join(pieces), "u1")
    writer = zstandard.ZstdCompressor(3).compressobj(size=values.size)
    data = b""
    for piece in pieces:
        data += writer.compress(piece)
        data += writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) if flushed else b""
    data += writer.flush()
    first = int(at * (values.size - 1))
    found = decoder_of(Zstd(), values).chunk(Span(first, first + 1), data)
    assert found[first] == values[first]


def test_what_is_damaged_behind_the_values_is_not_looked_at() -> None:
    """As long as the frame is whole: what is decoded ends with the block of the values."""
    values = np.random.default_rng(3).integers(0, 50, 400_000)
    data = bytearray(Zstd(3).encode(values))
    data[-1000] ^= 255
    found = decoder_of(Zstd(), values).chunk(Span(70_000, 70_003), bytes(data))
    np.testing.assert_array_equal(found[70_000:70_003], values[70_000:70_003])


def damaged(data: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "short": data[:10],
        "cut": data[: len(data) // 2],
        "other": b"\0" * len(data),
        "noise": data[:20] + np.random.default_rng(1).bytes(len(data) - 20),
    }


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "other", "noise"])
@pytest.mark.parametrize("codec", [Zstd(3), Blosc("zstd", blocksize=65536)])
def test_what_is_damaged_before_the_values_is_an_error(codec: Any, damage: str) -> None:
    """And not values of something else."""
    values = np.random.default_rng(3).normal(size=100_000)
    data = damaged(bytes(codec.encode(values)))[damage]
    with pytest.raises(CorruptChunk):
        decoder_of(codec, values).chunk(Span(99_990, 99_999), data)


@pytest.mark.parametrize("value", [5, 90_000])
def test_a_checksum_is_that_of_the_whole(value: int) -> None:
    """Wherever a byte of what is stored is another one, no value of the chunk is believed."""
    values = np.random.default_rng(4).normal(size=100_000)  # which are stored as they are
    data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(values.tobytes()))
    decoder = decoder_of(Zstd(), values)
    found = decoder.chunk(Span(value, value + 1), bytes(data))
    assert found[value] == values[value]
    data[len(data) // 2] ^= 1
    with pytest.raises(CorruptChunk):
        decoder.chunk(Span(value, value + 1), bytes(data))


@pytest.mark.parametrize("codec", [Zstd(3), Blosc("zstd")])
@pytest.mark.parametrize("wrong", [50_000, 200_000])
def test_another_size_than_the_shape_needs_is_an_error(codec: Any, wrong: int) -> None:
    """Although there are values in the places that are asked for."""
    data = bytes(codec.encode(np.zeros(wrong)))
    with pytest.raises(CorruptChunk):
        decoder_of(codec, np.zeros(100_000)).chunk(Span(5, 6), data)


def test_blocks_outside_of_their_frame_are_an_error() -> None:
    """Offsets are checked before anything is copied by them."""
    values = np.arange(100_000)
    data = bytearray(Blosc("lz4", blocksize=65536).encode(values))
    data[16:20] = (2**31 - 1).to_bytes(4, "little")
    with pytest.raises(CorruptChunk):
        decoder_of(Blosc(), values).chunk(Span(5, 6), bytes(data))


def test_only_one_codec_above_values_in_c_order_has_parts() -> None:
    """What stands in another order, or below a filter, is decoded whole; so are texts."""
    dtype, shape = np.dtype("<i4"), (10, 10)
    assert v2_part(dtype, shape, "C", [], Zstd()) is not None
    assert v2_part(dtype, shape, "F", [], Zstd()) is None
    assert v2_part(dtype, shape, "C", [Delta("<i4")], Zstd()) is None
    assert v2_part(dtype, shape, "C", [], LZ4()) is None
    assert v2_part(dtype, shape, "C", [], None) is None
    assert v2_part(np.dtype(object), shape, "C", [], Zstd()) is None
    stored = {"name": "bytes", "configuration": {"endian": "big"}}
    zstd, blosc = {"name": "zstd", "configuration": {}}, {"name": "blosc", "configuration": {}}
    turned = {"name": "transpose", "configuration": {"order": [1, 0]}}
    found = v3_part(dtype, shape, [stored, zstd])
    assert found is not None
    assert (found.dtype, math.prod(found.shape)) == (np.dtype(">i4"), 100)
    assert v3_part(dtype, shape, [stored, blosc]) is not None
    chains: list[list[Any]] = [[stored], [turned, stored, zstd], [stored, {"name": "gzip"}]]
    for chain in chains:
        assert v3_part(dtype, shape, chain) is None
