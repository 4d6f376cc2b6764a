"""From URLs to sources: what is shared, what is refused, what is closed."""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

import pytest

from sluice.errors import CatalogError
from sluice.store import AsyncFSMap, Filesystems, ObstoreMap

S3 = {"key": "k", "secret": "very-hidden", "endpoint_url": "http://127.0.0.1:9"}


async def filesystem(filesystems: Filesystems, url: str, **options: Any) -> Any:
    source = await filesystems.source(url, storage_options=options)
    assert isinstance(source, AsyncFSMap)
    return source.fs


async def test_the_same_options_share_a_filesystem() -> None:
    """One connection pool per distinct options, also for sources asked for at the same time."""
    async with Filesystems() as filesystems:
        first = await filesystem(filesystems, "s3://a/x", **S3)
        assert await filesystem(filesystems, "s3://b/y", **dict(reversed(S3.items()))) is first
        assert await filesystem(filesystems, "s3://a/x", **S3, use_ssl=False) is not first
        web = await filesystem(filesystems, "http://127.0.0.1:9/x")
        assert await filesystem(filesystems, "https://127.0.0.1:9/y") is web
    async with Filesystems() as filesystems:
        assert await filesystem(filesystems, "s3://a/x", **S3) is not first


async def test_closing_leaves_no_session_open() -> None:
    """Each session is closed on its loop, so nothing complains when it is collected."""
    filesystems = Filesystems()
    fs = await filesystem(filesystems, "s3://a/x", **S3)
    web = await filesystem(filesystems, "http://127.0.0.1:9/x")
    session = await web.set_session()
    assert not session.closed
    await filesystems.aclose()
    assert session.closed
    with pytest.raises(RuntimeError, match="closed"):
        await filesystem(filesystems, "s3://a/x", **S3)
    del fs, web, session, filesystems
    gc.collect()


async def test_what_connects_while_they_close_is_closed() -> None:
    """Whoever comes too late gets no source, and leaves no session open."""
    filesystems = Filesystems()
    connecting = asyncio.ensure_future(filesystem(filesystems, "http://127.0.0.1:9/x"))
    await asyncio.sleep(0)
    await filesystems.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await connecting
    gc.collect()


async def test_s3_words_are_passed_on() -> None:
    """The catalog's options win over the defaults, nested ones each by itself."""
    async with Filesystems() as filesystems:
        fs = await filesystem(filesystems, "s3://a/x", **S3, config_kwargs={"read_timeout": 7})
        config = (await fs.set_session()).meta.config
        assert (fs.endpoint_url, fs.key, fs.max_concurrency) == (S3["endpoint_url"], "k", 1)
        assert (config.read_timeout, config.connect_timeout) == (7, 5)


async def test_local_paths_need_no_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain path, absolute or relative, is a local store."""
    (tmp_path / "key").write_bytes(b"value")
    monkeypatch.chdir(tmp_path.parent)
    async with Filesystems() as filesystems:
        for url in (str(tmp_path), f"file://{tmp_path}", tmp_path.name, f"./{tmp_path.name}/"):
            source = await filesystems.source(url, storage_options={})
            assert await source.get("key") == b"value", url


async def test_what_nobody_serves_is_refused() -> None:
    """Unknown protocols, engines and options are errors of the catalog that name the known ones."""
    async with Filesystems() as filesystems:
        with pytest.raises(CatalogError, match=r"gopher:// is unknown.*reference://.*s3://"):
            await filesystems.source("gopher://x", storage_options={})
        with pytest.raises(CatalogError, match="obstore engine serves s3://, not gs://"):
            await filesystems.source("gs://x", storage_options={}, engine="obstore")
        with pytest.raises(CatalogError, match=r"warp.*s3fs, obstore"):
            await filesystems.source("s3://x", storage_options={}, engine="warp")  # type: ignore[arg-type]
        with pytest.raises(CatalogError, match=r"storage_options\.profile.*obstore"):
            await filesystems.source("s3://x", storage_options={"profile": "p"}, engine="obstore")
        with pytest.raises(CatalogError, match=r"storage_options.*surprise") as raised:
            await filesystems.source("s3://x", storage_options={**S3, "surprise": 1})
        assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("module", "url", "extra"), [("gcsfs", "gs://x", "gs"), ("adlfs", "az://x", "az")]
)
async def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, url: str, extra: str
) -> None:
    """Without the package of an extra, the error is the command that installs it."""
    monkeypatch.setitem(sys.modules, module, None)
    async with Filesystems() as filesystems:
        with pytest.raises(CatalogError, match=rf"pip install 'sluice-zarr\[{extra}\]'"):
            await filesystems.source(url, storage_options={})


async def test_google_is_made_on_the_loop_and_closed() -> None:
    """gs:// makes one asynchronous filesystem, where its package is installed."""
    pytest.importorskip("gcsfs")
    async with Filesystems() as filesystems:
        google = await filesystem(filesystems, "gs://bucket/root", token="anon")
        assert google.asynchronous
        assert await filesystem(filesystems, "gcs://bucket", token="anon") is google
    gc.collect()


async def test_azure_is_made_on_the_loop_and_closed() -> None:
    """az:// makes an asynchronous filesystem, where its package is installed."""
    pytest.importorskip("adlfs")
    azure = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:9/a;"
    async with Filesystems() as filesystems:
        fs = await filesystem(filesystems, "az://box/root", connection_string=azure)
        assert fs.asynchronous
        assert await filesystem(filesystems, "abfs://box", connection_string=azure) is fs
    gc.collect()


async def test_obstore_speaks_s3fs_words() -> None:
    """The same options serve both engines, and one store serves a bucket."""
    async with Filesystems() as filesystems:
        sources = [
            await filesystems.source(f"s3://bucket/{name}", storage_options=S3, engine="obstore")
            for name in ("a", "b")
        ]
        first, second = sources
        assert isinstance(first, ObstoreMap)
        assert isinstance(second, ObstoreMap)
        assert first.store is second.store
        assert "hidden" not in f"{first!r}"
