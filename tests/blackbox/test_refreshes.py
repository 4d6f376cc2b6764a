"""Chunks that are rewritten in place: no tag of before a refresh is ever valid again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr
import zarr

from loadtests.ground import serving

from .conftest import command, write_catalog

PATH = "/datasets/grid/isel?time=0"
FILE = "/datasets/grid/isel?f=netcdf"
KEY = "secret-of-the-boss"
ADMIN = {"X-API-Key": KEY}
# More than there are workers: each of them answers some, since each has a connection of its own.
TIMES = 6


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "grid.zarr"
    ds = xr.Dataset({"v": (("time", "x"), np.zeros((4, 50)))})
    ds.to_zarr(path, zarr_format=2, consolidated=True)
    return path


def catalog_of(store: Path, **fields: Any) -> Path:
    entry = {"url": str(store), "access": "public", **fields}
    return write_catalog(store.parent, {"grid": entry})


@contextmanager
def served(catalog: Path, *, workers: str = "1", **settings: str) -> Iterator[str]:
    """The address of a server that is started and stopped for this block alone."""
    line = f"boss {sha256(KEY.encode()).hexdigest()} admin"
    log = catalog.parent / "server.log"
    options = ["--workers", workers]
    with serving(catalog, log, *options, SLUICE_KEYS=line, **settings) as (_, address):
        yield address


def asked(address: str, path: str, **headers: str) -> list[httpx.Response]:
    return [
        httpx.get(address + path, headers=headers, trust_env=False, verify=False, timeout=60)
        for _ in range(TIMES)
    ]


def tag_of(address: str, path: str = PATH) -> str:
    """The tag that every worker gives."""
    (tag,) = {answer.headers["etag"] for answer in asked(address, path)}
    return str(tag)


def refresh(address: str) -> httpx.Response:
    url = f"{address}/datasets/grid/refresh"
    return httpx.post(url, headers=ADMIN, timeout=60, trust_env=False, verify=False)


def rewrite(store: Path, value: float) -> None:
    zarr.open_array(store / "v", mode="r+")[:] = value


@pytest.mark.parametrize(("workers", "restarts", "rewritten"), [("1", 2, False), ("2", 1, True)])
def test_a_tag_of_before_a_refresh_never_comes_again(
    store: Path, workers: str, restarts: int, rewritten: bool
) -> None:
    """Neither at once in any worker, nor after restarts, nor after further refreshes."""
    catalog = catalog_of(store, rewritten=rewritten)
    with served(catalog, workers=workers) as address:
        tags = [tag_of(address)]
        file = tag_of(address, FILE)
        for value in (1.0, 2.0):
            rewrite(store, value)
            assert refresh(address).status_code == 200
            tags.append(tag_of(address))
    for _ in range(restarts):
        with served(catalog, workers=workers) as address:
            assert tag_of(address) == tags[-1]
            for old in tags[:-1]:
                for answer in asked(address, PATH, **{"If-None-Match": old}):
                    assert answer.status_code == 200
                    assert answer.json()["data_vars"]["v"]["data"] == [value] * 50
            (status,) = {
                one.status_code for one in asked(address, PATH, **{"If-None-Match": tags[-1]})
            }
            assert status == 304
            resumed = asked(address, FILE, **{"If-Range": file, "Range": "bytes=0-9"})
            assert {answer.status_code for answer in resumed} == {200}
            value += 1
            rewrite(store, value)
            assert refresh(address).status_code == 200
            tags.append(tag_of(address))
    assert len(set(tags)) == len(tags)


def test_tags_survive_a_restart_where_nothing_was_refreshed(store: Path) -> None:
    catalog = catalog_of(store)
    found = []
    for _ in range(2):
        with served(catalog) as address:
            found.append(tag_of(address))
    assert found[0] == found[1]
    assert not (store.parent / "catalog.yaml.refreshed").exists()


def test_a_store_that_was_gone_has_other_tags_for_good(store: Path) -> None:
    catalog = catalog_of(store, refresh_seconds=0, refresh="before")
    away = store.with_suffix(".away")
    settings = {"SLUICE_FAILED_OPEN_SECONDS": "0.1"}
    with served(catalog, **settings) as address:
        before = tag_of(address)
        store.rename(away)
        assert (
            httpx.get(address + PATH, trust_env=False, verify=False, timeout=60).status_code == 502
        )
        away.rename(store)
        until_it_answers(address)
        after = tag_of(address)
        assert after != before
    with served(catalog, **settings) as address:
        assert tag_of(address) == after


def until_it_answers(address: str) -> None:
    for _ in range(200):
        if httpx.get(address + PATH, trust_env=False, verify=False, timeout=60).status_code == 200:
            return
    raise AssertionError("the store is back, and nobody sees it")


def test_what_cannot_be_kept_is_not_done(store: Path) -> None:
    """Or a tag of before would be valid after a restart, for other bytes."""
    catalog = catalog_of(store)
    nowhere = str(store.parent / "nowhere" / "refreshed")
    with served(catalog, SLUICE_REFRESHES_FILE=nowhere) as address:
        before = tag_of(address)
        answer = refresh(address)
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("not-told")
        assert "SLUICE_REFRESHES_FILE" in answer.json()["detail"]
        assert tag_of(address) == before
    (store.parent / "elsewhere").mkdir()
    elsewhere = store.parent / "elsewhere" / "refreshed"
    with served(catalog, SLUICE_REFRESHES_FILE=str(elsewhere)) as address:
        assert refresh(address).status_code == 200
        assert [path.name for path in elsewhere.parent.iterdir()] == ["refreshed"]


def test_a_file_that_says_something_else_is_refused(store: Path) -> None:
    catalog = catalog_of(store)
    (store.parent / "catalog.yaml.refreshed").write_text('{"grid": 1}')
    done = command("serve", "--catalog", catalog, "--port", "0")
    assert done.returncode == 2
    assert "catalog.yaml.refreshed" in done.stderr
    assert "Traceback" not in done.stderr
