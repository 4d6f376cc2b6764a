"""The list of datasets as JSON: written beside the loop where it is long, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from typing import Final

from sluice.kept import Kept

from ..catalog.catalog import Catalog
from ..catalog.entry import DatasetEntry
from .bodies import json_bytes

_KEPT_BYTES: Final = 8 * 2**20
# So many are written in less than a millisecond.
_FEW: Final = 100


class Listed:
    """Keeps the texts of one catalog, by who asks for them."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._texts: Kept[Hashable, bytes] = Kept(_KEPT_BYTES)

    async def text(
        self, catalog: Catalog, asker: Hashable, entries: Iterable[DatasetEntry]
    ) -> bytes:
        """What is told of those `entries` of the `catalog` that the `asker` may see."""
        if catalog is not self._catalog:
            self._catalog, self._texts = catalog, Kept(_KEPT_BYTES)
        texts = self._texts
        if (text := texts.get(asker)) is None:
            few = len(catalog.entries) <= _FEW
            text = _text(entries) if few else await asyncio.to_thread(_text, entries)
            texts.keep(asker, text, len(text))
        return text


def _text(entries: Iterable[DatasetEntry]) -> bytes:
    return json_bytes({"datasets": [entry.told for entry in entries]})
