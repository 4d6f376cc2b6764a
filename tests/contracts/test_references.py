"""What a source over kerchunk references promises about keys, targets and requests."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.reference import LazyReferenceMapper

from sluice.errors import (
    CatalogError,
    MetadataError,
    ReferenceRefused,
    StoreError,
    StoreMissing,
    StoreRefused,
)
from sluice.store import Filesystems
from sluice.store.source import ByteSource

from .conftest import S3
from .web import Web

BODY = bytes(range(256)) * 4


@pytest.fixture
async def filesystems() -> AsyncIterator[Filesystems]:
    async with Filesystems() as filesystems:
        yield filesystems


async def source_of(
    filesystems: Filesystems, refs: dict[str, Any], *roots: str, **options: Any
) -> ByteSource:
    options["fo"] = {"version": 1, "refs": refs}
    return await filesystems.source("reference://", storage_options=options, reference_roots=roots)


@pytest.mark.parametrize("ranges", [True, False])
async def test_web_targets_are_read_by_range(filesystems: Filesystems, ranges: bool) -> None:
    """A part of a part is exact, whatever the target's server makes of ranges."""
    async with Web({"/file": BODY}, ranges=ranges) as web:
        refs = {"part": [f"{web.address}/file", 100, 50], "whole": [f"{web.address}/file"]}
        source = await source_of(filesystems, refs, web.address)
        assert await source.get("part") == BODY[100:150]
        assert await source.get("part", 10, 20) == BODY[110:120]
        assert await source.get("part", -10) == BODY[140:150]
        assert await source.get("part", 40, 90) == BODY[140:150]
        assert await source.get("part", 50, 90) == b""
        assert await source.get("whole", -10) == BODY[-10:]
        assert await source.get("whole", 5000) == b""
        assert web.requests == ["GET /file"] * 6


async def test_s3_targets_are_read_without_head(filesystems: Filesystems) -> None:
    """The options of the targets' filesystem are honoured, and each read is one GET."""
    async with Web({"/bucket/file": BODY}) as web:
        refs = {"part": ["s3://bucket/file", 100, 50], "whole": ["s3://bucket/file"]}
        source = await source_of(
            filesystems,
            refs,
            remote_protocol="s3",
            remote_options={"anon": True, "endpoint_url": web.address},
        )
        assert await source.get("whole") == BODY
        assert await source.get("part") == BODY[100:150]
        assert web.requests == ["GET /bucket/file"] * 2


async def test_a_missing_reference_is_none_and_a_missing_target_an_error(
    filesystems: Filesystems,
) -> None:
    """Only a key without a reference is missing: its target's absence, refusal or end is not."""
    async with Web({"/file": BODY}) as web:
        refs = {
            "gone": [f"{web.address}/none"],
            "gone part": [f"{web.address}/none", 0, 10],
            "short": [f"{web.address}/file", 1000, 50],
            "beyond": [f"{web.address}/file", 5000, 50],
            "elsewhere": ["ftp+unknown-thing", 0, 10],
            "refused": [f"{web.address}/file"],
        }
        source = await source_of(filesystems, refs, web.address)
        assert await source.get("no reference") is None
        for key in ("gone", "gone part"):
            with pytest.raises(StoreMissing, match=key):
                await source.get(key)
            with pytest.raises(StoreMissing, match=key):
                await source.exists(key)
        for key in ("short", "beyond", "elsewhere"):
            with pytest.raises(StoreError, match=key):
                await source.get(key)
        web.status = 403
        with pytest.raises(StoreRefused, match="refused"):
            await source.get("refused")


async def test_unknown_target_protocols_are_named(filesystems: Filesystems) -> None:
    """References into a filesystem that nobody serves fail when they are read, others do not."""
    refs = {"key": ["gopher://host/file", 0, 10], "text": "hello"}
    source = await source_of(filesystems, refs)
    assert await source.get("text") == b"hello"
    with pytest.raises(ReferenceRefused, match="gopher://"):
        await source.get("key")


async def test_the_document_is_fetched_from_s3(
    filesystems: Filesystems, s3: S3, tmp_path: Path
) -> None:
    """A JSON document is read by the same engine as stores; names stand for texts in it."""
    (tmp_path / "file").write_bytes(BODY)
    document = {
        "version": 1,
        "templates": {"t": str(tmp_path)},
        "refs": {"a/part": ["{{t}}/file", 100, 50], "text": "hello", "json": {"a": 1}},
    }
    bucket = s3.bucket({"refs.json": json.dumps(document).encode(), "list.json": b"[]"}, root="r")

    async def over(name: str, *roots: str) -> ByteSource:
        options = {"fo": f"s3://{bucket}/r/{name}", "target_options": s3.options()}
        return await filesystems.source(
            "reference://", storage_options=options, reference_roots=roots
        )

    source = await over("refs.json", str(tmp_path))
    assert await source.get("a/part") == BODY[100:150]
    assert await source.get("text") == b"hello"
    assert json.loads(await source.get("json") or b"") == {"a": 1}
    with pytest.raises(ReferenceRefused, match="reference_roots"):
        await (await over("refs.json")).get("a/part")
    with pytest.raises(StoreMissing, match=r"nothing\.json"):
        await over("nothing.json")
    with pytest.raises(MetadataError, match=r"list\.json"):
        await over("list.json")


async def test_options_are_checked(filesystems: Filesystems) -> None:
    """A reference entry without references, or with an option nobody reads, is refused."""
    with pytest.raises(CatalogError, match=r"storage_options\.fo"):
        await filesystems.source("reference://", storage_options={})
    with pytest.raises(CatalogError, match="surprise"):
        await source_of(filesystems, {}, surprise=1)


# What reads these tables is fsspec; pandas would like it to use another engine.
@pytest.mark.filterwarnings("ignore:The 'fastparquet' engine")
async def test_a_table_of_references(filesystems: Filesystems, tmp_path: Path) -> None:
    """References in Parquet read like a document; a broken part of the table is no hole."""
    pytest.importorskip("fastparquet")
    (tmp_path / "file").write_bytes(BODY)
    table = LazyReferenceMapper.create(str(tmp_path / "refs.parq"), record_size=2)
    table["x/.zarray"] = json.dumps({"shape": [6], "chunks": [1]})
    table["x/0"] = [f"{tmp_path}/file", 100, 50]
    table["x/1"] = b"inline"
    table["x/2"] = [f"{tmp_path}/file"]
    table.flush()
    options = {"fo": str(tmp_path / "refs.parq"), "remote_protocol": "file"}
    source = await filesystems.source("reference://", storage_options=options)
    assert json.loads(await source.get("x/.zarray") or b"")["shape"] == [6]
    assert await source.get("x/0", -10) == BODY[140:150]
    assert await source.get("x/1") == b"inline"
    assert await source.get("x/2") == BODY
    assert [await source.get(key) for key in ("x/3", "x/4", "x/zarr.json", "y/0")] == [None] * 4
    assert sorted([key async for key in source.list("x")]) == ["x/.zarray", "x/0", "x/1", "x/2"]
    (tmp_path / "refs.parq/x/refs.0.parq").write_bytes(b"PAR1 broken")
    again = await filesystems.source("reference://", storage_options=options)
    with pytest.raises(StoreError, match="x/0"):
        await again.get("x/0")


async def test_a_missing_table_is_missing(filesystems: Filesystems, tmp_path: Path) -> None:
    """References that are not there are no empty store; a table must name its targets' protocol."""
    options = {"fo": str(tmp_path / "none.parq"), "remote_protocol": "file"}
    with pytest.raises(StoreMissing, match=r"none\.parq"):
        await filesystems.source("reference://", storage_options=options)
    with pytest.raises(CatalogError, match="remote_protocol"):
        await filesystems.source("reference://", storage_options={"fo": options["fo"]})
