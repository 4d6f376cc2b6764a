"""What a copy of a dataset in other chunks is made of: its metadata, and the blocks to copy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from sluice.aliases import Document
from sluice.arrays.array_metadata import ArrayMeta
from sluice.datasets.encoded_store import EncodedStore
from sluice.errors import CatalogError

Shape: TypeAlias = tuple[int, ...]
# A coordinate of at most so many bytes is one chunk: it is read whole when a dataset is opened.
_COORDINATE_BYTES: Final = 16 * 2**20
# Blocks are not smaller for the sake of progress that can be seen.
_BLOCK_BYTES: Final = 32 * 2**20
# What a text of variable length is taken for.
_TEXT_BYTES: Final = 256
# Beyond so many ways to cut an array, fewer are looked at.
_MOST_WAYS: Final = 100_000
_SERIALIZERS: Final = ("bytes", "vlen-utf8", "vlen-bytes")
_COMPRESSORS: Final = ("blosc", "zstd", "gzip", "zlib", "lz4", "bz2", "lzma")


def check_dimensions(known: EncodedStore, chunks: Mapping[str, int]) -> None:
    """Raise CatalogError for a dimension that no variable has."""
    dims = {str(dim) for variable in known.variables.values() for dim in variable.dims}
    for name in chunks:
        if name not in dims:
            there = ", ".join(sorted(dims))
            raise CatalogError(f"no variable has the dimension {name!r} (there are: {there})")


def chunks_of(
    name: str, meta: ArrayMeta, dims: Sequence[object], chunks: Mapping[str, int]
) -> Shape:
    """The chunk shape of an array in the copy: `chunks` by dimension, else the dataset's own."""
    if dims == (name,) and value_bytes(meta) <= _COORDINATE_BYTES:
        return tuple([max(1, n) for n in meta.shape])
    own = meta.chunks if len(meta.chunks) == len(meta.shape) else meta.shape
    lengths = [chunks.get(str(dim), its) for dim, its in zip(dims, own, strict=False)]
    # The characters of a text have no dimension of their own.
    lengths += own[len(lengths) :]
    return tuple([max(1, min(most, n)) for most, n in zip(meta.shape, lengths, strict=True)])


def item_bytes(meta: ArrayMeta) -> int:
    """The bytes of one value in memory; a guess for texts of variable length."""
    return _TEXT_BYTES if meta.dtype.kind in "OT" else meta.dtype.itemsize


def value_bytes(meta: ArrayMeta) -> int:
    """The bytes of all values of an array in memory."""
    return math.prod(meta.shape) * item_bytes(meta)


def document_v2(
    document: Document, attributes: Document, meta: ArrayMeta, chunks: Shape
) -> Document:
    """The ``.zarray`` of a copy in these chunks, with its attributes under ``attributes``."""
    compressor = document.get("compressor")
    known = isinstance(compressor, dict) and compressor.get("id") in _COMPRESSORS
    filters = document.get("filters") if meta.dtype.kind in "OT" else None
    return {
        "zarr_format": 2,
        "shape": list(meta.shape),
        "chunks": list(chunks),
        "dtype": document["dtype"],
        "compressor": compressor if known or compressor is None else {"id": "zstd", "level": 3},
        "fill_value": document.get("fill_value"),
        "order": "C",
        "filters": filters,
        "dimension_separator": ".",
        "attributes": attributes,
    }


def document_v3(
    document: Document, attributes: Document, meta: ArrayMeta, chunks: Shape
) -> Document:
    """The ``zarr.json`` of a copy in these chunks; of shards it has the inner codecs."""
    codecs = document["codecs"]
    assert isinstance(codecs, list)
    if codecs[0]["name"] == "sharding_indexed":
        codecs = codecs[0]["configuration"]["codecs"]
    found = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(meta.shape),
        "data_type": document["data_type"],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": document["fill_value"],
        "codecs": _codecs_v3(codecs),
        "attributes": attributes,
    }
    if document.get("dimension_names") is not None:
        found["dimension_names"] = document["dimension_names"]
    return found


def _codecs_v3(codecs: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The dataset's serializer and compressors; its codecs from array to array are left out."""
    serializers = [one for one in codecs if one["name"] in _SERIALIZERS]
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    compressors = [
        one for one in codecs if str(one["name"]).removeprefix("numcodecs.") in _COMPRESSORS
    ]
    if not serializers and not compressors:
        compressors = [{"name": "zstd", "configuration": {"level": 3, "checksum": False}}]
    return [*(serializers or [plain]), *compressors]


def places(shape: Shape, block: Shape) -> Iterator[tuple[slice, ...]]:
    """The blocks of an array, in the order of their places."""
    each = [
        [slice(start, min(start + length, size)) for start in range(0, size, length)]
        for size, length in zip(shape, block, strict=True)
    ]
    return itertools.product(*each)


def block_shape(
    shape: Shape, stored: Shape, chunks: Shape, itemsize: int, most_bytes: int
) -> Shape:
    """The blocks of at most `most_bytes` with which the fewest stored chunks are decoded.

    They are of whole `chunks` of the copy; among blocks that decode as many, small ones that are
    not tiny.
    """
    if not shape:
        return ()
    stored = stored if len(stored) == len(shape) else shape
    ways = _few_ways(shape, stored, chunks)
    best: tuple[tuple[int, int, int], Shape] | None = None
    for way in itertools.product(*ways):
        lengths = tuple([length for length, _ in way])
        nbytes = math.prod(lengths) * itemsize
        if nbytes <= most_bytes or best is None:
            decoded = math.prod([touched for _, touched in way])
            rank = (decoded, max(nbytes, _BLOCK_BYTES), -nbytes)
            if best is None or rank < best[0]:
                best = rank, lengths
    assert best is not None
    return best[1]


def _few_ways(shape: Shape, stored: Shape, chunks: Shape) -> list[list[tuple[int, int]]]:
    """The `_ways` along each dimension, so few that all blocks of them can be looked at."""
    coarse = 1
    while True:
        ways = [_ways(*sizes, coarse) for sizes in zip(shape, stored, chunks, strict=True)]
        if math.prod(map(len, ways)) <= _MOST_WAYS:
            return ways
        if coarse > max(shape):
            break
        coarse *= 2
    # Of many dimensions two ways each are too many: the first ones go chunk by chunk.
    for axis, each in enumerate(ways):
        if math.prod(map(len, ways)) > _MOST_WAYS:
            ways[axis] = each[:1]
    return ways


def _ways(size: int, stored: int, chunk: int, coarse: int) -> list[tuple[int, int]]:
    """Lengths of blocks along one dimension, and how many stored chunks all of them touch."""
    count, steps, number = -(-size // chunk), [1], 1
    while number < count:
        number = max(number + 1, int(number * (0.25 + coarse)))
        steps.append(min(number, count))
    found = []
    for step in steps:
        length = min(step * chunk, max(1, size))
        starts = np.arange(0, size, length)
        last = np.minimum(starts + length, size) - 1
        touched = last // max(1, stored) - starts // max(1, stored) + 1
        found.append((length, int(touched.sum())))
    return found
