"""The metadata documents of a group's members, each of which may be broken without the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from sluice.arrays.opening_limits import OpeningLimits
from sluice.concurrency import map_concurrently
from sluice.errors import MetadataError, ReferenceRefused, StoreError, StoreMissing
from sluice.store.documents import json_object
from sluice.store.source import ByteSource

Made = TypeVar("Made")
Given = ParamSpec("Given")
# A document, or why it is none.
Found: TypeAlias = dict[str, Any] | MetadataError

# Documents of so many bytes are parsed in a few milliseconds.
_SHORT_BYTES: Final = 256 * 2**10


async def in_time(
    nbytes: int, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs
) -> Made:
    """What ``work(*given, **named)`` makes of so many bytes of documents: of many, in a thread."""
    if nbytes <= _SHORT_BYTES:
        return work(*given, **named)
    return await asyncio.to_thread(work, *given, **named)


async def member_documents(
    source: ByteSource, keys: Sequence[str], limits: OpeningLimits
) -> dict[str, Found]:
    """The documents under those of `keys` that exist, or why one is none.

    Raises:
        StoreTooLarge: all together are longer than `limits` allow.
        StoreError: the store does not answer.
    """
    try:
        found: Mapping[str, bytes | MetadataError] = await source.getitems(keys)
    except StoreError as error:
        if _of_one_key(error) is None:
            raise
        found = await _one_by_one(source, keys)
    nbytes = sum(len(data) for data in found.values() if isinstance(data, bytes))
    limits.check_metadata(nbytes)
    return await in_time(nbytes, _parsed, found)


async def _one_by_one(source: ByteSource, keys: Sequence[str]) -> dict[str, bytes | MetadataError]:
    """The value of each key, or what is wrong with it alone."""
    found: dict[str, bytes | MetadataError] = {}

    async def read(key: str) -> None:
        try:
            found.update(await source.getitems([key]))
        except StoreError as error:
            broken = _of_one_key(error)
            if broken is None:
                raise
            found[key] = broken

    await map_concurrently(keys, read)
    return found


def _of_one_key(error: StoreError) -> MetadataError | None:
    """What is wrong with the reference that stands under a key, if it is not the store that fails.

    A reference that leads nowhere, leads where it may not, or is none.
    """
    if isinstance(error, MetadataError):
        return error
    nowhere = type(error) in (StoreError, StoreMissing) and "key" in error.facts
    if nowhere or isinstance(error, ReferenceRefused):
        return MetadataError(error.detail)
    return None


def _parsed(found: Mapping[str, bytes | MetadataError]) -> dict[str, Found]:
    return {key: _document(value, key) for key, value in found.items()}


def _document(value: bytes | MetadataError, key: str) -> Found:
    if isinstance(value, MetadataError):
        return value
    try:
        return json_object(value, repr(key))
    except MetadataError as error:
        return error
