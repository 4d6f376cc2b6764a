"""The metrics: one table, whose rows name the events that they count, and the sink of these."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from time import time
from typing import Final, TypeAlias, TypeVar

from sluice.instrumentation import ChunksLookedUp, CircuitChanged, StoreAsked, StoreRetried

from .events import (
    DatasetOpened,
    DatasetRevalidated,
    DatasetsCounted,
    DoorAnswered,
    Event,
    InFlight,
    LoopLag,
    RequestQueued,
    RequestRefused,
    RequestServed,
    SpoolFilled,
)
from .families import SECONDS, Cells, Family, Numbers, Series, Source, exposition, read_all, rows_of

E = TypeVar("E", bound=Event)
T = TypeVar("T", DoorAnswered, DatasetOpened, StoreAsked)
Count: TypeAlias = Callable[[E], None]

_CIRCUITS: Final = {"closed": 0, "half-open": 1, "open": 2}


def of(event: type[E], counting: Callable[[Series], Count[E]]) -> Source:
    """A source whose event and counting belong together."""
    return Source(event, counting)


def timed(event: type[T], labels: Callable[[T], tuple[str, ...]]) -> Source:
    """A source that observes how long something took, by the labels that its event has."""
    return of(event, lambda series: lambda e: series.observe(e.seconds, *labels(e)))


def counted(event: type[E], labels: Callable[[E], tuple[str, ...]]) -> Source:
    """A source that counts how often something happened, by the labels that its event has."""
    return of(event, lambda series: lambda e: series.add(1, *labels(e)))


def _request_times(series: Series) -> Count[RequestServed]:
    buckets = series.family.buckets
    # By the number, which is at hand: to write it for each answer would take longer.
    known: dict[tuple[str, int], Numbers] = {}

    def count(event: RequestServed) -> None:
        kind = (event.route, event.status)
        cells = known.get(kind)
        if cells is None:
            cells = known[kind] = series.at(event.route, str(event.status))
        cells[bisect_left(buckets, event.seconds)] += 1
        cells[-1] += event.seconds

    return count


def _dataset_times(series: Series) -> Count[RequestServed]:
    known: dict[str, Numbers] = {}

    def count(event: RequestServed) -> None:
        if event.dataset:
            cells = known.get(event.dataset)
            if cells is None:
                cells = known[event.dataset] = series.at(event.dataset)
            cells[0] += 1
            cells[1] += event.seconds

    return count


def _sent_bytes(series: Series) -> Count[RequestServed]:
    known: dict[str, Numbers] = {}

    def count(event: RequestServed) -> None:
        cells = known.get(event.dataset)
        if cells is None:
            cells = known[event.dataset] = series.at(event.dataset)
        cells[0] += event.sent_bytes

    return count


def _failures(series: Series) -> Count[RequestServed]:
    def count(event: RequestServed) -> None:
        if event.status >= 500 and event.dataset:
            series.add(1, event.dataset, str(event.status))

    return count


def _opened_at(series: Series) -> Count[DatasetOpened]:
    def count(event: DatasetOpened) -> None:
        if event.error is None:
            series.set(time(), event.dataset)

    return count


def _swapped_at(series: Series) -> Count[DatasetRevalidated]:
    def count(event: DatasetRevalidated) -> None:
        if event.outcome == "swapped":
            series.set(time(), event.dataset)

    return count


def _worst_circuit(series: Series) -> Count[CircuitChanged]:
    # One bucket, read in two ways, or a disk has several circuits: the worst is told. Each is
    # known by its first dataset, and forgotten when it is closed.
    open_circuits: dict[str, dict[str, int]] = {}

    def count(event: CircuitChanged) -> None:
        circuits = open_circuits.setdefault(event.store, {})
        if event.state == "closed":
            circuits.pop(event.datasets[0], None)
        else:
            circuits[event.datasets[0]] = _CIRCUITS[event.state]
        series.set(max(circuits.values(), default=0), event.store)

    return count


# A store is a bucket or a host, however many datasets it holds.
METRICS: Final[tuple[Family, ...]] = (
    Family(
        "sluice_request_seconds",
        "histogram",
        "Time from a request to the last byte of its answer",
        (of(RequestServed, _request_times),),
        labels=("route", "status"),
        buckets=SECONDS,
        most=50,
    ),
    Family(
        "sluice_door_request_seconds",
        "histogram",
        "The same by standard door: dap, edr, zarr",
        (timed(DoorAnswered, lambda e: (e.door, str(e.status))),),
        labels=("door", "status"),
        buckets=SECONDS,
        most=50,
    ),
    Family(
        "sluice_dataset_request_seconds",
        "summary",
        "The same by dataset, whatever the answer",
        (of(RequestServed, _dataset_times),),
        labels=("dataset",),
        most=1000,
    ),
    Family(
        "sluice_dataset_failures_total",
        "counter",
        "Answers of one dataset with a status of 500 or more",
        (of(RequestServed, _failures),),
        labels=("dataset", "status"),
        most=200,
    ),
    Family(
        "sluice_sent_bytes_total",
        "counter",
        "Bytes of answers' bodies",
        (of(RequestServed, _sent_bytes),),
        labels=("dataset",),
        most=1000,
    ),
    Family(
        "sluice_refused_total",
        "counter",
        "Requests that were not answered, by reason: client (429), overload (503), deadline (504);"
        " broken (not to the end)",
        (counted(RequestRefused, lambda e: (e.reason,)),),
        labels=("reason",),
        most=20,
    ),
    Family(
        "sluice_queue_seconds",
        "histogram",
        "How long those requests waited for memory that had to",
        (of(RequestQueued, lambda series: lambda e: series.observe(e.seconds)),),
        buckets=SECONDS,
    ),
    Family(
        "sluice_inflight_bytes",
        "gauge",
        "Memory that requests in flight may take",
        (of(InFlight, lambda series: lambda e: series.set(e.held_bytes)),),
    ),
    Family(
        "sluice_queue_length",
        "gauge",
        "Requests that wait for memory",
        (of(InFlight, lambda series: lambda e: series.set(e.waiting)),),
    ),
    Family(
        "sluice_spool_bytes",
        "gauge",
        "Disk that files take that must be whole before they are sent",
        (of(SpoolFilled, lambda series: lambda e: series.set(e.held_bytes)),),
    ),
    Family(
        "sluice_dataset_open_seconds",
        "summary",
        "Time to open a dataset, by outcome: ok, or the class of the error",
        (timed(DatasetOpened, lambda e: (e.dataset, e.outcome)),),
        labels=("dataset", "outcome"),
        most=1000,
    ),
    Family(
        "sluice_dataset_refreshes_total",
        "counter",
        "Looks at a dataset's store for another version, by what they came to: unchanged, settling,"
        " swapped, failed, unreachable, gone",
        (counted(DatasetRevalidated, lambda e: (e.dataset, e.outcome)),),
        labels=("dataset", "outcome"),
        most=1100,
    ),
    # Of several workers the one that opened it last.
    Family(
        "sluice_dataset_version_timestamp_seconds",
        "gauge",
        "When the version that a dataset serves was opened, in Unix time",
        (of(DatasetOpened, _opened_at), of(DatasetRevalidated, _swapped_at)),
        labels=("dataset",),
        most=1000,
        worst=True,
    ),
    Family(
        "sluice_open_datasets",
        "gauge",
        "Datasets that are open, each worker's own counted",
        (of(DatasetsCounted, lambda series: lambda e: series.set(e.open)),),
    ),
    Family(
        "sluice_store_request_seconds",
        "histogram",
        "Time of one request to a store, by outcome: ok, or the class of the error",
        (timed(StoreAsked, lambda e: (e.store, e.operation, e.outcome)),),
        labels=("store", "operation", "outcome"),
        buckets=SECONDS,
        most=60,
    ),
    Family(
        "sluice_store_received_bytes_total",
        "counter",
        "Bytes that stores sent",
        (of(StoreAsked, lambda series: lambda e: series.add(e.received_bytes, e.store)),),
        labels=("store",),
        most=100,
    ),
    Family(
        "sluice_store_retries_total",
        "counter",
        "Requests to a store that were tried again, by what had failed",
        (counted(StoreRetried, lambda e: (e.store, e.operation, type(e.error).__name__)),),
        labels=("store", "operation", "error"),
        most=100,
    ),
    # Of several workers the one that is worst off: each judges for itself.
    Family(
        "sluice_store_circuit_state",
        "gauge",
        "Whether a store is asked: 0 yes, 1 by one request as a trial, 2 no; of several circuits"
        " and workers the worst",
        (of(CircuitChanged, _worst_circuit),),
        labels=("store",),
        most=100,
        worst=True,
    ),
    Family(
        "sluice_loop_lag_seconds",
        "histogram",
        "How late the event loop ran a timer, of four a second",
        (of(LoopLag, lambda series: lambda e: series.observe(e.seconds)),),
        buckets=SECONDS,
    ),
    Family(
        "sluice_tasks",
        "gauge",
        "Tasks of the event loop that have not ended",
        (of(LoopLag, lambda series: lambda e: series.set(e.tasks)),),
    ),
    Family(
        "sluice_chunk_lookups_total",
        "counter",
        "Decoded chunks that requests needed, by whether they were in memory: hit, miss",
        (
            of(ChunksLookedUp, lambda series: lambda e: series.add(e.hits, "hit")),
            of(ChunksLookedUp, lambda series: lambda e: series.add(e.misses, "miss")),
        ),
        labels=("outcome",),
        most=2,
    ),
    Family(
        "sluice_chunk_evictions_total",
        "counter",
        "Decoded chunks that had to make room for others",
        (of(ChunksLookedUp, lambda series: lambda e: series.add(e.evictions)),),
    ),
    Family(
        "sluice_chunk_cache_bytes",
        "gauge",
        "Memory that cached chunks hold",
        (of(ChunksLookedUp, lambda series: lambda e: series.set(e.held_bytes)),),
    ),
)


class Metrics:
    """Counts events in memory of its own, so that two applications do not mix.

    With a file `counts` that several processes share, each counts in its own `place` there, and
    `render` adds up those of all; each would otherwise tell of itself alone, whichever answers.
    """

    def __init__(
        self, counts: int | None = None, place: int = 0, table: Sequence[Family] = METRICS
    ) -> None:
        self._counts = counts
        self._table = table
        gauges = {family.name for family in table if family.kind == "gauge"}
        self._cells = Cells() if counts is None else Cells.at(counts, place, gauges)
        self._counting: dict[type[object], list[Callable[..., None]]] = {}
        for family in table:
            series = Series(family, self._cells)
            for source in family.sources:
                self._counting.setdefault(source.event, []).append(source.counting(series))

    def record(self, event: Event) -> None:
        """Count one event in every metric that it is a source of."""
        for count in self._counting.get(type(event), ()):
            count(event)

    def render(self) -> bytes:
        """All metrics as `families.CONTENT_TYPE`; any thread may ask."""
        regions = [(True, self._cells.read())] if self._counts is None else read_all(self._counts)
        return exposition(self._table, regions)


def metrics_table(table: Sequence[Family] = METRICS) -> str:
    """The metrics as a Markdown table: name, kind, labels, and what is counted."""
    return f"| metric | kind | labels | what it counts |\n|---|---|---|---|\n{rows_of(table)}"
