"""What an address alone can be refused for, and what must not be refused."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from loadtests.attack.references import SECRET, web
from sluice.errors import CatalogError, ReferenceRefused
from sluice.store import Filesystems
from sluice.store.addresses import (
    INSIDE,
    check_url,
    is_inner,
    names_inside,
    outer_socket,
    outward_redirects,
    split_document,
)
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


INNER = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses(address: str) -> None:
    """Loopback, link-local, private and the like, also inside an IPv6 address."""
    assert is_inner(address)
    assert names_inside(f"[{address}]" if ":" in address else address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(OSError, match=INSIDE):
        outer_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80)))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1", "::ffff:8.8.8.8"])
def test_outer_addresses(address: str) -> None:
    """Those of public hosts, and an IPv4 one inside an IPv6 one, are none."""
    assert not is_inner(address)
    assert not names_inside(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    outer_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))).close()


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "a.localhost", "2130706433", "0x7f000001", "0x7f.1", "127.1",
     "017700000001", "127.0.0.1.", "0"],
)  # fmt: skip
def test_texts_that_say_inside(host: str) -> None:
    """The name of this machine, and the older forms of numbers, are inner without being asked."""
    assert names_inside(host)


@pytest.mark.parametrize("host", ["example.org", "1e100.net", "0xfood.example", "a.b"])
def test_names_that_the_resolver_knows(host: str) -> None:
    """Of a name nothing is known before it is resolved."""
    assert not names_inside(host)


class Elsewhere(aiohttp.abc.AbstractResolver):
    """Finds every name on this machine, as a name server in an attacker's hands may."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[Any]:
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0,
             "flags": socket.AI_NUMERICHOST}
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=Elsewhere())
    trace = outward_redirects()
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as opened:
        yield opened


async def test_no_redirect_leads_inside_from_outside() -> None:
    """A public name's server sends to an inner address: refused before that is asked."""
    with web() as outer, web() as inner:
        inner.values["/secret"] = SECRET
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            outer.redirects["/x"] = f"http://{host}:{inner.port}/secret"
            async with session() as asking:
                # The resolver of the system knows no such name: it counts as outside.
                with pytest.raises(ReferenceRefused, match="redirects to"):
                    await asking.get(f"http://store.invalid:{outer.port}/x")
        assert inner.asked == []


async def test_redirects_on_the_same_side_are_followed() -> None:
    """On one host, from an inner host, and from outside to outside."""
    with web() as server:
        server.values["/data"] = SECRET
        for first, then in (
            ("store.invalid", "store.invalid"),
            ("127.0.0.1", "localhost"),
            ("store.invalid", "other.invalid"),
        ):
            server.redirects["/x"] = f"http://{then}:{server.port}/data"
            async with (
                session() as asking,
                asking.get(f"http://{first}:{server.port}/x") as answer,
            ):
                assert await answer.read() == SECRET
