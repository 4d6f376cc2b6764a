"""The check of a catalog: real stores on disk and over sockets, good, broken and absent."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from app.catalog.catalog import Catalog
from app.catalog.checking.datasets import check_catalog
from app.catalog.checking.findings import Finding, Severity
from app.catalog.entry import DatasetEntry
from app.catalog.opening import open_entry, source_of
from sluice.arrays.reader import Reader
from sluice.store import Filesystems
from sluice.store.resilient import StoreGuards
from sluice.store.retry_policy import RetryPolicy
from tests.catalog.stores import GRID, write_store
from tests.contracts.web import Web

# One try for each request.
RETRIES = RetryPolicy(
    concurrency=8,
    attempts=1,
    attempt_seconds=30,
    read_seconds=30,
    failures=1000,
    open_seconds=1,
)
# Text that is no number's chunk, nor any codec's.
NONSENSE = b"this is no chunk"


async def check(
    *entries: DatasetEntry, patience: float = 60, limit: int = 2**28, at_once: int = 8
) -> dict[str, tuple[Finding, ...]]:
    guards = StoreGuards(RETRIES)
    async with Filesystems() as filesystems:
        opener = partial(
            open_entry,
            filesystems=filesystems,
            store_concurrency=8,
            reader=Reader(cache_bytes=0, inline_bytes=2**18),
        )
        checked = await check_catalog(
            Catalog({entry.id: entry for entry in entries}),
            opener,
            partial(source_of, filesystems=filesystems, store_concurrency=8, guards=guards),
            request_chunk_bytes=limit,
            patience_seconds=patience,
            at_once=at_once,
            has_answered=guards.has_answered,
        )
    return {one.id: one.findings for one in checked}


async def finding(url: str | Path, **fields: Any) -> Finding:
    """The one finding about one dataset."""
    found = await check(DatasetEntry(id="a", url=str(url), **fields))
    (only,) = found["a"]
    return only


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "grid.zarr"
    write_store(path, GRID)
    return path


async def test_a_good_store_has_no_findings(store: Path) -> None:
    """A consolidated CF grid whose chunks can be read is fine."""
    assert await check(DatasetEntry(id="a", url=str(store))) == {"a": ()}


async def test_datasets_come_in_the_catalogs_order(store: Path) -> None:
    """However long each takes, and however many are looked at together."""
    urls = {"z": "nowhere", "b": str(store), "a": "nowhere", "y": str(store)}
    for at_once in (1, 8):
        entries = [DatasetEntry(id=name, url=url) for name, url in urls.items()]
        found = await check(*entries, at_once=at_once)
        assert list(found) == list("zbay")
        assert [len(findings) for findings in found.values()] == [1, 0, 1, 0]


async def test_a_missing_store_says_where_to_look(store: Path) -> None:
    """The error names what is not there and the fields that say where it should be."""
    missing = await finding(store / "nowhere")
    assert missing.severity is Severity.ERROR
    assert missing.where == ""
    assert "it cannot be opened: There is no store at" in missing.text
    assert missing.text.endswith("Look at url and group.")
    assert "no Zarr group 'x'" in (await finding(store, group="x")).text


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
async def test_a_refusing_s3_names_the_permissions(engine: str) -> None:
    """Whoever reads the table knows what to grant."""
    async with Web({}, status=403) as web:
        options = {"endpoint_url": web.address, "key": "someone", "secret": "canary"}
        refused = await finding("s3://bucket/x", storage_options=options, engine=engine)
    assert refused.severity is Severity.ERROR
    assert "s3:GetObject" in refused.text
    assert "s3:ListBucket" in refused.text
    assert "canary" not in refused.text


async def test_a_refusing_s3_is_quoted() -> None:
    """What the store itself says about the credentials is in the sentence."""
    async with Web({}, status=403) as web:
        options = {"endpoint_url": web.address, "key": "someone", "secret": "canary"}
        refused = await finding("s3://bucket/x", storage_options=options)
    assert "403" in refused.text


async def test_a_refusing_web_server_names_the_credentials() -> None:
    """Where there are no permissions by name, the credentials are what to look at."""
    async with Web({}, status=401) as web:
        refused = await finding(f"{web.address}/x")
    assert refused.severity is Severity.ERROR
    assert "storage_options" in refused.text


async def test_a_store_that_hangs_costs_its_patience(store: Path) -> None:
    """Others are checked meanwhile, and the error says how long was waited."""
    async with Web({}, delay=60) as web:
        found = await check(
            DatasetEntry(id="slow", url=f"{web.address}/x"),
            DatasetEntry(id="fine", url=str(store)),
            patience=6,
        )
    (slow,) = found["slow"]
    assert "more than 6 seconds" in slow.text
    assert found["fine"] == ()


@pytest.mark.parametrize(
    ("url", "package", "extra"), [("gs://b/x", "gcsfs", "gs"), ("az://b/x", "adlfs", "az")]
)
async def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, url: str, package: str, extra: str
) -> None:
    """What to install is in the sentence."""
    monkeypatch.setitem(sys.modules, package, None)
    missing = await finding(url)
    assert missing.severity is Severity.ERROR
    assert f"{package} is not installed: pip install 'sluice-zarr[{extra}]'" in missing.text


async def test_a_chunk_that_does_not_decode_is_found(store: Path) -> None:
    """The first chunk of a data variable is read, as a request would read it."""
    for chunk in (store / "t").iterdir():
        if not chunk.name.startswith("."):
            chunk.write_bytes(NONSENSE)
    corrupt = await finding(store)
    assert (corrupt.severity, corrupt.where) == (Severity.ERROR, "t")
    assert "its first chunk cannot be read" in corrupt.text
    assert corrupt.text.endswith("Write this variable again.")


async def test_a_codec_that_is_not_there_is_found(store: Path) -> None:
    """An unknown codec keeps the dataset from being opened, and its name is told."""
    write_store(store, GRID, mode="w", consolidated=False)
    document = store / "t" / ".zarray"
    fields = json.loads(document.read_text()) | {"compressor": {"id": "nosuchcodec"}}
    document.write_text(json.dumps(fields))
    missing = (await check(DatasetEntry(id="a", url=str(store))))["a"][0]
    assert missing.severity is Severity.ERROR
    assert "nosuchcodec" in missing.text


async def test_a_chunk_beyond_the_limit_is_not_read(store: Path) -> None:
    """What no request may read is an error of its own, and the probe leaves it alone."""
    for chunk in (store / "t").iterdir():
        if not chunk.name.startswith("."):
            chunk.write_bytes(NONSENSE)
    found = await check(DatasetEntry(id="a", url=str(store)), limit=100)
    (only,) = found["a"]
    assert "no request can read it" in only.text


@pytest.mark.parametrize(
    ("arrays", "options", "reads"),
    [
        (1, {"zarr_format": 2, "consolidated": False}, 2),
        (9, {"zarr_format": 2, "consolidated": False}, 18),
        (9, {"zarr_format": 3, "consolidated": False}, 9),
        (1, {"zarr_format": 3, "consolidated": False}, None),
        (9, {"zarr_format": 3, "consolidated": True}, None),
        (9, {"zarr_format": 2, "consolidated": True}, None),
        (9, {"zarr_format": 2, "consolidated": False, "group": "inner"}, 18),
        (9, {"zarr_format": 3, "consolidated": True, "group": "inner"}, None),
    ],
)
async def test_metadata_that_is_not_consolidated_says_what_it_costs(
    tmp_path: Path, arrays: int, options: dict[str, Any], reads: int | None
) -> None:
    """A v2 store always, a v3 store with many arrays: the documents that each open reads."""
    path = tmp_path / "x.zarr"
    write_store(path, xr.Dataset({f"v{n}": ((), np.float32(n)) for n in range(arrays)}), **options)
    entry = DatasetEntry(id="a", url=str(path), group=options.get("group"))
    findings = (await check(entry))["a"]
    if reads is None:
        assert findings == ()
    else:
        (costly,) = findings
        assert (costly.severity, costly.where) == (Severity.WARNING, "")
        assert f"reads {reads} small documents" in costly.text


async def test_a_choice_of_the_catalog_is_not_a_finding(tmp_path: Path) -> None:
    """Whoever writes `consolidated: false` knows."""
    path = tmp_path / "x.zarr"
    write_store(path, xr.Dataset({"v": ((), 1.0)}), consolidated=False)
    assert await check(DatasetEntry(id="a", url=str(path), consolidated=False)) == {"a": ()}


async def test_the_worst_comes_first(tmp_path: Path) -> None:
    """Errors, then warnings, then notes."""
    path = tmp_path / "x.zarr"
    ds = xr.Dataset({"v": (("lat", "n"), np.ones((2, 3)))}, {"lat": [1.0, 2.0]})
    write_store(path, ds)
    (path / "v" / "0.0").write_bytes(NONSENSE)
    found = await check(DatasetEntry(id="a", url=str(path)))
    assert [(f.severity.value, f.where) for f in found["a"]] == [
        ("error", "v"),
        ("warning", "lat"),
        ("note", "n"),
    ]
