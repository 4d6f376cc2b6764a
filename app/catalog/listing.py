"""What a glob and what a hierarchy finds: stores by their folders, groups by their metadata.

No dataset is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Final, TypeAlias

from sluice.arrays.group_paths import groups_with_arrays
from sluice.arrays.member_documents import DEFAULT_LIMITS, OpeningLimits
from sluice.concurrency import map_concurrently
from sluice.errors import StoreMissing, StoreTooLarge
from sluice.store import ByteSource, Filesystems
from sluice.store.addresses import split_url
from sluice.store.protocols import LOCAL
from sluice.store.resilient import StoreGuards
from sluice.wording import redacted

from ..telemetry.events import Emit
from .globs import Glob
from .listings import Listed, ListingLimits
from .opening import source_of

_AT_ONCE: Final = 8

ListNames: TypeAlias = Callable[[Listed], Coroutine[object, object, tuple[str, ...]]]


async def list_names(
    listed: Listed,
    *,
    filesystems: Filesystems,
    store_concurrency: int,
    most: ListingLimits,
    emit: Emit | None = None,
    guards: StoreGuards | None = None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> tuple[str, ...]:
    """The names below the root of a glob that match it, or the paths of a tree's groups, sorted.

    As many as there may be, and one more. Raises StoreError where a folder or
    the hierarchy cannot be listed, CatalogError where the options do not fit.
    """
    url = listed.root if isinstance(listed, Glob) else listed.entry.url
    entry = listed.entry.model_copy(update={"url": url})
    source = await source_of(
        entry, filesystems, store_concurrency=store_concurrency, emit=emit, guards=guards
    )
    if isinstance(listed, Glob):
        return await _stores(listed, source, most.datasets)
    return await groups_with_arrays(
        source,
        zarr_format=entry.zarr_format,
        consolidated=entry.consolidated,
        most=most.groups,
        limits=limits,
    )


async def _stores(glob: Glob, source: ByteSource, most: int) -> tuple[str, ...]:
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
