"""Codec chains against zarr-python's encoding, and damaged chunks."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr
import zarr.codecs
from zarr.storage import MemoryStore

from sluice.arrays.array_metadata import ArrayMeta, object_key, parse_array
from sluice.errors import CorruptChunk, MetadataError
from tests.sources import stored

VALUES = np.arange(24, dtype="<i4").reshape(4, 6)


def written(**options: Any) -> tuple[ArrayMeta, dict[str, bytes]]:
    """An array that zarr-python wrote, and everything it put into the store."""
    store = MemoryStore()
    options = {"shape": (4, 6), "chunks": (4, 6), "dtype": "<i4", "name": "a", **options}
    array = zarr.create_array(store, **options)
    array[:] = VALUES.astype(options["dtype"])
    document = array.metadata.to_dict()
    return parse_array("a", document, store), asyncio.run(stored(store))


V3 = [
    {"compressors": None},
    {"compressors": zarr.codecs.BloscCodec(cname="lz4", shuffle="bitshuffle")},
    {"compressors": [zarr.codecs.GzipCodec(), zarr.codecs.Crc32cCodec()]},
    {"compressors": zarr.codecs.ZstdCodec(checksum=True)},
    {"serializer": zarr.codecs.BytesCodec(endian="big"), "dtype": "<f8"},
    {"filters": [zarr.codecs.TransposeCodec(order=(1, 0))], "dtype": "u2"},
]


@pytest.mark.parametrize("options", V3)
def test_v3_chain_is_inverted(options: dict[str, Any]) -> None:
    """Each known v3 codec decodes to the values that were written."""
    meta, keys = written(zarr_format=3, **options)
    assert meta.decoder is not None
    chunk = meta.decoder(keys[object_key(meta, (0, 0))])
    np.testing.assert_array_equal(chunk, VALUES)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i4", ">i4", "<f8", "u1", "S3", "<U4", "c8"])
def test_v2_chain_is_inverted(order: str, dtype: str) -> None:
    """Byte order, memory order and text of fixed length survive a v2 chunk."""
    meta, keys = written(zarr_format=2, order=order, dtype=dtype)
    assert meta.decoder is not None
    chunk = meta.decoder(keys[object_key(meta, (0, 0))])
    np.testing.assert_array_equal(chunk, VALUES.astype(dtype))
    assert chunk.dtype == np.dtype(dtype)


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b[: len(b) // 2], lambda b: b""])
@pytest.mark.parametrize("options", [*V3, {"zarr_format": 2}])
def test_damaged_chunk_is_an_error(options: dict[str, Any], damage: Any) -> None:
    """A chunk that does not decode to its shape never becomes values."""
    meta, keys = written(**{"zarr_format": 3, **options})
    data = keys[object_key(meta, (0, 0))]
    assert meta.decoder is not None
    with pytest.raises(CorruptChunk):
        meta.decoder(damage(data))


def test_flipped_bit_is_noticed_by_its_checksum() -> None:
    """CRC32C stands between a damaged chunk and its readers."""
    meta, keys = written(zarr_format=3, compressors=zarr.codecs.Crc32cCodec())
    data = bytearray(keys[object_key(meta, (0, 0))])
    data[5] ^= 1
    assert meta.decoder is not None
    with pytest.raises(CorruptChunk, match="CRC32C"):
        meta.decoder(bytes(data))


def test_unknown_codec_leaves_the_array_to_zarr() -> None:
    """An array whose codecs are not known here has no decoder."""
    document = written(zarr_format=3)[0].zarr.metadata.to_dict()
    document["codecs"] = [
        {"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}},
        {"name": "bytes", "configuration": {"endian": "little"}},
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some versions of zarr warn about numcodecs' codecs
        meta = parse_array("a", document, MemoryStore())
    assert meta.decoder is None
    assert meta.chunks == (4, 6)


def test_pickle_is_never_decoded() -> None:
    """Unpickling runs code, so the codec is refused before anything is read."""
    document = {
        "zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "fill_value": None,
        "order": "C", "compressor": None, "filters": [{"id": "pickle", "protocol": 4}],
    }  # fmt: skip
    with pytest.raises(MetadataError, match="pickle"):
        parse_array("a", document, MemoryStore())


@pytest.mark.parametrize(
    ("options", "effort"),
    [
        ({}, 1),
        ({"compressors": zarr.codecs.ZstdCodec()}, 1),
        ({"compressors": zarr.codecs.GzipCodec()}, 4),
        ({"shards": (8, 12), "compressors": zarr.codecs.GzipCodec()}, 4),
        ({"zarr_format": 2, "compressors": numcodecs.Zstd()}, 1),
        ({"zarr_format": 2, "compressors": numcodecs.Zlib()}, 4),
        ({"zarr_format": 2, "compressors": numcodecs.BZ2()}, 20),
        ({"zarr_format": 2, "compressors": numcodecs.LZMA()}, 20),
    ],
)
def test_slow_codecs_are_known_as_such(options: dict[str, Any], effort: int) -> None:
    """Inside of shards too: how long a chunk holds the loop follows from its size and these."""
    meta, _ = written(**options)
    assert meta.decode_cost == effort
    assert meta.decoder is not None


@pytest.mark.parametrize("odd", [{"filters": 5}, {"codecs": 5}, {"codecs": ["bytes", 5]}])
def test_codecs_that_are_no_list_are_a_metadata_error(odd: dict[str, Any]) -> None:
    """Nothing that a document says becomes another kind of error."""
    meta, _ = written(zarr_format=2 if "filters" in odd else 3)
    document = {**meta.zarr.metadata.to_dict(), **odd}
    with pytest.raises(MetadataError):
        parse_array("a", document, MemoryStore())


def test_metadata_that_makes_no_sense_is_a_metadata_error() -> None:
    """What a document lacks is one kind of error, which names the member."""
    with pytest.raises(MetadataError, match="'data_type'"):
        parse_array("a", {"zarr_format": 3, "node_type": "array"}, MemoryStore())
