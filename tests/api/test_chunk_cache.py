"""Decoded chunks in the service's memory: seen from outside by what its store is asked.

A point takes two chunks: one of the variable, and that of the coordinate along its level.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from app.settings import Settings
from tests.api.conftest import CATALOG, serving

POINT = "/datasets/v2/isel?variables=t&level=0&latitude=0&longitude=0&time="


def sample_of(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples of this name that carry these labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def gets(client: httpx.Client) -> float:
    return sample_of(client, "sluice_store_request_seconds_count", operation="get")


def test_distinct_points_of_one_chunk_ask_the_store_once(
    write_catalog: Callable[[str], Path],
) -> None:
    """After the first point, those beside it are answered from memory, and the metrics say so."""
    with serving(Settings(catalog=write_catalog(CATALOG))) as client:
        client.get("/datasets/v2").raise_for_status()
        opened = gets(client)
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda hour: client.get(f"{POINT}{hour}"), range(24)))
        assert {answer.status_code for answer in answers} == {200}
        assert gets(client) == opened + 2
        deadline = time.monotonic() + 10
        lookups = 0.0
        while lookups < 48 and time.monotonic() < deadline:
            time.sleep(0.1)
            lookups = sample_of(client, "sluice_chunk_lookups_total")
        hits = sample_of(client, "sluice_chunk_lookups_total", outcome="hit")
        assert lookups == 48
        assert 48 - 2 * 8 <= hits <= 46
        assert sample_of(client, "sluice_chunk_cache_bytes") >= 24 * 10 * 18 * 2


def test_without_memory_each_request_asks_the_store(write_catalog: Callable[[str], Path]) -> None:
    """A budget of nothing keeps nothing."""
    with serving(Settings(catalog=write_catalog(CATALOG), chunk_cache_bytes=0)) as client:
        client.get("/datasets/v2").raise_for_status()
        opened = gets(client)
        for hour in range(3):
            client.get(f"{POINT}{hour}").raise_for_status()
        assert gets(client) == opened + 2 * 3


def test_datasets_over_one_store_share_their_chunks(write_catalog: Callable[[str], Path]) -> None:
    """Two entries with one store and version find each other's chunks; a new opening does too."""
    catalog = CATALOG + '  again: {url: "{stores}/v2.zarr", drop_variables: [u]}\n'
    with serving(Settings(catalog=write_catalog(catalog), opened_datasets=1)) as client:
        client.get(f"{POINT}1").raise_for_status()
        client.get("/datasets/again").raise_for_status()
        before = gets(client)
        client.get(f"{POINT.replace('v2', 'again')}2").raise_for_status()
        assert gets(client) == before
        client.get("/datasets/v2").raise_for_status()
        before = gets(client)
        client.get(f"{POINT}3").raise_for_status()
        assert gets(client) == before
