"""What a process does about the control log of its server, and how it writes into it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from sluice.concurrency import SingleFlight
from sluice.errors import CatalogError

from ..errors import NotTold
from ..telemetry.logs import write_signalled
from .catalog import Catalog
from .configuration import Configuration, Files, Keys
from .control_log import ControlLog, NewEpoch, News, NewTexts, ReloadAsked
from .entry import DatasetEntry
from .globs import GroupTree
from .listings import Expanded, ListingLimits, Listings, NewNames
from .opened_datasets import OpenedDatasets
from .relisting import Relister

# How often files that go on changing are read for one reload.
_READINGS: Final = 10
# How soon after it is due a glob is listed.
_PAUSE_SECONDS: Final = 0.5

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


def post_files(control_log: ControlLog, files: Files) -> Catalog:
    """Have all processes go by what the `files` say now, and answer the catalog among it.

    Raises CatalogError where that cannot be used, and NotTold where there is no room to tell it;
    then nothing changes for anybody.
    """
    for _ in range(_READINGS):
        texts = files.read()
        catalog = files.parse(texts).catalog
        if texts != control_log.latest_texts():
            control_log.post(NewTexts(texts))
        # Another process may have read a later state meanwhile, and posted that before this one.
        if files.read() == texts:
            break
    return catalog


def ask_reload(control_log: ControlLog, files: Files) -> bool:
    """Have all processes go by what the `files` say now: whether they do when this returns.

    A catalog with globs is read anew by the process that lists them, once it has done so. Raises
    as `post_files` does.
    """
    if not files.parse(files.read()).catalog.globs:
        post_files(control_log, files)
        return True
    control_log.post(ReloadAsked())
    return False


class ConfigSync:
    """Acts on the news of a control log for the datasets and keys of this process.

    `catch_up` comes before every answer that a request gets, so whatever was posted before a
    request came is true for it. `on_catalog` is called when a catalog was reloaded.
    """

    def __init__(
        self,
        control_log: ControlLog,
        files: Files,
        opened: OpenedDatasets,
        keys: Keys,
        relister: Relister | None = None,
    ) -> None:
        self._relister = relister
        self._listings = Listings(ListingLimits(0, 0, 0)) if relister is None else relister.listings
        self._configuration = Configuration(Catalog({}))
        self._expanded = Expanded(Catalog({}))
        self._reload_asked = False
        self.control_log = control_log
        self._files = files
        self._opened = opened
        self._keys = keys
        self.on_catalog: Callable[[], None] | None = None
        self._flight: SingleFlight[None, None] = SingleFlight()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Act on all news so far, the first among it; raises CatalogError if it cannot be used."""
        news, position = self.control_log.unread()
        await self._act(news, await self._latest(news))
        self.control_log.take(position)
        # It was asked of a process that has gone, at a time that has gone.
        self._reload_asked = False

    async def list_globs(self) -> None:
        """List what no process of this server has listed yet, and serve what that brings."""
        if self._relister is not None:
            await self._relister.list_unknown(self._configuration.catalog.globs)
            await self.catch_up()

    async def keep_listed(self, pause_seconds: float = _PAUSE_SECONDS) -> None:
        """For ever list globs when they are due, and reload when that is asked, for all processes.

        One process of a server does so.
        """
        while self._relister is not None:
            globs = self._configuration.catalog.globs
            self._relister.tell_left_out(globs, self._expanded.left_out)
            await asyncio.sleep(pause_seconds)
            await self.catch_up()
            if self._reload_asked:
                self._reload_asked = False
                await self._reload_or_log()
            await self._relister.list_due(self._configuration.catalog.globs)
            await self.catch_up()

    async def keep_groups_listed(self, pause_seconds: float = _PAUSE_SECONDS) -> None:
        """For ever enumerate the groups of hierarchies when they are due, for all processes.

        One process of a server does so.
        """
        while self._relister is not None:
            await self._relister.list_due_trees(self._expanded.catalog.trees.values())
            await self.catch_up()
            expanded = self._expanded
            self._relister.tell_left_out(expanded.catalog.trees.values(), expanded.left_out)
            await asyncio.sleep(pause_seconds)

    async def find_groups(self, dataset_id: str) -> None:
        """Enumerate the groups that this id may be one of, where nobody has done so yet.

        Raises what keeps the store from telling, and NotTold.
        """
        tree = self._opened.catalog.tree_of(dataset_id)
        if tree is not None and self._relister is not None:
            await self._relister.find(tree)
            await self.catch_up()

    async def refresh_groups(self, tree: GroupTree) -> tuple[list[str], list[str]]:
        """Enumerate a tree's groups anew, for all processes; ids of those that came and that went.

        Raises what keeps the store from telling, and NotTold.
        """
        own = tree.entry.id
        before = set(self._opened.catalog.groups.get(own, ()))
        if self._relister is not None:
            await self._relister.list_anew(tree)
        await self.catch_up()
        now = set(self._opened.catalog.groups.get(own, ()))
        return sorted(now - before), sorted(before - now)

    async def catch_up(self) -> None:
        """Act on all news; those who ask meanwhile wait for it too."""
        while self.control_log.has_news:
            await self._flight.do(None, self._follow)

    def invalidate(self, *dataset_ids: str) -> None:
        """Have all processes open these datasets anew, without any chunk that they read before.

        Blocks while that is written to a disk.
        """
        for dataset_id in dataset_ids:
            self.control_log.invalidate(dataset_id)

    def gone(self, dataset_id: str) -> None:
        """The dataset's store is gone: what was read of it is not to be used when it is back."""
        try:
            news = self.control_log.gone(dataset_id)
        except NotTold as error:
            log.error("dataset %r: its store is gone, and nobody knows: %s", dataset_id, error)
        else:
            self._start(self._keep_or_log(news))

    async def _keep_or_log(self, news: NewEpoch) -> None:
        try:
            await asyncio.to_thread(self.control_log.keep, news)
        except NotTold as error:
            log.warning("dataset %r: its store was gone: %s", news.dataset, error)

    async def reload(self) -> Difference:
        """Have all processes go by what the files say now; raises CatalogError if they cannot.

        It is true for this process when this returns, for another one with its next answer.
        """
        before = self._opened.catalog
        await self._list_again()
        await asyncio.to_thread(post_files, self.control_log, self._files)
        await self.catch_up()
        found = difference(before, self._opened.catalog)
        log.info("%s was reloaded: %s", self._files.place, found)
        return found

    async def aclose(self) -> None:
        """End what goes on in the background."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def reload_soon(self) -> None:
        """Reload in the background; what is wrong with the file goes to the log."""

        write_signalled("reload")
        self._start(self._reload_or_log())

    def _start(self, work: Coroutine[object, object, None]) -> None:
        """Do it in the background."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_or_log(self) -> None:
        try:
            await self.reload()
        except (CatalogError, NotTold) as error:
            log.error("the catalog stays as it was: %s", error)

    async def _follow(self) -> None:
        news, position = self.control_log.unread()
        latest = None
        try:
            latest = await self._latest(news)
        except CatalogError as error:
            # Whoever posted it could read it: this process differs, and stays as it was.
            log.error("the catalog stays as it was: %s", error)
        await self._act(news, latest)
        self.control_log.take(position)
        if latest is not None and self.on_catalog is not None:
            self.on_catalog()

    async def _list_again(self) -> None:
        """List the globs of the files before they are served: no id is missing for a while."""
        texts = await asyncio.to_thread(self._files.read)
        configuration = await asyncio.to_thread(self._files.parse, texts)
        if self._relister is not None:
            await self._relister.list_now(configuration.catalog.globs)

    async def _latest(self, news: Iterable[News]) -> Configuration | None:
        """What the last texts among the news mean."""
        texts = [item.texts for item in news if isinstance(item, NewTexts)]
        if not texts:
            return None
        # In a thread: a long catalog takes its time, and requests go on.
        return await asyncio.to_thread(self._files.parse, texts[-1])

    async def _act(self, news: Iterable[News], latest: Configuration | None) -> None:
        configuration = latest or self._configuration
        names = [item for item in news if isinstance(item, NewNames)]
        for change in names:
            self._listings.apply(change)
        if latest is not None or names:
            # In a thread: it may be ten thousand entries.
            catalog = configuration.catalog
            self._expanded = await asyncio.to_thread(self._listings.expanded, catalog)
            self._configuration = configuration
            self._opened.replace_catalog(self._expanded.catalog)
            self._keys.replace(configuration.keys)
        if latest is not None and self._relister is not None:
            self._relister.make_due(self._expanded.catalog.trees.values())
        for item in news:
            match item:
                case NewEpoch(dataset, epoch):
                    self._opened.invalidate(dataset, epoch)
                case ReloadAsked():
                    self._reload_asked = True
                case _:
                    pass
