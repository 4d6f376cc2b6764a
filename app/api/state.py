"""What lives as long as the server does: what routes work with, and the limits of requests."""

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
from ..catalog.readiness import StatusProbe
from ..telemetry.metrics import Metrics
from .response_bodies import BodyWriter, json_bytes
from .spool import Spool


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The most of an answer that is sent while it is read: what it reads, and how long it takes.

    It may take `seconds` in all, and `stall_seconds` from some values to the next ones.
    """

    reading: ReadLimits
    seconds: float
    stall_seconds: float


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The most that one request may have.

    `whole` is for what is made before it is sent, `streaming` for what is sent while it is read.
    `memory_bytes` is what it has in memory at any time, `text_bytes` its texts of variable length,
    `labels` how many there are in a list, `body_bytes` what its body has.
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
    """Keeps the JSON of ``/datasets``, which is another one for each key, for one catalog."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._texts: BoundedCache[Hashable, bytes] = BoundedCache(_KEPT_BYTES)

    async def text(
        self, catalog: Catalog, asker: Hashable, entries: Iterable[DatasetEntry]
    ) -> bytes:
        """The list of `entries`, which are those of the `catalog` that the `asker` may see."""
        if catalog is not self._catalog:
            self._catalog, self._texts = catalog, BoundedCache(_KEPT_BYTES)
        texts = self._texts
        if (text := texts.get(asker)) is None:
            # Now: a thread would see the keys of a reload that comes meanwhile.
            entries = list(entries)
            few = len(entries) <= _FEW
            text = _text(entries) if few else await asyncio.to_thread(_text, entries)
            texts.put(asker, text, len(text))
        return text


def _text(entries: Iterable[DatasetEntry]) -> bytes:
    return json_bytes({"datasets": [entry.summary for entry in entries]})


# Where a selection leaves, in its request's scope, what it cost.
PHASES: Final = "sluice.phases"
# Our own server's protocol puts it into a scope's state when the connection is lost: what is sent
# after that goes nowhere.
LOST: Final = "lost"
# And there too what breaks the connection off.
ABORT: Final = "abort"


@dataclass(frozen=True, slots=True)
class Encoding:
    """Where answers are encoded, by the bytes of their results.

    Up to `inline_bytes` on the event loop, larger ones by the `writer`; from `compress_bytes` on
    they have a content coding, if the client takes one.
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
    status: StatusProbe
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
