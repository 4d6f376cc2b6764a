"""What is made ready before anybody asks, and which datasets can be read now.

What stores are read with is imported and connected first: the first client of S3 in a process takes
0.3 s of imports and service models, which the first request would have to wait for.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sluice.aliases import Document
from sluice.concurrency import SingleFlight, map_concurrently
from sluice.errors import SluiceError, StoreTimeout
from sluice.store.addresses import Engine, split_document, split_url
from sluice.store.filesystems import Filesystems
from sluice.store.protocols import KIND_OF, OBSTORE_MODULES, REFERENCE, import_modules
from sluice.store.references import is_table

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


# A report takes so many times as long as one dataset may, at most.
_ROUNDS: Final = 2


@dataclass(frozen=True, slots=True)
class DatasetState:
    """Whether one dataset can be read: `failure` is the class of what keeps it from that.

    The class alone: an error's words may name keys, buckets and paths. A `stale` one serves the
    version that it had: its store could not be looked at, or has another that cannot be opened.
    A `pending` one has not been looked at yet.
    """

    id: str
    failure: type[Exception] | None = None
    stale: bool = False
    pending: bool = False

    @property
    def ready(self) -> bool:
        """Whether the dataset is open or could be opened."""
        return self.failure is None and not self.pending


@dataclass(frozen=True, slots=True)
class Report:
    """The state of every dataset, in the catalog's order."""

    datasets: tuple[DatasetState, ...]

    def ready(self, strict: bool) -> bool:
        """Whether at least one dataset is ready; with `strict`, whether all are, and none stale."""
        if strict:
            return all(state.ready and not state.stale for state in self.datasets)
        return any(state.ready for state in self.datasets)


@dataclass(frozen=True, slots=True)
class _Known:
    """The state of a dataset, and until when it is believed."""

    state: DatasetState
    until: float


class StatusProbe:
    """Probes the datasets of a catalog, `at_once` at a time, each for `patience_seconds` at most.

    What was found of a dataset is kept for `keep_seconds`. A report takes twice that at most:
    in a large catalog it says which datasets are `pending`, and the next one goes on with those.
    Those who ask while one is being made share it. It starts no task that outlives its callers. It
    belongs to one event loop.
    """

    def __init__(
        self,
        opened: OpenedDatasets,
        *,
        keep_seconds: float,
        patience_seconds: float,
        at_once: int = 8,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opened = opened
        self._keep_seconds = keep_seconds
        self._patience_seconds = patience_seconds
        self._at_once = at_once
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._known_of: Catalog | None = None
        self._flight: SingleFlight[int, Report] = SingleFlight()

    async def report(self) -> Report:
        """The state of every dataset, each at most `keep_seconds` old; never raises for a store."""
        catalog = self._opened.catalog
        if self._known_of is not catalog:
            self._known, self._known_of = {}, catalog
        if not self._due(catalog):
            return self._report(catalog)
        return await self._flight.do(id(catalog), lambda: self._probe(catalog))

    def _due(self, catalog: Catalog) -> list[str]:
        """The datasets to be probed: those that nobody knows of first, then those known longest."""
        now, known = self._clock(), self._known
        ends = {name: known[name].until if name in known else 0.0 for name in catalog.entries}
        return sorted((name for name, until in ends.items() if until <= now), key=ends.__getitem__)

    def _report(self, catalog: Catalog) -> Report:
        known = self._known
        return Report(
            tuple(
                known[name].state if name in known else DatasetState(name, pending=True)
                for name in catalog.entries
            )
        )

    async def _probe(self, catalog: Catalog) -> Report:
        found = self._known

        async def probe(dataset_id: str) -> None:
            state = await self._state(dataset_id)
            found[dataset_id] = _Known(state, self._clock() + self._keep_seconds)

        with suppress(TimeoutError):
            async with asyncio.timeout(_ROUNDS * self._patience_seconds):
                await map_concurrently(self._due(catalog), probe, workers=self._at_once)
        return self._report(catalog) if found is self._known else await self.report()

    async def _state(self, dataset_id: str) -> DatasetState:
        try:
            # A request that waits for the same open keeps it going after that.
            async with asyncio.timeout(self._patience_seconds) as deadline:
                freshness = await self._opened.probe(dataset_id)
        except Exception as error:
            if not deadline.expired():
                return DatasetState(dataset_id, type(error))
            # Groups are enumerated in the background, however long that takes.
            pending = self._opened.catalog.is_pending(dataset_id)
            failure = None if pending else StoreTimeout
            return DatasetState(dataset_id, failure, pending=pending)
        return DatasetState(dataset_id, stale=freshness.trouble is not None)


# A client takes memory: of a catalog with more sets of options, the others connect when asked for.
_MOST_CONNECTED: Final = 16


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a store, and how it is read."""

    url: str
    storage_options: Document
    engine: Engine = "s3fs"


def import_engines(addresses: Iterable[Address]) -> None:
    """Import what these stores are read with; an extra that is not installed is passed over.

    It takes up to a second: call it before anybody waits, or in a thread.
    """
    wanted: dict[str, None] = {}
    for address in addresses:
        if address.engine == "obstore":
            wanted |= dict.fromkeys(OBSTORE_MODULES)
            continue
        protocols = [split_url(address.url)[0], *(p for p, _ in _targets(address))]
        for protocol in protocols:
            if protocol in KIND_OF:
                wanted |= dict.fromkeys(KIND_OF[protocol].modules)
    import_modules(wanted)


async def connect_all(
    filesystems: Filesystems, addresses: Iterable[Address], *, seconds: float
) -> None:
    """Connect what these stores are read with, in `seconds` at most; no store is read.

    What cannot be connected is left for whoever opens it, and is told then.
    """

    async def connect(address: tuple[str, Document]) -> None:
        protocol, options = address
        with suppress(SluiceError):
            await filesystems.connect(protocol, options)

    try:
        async with asyncio.timeout(seconds):
            await map_concurrently(list(_different(addresses)), connect, workers=4)
    except TimeoutError:
        log.warning("some stores take longer than %g s to be connected: they go on later", seconds)


def _different(addresses: Iterable[Address]) -> Iterator[tuple[str, Document]]:
    """The different filesystems of these stores, by protocol and options; so many at most."""
    seen: set[str] = set()
    for address in addresses:
        for protocol, options in _filesystems(address):
            name = f"{protocol} {sorted(map(repr, options.items()))}"
            if name in seen:
                continue
            if len(seen) == _MOST_CONNECTED:
                return
            seen.add(name)
            yield protocol, options


def _filesystems(address: Address) -> Iterator[tuple[str, Document]]:
    if address.engine == "obstore":
        return  # its stores connect with their first request, and cost a millisecond
    protocol = split_url(address.url)[0]
    if protocol == REFERENCE:
        yield from _targets(address)
    else:
        yield protocol, address.storage_options


def _targets(address: Address) -> Iterator[tuple[str, Document]]:
    """Where the document of references is, and what it is said to refer to."""
    if split_url(address.url)[0] != REFERENCE:
        return
    options = address.storage_options
    document, remote = options.get("fo"), options.get("remote_protocol")
    if isinstance(document, str) and not is_table(document):
        given = dict(options.get("target_options") or {})
        given.pop("compression", None)
        yield split_url(split_document(document)[0])[0], given
    if isinstance(remote, str) and remote:
        yield remote, options.get("remote_options") or {}
