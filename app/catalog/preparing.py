"""What is done for a catalog before anybody asks: engines are imported, some datasets opened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from sluice.concurrency import map_concurrently
from sluice.store import Filesystems
from sluice.store.connecting import Address, connect_all, import_engines

from .catalog import Catalog
from .entry import DatasetEntry
from .opened_datasets import OpenedDatasets

# Some stores ask for credentials over the network, which may take long: the service starts without
# them, and goes on with it in the background.
_START_SECONDS: Final = 2.0
_BACKGROUND_SECONDS: Final = 10.0
# So many datasets are opened at once while requests are answered.
_OPENED_AT_ONCE: Final = 2

log = logging.getLogger(__name__)


async def prepare_stores(
    catalog: Catalog, filesystems: Filesystems, *, seconds: float = _START_SECONDS
) -> None:
    """Import what the entries' stores are read with, and connect it in so many seconds at most.

    No store is opened.
    """
    addresses = [
        Address(entry.url, entry.storage_options, entry.engine)
        for entry in catalog.entries.values()
    ]
    await asyncio.to_thread(import_engines, addresses)
    await connect_all(filesystems, addresses, seconds=seconds)


class Preparation:
    """Prepares the stores of the catalog in the background, and opens ``open: at_start`` entries.

    These are kept while there is room beside those that requests have opened. It belongs to one
    event loop, and owns a task until `aclose`.
    """

    def __init__(self, opened: OpenedDatasets, filesystems: Filesystems) -> None:
        self._opened = opened
        self._filesystems = filesystems
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Prepare the catalog that is served now; what was begun for an earlier one ends."""
        if self._task is not None:
            self._task.cancel()
        self._task = asyncio.create_task(self._prepare(self._opened.catalog))

    async def aclose(self) -> None:
        """End what goes on in the background."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _prepare(self, catalog: Catalog) -> None:
        await prepare_stores(catalog, self._filesystems, seconds=_BACKGROUND_SECONDS)
        trees = [entry for entry in _at_start(catalog) if entry.has_groups]
        await map_concurrently(trees, self._find, workers=_OPENED_AT_ONCE)
        wanted = [one.id for one in _at_start(self._opened.catalog) if not one.has_groups]
        await map_concurrently(wanted, self._open, workers=_OPENED_AT_ONCE)

    async def _find(self, tree: DatasetEntry) -> None:
        """Have the groups found that are to be opened."""
        try:
            await self._opened.find(tree.id)
        except Exception as error:
            _write_unopened(tree.id, error)

    async def _open(self, dataset_id: str) -> None:
        try:
            await self._opened.probe(dataset_id)
        except Exception as error:
            _write_unopened(dataset_id, error)


def _at_start(catalog: Catalog) -> Iterator[DatasetEntry]:
    return (entry for entry in catalog.entries.values() if entry.open == "at_start")


def _write_unopened(dataset_id: str, error: Exception) -> None:
    """Whoever asks for it has it tried again, and is told why it fails."""
    kind = type(error).__name__
    log.warning("dataset %r was not opened at the start: %s: %s", dataset_id, kind, error)
