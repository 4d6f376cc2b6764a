"""One row for each filesystem, and each row whole."""

from __future__ import annotations

import importlib
import sys

import pytest
from fsspec.asyn import AsyncFileSystem

from sluice.errors import CatalogError
from sluice.store import Filesystems
from sluice.store.addresses import check_url
from sluice.store.blocking import LoopCalls
from sluice.store.protocols import KIND_OF, KINDS, REFERENCE, FilesystemKind, canonical, reader_for
from sluice.store.readers import BlockingReader, ObjectReader

# What an address has to name, and one that does, for each need.
NAMED = {"bucket": "name", "host": "name", "path": "/name", "": ""}
# What the filesystem of each protocol wants besides, so that it connects without a network.
OPTIONS: dict[str, dict[str, str]] = {
    "s3": {"endpoint_url": "http://127.0.0.1:9", "key": "k", "secret": "s"},
    "gs": {"token": "anon"},
    "az": {
        "connection_string": "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
        "BlobEndpoint=http://127.0.0.1:9/a;"
    },
}


def name_of(kind: FilesystemKind) -> str:
    return kind.protocols[0]


def test_no_protocol_is_in_two_rows() -> None:
    """Each protocol finds one row."""
    assert len(KIND_OF) == sum(len(kind.protocols) for kind in KINDS)
    assert {KIND_OF[protocol] for protocol in KIND_OF} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_every_row_names_what_it_is_read_with(kind: FilesystemKind) -> None:
    """Modules that can be imported, where their extra is installed."""
    assert kind.modules
    for name in kind.modules:
        if not name.startswith(("sluice.", "fsspec.")):
            pytest.importorskip(name)
        importlib.import_module(name)
        assert name in sys.modules


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
def test_every_row_has_its_address_rule(kind: FilesystemKind) -> None:
    """What it needs after :// is asked for, and is enough."""
    for protocol in kind.protocols:
        if name_of(kind) != REFERENCE:
            check_url(f"{protocol}://{NAMED[kind.needs]}", {}, "s3fs")
        if kind.needs:
            with pytest.raises(CatalogError, match=f"{protocol}:// needs a {kind.needs} after it"):
                check_url(f"{protocol}://", {}, "s3fs")


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
async def test_every_row_connects_what_it_reads(kind: FilesystemKind) -> None:
    """The filesystem of a row finds that row again by its protocols, and so its reader."""
    if kind.connect is None:
        assert name_of(kind) == REFERENCE  # opened from its document
        return
    if kind.modules[0] in ("gcsfs", "adlfs"):
        pytest.importorskip(kind.modules[0])
    ways = [kind.connect, *([kind.connect_outside] if kind.connect_outside else [])]
    for connect in ways:
        opened = await connect(OPTIONS.get(name_of(kind), {}))
        reader = reader_for(opened.fs)
        if not isinstance(reader, BlockingReader):
            assert type(reader) is type(kind.reader(opened.fs, LoopCalls()))
        names = {opened.fs.protocol} if isinstance(opened.fs.protocol, str) else opened.fs.protocol
        assert set(names) & set(kind.protocols)
        await opened.aclose()


@pytest.mark.parametrize("kind", KINDS, ids=name_of)
async def test_every_row_is_what_its_options_say(kind: FilesystemKind) -> None:
    """By all names of a row the same filesystem is found: one canonical name, but on the web."""
    for protocol in kind.protocols:
        expected = protocol if kind.needs == "host" else name_of(kind)
        assert canonical(protocol.upper()) == expected
        assert bool(kind.read_advice) == bool(kind.list_advice)


async def test_the_obstore_engine_serves_the_rows_that_say_so() -> None:
    """Others refuse it by name."""
    for kind in KINDS:
        url = f"{name_of(kind)}://{NAMED[kind.needs]}"
        if kind.by_obstore:
            check_url(url, {}, "obstore")
        else:
            with pytest.raises(CatalogError, match="the obstore engine serves s3://"):
                check_url(url, {}, "obstore")


async def test_an_unknown_filesystem_is_read_all_the_same() -> None:
    """Whoever brings a filesystem of a protocol without a row has it read by its own calls."""

    class Odd(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
        protocol = "odd"

        async def _cat_file(
            self, path: str, start: int | None = None, end: int | None = None
        ) -> bytes:
            return f"{path} {start} {end}".encode()

    reader = reader_for(Odd(asynchronous=True))
    assert type(reader) is ObjectReader
    assert await reader.read("key", 0, 10, None) == b"key 0 10"


async def test_references_are_no_filesystem_to_connect() -> None:
    """They have a row, and are opened from their document alone."""
    async with Filesystems() as filesystems:
        with pytest.raises(CatalogError, match="reference:// is unknown"):
            await filesystems.connect(REFERENCE, {})
