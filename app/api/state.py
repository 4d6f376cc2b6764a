"""What lives as long as the server does, and how a route gets at it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Final

from sluice.bounded_cache import BoundedCache
from sluice.engine import ReadLimits

from ..admission import Admission
from ..catalog.catalog import Catalog
from ..catalog.config_sync import ConfigSync
from ..catalog.configuration import Keys
from ..catalog.entry import DatasetEntry
from ..catalog.opened_datasets import OpenedDatasets
from ..catalog.readiness import CatalogStatus
from ..telemetry.metrics import Metrics
from .response_bodies import BodyWriter, json_bytes
from .spool import Spool


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What an answer may have that is sent while it is read: its `reading`, and seconds, in all and
    without a byte more.
    """

    reading: ReadLimits
    seconds: float
    stall_seconds: float


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most that one request may have: what it reads, and memory at any time, bytes of texts of
    variable length, labels in a list, bytes of a body.

    `streaming` is for what is sent while it is read, `whole` for what is made before.
    """

    whole: ReadLimits
    streaming: StreamLimits
    memory_bytes: int
    text_bytes: int
    labels: int
    body_bytes: int


_KEPT_BYTES: Final = 8 * 2**20
# So many are written in less than a millisecond.
_FEW: Final = 100


class DatasetLists:
    """Keeps the texts of one catalog, by who asks for them."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._texts: BoundedCache[Hashable, bytes] = BoundedCache(_KEPT_BYTES)

    async def text(
        self, catalog: Catalog, asker: Hashable, entries: Iterable[DatasetEntry]
    ) -> bytes:
        """What is told of those `entries` of the `catalog` that the `asker` may see."""
        if catalog is not self._catalog:
            self._catalog, self._texts = catalog, BoundedCache(_KEPT_BYTES)
        texts = self._texts
        if (text := texts.get(asker)) is None:
            few = len(catalog.entries) <= _FEW
            text = _text(entries) if few else await asyncio.to_thread(_text, entries)
            texts.put(asker, text, len(text))
        return text


def _text(entries: Iterable[DatasetEntry]) -> bytes:
    return json_bytes({"datasets": [entry.told for entry in entries]})


# Where a selection leaves, in its request's scope, what it cost.
PHASES: Final = "sluice.phases"
# Our own server's protocol puts it into a scope's state when the connection is lost: what is sent
# after that goes nowhere.
LOST: Final = "lost"
# And there too what breaks the connection off.
ABORT: Final = "abort"


@dataclass(frozen=True, slots=True)
class Encoding:
    """From which result sizes on, in bytes, an answer leaves the loop, and is compressed.

    It leaves the loop for where long ones are written.
    """

    inline_bytes: int
    compress_bytes: int
    writer: BodyWriter


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that routes work with; made by the lifespan, which also closes what they hold."""

    keys: Keys
    opened: OpenedDatasets
    config_sync: ConfigSync
    status: CatalogStatus
    status_strictly: bool
    metrics_public: bool
    limits: RequestLimits
    encoding: Encoding
    admission: Admission
    spool: Spool
    metrics: Metrics
    dataset_lists: DatasetLists = field(default_factory=DatasetLists)

    @property
    def catalog(self) -> Catalog:
        """The catalog that is served now."""
        return self.opened.catalog
