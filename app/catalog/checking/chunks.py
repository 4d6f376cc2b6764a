"""What is wrong with how the variables of an opened dataset are cut and coded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import xarray as xr

from sluice.datasets._xarray import data_of
from sluice.datasets.lazy import LazyArray
from sluice.engine.prepared import describe

from .findings import Finding, Severity

TINY_BYTES: Final = 64 * 2**10
HUGE_BYTES: Final = 64 * 2**20
# Below this size a variable is read in few requests, however it is cut.
MATTERING_BYTES: Final = 16 * 2**20
# More requests than this are felt: for a coordinate by whoever opens the dataset.
MANY_CHUNKS: Final = 100
# So many values of a chunk are decoded and written in a fraction of a second.
MOST_DECODED: Final = 2**16


def chunk_findings(dataset: xr.Dataset, *, request_chunk_bytes: int) -> Iterator[Finding]:
    """What is wrong with the chunks and codecs of each variable; reads nothing.

    `request_chunk_bytes` is the largest sum of decoded chunks that one request may touch.
    """
    described = describe(dataset)["data_vars"]
    for name, variable in dataset.variables.items():
        array = lazy_array(variable)
        if array is None:
            yield from _index_chunks(str(name), variable)
            continue
        yield from _sizes(str(name), array, request_chunk_bytes)
        if array.meta.decoder is None:
            codecs = ", ".join(described.get(name, {}).get("codecs", ())) or "its codecs"
            yield Finding(
                Severity.NOTE,
                str(name),
                f"dtype {array.meta.dtype} with {codecs} is decoded by zarr-python: correct, "
                "and slower.",
            )


def lazy_array(variable: xr.Variable) -> LazyArray | None:
    """The stored array behind a variable that is not in memory."""
    array = getattr(data_of(variable), "array", None)
    return array if isinstance(array, LazyArray) else None


def first_part(variable: xr.Variable) -> dict[Any, slice]:
    """Where the first chunk of a stored variable lies; a part of it where it has very many values.

    Of a dimension that is there twice, the shorter of the two.
    """
    array = lazy_array(variable)
    assert array is not None
    lengths: dict[Any, int] = {}
    left = MOST_DECODED
    # From the last dimension, along which values lie side by side.
    for dim, chunk in reversed(list(zip(variable.dims, array.meta.chunks, strict=False))):
        lengths[dim] = max(1, min(chunk, lengths.get(dim, chunk), left))
        left //= lengths[dim]
    return {dim: slice(0, length) for dim, length in lengths.items()}


def in_units(size: int) -> str:
    """A number of bytes for people."""
    power = min(max(size.bit_length() - 1, 0) // 10, 4)
    number = size / 2 ** (10 * power)
    digits = 1 if number < 10 and not number.is_integer() else 0
    return f"{number:.{digits}f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _index_chunks(name: str, variable: xr.Variable) -> Iterator[Finding]:
    chunks = variable.encoding.get("shards") or variable.encoding.get("chunks")
    if not chunks:
        return
    count = _count(variable.shape, chunks)
    if count > MANY_CHUNKS:
        yield Finding(
            Severity.WARNING,
            name,
            f"opening the dataset reads all {count} chunks of this coordinate: rewrite it in one "
            "chunk (appending keeps the size of chunks as it was at first).",
        )


def _sizes(name: str, array: LazyArray, limit: int) -> Iterator[Finding]:
    meta = array.meta
    nbytes = math.prod(meta.shape) * meta.dtype.itemsize
    if meta.chunk_bytes > limit:
        yield Finding(
            Severity.ERROR,
            name,
            f"one chunk decodes to {in_units(meta.chunk_bytes)}, more than a request may touch "
            f"({in_units(limit)}), so no request can read it: write smaller chunks, or raise "
            f"SLUICE_REQUEST_CHUNK_BYTES to at least {meta.chunk_bytes}.",
        )
    elif meta.chunk_bytes > HUGE_BYTES:
        yield Finding(
            Severity.WARNING,
            name,
            f"a chunk decodes to {in_units(meta.chunk_bytes)}, which every point in it costs: "
            "write chunks of 1 to 16 MiB.",
        )
    per_shard = math.prod(meta.shards.per_shard) if meta.shards else 1
    stored = meta.chunk_bytes * per_shard
    count = _count(meta.shape, meta.chunks)
    if stored < TINY_BYTES and (nbytes >= MATTERING_BYTES or count // per_shard > MANY_CHUNKS):
        yield Finding(
            Severity.WARNING,
            name,
            f"{count // per_shard} chunks of {in_units(stored)} each, one request for every one "
            "of them: write chunks of 1 to 16 MiB, or gather them in shards.",
        )


def _count(shape: tuple[int, ...], chunks: tuple[int, ...]) -> int:
    return math.prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=False))
