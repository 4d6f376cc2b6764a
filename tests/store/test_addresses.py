"""What an address alone can be refused for, and what must not be refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from sluice.errors import CatalogError
from sluice.store import Filesystems
from sluice.store.addresses import check_url, split_document
from sluice.store.protocols import KIND_OF, REFERENCE


@pytest.mark.parametrize(
    "url",
    [
        "x.zarr", "./a", "/data/a b", "C:/data/x", "a/b:c", "year:2024.zarr", "./s3:/b", "~/x",
        "file:///x", "file://x", "local:///x", "memory://", "memory://a", "s3://b", "s3a://b/x",
        "gs://b/x", "gcs://b", "az://c/x", "abfs://c@account.example/x", "abfss://c/x",
        "http://h", "https://u:p@h:8080/x?token=t", "http://[::1]:9000/x",
    ],
)  # fmt: skip
def test_an_address_that_may_have_a_store_passes(url: str) -> None:
    """Only what cannot be a store is refused: the words of each protocol pass."""
    check_url(url, {}, "s3fs")


@pytest.mark.parametrize(
    "protocol", [name for name in KIND_OF if name not in ("memory", REFERENCE)]
)
def test_every_protocol_needs_its_place(protocol: str) -> None:
    """No protocol but memory:// means anything without a bucket, host or path after it."""
    with pytest.raises(CatalogError, match=f"{protocol}:// needs a ") as caught:
        check_url(f"{protocol}://", {}, "s3fs")
    assert caught.value.facts == {"field": "url"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "blank"),
        (" \t", "blank"),
        ("s3://b/x\0", "NUL"),
        ("s3:/b/x", "s3:/ is neither"),
        ("S3:b/x", "S3: is neither"),
        ("foo:/b/x", "foo:/ is neither"),
        ("simplecache::x", "chained"),
        ("simplecache::s3://b/x", "chained"),
        ("S3://b/x", "S3:// is unknown"),
        ("://b/x", "is unknown"),
        ("s3:///b/x", "needs a bucket"),
        ("az:// /x", "needs a bucket"),
        ("http:///x", "needs a host"),
        ("http://:80/x", "needs a host"),
        ("http://h:99999/x", "port is malformed"),
        ("http://[::1/x", "malformed"),
        ("a\nb://x", r"a\\nb:// is unknown"),
    ],
)
def test_an_address_that_has_no_store_is_refused(url: str, says: str) -> None:
    """Malformed protocols and missing places are the field `url`, in one line."""
    with pytest.raises(CatalogError, match=says) as caught:
        check_url(url, {}, "s3fs")
    assert caught.value.facts == {"field": "url"}
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["x.zarr", "http://h/x", "gs://b/x", "memory://a", "reference://"])
def test_obstore_reads_s3_alone(url: str) -> None:
    """With the obstore engine, every other protocol is the field `engine`."""
    with pytest.raises(CatalogError, match="serves s3://, not ") as caught:
        check_url(url, {"fo": {}}, "obstore")
    assert caught.value.facts == {"field": "engine"}


def test_obstore_options_are_looked_at() -> None:
    """A value that cannot be translated is an error of the catalog, not of the program."""
    check_url("s3://b/x", {"config_kwargs": {"read_timeout": 5}}, "obstore")
    with pytest.raises(CatalogError, match="obstore cannot have"):
        check_url("s3://b/x", {"config_kwargs": {"read_timeout": "soon"}}, "obstore")


@pytest.mark.parametrize(
    "options",
    [
        {"fo": {"a": "b"}},
        {"fo": "refs.json"},
        {"fo": "/refs.json"},
        {"fo": "memory://refs.json"},
        {"fo": "s3://b/refs.json", "target_options": {"anon": True}, "remote_protocol": "s3"},
        {"fo": "simplecache::s3://b/refs.parq", "remote_protocol": "s3"},
    ],
)
def test_references_that_may_be_there_pass(options: dict[str, Any]) -> None:
    """Documents, tables and mappings pass without being read."""
    check_url("reference://", options, "s3fs")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({}, "fo"),
        ({"fo": 3}, "fo"),
        ({"fo": ["a"]}, "fo"),
        ({"fo": " "}, "fo"),
        ({"fo": "s3://refs.json"}, "fo"),
        ({"fo": "s3:/b/refs.json"}, "fo"),
        ({"fo": "foo://b/refs.json"}, "fo"),
        ({"fo": "reference://a/refs.json"}, "fo"),
        ({"fo": "a.parq"}, "remote_protocol"),
        ({"fo": "a", "remote_protocol": "foo"}, "remote_protocol"),
        ({"fo": "a", "remote_protocol": 3}, "remote_protocol"),
        ({"fo": "a", "remote_options": 3}, "remote_options"),
        ({"fo": "a", "target_options": [1]}, "target_options"),
        ({"fo": "a", "nonsense": 1}, "nonsense"),
    ],
)
def test_references_that_cannot_be_there_are_refused(options: dict[str, Any], field: str) -> None:
    """The option of the references that is wrong is named."""
    with pytest.raises(CatalogError) as caught:
        check_url("reference://", options, "s3fs")
    assert caught.value.facts == {"field": f"storage_options.{field}"}


async def test_sources_are_refused_by_the_same_words() -> None:
    """What the check refuses, no source is made of."""
    async with Filesystems() as filesystems:
        for url in ("", "s3://", "s3:/b/x"):
            with pytest.raises(CatalogError):
                await filesystems.source(url, storage_options={})


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("refs.json", (".", "refs.json")),
        ("/refs.json", ("/", "refs.json")),
        ("/a/refs.json", ("/a", "refs.json")),
        ("file:///refs.json", ("file:///", "refs.json")),
        ("memory://refs.json", ("memory://", "refs.json")),
        ("s3://b/a/refs.json", ("s3://b/a", "refs.json")),
    ],
)
def test_a_document_is_found_in_its_folder(address: str, parts: tuple[str, str]) -> None:
    """Folder and name together are the address, at the root as well."""
    assert split_document(address) == parts


async def test_a_document_at_the_root_of_a_filesystem_is_read() -> None:
    """memory://refs.json is the document refs.json, not a local folder named memory."""
    from fsspec.implementations.memory import MemoryFileSystem

    memory = MemoryFileSystem()
    memory.pipe_file("/root-refs.json", b'{"key": "value"}')
    try:
        async with Filesystems() as filesystems:
            options = {"fo": "memory://root-refs.json"}
            source = await filesystems.source("reference://", storage_options=options)
            assert await source.get("key") == b"value"
    finally:
        memory.rm_file("/root-refs.json")


def test_looking_at_addresses_loads_no_engine() -> None:
    """Checking a catalog of every protocol imports none of the engines."""
    probe = (
        "import sys; from sluice.store.addresses import check_url\n"
        "for name in ('s3', 'gs', 'az', 'http'): check_url(f'{name}://b/x', {}, 's3fs')\n"
        "check_url('s3://b/x', {}, 'obstore')\n"
        "heavy = {'s3fs', 'gcsfs', 'adlfs', 'obstore', 'zarr', 'aiohttp'} & sys.modules.keys()\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
