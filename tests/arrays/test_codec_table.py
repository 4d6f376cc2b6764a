"""Chunks that inflate to more or less than they may: refused before memory is taken."""

from __future__ import annotations

import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import numcodecs
import numcodecs.zstd
import numpy as np
import pytest
import zstandard
from zarr.storage import MemoryStore

from sluice.arrays.array_metadata import ArrayMeta, parse_array
from sluice.arrays.codec_table import CODECS as TABLE
from sluice.arrays.codec_table import bounded, bytes_codec
from sluice.errors import CorruptChunk

MIB = 2**20
VALUES = np.arange(256, dtype="<i4")
CODECS = ["zstd", "blosc", "lz4", "gzip", "zlib", "bz2", "lzma"]


def described(codec: str | None, zarr_format: int = 2, **more: Any) -> ArrayMeta:
    """A chunk of 256 numbers behind one codec."""
    if zarr_format == 2:
        compressor = None if codec is None else numcodecs.get_codec({"id": codec}).get_config()
        document: dict[str, Any] = {
            "zarr_format": 2, "shape": [256], "chunks": [256], "dtype": "<i4", "fill_value": 0,
            "order": "C", "filters": None,
            "compressor": compressor,
        }  # fmt: skip
    else:
        grid = {"name": "regular", "configuration": {"chunk_shape": [256]}}
        document = {
            "zarr_format": 3, "node_type": "array", "shape": [256], "data_type": "int32",
            "chunk_grid": grid, "chunk_key_encoding": {"name": "default"}, "fill_value": 0,
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, V3[str(codec)]],
        }  # fmt: skip
    return parse_array("a", {**document, **more}, MemoryStore())


V3: dict[str, dict[str, Any]] = {
    "zstd": {"name": "zstd", "configuration": {"level": 0, "checksum": False}},
    "blosc": {
        "name": "blosc",
        "configuration": {
            "cname": "lz4", "clevel": 1, "shuffle": "noshuffle", "typesize": 4, "blocksize": 0,
        },
    },
    "gzip": {"name": "gzip", "configuration": {"level": 1}},
}  # fmt: skip
CASES = [(codec, 2) for codec in CODECS] + [(codec, 3) for codec in V3]


def packed(codec: str, content: bytes) -> bytes:
    return bytes(numcodecs.get_codec({"id": codec}).encode(content))


def peak_of(work: Callable[[], object]) -> int:
    """The most memory that Python and NumPy had at once for `work`."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("codec", "zarr_format"), CASES)
def test_a_bomb_is_refused_before_it_goes_off(codec: str, zarr_format: int) -> None:
    """Sixty-four megabytes in a few kilobytes: an error, and never so much memory."""
    decode = described(codec, zarr_format).decoder
    assert decode is not None
    bomb = packed(codec, bytes(64 * MIB))
    assert len(bomb) < MIB

    def explode() -> None:
        with pytest.raises(CorruptChunk, match="inflates to more"):
            decode(bomb)

    assert peak_of(explode) < 16 * MIB  # LZMA takes eight for its dictionary


@pytest.mark.parametrize(("codec", "zarr_format"), CASES)
def test_more_or_less_than_the_shape_is_an_error(codec: str, zarr_format: int) -> None:
    """One value more or less, or a stream that ends early, is no chunk; the right size is one."""
    decode = described(codec, zarr_format).decoder
    assert decode is not None
    np.testing.assert_array_equal(decode(packed(codec, VALUES.tobytes())), VALUES)
    whole = VALUES.tobytes()
    for wrong in (packed(codec, whole[:-4]), packed(codec, whole + b"more"), packed(codec, b"")):
        with pytest.raises(CorruptChunk):
            decode(wrong)
    for cut in (1, 20, 200):
        with pytest.raises(CorruptChunk):
            decode(packed(codec, whole)[:-cut])


def test_a_zstandard_frame_need_not_say_its_size() -> None:
    """Frames that writers streamed are inflated up to the bound, and refused beyond it."""
    decode = described("zstd").decoder
    assert decode is not None
    streaming = zstandard.ZstdCompressor(write_content_size=False)
    np.testing.assert_array_equal(decode(streaming.compress(VALUES.tobytes())), VALUES)
    bomb = streaming.compress(bytes(64 * MIB))

    def explode() -> None:
        with pytest.raises(CorruptChunk, match="inflates to more"):
            decode(bomb)

    assert peak_of(explode) < 16 * MIB  # LZMA takes eight for its dictionary
    with pytest.raises(CorruptChunk):
        decode(streaming.compress(VALUES.tobytes())[:-20])


@pytest.mark.parametrize("size", [100, 300, 70_000, 2**33])
def test_every_form_of_a_zstandard_size_is_read(size: int) -> None:
    """One, two, four and eight bytes state a size; what is too large is seen in each."""
    meta = described("zstd", shape=[25], chunks=[25], dtype="<i4")
    assert meta.decoder is not None
    length = {100: 1, 300: 2, 70_000: 4, 2**33: 8}[size]
    flags = {1: 0, 2: 1, 4: 2, 8: 3}[length] << 6 | 1 << 5
    stated = (size - 256 if length == 2 else size).to_bytes(length, "little")
    frame = b"\x28\xb5\x2f\xfd" + bytes([flags]) + stated + bytes(20)
    too_large = size >= 70_000
    with pytest.raises(CorruptChunk, match="inflates to more" if too_large else "decode"):
        meta.decoder(frame)


def test_stacked_codecs_are_bounded_each() -> None:
    """A bomb inside a filter's compressor is refused as well."""
    meta = described("zlib", filters=[{"id": "zlib", "level": 1}])
    assert meta.decoder is not None
    inner = zlib.compress(VALUES.tobytes())
    np.testing.assert_array_equal(meta.decoder(zlib.compress(inner)), VALUES)
    with pytest.raises(CorruptChunk, match="inflates to more"):
        meta.decoder(zlib.compress(zlib.compress(bytes(64 * MIB))))


def test_a_filter_may_store_wider_values() -> None:
    """What compresses is what filters made: eight bytes for each value of four."""
    scale = numcodecs.FixedScaleOffset(offset=0, scale=1, dtype="<i4", astype="<f8")
    meta = described("zstd", filters=[scale.get_config()])
    assert meta.decoder is not None
    stored = packed("zstd", VALUES.astype("<f8").tobytes())
    np.testing.assert_array_equal(meta.decoder(stored), VALUES)


def test_texts_are_counted_before_memory_is_taken_for_them() -> None:
    """Four bytes that promise four thousand million texts are not believed."""
    meta = described(
        None, dtype="|O", shape=[2], chunks=[2], filters=[{"id": "vlen-utf8"}], fill_value=""
    )
    assert meta.decoder is not None
    texts = numcodecs.VLenUTF8().encode(np.array(["a", "bc"], dtype=object))
    assert list(meta.decoder(bytes(texts))) == ["a", "bc"]
    with pytest.raises(CorruptChunk, match="4294967295 values"):
        meta.decoder(b"\xff\xff\xff\xff" + bytes(texts)[4:])


def test_a_codec_that_the_application_brings_is_its_own() -> None:
    """Whoever registers another class for a name has it asked, under the same bound."""

    class Reversed(numcodecs.zstd.Zstd):  # type: ignore[misc]  # numcodecs has no types
        def decode(self, buf: Any, out: Any = None) -> Any:
            return bytes(super().decode(buf))[::-1]

    step = bounded(Reversed(), 1024)
    assert step(packed("zstd", b"abc")) == b"cba"
    with pytest.raises(CorruptChunk):
        step(packed("zstd", bytes(1025)))


EXAMPLES: dict[str, tuple[dict[str, Any], Any]] = {
    **{name: ({}, VALUES.tobytes()) for name in CODECS},
    "shuffle": ({"elementsize": 4}, VALUES.tobytes()),
    "packbits": ({}, VALUES.astype(bool)),
    "astype": ({"encode_dtype": "<i2", "decode_dtype": "<i4"}, VALUES),
    "delta": ({"dtype": "<i4", "astype": "<i2"}, VALUES),
    "fixedscaleoffset": ({"offset": 0, "scale": 1, "dtype": "<f8", "astype": "<i2"}, VALUES * 1.0),
    "quantize": ({"digits": 3, "dtype": "<f8", "astype": "<f4"}, VALUES * 1.0),
    "categorize": ({"labels": ["a", "b"], "dtype": "U1", "astype": "u1"}, np.array(["a", "b"] * 9)),
}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_no_codec_of_the_table_makes_more_than_it_may(name: str) -> None:
    """What is allowed is what numcodecs makes of it; a byte less is an error."""
    options, values = EXAMPLES[name]
    codec = numcodecs.get_codec({"id": name, **options})
    stored = codec.encode(values)
    made = np.asarray(codec.decode(stored)).tobytes()
    header = 8 if name == "packbits" else 0  # a byte of it, which might have been eight values
    found = bounded(codec, len(made) + header)(stored)
    assert np.asarray(found).tobytes() == made
    with pytest.raises(CorruptChunk, match="more than"):
        bounded(codec, len(made) - 1)(stored)


def test_each_codec_of_the_table_has_its_example() -> None:
    """A new row is not forgotten here, nor one without a cost or a bound."""
    assert set(EXAMPLES) | {"crc32c"} == set(TABLE)
    assert all(row.decode_cost >= 1 for row in TABLE.values())


@pytest.mark.parametrize("name", sorted(TABLE))
def test_zarr_v3_has_codecs_under_the_names_of_their_rows(name: str) -> None:
    """And under no other, so that what is not from bytes to bytes is left to zarr-python."""
    options, _ = EXAMPLES.get(name, ({}, None))
    for form in ("own", "numcodecs."):
        written = {"name": name if form == "own" else f"numcodecs.{name}", "configuration": options}
        assert (bytes_codec(written) is not None) is (form in TABLE[name].v3)
    assert bytes_codec({"name": f"{name}-of-somebody"}) is None
