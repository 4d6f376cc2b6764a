"""A local store whose reads hang takes nothing from any other, nor from the service."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service

HUNG = 6
GOOD = ("good0", "good1", "good2")
HUNG_DOCUMENTS = tuple(f"hung{number}" for number in range(10))


def references_to(store: Path) -> dict[str, Any]:
    """What a document of references to the files of this store says."""
    found = [path for path in store.rglob("*") if path.is_file()]
    return {str(path.relative_to(store)): [str(path)] for path in found}


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Six chunks of the store `sick` are pipes that nobody writes to: who opens one waits."""
    folder = tmp_path_factory.mktemp("stores")
    data = xr.Dataset({"a": ("x", np.arange(16.0))}, {"x": np.arange(16)})
    for name in ("sick", "well", "late"):
        data.to_zarr(folder / f"{name}.zarr", zarr_format=2, encoding={"a": {"chunks": (1,)}})
    pipes = [folder / "sick.zarr/a" / str(number) for number in range(HUNG)]
    for pipe in pipes:
        pipe.unlink()
        os.mkfifo(pipe)
    entries: dict[str, Any] = {name: folder / f"{name}.zarr" for name in ("sick", "well", "late")}
    whole = {"version": 1, "refs": references_to(folder / "well.zarr")}
    for name in GOOD:
        (folder / f"{name}.json").write_text(json.dumps(whole))
    for name in HUNG_DOCUMENTS:
        os.mkfifo(folder / f"{name}.json")
    for name in (*GOOD, *HUNG_DOCUMENTS):
        options = {"fo": str(folder / f"{name}.json")}
        entries[name] = {"url": "reference://", "storage_options": options}
    return serve(
        entries,
        SLUICE_STORE_ATTEMPT_SECONDS="6",
        SLUICE_STORE_READ_SECONDS="12",
        SLUICE_CIRCUIT_OPEN_SECONDS="0.5",
        SLUICE_CHUNK_CACHE_BYTES="0",
        SLUICE_KEYS="",
    )


def ask(service: Service, path: str) -> httpx.Response:
    """A GET on a connection of its own."""
    return httpx.get(f"{service.client.base_url}{path}", timeout=60, trust_env=False, verify=False)


def hang(service: Service, ended: list[httpx.Response]) -> list[threading.Thread]:
    """As many requests as there are chunks that nobody writes; `ended` are those with an answer."""

    def read(number: int) -> None:
        ended.append(ask(service, f"/datasets/sick/isel?x={number}"))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(HUNG)]
    for thread in threads:
        thread.start()
    return threads


def test_a_hung_store_harms_itself_alone(service: Service) -> None:
    """Others are read, opened for the first time and reloaded while six reads hang."""
    assert ask(service, "/datasets/well/isel?x=3").status_code == 200
    assert ask(service, "/datasets/sick/isel?x=12").status_code == 200
    ended: list[httpx.Response] = []
    hung = hang(service, ended)
    time.sleep(1)
    for path in ("/healthz", "/datasets/well/isel?x=4", "/datasets/late/isel?x=4"):
        assert ask(service, path).status_code == 200
    catalog = json.loads(service.catalog.read_text())
    catalog["datasets"]["more"] = catalog["datasets"]["well"]
    service.catalog.write_text(json.dumps(catalog))
    os.kill(service.pid, 1)
    for _ in range(100):
        if ask(service, "/datasets/more/isel?x=5").status_code == 200:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the catalog was not reloaded")
    assert not ended
    for thread in hung:
        thread.join()
    assert {answer.status_code for answer in ended} <= {502, 504}
    assert {answer.json()["type"].rpartition(":")[2] for answer in ended} <= {
        "store-timeout",
        "store-unavailable",
    }


def test_what_hangs_is_refused_soon(service: Service) -> None:
    """Forty requests wait for no deadline and take no more threads; the log says why."""
    for thread in hang(service, []):
        thread.join()
    answers = [ask(service, f"/datasets/sick/isel?x={number % 16}") for number in range(40)]
    assert {answer.status_code for answer in answers} <= {502, 504}
    told = service.log.read_text()
    assert "not ended yet" in told or "store of sick: circuit open" in told
    threads = len(os.listdir(f"/proc/{service.pid}/task"))
    assert threads < 40
    assert ask(service, "/datasets/well/isel?x=6").status_code == 200


def test_hung_references_harm_themselves_alone(service: Service) -> None:
    """Their reads end when the store's time is over; other documents of the folder are opened."""
    ended: list[httpx.Response] = []
    asking = [
        threading.Thread(target=lambda name=name: ended.append(ask(service, f"/datasets/{name}")))
        for name in HUNG_DOCUMENTS
    ]
    for thread in asking:
        thread.start()
    time.sleep(1)
    assert ask(service, f"/datasets/{GOOD[0]}/isel?x=3").status_code == 200
    assert not ended
    for thread in asking:
        thread.join()
    assert {answer.json()["type"].rpartition(":")[2] for answer in ended} == {"store-timeout"}
    for name in GOOD[1:]:
        assert ask(service, f"/datasets/{name}/isel?x=3").status_code == 200


def test_it_heals_when_its_reads_end(service: Service) -> None:
    """Once somebody writes to the pipes, their threads come back and the store is read again."""
    catalog = json.loads(service.catalog.read_text())
    folder = Path(catalog["datasets"]["sick"]["url"])
    for number in range(HUNG):
        try:
            writer = os.open(folder / "a" / str(number), os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads from it any more
            continue
        os.close(writer)
    for _ in range(200):
        if ask(service, "/datasets/sick/isel?x=12").status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError("the store was not read again")
