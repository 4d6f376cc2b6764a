"""A store that answers nothing else than failures, as the service's users and operators see it."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from loadtests.fault_proxy import Fault
from tests.contracts.web import Web

from .conftest import BRIEF, ENGINES, KEYS, PATIENT, served, ward

POINT = "isel?time=7&latitude=3&longitude=5"


UNAVAILABLE = "urn:sluice:problem:store-unavailable"


async def many_points(client: httpx.AsyncClient) -> list[httpx.Response]:
    """The answers to 150 requests at once, for points in all chunks."""
    points = [f"time={n % 36}&latitude={n % 20}&longitude={n % 24}" for n in range(150)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(client.get(f"/datasets/sick/isel?{p}")) for p in points]
    return [one.result() for one in asked]


def objects_of(store: Path) -> dict[str, bytes]:
    """The store as the objects below ``r`` in the bucket ``b``."""
    paths = (path for path in store.rglob("*") if path.is_file())
    return {f"/b/r/{path.relative_to(store)}": path.read_bytes() for path in paths}


def metric(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples with these labels."""
    lines = re.findall(rf"^{name}\{{(.*?)\}} (\S+)$", text, re.M)
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(float(value) for said, value in lines if all(one in said for one in wanted))


@pytest.mark.parametrize("engine", ENGINES)
async def test_requests_do_not_pile_up(
    engine: str, store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that answers 503 to everything is soon left alone; all learn when to come back.

    The circuit opens once, which the log and the metrics say.
    """
    caplog.set_level(logging.INFO, "app")
    few = {**PATIENT, "circuit_open_seconds": 3600, "store_failures": 5}
    async with ward(tmp_path, store, engine, ["sick"], **few) as it:
        assert (await it.client.get(f"/datasets/sick/{POINT}")).status_code == 200
        it.proxy.asked.clear()
        it.proxy.chances = {Fault.UNAVAILABLE: 1.0}
        first = await many_points(it.client)
        # Those that opened it, and what was under way: one read for each of the twelve chunks.
        assert sum(it.proxy.asked.values()) <= 5 + 12
        it.proxy.asked.clear()
        second = await many_points(it.client)
        assert sum(it.proxy.asked.values()) == 0
        assert {answer.status_code for answer in first + second} == {502}
        assert {answer.json()["type"] for answer in second} == {UNAVAILABLE}
        assert all(int(answer.headers["retry-after"]) > 3000 for answer in second)
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("app")]
        assert [line for line in lines if "circuit" in line] == ["store of sick: circuit open"]
        assert sum("StoreFaltered" in line for line in lines) == len(first) - sum(
            answer.json()["type"] == UNAVAILABLE for answer in first
        )
        told = (await it.client.get("/metrics")).text
        assert metric(told, "sluice_store_circuit_state", store="s3://sick") == 2
        retries = metric(
            told, "sluice_store_retries_total", store="s3://sick", error="StoreFaltered"
        )
        assert retries < 5 + 12


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_store_that_is_down_at_the_start_heals(
    engine: str, store: Path, tmp_path: Path
) -> None:
    """The service starts, other datasets work, and the sick one is served once it is well."""
    async with ward(tmp_path, store, engine, ["down"], **PATIENT) as it:
        it.proxy.chances = {Fault.RESET: 1.0}
        for _ in range(8):
            answer = await it.client.get(f"/datasets/down/{POINT}")
            assert answer.status_code == 502
        truth = await it.client.get(f"/datasets/truth/{POINT}")
        assert truth.status_code == 200
        it.proxy.chances = {}
        await asyncio.sleep(BRIEF["circuit_open_seconds"])
        answer = await it.client.get(f"/datasets/down/{POINT}")
        assert (answer.status_code, answer.content) == (200, truth.content)


REFUSALS = {
    "no permission": (403, "AccessDenied", "store-refused", "s3:GetObject"),
    "unknown key": (403, "InvalidAccessKeyId", "store-refused", "look at key"),
    "wrong secret": (403, "SignatureDoesNotMatch", "store-refused", "look at secret"),
    "expired token": (400, "ExpiredToken", "store-refused", "renew them"),
    "missing bucket": (404, "NoSuchBucket", "store-missing", "bucket is not there"),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", list(REFUSALS))
async def test_refusals_say_what_to_grant(
    case: str, engine: str, store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells the dataset, what was done and what to grant; clients learn the kind alone.

    Neither is told a secret, and no other try is made of what would be refused again.
    """
    status, code, kind, advice = REFUSALS[case]
    async with Web(objects_of(store)) as web:
        catalog = tmp_path / "catalog.yaml"
        options = {**KEYS, "token": "hush-token", "endpoint_url": web.address}
        entry = {"url": "s3://b/r", "engine": engine, "storage_options": options}
        catalog.write_text(json.dumps({"datasets": {"walled": entry}}))
        async with served(Settings(catalog=catalog, **{**BRIEF, **PATIENT})) as client:
            assert (await client.get(f"/datasets/walled/{POINT}")).status_code == 200
            web.requests.clear()
            # Of wrong keys, s3fs is asked what it makes of them.
            web.first = [(status, code, [])] * 2
            answer = await client.get(f"/datasets/walled/{POINT}")
            assert len(web.requests) <= 2
    assert answer.status_code == 502
    assert answer.json()["type"] == f"urn:sluice:problem:{kind}"
    assert "s3://" not in answer.text
    assert "127.0.0.1" not in answer.text
    line = next(r.getMessage() for r in caplog.records if r.name == "app.api.problems")
    assert "'walled'" in line
    assert "reading t/0.0.0" in line
    assert advice in line
    assert "hush" not in answer.text + caplog.text


async def test_a_corrupt_chunk_is_not_kept(
    store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a 502 that names the key in the log alone, and no more once the chunk is mended."""
    copy = tmp_path / "copy.zarr"
    shutil.copytree(store, copy)
    chunk = copy / "t" / "0.0.0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-3])
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": {"copy": {"url": str(copy)}}}))
    kept = {**BRIEF, "chunk_cache_bytes": 2**20}
    async with served(Settings(catalog=catalog, **kept)) as client:
        for _ in range(2):
            answer = await client.get(f"/datasets/copy/{POINT}")
            assert answer.status_code == 502
            assert answer.json()["type"] == "urn:sluice:problem:store-corrupt"
            assert "0.0.0" not in answer.text
            assert "t/0.0.0" in caplog.text
        chunk.write_bytes(whole)
        assert (await client.get(f"/datasets/copy/{POINT}")).status_code == 200
