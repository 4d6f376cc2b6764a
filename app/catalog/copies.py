"""The copies of a dataset that its entry names: which of them answer, and why the others do not.

A copy is looked at when the dataset is opened, and whenever that is looked at again. It never keeps
the dataset from being opened: one that cannot be read, that is of another version, or has other
values, is not used, and the log and ``sluice check`` say why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from sluice.aliases import record
from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.group_metadata import open_group, revalidate_groups
from sluice.arrays.member_documents import OpeningLimits
from sluice.arrays.reader import Reader
from sluice.concurrency import map_concurrently
from sluice.datasets.copies import STAMP, Copy, with_copies
from sluice.errors import SluiceError, plain_words
from sluice.store import ByteSource

from .entry import DatasetEntry, copy_entry, redact, redact_error, secrets_of
from .opened import Opened

log = logging.getLogger(__name__)

# So long an opening waits for copies; those that are later answer after the next look.
_LOOK_SECONDS: Final = 5.0
_OTHER_VERSION: Final = (
    "it is a copy of another version of the dataset, or of one before a refresh; make it again"
    " (sluice rechunk)"
)
_NO_VERSION: Final = (
    f"it does not say of which version of the dataset it is a copy (attribute {STAMP!r}): it was"
    " not made by sluice rechunk, or is not complete"
)
Connect: TypeAlias = Callable[[DatasetEntry], Awaitable[ByteSource]]


@record
class Seen:
    """A copy as it was seen: its metadata, or why there is none."""

    name: str
    documents: GroupDocuments | None
    why: str = ""

    def is_of(self, version: str) -> bool:
        """Whether it is a copy of this version of the dataset."""
        return self.documents is not None and self.documents.attributes.get(STAMP) == version


class Copies:
    """The copies of one entry, which are connected to when they are looked at first."""

    def __init__(
        self,
        entry: DatasetEntry,
        connect: Connect,
        reader: Reader | None,
        limits: OpeningLimits,
        store_id: Callable[[DatasetEntry], str],
    ) -> None:
        self._places = {place.name_in_use: copy_entry(entry, place) for place in entry.also}
        self._entry = entry
        self._connect = connect
        self._reader = reader
        self._limits = limits
        self._store_id = store_id
        self._sources: dict[str, ByteSource] = {}
        self._seen: dict[str, Seen] = {}
        self._told: Mapping[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    async def look(self) -> None:
        """Look at the metadata of each copy; what fails is noted, and raises nothing."""

        async def look(item: tuple[str, DatasetEntry]) -> None:
            name, place = item
            try:
                async with asyncio.timeout(_LOOK_SECONDS) as deadline:
                    self._seen[name] = Seen(name, await self._documents(name, place))
            except Exception as error:  # metadata can be wrong in more ways than zarr foresees
                # (A store that times out by itself has words of its own.)
                why = f"it took more than {_LOOK_SECONDS:g} seconds to look at it"
                if not deadline.expired():
                    why = f"it cannot be opened: {_words(error, place).rstrip('.')}"
                self._seen[name] = Seen(name, None, why)

        await map_concurrently(self._places.items(), look)

    async def _documents(self, name: str, place: DatasetEntry) -> GroupDocuments:
        source = self._sources.get(name)
        if source is None:
            source = self._sources[name] = await self._connect(place)
        before = self._seen.get(name)
        if before is None or before.documents is None:
            return await open_group(
                source, group=place.group, zarr_format=None, consolidated=None, limits=self._limits
            )
        (now,) = await revalidate_groups(
            source, [before.documents], zarr_format=None, consolidated=None, limits=self._limits
        )
        return now

    def usable(self, version: str) -> dict[str, str]:
        """The copies of this version of the dataset, as they were seen last: their own versions."""
        return {
            name: one.documents.version
            for name, one in self._seen.items()
            if one.documents is not None and one.is_of(version)
        }

    async def joined(self, opened: Opened, documents: GroupDocuments, source: ByteSource) -> Opened:
        """The dataset with those copies that were seen and are of its version.

        Its own `documents` and `source` say what a copy has to be like.
        """
        why = {n: one.why or self._stale(one) for n, one in self._seen.items()}
        found = [
            (name, one.documents)
            for name, one in self._seen.items()
            if one.documents is not None and one.is_of(opened.version)
        ]
        layout = opened.prepared.layout
        if found:

            def join() -> Mapping[str, Mapping[str, str]]:
                nonlocal layout
                copies = [
                    Copy.of(name, self._sources[name], its, self._reader, self._id(name))
                    for name, its in found
                ]
                layout, misfits = with_copies(layout, documents, source, copies)
                return misfits

            try:
                # Each array of either is parsed.
                misfits = await asyncio.to_thread(join)
                why |= {name: _told(misfits[name]) for name, _ in found}
            except Exception as error:  # metadata can be wrong in more ways than zarr foresees
                words = redact(plain_words(str(error)), secrets_of(self._entry))
                why |= {name: f"it cannot be compared: {words}" for name, _ in found}
        unused = {name: words for name, words in why.items() if words}
        self._write(unused)
        prepared = replace(opened.prepared, layout=layout)
        return replace(opened, prepared=prepared, unused_copies=unused)

    def _id(self, name: str) -> str:
        return self._store_id(self._places[name])

    def _stale(self, one: Seen) -> str:
        assert one.documents is not None
        return _OTHER_VERSION if STAMP in one.documents.attributes else _NO_VERSION

    def _write(self, unused: Mapping[str, str]) -> None:
        """Log what is not used and why, once for each reason."""
        for name, why in unused.items():
            if self._told.get(name) != why:
                log.warning("dataset %r: its copy %r is not used: %s", self._entry.id, name, why)
        for name in self._told.keys() - unused.keys():
            log.info("dataset %r: its copy %r is used", self._entry.id, name)
        self._told = unused


def _words(error: Exception, place: DatasetEntry) -> str:
    told = redact_error(error, place)
    return told.detail if isinstance(told, SluiceError) else redact(str(told), secrets_of(place))


def _told(misfits: Mapping[str, str]) -> str:
    """What is said of the variables of a copy that are not used."""
    if not misfits:
        return ""
    name, why = next(iter(misfits.items()))
    more = f" (and {len(misfits) - 1} more of its variables)" if len(misfits) > 1 else ""
    return f"{name!r}: {why}{more}"
