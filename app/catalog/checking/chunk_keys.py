"""Whether the chunks of a variable are where its metadata says, and what the store says instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice, product
from typing import Final

from sluice.arrays.array_metadata import ArrayMeta
from sluice.errors import StoreError
from sluice.store.source import ByteSource

from .findings import Finding, Severity

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
    keys = list(dict.fromkeys(meta.key(place) for place in _places(meta)))
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
