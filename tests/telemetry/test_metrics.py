"""The counting sink: every event has its numbers, in Prometheus' own format."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.server.processes import unnamed_file
from app.telemetry.events import (
    DatasetOpened,
    DatasetRevalidated,
    DatasetsCounted,
    Event,
    InFlight,
    LoopLag,
    RequestQueued,
    RequestRefused,
    RequestServed,
)
from app.telemetry.families import Family, leave, make_room
from app.telemetry.metrics import METRICS, Metrics, metrics_table, of
from sluice.errors import StoreFaltered, StoreRefused
from sluice.instrumentation import ChunksLookedUp, CircuitChanged, StoreAsked, StoreRetried

PAGE = Path(__file__).parent.parent.parent / "docs" / "operations.md"


def numbers(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels in order, without buckets."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def test_every_event_is_counted_where_it_belongs() -> None:
    """What happened to requests, stores, chunks and the loop is told apart by labels."""
    metrics = Metrics()
    path, route = "/datasets/a/sel", "/datasets/{id}/sel"
    served = RequestServed(0.0, "1", "192.0.2.1", "GET", path, route, "a", 200, 0.5, 70)
    for event in (
        served,
        served,
        DatasetOpened("a", 0.25, None),
        DatasetOpened("b", 0.5, StoreRefused("no")),
        StoreAsked("s3://a", "get", 0.125, 1000, None),
        StoreAsked("s3://a", "list", 0.125, 0, TimeoutError()),
        LoopLag(0.01),
        ChunksLookedUp(5, 2, 3, 900),
        ChunksLookedUp(1, 0, 1, 700),
        DatasetsCounted(3),
        RequestRefused("client"),
        RequestQueued(0.5),
        InFlight(1000, 2),
        InFlight(600, 1),
    ):
        metrics.record(event)
    found = numbers(metrics)
    assert found["sluice_request_seconds_count", route, "200"] == 2
    assert found["sluice_request_seconds_sum", route, "200"] == 1.0
    assert found["sluice_dataset_request_seconds_count", "a"] == 2
    assert found["sluice_dataset_request_seconds_sum", "a"] == 1.0
    assert found["sluice_sent_bytes_total", "a"] == 140
    assert found["sluice_dataset_open_seconds_count", "a", "ok"] == 1
    assert found["sluice_dataset_open_seconds_count", "b", "StoreRefused"] == 1
    assert found["sluice_store_request_seconds_count", "get", "ok", "s3://a"] == 1
    assert found["sluice_store_request_seconds_count", "list", "TimeoutError", "s3://a"] == 1
    assert found["sluice_store_received_bytes_total", "s3://a"] == 1000
    assert found["sluice_loop_lag_seconds_count",] == 1
    assert found["sluice_chunk_lookups_total", "hit"] == 6
    assert found["sluice_chunk_lookups_total", "miss"] == 2
    assert found["sluice_chunk_cache_bytes",] == 700
    assert found["sluice_chunk_evictions_total",] == 4
    assert found["sluice_open_datasets",] == 3
    assert found["sluice_refused_total", "client"] == 1
    assert found["sluice_queue_seconds_sum",] == 0.5
    assert found["sluice_inflight_bytes",] == 600
    assert found["sluice_queue_length",] == 1


def test_a_metric_is_one_row() -> None:
    """A row more is a metric more: counted, told in Prometheus' format, and in the docs' table."""
    row = Family(
        "toy_seconds",
        "histogram",
        "How long toys took",
        (of(RequestQueued, lambda series: lambda e: series.observe(e.seconds, "wood")),),
        labels=("stuff",),
        buckets=(0.1, 1.0),
    )
    metrics = Metrics(table=[*METRICS, row])
    metrics.record(RequestQueued(0.5))
    found = numbers(metrics)
    assert (found["toy_seconds_count", "wood"], found["toy_seconds_sum", "wood"]) == (1, 0.5)
    buckets = re.findall(r'toy_seconds_bucket\{.*le="(.+)"\} (.+)', metrics.render().decode())
    assert buckets == [("0.1", "0.0"), ("1.0", "1.0"), ("+Inf", "1.0")]
    assert "| `toy_seconds` | histogram | `stuff` | How long toys took |\n" in metrics_table([row])


def test_every_kind_of_event_is_counted() -> None:
    """None is told to nobody."""
    counted = {source.event for family in METRICS for source in family.sources}
    assert counted == {*get_args(Event)}


def test_two_applications_do_not_mix() -> None:
    """Each counts for itself, also in one process."""
    one, other = Metrics(), Metrics()
    one.record(LoopLag(0.01))
    assert numbers(one)["sluice_loop_lag_seconds_count",] == 1
    assert numbers(other)["sluice_loop_lag_seconds_count",] == 0


def test_sick_stores_are_counted_by_store() -> None:
    """Retries by what had failed, and the worst of the circuits of each."""
    metrics = Metrics()
    for event in (
        StoreRetried("s3://a", "get", StoreFaltered("503")),
        StoreRetried("s3://a", "get", StoreFaltered("503")),
        CircuitChanged("s3://a", ("a",), "open"),
        CircuitChanged("s3://a", ("a", "b"), "half-open"),
        CircuitChanged("s3://a", ("a", "b"), "closed"),
        CircuitChanged("s3://c", ("c",), "half-open"),
        CircuitChanged("file", ("d",), "open"),
        CircuitChanged("file", ("e",), "open"),
        CircuitChanged("file", ("e",), "closed"),
    ):
        metrics.record(event)
    found = numbers(metrics)
    assert found["sluice_store_retries_total", "StoreFaltered", "get", "s3://a"] == 2
    states = [found["sluice_store_circuit_state", store] for store in ("s3://a", "s3://c", "file")]
    assert states == [0, 1, 2]


@pytest.fixture
def counts() -> Iterator[int]:
    file = unnamed_file("counts")
    make_room(file, 2)
    yield file
    os.close(file)


def test_processes_add_up_what_they_count(counts: int) -> None:
    """Counters, buckets and gauges of all who live; of circuits and versions the largest."""
    processes = [Metrics(counts, place) for place in (0, 1)]
    for number, metrics in enumerate(processes):
        metrics.record(LoopLag(0.003, tasks=5 + number))
        metrics.record(CircuitChanged("file", ("a",), ("half-open", "open")[number]))
        metrics.record(RequestRefused("client"))
    for metrics in processes:
        found = numbers(metrics)
        assert found["sluice_loop_lag_seconds_count",] == 2
        assert found["sluice_loop_lag_seconds_sum",] == 0.006
        assert found["sluice_tasks",] == 11
        assert found["sluice_store_circuit_state", "file"] == 2
        assert found["sluice_refused_total", "client"] == 2
    bucket = r'sluice_loop_lag_seconds_bucket\{le="(.+)"\} (.+)'
    buckets = dict(re.findall(bucket, processes[0].render().decode()))
    assert (buckets["0.0025"], buckets["0.005"], buckets["+Inf"]) == ("0.0", "2.0", "2.0")


def test_a_dead_process_leaves_its_gauges_and_not_its_counters(counts: int) -> None:
    """Who takes its place goes on counting where it ended."""
    alive, dead = Metrics(counts, 0), Metrics(counts, 1)
    for metrics in (alive, dead):
        metrics.record(InFlight(600, 1))
        metrics.record(RequestRefused("client"))
        metrics.record(CircuitChanged("file", ("a",), "open" if metrics is dead else "half-open"))
    leave(counts, 1)
    found = numbers(alive)
    assert found["sluice_inflight_bytes",] == 600
    assert found["sluice_refused_total", "client"] == 2
    assert found["sluice_store_circuit_state", "file"] == 1
    another = Metrics(counts, 1)
    another.record(RequestRefused("client"))
    found = numbers(alive)
    assert found["sluice_inflight_bytes",] == 600
    assert found["sluice_store_circuit_state", "file"] == 1
    assert found["sluice_refused_total", "client"] == 3
    leave(counts, 0)
    found = numbers(another)
    assert ("sluice_store_circuit_state", "file") not in found
    assert found["sluice_inflight_bytes",] == 0


def test_metrics_have_an_end(counts: int) -> None:
    """However many datasets, stores, routes and kinds of answers there are, others in each."""
    processes = [Metrics(counts, place) for place in (0, 1)]
    for n in range(3000):
        metrics = processes[n % 2]
        dataset, error = f"{'long-name-' * 6}{n}", type(f"Error{n}", (Exception,), {})()
        store = f"s3://bucket-{n}"
        for status in (200, 500 + n % 99):
            metrics.record(
                RequestServed(0.0, "1", "", "GET", "/", f"/{n}", dataset, status, 0.5, 70)
            )
        metrics.record(DatasetOpened(dataset, 0.5, None))
        metrics.record(DatasetOpened(dataset, 0.5, error))
        metrics.record(DatasetRevalidated(dataset, "unchanged", None))
        metrics.record(StoreAsked(store, "get", 0.5, 10, error))
        metrics.record(StoreRetried(store, "get", error))
        metrics.record(CircuitChanged(store, (dataset,), "open"))
        metrics.record(RequestRefused(f"reason-{n}"))
    text = processes[0].render().decode()
    assert text.count("\n") <= 10_000
    found = numbers(processes[1])
    sums = {
        name: sum(value for (sample, *_), value in found.items() if sample == name)
        for name in ("sluice_dataset_request_seconds_count", "sluice_store_received_bytes_total")
    }
    assert list(sums.values()) == [6000, 30_000]
    assert found["sluice_dataset_request_seconds_count", "other"] == 4000


def test_labels_are_escaped() -> None:
    """Whatever stands in a name, the line is one, and is read as it was."""
    metrics = Metrics()
    metrics.record(RequestRefused('a "reason"\\ of\ntwo lines, ü'))
    assert numbers(metrics)["sluice_refused_total", 'a "reason"\\ of\ntwo lines, ü'] == 1


def test_every_metric_is_documented() -> None:
    """The one table there names each of them, and nothing that is none."""
    helped = re.findall(r"^# HELP (sluice_\w+)", Metrics().render().decode(), re.MULTILINE)
    documented = re.findall(r"^\| `(sluice_\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(n for n in helped if not n.endswith("_created"))
