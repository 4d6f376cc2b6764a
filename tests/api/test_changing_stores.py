"""Stores that change while they are served: appends, rewrites, and stores that are not there."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import zarr

from app.catalog.configuration import hash_of
from app.settings import Settings
from tests.api.conftest import serving
from tests.api.growing import append, hours, length_of, write
from tests.contracts.web import Web

SERIES = "sel?variables=v&x=1"
ADMIN = {"X-API-Key": "let-me-in"}
KEYS = f"ops {hash_of(b'let-me-in').hex()} admin; reader {hash_of(b'read-only').hex()}"
LAYOUTS = [(2, True), (3, True), (2, False), (3, False)]


def until(comes_true: Callable[[], bool], what: str) -> None:
    """Wait for it, for a minute at most."""
    ends = time.monotonic() + 60
    while not comes_true():
        assert time.monotonic() < ends, f"{what}: it never came true"
        time.sleep(0.05)


@contextmanager
def readers(base_url: httpx.URL, paths: list[str]) -> Iterator[list[Any]]:
    """Clients that ask for these paths, over and over until the block ends, and what was wrong."""
    wrong: list[Any] = []
    ended = threading.Event()

    def read(path: str) -> None:
        with httpx.Client(base_url=base_url, timeout=60, verify=False) as client:
            longest = 0
            while not ended.is_set():
                answer = client.get(path)
                try:
                    assert answer.status_code == 200, answer.text
                    length = length_of(answer.json())
                    # A connection meets one worker, whose versions follow each other.
                    assert length >= longest
                    longest = length
                except AssertionError as error:
                    wrong.append((path, error))

    threads = [threading.Thread(target=read, args=(path,)) for path in paths for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def series_length(client: httpx.Client, name: str) -> int:
    answer = client.get(f"/datasets/{name}/{SERIES}")
    assert answer.status_code == 200, answer.text
    return length_of(answer.json())


def is_as_long(client: httpx.Client, name: str, length: int) -> bool:
    """Whether the series has so many hours."""
    return series_length(client, name) == length


def test_an_append_is_seen_whole_under_load(tmp_path: Path) -> None:
    """Both formats, consolidated or not: no error, and no answer with parts of two versions.

    (Those without consolidated metadata have it from the settle time, which is longer here than
    the writer takes.)
    """
    names = [f"v{v}{'c' if consolidated else 'u'}" for v, consolidated in LAYOUTS]
    stores = {name: tmp_path / f"{name}.zarr" for name in names}
    for (zarr_format, consolidated), store in zip(LAYOUTS, stores.values(), strict=True):
        write(store, hours(0, 12), zarr_format=zarr_format, consolidated=consolidated)
    fields = "refresh_seconds: 0.2, settle_seconds: 3"
    entries = [f"  {name}: {{url: {store}, {fields}}}" for name, store in stores.items()]
    path = tmp_path / "catalog.yaml"
    path.write_text("\n".join(["datasets:", *entries]))
    with serving(Settings(catalog=path)) as client:
        assert {series_length(client, name) for name in names} == {12}
        paths = [f"/datasets/{name}/{SERIES}" for name in names]
        with readers(client.base_url, paths) as wrong:
            for first, end in ((12, 15), (15, 16), (16, 40)):
                for (zarr_format, consolidated), store in zip(
                    LAYOUTS, stores.values(), strict=True
                ):
                    append(store, first, end, zarr_format=zarr_format, consolidated=consolidated)
                for name in names[: 2 if end < 40 else 4]:
                    until(partial(is_as_long, client, name, end), f"{name} {end}")
        assert wrong == []
        answer = client.get("/datasets/v3c").json()
        assert answer["dims"]["time"] == 40
        metrics = client.get("/metrics").text
    row = r'sluice_dataset_refreshes_total\{dataset="(\w+)",outcome="swapped"\} ([0-9.]+)'
    swaps = {name: float(number) for name, number in re.findall(row, metrics)}
    assert swaps.keys() == set(names)
    assert swaps["v2c"] == swaps["v3c"] == 3
    assert re.search(r'sluice_dataset_version_timestamp_seconds\{dataset="v3c"\} 1', metrics)


def test_a_range_of_an_old_version_never_meets_a_new_one(tmp_path: Path) -> None:
    """Chunks in memory belong to a version: the half-full one is read again for the next."""
    store, catalog = tmp_path / "a.zarr", tmp_path / "catalog.yaml"
    write(store, hours(0, 12), zarr_format=3, consolidated=True)
    catalog.write_text(f"datasets: {{a: {{url: {store}, refresh_seconds: 0, refresh: before}}}}")
    with serving(Settings(catalog=catalog)) as client:
        first = client.get(f"/datasets/a/{SERIES}")
        assert length_of(first.json()) == 12
        append(store, 12, 16, zarr_format=3, consolidated=True)
        second = client.get(
            f"/datasets/a/{SERIES}", headers={"If-None-Match": first.headers["etag"]}
        )
        assert second.status_code == 200
        assert length_of(second.json()) == 16


def test_dap_answers_of_the_version_that_there_is(tmp_path: Path) -> None:
    """What was found out of a variable is of one version: its length, its type, how it is coded."""
    store, catalog = tmp_path / "a.zarr", tmp_path / "catalog.yaml"
    write(store, hours(0, 12), zarr_format=3, consolidated=True)
    catalog.write_text(f"datasets: {{a: {{url: {store}, refresh_seconds: 0, refresh: before}}}}")
    with serving(Settings(catalog=catalog)) as client:
        first = client.get("/dap/a.dods?v[11][1]")
        assert first.content.endswith(struct.pack(">f", 11))
        assert client.get("/dap/a.dods?v[12][1]").status_code == 400
        append(store, 12, 16, zarr_format=3, consolidated=True)
        assert client.get("/dap/a.dods?v[12][1]").content.endswith(struct.pack(">f", 12))
        write(store, hours(0, 12).astype("i2") * 2, mode="w", zarr_format=3, consolidated=True)
        again = client.get("/dap/a.dods?v[11][1]", headers={"If-None-Match": first.headers["etag"]})
        assert b"Int16 v[time = 1][x = 1];" in again.content
        assert again.content.endswith(struct.pack(">i", 22))


@contextmanager
def rewritten(tmp_path: Path, **settings: Any) -> Iterator[tuple[httpx.Client, Path]]:
    """A client of a server with keys over a store that anybody may read, and that store."""
    store, catalog = tmp_path / "a.zarr", tmp_path / "catalog.yaml"
    write(store, hours(0, 12), zarr_format=2, consolidated=True)
    fields = "refresh_seconds: 0.1, refresh: before, access: public"
    catalog.write_text(f"datasets: {{a: {{url: {store}, {fields}}}}}")
    settings = {"keys": KEYS, "failed_open_seconds": 0.2, **settings}
    with serving(Settings(catalog=catalog, **settings)) as client:
        yield client, store


def test_a_store_rewritten_in_place_is_refreshed(tmp_path: Path) -> None:
    """The same metadata over other values: memory answers until an admin says so; then new bytes
    have a new tag."""
    with rewritten(tmp_path) as (client, store):
        path = f"/datasets/a/{SERIES}"
        old = client.get(path)
        zarr.open_array(store / "v", mode="r+")[:] = 100
        time.sleep(0.1)
        assert client.get(path).content == old.content
        answer = client.post("/datasets/a/refresh", headers=ADMIN)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"id", "version"}
        new = client.get(path, headers={"If-None-Match": old.headers["etag"]})
        assert new.status_code == 200
        assert new.json()["data_vars"]["v"]["data"] == [100.0] * 12
        assert new.headers["etag"] != old.headers["etag"]
        assert client.get(path).headers["etag"] == new.headers["etag"]


@pytest.mark.parametrize("path", ["/datasets/a/refresh", "/catalog/reload"])
def test_only_admins_change_what_is_served(tmp_path: Path, path: str) -> None:
    """Without a key 401, with one that lacks the right 403, and parameters are not overlooked."""
    with rewritten(tmp_path) as (client, _):
        for headers, status in (({}, 401), ({"X-API-Key": "read-only"}, 403)):
            answer = client.post(path, headers=headers)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
        assert client.post(f"{path}?now=1", headers=ADMIN).status_code == 400
        assert client.post("/datasets/none/refresh", headers=ADMIN).status_code == 404
        assert client.get(path, headers=ADMIN).status_code == 405


def test_a_service_without_keys_has_no_admins(tmp_path: Path) -> None:
    """Nobody is let in by default."""
    with rewritten(tmp_path, keys="") as (client, _):
        assert client.post("/datasets/a/refresh").status_code == 401
        assert client.post("/catalog/reload").status_code == 401


def test_metadata_that_is_gone_is_502_until_it_is_back(tmp_path: Path) -> None:
    """What is in memory is not answered for a store that is not there any more."""
    with rewritten(tmp_path, status_cache_seconds=0) as (client, store):
        path = f"/datasets/a/{SERIES}"
        tag = client.get(path).headers["etag"]
        away = store.rename(store.with_name("away.zarr"))

        def gone() -> bool:
            answer = client.get(path)
            return answer.status_code == 502 and answer.json()["type"].endswith("store-missing")

        until(gone, "gone")
        assert client.get("/catalog/status").json()["datasets"] == {"a": "store-missing"}
        shutil.move(away, store)
        until(lambda: client.get(path).status_code == 200, "back")
        # Nobody knows what was written meanwhile.
        assert client.get(path).headers["etag"] != tag


def test_a_new_version_that_does_not_open_leaves_the_old_one(tmp_path: Path) -> None:
    """It serves on, the one place that says so is the status, and it heals."""
    with rewritten(tmp_path, status_cache_seconds=0) as (client, store):
        path = f"/datasets/a/{SERIES}"
        content = client.get(path).content
        gathered = store / ".zmetadata"
        whole = gathered.read_bytes()
        document = json.loads(whole)
        document["metadata"]["time/.zarray"]["shape"] = [5]
        gathered.write_text(json.dumps(document))
        until(lambda: client.get("/catalog/status").json()["datasets"] == {"a": "stale"}, "stale")
        assert client.get("/catalog/status").status_code == 200
        answer = client.get(path)
        assert (answer.status_code, answer.content) == (200, content)
        assert "x-sluice-store" not in answer.headers
        text = client.get("/metrics", headers=ADMIN).text
        assert 'sluice_dataset_refreshes_total{dataset="a",outcome="failed"}' in text
        gathered.write_bytes(whole)
        until(lambda: client.get("/catalog/status").json()["datasets"] == {"a": "ready"}, "ready")


def test_strictly_a_stale_dataset_is_not_ready(tmp_path: Path) -> None:
    """Who wants every dataset to be reachable learns that one is not."""
    with rewritten(tmp_path, status_cache_seconds=0, status_strictly=True) as (client, store):
        assert client.get("/catalog/status").status_code == 200
        (store / ".zmetadata").write_bytes(b"{")
        until(lambda: client.get("/catalog/status").status_code == 503, "unready")


def test_a_store_that_is_down_at_the_start_heals(tmp_path: Path) -> None:
    """The service starts, that dataset answers 502, the others work, and nobody has to help."""
    with rewritten(tmp_path) as (client, store):
        catalog = f"datasets:\n  a: {{url: {store}, access: public}}\n"
        catalog += f"  b: {{url: {store.with_name('b.zarr')}, access: public}}\n"
        (tmp_path / "two.yaml").write_text(catalog)
    with serving(Settings(catalog=tmp_path / "two.yaml", failed_open_seconds=0.2)) as client:
        assert client.get(f"/datasets/b/{SERIES}").status_code == 502
        assert series_length(client, "a") == 12
        shutil.copytree(store, store.with_name("b.zarr"))
        until(lambda: client.get(f"/datasets/b/{SERIES}").status_code == 200, "healed")


async def test_an_unreachable_store_is_answered_for_from_memory(tmp_path: Path) -> None:
    """With a header that says so, which pages may read; what is not in memory is a failure."""
    store, catalog = tmp_path / "a.zarr", tmp_path / "catalog.yaml"
    write(store, hours(0, 12), zarr_format=3, consolidated=True)
    values = {
        f"/a.zarr/{path.relative_to(store)}": path.read_bytes()
        for path in store.rglob("*")
        if path.is_file()
    }
    async with Web(values) as web:
        fields = "refresh_seconds: 0.1, refresh: before"
        catalog.write_text(f"datasets: {{a: {{url: '{web.address}/a.zarr', {fields}}}}}")
        origin = "https://a.example"
        settings = Settings(catalog=catalog, failed_open_seconds=0.1, cors_origins=(origin,))
        with serving(settings) as client:
            cached, other = "/datasets/a/isel?time=0:2&x=0", "/datasets/a/isel?time=8&x=3"

            async def ask(path: str, **headers: str) -> httpx.Response:
                return await asyncio.to_thread(client.get, path, headers=headers)

            before = await ask(cached)
            assert before.status_code == 200
            assert "x-sluice-store" not in before.headers
            web.status = 503
            await asyncio.sleep(0.1)
            during = await ask(cached, Origin=origin)
            assert during.content == before.content
            assert during.headers["x-sluice-store"] == "unreachable"
            assert "X-Sluice-Store" in during.headers["access-control-expose-headers"]
            tagged = await ask(cached, **{"If-None-Match": before.headers["etag"]})
            assert (tagged.status_code, tagged.headers["x-sluice-store"]) == (304, "unreachable")
            assert (await ask(other)).status_code == 502
            web.status = None
            await asyncio.sleep(0.1)
            after = await ask(other)
            assert after.status_code == 200
            assert "x-sluice-store" not in after.headers


def test_a_dataset_that_is_read_elsewhere_has_other_tags(tmp_path: Path) -> None:
    """Another store with the same metadata is another dataset: nobody is told that he has it."""
    with rewritten(tmp_path) as (client, store):
        catalog = tmp_path / "catalog.yaml"
        before = client.get(f"/datasets/a/{SERIES}", headers=ADMIN)
        elsewhere = shutil.copytree(store, tmp_path / "elsewhere.zarr")
        catalog.write_text(f"datasets: {{a: {{url: {elsewhere}}}}}")
        assert client.post("/catalog/reload", headers=ADMIN).json()["changed"] == ["a"]
        again = {**ADMIN, "If-None-Match": before.headers["etag"]}
        after = client.get(f"/datasets/a/{SERIES}", headers=again)
        assert after.status_code == 200
        assert after.headers["etag"] != before.headers["etag"]


def test_a_reload_names_what_its_asker_may_see(tmp_path: Path) -> None:
    """An admin of some datasets learns nothing of others, not even their names."""
    some, keys = {"X-API-Key": "some"}, f"{KEYS}; some {hash_of(b'some').hex()} admin datasets=a"
    with rewritten(tmp_path, keys=keys) as (client, store):
        catalog = tmp_path / "catalog.yaml"
        catalog.write_text(f"datasets: {{a: {{url: {store}}}, c: {{url: {store}}}}}")
        answer = client.post("/catalog/reload", headers=some)
        assert answer.json() == {"added": [], "changed": ["a"], "removed": []}
        assert client.get(f"/datasets/c/{SERIES}", headers=ADMIN).status_code == 200


def test_a_catalog_is_reloaded_all_or_nothing(tmp_path: Path) -> None:
    """Removed entries are 404 at once, new ones answer, and a wrong file is refused in words."""
    with rewritten(tmp_path) as (client, store):
        catalog = tmp_path / "catalog.yaml"
        catalog.write_text(f"datasets: {{b: {{url: {store}, access: public, title: B}}}}")
        assert client.get(f"/datasets/b/{SERIES}", headers=ADMIN).status_code == 404
        answer = client.post("/catalog/reload", headers=ADMIN)
        assert answer.json() == {"added": ["b"], "changed": [], "removed": ["a"]}
        assert client.get(f"/datasets/a/{SERIES}", headers=ADMIN).status_code == 404
        assert series_length(client, "b") == 12
        listed = client.get("/datasets", headers=ADMIN).json()
        assert listed == {"datasets": [{"id": "b", "title": "B"}]}
        assert client.get("/catalog/status").json()["datasets"] == {"b": "ready"}
        catalog.write_text(f"datasets: {{b: {{url: {store}}}, c: {{url: x, enginge: obstore}}}}")
        answer = client.post("/catalog/reload", headers=ADMIN)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:sluice:problem:catalog-refused"
        assert "dataset 'c': enginge: unknown field" in answer.json()["detail"]
        assert client.get("/datasets", headers=ADMIN).json() == listed
