"""What a process does about the news of its server, and how it makes some."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sluice.errors import CatalogError
from sluice.store.single_flight import SingleFlight

from ..errors import NotTold
from ..telemetry.admin_log import write_signalled
from .bulletin import Bulletin, NewGeneration, News, NewTexts
from .catalog import Catalog, DatasetEntry
from .configuration import Configuration, Files
from .keys import Keys
from .opened_datasets import OpenedDatasets

# How often files that go on changing are read for one reload.
_READINGS: Final = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Difference:
    """Which entries one catalog has, has otherwise and has no more, compared to another.

    `entries` are those of both, a changed one as it is now: the catalog in use may be a later one.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    entries: Mapping[str, DatasetEntry] = field(default_factory=dict, compare=False, repr=False)

    @property
    def by_kind(self) -> dict[str, tuple[str, ...]]:
        """The ids, by what became of the entries."""
        return {"added": self.added, "changed": self.changed, "removed": self.removed}

    def __str__(self) -> str:
        parts = [
            f"{len(names)} {word} ({', '.join(names)})"
            for word, names in self.by_kind.items()
            if names
        ]
        return "; ".join(parts) or "nothing changed"


def difference(old: Catalog, new: Catalog) -> Difference:
    """What becomes of the entries when `new` takes the place of `old`."""
    before, after = old.entries, new.entries
    return Difference(
        tuple(name for name in after if name not in before),
        tuple(name for name in after if name in before and after[name] != before[name]),
        tuple(name for name in before if name not in after),
        MappingProxyType({**before, **after}),
    )


def announce(bulletin: Bulletin, files: Files) -> Catalog:
    """Have all processes go by what the `files` say now, and answer the catalog among it.

    Raises CatalogError where that cannot be used, and NotTold where there is no room to tell it;
    then nothing changes for anybody.
    """
    for _ in range(_READINGS):
        texts = files.read()
        catalog = files.parse(texts).catalog
        if texts != bulletin.latest_texts():
            bulletin.post(NewTexts(texts))
        # Another process may have read a later state meanwhile, and posted that before this one.
        if files.read() == texts:
            break
    return catalog


class Follower:
    """Acts on the news of a bulletin for the datasets and keys of this process.

    `catch_up` comes before every answer that a request gets, so whatever was posted before a
    request came is true for it. `on_catalog` is called when a catalog was reloaded.
    """

    def __init__(
        self,
        bulletin: Bulletin,
        files: Files,
        opened: OpenedDatasets,
        keys: Keys,
    ) -> None:
        self._bulletin = bulletin
        self._files = files
        self._opened = opened
        self._keys = keys
        self.on_catalog: Callable[[], None] | None = None
        self._flight: SingleFlight[None, None] = SingleFlight()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def behind(self) -> bool:
        """Whether there is news to `catch_up` with."""
        return self._bulletin.has_news

    async def begin(self) -> None:
        """Act on all news so far, the first among it; raises CatalogError if it cannot be used."""
        news, reading = self._bulletin.unread()
        self._act(news, await self._latest(news))
        self._bulletin.take(reading)

    async def catch_up(self) -> None:
        """Act on all news; those who ask meanwhile wait for it too."""
        while self._bulletin.has_news:
            await self._flight.do(None, self._follow)

    def renew(self, dataset_id: str) -> None:
        """Have all processes open this dataset anew, without any chunk that they read before."""
        self._bulletin.renew(dataset_id)

    def gone(self, dataset_id: str) -> None:
        """The dataset's store is gone: what was read of it is not to be used when it is back."""
        try:
            self.renew(dataset_id)
        except NotTold as error:
            log.error("dataset %r: its store is gone, and nobody knows: %s", dataset_id, error)

    async def reload(self) -> Difference:
        """Have all processes go by what the files say now; raises CatalogError if they cannot.

        It is true for this process when this returns, for another one with its next answer.
        """
        before = self._opened.catalog
        after = await asyncio.to_thread(announce, self._bulletin, self._files)
        await self.catch_up()
        found = difference(before, after)
        log.info("%s was reloaded: %s", self._files.catalog, found)
        return found

    async def aclose(self) -> None:
        """End what goes on in the background."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def reload_soon(self) -> None:
        """Reload in the background; what is wrong with the file goes to the log."""

        async def reload() -> None:
            write_signalled("reload")
            try:
                await self.reload()
            except (CatalogError, NotTold) as error:
                log.error("the catalog stays as it was: %s", error)

        task = asyncio.create_task(reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self) -> None:
        news, reading = self._bulletin.unread()
        latest = None
        try:
            latest = await self._latest(news)
        except CatalogError as error:
            # Whoever posted it could read it: this process differs, and stays as it was.
            log.error("the catalog stays as it was: %s", error)
        self._act(news, latest)
        self._bulletin.take(reading)
        if latest is not None and self.on_catalog is not None:
            self.on_catalog()

    async def _latest(self, news: Iterable[News]) -> Configuration | None:
        """What the last texts among the news mean."""
        texts = [item.texts for item in news if isinstance(item, NewTexts)]
        if not texts:
            return None
        # In a thread: a long catalog takes its time, and requests go on.
        return await asyncio.to_thread(self._files.parse, texts[-1])

    def _act(self, news: Iterable[News], latest: Configuration | None) -> None:
        if latest is not None:
            self._opened.replace_catalog(latest.catalog)
            self._keys.replace(latest.keys)
        for item in news:
            if isinstance(item, NewGeneration):
                self._opened.renew(item.dataset, item.generation)
