"""The stores that a glob finds: one listing of each folder on the way, and nothing opened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias

from sluice.concurrency import map_concurrently
from sluice.errors import StoreMissing, StoreTooLarge
from sluice.store import ByteSource, Filesystems
from sluice.store.addresses import split_url
from sluice.store.protocols import LOCAL
from sluice.store.resilient import StoreGuards
from sluice.wording import redacted

from ..telemetry.events import Emit
from .globs import Glob
from .opening import source_of

_AT_ONCE: Final = 8

ListNames: TypeAlias = Callable[[Glob], Coroutine[object, object, tuple[str, ...]]]


async def list_names(
    glob: Glob,
    *,
    filesystems: Filesystems,
    store_concurrency: int,
    most: int,
    emit: Emit | None = None,
    guards: StoreGuards | None = None,
) -> tuple[str, ...]:
    """The names below the root of `glob` that match it, sorted: the first `most` and one more.

    Raises StoreError where a folder cannot be listed, CatalogError where the options do not fit.
    """
    entry = glob.entry.model_copy(update={"url": glob.root})
    source = await source_of(
        entry, filesystems, store_concurrency=store_concurrency, emit=emit, guards=guards
    )
    try:
        return await _matching(glob, source, most)
    except StoreMissing as error:
        if split_url(glob.root)[0] in LOCAL:
            raise StoreMissing(f"There is no folder {redacted(glob.root)}.") from error
        raise


async def _matching(glob: Glob, source: ByteSource, most: int) -> tuple[str, ...]:
    folders = [""]
    for level in range(len(glob.levels)):
        if len(folders) > most:
            raise StoreTooLarge(f"More than {most} folders match {glob.levels[level - 1]!r}.")
        found: list[str] = []

        async def look(folder: str, level: int = level, found: list[str] = found) -> None:
            names = await source.list_dir(folder)
            prefix = f"{folder}/" if folder else ""
            found += [prefix + name for name in names if glob.matches(level, name)]

        await map_concurrently(folders, look, workers=_AT_ONCE)
        folders = sorted(found)
    return tuple(folders[: most + 1])
