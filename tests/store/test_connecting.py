"""What stores are read with is imported and connected before anybody asks, and nothing is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtests.attack.odd_web import odd_web
from sluice.store import Filesystems
from sluice.store.connecting import Address, connect_all, import_engines

SCRIPT = """
import sys
from sluice.store.connecting import Address, import_engines
import_engines([Address({url!r}, {options!r}, {engine!r})])
print([name for name in {names!r} if name in sys.modules])
"""
ENGINES = ["s3fs", "aiobotocore.session", "aiohttp", "obstore", "gcsfs"]
REFERENCES = {"fo": "http://host/refs.json", "remote_protocol": "s3"}
CASES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("/data/x.zarr", {}, "s3fs", []),
    ("s3://bucket/x.zarr", {}, "s3fs", ENGINES[:3]),
    ("s3://bucket/x.zarr", {}, "obstore", ["obstore"]),
    ("https://host/x.zarr", {}, "s3fs", ["aiohttp"]),
    ("reference://", REFERENCES, "s3fs", ENGINES[:3]),
]


@pytest.mark.parametrize(("url", "options", "engine", "expected"), CASES)
def test_what_the_stores_need_is_imported_and_no_more(
    url: str, options: dict[str, Any], engine: str, expected: list[str]
) -> None:
    """In a process of its own, which has imported nothing before."""
    script = SCRIPT.format(url=url, options=options, engine=engine, names=ENGINES)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == repr(expected)


async def test_filesystems_are_connected_once_and_read_nothing(tmp_path: Path) -> None:
    """Stores of one set of options share one; a wrong entry shows when it is opened."""
    with odd_web(tmp_path) as web:
        s3 = {"endpoint_url": web.address, "key": "a", "secret": "b"}
        addresses = [
            Address("s3://one/x.zarr", s3),
            Address("s3://two/y.zarr", s3),
            Address(f"{web.address}/x.zarr", {}),
            Address("s3://bucket/z.zarr", {"nonsense": 1}),
            Address("s3://bucket/z.zarr", s3, "obstore"),
            Address("reference://", {"fo": f"{web.address}/refs.json"}),
        ]
        import_engines(addresses)
        async with Filesystems() as filesystems:
            await connect_all(filesystems, addresses, seconds=60)
            connected = dict(filesystems._made)
            await filesystems.source("s3://one/x.zarr", storage_options=s3)
            await filesystems.source(f"{web.address}/x.zarr", storage_options={})
            assert filesystems._made == connected
            assert len(connected) == 2
        assert not web.asked


async def test_a_catalog_of_many_options_connects_some() -> None:
    """A client takes memory: those beyond a number are made when they are asked for."""
    addresses = [
        Address("http://127.0.0.1:1/x", {"client_kwargs": {"headers": {"n": str(n)}}})
        for n in range(100)
    ]
    async with Filesystems() as filesystems:
        await connect_all(filesystems, addresses, seconds=60)
        assert len(filesystems._made) == 16
