"""Whether the chunks of a dataset's variables suit requests, and are where its metadata says."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from operator import itemgetter
from typing import Final

import xarray as xr

from sluice.arrays.array_metadata import ArrayMeta, object_key
from sluice.datasets._xarray import data_of
from sluice.datasets.lazy import LazyArray
from sluice.engine.prepared import describe
from sluice.errors import StoreError
from sluice.store.source import ByteSource, DatedSource

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

    `request_chunk_bytes` is the most of decoded chunks that one request may have in memory.
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


def first_part(variable: xr.Variable) -> dict[Hashable, slice]:
    """Where the first chunk of a stored variable lies; a part of it where it has very many values.

    Of a dimension that is there twice, the shorter of the two.
    """
    array = lazy_array(variable)
    assert array is not None
    lengths: dict[Hashable, int] = {}
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
            f"one chunk decodes to {in_units(meta.chunk_bytes)}, more than requests may have in "
            f"memory ({in_units(limit)}), so no request can read it: write smaller chunks, or "
            f"raise SLUICE_INFLIGHT_BYTES and SLUICE_REQUEST_CHUNK_BYTES to at least "
            f"{meta.chunk_bytes}.",
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


_LOOKED_AT: Final = 8
_FLAT: Final = re.compile(r"\d+(\.\d+)+")
_NESTED: Final = re.compile(r"\d+")


async def chunk_key_findings(source: ByteSource, name: str, meta: ArrayMeta) -> list[Finding]:
    """What is wrong with the keys of the chunks of `name`, where none of a few exists.

    Raises:
        StoreError: the store does not answer.
    """
    if 0 in meta.shape or 0 in meta.chunks:
        return []
    keys = list(dict.fromkeys(object_key(meta, place) for place in _places(meta)))
    for key in keys:
        if await source.exists(key):
            return []
    try:
        names = await source.list_dir(meta.path)
    except StoreError:
        names = []  # a web server without index pages: of what it holds nobody knows
    text = _elsewhere(names, keys[0], meta)
    if text is not None:
        return [Finding(Severity.ERROR, name, text)]
    of = f"none of {len(keys)} chunks that were looked for" if len(keys) > 1 else "no chunk of it"
    text = (
        f"{of} exists (such as {keys[0]!r}): all its values are the fill value. If it was written, "
        "its chunks lie elsewhere, or its metadata is of another time: look at its keys."
    )
    return [Finding(Severity.WARNING, name, text)]


def _places(meta: ArrayMeta) -> Iterator[tuple[int, ...]]:
    """The corners and the middle of the grid of stored objects, the first one first."""
    unit = _stored_shape(meta)
    counts = [max(-(-size // length), 1) for size, length in zip(meta.shape, unit, strict=True)]
    yield from islice(product(*([0, count - 1] for count in counts)), _LOOKED_AT - 1)
    yield tuple(count // 2 for count in counts)


def _stored_shape(meta: ArrayMeta) -> Sequence[int]:
    if meta.shards is None:
        return meta.chunks
    return [c * n for c, n in zip(meta.chunks, meta.shards.per_shard, strict=True)]


def _elsewhere(names: Sequence[str], wanted: str, meta: ArrayMeta) -> str | None:
    """The sentence where chunks are there under keys of the other form."""
    if meta.zarr.metadata.zarr_format != 2 or len(meta.shape) < 2:
        return None
    own = wanted.removeprefix(f"{meta.path}/")
    nested = "/" in own
    if not nested and any(_NESTED.fullmatch(name) for name in names):
        form, separator = f"nested (as {own.replace('.', '/')})", "/"
    elif nested and any(_FLAT.fullmatch(name) for name in names):
        form, separator = f"not nested (as {own.replace('/', '.')})", "."
    else:
        return None
    return (
        f"its chunks are {form}, and its metadata says otherwise, so all its values are missing: "
        f'write "dimension_separator": "{separator}" in {meta.path}/.zarray, and in the '
        "consolidated metadata if there is any."
    )


# What clocks and file systems may be wrong by; and what one writer may take, where metadata comes
# first and is not gathered at the end.
_CLOCK_SECONDS: Final = 2.0
_WRITING_SECONDS: Final = 3600.0
# So many variables of a dataset are looked at.
_MOST_DATED: Final = 16


async def age_findings(
    source: ByteSource, group: str | None, arrays: Mapping[str, ArrayMeta]
) -> list[Finding]:
    """A warning where chunks are younger than all metadata, where the store tells times.

    A few chunks are looked at, of a few of the `arrays`, by the names of their variables.
    """
    if not isinstance(source, DatedSource) or not arrays:
        return []
    root = f"{group.strip('/')}/" if group and group.strip("/") else ""
    metadata = await _times(source, [root + name for name in _GROUP_DOCUMENTS])
    gathered = await _is_consolidated(source, root)
    for name, meta in islice(arrays.items(), _MOST_DATED):
        own = await _times(source, [f"{meta.path}/{one}" for one in _ARRAY_DOCUMENTS])
        chunks = await _times(
            source, dict.fromkeys(object_key(meta, place) for place in _places(meta))
        )
        if not (metadata or own) or not chunks:
            continue
        key, youngest = max(chunks.items(), key=itemgetter(1))
        later = youngest - max((metadata | own).values())
        if later > (_CLOCK_SECONDS if gathered else _WRITING_SECONDS):
            return [_younger(name, key, later)]
    return []


def _younger(name: str, key: str, seconds: float) -> Finding:
    unit, size = next((u, n) for u, n in _UNITS if seconds >= n or n == 1)
    count = round(seconds / size)
    told = f"{count} {unit}{'' if count == 1 else 's'}"
    return Finding(
        Severity.WARNING,
        name,
        f"a chunk ({key}) is {told} younger than the metadata. If chunks are"
        " rewritten in place, no tag tells it: write rewritten: true into the entry (weak tags, no"
        " ranges), and ask for a refresh after each time. If the store was copied, or filled once,"
        " write its metadata again (zarr.consolidate_metadata).",
    )


_UNITS: Final = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_GROUP_DOCUMENTS: Final = (".zmetadata", ".zgroup", ".zattrs", "zarr.json")
_ARRAY_DOCUMENTS: Final = (".zarray", ".zattrs", "zarr.json")


async def _times(source: DatedSource, keys: Iterable[str]) -> dict[str, float]:
    """When each of the keys was written, of those that are there."""
    found = {key: await source.modified(key) for key in keys}
    return {key: seconds for key, seconds in found.items() if seconds is not None}


async def _is_consolidated(source: ByteSource, root: str) -> bool:
    """Whether one document has all metadata, which is written last."""
    if await source.exists(f"{root}.zmetadata"):
        return True
    data = await source.get(f"{root}zarr.json")
    return data is not None and b'"consolidated_metadata"' in data
