"""Copies that an entry names: used while they are of its version, and never in the way of it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from app.catalog.catalog import load_catalog
from app.catalog.copies import Copies
from app.catalog.entry import CopyPlace, DatasetEntry, secrets_of
from app.catalog.opened import Opened
from app.catalog.opening import open_entry
from sluice.arrays.member_documents import DEFAULT_LIMITS
from sluice.engine import plan
from sluice.errors import CatalogError, StoreError, StoreTimeout
from sluice.selection import Along, Position, Selection
from sluice.store import ByteSource, Filesystems
from tests.catalog.stores import write_store

POINT: dict[str, Along] = {"latitude": Position(3), "longitude": Position(5)}


def grid(hours: int = 48) -> xr.Dataset:
    values = np.random.default_rng(1).normal(size=(hours, 19, 36)).astype("f4")
    times = np.datetime64("2020-01-01", "ns") + np.arange(hours) * np.timedelta64(1, "h")
    return xr.Dataset(
        {"t": (("time", "latitude", "longitude"), values)},
        {"time": times, "latitude": np.linspace(90, -90, 19), "longitude": np.arange(36) * 10.0},
    )


def write(path: Path, ds: xr.Dataset, chunks: tuple[int, ...]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    write_store(path, ds, encoding={"t": {"chunks": chunks}})


def stamp(path: Path, version: str) -> None:
    zarr.open_group(path, mode="r+").attrs["sluice_copy_of"] = version
    zarr.consolidate_metadata(path)


@pytest.fixture
async def filesystems() -> AsyncIterator[Filesystems]:
    async with Filesystems() as found:
        yield found


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """`maps.zarr`, and `series.zarr` that is a copy of it without a stamp."""
    write(tmp_path / "maps.zarr", grid(), (1, 19, 36))
    write(tmp_path / "series.zarr", grid(), (48, 3, 3))
    return tmp_path


def entry_of(folder: Path, *also: str | dict[str, Any], **fields: Any) -> DatasetEntry:
    said = {"id": "maps", "url": str(folder / "maps.zarr"), "also": also, **fields}
    return DatasetEntry.model_validate(said)


async def opened(entry: DatasetEntry, filesystems: Filesystems, epoch: str = "") -> Opened:
    return await open_entry(entry, filesystems, store_concurrency=4, epoch=epoch)


def read_from(one: Opened) -> str | None:
    return plan(one.prepared, Selection(POINT)).reading.pending["t"].array.copy


async def test_a_copy_of_this_version_answers(stores: Path, filesystems: Filesystems) -> None:
    entry = entry_of(stores, str(stores / "series.zarr"))
    before = await opened(entry, filesystems)
    assert read_from(before) is None
    assert "attribute 'sluice_copy_of'" in before.unused_copies["series"]
    stamp(stores / "series.zarr", before.version)
    after = await opened(entry, filesystems)
    assert read_from(after) == "series"
    assert not after.unused_copies
    assert (after.version, after.identity) == (before.version, before.identity)
    ours = await plan(after.prepared, Selection(POINT)).read()
    theirs = await plan(before.prepared, Selection(POINT)).read()
    xr.testing.assert_identical(ours, theirs)


async def test_a_copy_from_before_a_refresh_does_not_answer(
    stores: Path, filesystems: Filesystems
) -> None:
    entry = entry_of(stores, str(stores / "series.zarr"))
    stamp(stores / "series.zarr", (await opened(entry, filesystems)).version)
    refreshed = await opened(entry, filesystems, "abc")
    assert read_from(refreshed) is None
    assert "another version" in refreshed.unused_copies["series"]


async def test_copies_come_and_go_while_the_dataset_is_served(
    stores: Path, filesystems: Filesystems, caplog: pytest.LogCaptureFixture
) -> None:
    """Each look at the dataset looks at its copies, too; what is not used is logged once."""
    copy = stores / "series.zarr"
    one = await opened(entry_of(stores, str(copy)), filesystems)
    assert await one.revalidate() is None
    stamp(copy, one.version)
    change = await one.revalidate()
    assert change is not None
    assert change.whole
    two = await change.open()
    assert read_from(two) == "series"
    assert await two.revalidate() is None
    shutil.rmtree(copy)
    change = await two.revalidate()
    assert change is not None
    three = await change.open()
    assert read_from(three) is None
    assert await three.revalidate() is None
    warned = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    told = [line for line in warned if "its copy 'series' is not used" in line]
    assert len(told) == 2, warned
    assert "it cannot be opened" in told[1]


async def test_another_version_of_the_dataset_is_none_of_its_copy(
    stores: Path, filesystems: Filesystems
) -> None:
    entry = entry_of(stores, str(stores / "series.zarr"))
    stamp(stores / "series.zarr", (await opened(entry, filesystems)).version)
    one = await opened(entry, filesystems)
    write(stores / "maps.zarr", grid(49), (1, 19, 36))
    change = await one.revalidate()
    assert change is not None
    two = await change.open()
    assert read_from(one) == "series"
    assert read_from(two) is None
    assert "another version" in two.unused_copies["series"]


async def test_what_does_not_fit_is_told(stores: Path, filesystems: Filesystems) -> None:
    """Another dtype under the right stamp: the variable is read from the dataset itself."""
    write(stores / "series.zarr", grid().astype("f8"), (48, 3, 3))
    entry = entry_of(stores, str(stores / "series.zarr"))
    stamp(stores / "series.zarr", (await opened(entry, filesystems)).version)
    one = await opened(entry, filesystems)
    assert read_from(one) is None
    assert one.unused_copies["series"] == "'t': its dtype is float64, not float32"


async def test_copies_do_not_bring_a_dataset_that_is_not_there(
    stores: Path, filesystems: Filesystems
) -> None:
    shutil.rmtree(stores / "maps.zarr")
    with pytest.raises(StoreError):
        await opened(entry_of(stores, str(stores / "series.zarr")), filesystems)


CATALOG = """
datasets:
  "{stem}":
    url: maps/*.zarr
    also: ["series/{stem}.zarr", {url: "s3://b/{stem}", name: far, storage_options: {secret: word}}]
  one:
    url: s3://a/one.zarr
    storage_options: {secret: sesame}
    also: [s3://b/two.zarr, three.zarr]
"""


async def test_a_store_of_a_copy_that_times_out_has_words_of_its_own() -> None:
    """They say more than that a look takes no longer than it may."""

    async def connect(place: DatasetEntry) -> ByteSource:
        raise StoreTimeout("Its folder hangs.")

    entry = DatasetEntry(id="a", url="maps.zarr", also=(CopyPlace(url="series.zarr"),))
    copies = Copies(entry, connect, None, DEFAULT_LIMITS, lambda place: place.id)
    await copies.look()
    assert copies._seen["series"].why == "it cannot be opened: Its folder hangs"


def test_addresses_of_copies_are_filled_and_anchored(tmp_path: Path) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(CATALOG)
    catalog = load_catalog(path)
    (glob,) = catalog.globs
    entry = glob.entry_of("x.zarr")
    assert [copy.url for copy in entry.also] == [str(tmp_path / "series/x.zarr"), "s3://b/x"]
    assert [copy.name_in_use for copy in entry.also] == ["x", "far"]
    assert "word" in secrets_of(entry)
    assert [copy.name_in_use for copy in catalog.entries["one"].also] == ["two", "three"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("also: x.zarr", "also: expected a list"),
        ("also: [{url: x.zarr, nam: x}]", "unknown field (did you mean 'name'?)"),
        ("also: [x.zarr, y/x.zarr]", "also: two copies are called 'x'"),
        ("also: [x.zarr], rewritten: true", "also: of chunks that are rewritten in place"),
        ('also: [x.zarr], group: "*"', "also: a copy is one of a single group"),
        ("also: ['bad://x']", "also: "),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, fields: str, words: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(f"datasets: {{one: {{url: s, {fields}}}}}")
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    assert words in str(caught.value)
