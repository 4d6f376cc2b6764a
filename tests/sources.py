"""Byte sources that tests read from: true ones, with a record of what was asked."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Iterable

from sluice.errors import StoreRefused
from sluice.store.source import Tagged, Unchanged


class DictSource:
    """A ByteSource over a dictionary that records every request.

    Keys in `refused` answer as a store without permission does; `listable` False refuses listing.
    """

    def __init__(
        self,
        values: dict[str, bytes],
        *,
        refused: Iterable[str] = (),
        listable: bool = True,
    ) -> None:
        self.values = values
        self.refused = set(refused)
        self.listable = listable
        self.requests: list[tuple[str, int | None, int | None]] = []

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        self.requests.append((key, start, end))
        if key in self.refused:
            raise StoreRefused(f"{key!r} is forbidden")
        value = self.values.get(key)
        if value is None:
            return None
        if start is not None and start < 0:
            return value[start:]
        return value[start:end]

    async def getitems(self, keys: Iterable[str]) -> dict[str, bytes]:
        found = {key: await self.get(key) for key in keys}
        return {key: value for key, value in found.items() if value is not None}

    async def exists(self, key: str) -> bool:
        return key in self.values

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        self._check_listable()
        for key in self.values:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        self._check_listable()
        start = f"{prefix}/" if prefix else ""
        below = (key[len(start) :] for key in self.values if key.startswith(start))
        return sorted({key.split("/", 1)[0] for key in below})

    def _check_listable(self) -> None:
        if not self.listable:
            raise StoreRefused("listing is forbidden")

    @property
    def keys(self) -> builtins.list[str]:
        """The keys that were asked, in order."""
        return [key for key, _, _ in self.requests]


class TaggingDict(DictSource):
    """A `DictSource` that tags each value with `mark` and its length, and records who was shown."""

    def __init__(self, values: dict[str, bytes], mark: str = "") -> None:
        super().__init__(values)
        self.mark = mark
        self.shown: list[str | None] = []

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        self.shown.append(known)
        data = await self.get(key)
        tag = None if data is None else f'"{self.mark}{len(data)}"'
        if data is None:
            return None
        return Unchanged() if tag == known else Tagged(data, tag)


async def stored(store: object) -> dict[str, bytes]:
    """Everything that a zarr-python MemoryStore holds."""
    return {key: value.to_bytes() for key, value in store._store_dict.items()}  # type: ignore[attr-defined]
