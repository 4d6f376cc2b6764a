"""Every fault, rare, frequent and always, under every kind of request, by both engines.

Whatever happens below, a 200 is right to the bit, a failure has its documented status, nothing
hangs and nothing is left behind. FAULT_ROUNDS makes it longer.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr

from loadtests.fault_proxy import Fault

from .conftest import ENGINES, PATIENT, Ward, field, nothing_left_behind, ward

RATES = {"rare": 0.05, "frequent": 0.3, "always": 1.0}
QUERIES = {
    "point": "isel?time=7&latitude=3&longitude=5",
    "series": "sel?latitude=nearest::31&longitude=nearest::7",
    "box": "isel?time=0:24&f=netcdf",
}
ROUNDS = int(os.environ.get("FAULT_ROUNDS", "3"))

# These only slow an answer down.
HARMLESS = {Fault.LATENCY, Fault.JITTER}
# These end with the time that an answer may take.
ENDLESS = {Fault.STALL, Fault.DRIP, Fault.SLOW_DOWN}
# What may be told once more while a store heals, from memory.
ENDINGS = ("store-unavailable", "store-timeout", "store-slow")


async def ask(client: httpx.AsyncClient, dataset: str, query: str) -> httpx.Response:
    return await client.get(f"/datasets/{dataset}/{query}")


async def truth_of(client: httpx.AsyncClient) -> dict[str, bytes]:
    """What each query has to answer: the same from the disk, and xarray agrees."""
    answers = {name: await ask(client, "truth", query) for name, query in QUERIES.items()}
    whole = field().t.values
    assert answers["point"].json()["data_vars"]["t"]["data"] == pytest.approx(whole[7, 3, 5])
    assert answers["series"].json()["data_vars"]["t"]["data"] == pytest.approx(whole[:, 9, 7])
    with xr.open_dataset(io.BytesIO(answers["box"].content)) as box:
        np.testing.assert_array_equal(box.t.values, whole[:24])
    return {name: answer.content for name, answer in answers.items()}


async def storm(it: Ward, dataset: str, truth: dict[str, bytes]) -> Counter[int]:
    """All queries at once, a few times; the statuses, once each answer is checked."""
    statuses: Counter[int] = Counter()
    for _ in range(ROUNDS):
        asked = [asyncio.create_task(ask(it.client, dataset, q)) for q in QUERIES.values()]
        for name, answer in zip(QUERIES, [await task for task in asked], strict=True):
            statuses[answer.status_code] += 1
            if answer.status_code == 200:
                assert answer.content == truth[name]
            else:
                check_problem(answer)
    return statuses


def check_problem(answer: httpx.Response) -> None:
    """A failure of the store, in the documented form, that tells nothing of the store."""
    told = answer.json()
    assert answer.status_code in (502, 504), answer.text
    assert told["type"].startswith("urn:sluice:problem:store-"), told
    assert (answer.status_code == 504) == told["type"].endswith("store-timeout"), told
    assert answer.headers["cache-control"] == "no-store"
    assert not any(word in answer.text for word in ("hush", "field.zarr", "t/0", "127.0.0.1"))


async def healed(it: Ward, dataset: str, truth: dict[str, bytes]) -> None:
    """Once the faults are over, every query is answered again, without anybody's help."""
    it.proxy.chances = {}
    for name, query in QUERIES.items():
        for _ in range(100):
            answer = await ask(it.client, dataset, query)
            if answer.status_code == 200:
                break
            assert answer.json()["type"].endswith(ENDINGS), answer
            await asyncio.sleep(0.05)
        assert answer.content == truth[name]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("fault", list(Fault))
async def test_faults_cost_no_truth(fault: Fault, engine: str, store: Path, tmp_path: Path) -> None:
    """One fault in three doses, from the first request of a dataset on."""
    times = {} if fault in ENDLESS else PATIENT
    async with nothing_left_behind(), ward(tmp_path, store, engine, list(RATES), **times) as it:
        truth = await truth_of(it.client)
        for dataset, rate in RATES.items():
            it.proxy.chances = {fault: rate}
            it.proxy.hit.clear()
            statuses = await storm(it, dataset, truth)
            if fault in HARMLESS:
                assert set(statuses) == {200}
            elif rate == 1:
                assert 200 not in statuses
                assert it.proxy.hit[fault] > 0
            elif rate < 0.1:
                assert statuses[200] > 0
            await healed(it, dataset, truth)
