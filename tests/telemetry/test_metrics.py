"""The counting sink: every event has its numbers, in Prometheus' own format."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from app.errors import StoreFaltered, StoreRefused
from app.telemetry.events import (
    ChunksLookedUp,
    CircuitChanged,
    DatasetOpened,
    DatasetsCounted,
    InFlight,
    LoopLag,
    RequestQueued,
    RequestRefused,
    RequestServed,
    StoreAsked,
    StoreRetried,
)
from app.telemetry.metrics import Metrics

README = Path(__file__).parent.parent.parent / "README.md"


def numbers(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels in order, without buckets."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith(("_bucket", "_created"))
    }


def test_every_event_is_counted_where_it_belongs():
    """What happened to requests, stores, chunks and the loop is told apart by labels."""
    metrics = Metrics()
    path, route = "/datasets/a/sel", "/datasets/{id}/sel"
    served = RequestServed(0.0, "1", "192.0.2.1", "GET", path, route, "a", 200, 0.5, 70)
    for event in (
        served,
        served,
        DatasetOpened("a", 0.25, None),
        DatasetOpened("b", 0.5, StoreRefused("no")),
        StoreAsked("a", "get", 0.125, 1000, None),
        StoreAsked("a", "list", 0.125, 0, TimeoutError()),
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
    assert found["sluice_request_seconds_count", "a", route, "200"] == 2
    assert found["sluice_request_seconds_sum", "a", route, "200"] == 1.0
    assert found["sluice_sent_bytes_total", "a", route] == 140
    assert found["sluice_dataset_open_seconds_count", "a", "ok"] == 1
    assert found["sluice_dataset_open_seconds_count", "b", "StoreRefused"] == 1
    assert found["sluice_store_request_seconds_count", "a", "get", "ok"] == 1
    assert found["sluice_store_request_seconds_count", "a", "list", "TimeoutError"] == 1
    assert found["sluice_store_received_bytes_total", "a"] == 1000
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


def test_two_applications_do_not_mix():
    """Each counts for itself, also in one process."""
    one, other = Metrics(), Metrics()
    one.record(LoopLag(0.01))
    assert numbers(one)["sluice_loop_lag_seconds_count",] == 1
    assert numbers(other)["sluice_loop_lag_seconds_count",] == 0


def test_sick_stores_are_counted_by_dataset():
    """Retries by what had failed, and the state of the circuit for each dataset behind it."""
    metrics = Metrics()
    for event in (
        StoreRetried("a", "get", StoreFaltered("503")),
        StoreRetried("a", "get", StoreFaltered("503")),
        CircuitChanged(("a", "b"), "open"),
        CircuitChanged(("a", "b"), "half-open"),
        CircuitChanged(("a", "b"), "closed"),
        CircuitChanged(("c",), "half-open"),
        CircuitChanged(("d",), "open"),
    ):
        metrics.record(event)
    found = numbers(metrics)
    assert found["sluice_store_retries_total", "a", "StoreFaltered", "get"] == 2
    states = [found["sluice_store_circuit_state", dataset] for dataset in "abcd"]
    assert states == [0, 0, 1, 2]


def test_every_metric_is_in_the_readme():
    """The one table there names each of them, and nothing that is none."""
    helped = re.findall(r"^# HELP (sluice_\w+)", Metrics().render().decode(), re.MULTILINE)
    documented = re.findall(r"^\| `(sluice_\w+)` \|", README.read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(n for n in helped if not n.endswith("_created"))
